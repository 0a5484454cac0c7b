"""[host] All linear regions of networks in the plane, as complexes: vertices, edges, faces, patterns and affine maps.

The layers of :mod:`jaxgeom.regions.planar` cut the domain, as for counting, but the last one is built, too; then
:mod:`jaxgeom.regions.complexes` writes out what there is.
"""

from collections.abc import Callable

import jax
import numpy as np

from jaxgeom.chunks import check_chunk_size, map_chunks
from jaxgeom.domains import PlanarDomain, start_of
from jaxgeom.layers import Dense, Layers, check_finite, check_layers, pad_widths
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.complexes import complexes
from jaxgeom.regions.deep import cut_by_layers, default_chunk_size
from jaxgeom.regions.kinks import Activation, with_kinks
from jaxgeom.regions.pattern_maps import is_extreme, maps_of_patterns


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
    if 0 in (len(layer.bias) for layer in network):
        network, slopes, trimmed = _with_units(network, slopes)
    else:
        trimmed = None
    whole, own = network, slopes
    if cut_output:
        width = network[-1].bias.shape[0]
        network, slopes = (*network, Dense(np.eye(width), np.zeros(width))), [*slopes, np.zeros(width)]
    network = jax.tree.map(lambda array: np.asarray(array, np.float64), network)
    stacked = jax.tree.map(lambda array: array[None], network)
    cut = cut_by_layers(stacked, slopes, start, whole=True, max_regions=max_regions)
    num_layers = len(cut.parts)
    complete = num_layers == len(slopes)
    if not complete:
        reached = Dense(np.zeros((network[num_layers].kernel.shape[0], 1)), np.zeros(1))
        network, slopes = (*network[:num_layers], reached), slopes[:num_layers]
    (found,) = complexes(jax.tree.map(lambda array: array[None], network), slopes, start, cut)
    if complete:
        if cut_output or is_extreme(whole, own):  # with cut_output, the maps found are those of rectified outputs
            units = sum(map(len, own))
            gradient, intercept = maps_of_patterns(whole, own, found.patterns[:, :units])
            found = found._replace(gradient=gradient, intercept=intercept)
        return found if trimmed is None else trimmed(found)
    nothing = np.full((found.num_faces, 1, 3), np.nan)
    found = found._replace(gradient=nothing[..., :2], intercept=nothing[..., 2], complete=False)
    return found if trimmed is None else trimmed(found)


def _with_units(
    network: Layers, slopes: list[np.ndarray]
) -> tuple[Layers, list[np.ndarray], Callable[[PlanarComplex], PlanarComplex]]:
    """The network with a zero unit in each layer without units, and what takes these out of its complex again."""
    widths = [layer.bias.shape[-1] for layer in network]
    padded = pad_widths(network, [max(width, 1) for width in widths[:-1]])
    if widths[-1] == 0:
        kernel, bias = (np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, 1)]) for array in padded[-1])
        padded = (*padded[:-1], Dense(kernel, bias))
    padded_slopes = [slope if len(slope) else np.zeros(1) for slope in slopes]
    is_real = np.concatenate([np.arange(max(width, 1)) < width for width in widths])

    def trimmed(found: PlanarComplex) -> PlanarComplex:
        real = is_real[: found.patterns.shape[1]]
        outputs = found.gradient.shape[1] if not found.complete else widths[-1]
        return found._replace(
            patterns=found.patterns[:, real],
            gradient=found.gradient[:, :outputs],
            intercept=found.intercept[:, :outputs],
        )

    return padded, padded_slopes, trimmed


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
    if np.ndim(networks[0].bias) != 2:
        raise ValueError(
            f"a population with one leading axis is needed, but the biases have shape {np.shape(networks[0].bias)}."
        )
    is_finite = np.all(
        [np.isfinite(array).all(axis=tuple(range(1, array.ndim))) for array in jax.tree.leaves(networks)], axis=0
    )
    found: list[PlanarComplex | None] = [None] * len(is_finite)
    trimmed: Callable[[PlanarComplex], PlanarComplex] | None = None
    if 0 in (layer.bias.shape[-1] for layer in networks):
        networks, slopes, trimmed = _with_units(networks, slopes)

    def run(chunk: tuple[Layers, np.ndarray]) -> np.ndarray:
        members, numbers = chunk
        cut = cut_by_layers(members, slopes, start, whole=True)
        for place, complex_ in enumerate(complexes(members, slopes, start, cut)):
            own = jax.tree.map(lambda array, place=place: array[place], members)
            if is_extreme(own, slopes):
                gradient, intercept = maps_of_patterns(own, slopes, complex_.patterns)
                complex_ = complex_._replace(gradient=gradient, intercept=intercept)
            found[numbers[place]] = complex_ if trimmed is None else trimmed(complex_)
        return numbers

    if is_finite.any():
        some = jax.tree.map(lambda array: array[is_finite], networks)
        members = np.flatnonzero(is_finite)
        size = chunk_size or default_chunk_size(slopes, len(members))
        map_chunks(run, (some, members), chunk_size=size, progress=progress, compiled=False)
    return found
