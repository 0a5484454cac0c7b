"""Exact region counts of deep networks with fixed capacity, for use inside one's own ``jit`` and ``vmap``.

The steps of :mod:`jaxgeom.regions.planar` for one network, one layer after the other in one program. On the host,
:func:`jaxgeom.count_regions` does the same with capacities that always suffice, and settles what rounding left open.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32

from jaxgeom._reprs import readable
from jaxgeom.domains import PlanarDomain, start_of
from jaxgeom.given import as_float64
from jaxgeom.layers import Dense, Layers, check_layers
from jaxgeom.regions.batches import NOT_COUNTED
from jaxgeom.regions.planar import ARTIFICIAL, Capacities, begin, chords, homogeneous, signs, ties
from jaxgeom.regions.subdivision import subdivide


@readable
class PlanarCount(NamedTuple):
    """Regions of one network on a domain in the plane."""

    count: Int32[Array, ""]  # type: ignore[assignment]
    """Number of activation regions; -1 where ``overflow``."""
    overflow: Bool[Array, ""]
    """Whether the capacity did not suffice."""
    degenerate: Bool[Array, ""]
    """Whether some decision lay within rounding error, so that ``count`` is not certain."""


def planar_count(
    layers: Layers,
    domain: PlanarDomain,
    *,
    capacity: int,
    slopes: Sequence[Float[np.ndarray, " width"]] | None = None,
) -> PlanarCount:
    """Count the activation regions of one ReLU network of any depth on a domain in the plane.

    Works under ``jit`` and ``vmap``, in float64 whatever the x64 setting. Zero units never cut, and serve as padding.
    Each hidden layer but the last takes some seconds to compile.

    Args:
        layers: one network with two inputs.
        domain: :func:`jaxgeom.box`, :func:`jaxgeom.polygon` or :func:`jaxgeom.whole_plane`.
        capacity: room for so many regions, of all layers together.
        slopes: for each hidden layer and unit, what negative pre-activations are multiplied with; default 0, ReLU.

    Raises:
        ValueError: if shapes do not fit, or the capacity is below 1.
    """
    if capacity < 1:
        raise ValueError(f"capacity must be a positive integer, but {capacity} was given.")
    layers = check_layers(layers, dim=2)
    if np.ndim(layers[0].bias) != 1:
        raise ValueError(
            f"one network is needed, but the layers have leading axes {np.shape(layers[0].bias)[:-1]}. Use "
            "jax.vmap, or jaxgeom.count_regions for populations."
        )
    one, size = begin(start_of(domain))
    widths = [layer.bias.shape[0] for layer in layers[:-1]]
    slopes = [np.zeros(width) for width in widths] if slopes is None else slopes
    with jax.enable_x64(True):
        layers = tuple(Dense(*(jnp.asarray(as_float64(array)) for array in layer)) for layer in layers)
        state = jax.tree.map(_on_device, one)
        rounding: float | Array = float(np.finfo(np.float64).eps)
        overflow = degenerate = jnp.asarray(False)
        num_artificial = jnp.asarray((one.made <= ARTIFICIAL).sum(), jnp.int32)
        num_faces = state.num_faces
        for index, weights in enumerate(homogeneous(layers, slopes, size, with_points=False)):
            width = widths[index]
            room = Capacities(capacity, capacity + 2 * width + 8, width, capacity, width)
            found = signs(state, weights, rounding)
            cut = chords(state, found, room)
            num_faces = num_faces + cut.num_chords + cut.num_meetings
            num_artificial = num_artificial + cut.num_artificial
            degenerate |= found.uncertain | cut.uncertain | ~cut.consistent
            overflow |= (jnp.sum(found.counts, dtype=jnp.int32) > room.crossings) | (num_faces > capacity)
            if index < len(layers) - 2:
                state, _, uncertain, consistent = subdivide(state, found, cut, weights, sum(widths[:index]), room)
                degenerate |= uncertain | ~consistent
            else:
                degenerate |= ties(state, found, cut, room)
            rounding = found.rounding
        count = num_faces - num_artificial + (num_artificial > 0)
        return PlanarCount(jnp.where(overflow, NOT_COUNTED, count), overflow, degenerate & ~overflow)


def _on_device(array: np.ndarray) -> Array:
    return jnp.asarray(array, jnp.int32 if array.dtype == np.int64 else array.dtype)
