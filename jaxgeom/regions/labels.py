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

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxgeom.host.names import check_name
from jaxgeom.networks.layers import Layers
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, connected
from jaxgeom.regions.space import SpatialComplex

KINDS = ("activation", "linear", "map")

_PRIMES = (2097143, 2097133, 2097131, 2097097)
"""The largest below 2^21: products of two residues are exact in float64, and so are sums of ``_TERMS`` of them."""

_TERMS = 2048


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


def map_labels(layers: Layers, patterns: Bool[np.ndarray, "faces units"]) -> Int[np.ndarray, " faces"]:
    """A number for each face that is the same for two faces where their affine maps are equal.

    Args:
        layers: one network.
        patterns: the hidden units that are active on each face, first layer first; units after the last hidden layer
            do not matter.
    """
    values = np.stack([_values(layers, patterns, prime) for prime in _PRIMES], axis=1)
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
    maps = np.concatenate([gradient, intercept[..., None]], axis=-1).reshape(len(gradient), -1)
    direction = np.random.default_rng(0).normal(size=maps.shape[1])
    with np.errstate(all="ignore"):
        shadow = maps @ direction
        error = 1e-7 * np.abs(gradient).max(axis=(1, 2), initial=0.0) + 1e-13 * np.abs(maps).max(axis=1, initial=0.0)
        reach = (error + np.finfo(float).tiny) * np.abs(direction).sum()
        order = np.argsort(shadow)
        is_far = np.diff(shadow[order]) > reach[order[1:]] + reach[order[:-1]]
    is_alone = np.append(True, is_far) & np.append(is_far, True)
    return np.sort(order[~is_alone])


def _in_order(label: Int[np.ndarray, " faces"]) -> Int[np.ndarray, " faces"]:
    """The same labels, numbered from 0 in order of their first faces."""
    _, first, label = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[label]


def _values(layers: Layers, patterns: Bool[np.ndarray, "faces units"], prime: int) -> Float[np.ndarray, " faces"]:
    """A random combination of the outputs at a random point, modulo a prime, of the affine map of each face."""
    random = np.random.default_rng(prime)
    point = _random(random, layers[0].kernel.shape[-2], prime)
    values = np.broadcast_to(point, (len(patterns), len(point)))
    before = 0
    for layer in layers[:-1]:
        width = layer.bias.shape[-1]
        values = np.fmod(_product(values, residues(layer.kernel, prime), prime) + residues(layer.bias, prime), prime)
        slope = 0.0 if layer.slope is None else residues(layer.slope, prime)
        values = np.where(patterns[:, before : before + width], values, np.fmod(values * slope, prime))
        before += width
    weights = _random(random, layers[-1].bias.shape[-1], prime)
    last = _product(residues(layers[-1].kernel, prime), weights[:, None], prime)
    offset = _product(residues(layers[-1].bias, prime)[None], weights[:, None], prime)
    result: Float[np.ndarray, " faces"] = np.fmod(_product(values, last, prime) + offset, prime)[:, 0]
    return result


def _random(random: np.random.Generator, num: int, prime: int) -> Float[np.ndarray, " num"]:
    return random.integers(0, prime, num).astype(np.float64)


def _product(a: Float[np.ndarray, "n k"], b: Float[np.ndarray, "k m"], prime: int) -> Float[np.ndarray, "n m"]:
    """The product of matrices of residues, modulo the prime."""
    parts: Iterator[np.ndarray] = (
        np.fmod(a[:, i : i + _TERMS] @ b[i : i + _TERMS], prime) for i in range(0, max(1, a.shape[1]), _TERMS)
    )
    return np.fmod(sum(parts), prime)


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
