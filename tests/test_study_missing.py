"""What was not measured is missing, names that collide are refused, and files that are damaged say so."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import study_program

import jaxgeom as jg
from jaxgeom.study import demand, store
from jaxgeom.study import run as study_run
from jaxgeom.study.missing import filled, or_nan


def run(measure: Any, axes: Any = None, **options: Any) -> jg.Study:
    return jg.run_study(axes or {"width": [2, 5], "seed": [0, 1]}, measure, inputs=2, progress=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, jg.Study]:
    directory = tmp_path_factory.mktemp("missing") / "study"
    measure = {"regions": jg.study.exact_regions(jg.box(-1, 1)), "is_positive": lambda params: jnp.bool_(True)}
    return directory, run(measure, {"width": [2, 3], "seed": range(5)}, out=directory, chunk_size=2)


@pytest.fixture
def copy(finished: tuple[Path, jg.Study], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path / "copy"))


def test_counts_of_an_unfinished_study_are_never_numbers(finished: tuple[Path, jg.Study], copy: Path) -> None:
    (copy / store.RESULT).unlink()
    for number in (0, 3, 4):
        store.chunk_path(copy, number).unlink()
    found, whole = jg.study.load(copy), finished[1]
    done = found.is_finished
    assert done.shape == (2, 5)
    assert done.sum() == 4
    for name in whole.variables:
        np.testing.assert_array_equal(found[name][done], whole[name][done])
        assert np.isnan(found[name][~done]).all()
        assert np.isnan(np.mean(found[name]))
        assert np.isnan(np.median(found[name]))
    assert np.nanmean(found["regions"]) == whole["regions"][done].mean()
    assert "10 networks, 4 finished (40 %)" in repr(found)
    assert "4 finished (40 %)" in found._repr_html_()
    again = jg.study.load(jg.study.save(found, copy / "part.npz"))
    np.testing.assert_array_equal(again.is_finished, done)
    np.testing.assert_array_equal(jg.study.from_xarray(jg.study.to_xarray(found)).is_finished, done)
    np.testing.assert_array_equal(jg.study.load(jg.study.save(found, copy / "part.nc")).is_finished, done)
    np.testing.assert_array_equal(jg.study.select(found, width=3, seed=[4, 0]).is_finished, done[1, [4, 0]])
    first, second = jg.study.select(found, seed=[0, 1, 2]), jg.study.select(found, seed=[3, 4])
    np.testing.assert_array_equal(jg.study.merge(first, second).is_finished, done)
    assert whole.is_finished.all()
    assert whole["regions"].dtype.kind == "i"
    assert whole["is_positive"].dtype == bool


def test_networks_that_are_not_finite_have_no_counts() -> None:
    def broken(features: Any, scale: Any) -> jg.Model:
        model = jg.mlp(features)
        return model._replace(init=lambda key: jax.tree.map(lambda leaf: scale * leaf, model.init(key)), is_mlp=False)

    measure = {
        "exact": jg.study.exact_regions(jg.box(-1, 1), min_area=0.01),
        "grid": jg.study.grid_regions(jg.grid_points(jg.box(-1, 1), 5)),
        "bends": jg.study.line_breakpoints(np.array([[-1.0, -1.0]]), np.array([[1.0, 1.0]])),
        "length": jg.study.boundary_lengths(jg.box(-1, 1)),
    }
    axes = {"width": 3, "scale": [1.0, 3e38], "seed": [0, 1, 2]}  # of products of weights beyond the largest float32
    study = run(measure, axes, model=broken)
    bad = study["exact"][1]
    assert np.isnan(bad).all() or (bad > 0).all()
    for name, array in study.variables.items():
        if name != "diverged_step":
            assert not (np.asarray(array, float) < 0).any(), name
    layers = jg.layers_of(jg.mlp((2, 3, 1)).init(jax.random.key(0)))
    params = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * jnp.nan]), layers)
    counted = measure["exact"].function(params)
    for name in ("", "degenerate", "large"):
        assert np.isnan(counted[name][1]), name
        assert counted[name][0] >= 0
    assert np.isnan(measure["grid"].function(params)["patterns"][1])
    assert np.isnan(measure["bends"].function(params)[1]).all()


@pytest.mark.slow
def test_entries_that_only_some_networks_have() -> None:
    def of_units(params: Any) -> dict[str, Any]:
        kernel = params["dense0_relu"]["kernel"]
        return {"number": jnp.arange(kernel.shape[1]), "is_on": kernel[0] > -10}

    study = run({"unit": of_units}, {"width": [2, 20], "seed": [0]})
    assert study["unit_number"].shape == (2, 1, 1, 20)
    np.testing.assert_array_equal(study["unit_number"][0, 0, 0], [0, 1] + [np.nan] * 18)
    assert study["unit_is_on"][0, 0, 0, :2].tolist() == [1, 1]
    assert np.isnan(study["unit_is_on"][0, 0, 0, 2:]).all()
    depths = run(
        {"weights": lambda params: {name: leaf["bias"] for name, leaf in params.items()}}, {"width": 2, "depth": [1, 2]}
    )
    assert np.isnan(depths["weights_dense2_linear"][0]).all()  # a variable of deep networks alone
    assert np.isfinite(depths["weights_dense2_linear"][1]).all()
    with pytest.raises(ValueError, match="has 2 axes for some networks and 3 for others"):
        run(
            {"m": lambda params: params["dense0_relu"]["kernel" if len(params) > 2 else "bias"]},
            {"width": 2, "depth": [1, 2]},
        )


def test_missing_values_by_type() -> None:
    where = [(np.array([1]), None)]
    for value, missing in ((3, np.nan), (True, np.nan), (1.5, np.nan), ("x", ""), (np.datetime64("2020"), "NaT")):
        array = np.array([value])
        whole = filled([2], [(where[0][0], array)], "it")
        assert whole[1] == value
        assert str(whole[0]) == str(missing)
    np.testing.assert_array_equal(filled([2], [(slice(0, 2), np.array([2**60, 1]))], "it"), [2**60, 1])
    with pytest.raises(ValueError, match="beyond 2⁵³"):
        filled([2], [(np.array([1]), np.array([2**60]))], "it")
    assert or_nan(np.array([1, 2]), np.array([True, True])).dtype.kind == "i"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ({"r": jg.study.exact_regions(jg.box(-1, 1)), "r_degenerate": lambda params: 1.0}, "'r_degenerate'"),
        ({"a": lambda params: {"b": 1.0}, "a_b": lambda params: 2.0}, "the variable 'a_b'"),
        ({"a": lambda params: {"": 1.0, "b_c": 2.0}, "a_b": lambda params: {"c": 1.0}}, "the variable 'a_b_c'"),
        ({"a": lambda params: {1: 1.0, "1": 2.0}}, "the variable 'a_1'"),
        ({"a": jg.study.of_population(lambda layers: {"b": np.zeros(len(layers[0].bias))}), "a_b": lambda params: 2.0},
         "the variable 'a_b'"),
        ({"diverged": lambda params: {"step": 1.0}}, "the variable 'diverged_step'"),
        ({"learning": lambda params, learning_rate: {"rate": 1.0}}, "the variable 'learning_rate'"),
        ({"learning": jg.study.of_population(lambda layers, learning_rate: {"rate": learning_rate})},
         "the variable 'learning_rate'"),
        ({"is_finished": lambda params: 1.0}, "is_finished"),
        ({"a/b": lambda params: 1.0}, "without slashes"),
        ({"": lambda params: 1.0}, "without slashes"),
        ({"a": jg.study.of_population(lambda layers: np.array([None] * len(layers[0].bias)))}, "cannot be saved"),
        ({"a": jg.study.accuracy_on("test")}, "takes test, .* pass test="),
        ({"a": jg.study.loss_on()}, "takes train, .* pass data="),
        ({"a": jg.study.of_population(lambda layers, apply: 1)}, "takes apply"),
    ],
)  # fmt: skip
def test_colliding_names_and_what_cannot_be_measured(measure: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(measure, {"width": 2, "learning_rate": [0.5, 1.0]} if "learning" in measure else None)


def test_names_that_the_files_use_themselves(tmp_path: Path) -> None:
    names = ("params", "members", "sha256", "file", "allow_pickle", "about")
    measure: dict[str, Any] = {name: lambda params: jnp.sum(params["dense0_relu"]["kernel"]) for name in names}
    measure["first"] = jg.study.of_population(lambda layers: np.asarray(layers[0].kernel)[:, 0, 0])
    found = run(measure, out=tmp_path / "out")
    (tmp_path / "out" / store.RESULT).unlink()
    again = jg.study.load(tmp_path / "out")
    for name in names:
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], found["params"])
        np.testing.assert_array_equal(again[name], found["params"])


def test_types_that_files_do_not_know(tmp_path: Path) -> None:
    measure = {"half": lambda params: jnp.bfloat16(1.5), "four": lambda params: jnp.int4(-3)}
    first = run(measure, out=tmp_path / "out")
    assert first["half"].dtype == np.float32
    assert (first["half"] == 1.5).all()
    assert (first["four"] == -3).all()
    (tmp_path / "out" / store.RESULT).unlink()
    assert run(measure, out=tmp_path / "out")["half"].tobytes() == first["half"].tobytes()


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"width": 2, "x": [0.1, 0.1 + 1e-10]}, r"0\.1 and 0\.1000000001 are one number"),
        ({"width": 2, "x": [16777216.0, 16777217]}, "are one number"),
        ({"width": 2, "x": [0.0, -0.0]}, "same number"),
        ({"width": 2, "x": [1, 1.0]}, "same number"),
        ({"width": 2, "x": [1, True]}, "same number"),
        ({"width": 2, "x": [1e-50]}, "becomes zero"),
        ({"width": 2, "x": [1e-40, 2e-40]}, "becomes zero"),
        ({"width": 2, "x": [1e39, 1.0]}, "infinite"),
        ({"width": 2, "x": [1, 2**31]}, "array of int32"),
        ({"width": 2, "x": [-(2**31) - 1]}, "array of int32"),
        ({"width": 2, "x": [float("nan"), 1.0]}, "with NaN"),
        ({"width": 2, "seed": range(10**12)}, r"1,000,000,000,000 networks .* of memory are free"),
        ({"width": 2, "seed": range(10**30)}, "networks"),
        ({"width": 10**9}, "1,000,000,000 units takes .* of memory are free"),
        ({"width": 2, "depth": 100_000}, "100,000 hidden layers"),
        ({"hidden": [(2,) * 100_000]}, "100,000 hidden layers"),
    ],
)
def test_axes_that_cannot_be_what_they_say(axes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run({"m": lambda params, x=0: x}, axes)


def test_extreme_axis_values_that_are_right() -> None:
    study = run(
        {"m": lambda params, x, n: {"x": x, "n": n}}, {"width": 2, "x": [1e-37, 3e38], "n": [-(2**31), 2**31 - 1]}
    )
    np.testing.assert_array_equal(study["m_x"][:, 0, 0], np.float32([1e-37, 3e38]))
    assert study["m_n"][0, :, 0].tolist() == [-(2**31), 2**31 - 1]


def test_a_study_without_an_axis(tmp_path: Path) -> None:
    study = run({"m": lambda params: {"": 1.0, "two": jnp.ones(2)}}, {"width": 2, "seed": 3}, out=tmp_path / "out")
    assert study.dims["m"] == ("step",)
    assert study["m"].tolist() == [1.0]
    assert study["m_two"].shape == (1, 2)
    assert study.is_finished.shape == ()
    assert study.is_finished
    many = run({"m": lambda params: jnp.sum(params["dense0_relu"]["kernel"])}, {"width": [2], "seed": [3, 4]})
    one = run({"m": lambda params: jnp.sum(params["dense0_relu"]["kernel"])}, {"width": 2, "seed": 3})
    np.testing.assert_allclose(one["m"], many["m"][0, 0], rtol=1e-6)
    assert jg.study.load(tmp_path / "out")["m"].tolist() == [1.0]
    assert jg.study.load(jg.study.save(study, tmp_path / "a.nc"))["m"].tolist() == [1.0]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "changes",
    [
        {"at_steps": 3}, {"at_steps": "all"}, {"at_steps": [0.5]}, {"key": "a"}, {"key": 0.5}, {"chunk_size": "a"},
        {"chunk_size": True}, {"num_epochs": 2.5}, {"static": "seed"}, {"static": 3}, {"axes": [1]}, {"measure": [1]},
        {"inputs": "a"},
    ],
)  # fmt: skip
def test_arguments_of_another_kind(changes: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"axes": {"width": 2}, "measure": {"m": lambda params: 1.0}, "inputs": 2}
    with pytest.raises(TypeError, match="was given"):
        jg.run_study(**arguments | changes, progress=False)


@pytest.mark.parametrize(
    "changes", [{"key": -1}, {"key": 2**32}, {"at_steps": [-1]}, {"at_steps": []}, {"chunk_size": 0}]
)
def test_numbers_out_of_range(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="given"):
        run({"m": lambda params: 1.0}, **changes)


def test_too_little_memory_is_said_with_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "free_memory", lambda: 100_000)
    with pytest.raises(ValueError, match=r"variables of 4 networks take 160 kB, but 100 kB of memory are free"):
        run({"m": lambda params: jnp.zeros(10_000)}, chunk_size=1) if demand.check_results(4, 40_000) is None else None
    with pytest.raises(ValueError, match="1,000 networks"):
        run({"m": lambda params: 1.0}, {"width": 2, "seed": range(1000)})


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "garbage": lambda content: b"x" * 300,
    "json": lambda content: b"{}",
    "list": lambda content: b"[]",
    "description": lambda content: b'{"description": {}}',
    "deep": lambda content: b"[" * 100_000,
    "text": lambda content: b"\xff\xfe\x00",
    "another number": lambda content: content.replace(b'"num_chunks": 5', b'"num_chunks": 4'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_or_result_is_one_error(damage: str, finished: tuple[Path, jg.Study], copy: Path) -> None:
    result, manifest = copy / store.RESULT, copy / store.MANIFEST
    whole = result.read_bytes()
    result.write_bytes(DAMAGES[damage](whole))
    if result.read_bytes() != whole:
        with pytest.raises(ValueError, match="is damaged, or no study"):
            jg.study.load(result)
    np.testing.assert_array_equal(jg.study.load(copy)["regions"], finished[1]["regions"])  # from the chunks
    manifest.write_bytes(DAMAGES[damage](manifest.read_bytes()))
    with pytest.raises(ValueError, match="is damaged"):
        jg.study.load(copy)
    for path in copy.glob("chunk-*"):
        assert store.load_chunk(
            copy, int(path.stem[6:]), json.loads((finished[0] / store.MANIFEST).read_text())["digest"]
        )


def test_a_damaged_result_without_chunks(copy: Path) -> None:
    (copy / store.RESULT).write_bytes(b"")
    for path in copy.glob("chunk-*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"is finished yet\. .*is damaged"):
        jg.study.load(copy)


def test_foreign_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", a=1)
    (tmp_path / "foreign.nc").write_bytes(b"not this")
    for name in ("foreign.npz", "foreign.nc"):
        with pytest.raises(ValueError, match="is damaged, or no study"):
            jg.study.load(tmp_path / name)
    for name in ("none.npz", "none.nc"):
        with pytest.raises(FileNotFoundError):
            jg.study.load(tmp_path / name)


def test_another_studys_result_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, axes = tmp_path / "out", {"width": 2, "seed": range(4), "scale": 1.0}
    first = study_program.run(axes, out=out, chunk_size=2)
    for path in out.glob("chunk-*"):
        path.unlink()
    assert jg.study.load(out)["scale" if "scale" in first else "seed"].tolist() == [0, 1, 2, 3]
    real, saved = store.save_chunk, []

    def some(*arguments: Any) -> None:
        saved.append(arguments)
        if len(saved) > 1:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(store, "save_chunk", some)
    with pytest.raises(KeyboardInterrupt):
        study_program.run({**axes, "seed": range(10, 14)}, out=out, chunk_size=2)
    found = jg.study.load(out)
    assert found["seed"].tolist() == [10, 11, 12, 13]
    assert found.is_finished.tolist() == [True, True, False, False]
    (aside,) = out.glob("result-before-*.npz")  # nothing is lost
    np.testing.assert_array_equal(jg.study.load(aside)["total"], first["total"])


def test_chunks_without_a_manifest_are_left_alone(copy: Path) -> None:
    (copy / store.MANIFEST).unlink()
    with pytest.raises(ValueError, match=r"has chunks of a study, but no study\.json"):
        run({"m": lambda params: 1.0}, out=copy)


def test_only_its_own_left_overs_are_removed(tmp_path: Path) -> None:
    (tmp_path / "mine.tmp").write_text("precious")
    (tmp_path / "study.json.12.tmp").write_text("left over")
    run({"m": lambda params: 1.0}, out=tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.tmp")) == ["mine.tmp"]


@pytest.mark.usefixtures("unchecked")
def test_merging_nothing_and_what_is_no_study(finished: tuple[Path, jg.Study]) -> None:
    with pytest.raises(ValueError, match="nothing to merge"):
        jg.study.merge()
    with pytest.raises(TypeError, match=r"\*list for a list of them"):
        jg.study.merge([finished[1]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not along the steps"):
        jg.study.merge(finished[1], finished[1], along="step")
    assert jg.study.merge(finished[1])["regions"].tolist() == finished[1]["regions"].tolist()


def test_variables_by_their_names(finished: tuple[Path, jg.Study]) -> None:
    study = finished[1]
    assert study["regions"] is study.variables["regions"]
    assert study["seed"].tolist() == list(range(5))
    assert study[0] is study.variables
    assert "regions" in study
    assert "region" not in study
    with pytest.raises(ValueError, match=r"has the variables .* 'region' was given"):
        study["region"]
    with pytest.raises(KeyError):
        study["region"]
    assert len(repr(study).splitlines()) < 15


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_accuracy_follows_the_number_of_outputs(outputs: int) -> None:
    data = jg.datasets.moons(jax.random.key(0), num_points=40)

    def outputs_of(apply: Any, params: Any) -> Any:
        return apply(params, data.x)

    measure = {"accuracy": jg.study.accuracy_on(), "outputs": outputs_of}
    study = run(measure, {"width": 4, "seed": range(4)}, data=data, outputs=outputs)
    found, labels = study["outputs"][:, 0], np.asarray(data.y)
    predicted = found[..., 0] > 0 if outputs == 1 else found.argmax(axis=-1)
    np.testing.assert_allclose(study["accuracy"][:, 0], (predicted == labels).mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("inputs", [2, 3])
def test_measurements_that_do_not_fit_the_networks_are_refused_before_any_work(
    inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane, space = jg.box(-1, 1), jg.box(-1, 1, dim=3)
    zeros = {2: np.zeros((3, 3), np.float32), 3: np.zeros((3, 2), np.float32)}[inputs]
    domain: Any = {2: space, 3: plane}[inputs]
    measures: list[Any] = [
        jg.study.topology(domain),
        jg.study.critical_points(domain),
        jg.study.functional_dimension(domain),
        jg.study.grid_regions(zeros),
        jg.study.line_breakpoints(zeros[0], zeros[1]),
        jg.study.states_at(zeros),
    ]
    if inputs == 2:
        measures += [jg.study.decision_surfaces(space), jg.study.estimated_regions(jax.random.key(0), space)]
    else:
        measures += [jg.study.exact_regions(plane), jg.study.boundary_lengths(plane)]
    monkeypatch.setattr(study_run, "_parts", lambda *_: pytest.fail("work was begun"))
    for measure in measures:
        with pytest.raises(ValueError, match=r"input|takes points"):
            jg.run_study({"width": [3], "seed": [0, 1]}, {"it": measure}, inputs=inputs, progress=False)
