"""What a run of training will do, checked before it starts."""

import math
import numbers
import operator
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom._typing import MATRIX, Params
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import OWN, PerPoint, check_per_point
from jaxgeom.host.given import check_positive
from jaxgeom.host.inputs import as_array
from jaxgeom.networks.models import Model
from jaxgeom.training.keys import initial_params


class Plan(NamedTuple):
    """The steps of a run, known before it starts."""

    num_epochs: int
    num_batches: int
    """Steps in an epoch."""
    batch_size: int
    num_points: int
    record_steps: Sequence[int]
    """Steps after which the records are taken, ascending: a range that starts with 0, or any tuple."""
    snapshot_steps: Sequence[int]
    keeps_batch_losses: bool = False
    stop_accuracy: float | None = None
    """Networks stop once a record of their accuracy reaches this."""

    @property
    def num_steps(self) -> int:
        return self.num_epochs * self.num_batches


def plan_run(
    num_points: int,
    *,
    num_epochs: int,
    batch_size: int | None,
    drop_last: bool,
    record: str | int | None,
    batch_losses: bool,
    snapshot_every: int | None,
    snapshot_steps: Sequence[int] | None,
    stop_accuracy: float | None,
) -> Plan:
    """The steps of a run; the arguments are those of :func:`jaxgeom.fit`.

    Raises:
        ValueError: for what cannot be done.
    """
    for name, value in (("num_epochs", num_epochs), ("batch_size", batch_size), ("snapshot_every", snapshot_every)):
        if value is not None:
            check_positive(name, value)
    _check_stop(stop_accuracy)
    num_epochs = operator.index(num_epochs)  # arrays of JAX without axes are integers, too
    batch_size = None if batch_size is None else operator.index(batch_size)
    snapshot_every = None if snapshot_every is None else operator.index(snapshot_every)
    if batch_size is not None and batch_size > num_points and drop_last:
        raise ValueError(
            f"batch_size = {batch_size} is larger than the {num_points} points, so that dropping the last incomplete "
            "batch would leave none. Use batch_size=None for full batches, or drop_last=False."
        )
    batch = num_points if batch_size is None else min(batch_size, num_points)
    num_batches = num_points // batch if drop_last else -(-num_points // batch)
    num_steps = num_epochs * num_batches
    return Plan(
        num_epochs,
        num_batches,
        batch,
        num_points,
        _record_steps(num_steps, num_batches, record),
        _snapshot_steps(num_steps, snapshot_every, snapshot_steps),
        batch_losses,
        None if stop_accuracy is None else float(stop_accuracy),
    )


def _check_stop(accuracy: Any) -> None:
    """Raise unless the accuracy is None or a number that is known, and not NaN."""
    is_number = isinstance(accuracy, numbers.Real) or getattr(accuracy, "shape", None) == ()
    if isinstance(accuracy, bool | jax.core.Tracer) or not (accuracy is None or is_number):
        raise TypeError(
            f"stop_accuracy must be a number that is known before tracing, such as 0.95, but {accuracy!r} was given."
        )
    if accuracy is not None and math.isnan(accuracy):
        raise ValueError("stop_accuracy must be a number, such as 0.95, but nan was given, which no accuracy reaches.")


def _index(value: Any) -> int | None:
    """The integer, or None for what is none. Truth values, and floats like 3.0, are none."""
    try:
        return None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        return None


def _record_steps(num_steps: int, num_batches: int, record: str | int | None) -> Sequence[int]:
    if record is None:
        return ()
    every = {"epoch": num_batches, "step": 1}.get(record) if isinstance(record, str) else _index(record)
    if every is None or every < 1:
        raise ValueError(f"record must be 'epoch', 'step' or None, or a number of steps, but {record!r} was given.")
    return range(0, num_steps + 1, every)


def _snapshot_steps(num_steps: int, every: int | None, at: Sequence[int] | None) -> Sequence[int]:
    if at is None:
        return range(0, num_steps + 1, every) if every else ()
    steps = [step for step in map(_index, at) if step is not None]
    is_ascending = len(steps) == len(at) > 0 and steps == sorted(set(steps))
    if every is not None or not is_ascending or steps[0] < 0 or steps[-1] > num_steps:
        raise ValueError(
            f"snapshot_steps must be ascending integers from 0 to {num_steps}, instead of snapshot_every, but "
            f"{list(at)} was given with snapshot_every = {every}."
        )
    return tuple(steps)


def check_data(model: Model, loss: PerPoint, accuracy: PerPoint | None, data: Any, name: str) -> Dataset:
    """The data as arrays of JAX, after checking that points, targets, model, loss and accuracy fit together.

    Points of an :func:`jaxgeom.mlp`, and targets that are floats, get the dtype of its parameters, float32.

    Raises:
        ValueError: for shapes that do not fit, labels that are no classes, and NaN or infinity.
        TypeError: for what are no numbers, and for losses that are no functions.
    """
    try:
        if isinstance(data, Mapping):
            raise TypeError("a mapping")
        x, y = data
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be a Dataset, or a pair of points and targets, but {data!r} was given."
        ) from error
    x, y = as_array(f"{name}.x", x), as_array(f"{name}.y", y)
    if x.ndim != MATRIX or y.ndim < 1 or x.shape[0] != y.shape[0] or x.shape[0] == 0:
        raise ValueError(
            f"{name} needs points x of shape (points, in) and as many targets y, but x has shape {x.shape} and y "
            f"has shape {y.shape}."
        )
    for side, array in (("x", x), ("y", y)):
        _check_finite(f"{name}.{side}", array)
        _check_integers(f"{name}.{side}", array)
    if not isinstance(model, Model):
        raise TypeError(f"the model must be a jaxgeom.Model, such as jaxgeom.mlp((2, 20, 1)), but {model!r} was given.")
    params = jax.eval_shape(partial(initial_params, model), jax.random.key(0))
    _check_precision(params)
    own = jnp.result_type(*jax.tree.leaves(params)) if model.is_mlp else None
    if model.is_mlp or jnp.issubdtype(x.dtype, jnp.floating):
        x = _as_real(f"{name}.x", x, own)
    if jnp.issubdtype(y.dtype, jnp.floating):
        y = _as_real(f"{name}.y", y, own)
    try:
        outputs = jax.eval_shape(model.apply, params, x)
    except Exception as error:  # of Flax, JAX or the user's own model
        raise ValueError(f"{name}: the model does not take points with {x.shape[1]} coordinates: {error}") from error
    if getattr(outputs, "ndim", None) != MATRIX or outputs.shape[0] != x.shape[0]:
        raise ValueError(f"the model must give outputs of shape (points, out), but gives {outputs}.")
    for kind, function in (("loss", loss), ("accuracy", accuracy)):
        if function is not None or kind == "loss":
            try:
                check_per_point(kind, function, outputs, y)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from error.__cause__
    if model.is_mlp and loss in OWN and (accuracy is None or accuracy in OWN):
        y = _as_short(y)
    return Dataset(jnp.asarray(x), jnp.asarray(y))


def _check_precision(params: Params) -> None:
    """Raise a ValueError for parameters in double precision where JAX has none, so that data cannot have it either."""
    is_double = any(leaf.dtype == np.float64 for leaf in jax.tree.leaves(params))
    if is_double and not getattr(jax.config, "jax_enable_x64", False):
        raise ValueError(
            "the model draws parameters that are float64, but double precision is off in JAX. Turn it on with "
            'jax.config.update("jax_enable_x64", True), or let init return them as float32.'
        )


def _as_real(name: str, array: Any, dtype: Any) -> Array:
    """Numbers in the dtype of the parameters, or if that is None in JAX's own; a ValueError for those that it does not
    hold."""
    dtype = jax.dtypes.canonicalize_dtype(array.dtype) if dtype is None else dtype
    if array.dtype == dtype:
        return jnp.asarray(array)
    with np.errstate(over="ignore"):  # NumPy's own conversion: of 64-bit integers, JAX would take the last 32 bits
        real = array.astype(dtype)
    if not isinstance(real, jax.core.Tracer) and not np.isfinite(np.asarray(real)).all():
        largest = np.abs(np.asarray(array)).max()
        raise ValueError(
            f"{name} must be numbers that {dtype} holds, as the parameters are, but the largest has the size "
            f"{largest:.3g}. Scale them."
        )
    return jnp.asarray(real)


def _as_short(array: Any) -> Any:
    """Integers in 32 bits, as the compiled engine takes them, if it is known that they fit."""
    if isinstance(array, jax.core.Tracer) or not jnp.issubdtype(array.dtype, jnp.integer):
        return array
    values, held = np.asarray(array), np.iinfo(np.int32)
    does_fit = held.min <= values.min(initial=0) and values.max(initial=0) <= held.max
    return array.astype(np.int32) if does_fit else array


def _check_integers(name: str, array: Any) -> None:
    """Raise a ValueError for integers of which JAX would take the last 32 bits, as it does where x64 is off."""
    if not isinstance(array, np.ndarray) or not jnp.issubdtype(array.dtype, jnp.integer):
        return
    held = jnp.iinfo(jax.dtypes.canonicalize_dtype(array.dtype))
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    if low < held.min or high > held.max:
        raise ValueError(
            f"{name} must be integers that {held.dtype} holds, but they range from {low} to {high}. Give them as "
            'floats, or turn on double precision, jax.config.update("jax_enable_x64", True).'
        )


def _check_finite(name: str, array: Any) -> None:
    """Raise a ValueError for NaN and infinity among points or targets whose values are known."""
    if isinstance(array, jax.core.Tracer) or not jnp.issubdtype(array.dtype, jnp.floating):
        return
    bad = np.flatnonzero(~np.isfinite(np.asarray(array)).reshape(len(array), -1).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name} must be finite, but {len(bad)} of {len(array)} points have NaN or infinity, of which number "
            f"{bad[0]} is the first. Leave them out, or fill in what is missing."
        )
