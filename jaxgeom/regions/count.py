"""[host] Exact region counts of whole populations: of any depth, in chunks, never wrong by rounding.

One hidden layer on a bounded domain is an arrangement of lines (:mod:`jaxgeom.regions.arrangement`); everything else is
cut layer by layer (:mod:`jaxgeom.regions.deep`). Both say where float64 could not decide, and integer arithmetic
(:mod:`jaxgeom.regions.rational`, :mod:`jaxgeom.regions.exact`) does.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int64
from tqdm.auto import tqdm

from jaxgeom._reprs import readable
from jaxgeom.chunks import check_chunk_size, map_chunks
from jaxgeom.domains import PlanarDomain, Start, WholePlane, polygon_vertices, start_of
from jaxgeom.layers import Dense, Layers, with_units
from jaxgeom.regions.arrangement import Arrangement, ArrangementCount, arrangement, counted
from jaxgeom.regions.batches import NOT_COUNTED, flattened, in_float64
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.complexes import complexes
from jaxgeom.regions.deep import Rooms, Slopes, count_on_device, cut_by_layers, default_chunk_size
from jaxgeom.regions.exact import exact_count
from jaxgeom.regions.general_position import general_counts
from jaxgeom.regions.kinks import Activation, with_kinks
from jaxgeom.regions.merge import KINDS, region_labels
from jaxgeom.regions.rational import exact_arrangement_count

_CHUNK_BYTES = 2**26
_GENERAL_BLOCK = 2**19  # pairs of lines that are looked at together
_MOST_GENERAL = 1024  # units; with more, two meetings on some line are too close to tell as a rule
_BLOCK = 2**15  # numbers that NumPy sorts at once, so that they stay in cache


@readable
class RegionCounts(NamedTuple):
    """Exact numbers of linear regions; shapes are the leading axes of the layers."""

    count: Int64[np.ndarray, "*networks"]  # type: ignore[assignment]
    """Number of regions, exact for the weights as given; -1 where a member of a population is not finite."""
    degenerate: Bool[np.ndarray, "*networks"]
    """Where the float64 count met a tie (several lines in one point, say) and integer arithmetic decided."""
    num_large: Int64[np.ndarray, "*networks"] | None = None
    """Number of regions whose area is at least ``min_area``, if that was given."""
    smallest_area: Float[np.ndarray, "*networks"] | None = None
    """Area of the smallest region, if ``min_area`` was given."""


def count_regions(
    layers: Layers,
    domain: PlanarDomain,
    *,
    kind: str = "activation",
    activation: Activation = "relu",
    min_area: float | None = None,
    dtype: type = np.float64,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> RegionCounts:
    """Count the linear regions of networks with two inputs on a convex domain or the whole plane, exactly.

    A region is a full-dimensional cell of the domain's interior with one activation pattern of the hidden units,
    however small; the sign of the output does not cut. The count is that of real arithmetic on the weights as
    they are: floating point with error bounds, and integers where rounding could matter.

    Args:
        layers: one network, or a population with any leading axes; zero units are allowed as padding.
        domain: where to count: :func:`jaxgeom.box`, :func:`jaxgeom.polygon` or :func:`jaxgeom.whole_plane`.
        kind: "activation"; "linear" for connected sets with one affine map; "map" for distinct affine maps. The
            latter two build every complex and take some milliseconds a network.
        activation: what follows the hidden layers, see :func:`jaxgeom.enumerate_regions`.
        min_area: also count the regions with at least this area, in squared units of the input, which does not
            depend on slivers that training leaves along its data. Builds every complex, too.
        dtype: np.float32 tries deep networks in single precision first, and those that it cannot decide in double:
            the counts are the same.
        chunk_size: networks computed at once; default by memory.
        progress: show a progress bar; a string is its title.

    Raises:
        TypeError: for anything that is not a network or a planar domain.
        ValueError: for inputs that are not two-dimensional, an unknown kind, activations without linear regions, a
            negative area, or NaN or infinite weights in a single network. In a population such members get the
            count -1.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but {kind!r} was given.")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be np.float32 or np.float64, but {dtype} was given.")
    if min_area is not None and not min_area >= 0:
        raise ValueError(f"min_area must be at least 0, but {min_area} was given.")
    check_chunk_size(chunk_size)
    start = start_of(domain)
    network, slopes = with_kinks(layers, activation)
    if network[0].kernel.shape[-2] != 2:
        raise ValueError(
            f"two inputs are needed, but the first layer takes {network[0].kernel.shape[-2]}. Use "
            "jaxgeom.on_plane for a slice through networks with more, or jaxgeom.count_regions_nd in 3 or 4 dimensions."
        )
    flat, leading, is_finite = flattened(network)
    flat = with_units(flat)  # without outputs, all maps are one, as with an output that is zero
    slopes = [
        np.pad(slope, (0, layer.bias.shape[1] - len(slope))) for slope, layer in zip(slopes, flat[:-1], strict=True)
    ]
    counts = np.where(is_finite, 1, NOT_COUNTED).astype(np.int64)
    degenerate = np.zeros(len(is_finite), bool)
    areas = np.full((2, len(is_finite)), np.nan)
    members = flat if is_finite.all() else jax.tree.map(lambda array: array[is_finite], flat)
    if not is_finite.any():
        pass
    elif kind != "activation" or min_area is not None:
        counts[is_finite], degenerate[is_finite], areas[:, is_finite] = _of_complexes(
            members, slopes, start, kind, min_area or 0.0, chunk_size, progress
        )
    elif len(slopes) == 1 and not isinstance(domain, WholePlane):
        units = max(4, -(-network[0].bias.shape[-1] // 4) * 4)  # programs for one layer compile fast
        hidden = Dense(*(np.where(slopes[0] != 1, array, 0.0)[..., :units] for array in members[0]))
        counts[is_finite], degenerate[is_finite] = _of_lines(hidden, polygon_vertices(domain), chunk_size, progress)
    elif slopes:
        counts[is_finite], degenerate[is_finite] = _of_layers(members, slopes, start, dtype, chunk_size, progress)
    if min_area is None:
        return RegionCounts(counts.reshape(leading), degenerate.reshape(leading))
    num_large = np.where(is_finite, areas[0], NOT_COUNTED).astype(np.int64)
    return RegionCounts(*(array.reshape(leading) for array in (counts, degenerate, num_large, areas[1])))


def _of_lines(
    hidden: Dense, vertices: np.ndarray, chunk_size: int | None, progress: bool | str
) -> tuple[np.ndarray, np.ndarray]:
    """Of one hidden layer."""
    units = hidden.bias.shape[-1]
    num = len(hidden.bias)
    count, pending = np.zeros(num, np.int64), np.arange(num)
    is_cpu = jax.default_backend() == "cpu"
    if is_cpu and units <= _MOST_GENERAL:
        size = min(num, chunk_size or int(np.clip(_GENERAL_BLOCK // units**2, 1, 1024)))

        def general(chunk: Dense) -> tuple[np.ndarray, np.ndarray]:
            return general_counts(_scaled(chunk), vertices, size=size)

        count, is_certain = map_chunks(general, hidden, chunk_size=size, progress=progress, compiled=False)
        pending = np.flatnonzero(~is_certain)
    degenerate = np.zeros(num, bool)
    if len(pending):
        size = chunk_size or int(np.clip(_CHUNK_BYTES // (200 * units**2), 1, 16 if is_cpu else 256))
        some = _scaled(jax.tree.map(lambda array: array[_filled(pending, min(size, num))], hidden))
        found = map_chunks(in_float64(_line_counts, vertices=vertices), some, chunk_size=size, progress=progress)
        found = jax.tree.map(lambda array: array[: len(pending)], found)
        count[pending], degenerate[pending] = found.count, found.degenerate
        for index in _with_progress(np.flatnonzero(found.degenerate), progress):
            count[pending[index]] = exact_arrangement_count(Dense(*(array[index] for array in some)), vertices)
    return count, degenerate


def _filled(members: np.ndarray, size: int) -> np.ndarray:
    """At least so many members, so that what is left over shares programs with whole chunks."""
    return np.pad(members, (0, max(0, size - len(members))), mode="edge")


def _line_counts(hidden: Dense, *, vertices: np.ndarray) -> ArrangementCount:
    if jax.default_backend() != "cpu":
        return _line_counts_on_device(hidden, vertices)
    found = _arrangements(hidden, vertices)
    found = jax.tree.map(np.asarray, found)
    num, units = found.places.shape[:2]
    size = max(1, _BLOCK // units**2)
    blocks = [jax.tree.map(lambda array, i=i: array[i : i + size], found) for i in range(0, num, size)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *(counted(block, np) for block in blocks))


@jax.jit
def _arrangements(hidden: Dense, vertices: Array) -> Arrangement:
    return jax.vmap(lambda layer: arrangement(layer, vertices))(hidden)


@jax.jit
def _line_counts_on_device(hidden: Dense, vertices: Array) -> ArrangementCount:
    return counted(_arrangements(hidden, vertices), jnp)


def _of_layers(
    networks: Layers,
    slopes: Slopes,
    start: Start,
    dtype: type,
    chunk_size: int | None,
    progress: bool | str,
) -> tuple[np.ndarray, np.ndarray]:
    """Of several hidden layers: in single precision, what is left in double, what is left in integers."""
    num = len(networks[0].bias)
    count, pending = np.zeros(num, np.int64), np.arange(num)
    size = chunk_size or default_chunk_size(slopes, num)
    on_device = jax.default_backend() != "cpu"
    for precision in dict.fromkeys([np.dtype(dtype), np.dtype(np.float64)]):
        rooms: Rooms = {}

        def run(chunk: Layers, rooms: Rooms = rooms, precision: np.dtype = precision) -> tuple[np.ndarray, np.ndarray]:
            if on_device:
                cut = count_on_device(chunk, slopes, start, rooms, precision)
            else:
                cut = cut_by_layers(chunk, slopes, start, dtype=precision)
            return cut.count, cut.is_certain

        if len(pending):
            # On devices filled up to a chunk, so that what is left over shares programs with whole chunks.
            members = _filled(pending, min(size, num)) if on_device else pending
            some = jax.tree.map(lambda array, members=members: array[members], networks)
            found = map_chunks(run, some, chunk_size=size, progress=progress, compiled=on_device)
            count[pending], is_certain = (array[: len(pending)] for array in found)
            pending = pending[~is_certain]
    for member in _with_progress(pending, progress):
        count[member] = exact_count(jax.tree.map(lambda array, m=member: array[m], networks), slopes, start)
    degenerate = np.zeros(num, bool)
    degenerate[pending] = True
    return count, degenerate


def _of_complexes(
    networks: Layers,
    slopes: Slopes,
    start: Start,
    kind: str,
    min_area: float,
    chunk_size: int | None,
    progress: bool | str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By way of all complexes: counts, who was degenerate, and numbers of large regions with the smallest areas."""

    def one(complex_: PlanarComplex) -> tuple[int, bool, int, float]:
        labels = region_labels(complex_, kind)
        area = np.bincount(labels, complex_.area)
        return len(area), complex_.degenerate, int((area >= min_area).sum()), float(area.min())

    def run(chunk: Layers) -> tuple[np.ndarray, ...]:
        cut = cut_by_layers(chunk, slopes, start, whole=True)
        return tuple(map(np.array, zip(*map(one, complexes(chunk, slopes, start, cut)), strict=True)))

    size = chunk_size or default_chunk_size(slopes, len(networks[0].bias))
    found = map_chunks(run, networks, chunk_size=size, progress=progress, compiled=False)
    count, degenerate, num_large, smallest = found
    return count, degenerate, np.stack([num_large, smallest])


def _with_progress(members: np.ndarray, progress: bool | str) -> tqdm:
    """A bar for what integer arithmetic redoes, one network after the other."""
    is_shown = bool(progress) and len(members) > 0
    return tqdm(members.tolist(), unit="net", desc="in integers", disable=not is_shown)


def _scaled(hidden: Dense) -> Dense:
    """The same lines with coefficients around one: each unit times a power of two, which is exact."""
    largest = np.maximum(np.abs(hidden.kernel).max(axis=1), np.abs(hidden.bias))
    exponent = -np.frexp(largest)[1]
    if np.abs(exponent).max(initial=0) < 1000:  # then the powers are numbers, and products faster
        power = np.ldexp(1.0, exponent)
        return Dense(hidden.kernel * power[:, None, :], hidden.bias * power)
    return Dense(np.ldexp(hidden.kernel, exponent[:, None, :]), np.ldexp(hidden.bias, exponent))
