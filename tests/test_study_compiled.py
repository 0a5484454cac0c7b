"""Programs of studies: compiled once for a description, and anew whenever what they compute is something else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom.study import compiled


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each program that is made, in order, how often it was traced, as it is once for each compilation."""
    traced: list[int] = []
    original = compiled.for_population

    def for_population(function: Callable[..., Any]) -> Any:
        number = len(traced)
        traced.append(0)

        def counted(*arguments: Any) -> Any:
            traced[number] += 1
            return function(*arguments)

        return original(counted)

    monkeypatch.setattr(compiled, "for_population", for_population)
    compiled._programs.clear()
    return traced


def run(**changes: Any) -> jg.Study:
    arguments: dict[str, Any] = {
        "axes": {"width": [3], "seed": range(4), "learning_rate": [0.1]},
        "measure": {"loss": jg.study.loss_on()},
        "data": jg.parity(2),
        "optimizer": optax.sgd,
        "loss": jg.losses.squared_error,
        "num_epochs": 5,
        "at_steps": [0, 5],
        "progress": False,
    }
    return jg.run_study(**arguments | changes)


def test_the_same_description_is_compiled_once(made: list[int]) -> None:
    def shifted(shift: float) -> Any:
        return lambda params, train, apply: jnp.mean(apply(params, train.x)) + shift

    first = run(measure={"mean": shifted(0.0)})
    more = run(measure={"mean": shifted(0.0)}, axes={"width": [3], "seed": range(2, 9), "learning_rate": [0.1, 0.4]})
    assert made == [1]
    np.testing.assert_array_equal(more["mean"][:, :2, 0], first["mean"][:, 2:, 0])
    assert (more["mean"][..., 0, 1] != more["mean"][..., 1, 1]).all()
    other = run(measure={"mean": shifted(1.0)})
    assert made == [1, 1]
    np.testing.assert_allclose(other["mean"], first["mean"] + 1, rtol=1e-6)


def test_what_a_file_says_now_counts(made: list[int], tmp_path: Path) -> None:
    path = tmp_path / "points.npy"

    def data() -> jg.Dataset:
        points = jnp.asarray(np.load(path), jnp.float32)
        return jg.Dataset(points, points.sum(axis=1))

    def mean(params: Any, train: Any) -> Any:
        return jnp.mean(train.x) + 0 * params["dense0_relu"]["bias"][0]

    for number in (1.0, 1.0, 5.0):
        np.save(path, np.full((6, 2), number))
        assert (run(data=data, measure={"mean": mean})["mean"] == number).all()
    assert made == [1, 1]


def test_few_programs_are_kept(made: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST_PROGRAMS", 2)
    for number in (1, 2, 1, 3, 1, 2):  # the last one was dropped for 3, as the one not used for longest
        run(at_steps=[0], optimizer=None, axes={"width": [3]}, key=number)
    assert made == [1] * 4
    assert len(compiled._programs) == 2
    monkeypatch.setattr(compiled, "MOST_BYTES", 4 * 4 * 3 - 1)  # four points of two inputs and a target are 48 bytes
    run(at_steps=[0], optimizer=None, axes={"width": [3]})
    assert not compiled._programs
