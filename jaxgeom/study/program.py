"""[host] The program of one member of a study: its data, its training, and the measurements of one network.

Parts are chosen by the names of their arguments: a data set that takes ``noise`` gets the axis of that name.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom._typing import MATRIX, PAIR, Params, PyTree
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import binary_cross_entropy
from jaxgeom.host.names import did_you_mean
from jaxgeom.networks.layers import layers_of
from jaxgeom.networks.models import Model
from jaxgeom.study.layout import ARCHITECTURE, PARTS, SEED, Group, Layout, Splits
from jaxgeom.study.measurements import Measurement
from jaxgeom.study.missing import filled, or_nan
from jaxgeom.training.fit import fit, trainer
from jaxgeom.training.loop import NEVER


class Recipe(NamedTuple):
    """How members are made, whatever their settings; fields as the arguments of :func:`jaxgeom.run_study`."""

    model: Any
    data: Any
    test: Any
    optimizer: Any
    loss: Any
    num_epochs: Any
    batch_size: int | None
    at_steps: tuple[int, ...]
    inputs: int | None
    outputs: int | None
    key: int
    measure: dict[str, Measurement]
    until: Callable[..., Any] | None
    max_tries: int


def recipe_of(recipe: Recipe, group: Group) -> Recipe:
    """How the members of a group are made: with those of its settings that are parts of the recipe."""
    return _with_parts(recipe, group.static)


def recipes_of(recipe: Recipe, layout: Layout) -> list[Recipe]:
    """How the members of a study are made, for each combination of the axes and settings that are parts of that."""
    settings = layout.values | {name: [value] for name, value in layout.fixed.items()}
    names = [name for name in PARTS if name in settings]
    return [
        _with_parts(recipe, dict(zip(names, values, strict=True)))
        for values in product(*(settings[name] for name in names))
    ]


def _with_parts(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    changes = {name: settings[name] for name in PARTS if name in settings}
    if isinstance(changes.get("data"), Splits):
        changes |= {"data": changes["data"].train, "test": changes["data"].test}
    return recipe._replace(**changes)


SPECIAL = ("key", "features", "widths")
"""Arguments that the study provides beside its axes."""


def named_arguments(function: Callable[..., Any]) -> dict[str, bool]:
    """Names of the arguments that a function takes by name, and whether it needs them."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(function).parameters.values()
    return {p.name: p.default is inspect.Parameter.empty for p in found if p.kind in kinds}


def available_names(recipe: Recipe, layout: Layout, *, is_of_population: bool) -> list[str]:
    """Names of the arguments that a measurement can have."""
    settings = [*layout.values, *layout.fixed]
    widths = ["widths"] if len(layout.special) > 1 else []
    if is_of_population:
        return ["params", "layers", SEED, *widths, *(name for name in settings if layout.is_traced.get(name))]
    data = {"train": recipe.data, "test": recipe.test, "loss": recipe.loss}
    given = [name for name, part in data.items() if part is not None]
    own = ["params", "layers", "apply", "initial_params", SEED, *widths, *given]
    return own + [name for name in settings if name not in layout.special]


def check_measurements(recipe: Recipe, layout: Layout) -> None:
    """Raise a ValueError, before anything is trained, for measurements of what the study does not have."""
    until = {} if recipe.until is None else {"until": Measurement(recipe.until)}
    for name, measurement in (recipe.measure | until).items():
        needed = [n for n, is_needed in named_arguments(measurement.function).items() if is_needed]
        available = available_names(recipe, layout, is_of_population=measurement.is_of_population)
        missing = [item for item in needed if item not in available]
        for item, remedy in (("test", "test=…"), ("train", "data=…"), ("loss", "loss=…")):
            if item in missing and not measurement.is_of_population:
                raise ValueError(
                    f"the measurement {name!r} takes {item}, which the study does not have: pass {remedy} to run_study "
                    f"(a table [{remedy.partition('=')[0]}] of a file, or `loss` in [train]), or measure other things."
                )
        if missing:
            raise ValueError(_lacks(f"measurement {name!r}", missing, available))
        steps = measurement.steps
        if steps is not None and not (measurement.is_of_population and steps and {*steps} <= {*recipe.at_steps}):
            raise ValueError(
                f"the steps of the measurement {name!r} must be some of at_steps {recipe.at_steps}, and it must be one "
                f"of a population, but {steps} was given."
            )


def call(what: str, function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Call a function with those of the given arguments whose names it has.

    Raises:
        ValueError: if it needs another one.
    """
    arguments = named_arguments(function)
    missing = [name for name, is_needed in arguments.items() if is_needed and name not in given]
    if missing:
        raise ValueError(_lacks(what, missing, list(given)))
    return function(**{name: given[name] for name in arguments if name in given})


def _lacks(what: str, missing: Sequence[str], available: Sequence[str]) -> str:
    return (
        f"the {what} takes {', '.join(missing)}, which the study does not have. It has "
        f"{', '.join(available) or 'none'}: add an axis or a setting of that name, or fix it with functools.partial."
        f"{did_you_mean(missing[0], available)}"
    )


def check_axes_are_used(recipes: Sequence[Recipe], names: Sequence[str]) -> None:
    """Raise unless every axis and setting reaches the model, the data, the optimizer or a measurement."""
    parts: list[Any] = [part for one in recipes for part in (one.model, one.data, one.test, one.optimizer, one.until)]
    parts += [measurement.function for measurement in recipes[0].measure.values()]
    taken = {name for part in parts if _is_function(part) for name in named_arguments(part)}
    unused = [name for name in names if name not in taken]
    if unused:
        raise ValueError(
            f"no part of the study takes {', '.join(map(repr, unused))}: the model, the data, the optimizer and the "
            f"measurements take {', '.join(sorted(taken - {*SPECIAL, 'params', 'apply', 'layers'}))}, and the "
            "architecture is given by width and depth or by hidden."
            f"{did_you_mean(unused[0], (*sorted(taken), *ARCHITECTURE, SEED))}"
        )


def member_function(
    recipe: Recipe, group: Group, *, is_outline: bool = False, has_step: bool = False
) -> Callable[..., dict[str, PyTree]]:
    """A pure function ``(seed, widths, settings)`` of one member, or ``(seed, widths, settings, number of the try)``.

    Args:
        recipe: what all members have in common.
        group: members that share a program.
        is_outline: leave out the training, which takes time to trace and does not change the shapes of the result.
        has_step: and give the next parameters after a single step as "step", of networks that are trained.

    Its result has "measured", the variables of all measurements of one network with a leading axis (steps), "params"
    with the same axis if a measurement of the population needs them, "diverged_step" and, if networks are drawn anew,
    "is_solved".
    """
    outputs = None if group.hidden is None else _num_outputs(recipe, group)

    def run(
        seed: Array, widths: Array | None, traced: dict[str, Array], number: Array | None = None
    ) -> dict[str, PyTree]:
        settings = group.static | traced
        key, data_key = jax.random.split(jax.random.fold_in(jax.random.key(recipe.key), seed))
        key = key if number is None else jax.random.fold_in(key, number)
        train, test = _data(recipe, settings, data_key)
        model = _model(recipe, group, train, outputs, widths, settings)
        optimizer = recipe.optimizer
        if _is_function(optimizer):
            optimizer = call("optimizer", optimizer, settings)
        if optimizer is None or is_outline:
            initial = model.init(key)
            num_steps = len(recipe.at_steps)
            snapshots = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_steps, *leaf.shape)), initial)
            last, diverged_step = initial, jnp.int32(NEVER)
        else:
            result = fit(
                key,
                model,
                optimizer,
                recipe.loss,
                train,
                num_epochs=recipe.num_epochs,
                batch_size=recipe.batch_size,
                record=None,
                snapshot_steps=recipe.at_steps,
            )
            snapshots, last, initial = result.snapshots, result.params, result.initial_params
            diverged_step = result.diverged_step
        available = settings | {"apply": model.apply, "initial_params": initial, "seed": seed}
        if group.hidden is not None:
            available["widths"] = jnp.asarray(group.hidden if widths is None else widths, jnp.int32)
        data = {"train": train, "test": test, "loss": recipe.loss}
        available |= {name: part for name, part in data.items() if part is not None}

        def measured(params: Params) -> dict[str, Array]:
            found: dict[str, Any] = {}
            for name, measurement in recipe.measure.items():
                if not measurement.is_of_population:
                    join(found, variables(name, _measured(name, measurement, params, available)), name)
                elif is_outline and "layers" in named_arguments(measurement.function):
                    layers_of(params)  # which has to say at once what has no layers
            return {name: _storable(name, item) for name, item in found.items()}

        found: dict[str, PyTree] = {"measured": jax.lax.map(measured, snapshots)}
        if any(measurement.is_of_population for measurement in recipe.measure.values()):
            found["params"] = snapshots
        if recipe.until is not None:
            is_solved = _measured("until", Measurement(recipe.until), last, available)
            found["is_solved"] = _condition(is_solved) & (diverged_step == NEVER)
        if has_step and optimizer is not None:
            init, step = trainer(model, optimizer, recipe.loss)
            found["step"] = step(init(key), *train)
        return found | {"diverged_step": diverged_step}

    return run


def _condition(is_solved: Any) -> Array:
    """What ``until`` says of one network; a number, such as a loss, would be true unless it is exactly zero."""
    found = jnp.asarray(is_solved)
    if found.dtype != bool or found.shape:
        raise ValueError(
            f"until must say true or false of a network, but gives {found.dtype} of shape {found.shape}. Compare "
            "numbers with a bound, and take jnp.all of several."
        )
    return found


def population_variables(recipe: Recipe, params: Params, settings: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The measurements of the population; ``params`` has leading axes (members, steps), and so have the results."""
    all_steps = jax.tree.leaves(params)[0].shape[:2]
    found: dict[str, np.ndarray] = {}
    for name, measurement in recipe.measure.items():
        if measurement.is_of_population:
            places = [p for p, step in enumerate(recipe.at_steps) if step in (measurement.steps or recipe.at_steps)]
            leading = all_steps[0], len(places)
            flat = jax.tree.map(lambda leaf: leaf[:, places].reshape(-1, *leaf.shape[2:]), params)  # noqa: B023
            available = {name: np.repeat(values, leading[1], axis=0) for name, values in settings.items()}
            value = _measured(name, measurement, flat, available)
            for variable, array in variables(name, value).items():
                array = or_nan(array, ~np.ma.getmaskarray(array)) if np.ma.is_masked(array) else np.asarray(array)
                if array.shape[:1] != (leading[0] * leading[1],):
                    raise ValueError(
                        f"the measurement {name!r} must give arrays with a leading axis of the "
                        f"{leading[0] * leading[1]} networks, but {variable!r} has shape {array.shape}."
                    )
                if array.dtype.kind not in "biufcSUmM":
                    raise ValueError(
                        f"the measurement {name!r} must give arrays of numbers, booleans or texts, but {variable!r} "
                        f"has dtype {array.dtype}, which cannot be saved. Convert it with numpy.asarray(…, dtype)."
                    )
                shape = array.shape[1:]
                pieces = [((slice(None), places), array.reshape(*leading, *shape))]
                join(found, {variable: filled((*all_steps, *shape), pieces, repr(variable))}, name)
    return found


def check_networks_fit(recipe: Recipe, shapes: PyTree) -> None:
    """Raise now what the library's own measurements raise for networks of these shapes, (steps, ...) each."""
    home = Measurement.__module__
    own = {name: item for name, item in recipe.measure.items() if getattr(item.function, "__module__", "") == home}
    none = jax.tree.map(lambda leaf: np.zeros((0, *leaf.shape), leaf.dtype), shapes)
    population_variables(recipe._replace(measure=own), none, {})


def join(found: dict[str, Any], new: Mapping[str, Any], name: str) -> None:
    """Add the variables of a measurement to those of others.

    Raises:
        ValueError: if one of that name is there.
    """
    taken = [variable for variable in new if variable in found]
    if taken:
        raise ValueError(
            f"the measurement {name!r} gives the variable {taken[0]!r}, which another measurement or the study itself "
            "gives, too; choose another name for one of them."
        )
    found |= new


def variables(name: str, value: PyTree) -> dict[str, Any]:
    """A measurement's result by the names of its variables."""
    value = value._asdict() if hasattr(value, "_asdict") else value
    if not isinstance(value, Mapping):
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        join(found, {f"{name}_{key}" if key != "" else name: item}, name)
    return found


def _storable(name: str, item: Any) -> Array:
    """In a type that NumPy's files know."""
    if isinstance(item, Mapping | tuple | list) and not all(np.ndim(part) == 0 for part in jax.tree.leaves(item)):
        raise ValueError(
            f"a measurement must give an array or a dictionary of arrays, but {name!r} is a {type(item).__name__}. "
            "Give each of its arrays a key of its own."
        )
    array = jnp.asarray(item)
    if np.dtype(array.dtype).kind != "V":
        return array
    return array.astype(jnp.float32 if jnp.issubdtype(array.dtype, jnp.floating) else jnp.int32)


def _measured(name: str, measurement: Measurement, params: Params, available: Mapping[str, Any]) -> PyTree:
    given = {"params": params, **available}
    if "layers" in named_arguments(measurement.function):
        given["layers"] = layers_of(params)
    return call(f"measurement {name!r}", measurement.function, given)


def _data(recipe: Recipe, settings: Mapping[str, Any], key: Array) -> tuple[Any, Any]:
    keys = jax.random.split(key)
    return tuple(
        _dataset(call("data", part, {**settings, "key": keys[i]}) if _is_function(part) else part)
        for i, part in enumerate((recipe.data, recipe.test))
    )


def _dataset(found: Any) -> Any:
    """What a study takes for its data, of which a pair (x, y) is made a data set."""
    if found is None:
        return None
    if not isinstance(found, tuple) or len(found) != PAIR:
        kind = "an array" if hasattr(found, "shape") else type(found).__name__
        raise ValueError(f"the data must be a jaxgeom.Dataset of x and y, but {kind} was given.")
    x, y = found
    if np.ndim(x) != MATRIX or np.ndim(y) not in (1, MATRIX) or len(x) != len(y) or not len(x):
        raise ValueError(
            "the data must be a jaxgeom.Dataset of one or more inputs x (points, dim) and as many targets y, (points,) "
            f"for classes or (points, outputs) for numbers, but shapes {np.shape(x)} and {np.shape(y)} were given."
        )
    return found if hasattr(found, "x") else Dataset(jnp.asarray(x), jnp.asarray(y))


def _model(
    recipe: Recipe,
    group: Group,
    train: Dataset | None,
    outputs: int | None,
    widths: Array | None,
    settings: Mapping[str, Any],
) -> Model:
    if isinstance(recipe.model, Model):
        return recipe.model
    given = dict(settings)
    if group.hidden is not None:
        assert outputs is not None
        inputs = recipe.inputs if train is None or recipe.inputs is not None else train.x.shape[1]
        if inputs is None:
            raise ValueError("without data, the study needs the number of `inputs` of its networks.")
        given["features"] = (inputs, *group.hidden, outputs)
        given["widths"] = None if widths is None else tuple(widths)
    result: Model = call("model", recipe.model, given)
    return result


def outline(recipe: Recipe, group: Group) -> dict[str, PyTree]:
    """Shapes and dtypes of what :func:`member_function` gives for one member, without training it."""
    result: dict[str, PyTree] = jax.eval_shape(member_function(recipe, group, is_outline=True), *arguments(group, 0))
    return result


def arguments(group: Group, rows: Any) -> tuple[Any, Any, Any]:
    """The arguments of :func:`member_function` for members of a group."""
    widths = None if group.widths is None else group.widths[rows]
    return group.seed[rows].astype(np.uint32), widths, {name: values[rows] for name, values in group.traced.items()}


def num_bytes(shapes: PyTree) -> int:
    """Bytes of arrays of which the shapes are known."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def data_bytes(recipe: Recipe, group: Group) -> int:
    """Bytes of the data of one member, known without making them."""
    first = {name: values[0] for name, values in group.traced.items()}
    return num_bytes(jax.eval_shape(lambda key: _data(recipe, group.static | first, key), jax.random.key(0)))


def check_steps(recipe: Recipe, group: Group) -> None:
    """Raise a ValueError unless the training of a group has batches, and the steps at which it is measured."""
    if recipe.optimizer is None:
        return
    first = {name: values[0] for name, values in group.traced.items()}
    train, _ = jax.eval_shape(lambda key: _data(recipe, group.static | first, key), jax.random.key(0))
    num_points = len(train[0])
    batch = num_points if recipe.batch_size is None else recipe.batch_size
    if batch > num_points:
        raise ValueError(
            f"batches of {batch} points were given, but the data have {num_points}. Take at most {num_points}, or the "
            "full batch by batch_size=None."
        )
    num_steps = recipe.num_epochs * (num_points // batch)
    if recipe.at_steps[-1] > num_steps:
        raise ValueError(
            f"at_steps go up to {recipe.at_steps[-1]}, but {recipe.num_epochs} epochs of {num_points} points in "
            f"batches of {batch} are {num_steps} steps. Take at_steps from 0 to {num_steps}, or more epochs."
        )


def _num_outputs(recipe: Recipe, group: Group) -> int:
    """As given, or else as many as the targets have columns, or classes."""
    if recipe.outputs is not None:
        return recipe.outputs
    if recipe.data is None:
        return 1
    first = {name: values[0] for name, values in group.traced.items()}
    train, _ = _data(recipe, group.static | first, jax.random.key(recipe.key))
    if train.y.ndim != 1 or not jnp.issubdtype(train.y.dtype, jnp.integer):
        return 1 if train.y.ndim == 1 else train.y.shape[1]
    return 1 if recipe.loss is binary_cross_entropy else int(np.max(train.y)) + 1


def _is_function(part: Any) -> bool:
    return callable(part) and not isinstance(part, tuple)
