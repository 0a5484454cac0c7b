"""What holds for every public function: the order and kinds of its arguments, the kind of its arrays, no global state.

The functions are called as in the examples of their docstrings, which ``test_docstrings.py`` finds.
"""

import doctest
import functools
import inspect
import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse
import scipy.special  # noqa: F401  both add a filter of warnings
from test_docstrings import EXAMPLES, OPTIONS

import jaxgeom as jg

ROOMS: tuple[Any, ...] = (jg, jg.convert, jg.datasets, jg.losses, jg.plot, jg.study)
# Sizes and numbers of a function whose only subject they are.
POSITIONAL = {"grid_lines", "grid_points", "new_axes", "parity", "pca", "train_spirals", "xor_study"}


def functions_of(room: Any) -> dict[str, Callable[..., Any]]:
    """The public functions of a module, its own or those that it lists."""
    names = getattr(room, "__all__", None) or [name for name in vars(room) if not name.startswith("_")]
    found = {name: getattr(room, name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if inspect.isfunction(value) and (hasattr(room, "__all__") or value.__module__ == room.__name__)
    }


FUNCTIONS = [(room, name) for room in ROOMS for name in functions_of(room)]


@pytest.mark.parametrize(("room", "name"), FUNCTIONS, ids=[f"{room.__name__}.{name}" for room, name in FUNCTIONS])
def test_arguments_come_in_one_order(room: Any, name: str) -> None:
    parameters = list(inspect.signature(getattr(room, name)).parameters.values())
    for place, parameter in enumerate(parameters):
        is_named = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if parameter.name in ("key", "keys"):
            assert place == 0 or is_named, "a key comes first"
        is_size = parameter.name.startswith(("num", "max_", "min_")) or parameter.name.endswith(("_size", "capacity"))
        is_flag = isinstance(parameter.default, bool)
        has_default = parameter.default is not inspect.Parameter.empty
        if (is_size and has_default and name not in POSITIONAL) or is_flag:
            assert is_named, f"{parameter.name} is given by name"


def flags_of(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters that are true or false."""
    kinds = (bool, "bool", "bool | None", bool | None)
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.annotation in kinds]


FLAGS = [(getattr(room, name), flag) for room, name in FUNCTIONS for flag in flags_of(getattr(room, name))]


@pytest.mark.parametrize(("function", "flag"), FLAGS, ids=[f"{f.__name__}-{flag}" for f, flag in FLAGS])
@pytest.mark.parametrize("value", ["no", 1, None, np.zeros(1, bool)], ids=repr)
def test_flags_are_true_or_false(function: Callable[..., Any], flag: str, value: Any, unchecked: None) -> None:
    if value is None and inspect.signature(function).parameters[flag].default is None:
        return
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind not in several]
    needed = {parameter.name: None for parameter in parameters if parameter.default is inspect.Parameter.empty}
    with pytest.raises(TypeError, match=f"^{flag} must be True or False, but "):
        function(**needed, **{flag: value})


def arrays_in(value: Any) -> Iterator[Any]:
    if isinstance(value, jax.Array | np.ndarray):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from arrays_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from arrays_in(item)


def is_host(function: Callable[..., Any]) -> bool:
    return (inspect.getdoc(inspect.getmodule(function)) or "").startswith("[host]")


def global_state() -> dict[str, Any]:
    """What a function could change behind the back of its caller."""
    return {
        "jax": dict(jax.config.values),
        "matplotlib": dict(mpl.rcParams),
        "numpy": (np.geterr(), np.get_printoptions(), np.random.get_state()[1].tolist()),  # noqa: NPY002
        "random": random.getstate(),
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "warnings": list(warnings.filters),
    }


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Callable[..., Any], Any]]:
    """The results of all calls of public functions from outside, with these functions."""
    found: list[tuple[Callable[..., Any], Any]] = []

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            found.append((function, result))
            return result

        return call

    for room, name in FUNCTIONS:
        monkeypatch.setattr(room, name, recorded(getattr(room, name)))
    return found


# Files that hold functions of the host; the others take longer, and return what JAX computes.
HOST = [file for file in EXAMPLES if (Path(jg.__file__).parent / file).read_text().startswith('"""[host]')]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("file", HOST)
def test_host_functions_return_numpy_arrays_and_nothing_changes_global_state(
    file: str, results: list[tuple[Callable[..., Any], Any]]
) -> None:
    plt.figure()  # matplotlib sets up its back end
    before = global_state()
    for function, text in EXAMPLES[file].items():
        test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, function, file, 0)
        assert not doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=[].append).failed
    plt.close("all")
    after = global_state()
    assert [name for name in before if before[name] != after[name]] == []
    called = {function.__name__ for function, _ in results}
    assert called & set(EXAMPLES[file]) or not set(EXAMPLES[file]) & {name for _, name in FUNCTIONS}
    for function, result in results:
        if is_host(function):
            assert [type(array) for array in arrays_in(result) if isinstance(array, jax.Array)] == [], function.__name__


def test_there_are_many() -> None:
    assert len(FUNCTIONS) > 150
    assert len(HOST) > 10
