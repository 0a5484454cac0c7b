"""Optimizers of optax as one function: from gradient, state and parameters to the next parameters and state.

Some optimizers ask for more than the gradient: Polyak's step size and learning rates that adapt to plateaus want the
value of the loss, line searches the loss as a function of the parameters, and methods of second order or with
perturbed parameters its gradient as well. All of them get what they ask for.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxgeom._typing import Params, PyTree
from jaxgeom.training.traced import evaluated, with_reciprocals

Optimizer: TypeAlias = Any
"""What optax calls a gradient transformation: an object with the functions ``init`` and ``update``."""

NAMED_OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "adam": optax.adam,
    "adamw": partial(optax.adamw, weight_decay=1e-2),
    "rmsprop": optax.rmsprop,
    "adagrad": optax.adagrad,
    "nadam": optax.nadam,
    "lion": optax.lion,
}
"""Optimizers of a zoo by name; each takes a learning rate."""

Update: TypeAlias = Callable[..., tuple[Params, PyTree]]
"""``update(gradient, opt_state, params, value, batch)``: the next parameters and state of the optimizer. ``value`` is
the loss at ``params``, and ``batch`` what it is the mean over."""


class Hoisted(NamedTuple):
    """An optimizer as functions without closures: the settings that its caller traces are arguments."""

    init: Callable[[list[Array], Params], PyTree]
    """``init(init_settings, params)``: the state of the optimizer."""
    init_settings: list[Array]
    """What ``init`` closes over."""
    update: Update
    """``update(update_settings, gradient, opt_state, params, value, batch)``; without ``batch`` if not needed."""
    update_settings: list[Array]
    """What ``update`` closes over, such as a learning rate."""
    needs_loss: bool
    """Whether it evaluates the loss by itself, as a line search does."""
    init_jaxpr: Any
    """The trace of ``init``: its constants are the settings, its arguments the parameters."""
    update_jaxpr: Any
    """The trace of ``update``, likewise; its last argument is the loss, unless it needs the batch."""
    state: PyTree
    """Shapes of the state."""

    @property
    def needs_value(self) -> bool:
        """Whether a step depends on the loss of its batch."""
        jaxpr = self.update_jaxpr
        used = [*jaxpr.outvars, *(variable for equation in jaxpr.eqns for variable in equation.invars)]
        return self.needs_loss or any(variable is jaxpr.invars[-1] for variable in used)


def check_optimizer(optimizer: Optimizer) -> Any:
    """The optimizer as one that takes more arguments than it needs.

    Raises:
        TypeError: for names, classes, functions that were not called, and whatever else is no optimizer.
    """
    allowed = "the optimizer must be a gradient transformation of optax, such as optax.adam(1e-3)"
    if isinstance(optimizer, str):
        raise TypeError(f"{allowed}, but the string {optimizer!r} was given. Use optax.{optimizer}(learning_rate).")
    if isinstance(optimizer, optax.GradientTransformation):
        return optax.with_extra_args_support(optimizer)
    if isinstance(optimizer, optax.MultiSteps):
        return optax.GradientTransformationExtraArgs(optimizer.init, optimizer.update)
    if callable(optimizer):
        name = getattr(optimizer, "__name__", repr(optimizer))
        raise TypeError(f"{allowed}, but the function {name} itself was given. Call it, as in optax.{name}(...).")
    if callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None)):
        return optax.with_extra_args_support(optax.GradientTransformation(optimizer.init, optimizer.update))
    raise TypeError(f"{allowed}, but {optimizer!r} was given.")


def initial_state(optimizer: Any, params: Params) -> PyTree:
    """The state of the optimizer before the first step.

    Raises:
        ValueError: for optimizers that do not take plain parameters.
    """
    try:
        return optimizer.init(params)
    except Exception as error:
        raise ValueError(
            f"the optimizer cannot start from these parameters: {error!r}. Allowed are gradient transformations of "
            "optax that take the parameters themselves; for optax.lookahead, which wants pairs of them, use its inner "
            "optimizer alone."
        ) from error


def update_by(optimizer: Any, mean_loss: Callable[..., Array]) -> Update:
    """One step of the optimizer, for ``mean_loss(params, *batch)``."""

    def update(
        gradient: Params, opt_state: PyTree, params: Params, value: Array, batch: tuple[Any, ...] | None = None
    ) -> tuple[Params, PyTree]:
        # The names are those of arguments that line searches would otherwise complain about.
        def loss(params: Params, obj_fn: Any = None, grad_fn: Any = None) -> Array:  # noqa: ARG001
            if batch is None:
                raise _LossNeeded
            return mean_loss(params, *batch)

        def gradient_of(params: Params, *_: Any) -> Params:
            return jax.grad(loss)(params)

        more: dict[str, Any] = {
            "value": value,
            "grad": gradient,
            "value_fn": loss,
            "obj_fn": loss,
            "grad_fn": gradient_of,
        }
        try:
            updates, state = optimizer.update(gradient, opt_state, params, **_accepted(optimizer.update, more))
        except _LossNeeded:
            raise
        except Exception as error:
            numbers = "Check its arguments: a learning rate is a number or a function of the step, not text. "
            raise ValueError(
                f"the optimizer cannot take a step with these parameters: {error!r}. "
                f"{numbers if isinstance(error, TypeError) else ''}It gets the mean gradient of a "
                "batch and the parameters, and on demand value, grad and value_fn (also as obj_fn and grad_fn). Use an "
                "optimizer that needs no more; of optax.lookahead, use its inner optimizer alone."
            ) from error
        _check_same("updates", updates, params)
        return optax.apply_updates(params, updates), _check_same("state", state, opt_state)

    return update


def _accepted(update: Callable[..., Any], more: dict[str, Any]) -> dict[str, Any]:
    """Those arguments that the update takes: optax asks it to take all, but sharpness-aware minimisation does not."""
    arguments = inspect.signature(update).parameters
    if any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in arguments.values()):
        return more
    return {name: value for name, value in more.items() if name in arguments}


class _LossNeeded(Exception):
    """An optimizer wants to evaluate the loss."""


def _check_same(what: str, new: PyTree, old: PyTree) -> PyTree:
    """The new pytree in the dtypes of the old one; an error if they have different structures or shapes."""
    before: Any = jax.tree.structure(old)
    is_alike = before == jax.tree.structure(new)
    if not is_alike or [jnp.shape(a) for a in jax.tree.leaves(new)] != [jnp.shape(a) for a in jax.tree.leaves(old)]:
        raise ValueError(
            f"the optimizer's {what} must keep the structure and shapes that they start with, but "
            f"{jax.tree.map(jnp.shape, new)} came of {jax.tree.map(jnp.shape, old)}. Optimizers that want gradients of "
            "single points, such as optax.contrib.differentially_private_aggregate, are not supported."
        )
    return jax.tree.map(
        lambda a, b: a if jnp.result_type(a) == jnp.result_type(b) else jnp.asarray(a).astype(jnp.result_type(b)),
        new,
        old,
    )


def hoisted(optimizer: Any, mean_loss: Callable[..., Array], params: Params, batch: tuple[Any, ...]) -> Hoisted:
    """The optimizer without closures.

    Args:
        optimizer: as :func:`check_optimizer` gives it.
        mean_loss: ``mean_loss(params, *batch)``.
        params: of the right shapes.
        batch: shapes of what the loss is the mean over.

    Raises:
        ValueError: for optimizers that cannot train these parameters.
    """
    init, initial = _hoisted(lambda params: initial_state(optimizer, params), params)
    opt_state = jax.eval_shape(lambda: initial_state(optimizer, params))
    value = jax.eval_shape(mean_loss, params, *batch)
    step = update_by(optimizer, mean_loss)
    needs_loss = False
    try:
        update, closed = _hoisted(step, params, opt_state, params, value)
    except _LossNeeded:
        needs_loss = True
        update, closed = _hoisted(step, params, opt_state, params, value, batch)
    settings = list(initial.consts), list(closed.consts)
    return Hoisted(init, settings[0], update, settings[1], needs_loss, initial.jaxpr, closed.jaxpr, opt_state)


def _hoisted(function: Callable[..., Any], *examples: PyTree) -> tuple[Callable[..., Any], Any]:
    """``function(constants, *arguments)``, and its trace, whose constants are the settings traced by the caller."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*examples)
    structure, computed = jax.tree.structure(shape), with_reciprocals(closed)
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(examples)]

    def call(constants: list[Any], *arguments: PyTree) -> PyTree:
        leaves = [
            leaf if getattr(leaf, "dtype", None) == dtype else jnp.asarray(leaf, dtype)
            for leaf, dtype in zip(jax.tree.leaves(arguments), dtypes, strict=True)
        ]
        flat = evaluated(computed, constants, leaves)
        return jax.tree.unflatten(structure, flat)

    return call, closed


def masked(update: Update, mask: Params | None) -> Update:
    """The update without the gradients of padding."""
    if mask is None:
        return update

    def update_real(gradient: Params, *rest: PyTree) -> tuple[Params, PyTree]:
        return update(jax.tree.map(lambda g, real: jnp.where(real, g, 0), gradient, mask), *rest)

    return update_real
