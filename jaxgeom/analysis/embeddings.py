"""Where a network puts points: principal axes, the hyperplanes of the first layer and the codes they give, thresholds
in one dimension, the piecewise constant function behind saturated units, and linear separability.

Everything is for one network and composes with ``jit`` and ``vmap``. Principal axes come from the singular value
decomposition of the centred points; separability from Gilbert's algorithm (1966) for the point of a convex hull that
is nearest to the origin, whose iterates bound the largest margin from both sides.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, Params
from jaxgeom.host.given import as_array
from jaxgeom.host.precision import full_precision
from jaxgeom.networks.layers import Dense, check_one_piece, named_layers
from jaxgeom.networks.models import activation_function

MOST_UNITS_OF_TABLE = 16
"""Hidden units whose codes all have a row in a table, of 65,536 rows at most."""

MAX_CODE_UNITS = 32
"""Units whose sides fit into one integer."""


@readable
class PrincipalAxes(NamedTuple):
    """Principal axes of a set of points."""

    mean: Float[Array, " dim"]
    """Centre of the points."""
    components: Float[Array, "axes dim"]
    """Directions of length 1, at right angles, largest variance first. The entry of largest size is positive."""
    explained_variance: Float[Array, " axes"]
    """Variance along each axis (of a sample: divided by points - 1)."""
    explained_ratio: Float[Array, " axes"]
    """The same as a fraction of the variance in all directions; nan if there is none."""


@readable
class Hyperplanes(NamedTuple):
    """Zero sets of the first layer's pre-activations: ``weight @ x + bias = 0``, one hyperplane a unit."""

    weight: Float[Array, "units dim"]
    """Normals, one row a unit: the columns of the first kernel."""
    bias: Float[Array, " units"]
    """Offsets, one a unit."""
    distance: Float[Array, " units"]
    """Distance from the origin, positive on the side that the weight points to: -bias/|weight|. Infinite where the
    weight is zero, nan where the bias is, too."""
    valid: Bool[Array, " units"]
    """Whether there is a hyperplane: the weight is not zero, as it is for units that are padding."""


@readable
class Codes(NamedTuple):
    """The side of every hyperplane on which each point lies."""

    bits: Bool[Array, "points units"]
    """Whether the pre-activation is positive."""
    number: UInt32[Array, " points"]
    """The same as an integer: unit u is bit u."""


@readable
class Separability(NamedTuple):
    """A hyperplane that separates two classes, or not, with what proves it."""

    is_separated: Bool[Array, ""]
    """Whether ``weight @ x + bias`` is positive at all points of class 1 and negative at all of class 0. False says
    that no such hyperplane was found, and ``margin_bound`` how narrow a margin any could have."""
    weight: Float[Array, " dim"]
    """Normal of the best hyperplane found, in the coordinates of the points as given."""
    bias: Float[Array, ""]
    """Its offset."""
    margin: Float[Array, ""]
    """The smallest value on the right side; negative without separation. In the units of ``margin_bound``."""
    margin_bound: Float[Array, ""]
    """No hyperplane has a larger margin, with points scaled to lie within the unit ball, and weight and bias together
    of length 1."""


@full_precision()
def pca(x: Float[Array | np.ndarray, "points dim"], num_components: int = 2) -> PrincipalAxes:
    """Principal axes of points: the directions in which they vary most.

    To draw a movie, take the axes of all frames together, and :func:`pca_coordinates` for each.

    Args:
        x: points.
        num_components: how many axes.

    Raises:
        ValueError: for fewer than one axis, or more than there are coordinates or points.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> axes = jg.pca(np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 0.0], [6.0, 6.0, 0.0]]), 1)
        >>> axes.components.shape, float(axes.explained_ratio[0].round(3))  # on one line
        ((1, 3), 1.0)
    """
    x = _floats(x)
    if x.ndim != MATRIX:
        raise ValueError(f"points must have shape (points, dim), but {x.shape} was given.")
    if not 1 <= num_components <= min(x.shape):
        raise ValueError(
            f"num_components must lie between 1 and {min(x.shape)}, the smaller of the numbers of points and "
            f"coordinates {x.shape}, but {num_components} was given."
        )
    mean = jnp.mean(x, axis=0)
    _, sizes, axes = jnp.linalg.svd(x - mean, full_matrices=False)
    largest = jnp.take_along_axis(axes, jnp.argmax(jnp.abs(axes), axis=1)[:, None], axis=1)
    axes = axes * jnp.where(largest < 0, -1, 1)
    variance = sizes**2 / max(x.shape[0] - 1, 1)
    kept = slice(None, num_components)
    return PrincipalAxes(mean, axes[kept], variance[kept], (variance / jnp.sum(variance))[kept])


@full_precision()
def pca_coordinates(
    axes: PrincipalAxes, x: Float[Array | np.ndarray, "*frames points dim"]
) -> Float[Array, "*frames points _"]:
    """Coordinates of points along principal axes; any number of frames with the same axes.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> points = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
        >>> abs(jg.pca_coordinates(jg.pca(points, 1), points)).round(4).tolist()
        [[2.0], [0.0], [2.0]]
    """
    return (_floats(x) - axes.mean) @ axes.components.T


def hyperplanes(params: Params) -> Hyperplanes:
    """The hyperplanes of the first layer's units.

    Args:
        params: parameters of one :func:`jaxgeom.mlp` with any activations but maxout, or ``Layers``.

    Raises:
        ValueError: for maxout units, which have two pieces.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> planes = jg.hyperplanes(network)
        >>> planes.weight.tolist(), planes.bias.tolist()
        ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])
    """
    first = _first_layer(params, "hyperplanes")
    weight, bias = jnp.asarray(first.kernel).T, jnp.asarray(first.bias)
    length = jnp.linalg.norm(weight, axis=1)
    return Hyperplanes(weight, bias, _quotient(-bias, length), length > 0)


@full_precision()
def signed_distances(planes: Hyperplanes, x: Float[Array | np.ndarray, "points dim"]) -> Float[Array, "points units"]:
    """Distances of points from hyperplanes, positive where the unit's pre-activation is, (points, units).

    Infinite or nan where there is no hyperplane, as in ``planes.distance``.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.array([[3.0], [4.0]]), np.array([5.0])), jg.Dense(np.ones((1, 1)), np.zeros(1))
        >>> jg.signed_distances(jg.hyperplanes(network), np.array([[0.0, 0.0]])).tolist()
        [[1.0]]
    """
    value = _floats(x) @ planes.weight.T + planes.bias
    return _quotient(value, jnp.linalg.norm(planes.weight, axis=1))


@full_precision()
def codes(planes: Hyperplanes, x: Float[Array | np.ndarray, "points dim"]) -> Codes:
    """The codes of points: on which side of every hyperplane they lie, as bits and as one integer.

    A point on a hyperplane, and every point for a unit without one and with a bias of zero, is on the negative side.

    Raises:
        ValueError: for more than 32 units, whose sides are no longer one integer.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> sides = jg.codes(jg.hyperplanes(network), np.array([[0.5, -0.5], [0.5, 0.5]]))
        >>> sides.bits.tolist(), sides.number.tolist()
        ([[True, False], [True, True]], [1, 3])
    """
    num_units = planes.bias.shape[0]
    if num_units > MAX_CODE_UNITS:
        raise ValueError(
            f"codes of at most {MAX_CODE_UNITS} units fit into an integer, but there are {num_units}. Use "
            "signed_distances(planes, x) > 0 for the bits, or jaxgeom.activation_words."
        )
    bits = _floats(x) @ planes.weight.T + planes.bias > 0
    return Codes(bits, code_numbers(bits))


def code_numbers(bits: Bool[Array | np.ndarray, "points units"]) -> UInt32[Array, " points"]:
    """Codes of at most 32 units as integers: unit n is bit n."""
    powers = np.uint32(1) << np.arange(bits.shape[1], dtype=np.uint32)
    return jnp.sum(jnp.where(bits, powers, np.uint32(0)), axis=1, dtype=jnp.uint32)


def code_counts(
    number: UInt32[Array, " points"], labels: Int[Array | np.ndarray, " points"], num_units: int, num_classes: int
) -> Int[Array, "codes classes"]:
    """Numbers of points of each class with each of the ``2**num_units`` codes, (codes, classes).

    Raises:
        ValueError: for more than 16 units: list the codes that occur instead, by ``numpy.unique``.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> x, y = jg.parity(2)
        >>> sides = jg.codes(jg.hyperplanes(network), x)
        >>> jg.code_counts(sides.number, (y[:, 0] > 0).astype(int), num_units=2, num_classes=2).tolist()
        [[1, 0], [0, 1], [0, 1], [1, 0]]
    """
    if not 0 <= num_units <= MOST_UNITS_OF_TABLE:
        raise ValueError(
            f"a table of all codes is for 0 to 16 units, but {num_units} were given; numpy.unique(number) lists the "
            "codes that occur."
        )
    counts = jnp.zeros((2**num_units, num_classes), jnp.int32)
    return counts.at[number, labels].add(1)


def thresholds(params: Params) -> Float[Array, " units"]:
    """Thresholds of the first layer's units, -bias/weight, for networks with one input.

    A unit with weight zero never switches: its threshold is infinite (positive, whatever the bias), and nan if its
    bias is zero, too, as it is for units that are padding.

    Raises:
        ValueError: if the network has several inputs, or maxout units, which have two pieces.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.array([[2.0, -1.0]]), np.array([-1.0, 3.0])), jg.Dense(np.ones((2, 1)), np.zeros(1))
        >>> jg.thresholds(network).tolist()
        [0.5, 3.0]
    """
    first = _first_layer(params, "thresholds")
    if first.kernel.shape[-2] != 1:
        raise ValueError(
            f"thresholds belong to networks with one input, but this one has {first.kernel.shape[-2]}; see hyperplanes."
        )
    weight, bias = jnp.asarray(first.kernel)[0], jnp.asarray(first.bias)
    return jnp.where((weight == 0) & (bias != 0), jnp.inf, _quotient(-bias, weight))


@full_precision()
def step_output(params: Params, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
    """Outputs of an MLP whose hidden units can only be off or on: a piecewise constant function.

    Every hidden activation is replaced by its side: 1 where the pre-activation is positive, else 0; and ±1 for tanh.
    These are the values that sigmoid and tanh saturate at. The last layer stays as it is.

    Args:
        params: parameters of one :func:`jaxgeom.mlp`.
        x: points.

    Raises:
        ValueError: for hidden maxout units, which have no side.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> jg.step_output(network, np.array([[0.1, 9.0], [-1.0, 5.0], [-1.0, -1.0]]))[:, 0].tolist()
        [1.0, 0.0, -1.0]
    """
    x = _floats(x)
    *hidden, (_, activation, last) = named_layers(params)
    for _, name, layer in hidden:
        check_one_piece(name, "step_output")
        is_on = x @ layer.kernel + layer.bias > 0
        x = jnp.where(is_on, 1, -1 if name == "tanh" else 0).astype(jnp.result_type(layer.kernel))
    return activation_function(activation)(x @ last.kernel + last.bias)


@full_precision()
def linear_separability(
    x: Float[Array | np.ndarray, "points dim"], labels: Int[Array | np.ndarray, " points"], *, num_steps: int = 2000
) -> Separability:
    """A hyperplane that separates two classes, or a bound on the margin that any could have.

    What is found is checked at every point; what is not found comes with a bound on the margin that any hyperplane
    could have. Margins much below 1/√num_steps of the points' size may stay undecided.

    Args:
        x: points.
        labels: 0 and 1.
        num_steps: at most so many steps, each a pass over all points.

    Raises:
        TypeError: for anything that is not numbers.
        ValueError: for shapes that do not fit, or labels other than 0 and 1.

    Example:
        >>> import jaxgeom as jg
        >>> x, y = jg.parity(2)
        >>> found = jg.linear_separability(x, (y[:, 0] > 0).astype(int))  # XOR
        >>> bool(found.is_separated)
        False
    """
    x, labels = _floats(x), labels if isinstance(labels, jax.Array) else np.asarray(labels)
    if x.ndim != MATRIX or np.shape(labels) != x.shape[:1]:
        raise ValueError(
            f"points of shape (points, dim) and a label for each are needed, but shapes {x.shape} and "
            f"{np.shape(labels)} were given."
        )
    if not isinstance(labels, jax.core.Tracer) and not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 and 1. Of several classes, compare one with the others: labels == 2.")
    size = jnp.maximum(jnp.max(jnp.linalg.norm(x, axis=1)), jnp.finfo(x.dtype).tiny)
    sign = jnp.where(jnp.asarray(labels) > 0, 1, -1).astype(x.dtype)
    # A hyperplane separates the classes if and only if all of these lie on one side of a plane through the origin.
    signed = sign[:, None] * jnp.concatenate([x / size, jnp.ones_like(x[:, :1])], axis=1)

    def goes_on(state: tuple[Array, Array]) -> Array:
        step, inner = state
        return (step < num_steps) & (jnp.min(signed @ inner) <= 0)

    def nearer(state: tuple[Array, Array]) -> tuple[Array, Array]:
        step, inner = state
        farthest = signed[jnp.argmin(signed @ inner)]
        way = farthest - inner
        share = jnp.clip(-jnp.dot(inner, way) / jnp.maximum(jnp.dot(way, way), jnp.finfo(x.dtype).tiny), 0, 1)
        return step + 1, inner + share * way

    _, inner = lax.while_loop(goes_on, nearer, (jnp.int32(0), jnp.mean(signed, axis=0)))
    length = jnp.linalg.norm(inner)
    unit = inner / jnp.where(length > 0, length, 1)
    margin = jnp.min(signed @ unit)
    # the classes as they are, not as they were scaled, decide
    weight, bias = unit[:-1] / size, unit[-1]
    value = sign * (jnp.sum(x * weight, axis=1) + bias)
    return Separability(jnp.all(value > 0), weight, bias, margin, length)


def _first_layer(params: Params, what: str) -> Dense:
    _, activation, first = named_layers(params)[0]
    check_one_piece(activation, what)
    return first


def _floats(x: Array | np.ndarray, what: str = "points") -> Array:
    """Points as floating-point numbers on the device."""
    x = jnp.asarray(as_array(x, what))
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def _quotient(above: Array, below: Array) -> Array:
    """Quotients by numbers that may be zero: infinite there, or nan for 0/0, without a warning."""
    return jax.lax.div(*jnp.broadcast_arrays(above, below))
