"""[host] Whether the description of a study makes sense, before anything is computed."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgeom._typing import PAIR
from jaxgeom.host.given import check_positive
from jaxgeom.host.processes import process
from jaxgeom.study.layout import PARTS, Layout
from jaxgeom.study.program import Recipe, check_axes_are_used, check_measurements, recipes_of
from jaxgeom.study.store import Shard

DIVERGED = "diverged_step"
OF_TRIES = {
    "is_solved": {"units": "1", "meaning": "whether the last try is what networks were drawn anew for"},
    "tries": {"units": "1", "meaning": "initialisations used"},
}  # variables of studies that draw networks anew


def check_kinds(
    measure: Any,
    at_steps: Any,
    num_epochs: Any,
    batch_size: Any,
    inputs: Any,
    outputs: Any,
    key: Any,
    chunk_size: Any,
    until: Any,
    max_tries: Any,
) -> None:
    if until is not None and not callable(until):
        raise TypeError(f"until must be a function of arguments such as params, but {until!r} was given.")
    check_positive("max_tries", max_tries)
    if not isinstance(measure, Mapping):
        raise TypeError(f"measure must be a dictionary of measurements by name, but {measure!r} was given.")
    if isinstance(at_steps, str) or not np.iterable(at_steps) or not all(map(_is_integer, at_steps)):
        raise TypeError(
            f"at_steps must be a list of numbers of training steps, such as [0, 100], but {at_steps!r} was given."
        )
    steps = list(map(operator.index, at_steps))
    if not steps or steps != sorted(set(steps)) or steps[0] < 0 or steps[-1] >= 2**31:
        raise ValueError(f"at_steps must be ascending steps from 0 to at most 2³¹ - 1, but {steps} was given.")
    sizes = {"num_epochs": num_epochs, "batch_size": batch_size, "inputs": inputs, "outputs": outputs}
    for name, size in {**sizes, "chunk_size": chunk_size}.items():
        if size is not None and not _is_integer(size):
            raise TypeError(f"{name} must be a positive integer, but {size!r} was given.")
        if size is not None and not 1 <= size < 2**31:
            raise ValueError(f"{name} must be a positive integer below 2³¹, but {size} was given.")
    check_key(key)


def shard_of(shard: Any, out: Any) -> Shard | None:
    """The part of a study that this process computes; None for all of it."""
    if shard is None:
        return None
    is_pair = isinstance(shard, tuple | list) and len(shard) == PAIR and all(map(_is_integer, shard))
    if not is_pair or not 0 <= shard[0] < shard[1]:
        raise ValueError(
            f"a shard is a pair (index, num) with an index from 0 to num - 1, such as (0, 8), but {shard!r} was given."
        )
    if out is None or process()[1] > 1:
        raise ValueError(
            "shards are the work of processes that know nothing of each other and share a directory: pass out=…, and "
            "leave jax.distributed aside."
        )
    return Shard(*shard)


def check_key(key: Any, what: str = "study") -> None:
    """Raise unless the key of a study or zoo is an integer that JAX has a key for."""
    if not _is_integer(key):
        raise TypeError(f"the key of a {what} is an integer, but {key!r} was given.")
    if not 0 <= key < 2**32:
        raise ValueError(f"the key of a {what} is an integer from 0 to 2³² - 1, but {key} was given.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_name(name: Any) -> bool:
    """Whether a measurement can be called so, in files of all kinds."""
    is_text = isinstance(name, str) and name.isprintable() and name == name.strip()
    return is_text and bool(name) and name[0] != "." and not {"/", "\\"} & set(name)


def check_description(recipe: Recipe, layout: Layout, out: Any) -> None:
    if not recipe.measure:
        raise ValueError("a study measures something: pass measure={'regions': jaxgeom.study.exact_regions(domain)}.")
    for name in recipe.measure:
        if not _is_name(name):
            raise ValueError(f"measurements have names without slashes, such as 'regions', but {name!r} was given.")
    own = {DIVERGED} if recipe.until is None else {DIVERGED, *OF_TRIES}
    taken = {"step", *own, *layout.values} & set(recipe.measure) | {"step", "params", *own} & set(layout.values)
    if taken:
        raise ValueError(f"the names {sorted(taken)} are used for axes or by the study itself; choose others.")
    reserved = {"is_finished"} & set(recipe.measure)
    if reserved:
        raise ValueError("is_finished is what the study itself says of its networks; choose another name.")
    recipes = recipes_of(recipe, layout)
    twice = [name for name in PARTS if name in {**layout.values, **layout.fixed} and getattr(recipe, name) is not None]
    if twice:
        raise ValueError(
            f"{twice[0]} is given twice, as an axis and as an argument of the study; leave one of them out."
        )
    for one in recipes:
        _check_training(one)
    if process()[1] > 1 and out is None:
        raise ValueError("several processes share their results through a directory: pass out=….")
    names = [name for name in (*layout.values, *layout.fixed) if name not in (*layout.special, *PARTS)]
    check_axes_are_used(recipes, names)
    for one in recipes:
        check_measurements(one, layout)
    declared = [f"{name}_{detail}" for name, item in recipe.measure.items() for detail in item.details or {}]
    twice = [name for name in declared if name in recipe.measure or name in layout.values or declared.count(name) > 1]
    if twice:
        raise ValueError(
            f"two results have the name {twice[0]!r}: a measurement or an axis, and a part of the measurement "
            f"{_measurement_of(twice[0], recipe)!r}; choose another name for one of them."
        )


def _check_training(recipe: Recipe) -> None:
    is_trained = recipe.optimizer is not None
    if is_trained and (recipe.data is None or recipe.loss is None or recipe.num_epochs is None):
        raise ValueError("training needs data, an optimizer, a loss and num_epochs.")
    if not is_trained and recipe.at_steps != (0,):
        raise ValueError(f"without an optimizer there is step 0 only, but at_steps = {recipe.at_steps} was given.")


def _measurement_of(variable: str, recipe: Recipe) -> str:
    return next(n for n, item in recipe.measure.items() for detail in item.details or {} if f"{n}_{detail}" == variable)
