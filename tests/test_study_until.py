"""Studies that draw networks anew until they solve their task: the literal loop, resumed, as files, refused."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from mlp_truth import outputs_of

import jaxgeom as jg
from jaxgeom.recipes.study.file import study_arguments

WIDTHS, SEEDS = [2, 3], 20
DATA = jg.parity(2)
RIGHT = jg.study.all_right(is_right=jg.losses.side_is_right)


def weights(params: Any) -> dict[str, Any]:
    return {f"{name}_{leaf}": params[name][leaf] for name in params for leaf in params[name]}


def run(**changes: Any) -> jg.Study:
    arguments: dict[str, Any] = {
        "axes": {"width": WIDTHS, "seed": range(SEEDS), "learning_rate": 0.1},
        "measure": {"regions": jg.study.exact_regions(jg.box(-1, 1)), "weights": jg.study.pure(weights)},
        "data": DATA,
        "optimizer": optax.sgd,
        "loss": jg.losses.squared_error,
        "num_epochs": 60,
        "at_steps": [0, 60],
        "until": RIGHT,
        "progress": False,
    }
    return jg.run_study(**arguments | changes)


@pytest.fixture(scope="module")
def study() -> jg.Study:
    return run()


def literal_loop(width: int, seed: int, max_tries: int) -> tuple[Any, int, bool]:
    """The parameters, number and success of the last try of one network."""
    key, _ = jax.random.split(jax.random.fold_in(jax.random.key(0), seed))
    for number in range(max_tries):
        own = jax.random.fold_in(key, number)
        model = jg.mlp((2, width, 1))
        result = jg.fit(own, model, optax.sgd(0.1), jg.losses.squared_error, DATA, num_epochs=60, record=None)
        right = (np.sign(outputs_of(jax.tree.map(np.asarray, result.params), np.asarray(DATA.x))) == DATA.y).all()
        if right:
            break
    return result.params, number + 1, bool(right)


@pytest.mark.slow
@pytest.mark.parametrize("max_tries", [1, 100])
def test_networks_are_those_of_the_literal_loop(study: jg.Study, max_tries: int) -> None:
    found = study if max_tries == 100 else run(max_tries=max_tries)
    for row, width in enumerate(WIDTHS):
        for seed in range(0, SEEDS, 4):
            params, tries, is_solved = literal_loop(width, seed, max_tries)
            assert (found["tries"][row, seed], found["is_solved"][row, seed]) == (tries, is_solved)
            kernel = found["weights_dense0_relu_kernel"][row, seed, -1, :, :width]
            np.testing.assert_allclose(kernel, params["dense0_relu"]["kernel"], atol=1e-4)
    assert found["is_solved"].all() == (max_tries == 100)
    assert study["tries"].max() > 2
    assert found.dims["tries"] == found.dims["is_solved"] == ("width", "seed")
    assert found["tries"].dtype.kind == "i"
    assert found.settings["description"]["max_tries"] == max_tries


@pytest.mark.slow
def test_chunks_and_interruptions_change_nothing(study: jg.Study, tmp_path: Path) -> None:
    run(chunk_size=7, out=tmp_path)
    (tmp_path / "chunk-00003.npz").unlink()
    (tmp_path / "result.npz").unlink()
    found = run(chunk_size=7, out=tmp_path)
    for name in ("tries", "is_solved", "regions"):
        np.testing.assert_array_equal(found[name], study[name])


def test_initial_networks_are_drawn_anew_without_training() -> None:
    found = jg.run_study(
        {"width": 3, "seed": range(50)},
        {"first": lambda params: params["dense0_relu"]["bias"][0]},
        until=lambda params: params["dense0_relu"]["bias"][0] > 0,
        inputs=2,
        progress=False,
    )
    assert (found["first"] > 0).all()
    assert 1.3 < found["tries"].mean() < 3  # 2 on average, give or take four standard errors of 0.2


def test_files_say_until_when() -> None:
    file = {"axes": {"width": [2]}, "measure": {"r": {"what": "exact_regions", "domain": [-1, 1]}}}
    found = study_arguments(file | {"train": {"until": "side_is_right", "max_tries": 3}})
    assert found["max_tries"] == 3
    assert found["until"] is not None
    with pytest.raises(ValueError, match="until in \\[train\\] must be one of is_right"):
        study_arguments(file | {"train": {"until": "sometimes"}})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"until": 3}, "until must be a function"),
        ({"until": lambda params: params["dense0_relu"]["bias"][0]}, "until must say true or false .* float32"),
        ({"until": lambda params: params["dense0_relu"]["bias"] > 0}, r"until must say true or false .* bool of shape"),
        ({"max_tries": 0}, "max_tries must be a positive integer"),
        ({"until": lambda weather: True}, "the measurement 'until' takes weather, which the study does not have"),
        ({"measure": {"tries": lambda params: 1}}, r"the names \['tries'\] are used"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        run(**changes)
