"""Local affine maps: gradient and intercept of a network at each point, and activation patterns.

Around a point x a piecewise linear network equals g·y + c, with gradient g (out, in) and intercept c (out,).
For layers both follow from the activation pattern of x; for any other function they come from a batched
Jacobian. Patterns are packed into 32-bit words: unit u of a hidden layer is bit u mod 32 of the layer's word
u // 32, and every hidden layer starts a new word. A unit is active iff its pre-activation is strictly positive; a
unit of slope 1, which has no kink, never is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped, UInt32

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX
from jaxgeom.host.contract import contracted, times
from jaxgeom.host.given import check_one_array
from jaxgeom.networks.layers import Dense, Layers, activated, check_layers, slope_of

FEW_INPUTS = 4
"""So many inputs or fewer are summed up one after the other: batches of such products are slow on CPUs."""

WORD_BITS = 32
_SHIFTS = np.arange(WORD_BITS, dtype=np.uint32)


@readable
class AffineMaps(NamedTuple):
    """The affine map of a network at each of many points: ``gradient @ x + intercept``."""

    gradient: Float[Array, "points out in"]
    """Derivatives of the outputs at each point."""
    intercept: Float[Array, "points out"]
    """What the affine map adds, ``output - gradient @ x``."""


def num_words(widths: Sequence[int]) -> int:
    """How many 32-bit words hold one activation pattern of hidden layers with these widths."""
    return sum(_words_of_layer(width) for width in widths)


def activation_words(layers: Layers, points: Float[Array, "points in"]) -> UInt32[Array, "words points"]:
    """Packed activation patterns of all hidden units at each point.

    The points are the last axis throughout: compilers then run along them with vector instructions. Layers are
    padded to whole words with zero units, which are never active.

    Raises:
        TypeError: for anything but layers and one array, such as a box.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> words = jg.activation_words(network, np.array([[0.5, 0.5], [-0.5, 0.5]]))
        >>> words.shape, jg.unpack_patterns(words, [2])[0][:, 1].tolist()
        ((1, 2), [False, True])
    """
    words = []
    layers = check_layers(layers)
    check_one_array(points, "points")
    h = jnp.asarray(points).T
    for layer in layers[:-1]:
        kernel, bias, _ = _padded_to_words(layer)
        z = _product(kernel, h) + bias[:, None]
        width = layer.bias.shape[0]
        shape = (_words_of_layer(width), min(width, WORD_BITS), z.shape[1])
        is_active = z > 0 if layer.slope is None else (z > 0) & _padded(layer.slope != 1, len(z))[:, None]
        bits = is_active.astype(jnp.uint32).reshape(shape)
        words.append(jnp.sum(bits << _SHIFTS[: shape[1], None], axis=1, dtype=jnp.uint32))
        h = jnp.maximum(z[:width], 0) if layer.slope is None else activated(z[:width].T, layer.slope).T
    return jnp.concatenate(words) if words else jnp.zeros((0, points.shape[0]), jnp.uint32)


def unpack_patterns(words: UInt32[Array, "words points"], widths: Sequence[int]) -> list[Bool[Array, "width points"]]:
    """Activation patterns unpacked from words: for each hidden layer, which units are active where.

    Args:
        words: as :func:`activation_words` gives them.
        widths: width of each hidden layer.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> words = jg.activation_words(network, np.array([[0.5, 0.5], [-0.5, 0.5], [-1.0, -1.0]]))
        >>> [pattern.sum(axis=0).tolist() for pattern in jg.unpack_patterns(words, [2])]  # active units at each point
        [[2, 1, 0]]
    """
    patterns, start = [], 0
    for width in widths:
        stop = start + _words_of_layer(width)
        bits = (words[start:stop, None, :] >> _SHIFTS[:, None]) & jnp.uint32(1)
        patterns.append(bits.reshape(-1, words.shape[-1])[:width].astype(bool))
        start = stop
    return patterns


def affine_maps_of_patterns(layers: Layers, words: UInt32[Array, "words cells"]) -> AffineMaps:
    """The affine map that belongs to each activation pattern.

    Args:
        layers: one network.
        words: packed patterns, as :func:`activation_words` gives them.

    Returns:
        Gradients (cells, out, in) and intercepts (cells, out) in the dtype of the weights.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> maps = jg.affine_maps_of_patterns(network, jg.activation_words(network, np.array([[0.5, -0.5]])))
        >>> maps.gradient.tolist(), maps.intercept.tolist()
        ([[[1.0, 0.0]]], [[-1.0]])
    """
    cells = words.shape[-1]
    layers = check_layers(layers)
    patterns = unpack_patterns(words, [layer.bias.shape[-1] for layer in layers[:-1]])
    # Rows 0 … in-1 of what is carried hold the gradient of the current layer's units, row `in` their intercepts.
    carried = jnp.concatenate([layers[0].kernel, layers[0].bias[None]])
    rows = carried.shape[0]
    for index, (is_active, layer) in enumerate(zip(patterns, layers[1:], strict=True)):
        if layers[index].slope is None:
            pattern = is_active.astype(carried.dtype)
        else:
            pattern = jnp.where(is_active, 1, slope_of(layers[index])[:, None]).astype(carried.dtype)
        if index == 0:
            # All cells share the first layer, so that mask times weights is one matrix product.
            weights = carried[:, :, None] * layer.kernel
            outputs = layer.kernel.shape[1]
            weights = jnp.moveaxis(weights, 1, 2).reshape(rows * outputs, weights.shape[1])
            carried = times(weights, pattern).reshape(rows, outputs, cells)
        else:
            carried = jnp.swapaxes(contracted(carried * pattern, layer.kernel, 1, 0), 1, 2)
        carried = carried.at[-1].add(layer.bias[:, None])
    if carried.ndim == MATRIX:  # no hidden layer
        carried = jnp.broadcast_to(carried[:, :, None], (*carried.shape, cells))
    gradient, intercept = carried[:-1], carried[-1]
    return AffineMaps(jnp.transpose(gradient, (2, 1, 0)), intercept.T)


def affine_maps(apply: Callable[[Array], Array], points: Float[Array, "points in"]) -> AffineMaps:
    """The affine map of any differentiable function at each point, by batched Jacobians.

    Args:
        apply: maps a batch (points, in) to (points, out), each row on its own.
        points: where to linearise.

    Returns:
        Gradient of each output, and intercept ``f(x) - gradient @ x``. Kinks follow JAX's rules: the gradient
        of ReLU at zero is zero.

    Example:
        >>> import jax, jax.numpy as jnp, jaxgeom as jg
        >>> maps = jg.affine_maps(lambda x: jax.nn.relu(x).sum(axis=1, keepdims=True), jnp.array([[2.0, -3.0]]))
        >>> maps.gradient.tolist(), maps.intercept.tolist()
        ([[[1.0, 0.0]]], [[0.0]])
    """

    def single(x: Float[Array, " in"]) -> tuple[Float[Array, " out"], Float[Array, " out"]]:
        y = apply(x[None])[0]
        return y, y

    num_outputs = jax.eval_shape(apply, points).shape[-1]
    jacobian = jax.jacrev if num_outputs <= points.shape[-1] else jax.jacfwd
    gradient, value = jax.vmap(jacobian(single, has_aux=True))(points)
    return AffineMaps(gradient, value - contracted(gradient, points, 2, 1, by_row=True))


def _words_of_layer(width: int) -> int:
    return -(-width // WORD_BITS)


def _padded_to_words(layer: Dense) -> Dense:
    """The layer with zero units added to fill its last word, unless that is its only one."""
    width = layer.bias.shape[0]
    num = _words_of_layer(width) * WORD_BITS if width > WORD_BITS else width
    return Dense(jnp.pad(layer.kernel, ((0, 0), (0, num - width))), _padded(layer.bias, num))


def _padded(row: Shaped[Array | np.ndarray, " width"], num: int) -> Shaped[Array, " padded"]:
    return jnp.pad(row, (0, num - row.shape[0]))


def _product(kernel: Float[Array | np.ndarray, "in out"], h: Float[Array, "in points"]) -> Float[Array, "out points"]:
    """``kernel.T @ h``; with few inputs as multiply-adds, since batched products that short are slow."""
    if kernel.shape[0] > FEW_INPUTS or kernel.shape[0] == 0:
        return times(kernel.T, h)
    terms = [kernel[d][:, None] * h[d] for d in range(kernel.shape[0])]
    return sum(terms[1:], terms[0])
