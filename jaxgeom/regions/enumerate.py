"""[host] All linear regions of networks in the plane, as complexes: vertices, edges, faces, patterns and affine maps.

The layers of :mod:`jaxgeom.regions.planar` cut the domain, as for counting, but the last one is built, too; then the
cycles of half-edges are written out as faces. Networks with decisions within rounding error, and those whose complex
fails a certificate, are cut anew in integer arithmetic (:mod:`jaxgeom.regions.exact`).
"""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom.chunks import check_chunk_size, map_chunks
from jaxgeom.domains import PlanarDomain, Start, start_of
from jaxgeom.layers import Dense, Layers, check_finite, check_layers
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, areas_and_centroids, certify, without_artificial_edges
from jaxgeom.regions.deep import Cut, Slopes, cut_by_layers, default_chunk_size, member_of
from jaxgeom.regions.exact import complex_of_cells, exact_cells
from jaxgeom.regions.kinks import Activation, with_kinks
from jaxgeom.regions.planar import ARTIFICIAL, multiply
from jaxgeom.regions.subdivision import Parts


def enumerate_regions(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation = "relu",
    cut_output: bool = False,
    max_regions: int | None = None,
) -> PlanarComplex:
    """The linear regions of one network on a domain in the plane, and how they hang together.

    Decisions are made in float64 with error bounds; where one lies within its bound (several lines through one point,
    duplicate units, lines through corners), everything is computed anew in integers, which is exact and slow: some
    0.1 ms a region and unit. ``degenerate`` says so.

    Args:
        layers: one network with two inputs, a tuple of :class:`jaxgeom.Dense`.
        domain: :func:`jaxgeom.box`, :func:`jaxgeom.polygon` or :func:`jaxgeom.whole_plane`.
        activation: what follows the hidden layers, see :func:`jaxgeom.regions.kinks.with_kinks`: "relu",
            "leaky_relu", "abs", "hard_tanh", "maxout", "linear" or a negative slope; or one for each layer.
        cut_output: let the zero sets of the outputs cut as well, like units of one more hidden layer: the decision
            boundary then consists of edges of the last layer.
        max_regions: stop before the layer that makes more regions than this, and return the complex of the layers
            before it, with ``complete=False``, their patterns, and affine maps that are NaN.

    Raises:
        TypeError: for anything that is not a network or a planar domain.
        ValueError: for inputs that are not two-dimensional, populations, NaN or infinite weights, activations without
            linear regions, or a ``max_regions`` below 1.
    """
    if max_regions is not None and max_regions < 1:
        raise ValueError(f"max_regions must be a positive integer, but {max_regions} was given.")
    start = start_of(domain)
    network, slopes = with_kinks(layers, activation)
    if np.ndim(network[0].bias) != 1:
        raise ValueError(
            f"one network is needed, but the layers have leading axes {np.shape(network[0].bias)[:-1]}. Take one "
            "member at a time: jax.tree.map(lambda array: array[i], layers)."
        )
    check_layers(network, dim=2)
    check_finite(network)
    if cut_output:
        width = network[-1].bias.shape[0]
        network, slopes = (*network, Dense(np.eye(width), np.zeros(width))), [*slopes, np.zeros(width)]
    stacked = jax.tree.map(lambda array: np.asarray(array, np.float64)[None], network)
    cut = cut_by_layers(stacked, slopes, start, whole=True, max_regions=max_regions)
    num_layers = len(cut.parts)
    complete = num_layers == len(slopes)
    if not complete:
        reached = Dense(np.zeros((network[num_layers].kernel.shape[0], 1)), np.zeros(1))
        network, slopes = (*network[:num_layers], reached), slopes[:num_layers]
    found = complexes(network, slopes, start, cut, 0)
    if complete:
        return found
    nothing = np.full((found.num_faces, 1, 3), np.nan)
    return found._replace(gradient=nothing[..., :2], intercept=nothing[..., 2], complete=False)


def enumerate_population(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation = "relu",
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> list[PlanarComplex | None]:
    """:func:`enumerate_regions` for each network of a population, cut in chunks on all cores.

    Args:
        layers: a population with one leading axis.
        domain, activation: as for :func:`enumerate_regions`.
        chunk_size: networks cut at once; default by memory.
        progress: show a progress bar; a string is its title.

    Returns:
        The complexes; None for members with NaN or infinite weights.

    Raises:
        TypeError, ValueError: as :func:`enumerate_regions`, and if there is not one leading axis.
    """
    check_chunk_size(chunk_size)
    start = start_of(domain)
    networks, slopes = with_kinks(layers, activation)
    check_layers(networks, dim=2)
    if np.ndim(networks[0].bias) != 2 or len(networks[0].bias) == 0:
        raise ValueError(
            f"a population with one leading axis is needed, but the biases have shape {np.shape(networks[0].bias)}."
        )
    is_finite = np.all(
        [np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in jax.tree.leaves(networks)], axis=0
    )
    found: list[PlanarComplex | None] = [None] * len(is_finite)

    def run(chunk: tuple[Layers, np.ndarray]) -> np.ndarray:
        members, numbers = chunk
        cut = cut_by_layers(members, slopes, start, whole=True)
        for place, number in enumerate(numbers.tolist()):
            network = jax.tree.map(lambda array, place=place: array[place], members)
            found[number] = complexes(network, slopes, start, cut, place)
        return numbers

    if is_finite.any():
        some = jax.tree.map(lambda array: array[is_finite], networks)
        members = np.flatnonzero(is_finite)
        size = chunk_size or default_chunk_size(slopes, len(members))
        map_chunks(run, (some, members), chunk_size=size, progress=progress, compiled=False)
    return found


def complexes(network: Layers, slopes: Slopes, start: Start, cut: Cut, member: int) -> PlanarComplex:
    """The complex of one network of a chunk that was cut with ``whole=True``; in integers if need be."""
    if cut.is_certain[member]:
        try:
            return without_artificial_edges(_complex_of_halfedges(network, slopes, cut, member))
        except RuntimeError:  # a certificate failed
            pass
    return without_artificial_edges(complex_of_cells(exact_cells(network, slopes, start)))


def _complex_of_halfedges(network: Layers, slopes: Slopes, cut: Cut, member: int) -> PlanarComplex:
    state, parts = member_of(cut, member)
    points = state.values[:, [-2, -1, -3]] * cut.size
    is_ideal = points[:, 2] == 0
    length = np.where(is_ideal, np.hypot(points[:, 0], points[:, 1]), points[:, 2])
    vertices = points[:, :2] / length[:, None]
    num_faces = int(state.num_faces[0])
    face_offsets, half_edges = _cycles(state.face.reshape(-1), state.following.reshape(-1), num_faces)
    face_vertices = state.ends.reshape(-1)[half_edges]
    widths = [len(slope) for slope in slopes]
    layer, unit = _layers_and_units(state.made, widths)
    chains, patterns = _patterns(parts, num_faces, slopes)
    gradient, intercept = _affine_maps(network, slopes, patterns, chains)
    area, centroid = areas_and_centroids(vertices, is_ideal, face_offsets, face_vertices)
    certify((area > 0).all(), f"the smallest area is {area.min()}")
    return PlanarComplex(
        vertices,
        is_ideal,
        state.ends,
        state.face,
        layer,
        unit,
        face_offsets,
        face_vertices,
        half_edges // 2,
        np.concatenate([np.zeros((num_faces, 0), bool), *patterns], axis=1),
        gradient,
        intercept,
        area,
        centroid,
        False,
        True,
    )


def _cycles(
    face: Int[np.ndarray, " halfedges"], following: Int[np.ndarray, " halfedges"], num_faces: int
) -> tuple[Int[np.ndarray, " offsets"], Int[np.ndarray, " corners"]]:
    """Where the cycle of each face begins, and the half-edges of all of them, one face after the other."""
    inner = np.flatnonzero(face != OUTSIDE)
    face_offsets = np.concatenate([[0], np.cumsum(np.bincount(face[inner], minlength=num_faces))])
    half_edges = np.zeros(len(inner), np.int64)
    current = np.zeros(num_faces, np.int64)
    current[face[inner[::-1]]] = inner[::-1]  # the first half-edge of each face
    place, stop, active = face_offsets[:-1].copy(), face_offsets[1:], np.arange(num_faces)
    while len(active):
        half_edges[place[active]] = current[active]
        current[active] = following[current[active]]
        place[active] += 1
        active = active[place[active] < stop[active]]
    return face_offsets, half_edges


def _layers_and_units(
    made: Int[np.ndarray, " edges"], widths: Sequence[int]
) -> tuple[Int[np.ndarray, " edges"], Int[np.ndarray, " edges"]]:
    """The layer and unit behind a running number; sides of the domain have the layers -1 and, if shared, -2."""
    first = np.cumsum([0, *widths])
    layer = np.searchsorted(first, made, side="right") - 1
    unit = made - first[np.maximum(layer, 0)]
    is_side = made < 0
    layer = np.where(is_side, np.where(made <= ARTIFICIAL, OUTSIDE - 1, OUTSIDE), layer)
    return layer, np.where(is_side, np.where(made <= ARTIFICIAL, ARTIFICIAL - made, -1 - made), unit)


def _patterns(
    parts: list[Parts], num_faces: int, slopes: Slopes
) -> tuple[list[Int[np.ndarray, " faces"]], list[Bool[np.ndarray, "faces _"]]]:
    """For each hidden layer, which of its faces each final one is a part of, and the activation pattern there."""
    chains, patterns = [], []
    number = np.arange(num_faces)
    for part, slope in zip(reversed(parts), reversed(slopes), strict=True):
        chains.append(number)
        words = np.ascontiguousarray(part.words[:, number].T.astype("<u8", copy=False))
        patterns.append(np.unpackbits(words.view(np.uint8), axis=1, bitorder="little", count=len(slope)).view(bool))
        number = part.parent[number]
    return chains[::-1], patterns[::-1]


_FACES_AT_ONCE = 1 << 13


def _affine_maps(
    network: Layers,
    slopes: Slopes,
    patterns: list[Bool[np.ndarray, "faces _"]],
    chains: list[Int[np.ndarray, " faces"]],
) -> tuple[Float[np.ndarray, "faces out 2"], Float[np.ndarray, "faces out"]]:
    """The affine map of each face. What faces have in common is computed once for each face of the earlier layer."""
    num_faces = len(patterns[0]) if patterns else 1
    first = np.concatenate([network[0].kernel, network[0].bias[None]])
    if not patterns:
        return first[None, :2].transpose(0, 2, 1), first[None, 2]
    maps = np.zeros((num_faces, 3, network[-1].bias.shape[0]))
    order = np.lexsort(chains[::-1])
    for block in np.split(order, range(_FACES_AT_ONCE, num_faces, _FACES_AT_ONCE)):
        rows, parents = first[None], np.zeros(len(block), np.int64)
        for pattern, slope, chain, layer in zip(patterns, slopes, chains, network[1:], strict=True):
            _, some, number = np.unique(chain[block], return_index=True, return_inverse=True)
            factors = np.where(pattern[block[some]], 1.0, slope)
            products = np.empty((len(some), 3, layer.kernel.shape[1]))
            flat = (rows[parents[some]] * factors[:, None]).reshape(-1, layer.kernel.shape[0])
            multiply(flat, np.asarray(layer.kernel, np.float64), products.reshape(-1, layer.kernel.shape[1]))
            rows = products
            rows[:, 2] += layer.bias
            parents = number
        maps[block] = rows[parents]
    return maps[:, :2].transpose(0, 2, 1), maps[:, 2]
