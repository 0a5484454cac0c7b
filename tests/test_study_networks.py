"""Networks of a study, made again from its variables: those drawn alone from the study's keys, without padding."""

from functools import partial
from typing import Any

import jax
import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom.study import networks, parameters


def study_of(axes: dict[str, Any], **settings: Any) -> jg.Study:
    return jg.run_study(axes, {"params": parameters()}, inputs=2, key=7, progress=False, **settings)


def drawn(seed: int, *hidden: int, **settings: Any) -> Any:
    """The network of a seed by the rule for keys: seed and try alone decide it, not its neighbours."""
    key, _ = jax.random.split(jax.random.fold_in(jax.random.key(7), seed))
    return jg.mlp((2, *hidden, 1), **settings).init(key)


def assert_same(first: Any, second: Any) -> None:
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "maxout"])
def test_networks_are_those_drawn_alone(activation: str) -> None:
    study = study_of({"width": [3, 4, 9], "seed": [0, 5]}, model=partial(jg.mlp, activation=activation))
    for width in (3, 4, 9):  # 3 is padded to 4, and both are filled up to 9
        for seed in (0, 5):
            found = networks(study, width=width, seed=seed, step=0)
            assert_same(found, drawn(seed, width, activation=activation))
    of_both = networks(study, width=4, step=0)
    assert_same(jax.tree.map(lambda leaf: leaf[1], of_both), drawn(5, 4, activation=activation))


@pytest.mark.slow
def test_narrow_networks_among_wide_ones_compute_the_same() -> None:
    study = study_of({"width": [3, 4, 9], "seed": [0, 5]})
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    together = networks(study, seed=5, step=0)
    assert together["dense0_relu"]["kernel"].shape == (3, 2, 9)
    for row, width in enumerate((3, 4, 9)):
        ours = jg.mlp((2, 9, 1)).apply(jax.tree.map(lambda leaf, row=row: leaf[row], together), x)
        np.testing.assert_allclose(ours, jg.mlp((2, width, 1)).apply(drawn(5, width), x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_networks_of_several_layers() -> None:
    study = study_of({"hidden": [(2, 5), (9,)], "seed": [1]})
    assert_same(networks(study, hidden="2-5", seed=1, step=0), drawn(1, 2, 5))
    assert_same(networks(study, hidden="9", seed=1, step=0), drawn(1, 9))
    deep = study_of({"width": 3, "depth": [1, 2], "seed": [1]})
    assert_same(networks(deep, depth=2, seed=1, step=0), drawn(1, 3, 3))


def test_networks_that_are_not_finished_are_nan() -> None:
    study = study_of({"width": [2, 3], "seed": [0, 1]})
    for array in study.variables.values():
        if array.dtype.kind == "f":
            array[0, 1] = np.nan
    found = networks(study, width=2, step=0)
    assert all(np.isnan(leaf[1]).all() and np.isfinite(leaf[0]).all() for leaf in jax.tree.leaves(found))


def test_what_no_networks_can_be_made_of_is_refused() -> None:
    study = study_of({"width": [2], "seed": [0]})
    with pytest.raises(ValueError, match=r"parameters\(\), but 'weights' is none"):
        networks(study, name="weights")


def test_populations_can_be_measured_at_some_steps_only() -> None:
    count = jg.study.exact_regions(jg.box(-1, 1))
    given: dict[str, Any] = {
        "axes": {"width": [3], "seed": range(2)},
        "data": jg.parity(2),
        "optimizer": optax.sgd(0.1),
        "loss": jg.losses.squared_error,
        "num_epochs": 2,
        "at_steps": [0, 1, 2],
        "progress": False,
    }
    study = jg.run_study(measure={"all": count, "last": count._replace(steps=(2,))}, **given)
    assert study.dims["last"] == study.dims["all"]
    np.testing.assert_array_equal(study["last"][..., 2], study["all"][..., 2])
    assert np.isnan(study["last"][..., :2]).all()
    for measure in (count._replace(steps=(3,)), jg.study.parameters()._replace(steps=(2,))):
        with pytest.raises(ValueError, match="the steps of the measurement 'a' must be some of at_steps"):
            jg.run_study(measure={"a": measure}, **given)


def test_weights_of_nested_trees_are_variables_by_their_places(tmp_path: Any) -> None:
    def model() -> Any:
        inner = jg.mlp((2, 3, 1))
        return inner._replace(
            init=lambda key: {"block": {"one": inner.init(key), "scale": [jax.numpy.ones(2), jax.numpy.zeros(1)]}},
            apply=lambda params, x: inner.apply(params["block"]["one"], x),
            is_mlp=False,
        )

    found = study_of({"seed": range(3)}, model=model, out=tmp_path / "out")
    kernel = jg.study.load(tmp_path / "out")["params_block_one_dense0_relu_kernel"]
    np.testing.assert_array_equal(kernel[1, 0], drawn(1, 3)["dense0_relu"]["kernel"])
    assert found["params_block_scale_0"].shape == (3, 1, 2)
    assert len([name for name in found.variables if name.startswith("params")]) == 6
