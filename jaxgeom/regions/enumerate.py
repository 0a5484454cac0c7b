"""[host] All linear regions of networks, as complexes: vertices, edges, faces, cells, patterns, affine maps."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, overload

import jax
import numpy as np
from tqdm.auto import tqdm

from jaxgeom._typing import MATRIX
from jaxgeom.domains import Box, PlanarDomain, Polygon, ProjectiveDomain, WholePlane, exact_domain
from jaxgeom.host.chunks import check_chunk_size
from jaxgeom.host.given import check_flags, check_positive, check_progress
from jaxgeom.host.sparse import on_host
from jaxgeom.networks.layers import Activation, Dense, Layers, check_finite, with_activation
from jaxgeom.regions.cells import cell_counts, check_inputs, complexes, complexes_at_once, with_one_axis
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.count import with_output_cutting
from jaxgeom.regions.space import SpatialComplex
from jaxgeom.regions.space_cells import space_complexes


@overload
def enumerate_regions(
    layers: Layers,
    domain: Polygon | WholePlane,
    *,
    activation: Activation | None = None,
    cut_output: bool = False,
    max_regions: int | None = None,
) -> PlanarComplex: ...


@overload
def enumerate_regions(
    layers: Layers,
    domain: Box,
    *,
    activation: Activation | None = None,
    cut_output: bool = False,
    max_regions: int | None = None,
) -> Any: ...


def enumerate_regions(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation | None = None,
    cut_output: bool = False,
    max_regions: int | None = None,
) -> PlanarComplex | SpatialComplex:
    """The complex of linear regions of one network on a domain: vertices, edges, faces or cells, and their maps.

    Signs are decided in float64 with bounds of every error, and exactly where these do not suffice; ``degenerate``
    says whether an exact zero was met (several lines through one point, duplicate units, lines through corners).

    Args:
        layers: one network, a tuple of :class:`jaxgeom.Dense`.
        domain: a :func:`jaxgeom.box` of as many dimensions as inputs, up to 8; with two inputs also
            :func:`jaxgeom.polygon` or :func:`jaxgeom.whole_plane`.
        activation: what follows the hidden layers: "relu", "leaky_relu", "abs", "hard_tanh", "maxout", "linear" or a
            slope, or one for each layer. Default is what the layers say by their slopes, as those of
            :func:`jaxgeom.layers_of` and of the readers do; layers without slopes, ``Dense(kernel, bias)``, are ReLU
            layers.
        cut_output: let the zero sets of the outputs cut as well, like units of one more hidden layer: the decision
            boundary then consists of edges (in space, facets) of the last layer.
        max_regions: stop before the layer that makes more regions than this, and return the complex of the layers
            before it, with ``complete=False``, their patterns, and affine maps that are NaN.

    Returns:
        A :class:`jaxgeom.PlanarComplex` in two dimensions, a :class:`jaxgeom.SpatialComplex` in all others.

    Raises:
        TypeError: for anything that is not a network or a domain.
        ValueError: for inputs of another dimension than the domain, populations, NaN or infinite weights, activations
            without linear regions, a ``max_regions`` below 1, or a complex that takes more memory than is free.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((3, 8, 8, 1), activation="relu").init(jax.random.key(0)))
        >>> found = jg.enumerate_regions(network, jg.box(-1, 1, dim=3))
        >>> float(found.volume.sum())
        8.0
    """
    check_flags(cut_output=cut_output)
    if max_regions is not None:
        check_positive("max_regions", max_regions)
    start = exact_domain(domain)
    network = tuple(Dense(*map(on_host, layer)) for layer in with_activation(layers, activation, keep_sparse=True))
    if network[0].bias.ndim != 1:
        raise ValueError(
            f"one network is needed, but the layers have leading axes {np.shape(network[0].bias)[:-1]}. Take one "
            "member at a time, jax.tree.map(lambda array: array[i], layers), or use enumerate_population."
        )
    check_inputs(network, start)
    if cut_output:
        network = with_output_cutting(network)
    stacked = with_one_axis(network)
    depth = len(network) - 1
    if max_regions is not None:
        check_finite(network)
        depth = _layers_within(stacked, start, max_regions)
    found: PlanarComplex | SpatialComplex | None
    if depth == len(network) - 1:
        (found,) = _complexes(stacked, start)
        if found is None:
            check_finite(network)
        assert found is not None
        return _without_copies(found) if cut_output else found
    reached = Dense(np.zeros((1, network[depth].kernel.shape[0], 1)), np.zeros((1, 1)))
    (found,) = _complexes((*stacked[:depth], reached), start)
    assert found is not None
    gradient, intercept = np.full_like(found.gradient, np.nan), np.full_like(found.intercept, np.nan)
    found = found._replace(gradient=gradient, intercept=intercept, complete=False)
    return found._replace(outputs=np.full_like(found.outputs, np.nan)) if isinstance(found, PlanarComplex) else found


def _complexes(networks: Layers, start: ProjectiveDomain | Box) -> Sequence[PlanarComplex | SpatialComplex | None]:
    return space_complexes(networks, start) if isinstance(start, Box) else complexes(networks, start)


def _without_copies(complex_: PlanarComplex | SpatialComplex) -> PlanarComplex | SpatialComplex:
    """The complex without the linear units that stand for the outputs; see :func:`with_output_cutting`."""
    assert complex_.layers is not None
    *hidden, twice, last = complex_.layers
    width = len(last.bias)
    layers = (*hidden, Dense(twice.kernel[:, width:], twice.bias[width:]))
    complex_ = complex_._replace(patterns=complex_.patterns[:, : -width or None], layers=layers)
    if isinstance(complex_, SpatialComplex):
        return complex_._replace(signs=complex_.signs[:, : -width or None])
    return complex_


def _layers_within(networks: Layers, start: ProjectiveDomain | Box, max_regions: int) -> int:
    """How many hidden layers together make no more regions than this."""
    for depth in range(1, len(networks)):
        counts, _ = cell_counts((*networks[:depth], networks[depth]._replace(slope=None)), start)
        if counts[0] > max_regions:
            return depth - 1
    return len(networks) - 1


def enumerate_population(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation | None = None,
    cut_output: bool = False,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> list[Any]:
    """:func:`enumerate_regions` for each network of a population, in chunks on all cores.

    Args:
        layers: a population with one leading axis.
        domain: a :func:`jaxgeom.box` of as many dimensions as inputs, up to 8; with two inputs also
            :func:`jaxgeom.polygon` or :func:`jaxgeom.whole_plane`.
        activation: what follows the hidden layers, if they do not say it themselves by their slopes.
        cut_output: let the zero sets of the outputs cut as well, like units of one more hidden layer.
        chunk_size: networks cut at once; default by memory.
        progress: show a progress bar; a string is its title.

    Returns:
        The complexes, of the kind of :func:`enumerate_regions`; None for members with NaN or infinite weights.

    Raises:
        TypeError, ValueError: as :func:`enumerate_regions`, and if there is not one leading axis.

    Example:
        >>> import jax, jaxgeom as jg
        >>> init = jg.mlp((2, 6, 1), activation="relu").init
        >>> networks = jg.layers_of(jax.vmap(init)(jax.random.split(jax.random.key(0), 5)))
        >>> [round(float(found.area.sum()), 6) for found in jg.enumerate_population(networks, jg.box(-1, 1))]
        [4.0, 4.0, 4.0, 4.0, 4.0]
    """
    check_progress(progress)
    check_flags(cut_output=cut_output)
    chunks = complexes_by_chunks(
        layers, domain, activation=activation, cut_output=cut_output, chunk_size=chunk_size, progress=progress
    )
    return list(itertools.chain.from_iterable(chunks))


def complexes_by_chunks(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation | None = None,
    cut_output: bool = False,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> Iterator[list[Any]]:
    """:func:`enumerate_population` chunk by chunk, of which one is held at a time."""
    check_progress(progress)
    check_chunk_size(chunk_size)
    start = exact_domain(domain)
    layers = check_inputs(with_activation(layers, activation, keep_sparse=True), start)
    if np.ndim(layers[0].bias) != MATRIX:
        raise ValueError(
            f"a population with one leading axis is needed, but the biases have shape {np.shape(layers[0].bias)}."
        )
    num, size = len(layers[0].bias), chunk_size or complexes_at_once(layers)
    networks = jax.tree.map(on_host, layers)
    with tqdm(total=num, unit="net", desc=progress if isinstance(progress, str) else None, disable=not progress) as bar:
        for first in range(0, num, size):
            cut = jax.tree.map(lambda array, first=first: array[first : first + size], networks)
            if cut_output:
                cut = with_output_cutting(cut)
            some = _complexes(cut, start)
            yield [c if c is None or not cut_output else _without_copies(c) for c in some]
            bar.update(min(size, num - first))
