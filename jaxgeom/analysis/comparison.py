"""Two networks compared by their affine maps: is one an affine image of the other?

At every point a piecewise linear network has a gradient and an intercept. The triples (in two dimensions, with one
output) of network 1 are sent to those of network 2 by least squares, with an affine map that is the same for all
points; R² says how well that works.

The fit is that of centred triples by QR and the singular values of the small factor; nothing is squared. A
network with few regions has triples of deficient rank: of three regions they lie in a plane. Then many maps fit
equally well, and the one with the smallest kernel (Frobenius norm) is given.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.host.contract import times
from jaxgeom.host.given import as_float64, points_of
from jaxgeom.networks.affine import activation_words, affine_maps_of_patterns
from jaxgeom.networks.layers import Layers, check_finite, check_layers

_NEGLIGIBLE = 1e-12
"""Singular values below this part of the largest column's norm are rounding, and so are errors of values."""


@readable
class AffineFit(NamedTuple):
    """A least-squares affine map, ``x @ kernel + intercept``, in float64."""

    kernel: Float[Array, "features targets"]
    """Weights, one column a target."""
    intercept: Float[Array, " targets"]
    """One offset a target."""
    rank: Int[Array, ""]
    """Dimension that the centred features span; below the number of features, the kernel is the smallest of many."""


@readable
class Comparison(NamedTuple):
    """How well the affine maps of one network are an affine image of those of another."""

    fit: AffineFit
    """The map from triples of the first network to those of the second."""
    r_squared: Float[Array, ""]
    """R² of that map, over all points."""


def affine_triples(layers: Layers, points: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points numbers"]:
    """Gradient and intercept of one network at each point, side by side: (∂f/∂x, ∂f/∂y, c) for a network 2-…-1.

    Of several outputs, the gradients come first and then the intercepts. Works under ``jit`` and ``vmap``.

    Args:
        layers: one network, as :func:`jaxgeom.layers_of` gives it.
        points: where.

    Returns:
        Float64, whatever the x64 setting.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> jg.affine_triples(network, [[0.5, 0.5], [-0.5, 0.5]]).tolist()  # ∂f/∂x, ∂f/∂y, c
        [[1.0, 1.0, -1.0], [0.0, 1.0, -1.0]]
    """
    with jax.enable_x64(True):
        points = jnp.asarray(points_of(points))
        layers = check_layers(layers, dim=points.shape[1])
        if np.ndim(layers[0].bias) != 1:
            raise ValueError(
                f"one network is needed, but the layers have leading axes {np.shape(layers[0].bias)[:-1]}. Use "
                "jax.vmap."
            )
        check_finite(layers)
        layers = jax.tree.map(_float64, layers)
        maps = affine_maps_of_patterns(layers, activation_words(layers, points))
        return jnp.concatenate([maps.gradient.reshape(np.shape(points)[0], -1), maps.intercept], axis=1)


def fit_affine(
    x: Float[Array | np.ndarray, "points features"],
    y: Float[Array | np.ndarray, "points targets"],
    *,
    decimals: int | None = None,
) -> AffineFit:
    """The affine map from rows of ``x`` to rows of ``y`` by least squares; of several, that with the smallest kernel.

    Works under ``jit`` and ``vmap``.

    Args:
        x: rows to be mapped.
        y: as many rows, their images.
        decimals: both are rounded to so many decimals before the fit; None for no rounding. The notebook that compares
            networks so rounds to 5, which hides the noise of float32. But it also moves rows of deficient rank apart:
            a network whose units do not meet has maps a, b, c and b + c - a, and after rounding a fourth direction of
            size 1e-5, which the fit then follows. For rows as they are, :func:`r_squared` may then even be negative;
            without rounding it is at least 0 on the rows of the fit.

    Raises:
        ValueError: if there are no rows, or not as many of both.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
        >>> fit = jg.fit_affine(x, x @ [[3.0], [-1.0]] + 5)
        >>> fit.kernel.round(6).tolist(), fit.intercept.round(6).tolist(), int(fit.rank)
        ([[3.0], [-1.0]], [5.0], 2)
    """
    if np.shape(x)[0] != np.shape(y)[0] or np.shape(x)[0] == 0:
        raise ValueError(
            f"a fit needs as many rows of x as of y, and at least one, but {np.shape(x)} and {np.shape(y)} were given."
        )
    with jax.enable_x64(True):
        x, y = _float64(x), _float64(y)
        if decimals is not None:
            x, y = jnp.round(x, decimals), jnp.round(y, decimals)
        x_mean, y_mean = jnp.mean(x, axis=0), jnp.mean(y, axis=0)
        orthogonal, triangular = _qr(x - x_mean, _NEGLIGIBLE * jnp.linalg.norm(x, axis=0).max())
        left, singular, right = jnp.linalg.svd(triangular, full_matrices=False)
        is_kept = singular > _NEGLIGIBLE * jnp.linalg.norm(x, axis=0).max()
        inverse = jnp.where(is_kept, 1 / jnp.where(is_kept, singular, 1), 0)
        kernel = times(right.T, inverse[:, None] * times(left.T, times(orthogonal.T, y - y_mean)))
        return AffineFit(kernel, y_mean - times(x_mean, kernel), jnp.sum(is_kept, dtype=jnp.int32))


def _float64(array: Array | np.ndarray) -> Array:
    return jnp.asarray(as_float64(array))


def _qr(x: Float[Array, "points features"], least: Array) -> tuple[Array, Array]:
    """``x = orthogonal @ triangular`` by Gram and Schmidt, every column done twice, which is as good as Householder's.
    Columns of which less than ``least`` is left become zero.

    XLA's own QR on CPUs can wait forever when several batches of it run side by side.
    """
    orthogonal = jnp.zeros((x.shape[0], 0), x.dtype)
    columns = []
    for place in range(x.shape[1]):
        left, shares = x[:, place], jnp.zeros(place, x.dtype)
        for _ in range(2):
            share = times(orthogonal.T, left)
            left, shares = left - times(orthogonal, share), shares + share
        size = jnp.linalg.norm(left)
        is_kept = size > least
        unit = jnp.where(is_kept, left / jnp.where(is_kept, size, 1), 0)
        columns.append(jnp.concatenate([shares, jnp.where(is_kept, size, 0)[None], jnp.zeros(x.shape[1] - place - 1)]))
        orthogonal = jnp.concatenate([orthogonal, unit[:, None]], axis=1)
    return orthogonal, jnp.stack(columns, axis=1)


def predict_affine(fit: AffineFit, x: Float[Array | np.ndarray, "points features"]) -> Float[Array, "points targets"]:
    """The images of rows of ``x`` under a fitted map.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
        >>> jg.predict_affine(jg.fit_affine(x, x @ [[3.0], [-1.0]] + 5), x).round(6).ravel().tolist()
        [5.0, 8.0, 4.0, 9.0]
    """
    with jax.enable_x64(True):
        return times(_float64(x), fit.kernel) + fit.intercept


def r_squared(
    y: Float[Array | np.ndarray, "points targets"], predicted: Float[Array | np.ndarray, "points targets"]
) -> Float[Array, ""]:
    """The coefficient of determination, averaged over the targets: 1 is perfect, 0 is no better than their means.

    A target that is constant over the points (to rounding) has no variance to explain: it counts as 1 where the
    prediction meets it to rounding, and as 0 elsewhere.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> y = np.array([[0.0], [1.0], [1.0], [2.0]])
        >>> float(jg.r_squared(y, y)), float(jg.r_squared(y, np.ones((4, 1))))
        (1.0, 0.0)
    """
    with jax.enable_x64(True):
        y, predicted = _float64(y), _float64(predicted)
        least = y.shape[0] * (_NEGLIGIBLE * jnp.maximum(jnp.abs(y), jnp.abs(predicted)).max(axis=0)) ** 2
        left = jnp.sum((y - predicted) ** 2, axis=0)
        total = jnp.sum((y - jnp.mean(y, axis=0)) ** 2, axis=0)
        varies = total > least
        score = jnp.where(varies, 1 - left / jnp.where(varies, total, 1), left <= least)
        return jnp.mean(score)


def compare_networks(
    first: Layers,
    second: Layers,
    points: Float[Array | np.ndarray, "points in"],
    *,
    fit_points: Float[Array | np.ndarray, "fitted in"] | None = None,
    decimals: int | None = None,
) -> Comparison:
    """The affine maps of one network fitted to those of another, and how well they fit.

    Works under ``jit`` and ``vmap``: ``jax.vmap(jaxgeom.compare_networks, in_axes=(0, 0, None))`` takes many pairs.

    Args:
        first: one network.
        second: another one with the same inputs, of any widths and depths.
        points: where R² is taken, for instance a grid.
        fit_points: where the map is fitted, for instance at the data only; default is ``points``. R² can then be
            negative.
        decimals: round maps to so many decimals before the fit; see :func:`fit_affine`.

    Example:
        >>> import jax, numpy as np, jaxgeom as jg
        >>> hidden = jg.Dense(np.eye(2), np.zeros(2))
        >>> first = hidden, jg.Dense(np.ones((2, 1)), np.ones(1))
        >>> second = hidden, jg.Dense(np.full((2, 1), -3.0), np.ones(1))
        >>> points = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> round(float(jax.jit(jg.compare_networks)(first, second, points).r_squared), 6)
        1.0
    """
    x, y = affine_triples(first, points), affine_triples(second, points)
    if fit_points is None:
        fit = fit_affine(x, y, decimals=decimals)
    else:
        fit = fit_affine(affine_triples(first, fit_points), affine_triples(second, fit_points), decimals=decimals)
    return Comparison(fit, r_squared(y, predict_affine(fit, x)))
