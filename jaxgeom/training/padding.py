"""Which optimizers may train networks that are padded with zero units.

Padding is invisible if the optimizer treats every parameter by itself, and leaves a parameter at zero whose gradient
has always been zero. The first is read off the operations that its update consists of; the second is tried out.
"""

import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom._typing import Params, PyTree
from jaxgeom.training.optimizers import Hoisted

_CALL = re.compile("closed_call|cond|custom_jvp_call|custom_vjp_call|jit|pjit")
_ELEMENTWISE = re.compile(
    "abs|add|add_any|and|clamp|convert_element_type|copy|cos|div|eq|erf|exp|exp2|expm1|floor|ge|gt|integer_pow|"
    "is_finite|le|log|log1p|logistic|lt|max|min|mul|ne|neg|not|or|pow|rem|round|rsqrt|select_n|sign|sin|sqrt|square|"
    "stop_gradient|sub|tanh|xor"
)
"""Operations on single numbers, by name."""
_NUM_STEPS = 3


def check_mask(mask: Any, params: Params) -> None:
    """Raise unless a mask says of every parameter whether it is real.

    Args:
        mask: what :class:`jaxgeom.Model` has as its mask.
        params: parameters of the model, of which only structure and shapes matter.

    Raises:
        ValueError: for another structure or other shapes than those of the parameters.
        TypeError: for arrays that are not bool: numbers could mean weights.
    """
    own: Any = jax.tree.structure(mask)
    wanted: Any = jax.tree.structure(params)
    if own != wanted:
        raise ValueError(f"the mask of a model must have the structure of its parameters, {wanted}, but has {own}.")
    for (path, leaf), parameter in zip(jax.tree_util.tree_leaves_with_path(mask), jax.tree.leaves(params), strict=True):
        name = f"mask{jax.tree_util.keystr(path)}"
        if np.shape(leaf) != parameter.shape:
            raise ValueError(
                f"{name} has shape {np.shape(leaf)}, but the parameters there have shape {parameter.shape}. Give one "
                "truth value for each parameter."
            )
        if jnp.result_type(leaf) != jnp.bool_:
            raise TypeError(
                f"{name} must be bool, True for parameters that are real and False for padding, but its dtype is "
                f"{jnp.result_type(leaf)}. Use array != 0."
            )


def check_padding(by: Hoisted, params: Params) -> None:
    """Raise unless padding with zeros changes nothing for the other parameters, and stays zero.

    Args:
        by: the optimizer; settings that are traced are replaced by halves.
        params: parameters of the right shapes.

    Raises:
        ValueError: for an optimizer with which padding would show.
    """
    remedy = "Train each width by itself, without `widths`."
    if by.needs_loss:
        raise ValueError(
            "networks padded with zero units need an optimizer that treats every parameter by itself, such as SGD "
            f"with momentum, Adam or AdamW, but this one evaluates the loss. {remedy}"
        )
    settings, value = (by.init_settings, by.update_settings), jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))
    opt_state = jax.eval_shape(by.init, settings[0], params)
    jaxpr = jax.make_jaxpr(by.update)(settings[1], params, opt_state, params, value).jaxpr
    mixing = sorted({name for name in _primitives(jaxpr) if not _ELEMENTWISE.fullmatch(name)})
    if mixing:
        raise ValueError(
            "networks padded with zero units need an optimizer that treats every parameter by itself, such as SGD "
            f"with momentum, Adam or AdamW, but this one uses {', '.join(mixing)}. {remedy}"
        )

    def leaves_zero(settings: PyTree, zeros: Params) -> Array:
        now, state = zeros, by.init(settings[0], zeros)
        for _ in range(_NUM_STEPS):
            now, state = by.update(settings[1], zeros, state, now, value)
        return jnp.any(jnp.stack([jnp.any(leaf != 0) for leaf in jax.tree.leaves(now)]))

    with jax.ensure_compile_time_eval():
        concrete = jax.tree.map(lambda a: np.full(a.shape, 0.5, a.dtype) if _is_traced(a) else a, settings)
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), params)
        if bool(jax.jit(leaves_zero)(concrete, zeros)):
            raise ValueError(
                "networks padded with zero units need an optimizer that leaves zeros without gradient at zero, but "
                f"this one turns them into other numbers or NaN. {remedy}"
            )


def _primitives(jaxpr: Any) -> Iterator[str]:
    """Names of all operations, but for calls and for copies of scalars."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        inner = [leaf for leaf in jax.tree.leaves(equation.params, is_leaf=_is_jaxpr) if _is_jaxpr(leaf)]
        for each in inner:
            yield from _primitives(getattr(each, "jaxpr", each))
        is_copy_of_scalar = name == "broadcast_in_dim" and not equation.invars[0].aval.shape
        if not (inner and _CALL.fullmatch(name)) and not is_copy_of_scalar:
            yield name


def _is_traced(leaf: Any) -> bool:
    return isinstance(leaf, jax.core.Tracer)


def _is_jaxpr(leaf: Any) -> bool:
    """Whether a parameter of an operation is a computation of its own."""
    return hasattr(leaf, "eqns") or hasattr(getattr(leaf, "jaxpr", None), "eqns")
