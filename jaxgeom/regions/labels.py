"""[host] Which faces of a complex belong together: those with one affine map, wherever they are or in one piece.

Activation patterns that differ may give one map: units that are dead further on, or that cancel. Regions of kind
"linear" are connected sets with one map, joined across edges (not just vertices); those of kind "map" are the distinct
maps.

Whether two maps are equal is decided for the weights as they are, not as float64 rounds their products. Weights are
fractions with powers of two below, so that they have residues modulo an odd prime p, and so have the maps; for each
face, the network with the face's pattern is evaluated at a random point modulo p, which takes one matrix product a
layer. Maps that are equal give equal values. Maps that differ do so with probability 3/p (Schwartz 1980, Zippel 1979),
unless p divides their difference; with four primes near 2^21 that is less than 1e-18 for a pair. Only faces whose
maps are close to another one's are looked at so.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxgeom._typing import PAIR
from jaxgeom.host.names import check_name
from jaxgeom.networks.layers import Layers
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, connected, numbered_components
from jaxgeom.regions.space import SpatialComplex

KINDS = ("activation", "linear", "map")

_PRIMES = (2097143, 2097133, 2097131, 2097097)
"""The largest below 2^21: products of two residues are exact in float64, and so are sums of ``_TERMS`` of them."""

_TERMS = 2048
_NUMBERS_AT_ONCE = 2**19
"""Units of faces that are evaluated, and coefficients that are compared, together, so that little memory is held beside
complexes."""


def region_labels(complex_: PlanarComplex | SpatialComplex, kind: str = "linear") -> Int[np.ndarray, " faces"]:
    """The region that each face (in space, cell) belongs to, numbered from 0 in order of their first faces.

    Args:
        complex_: as :func:`jaxgeom.enumerate_regions` gives it.
        kind: "activation" (every face is its own), "linear" (connected faces with one affine map) or "map" (all faces
            with one affine map).

    Raises:
        ValueError: for another kind, and for a complex that is not complete, and so has no maps, or has no ``layers``.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> hidden = jg.Dense(np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros(2))
        >>> network = hidden, jg.Dense(np.array([[1.0], [-1.0]]), np.zeros(1))  # relu(x) - relu(-x) = x
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> complex_.num_faces, jg.region_labels(complex_).tolist()
        (2, [0, 0])
    """
    check_name("kind", kind, KINDS)
    if not isinstance(complex_, PlanarComplex | SpatialComplex):
        raise TypeError(
            "region_labels takes what enumerate_regions gives, a PlanarComplex or a SpatialComplex, but "
            f"{type(complex_).__name__} was given."
        )
    num = len(complex_.patterns)
    if kind == "activation":
        return np.arange(num)
    if not complex_.complete:
        raise ValueError("this complex is not complete, so that its faces have no affine maps. Raise max_regions.")
    if complex_.layers is None:
        raise ValueError(
            "this complex does not say which network it is of, so that maps cannot be compared. Take it from "
            "enumerate_regions, or give it the network: complex_._replace(layers=layers)."
        )
    label = np.arange(num)
    close = _close_to_others(complex_.gradient, complex_.intercept)
    label[close] = len(label) + map_labels(complex_.layers, complex_.patterns[close])
    if kind == "linear":
        pairs = complex_.facet_cells if isinstance(complex_, SpatialComplex) else complex_.edge_faces
        pairs = pairs[(pairs != OUTSIDE).all(axis=1)]
        label = connected(len(label), pairs[label[pairs[:, 0]] == label[pairs[:, 1]]])
    return _in_order(label)


def linear_counts(complexes: Sequence[PlanarComplex]) -> Int[np.ndarray, " networks"]:
    """Numbers of connected sets with one affine map, of networks of one shape: the largest labels of
    :func:`region_labels` plus one, found for all of them at once. Each complex has ``layers``, and one has to be there.
    """
    sizes = np.array([each.num_faces for each in complexes])
    network = np.repeat(np.arange(len(complexes)), sizes)
    walls = np.concatenate([each.edge_faces for each in complexes])
    befores = np.cumsum(sizes) - sizes
    walls = walls + np.repeat(befores, [len(each.edge_faces) for each in complexes])[:, None]
    walls = walls[np.concatenate([(each.edge_faces != OUTSIDE).all(axis=1) for each in complexes])]
    maps = _maps(*(np.concatenate([getattr(each, name) for each in complexes]) for name in ("gradient", "intercept")))
    size = max(1, _NUMBERS_AT_ONCE // max(1, maps[:1].size))
    walls = walls[np.concatenate([_may_be_equal(maps, some) for some in _pieces(walls, size)])]
    faces, place = np.unique(walls, return_inverse=True)
    place = place.reshape(walls.shape)
    values = np.zeros((len(_PRIMES), len(faces)))
    edges = np.searchsorted(network[faces], np.arange(len(complexes) + 1))
    first = complexes[0].layers
    assert first is not None
    start, most = 0, _at_once(first)
    while start < len(complexes):
        stop = max(start + 1, int(np.searchsorted(edges, edges[start] + most)) - 1)
        some = [index for index in range(start, stop) if edges[index] < edges[index + 1]]
        if some:
            own = [faces[edges[index] : edges[index + 1]] - befores[index] for index in some]
            patterns = np.concatenate([complexes[i].patterns[chosen] for i, chosen in zip(some, own, strict=True)])
            layers = [complexes[index].layers for index in some]
            values[:, edges[start] : edges[stop]] = _values(
                layers,  # type: ignore[arg-type]
                patterns,
                np.append(edges[some], edges[stop]) - edges[start],
            )
        start = stop
    is_same = (values[:, place[:, 0]] == values[:, place[:, 1]]).all(axis=0)
    count, label = numbered_components(len(network), walls[is_same])
    of_component = np.zeros(count, np.int64)
    of_component[label] = network
    return np.bincount(of_component, minlength=len(complexes))


def map_labels(layers: Layers, patterns: Bool[np.ndarray, "faces units"]) -> Int[np.ndarray, " faces"]:
    """A number for each face that is the same for two faces where their affine maps are equal.

    Args:
        layers: one network.
        patterns: the hidden units that are active on each face, first layer first; units after the last hidden layer
            do not matter.
    """
    values = _values([layers], patterns, np.array([0, len(patterns)])).T
    order = np.lexsort(values.T)
    is_new = np.append(False, (values[order[1:]] != values[order[:-1]]).any(axis=1))
    label = np.empty(len(values), np.int64)
    label[order] = np.cumsum(is_new)
    return label


def _close_to_others(
    gradient: Float[np.ndarray, "faces out dim"], intercept: Float[np.ndarray, "faces out"]
) -> Int[np.ndarray, " close"]:
    """The faces whose maps may be equal to another one's, as far as their coefficients tell: these are right to 1e-8
    of the gradient, or to rounding. Neighbours in the order of a random projection are compared."""
    maps = _maps(gradient, intercept)
    flat = maps.reshape(len(maps), -1)
    direction = np.random.default_rng(0).normal(size=flat.shape[1])
    with np.errstate(all="ignore"):
        shadow = flat @ direction
        reach = _reach(maps) * np.abs(direction).sum()
        order = np.argsort(shadow)
        is_far = np.diff(shadow[order]) > reach[order[1:]] + reach[order[:-1]]
    is_alone = np.append(True, is_far) & np.append(is_far, True)
    return np.sort(order[~is_alone])


def _maps(gradient: np.ndarray, intercept: np.ndarray) -> Float[np.ndarray, "faces out coefficients"]:
    """The affine maps of faces."""
    return np.concatenate([gradient, intercept[..., None]], axis=-1)


@np.errstate(all="ignore")
def _may_be_equal(
    maps: Float[np.ndarray, "faces out coefficients"], walls: Int[np.ndarray, "walls 2"]
) -> Bool[np.ndarray, " walls"]:
    """Whether the maps on both sides may be equal, as far as their coefficients tell."""
    one, other = maps[walls[:, 0]], maps[walls[:, 1]]
    reach = _reach(one) + _reach(other)
    is_far: Bool[np.ndarray, " walls"] = (np.abs(one - other) > reach[:, None, None]).any(axis=(1, 2))
    return ~is_far


def _pieces(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, max(1, len(rows)), size)]


def _at_once(layers: Layers) -> int:
    """Faces of networks of this shape that are evaluated together."""
    return max(1, _NUMBERS_AT_ONCE // max(1, *(layer.bias.shape[-1] for layer in layers)))


@np.errstate(all="ignore")
def _reach(maps: Float[np.ndarray, "faces out coefficients"]) -> Float[np.ndarray, " faces"]:
    """How far each coefficient of a map may be off."""
    size = np.abs(maps)
    error = 1e-7 * size[..., :-1].max(axis=(1, 2), initial=0.0) + 1e-13 * size.max(axis=(1, 2), initial=0.0)
    reach: Float[np.ndarray, " faces"] = error + np.finfo(float).tiny
    return reach


def _in_order(label: Int[np.ndarray, " faces"]) -> Int[np.ndarray, " faces"]:
    """The same labels, numbered from 0 in order of their first faces."""
    _, first, label = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[label]


def _values(
    networks: Sequence[Layers], patterns: Bool[np.ndarray, "faces units"], offsets: Int[np.ndarray, " offsets"]
) -> Float[np.ndarray, "primes faces"]:
    """A random combination of the outputs at a random point, modulo each prime, of the affine map of each face.

    Args:
        networks: of one shape.
        patterns: of the faces of the first network, then of the second and so on.
        offsets: where those of each begin; the last entry is their number.
    """
    if not len(patterns):
        return np.zeros((len(_PRIMES), 0))
    if len(networks) == 1 and len(patterns) > _at_once(networks[0]):
        pieces = _pieces(patterns, _at_once(networks[0]))
        return np.concatenate([_values(networks, some, np.array([0, len(some)])) for some in pieces], axis=1)
    primes, sizes = np.array(_PRIMES, float)[:, None, None], np.diff(offsets)

    def of_networks(arrays: list[Any]) -> Float[np.ndarray, "primes networks *shape"]:
        together = np.stack(list(map(np.asarray, arrays)))
        return np.stack([residues(together, prime) for prime in _PRIMES])

    def products(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Of the values at each face, and the kernel of its network."""
        found = np.empty((*values.shape[:2], kernel.shape[-1]))
        for index, (start, stop) in enumerate(pairwise(offsets.tolist())):
            found[:, start:stop] = _product(values[:, start:stop], kernel[:, index], primes)
        return found

    inputs, outputs = networks[0][0].kernel.shape[-2], networks[0][-1].bias.shape[-1]
    random = [np.random.default_rng(prime) for prime in _PRIMES]
    point, weights = (
        np.stack([_random(each, num, prime) for each, prime in zip(random, _PRIMES, strict=True)])
        for num in (inputs, outputs)
    )
    values = np.broadcast_to(point[:, None], (len(primes), len(patterns), inputs))
    before = 0
    for layers in list(zip(*networks, strict=True))[:-1]:
        kernel, bias = (of_networks([layer[part] for layer in layers]) for part in range(PAIR))
        values = np.fmod(products(values, kernel) + np.repeat(bias, sizes, axis=1), primes)
        width = bias.shape[-1]
        otherwise: Any = 0.0
        if any(layer.slope is not None for layer in layers):
            slopes = [np.zeros(width) if layer.slope is None else layer.slope for layer in layers]
            otherwise = np.fmod(values * np.repeat(of_networks(slopes), sizes, axis=1), primes)
        values = np.where(patterns[:, before : before + width], values, otherwise)
        before += width
    last = [network[-1] for network in networks]
    column = _product(of_networks([layer.kernel for layer in last]), weights[:, None, :, None], primes[..., None])
    offset = _product(of_networks([layer.bias for layer in last]), weights[:, :, None], primes)
    found = products(values, column) + np.repeat(offset, sizes, axis=1)
    result: Float[np.ndarray, "primes faces"] = np.fmod(found, primes)[..., 0]
    return result


def _random(random: np.random.Generator, num: int, prime: int) -> Float[np.ndarray, " num"]:
    return random.integers(0, prime, num).astype(np.float64)


def _product(a: np.ndarray, b: np.ndarray, prime: np.ndarray) -> Float[np.ndarray, "*stack n m"]:
    """The products of matrices of residues, (*stack, n, k) and (*stack, k, m), modulo primes, (*stack, 1, 1)."""
    parts: Iterator[np.ndarray] = (
        np.fmod(a[..., i : i + _TERMS] @ b[..., i : i + _TERMS, :], prime)
        for i in range(0, max(1, a.shape[-1]), _TERMS)
    )
    found: np.ndarray = np.fmod(sum(parts), prime)
    return found


def residues(array: Float[Array | np.ndarray, "*shape"], prime: int) -> Float[np.ndarray, "*shape"]:
    """Finite floats modulo an odd prime below 2^26: m 2^e is m times the e-th power of 2, or of the inverse of 2.

    Mantissas and exponents are taken from the bits, since programs of JAX call back from threads that take subnormal
    numbers for zero.
    """
    floats = np.asarray(array)
    if floats.dtype != np.float32:
        floats = floats.astype(np.float64, copy=False)
    about = np.finfo(floats.dtype)
    bits = floats.view(f"i{floats.dtype.itemsize}").astype(np.int64)
    exponent = (bits >> about.nmant) & ((1 << about.iexp) - 1)
    mantissa = bits & ((1 << about.nmant) - 1) | np.where(exponent > 0, 1 << about.nmant, 0)
    numerator = np.where(bits < 0, -mantissa, mantissa) % prime
    exponent = np.maximum(exponent, 1) + about.minexp - 1 - about.nmant
    result: Float[np.ndarray, "*shape"] = (numerator * _powers(prime)[exponent - _LEAST] % prime).astype(np.float64)
    return result


_LEAST, _MOST = -1073 - 53, 1024 - 53
"""Exponents of floats whose mantissas are integers."""


@lru_cache(maxsize=16)
def _powers(prime: int) -> Int[np.ndarray, " exponents"]:
    """All powers of 2 that floats have, modulo a prime."""
    return np.array([pow(2, exponent, prime) for exponent in range(_LEAST, _MOST + 1)])
