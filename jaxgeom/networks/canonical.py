"""Canonical form of networks: one representative of all that permutations and scales of hidden units make of them.

Hidden units may change places, and the weights into a unit that is positively homogeneous (ReLU, leaky ReLU, absolute
value) may be multiplied by any positive number, if those out of it are divided by it: the function stays. So do not
the weights, and whatever is learned from them has to learn that first, unless they are brought to one form.
"""

from collections.abc import Mapping
from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgeom._typing import Params
from jaxgeom.networks.layers import named_layers, slope_in_name

_HOMOGENEOUS = ("relu", "leaky_relu", "abs", "linear")


def canonical_form(params: Params) -> Params:
    """The network with unit weights into each homogeneous hidden unit, and hidden units in ascending order.

    Layer after layer, the weights and the bias of each unit that multiplies by its slope (ReLU, leaky ReLU, absolute
    value) are divided by their Euclidean norm, which the outgoing weights take over; then units are sorted by their
    bias, and by their incoming weights where biases are equal. Units of other activations are sorted only. Units
    without incoming weights keep them, and stand last.

    Two networks that differ by a permutation of hidden units get the same bits, and so do two that differ by powers of
    two as scales; others agree to rounding. The function computed stays the same to rounding.

    Args:
        params: parameters of networks made by :func:`jaxgeom.mlp`, with any leading axes.

    Returns:
        Parameters of the same shapes, JAX arrays.

    Raises:
        TypeError: for layers without names.
        ValueError: for parameters of other networks, and maxout units.

    Example:
        >>> import jax, jaxgeom as jg
        >>> params = jg.mlp((2, 3, 1)).init(jax.random.key(0))
        >>> swapped = jax.tree.map(lambda array: array, params)
        >>> swapped["dense0_relu"] = {name: 2 * array[..., ::-1] for name, array in params["dense0_relu"].items()}
        >>> swapped["dense1_linear"]["kernel"] = params["dense1_linear"]["kernel"][::-1] / 2
        >>> one, other = jg.canonical_form(params), jg.canonical_form(swapped)
        >>> all(bool((a == b).all()) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)))
        True
    """
    if not isinstance(params, Mapping):
        raise TypeError(
            f"canonical_form takes the parameters of a jaxgeom.mlp, by the names of its layers, but "
            f"{type(params).__name__} was given. Layers without names do not say what follows the last of them."
        )
    layers = named_layers(params)
    found = {name: dict(params[name]) for name, _, _ in layers}
    for (name, activation, _), (following, _, _) in pairwise(layers):
        if activation == "maxout":
            raise ValueError("maxout units have no canonical form here; write them as ReLU units first (layers_of).")
        kernel, bias = jnp.asarray(found[name]["kernel"]), found[name].get("bias")
        bias = jnp.zeros_like(kernel[..., 0, :]) if bias is None else jnp.asarray(bias)
        outgoing = jnp.asarray(found[following]["kernel"])
        power = _power_of_two(kernel, bias)
        norm = _norm(kernel / power[..., None, :], bias / power)
        if activation in _HOMOGENEOUS or slope_in_name(activation) is not None:
            for scale in (power, jnp.where(norm > 0, norm, 1)):
                kernel, bias, outgoing = kernel / scale[..., None, :], bias / scale, outgoing * scale[..., :, None]
        columns = jnp.moveaxis(kernel, -2, 0)[::-1]
        order = jnp.lexsort((*columns, bias, norm == 0), axis=-1)
        found[name]["kernel"] = jnp.take_along_axis(kernel, order[..., None, :], axis=-1)
        if "bias" in found[name]:
            found[name]["bias"] = jnp.take_along_axis(bias, order, axis=-1)
        found[following]["kernel"] = jnp.take_along_axis(outgoing, order[..., :, None], axis=-2)
    return {name: {kind: jnp.asarray(array) for kind, array in parts.items()} for name, parts in found.items()}


def _power_of_two(
    kernel: Float[Array, "*networks in out"], bias: Float[Array, "*networks out"]
) -> Float[Array, "*networks out"]:
    """The largest power of two up to the largest weight into each unit; division by it is exact, and squares of what
    it gives neither overflow nor vanish."""
    largest = jnp.maximum(jnp.abs(kernel).max(axis=-2, initial=0), jnp.abs(bias))
    _, exponent = jnp.frexp(largest)
    return jnp.where(largest > 0, jnp.ldexp(jnp.ones_like(largest), exponent - 1), 1)


def _norm(
    kernel: Float[Array, "*networks in out"], bias: Float[Array, "*networks out"]
) -> Float[Array, "*networks out"]:
    """Norms of the weights into each unit, added one by one, so that they do not depend on how XLA would add them."""
    squares, _ = jax.lax.scan(lambda total, row: (total + row**2, None), bias**2, jnp.moveaxis(kernel, -2, 0))
    return jnp.sqrt(squares)
