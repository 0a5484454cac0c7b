"""Exact region counts of networks and populations in any few dimensions, eagerly and inside JAX's programs.

Counts come from the compiled engine (:mod:`jaxgeom.regions.cells`): cell by cell, in float64 with bounds of all errors,
and in exact arithmetic for the single signs that float64 cannot decide.
"""

import itertools
import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int
from tqdm.auto import tqdm

from jaxgeom._reprs import readable
from jaxgeom.domains import Box, PlanarDomain, ProjectiveDomain, exact_domain
from jaxgeom.host.chunks import check_chunk_size
from jaxgeom.host.given import check_flags, check_progress
from jaxgeom.host.names import check_name
from jaxgeom.host.sizes import fitting
from jaxgeom.networks.layers import Activation, Dense, Layers, as_arrays, check_finite, is_rewriting, with_activation
from jaxgeom.regions.cells import (
    NOT_COUNTED,
    cell_counts,
    check_inputs,
    complexes,
    complexes_at_once,
    shared_slopes,
    traced_cell_counts,
    with_one_axis,
)
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.count_small import small_count
from jaxgeom.regions.labels import KINDS, linear_counts, region_labels
from jaxgeom.regions.space import SpatialComplex
from jaxgeom.regions.space_cells import space_complexes

_CHUNK_BYTES = 2**26
_DEFAULT_KIND = "activation"


@readable
class RegionCounts(NamedTuple):
    """Exact numbers of linear regions; shapes are the leading axes of the layers. JAX arrays where these are traced."""

    count: Int[np.ndarray, "*networks"]  # type: ignore[assignment]  # the name of a method of tuples
    """Number of regions, exact for the weights as given; -1 where a member of a population is not finite."""
    degenerate: Bool[np.ndarray, "*networks"]
    """Where an exact zero was met: a unit that is zero at a vertex, as where three lines meet in one point."""
    num_large: Int[np.ndarray, "*networks"] | None = None
    """Number of regions whose area (volume) is at least ``min_area``, if that was given."""
    smallest_area: Float[np.ndarray, "*networks"] | None = None
    """Area (volume) of the smallest region, if ``min_area`` was given."""


def count_regions(
    layers: Layers,
    domain: PlanarDomain,
    *,
    kind: str = _DEFAULT_KIND,
    activation: Activation | None = None,
    cut_output: bool = False,
    min_area: float | None = None,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> RegionCounts:
    """Exact numbers of linear regions of networks on a convex domain of the plane or a box of a few dimensions.

    A region is a full-dimensional cell of the domain's interior with one activation pattern of the hidden units,
    however small; the sign of the output does not cut, unless ``cut_output`` says so. The count is that of real
    arithmetic on the weights as they are: float64 with bounds of every error, and exact arithmetic where rounding
    could matter.

    The function may be called on arrays, and inside ``jit``, ``vmap``, ``scan``, ``cond`` and the like, at any size.
    There, with JAX's x64 off, counts are int32; weights that JAX has rounded to float32 on the way are the network.
    Derivatives do not pass through it.

    Args:
        layers: one network, or a population with any leading axes; zero units are allowed as padding.
        domain: where to count: a :func:`jaxgeom.box` of as many dimensions as inputs, up to 10; with two inputs also
            :func:`jaxgeom.polygon` or :func:`jaxgeom.whole_plane`. A region takes 0.1 µs in two dimensions, 1 to 2 in
            three, 3 to 5 in four, 10 in five, and the count hardly any memory.
        kind: "activation"; "linear" for connected sets with one affine map; "map" for distinct affine maps. The
            latter two build every complex.
        activation: what follows the hidden layers: "relu", "leaky_relu", "abs", "hard_tanh", "maxout", "linear" or a
            slope, or one for each layer. Default is what the layers say by their slopes, as those of
            :func:`jaxgeom.layers_of` and of the readers do; layers without slopes, ``Dense(kernel, bias)``, are ReLU
            layers.
        cut_output: let the zero sets of the outputs cut as well, like units of one more hidden layer. Counts of kinds
            "linear" and "map" stay the same, since the map does on both sides.
        min_area: also count the regions with at least this area, in squared units of the input (in other dimensions
            than two, volume), which does not depend on slivers that training leaves along its data. Builds every
            complex, too.
        chunk_size: networks computed at once; default by memory. Results do not depend on it.
        progress: show a progress bar; a string is its title.

    Returns:
        Counts and flags, NumPy arrays, or JAX arrays where the layers are traced.

    Raises:
        TypeError: for anything that is not a network or a domain, a domain whose numbers are traced, and a
            ``cut_output`` that is not True or False.
        ValueError: for inputs of another dimension than the domain, or more than 10, an unknown kind, activations
            without linear regions, a negative area, or NaN or infinite weights in a single network. In a population,
            and under tracing, such networks get the count -1.

    Example:
        >>> import jax, jaxgeom as jg
        >>> init = jg.mlp((2, 16, 16, 1), activation="relu").init
        >>> networks = jg.layers_of(jax.vmap(init)(jax.random.split(jax.random.key(0), 100)))
        >>> jg.count_regions(networks, jg.box(-1, 1)).count.shape
        (100,)
    """
    # Checks of options would take a fifth of the time of a tiny network.
    if kind is _DEFAULT_KIND and activation is min_area is chunk_size is None and cut_output is progress is False:
        small = small_count(layers, domain)
        if small is not None:
            return RegionCounts(np.array(small[0]), np.array(small[1]))
    check_progress(progress)
    check_flags(cut_output=cut_output)
    check_name("kind", kind, KINDS)
    _check_area(min_area)
    check_chunk_size(chunk_size)
    needs_complexes = kind != _DEFAULT_KIND or min_area is not None
    start = exact_domain(domain)
    network = check_inputs(with_activation(layers, activation, keep_sparse=True), start)
    options: dict[str, Any] = {"kind": kind, "cut_output": cut_output, "min_area": min_area}
    if any(isinstance(array, Tracer) for layer in network for array in layer):
        if not is_rewriting(activation):
            return _traced(network, domain, start, options)
        return _traced(as_arrays(layers), domain, start, options | {"activation": activation})
    leading = network[0].bias.shape[:-1]
    flat = with_one_axis(network)
    num = len(flat[0].bias)
    size = chunk_size or _chunk_size(flat, needs_complexes=needs_complexes)
    if num <= size and not progress:
        columns = _counts_of(flat, start, **options)
    else:
        columns = _in_chunks(flat, start, size, progress, options)
    if not leading and columns[0][0] == NOT_COUNTED:
        check_finite(network)
    return RegionCounts(*(column.reshape(leading) for column in columns))


def _check_area(min_area: Any) -> None:
    """Raise unless an area is None or a number of at least 0."""
    is_array = isinstance(min_area, np.ndarray | jax.Array) and min_area.ndim == 0
    is_number = is_array or isinstance(min_area, numbers.Real)
    if isinstance(min_area, bool | Tracer) or (min_area is not None and not is_number):
        raise TypeError(f"min_area must be a number known before tracing, but {type(min_area).__name__} was given.")
    if min_area is not None and not min_area >= 0:
        raise ValueError(f"min_area must be at least 0, but {min_area} was given.")


def _in_chunks(
    networks: Layers, start: ProjectiveDomain | Box, size: int, progress: bool | str, options: dict[str, Any]
) -> tuple[np.ndarray, ...]:
    """Counts and flags of a population, chunk by chunk."""
    num = len(networks[0].bias)
    parts = []
    title = progress if isinstance(progress, str) else None
    with tqdm(total=num, unit="net", desc=title, disable=not progress) as bar:
        for first in range(0, max(num, 1), size):  # of none, too, one chunk has the columns
            chunk = jax.tree.map(lambda array, first=first: array[first : first + size], networks)
            parts.append(_counts_of(chunk, start, **options))
            bar.update(min(size, num - first))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def _chunk_size(networks: Layers, *, needs_complexes: bool) -> int:
    """Networks whose weights in float64, or whose complexes, are held at once."""
    numbers = sum((kernel.shape[1] + 1) * kernel.shape[2] for kernel, _, _ in networks)
    return complexes_at_once(networks) if needs_complexes else fitting(8 * numbers, _CHUNK_BYTES)


def _counts_of(
    networks: Layers,
    start: ProjectiveDomain | Box,
    *,
    kind: str,
    cut_output: bool,
    min_area: float | None,
) -> tuple[np.ndarray, ...]:
    """Counts and flags of a chunk; if an area is given, numbers of large regions and the smallest areas as well."""
    if cut_output:
        networks = with_output_cutting(networks)
    if kind == "activation" and min_area is None:
        return cell_counts(networks, start)
    if kind == "linear" and min_area is None and not isinstance(start, Box):
        return _linear_counts_of(complexes(networks, start))
    rows: list[tuple[int, bool, int, float]] = []
    for complex_ in space_complexes(networks, start) if isinstance(start, Box) else complexes(networks, start):
        if complex_ is None:
            rows.append((NOT_COUNTED, False, NOT_COUNTED, np.nan))
        else:
            sizes = complex_.volume if isinstance(complex_, SpatialComplex) else complex_.area
            area = np.bincount(region_labels(complex_, kind), sizes)
            rows.append((len(area), complex_.degenerate, int((area >= (min_area or 0.0)).sum()), float(area.min())))
    columns = zip(*rows, strict=True) if rows else [()] * 4
    dtypes = (np.int64, bool, np.int64, np.float64)
    found = tuple(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True))
    return found[:2] if min_area is None else found


def _linear_counts_of(found: list[PlanarComplex | None]) -> tuple[np.ndarray, np.ndarray]:
    """Counts and flags of connected sets with one map."""
    counts, degenerate = np.full(len(found), NOT_COUNTED, np.int64), np.zeros(len(found), bool)
    own = [index for index, each in enumerate(found) if each is not None]
    if own:
        there = [each for each in found if each is not None]
        counts[own], degenerate[own] = linear_counts(there), [each.degenerate for each in there]
    return counts, degenerate


def with_output_cutting(networks: Layers) -> Layers:
    """The network whose outputs are one more hidden layer of ReLU units. Behind these units come as many linear ones,
    of which the outputs are copies."""
    kernel, bias, _ = networks[-1]
    width = bias.shape[-1]
    leading = bias.shape[:-1]
    slope = np.broadcast_to(np.repeat([0.0, 1.0], width), (*leading, 2 * width))
    twice = Dense(np.concatenate([kernel, kernel], axis=-1), np.concatenate([bias, bias], axis=-1), slope)
    copies = np.broadcast_to(np.concatenate([np.zeros((width, width)), np.eye(width)]), (*leading, 2 * width, width))
    return (*networks[:-1], twice, Dense(copies, np.zeros_like(bias)))


def with_differences(networks: Layers) -> tuple[Layers, list[tuple[int, int]]]:
    """The network whose outputs are the differences of all pairs of outputs, without any rounding, and these pairs: the
    outputs are one more layer, of linear units, and the differences have weights of 1 and -1."""
    *hidden, last = networks
    num, leading = last.bias.shape[-1], last.bias.shape[:-1]
    pairs = list(itertools.combinations(range(num), 2))
    signs = np.zeros((num, len(pairs)))
    for column, (one, other) in enumerate(pairs):
        signs[one, column], signs[other, column] = 1.0, -1.0
    signs = np.broadcast_to(signs, (*leading, *signs.shape))
    linear = last._replace(slope=np.ones((*leading, num)))
    return (*hidden, linear, Dense(signs, np.zeros((*leading, len(pairs))))), pairs


def _traced(
    layers: Layers, domain: PlanarDomain, start: ProjectiveDomain | Box, options: dict[str, Any]
) -> RegionCounts:
    """The counts as part of the program that is being traced."""
    min_area = options["min_area"]
    integer, real = (jax.dtypes.canonicalize_dtype(dtype) for dtype in (np.int64, np.float64))
    slopes, plain = shared_slopes(layers), {"kind": "activation", "cut_output": False, "min_area": None}
    if slopes is not None and options == plain and isinstance(start, ProjectiveDomain):
        with jax.enable_x64(True):  # what is float64 in the program stays it
            floats = tuple(Dense(_as_float(layer.kernel), _as_float(layer.bias)) for layer in layers)
            counts: Any = traced_cell_counts(floats, slopes, start, integer)
            return RegionCounts(*counts)
    leading = jnp.shape(layers[0].bias)[:-1]
    dtypes = (integer, np.bool_, integer, real)[: 2 if min_area is None else 4]
    # slopes that are known stay as they are: JAX would round them to float32
    known = [None if isinstance(layer.slope, Tracer) else layer.slope for layer in layers]
    traced = tuple(
        layer if slope is None else layer._replace(slope=None) for layer, slope in zip(layers, known, strict=True)
    )
    weights, structure = jax.tree.flatten(traced)

    def on_host(*arrays: Array) -> tuple[np.ndarray, ...]:
        values = [
            np.asarray(array).view(np.float64)[..., 0] if is_double else np.asarray(array)
            for array, is_double in zip(arrays, doubles, strict=True)
        ]
        shape = values[1].shape[:-1]
        if not shape:  # as a population, so that it may be not finite
            values = [value[None] for value in values]
        networks = tuple(
            layer if slope is None else layer._replace(slope=np.broadcast_to(slope, layer.bias.shape))
            for layer, slope in zip(jax.tree.unflatten(structure, values), known, strict=True)
        )
        counts = count_regions(networks, domain, **options)
        return tuple(np.asarray(column, dtype).reshape(shape) for column, dtype in zip(counts, dtypes, strict=False))

    shapes = tuple(jax.ShapeDtypeStruct(leading, dtype) for dtype in dtypes)
    with jax.enable_x64(True):  # callbacks round float64 where x64 is off: they get its bits
        arrays = [jax.lax.stop_gradient(jnp.asarray(array)) for array in weights]
        doubles = [array.dtype == jnp.float64 for array in arrays]
        arrays = [
            jax.lax.bitcast_convert_type(array, jnp.uint32) if is_double else array
            for array, is_double in zip(arrays, doubles, strict=True)
        ]
    return RegionCounts(*jax.pure_callback(on_host, shapes, *arrays, vmap_method="broadcast_all"))


def _as_float(array: Array | np.ndarray) -> Array:
    """Float32 and float64 as they are, everything else in float32, which holds what is shorter."""
    array = jnp.asarray(array)
    return array if array.dtype in (jnp.float32, jnp.float64) else array.astype(jnp.float32)
