"""[edge] Runs, studies and layers, read as networks along named axes and along the steps of their training.

Networks with a smooth activation have no slopes: their layers come with the names of what follows them.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, Params
from jaxgeom.networks.layers import (
    Dense,
    Layers,
    check_layers,
    is_piecewise_linear,
    layers_of,
    named_layers,
    num_pieces,
)

STEP = "step"
"""Name of the axis along which a network trains."""
NETWORK = "network"
"""Name of an axis that has none."""
MOST_RECORDS = 240
"""Numbers of a curve that are drawn."""
_RECORDS = {
    "loss": "train_loss",
    "test loss": "test_loss",
    "accuracy": "train_accuracy",
    "test accuracy": "test_accuracy",
}
_KINDS = (
    "runs of fit or fit_population, a Study that measured parameters, parameters of mlp, layers, or a dictionary of "
    "these"
)
Activations: TypeAlias = tuple[str, ...] | None
"""Names of what follows each hidden layer, if one of them is smooth; None for piecewise linear networks."""


@readable
class Curve(NamedTuple):
    """One number of every network, at some steps of its training."""

    steps: Int[np.ndarray, " records"]
    """Steps taken at each record."""
    values: Float[np.ndarray, "networks records"]
    """What was recorded; NaN for none."""


@readable
class Group(NamedTuple):
    """Networks of the same widths and activations."""

    members: Int[np.ndarray, " networks"]
    """Which of all networks they are."""
    layers: Layers
    """Their layers, float32 with leading axes (networks, frames)."""
    activations: Activations = None
    """Names of what follows each hidden layer, if one of them is smooth."""


@readable
class Gathered(NamedTuple):
    """Networks along named axes, at some steps of their training."""

    axes: dict[str, list[Any]]
    """Values by the name of the axis; networks are numbered along them, the last axis fastest."""
    steps: Int[np.ndarray, " frames"]
    """Steps taken at each frame."""
    groups: list[Group]
    """The networks by their widths; those that are not finite are left out."""
    curves: dict[str, Curve]
    """What was recorded of them, by name."""

    @property
    def num_networks(self) -> int:
        """Number of networks, finite or not."""
        return int(np.prod([len(values) for values in self.axes.values()], dtype=int))

    @property
    def dim(self) -> int:
        """Number of inputs."""
        return int(self.groups[0].layers[0].kernel.shape[-2])


def gather(networks: Any, axes: Mapping[str, Sequence[Any]] | None, axis: str) -> Gathered:
    """What there is to explore, from whatever holds networks.

    Args:
        networks: runs, a study, layers, or a dictionary of these by the values of one more axis.
        axes: for layers, names and values of their leading axes.
        axis: name of the axis of a dictionary.

    Raises:
        TypeError: for anything else.
        ValueError: for networks with different numbers of inputs, or leading axes without names.
    """
    is_params = isinstance(networks, Mapping) and all(
        isinstance(each, Mapping) and "kernel" in each for each in networks.values()
    )
    if isinstance(networks, Mapping) and not is_params:
        return _of_mapping(networks, axes, axis)
    if all(hasattr(networks, name) for name in ("variables", "dims", "coords")):
        return _of_study(networks)
    if hasattr(networks, "params"):
        return _of_runs(networks)
    if isinstance(networks, tuple | list) and any(hasattr(each, "params") for each in networks):
        raise TypeError(
            f"explore takes one result of fit or fit_population, or several by name, but {len(networks)} were given "
            'without names. Give {name: run}, such as {1: first, 2: second} with axis="run".'
        )
    if isinstance(networks, Mapping) or (isinstance(networks, tuple | list) and networks):
        return _of_layers(*_read(networks), axes)
    raise TypeError(f"explore takes {_KINDS}, but {type(networks).__name__} was given.")


def _read(params: Any) -> tuple[Layers, Activations]:
    """The layers of networks, and the names of their activations if one of these is smooth."""
    named = named_layers(params) if isinstance(params, Mapping) else []
    names = [activation for _, activation, _ in named]
    if all(map(is_piecewise_linear, names)):
        return layers_of(params), None
    if any(num_pieces(name) > 1 for name in names):
        raise ValueError(
            f"the explorer shows maxout among piecewise linear layers only, but {', '.join(names)} follow."
        )
    layers = [jax.tree.map(np.asarray, layer) for _, _, layer in named]
    if names[-1] == "linear":
        return tuple(layers), tuple(names[:-1])
    bias = np.zeros_like(layers[-1].bias)
    kernel = np.broadcast_to(np.eye(bias.shape[-1], dtype=bias.dtype), (*bias.shape, bias.shape[-1]))
    return (*layers, Dense(kernel, bias)), tuple(names)


def _of_runs(runs: Any) -> Gathered:
    if getattr(runs, "snapshots", None) is not None:
        (layers, activations), steps = _read(runs.snapshots), np.asarray(runs.snapshot_steps)
    else:
        (first, activations), (last, _) = _read(runs.initial_params), _read(runs.params)
        ends = [first, last]
        leading = np.ndim(ends[0][0].bias) - 1
        layers = jax.tree.map(lambda *each: np.stack([np.asarray(a) for a in each], axis=leading), *ends)
        recorded = getattr(runs, "record_steps", None)
        steps = np.array([0, 1 if recorded is None else np.max(recorded)])
    is_one = np.ndim(layers[0].bias) == MATRIX
    layers = jax.tree.map(lambda array: np.asarray(array)[None] if is_one else np.asarray(array), layers)
    curves = {}
    for name, field in _RECORDS.items():
        values = getattr(runs, field, None)
        if values is not None:
            places = np.asarray(runs.record_steps)
            curves[name] = _curve(places if places.ndim == 1 else places[0], np.atleast_2d(values))
    axes = {} if is_one else {"seed": list(range(len(layers[0].bias)))}
    return Gathered(axes, steps if steps.ndim == 1 else steps[0], _grouped(layers, activations), curves)


def _of_layers(layers: Layers, activations: Activations, axes: Mapping[str, Sequence[Any]] | None) -> Gathered:
    leading = np.shape(layers[0].bias)[:-1]
    if axes is None:
        if len(leading) > MATRIX:
            raise ValueError(
                f"the layers have {len(leading)} leading axes, {leading}, whose names are not known. Give them, as in "
                'axes={"width": widths, "seed": seeds, "step": steps}.'
            )
        axes = {name: range(size) for name, size in zip((NETWORK, STEP), leading, strict=False)}
    sizes = tuple(len(values) for values in axes.values())
    if sizes != leading:
        raise ValueError(
            f"the layers have leading axes {leading}, but axes has {', '.join(axes) or 'no names'} of lengths {sizes}. "
            "Name all leading axes, in their order, with their values."
        )
    found = {name: list(values) for name, values in axes.items()}
    steps = np.asarray(found.pop(STEP, [0]))
    place = list(axes).index(STEP) if STEP in axes else None

    def ordered(array: np.ndarray) -> np.ndarray:
        array = np.expand_dims(array, len(sizes)) if place is None else np.moveaxis(array, place, len(found))
        return array.reshape(-1, len(steps), *array.shape[len(found) + 1 :])

    layers = jax.tree.map(lambda array: ordered(np.asarray(array)), layers)
    return Gathered(found, steps, _grouped(layers, activations), {})


def _of_study(study: Any) -> Gathered:
    found = _parameters(study.variables)
    if not found:
        raise ValueError(
            f"the study measured {', '.join(study.variables)}, but not the networks themselves. {_PARAMETERS}"
        )
    axes = {name: np.asarray(values).tolist() for name, values in study.coords.items() if name != STEP}
    steps = np.asarray(study.coords.get(STEP, [0]))
    num = int(np.prod([len(values) for values in axes.values()], dtype=int))

    def rows(variable: str) -> np.ndarray:
        array: np.ndarray = np.asarray(study.variables[variable], float)
        return array.reshape(num, len(steps), *array.shape[len(axes) + 1 :])

    weights = {layer: {part: rows(variable) for part, variable in parts.items()} for layer, parts in found.items()}
    groups: list[Group] = []
    for shapes in sorted({_shapes_of(weights, member) for member in range(num)} - {()}):
        members = np.array([member for member in range(num) if _shapes_of(weights, member) == shapes])
        groups += _grouped(*_read(_some_of(weights, members, dict(shapes))), members)
    used = {variable for parts in found.values() for variable in parts.values()}
    plain = [name for name, dims in study.dims.items() if tuple(dims) == (*axes, STEP) and name not in used]
    curves = {name.replace("_", " "): _curve(steps, rows(name)) for name in plain}
    return Gathered(axes, steps, groups, {name: c for name, c in curves.items() if np.isfinite(c.values).any()})


_PARAMETER = re.compile(r"(\w+?)_(dense\d+_.+)_(kernel|bias)")
_PARAMETERS = 'Measure them, as in measure={"params": jaxgeom.study.parameters()}.'


def _parameters(variables: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Variables of a study that hold the kernels and biases of networks, by layer and part; of the first such name."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for variable in variables:
        if match := _PARAMETER.fullmatch(variable):
            found.setdefault(match[1], {}).setdefault(match[2], {})[match[3]] = variable
    return next(iter(found.values()), {})


def _shapes_of(weights: Mapping[str, Mapping[str, np.ndarray]], member: int) -> tuple[tuple[str, tuple[int, int]], ...]:
    """The kernels that a network has, without what only others have: those entries are NaN."""
    known = {layer: np.isfinite(parts["kernel"][member, 0]) for layer, parts in weights.items()}
    return tuple((layer, (int(k.any(1).sum()), int(k.any(0).sum()))) for layer, k in known.items() if k.any())


def _some_of(weights: Mapping[str, Any], members: np.ndarray, shapes: Mapping[str, tuple[int, int]]) -> Params:
    """Parameters of networks of the same shapes."""
    return {
        layer: {
            part: array[members][..., :inputs, :outputs] if part == "kernel" else array[members][..., :outputs]
            for part, array in weights[layer].items()
        }
        for layer, (inputs, outputs) in shapes.items()
    }


def _of_mapping(networks: Mapping[Any, Any], axes: Any, axis: str) -> Gathered:
    """The networks of each value, with the frames and the curves that all values have."""
    parts = [gather(each, axes, axis) for each in networks.values()]
    first = parts[0]
    if axis in first.axes:
        raise ValueError(
            f"the networks have an axis {axis!r} of their own; give the dictionary's another name, axis=…."
        )
    for value, part in zip(networks, parts, strict=True):
        if part.axes != first.axes or not np.array_equal(part.steps, first.steps):
            raise ValueError(
                f"all values of {axis} need the same axes and steps, but {value!r} has {_shape(part)} where "
                f"{next(iter(networks))!r} has {_shape(first)}. Take the same seeds and snapshot_steps for all."
            )
    num = first.num_networks
    groups = [
        group._replace(members=group.members + num * place) for place, part in enumerate(parts) for group in part.groups
    ]
    curves = {
        name: Curve(curve.steps, np.concatenate([part.curves[name].values for part in parts]))
        for name, curve in first.curves.items()
        if all(name in part.curves and np.array_equal(part.curves[name].steps, curve.steps) for part in parts)
    }
    return Gathered({axis: list(networks), **first.axes}, first.steps, groups, curves)


def _shape(part: Gathered) -> str:
    sizes = [f"{len(values)} values of {name}" for name, values in part.axes.items()]
    return ", ".join([*sizes, f"{len(part.steps)} frames"])


def _curve(steps: np.ndarray, values: Any) -> Curve:
    chosen = np.unique(np.round(np.linspace(0, len(steps) - 1, MOST_RECORDS)).astype(int))
    return Curve(np.asarray(steps)[chosen], np.asarray(values, float)[:, chosen])


def _grouped(layers: Layers, activations: Activations, members: np.ndarray | None = None) -> list[Group]:
    """Networks by their widths, without padding and without those that are not finite."""
    layers = check_layers(jax.tree.map(lambda array: np.asarray(array, np.float32), layers))
    members = np.arange(len(layers[0].bias)) if members is None else members
    is_finite = np.all([np.isfinite(a).reshape(len(members), -1).all(axis=1) for a in jax.tree.leaves(layers)], axis=0)
    hidden = [_widths(layer, after) for layer, after in pairwise(layers)]
    widths = np.stack(hidden, axis=1) if hidden else np.zeros((len(members), 0), int)
    groups = []
    for shape in sorted(set(map(tuple, widths[is_finite].astype(int).tolist()))):
        alike = np.flatnonzero(is_finite & (widths == shape).all(axis=1))
        some = jax.tree.map(lambda array, alike=alike: np.asarray(array)[alike], layers)
        groups.append(Group(members[alike], _without_padding(some, shape), activations))
    return groups


def _widths(layer: Dense, after: Dense) -> Int[np.ndarray, " networks"]:
    """Units up to the last one that has weights, at least one: those after it are padding."""
    of_units = [np.abs(layer.kernel).max(axis=(1, 2)), np.abs(layer.bias).max(axis=1), np.abs(after.kernel).max((1, 3))]
    is_used = np.max(of_units, axis=0) > 0
    places = np.arange(1, is_used.shape[1] + 1)
    widths: Int[np.ndarray, " networks"] = np.maximum((is_used * places).max(axis=1, initial=1), 1)
    return widths


def _without_padding(layers: Layers, widths: Sequence[int]) -> Layers:
    sizes = [layers[0].kernel.shape[-2], *widths, layers[-1].bias.shape[-1]]
    return tuple(
        Dense(
            np.ascontiguousarray(layer.kernel[..., :inputs, :outputs]),
            np.ascontiguousarray(layer.bias[..., :outputs]),
            None if layer.slope is None else np.ascontiguousarray(layer.slope[..., :outputs]),
        )
        for layer, inputs, outputs in zip(layers, sizes[:-1], sizes[1:], strict=True)
    )


def thinned(found: Gathered, max_frames: int) -> Gathered:
    """The same with at most so many frames, evenly among them, the first and the last included."""
    chosen = np.unique(np.round(np.linspace(0, len(found.steps) - 1, max_frames)).astype(int))
    groups = [g._replace(layers=jax.tree.map(lambda array: array[:, chosen], g.layers)) for g in found.groups]
    return found._replace(steps=found.steps[chosen], groups=groups)


def with_curves(found: Gathered, curves: Mapping[str, tuple[Any, Any]]) -> Gathered:
    """The same with more numbers of every network.

    Raises:
        ValueError: unless there is one number for each network and step.
    """
    sizes = tuple(len(values) for values in found.axes.values())
    more = {}
    for name, (steps, values) in curves.items():
        records, numbers = np.asarray(steps), np.asarray(values, float)
        if records.ndim != 1 or not len(records) or numbers.shape != (*sizes, len(records)):
            raise ValueError(
                f"the curve {name!r} takes steps (records,) and numbers {(*sizes, 'records')}, one for each "
                f"network, but shapes {records.shape} and {numbers.shape} were given."
            )
        more[name] = _curve(records, numbers.reshape(found.num_networks, -1))
    return found._replace(curves=found.curves | more)


def first_units(layers: Layers) -> list[int]:
    """The number of the first unit of each hidden layer, counted through the network; last, how many there are."""
    return list(accumulate((layer.bias.shape[-1] for layer in layers[:-1]), initial=0))
