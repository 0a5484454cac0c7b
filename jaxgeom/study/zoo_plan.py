"""[host] What a zoo holds, before anything is trained: its settings checked, and its networks in groups and shards.

Networks are numbered in C order over the axes. Those that differ in the seed or the learning rate alone make a group,
with one architecture and one data set, and are saved in shards of one size; so the place of a network follows from its
number, and nothing is kept of single networks.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxgeom._reprs import readable
from jaxgeom.host.names import check_name, did_you_mean
from jaxgeom.networks.models import ACTIVATIONS, INITIALIZERS
from jaxgeom.study.layout import layout_of
from jaxgeom.study.zoo_data import LEAST_POINTS, SOURCES, TARGETS
from jaxgeom.training.optimizers import NAMED_OPTIMIZERS

SETTINGS: dict[str, Any] = {
    "data": "spirals",
    "noise": 0.2,
    "target": "labels",
    "num_points": 3000,
    "train_fraction": 0.8,
    "data_seed": 0,
    "width": 10,
    "depth": 2,
    "activation": "relu",
    "init": "pytorch",
    "optimizer": "adam",
    "learning_rate": 0.01,
    "batch_size": 32,
    "num_epochs": 10,
    "seed": 0,
}
"""What can be an axis of a zoo, and what it is where it is not given."""
OF_DATA = ("data", "noise", "target", "num_points", "train_fraction", "data_seed")
OF_NETWORK = ("learning_rate", "seed")
"""Axes along which networks share a program, a data set and a group."""
_NAMES: dict[str, Sequence[str]] = {
    "data": tuple(SOURCES),
    "target": TARGETS,
    "activation": tuple(name for name in ACTIVATIONS if name != "maxout"),
    "init": tuple(INITIALIZERS),
    "optimizer": tuple(NAMED_OPTIMIZERS),
}
_MEMBER_BYTES = 50
"""What the host holds for each network while a zoo is made."""


@readable
class Plan(NamedTuple):
    """The settings of a zoo, and how its networks are grouped."""

    values: dict[str, Sequence[Any]]
    """Values along each axis, in order."""
    fixed: dict[str, Any]
    """Settings that all networks share; with the axes, all of :data:`SETTINGS`."""
    shared: tuple[str, ...]
    """Axes of which each group has one value."""
    groups: list[dict[str, Any]]
    """The settings of each group, without those of single networks."""
    members: Int[np.ndarray, "groups rows"]
    """Numbers of the networks of each group."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(len, self.values.values()))

    def of_networks(self, members: np.ndarray) -> dict[str, np.ndarray]:
        """Seeds and learning rates of networks, by their numbers."""
        places = self._places(members)
        found = {}
        for name, dtype in (("seed", np.uint32), ("learning_rate", np.float32)):
            values = self.values.get(name, [self.fixed.get(name)])
            found[name] = array_of(values).astype(dtype)[places.get(name, np.zeros(len(members), np.int64))]
        return found

    def places_of(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Group and row of networks, by their numbers."""
        group, row = np.zeros_like(members), np.zeros_like(members)
        for name, index in self._places(members).items():
            length = len(self.values[name])
            if name in self.shared:
                group = group * length + index
            else:
                row = row * length + index
        return group, row

    def _places(self, members: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.values, np.unravel_index(members, self.shape), strict=True)) if self.values else {}


def plan_of(axes: Mapping[str, Any]) -> Plan:
    """Check the axes of a zoo, and group its networks.

    Raises:
        TypeError: for axes that are no dictionary.
        ValueError: for an axis that no zoo has, values that it cannot take, and more networks than there is memory for.
    """
    if not isinstance(axes, Mapping) or not all(isinstance(name, str) for name in axes):
        raise TypeError(f"axes must be a dictionary of values by name, such as {{'width': [8, 10]}}, but got {axes!r}.")
    for name in axes:
        check_name("an axis of a zoo", name, SETTINGS)
    many = [name for name, given in axes.items() if not isinstance(given, str) and np.iterable(given)]
    static = [name for name in many if name not in OF_NETWORK]
    layout = layout_of(axes, static, has_architecture=False, member_bytes=_MEMBER_BYTES)
    for name, given in {**layout.values, **{name: [value] for name, value in layout.fixed.items()}}.items():
        for value in given if name != "seed" else given[:1]:  # seeds are checked, one and all
            _check_value(name, value)
    return grouped(
        layout.values, {name: layout.fixed.get(name, SETTINGS[name]) for name in SETTINGS if name not in many}
    )


def grouped(values: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any]) -> Plan:
    """The networks of all combinations of these values in groups."""
    shared = tuple(name for name in values if name not in OF_NETWORK)
    groups = []
    for combination in itertools.product(*(values[name] for name in shared)):
        own = dict(fixed) | dict(zip(shared, combination, strict=True))
        groups.append({name: own[name] for name in SETTINGS if name not in OF_NETWORK})
    names, lengths = list(values), list(map(len, values.values()))
    order = [names.index(name) for name in (*shared, *(name for name in names if name not in shared))]
    members = np.arange(math.prod(lengths)).reshape(lengths).transpose(order).reshape(len(groups), -1)
    return Plan(dict(values), dict(fixed), shared, groups, members)


def _check_value(name: str, value: Any) -> None:
    """Raise a ValueError unless a setting can have a value."""
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    is_integer = is_number and value == int(value) and isinstance(value, int)
    if name in _NAMES:
        wanted, is_right = f"one of {', '.join(_NAMES[name])}", isinstance(value, str) and value in _NAMES[name]
        if name == "activation" and is_number:
            is_right = True
    elif name in ("seed", "data_seed"):
        wanted, is_right = "an integer from 0 to 2³² - 1", is_integer and 0 <= value < 2**32
    elif name == "num_points":
        wanted, is_right = f"an integer of at least {LEAST_POINTS}", is_integer and value >= LEAST_POINTS
    elif name == "train_fraction":
        wanted, is_right = "a number above 0 and below 1", is_number and 0 < value < 1
    elif name in ("noise", "learning_rate"):
        wanted, is_right = "a number that is not negative", is_number and value >= 0
    else:
        wanted, is_right = "a positive integer", is_integer and value >= 1
    if not is_right:
        near = did_you_mean(value, _NAMES.get(name, ()))
        raise ValueError(f"{name} of a zoo must be {wanted}, but {value!r} was given.{near}")


def array_of(values: Sequence[Any]) -> np.ndarray:
    """Values of an axis as an array; of a range at once, since NumPy takes it number by number."""
    return np.arange(values.start, values.stop, values.step) if isinstance(values, range) else np.array(values)


def as_json(values: Sequence[Any]) -> Any:
    """Values of an axis, short where they are a range."""
    if len(values) > 1 and all(type(value) is int for value in values):
        step = values[1] - values[0]
        if list(values) == list(range(values[0], values[-1] + step, step)):
            return {"start": values[0], "stop": values[-1] + step, "step": step}
    return list(values)


def from_json(values: Any) -> Any:
    """The values again."""
    return range(values["start"], values["stop"], values["step"]) if isinstance(values, dict) else values
