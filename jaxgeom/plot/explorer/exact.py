"""[edge] The exact regions of networks at every frame, as polygons in flat arrays, and their numbers."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxgeom._typing import PLANE
from jaxgeom.domains import Box
from jaxgeom.networks.layers import Layers
from jaxgeom.plot.explorer.gather import Curve, Gathered, first_units
from jaxgeom.plot.explorer.pack import num_packed
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex
from jaxgeom.regions.count import count_regions
from jaxgeom.regions.enumerate import enumerate_population

Arrays = dict[str, np.ndarray]


def with_counts(found: Gathered, domain: Box) -> Gathered:
    """The same with a curve "regions": exact numbers of linear regions of all networks at all frames."""
    cut = [group for group in found.groups if group.activations is None]
    if "regions" in found.curves or not cut:
        return found
    counts: Float[np.ndarray, "networks frames"] = np.full((found.num_networks, len(found.steps)), np.nan)
    for group in cut:
        count = np.asarray(count_regions(group.layers, domain).count, float)
        counts[group.members] = np.where(count < 0, np.nan, count)
    return found._replace(curves={"regions": Curve(found.steps, counts), **found.curves})


def polygons(found: Gathered, domain: Box, first: int, max_bytes: float) -> Arrays:
    """The polygons of as many networks as fit, network ``first`` in any case and then in their order.

    ``entries`` has one row a network and frame: network, frame, and where its vertices, corners, faces and codes begin;
    the last row holds the ends. ``sizes`` are numbers of corners of each face; ``corners`` their vertices, counted from
    the first one of the frame; ``labels`` the unit that made the edge from a corner to the next, counted through the
    network from 1, 0 for the domain's boundary; ``codes`` the activation patterns, eight units a byte. There are none
    of smooth networks, nor of those with one or three inputs.
    """
    if found.dim != PLANE:
        return {}
    parts: list[Arrays] = []
    left = max_bytes
    for member, layers in _in_order(found, first):
        part = _of_network(layers, domain, member)
        left -= num_packed(part)
        if parts and left < 0:
            break
        parts.append(part)
    return _joined(parts) if parts else {}


def _in_order(found: Gathered, first: int) -> Iterator[tuple[int, Layers]]:
    """Networks, one of them first, with the leading axis (frames)."""
    cut = [group for group in found.groups if group.activations is None]
    homes = {int(member): (group, place) for group in cut for place, member in enumerate(group.members)}
    for member in sorted(homes, key=lambda number: (number != first, number)):
        group, place = homes[member]
        yield member, jax.tree.map(lambda array, place=place: array[place], group.layers)


def _of_network(layers: Layers, domain: Box, member: int) -> Arrays:
    begins = first_units(layers)
    frames = [_of_frame(complex_, begins) for complex_ in enumerate_population(layers, domain)]
    arrays = {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}
    sizes = [[len(frame[name]) for name in ("vertices", "corners", "sizes", "codes")] for frame in frames]
    numbers = np.stack([np.full(len(frames), member), np.arange(len(frames))], axis=1)
    return arrays | {"entries": np.concatenate([numbers, sizes], axis=1).astype(np.int32)}


def _of_frame(complex_: PlanarComplex, begins: list[int]) -> Arrays:
    layer, unit = (edges[complex_.face_edges] for edges in (complex_.edge_layer, complex_.edge_unit))
    labels = np.where(layer == OUTSIDE, 0, 1 + unit + np.take(begins, np.maximum(layer, 0)))
    corners: Any = np.uint16 if len(complex_.vertices) <= np.iinfo(np.uint16).max else np.uint32
    return {
        "vertices": complex_.vertices.astype(np.float32),
        "corners": complex_.face_vertices.astype(corners),
        "labels": labels.astype(np.uint16),
        "sizes": np.diff(complex_.face_offsets).astype(np.uint16),
        "codes": np.packbits(complex_.patterns, axis=1, bitorder="little").ravel(),
    }


def _joined(parts: list[Arrays]) -> Arrays:
    """All networks in one set of arrays; lengths in ``entries`` become places."""
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows = arrays["entries"]
    begins = np.concatenate([np.zeros((1, 4), int), np.cumsum(rows[:, 2:], axis=0)])
    numbers = np.concatenate([rows[:, :2], np.full((1, 2), -1)])
    return arrays | {"entries": np.concatenate([numbers, begins], axis=1).astype(np.int32)}
