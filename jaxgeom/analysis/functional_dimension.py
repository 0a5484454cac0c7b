"""[host] Functional dimension: how many parameters of a network move the function that it computes.

Grigsby, Lindsey, Meyerhoff & Wu 2022, "Functional dimension of feedforward ReLU neural networks" (arXiv:2209.04036).
On a region of one activation pattern, a network is the affine map x ↦ A x + b, whose coefficients are polynomials of
the parameters. The functional dimension is the rank of the derivatives of the coefficients of all regions with respect
to all kernels and biases. No points are needed, and no float64: weights are fractions, and so are the derivatives.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int64
from tqdm.auto import tqdm

from jaxgeom._reprs import readable
from jaxgeom.analysis.finite_fields import PRIMES, echelon, product, residues
from jaxgeom.domains import PlanarDomain, exact_domain
from jaxgeom.host.given import as_float64, check_progress, points_of
from jaxgeom.networks.layers import (
    Activation,
    Layers,
    check_finite,
    check_layers,
    is_rewriting,
    slope_of,
    with_activation,
)
from jaxgeom.regions.cells import check_inputs, with_one_axis
from jaxgeom.regions.enumerate import enumerate_regions

_EPS = np.finfo(np.float64).eps
_NUMBERS = 2**21  # of a block of the Jacobian


@readable
class FunctionalDimension(NamedTuple):
    """Ranks of the parameters' Jacobian; shapes are the leading axes of the layers."""

    dimension: Int64[np.ndarray, "*networks"]
    """The rank, modulo primes: certainly no more than the true one, and the true one but for a chance of about 1e-18.
    -1 where a member of a population is not finite."""
    upper: Int64[np.ndarray, "*networks"]
    """A certain upper bound: the number of parameters less the known independent directions that change nothing:
    scaling of units, mixing of units that are linear on the whole domain, parameters that no region depends on."""
    is_certain: Bool[np.ndarray, "*networks"]
    """Whether the two agree, which proves the dimension."""
    float_dimension: Int64[np.ndarray, "*networks"]
    """The rank that float64 suggests: singular values above the usual threshold, eps times the larger number of rows
    or columns times the largest value."""
    gap: Float[np.ndarray, "*networks"]
    """The last singular value that counts for ``dimension``, over the next one; infinite without a next one. Far from
    1 / eps, float64 does not tell the dimension."""
    num_params: Int64[np.ndarray, "*networks"]
    """Kernels and biases of all layers."""


def functional_dimension(
    layers: Layers, domain: PlanarDomain, *, activation: Activation | None = None, progress: bool | str = False
) -> FunctionalDimension:
    """Exact functional dimension of ReLU networks on a domain: the rank of the parameters' Jacobian over all regions.

    It is the number of independent directions in parameter space in which the function on the domain changes to first
    order, with the activation patterns as they are. With hidden units of one slope it is at most the number of
    parameters less that of hidden units, since positive factors can go from a unit's incoming weights to its outgoing
    ones.

    What is certain: regions and patterns are exact, and ranks are taken modulo two primes near 2^31, in which the
    weights, as fractions, and all derivatives have exact images. A rank modulo a prime never exceeds the rational
    rank, so that ``dimension`` is a certain lower bound; it is less than the truth only if both primes divide every
    largest minor, with a chance of about (number of parameters / 2^31)² for weights without regard to these primes.
    Where ``is_certain`` says so, an upper bound proves it.

    Args:
        layers: one network, or a population with any leading axes.
        domain: two inputs: any domain; else a :func:`jaxgeom.box` of a few dimensions, whose regions are enumerated.
        activation: what follows the hidden layers, if they do not say it: names or slopes of units of one kink.
        progress: show a progress bar; a string is its title.

    Raises:
        TypeError: for anything that is not a network or a domain.
        ValueError: for another dimension than the domain's, a single network that is not finite, activations that are
            written with more parameters ("hard_tanh", "maxout"), or too many regions in more than two dimensions.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((2, 8, 1), activation="relu").init(jax.random.key(0)))
        >>> found = jg.functional_dimension(network, jg.whole_plane())
        >>> int(found.dimension), int(found.num_params), bool(found.is_certain)
        (25, 33, True)
    """
    check_progress(progress)

    start = exact_domain(domain)

    def patterns(network: Layers) -> Bool[np.ndarray, "regions units"]:
        return enumerate_regions(network, domain).patterns

    return _of_population(
        layers,
        activation,
        progress,
        lambda networks: check_inputs(networks, start),
        lambda network: _blocks(network, patterns(network), None),
    )


def batch_functional_dimension(
    layers: Layers,
    points: Float[np.ndarray, "points in"],
    *,
    activation: Activation | None = None,
    progress: bool | str = False,
) -> FunctionalDimension:
    """Exact functional dimension at points: the rank of the parameters' Jacobian of the outputs there.

    At most :func:`functional_dimension`, which it reaches with enough points in all regions; the number to compare
    with for a data set. Arithmetic and certainty are the same. A unit that is zero at a point, exactly, counts as not
    active there.

    Args:
        layers: one network, or a population with any leading axes.
        points: (points, in).
        activation: what follows the hidden layers, if they do not say it: names or slopes of units of one kink.
        progress: show a progress bar; a string is its title.

    Raises:
        TypeError, ValueError: as :func:`functional_dimension`, and for points of another dimension, or not finite.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> points = np.array([[0.5, 0.5], [0.5, -0.5]])
        >>> int(jg.batch_functional_dimension(network, points).dimension)  # at most one for each point, here
        2
    """
    check_progress(progress)
    at = np.asarray(points_of(points, None))

    return _of_population(
        layers,
        activation,
        progress,
        lambda networks: points_of(at, networks[0].kernel.shape[-2]),
        lambda network: _blocks(network, _patterns_at(network, at), at),
    )


def _of_population(
    layers: Layers,
    activation: Activation | None,
    progress: bool | str,
    check: Callable[[Layers], Any],
    jacobian_of: Callable[[Layers], "_Jacobian"],
) -> FunctionalDimension:
    if is_rewriting(activation):
        raise ValueError(
            f"activation={activation!r} is written with more parameters than the network has. Give the layers that "
            "with_activation makes of it, if those parameters are meant."
        )
    layers = check_layers(with_activation(layers, activation))
    check(layers)
    leading = np.shape(layers[0].bias)[:-1]
    if not leading:
        check_finite(layers)
    num = int(np.prod(leading))
    flat = jax.tree.map(as_float64, with_one_axis(layers))
    num_params = sum(layer.kernel[0].size + layer.bias[0].size for layer in flat) if num else 0
    rows: list[tuple[Any, ...]] = []
    title = progress if isinstance(progress, str) else None
    for member in tqdm(range(num), unit="net", desc=title, disable=not progress):
        network = jax.tree.map(lambda array, member=member: array[member], flat)
        if all(np.isfinite(array).all() for array in jax.tree.leaves(network)):
            rows.append((*_ranks(network, jacobian_of(network)), num_params))
        else:
            rows.append((-1, -1, False, -1, np.nan, num_params))
    columns = zip(*rows, strict=True) if rows else [()] * 6
    dtypes = (np.int64, np.int64, bool, np.int64, np.float64, np.int64)
    return FunctionalDimension(
        *(np.array(column, dtype).reshape(leading) for column, dtype in zip(columns, dtypes, strict=True))
    )


class _Jacobian(NamedTuple):
    """Patterns of a network whose derivatives are asked for."""

    patterns: list[Bool[np.ndarray, "block units"]]
    """In blocks."""
    points: list[Float[np.ndarray, "block in"] | None]
    """With one point for each pattern, or none: then all coefficients of the affine map count."""


def _blocks(network: Layers, patterns: np.ndarray, points: np.ndarray | None) -> _Jacobian:
    """Patterns in an order that visits distant ones first, in blocks for which there is memory."""
    num_params = sum(layer.kernel.size + layer.bias.size for layer in network)
    rows = len(network[-1].bias) * (1 if points is not None else network[0].kernel.shape[0] + 1)
    size = max(1, _NUMBERS // (num_params * rows))
    num = -(-len(patterns) // size)
    members = [np.arange(start, len(patterns), num) for start in range(num)]
    return _Jacobian([patterns[m] for m in members], [None if points is None else points[m] for m in members])


def _ranks(network: Layers, jacobian: _Jacobian) -> tuple[int, int, bool, int, float]:
    null = _null_directions(network, jacobian)
    num_params = null.shape[1]
    upper = num_params - max(len(echelon(residues(null, prime), prime)) for prime in PRIMES)
    dimension = 0
    for prime in PRIMES:
        basis = np.zeros((0, num_params), np.int64)
        for rows in _derivatives(network, jacobian, prime):
            basis = echelon(np.concatenate([basis, rows]), prime)
            if len(basis) == upper:
                break
        dimension = max(dimension, len(basis))
        if dimension == upper:
            break
    triangle, num_rows = np.zeros((0, num_params)), 0
    with np.errstate(all="ignore"):
        for rows in _derivatives(network, jacobian, None):
            num_rows += len(rows)
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
        if not np.isfinite(triangle).all():
            return dimension, upper, dimension == upper, -1, np.nan
        values = np.linalg.svd(triangle, compute_uv=False)
    threshold = max(num_rows, num_params) * _EPS * values.max(initial=0)
    following = values[dimension] if dimension < len(values) else 0.0
    gap = np.inf if following == 0 else float(values[dimension - 1] / following) if dimension else np.nan
    return dimension, upper, dimension == upper, int((values > threshold).sum()), gap


def _derivatives(network: Layers, jacobian: _Jacobian, prime: int | None) -> Iterator[np.ndarray]:
    """Blocks of the Jacobian (rows, parameters), modulo a prime or, with None, in float64.

    The parameters are, layer by layer, the kernel and then the bias. With the affine map F to the inputs of a layer (a
    1 among them, for the bias), and the linear map B from its pre-activations to the outputs, the derivative with
    respect to the weight from i to j is the product of row i of F and column j of B.
    """

    def number(values: np.ndarray) -> np.ndarray:
        return values if prime is None else residues(np.ascontiguousarray(values), prime)

    def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a @ b if prime is None else product(a, b, prime)

    def reduced(values: np.ndarray) -> np.ndarray:
        return values if prime is None else values % prime

    weights = [number(np.concatenate([layer.kernel, layer.bias[None]])) for layer in network]
    slopes = [number(np.asarray(slope_of(layer), np.float64)) for layer in network[:-1]]
    starts = np.cumsum([0, *(len(layer.bias) for layer in network[:-1])])
    one = number(np.ones(1))[0]
    for patterns, points in zip(jacobian.patterns, jacobian.points, strict=True):
        num, dim = len(patterns), network[0].kernel.shape[0]
        factors = [
            np.where(patterns[:, start:stop], one, slope)
            for start, stop, slope in zip(starts, starts[1:], slopes, strict=False)
        ]
        if points is None:
            forward = np.broadcast_to(one * np.eye(dim + 1, dtype=weights[0].dtype), (num, dim + 1, dim + 1))
        else:
            forward = np.concatenate([number(points), np.full((num, 1), one)], axis=1)[:, :, None]
        last = forward[:, -1:]
        forwards = [forward]
        for matrix, factor in zip(weights, factors, strict=False):
            values = reduced(factor[:, :, None] * times(matrix.T[None], forwards[-1]))
            forwards.append(np.concatenate([values, last], axis=1))
        width = len(network[-1].bias)
        backward = np.broadcast_to(one * np.eye(width, dtype=weights[0].dtype), (num, width, width))
        backwards = [backward]
        for matrix, factor in zip(weights[:0:-1], factors[::-1], strict=True):
            backwards.append(reduced(times(backwards[-1], matrix[:-1].T[None]) * factor[:, None]))
        parts = [
            reduced(np.einsum("nic,noj->nocij", f, b)).reshape(num * width * f.shape[2], -1)
            for f, b in zip(forwards, backwards[::-1], strict=True)
        ]
        yield np.concatenate(parts, axis=1)


def _null_directions(network: Layers, jacobian: _Jacobian) -> Float[np.ndarray, "directions params"]:
    """Directions in parameter space that certainly do not change any affine map to first order: scaling a hidden unit
    against what follows it; adding one unit to another, or a constant, where both are linear wherever they are looked
    at; and parameters with units that are off, or not connected, before or behind them."""
    connected = tuple(
        layer._replace(kernel=(layer.kernel != 0) * 1.0, bias=(layer.bias != 0) * 1.0) for layer in network
    )
    connected = tuple(
        layer if layer.slope is None else layer._replace(slope=(np.asarray(layer.slope) != 0) * 1.0)
        for layer in connected
    )
    sizes = [layer.kernel.size + layer.bias.size for layer in network]
    starts = np.cumsum([0, *sizes])
    matters = np.zeros(starts[-1], bool)
    positions = _Jacobian(jacobian.patterns, [None if x is None else (x != 0) * 1.0 for x in jacobian.points])
    for derivatives in _derivatives(connected, positions, None):
        matters |= (derivatives > 0).any(axis=0)
    rows = [np.eye(starts[-1])[~matters]]
    is_active = np.logical_and.reduce([patterns.all(axis=0) for patterns in jacobian.patterns])
    first = 0
    for index, (layer, following) in enumerate(pairwise(network)):
        num_in, num_units = layer.kernel.shape
        incoming = np.concatenate([layer.kernel, layer.bias[None]])
        is_linear = is_active[first : first + num_units] | (np.asarray(slope_of(layer)) == 1)
        first += num_units
        pairs = [(unit, unit) for unit in range(num_units)]
        shifts = np.flatnonzero(is_linear).tolist()
        pairs += [(i, j) for i in shifts for j in shifts if i != j]
        moved = np.zeros((len(pairs) + len(shifts), starts[-1]))
        before = moved[:, starts[index] : starts[index + 1]].reshape(len(moved), num_in + 1, num_units)
        after = moved[:, starts[index + 1] : starts[index + 2]].reshape(len(moved), num_units + 1, -1)
        for row, (i, j) in enumerate(pairs):  # unit j takes up unit i, whose place among what follows makes up for it
            before[row, :, j], after[row, i] = incoming[:, i], -following.kernel[j]
        for row, j in enumerate(shifts, len(pairs)):
            before[row, -1, j], after[row, -1] = 1.0, -following.kernel[j]
        rows.append(moved)
    return np.concatenate(rows)


def _patterns_at(network: Layers, points: Float[np.ndarray, "points in"]) -> Bool[np.ndarray, "points units"]:
    """Which units are strictly positive at points, exactly."""
    value, error, parts = points, np.zeros_like(points), []
    is_open = np.zeros(len(points), bool)
    with np.errstate(all="ignore"):
        for layer in network[:-1]:
            kernel = np.abs(layer.kernel)
            terms = np.abs(value) @ kernel + np.abs(layer.bias)
            error = 1.01 * (error @ kernel + (len(kernel) + 2) * _EPS * terms) + 1e-300
            value = value @ layer.kernel + layer.bias
            is_open |= ~(np.abs(value) > error).all(axis=1)
            parts.append(value > 0)
            steep = np.where(value > 0, 1.0, np.asarray(slope_of(layer)))
            value = value * steep
            error = error * np.abs(steep) + _EPS * np.abs(value)
    patterns = np.concatenate([np.zeros((len(points), 0), bool), *parts], axis=1)
    for index in np.flatnonzero(is_open):
        patterns[index] = _exact_pattern(network, points[index])
    return patterns


def _exact_pattern(network: Layers, point: Float[np.ndarray, " in"]) -> list[bool]:
    """Which units are strictly positive at one point, in fractions."""
    inputs, pattern = [Fraction(x) for x in point.tolist()], []
    for layer in network[:-1]:
        columns, slopes = layer.kernel.T.tolist(), np.asarray(slope_of(layer)).tolist()
        following = []
        for column, bias, slope in zip(columns, layer.bias.tolist(), slopes, strict=True):
            z = sum((Fraction(w) * x for w, x in zip(column, inputs, strict=True) if w), Fraction(bias))
            pattern.append(z > 0)
            following.append(z if z > 0 else Fraction(slope) * z)
        inputs = following
    return pattern
