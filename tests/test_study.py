"""Studies: the numbers that they give, against NumPy; axes, groups, descriptions, selecting, merging, labels."""

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import study_program
from mlp_truth import outputs_of, run_of
from reference import exact_region_count

import jaxgeom as jg
from jaxgeom.study import compiled
from jaxgeom.study.describe import described, differences, digest
from jaxgeom.study.layout import groups_of, layout_of

LINES = np.array([[[-1.0, -0.9], [0.8, 1.0]], [[-0.7, 1.0], [0.6, -1.0]], [[0.1, 0.2], [0.15, 0.3]]])
SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
WIDTHS, SEEDS, RATES, STEPS = [2, 3], 6, [0.05, 0.2], [0, 1, 3]
TRACES: list[str] = []


def xor(noise: Any) -> jg.Dataset:
    """XOR with shifted points; counts how often a program is traced."""
    TRACES.append("xor")
    x, y = jg.parity(2)
    return jg.Dataset(x + noise, y)


def weights(params: Any) -> dict[str, Any]:
    """All parameters, as variables."""
    return {f"{name}_{leaf}": params[name][leaf] for name in params for leaf in params[name]}


def run(**changes: Any) -> jg.Study:
    arguments: dict[str, Any] = {
        "axes": {"width": WIDTHS, "seed": range(SEEDS), "learning_rate": RATES, "noise": 0.25},
        "measure": {
            "regions": jg.study.exact_regions(jg.box(-1, 1)),
            "length": jg.study.boundary_lengths(jg.box(-1, 1)),
            "bends": jg.study.line_breakpoints(LINES[:, 0], LINES[:, 1]),
            "loss": jg.study.loss_on(),
            "accuracy": jg.study.accuracy_on(),
            "weights": jg.study.pure(weights),
            "states": jg.study.states_at(np.ones((5, 2))),
        },
        "data": xor,
        "optimizer": optax.sgd,
        "loss": jg.losses.squared_error,
        "num_epochs": 3,
        "at_steps": STEPS,
        "progress": False,
    }
    return jg.run_study(**arguments | changes)


@pytest.fixture(scope="module")
def study() -> jg.Study:
    return run()


def params_at(study: jg.Study, place: tuple[int, ...], width: int) -> dict[str, dict[str, np.ndarray]]:
    """Parameters of one network at one step, without padding, in float64."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name in ("dense0_relu", "dense1_linear"):
        found[name] = {
            n: np.asarray(study.variables[f"weights_{name}_{n}"][place], np.float64) for n in ("kernel", "bias")
        }
    first, last = found["dense0_relu"], found["dense1_linear"]
    assert not np.any(first["kernel"][:, width:])
    assert not np.any(last["kernel"][width:])
    first["kernel"], first["bias"] = first["kernel"][:, :width], first["bias"][:width]
    last["kernel"] = last["kernel"][:width]
    return found


def chord(a: float, b: float, c: float) -> float:
    """Length of the line a x + b y + c = 0 within the square."""
    foot, along = -c * np.array([a, b]) / (a * a + b * b), np.array([-b, a]) / np.hypot(a, b)
    sides = np.sort(((-1 - foot) / along, (1 - foot) / along), axis=0)
    return max(0.0, sides[1].min() - sides[0].max())


def test_every_number_is_that_of_numpy(study: jg.Study) -> None:
    x, y = (np.float64(array) for array in jg.parity(2))
    x = x + 0.25
    for (i, width), seed, (j, rate) in itertools.product(enumerate(WIDTHS), range(SEEDS), enumerate(RATES)):
        start = params_at(study, (i, seed, j, 0), width)
        history = run_of(
            start, x, y, [np.arange(4)] * 3, "squared", lambda _, p, g, m, rate=rate: (p - rate * g, m)
        ).history
        for k, step in enumerate(STEPS):
            params = params_at(study, (i, seed, j, k), width)
            jax.tree.map(partial(np.testing.assert_allclose, rtol=0, atol=1e-5), params, history[step])
            outputs = outputs_of(params, x)
            np.testing.assert_allclose(study.variables["loss"][i, seed, j, k], np.mean((outputs - y) ** 2), rtol=1e-5)
            if np.abs(outputs).min() > 1e-5:
                assert study.variables["accuracy"][i, seed, j, k] == np.mean((outputs > 0) == (y > 0))
            layers = [tuple(layer.values()) for layer in params.values()]
            assert study.variables["regions"][i, seed, j, k] == exact_region_count(layers, SQUARE)
            found = study.variables["length"][i, seed, j, k]
            np.testing.assert_allclose(found, sum(map(chord, *layers[0][0], layers[0][1])), rtol=1e-9)
            ends = LINES @ layers[0][0] + layers[0][1]
            expected = np.sum(ends[:, 0] * ends[:, 1] < 0, axis=1)
            np.testing.assert_array_equal(study.variables["bends"][i, seed, j, k], expected)
            hidden = np.maximum(np.ones((5, 2)) @ params["dense0_relu"]["kernel"] + params["dense0_relu"]["bias"], 0)
            np.testing.assert_allclose(study.variables["states"][i, seed, j, k, :, :width], hidden, atol=1e-6)


def test_seeds_are_paired_and_settings_matter(study: jg.Study) -> None:
    kernel = study.variables["weights_dense0_relu_kernel"]
    assert (kernel[:, :, 0, 0] == kernel[:, :, 1, 0]).all()  # the same start for every learning rate
    assert (kernel[:, :, 0, 2] != kernel[:, :, 1, 2]).any(axis=(-2, -1)).all()
    assert len(np.unique(kernel[0, :, 0, 0, 0, 0])) == SEEDS


def test_names_units_and_settings(study: jg.Study) -> None:
    assert study.dims["regions"] == ("width", "seed", "learning_rate", "step")
    assert study.dims["states"] == ("width", "seed", "learning_rate", "step", "point", "unit")
    assert study.dims["diverged_step"] == ("width", "seed", "learning_rate")
    assert all(array.ndim == len(study.dims[name]) for name, array in study.variables.items())
    assert study.coords["step"].tolist() == STEPS
    assert study.coords["learning_rate"].tolist() == RATES
    assert "exact" in study.attrs["regions"]["meaning"]
    assert study.settings["versions"]["jax"] == jax.__version__
    assert study.settings["description"]["settings"] == {"noise": 0.25}


def test_numbers_compile_nothing_anew() -> None:
    simple = {"measure": {"loss": jg.study.loss_on()}, "num_epochs": 1, "at_steps": [1]}

    def num_traces(axes: dict[str, Any]) -> int:
        TRACES.clear()
        compiled._programs.clear()
        run(axes=axes, **simple)
        return len(TRACES)

    one = num_traces({"width": 2, "seed": [0], "learning_rate": [0.1], "noise": [0.1]})
    assert num_traces({"width": 2, "seed": [0, 1], "learning_rate": [0.1, 0.2, 0.3], "noise": [0.1, 0.5]}) == one


def test_members_are_grouped_by_program() -> None:
    arrays = {"width": np.array([2, 8]), "rate": jnp.array([0.5, 1.0]), "seed": np.arange(3), "depth": np.int64(1)}
    assert layout_of(arrays).values == {"width": [2, 8], "rate": [0.5, 1.0], "seed": [0, 1, 2]}
    axes = {"width": [2, 8, 9, 30], "depth": [1, 2], "seed": [3, 4], "rate": [0.1, 0.2], "init": ["he", "flax"]}
    layout = layout_of(axes)
    groups = groups_of(layout)
    assert len(groups) == 2 * 2 * 3  # initialisations, depths, and widths up to 8, 16 and 32
    everyone = np.concatenate([group.members for group in groups])
    assert sorted(everyone) == list(range(4 * 2 * 2 * 2 * 2))
    combinations = list(itertools.product(*axes.values()))
    for group in groups:
        for row, member in enumerate(group.members):
            width, depth, seed, rate, init = combinations[member]
            assert group.hidden is not None
            real = group.hidden if group.widths is None else tuple(group.widths[row])
            assert real == (width,) * depth
            assert group.seed[row] == seed
            assert group.traced["rate"][row] == np.float32(rate)
            assert group.static == {"init": init}
    exact = groups_of(layout, is_padded=False)
    assert len(exact) == 16
    assert all(group.widths is None for group in exact)


def test_measurements_know_what_is_padding() -> None:
    """Networks of 3, 4 and 7 units share a program; units beyond a network's own are zero, and come last."""

    def own(params: Any, widths: Any) -> dict[str, Any]:
        size = jnp.abs(params["dense0_relu"]["kernel"]).sum(axis=0)
        is_own = jnp.arange(len(size)) < widths[0]
        return {"padded": len(size), "used": jnp.sum(size > 0), "beyond": jnp.sum(jnp.where(is_own, 0.0, size))}

    def of_all(layers: Any, widths: Any) -> dict[str, Any]:
        return {"depth": np.full(len(widths), widths.shape[1]), "width": widths[:, 1]}

    measure = {"own": own, "all": jg.study.of_population(of_all)}
    untrained: dict[str, Any] = {"optimizer": None, "at_steps": [0], "data": xor(0.25)}
    study = run(axes={"width": [3, 4, 7], "depth": 2, "seed": [0, 1]}, measure=measure, **untrained)
    assert (study["own_padded"] > study["width"][:, None, None]).any()
    for name in ("own_used", "all_width"):
        np.testing.assert_array_equal(study[name], np.broadcast_to(np.array([3, 4, 7])[:, None, None], (3, 2, 1)))
    assert not study["own_beyond"].any()
    assert (study["all_depth"] == 2).all()
    with pytest.raises(ValueError, match="widths"):
        run(axes={"seed": [0]}, model=jg.mlp((2, 3, 1), activation="relu"), measure={"own": own}, **untrained)


def test_architectures_and_other_models() -> None:
    study = jg.run_study(
        {"hidden": [(3,), (4, 2)], "seed": [0, 1]},
        {"size": lambda params: sum(leaf.size for leaf in jax.tree.leaves(params))},
        inputs=2,
        progress=False,
    )
    assert study.coords["hidden"].tolist() == ["3", "4-2"]
    assert study.variables["size"][..., 0].tolist() == [[13, 13], [25, 25]]

    def line(depth: int, slope: Any) -> jg.Model:
        return jg.Model(lambda key: {"slope": slope * jnp.ones(depth)}, lambda params, x: x)

    found = jg.run_study(
        {"depth": [1, 3], "slope": [0.5, 2.0]},
        {"slopes": lambda params: params["slope"], "twice": lambda slope: 2 * slope},
        model=line,
        static=["depth"],
        progress=False,
    )
    assert found.dims["slopes"] == ("depth", "slope", "step", "slopes_axis0")
    expected = [[[s] + [np.nan] * 2 for s in (0.5, 2)], [[s] * 3 for s in (0.5, 2)]]
    np.testing.assert_array_equal(found.variables["slopes"][:, :, 0], expected)
    np.testing.assert_array_equal(found.variables["twice"][..., 0], [[1, 4]] * 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": {"width": [2], "seed": [0], "learning_rate": 0.1, "noise": 0.0, "nois": 1.0}}, "'nois'"),
        ({"axes": {"width": [2], "seed": [0], "noise": 0.0}}, "optimizer takes learning_rate"),
        ({"axes": {"width": [], "learning_rate": 0.1, "noise": 0.0}}, "at least one value"),
        ({"axes": {"width": [2, 2], "learning_rate": 0.1, "noise": 0.0}}, "all different"),
        ({"axes": {"width": [0], "learning_rate": 0.1, "noise": 0.0}}, "positive integers"),
        ({"axes": {"depth": [1], "learning_rate": 0.1, "noise": 0.0}}, "needs a `width`"),
        ({"axes": {"width": [2], "hidden": [(2,)], "learning_rate": 0.1, "noise": 0.0}}, "but not by both"),
        ({"axes": {"width": [2], "seed": [-1], "learning_rate": 0.1, "noise": 0.0}}, "seeds are integers"),
        ({"static": ["rate"]}, "no axes"),
        ({"measure": {}}, "measures something"),
        ({"measure": {"width": lambda params: 0.0}}, "choose others"),
        ({"measure": {"x": lambda weird: weird}}, "measurement 'x' takes weird"),
        ({"loss": None}, "needs data"),
        ({"at_steps": [0, 9]}, "at_steps go up to 9, but 3 epochs of 4 points in batches of 4 are 3 steps"),
        ({"optimizer": None, "axes": {"width": [2], "noise": 0.1}}, "step 0 only"),
    ],
)
def test_bad_descriptions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(**changes)


def test_a_refused_study_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at_steps go up to 9"):
        run(at_steps=[0, 9], out=tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_function_is_no_measurement() -> None:
    with pytest.raises(TypeError, match="a measurement is a function"):
        run(measure={"x": 3})


def test_what_is_no_study_is_refused(unchecked: None) -> None:
    for function in (jg.study.select, jg.study.networks, lambda it: jg.plot.plot_phases(it, "loss", x="a", y="b")):
        with pytest.raises(TypeError, match=r"a Study is needed, .* but dict was given"):
            function({"loss": 1})


def test_select(study: jg.Study) -> None:
    regions = study.variables["regions"]
    one = jg.study.select(study, width=3, learning_rate=0.2, step=3)
    assert one.dims["regions"] == ("seed",)
    np.testing.assert_array_equal(one.variables["regions"], regions[1, :, 1, 2])
    assert "width" not in one.coords
    some = jg.study.select(study, seed=[4, 1], step=slice(1, None))
    np.testing.assert_array_equal(some.variables["regions"], regions[:, [4, 1]][..., 1:])
    assert some.coords["seed"].tolist() == [4, 1]
    with pytest.raises(ValueError, match="has the values"):
        jg.study.select(study, width=4)
    with pytest.raises(ValueError, match="has the axes"):
        jg.study.select(study, height=4)


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_saved_and_loaded(study: jg.Study, ending: str, tmp_path: Path) -> None:
    assert_same(jg.study.load(jg.study.save(study, tmp_path / f"study{ending}")), study)
    with pytest.raises(ValueError, match=r"saved as \.npz or \.nc"):
        jg.study.save(study, tmp_path / "study.csv")


def assert_same(found: jg.Study, expected: jg.Study) -> None:
    assert set(found.variables) == set(expected.variables)
    for name, array in expected.variables.items():
        assert found.variables[name].dtype == array.dtype
        np.testing.assert_array_equal(found.variables[name], array)
        assert found.dims[name] == expected.dims[name]
        assert found.attrs[name] == expected.attrs[name]
    for name, array in expected.coords.items():
        np.testing.assert_array_equal(found.coords[name], array)
    assert found.settings == expected.settings


def test_xarray(study: jg.Study) -> None:
    dataset = jg.study.to_xarray(study)
    chosen = dataset.regions.sel(width=3, learning_rate=0.2, step=3)
    np.testing.assert_array_equal(chosen, study.variables["regions"][1, :, 1, 2])
    assert dataset.loss.attrs["long_name"] == "mean loss on the train split"


@pytest.mark.slow
def test_studies_with_different_seeds_are_merged() -> None:
    def some(seeds: Any, **changes: Any) -> jg.Study:
        scale, key = changes.get("scale", 2.0), changes.get("key", 0)
        return study_program.run({"width": [2, 5], "seed": seeds, "scale": scale}, chunk_size=None, key=key)

    first = some([0, 1, 2])
    merged = jg.study.merge(first, some([3, 7]))
    assert merged.coords["seed"].tolist() == [0, 1, 2, 3, 7]
    whole = some([0, 1, 2, 3, 7])
    for name, array in whole.variables.items():
        np.testing.assert_array_equal(merged.variables[name], array)
    with pytest.raises(ValueError, match=r"settings\.scale: 2\.0 in the first, 0\.5 in number 2"):
        jg.study.merge(first, some([3], scale=0.5))
    with pytest.raises(ValueError, match="key: 0 in the first, 1 in number 2"):
        jg.study.merge(first, some([3], key=1))
    with pytest.raises(ValueError, match=r"several have the values \[2\]"):
        jg.study.merge(first, some([2, 3]))
    with pytest.raises(ValueError, match="'height' is not one"):
        jg.study.merge(first, first, along="height")


def test_descriptions_tell_functions_apart() -> None:
    def by(number: float) -> Any:
        return lambda params: number * params

    def again(number: float) -> Any:
        return lambda params: number * params

    assert described(by(1.0)) == described(by(1.0))
    assert described(by(1.0)) != described(by(2.0))
    assert differences(described(by(1.0)), described(by(2.0))) == ["number: 1.0 there, 2.0 here"]
    assert described(lambda x: x + 1)["code"] != described(lambda x: x + 2)["code"]
    assert described(partial(jg.spirals, noise=0.1)) != described(partial(jg.spirals, noise=0.2))
    assert described(optax.adam(0.1)) == described(optax.adam(0.1))
    assert described(optax.adam(0.1)) != described(optax.adam(0.2))
    assert described(weights) == described(weights)
    long = np.arange(1000)
    assert described(long) != described(long[::-1])
    assert described(jax.random.key(0)) != described(jax.random.key(1))
    assert digest(described({"a": [1, 2.5, None, "x", (1, 2)], "b": {3, 1}})) == digest(
        described({"b": {1, 3}, "a": (1, 2.5, None, "x", [1, 2])})
    )


def test_a_description_includes_what_a_function_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = described(xor)
    monkeypatch.setitem(xor.__globals__, "TRACES", [1.0])
    assert differences(before, described(xor))


def test_estimates_and_functional_dimensions_are_measurements() -> None:
    domain = jg.box(-1, 1)
    measure = {
        "estimated": jg.study.estimated_regions(jax.random.key(0), domain),
        "exact": jg.study.exact_regions(domain),
        "functional": jg.study.functional_dimension(domain),
    }
    networks = jg.layers_of(jax.vmap(jg.mlp((2, 4, 1), activation="relu").init)(jax.random.split(jax.random.key(1), 3)))
    found = {name: one.function(networks) for name, one in measure.items()}
    np.testing.assert_array_equal(found["estimated"][""], found["exact"][""])
    assert (found["functional"][""] <= found["functional"]["upper"]).all()
    for name in ("estimated", "functional"):
        assert set(found[name]) == {"", *measure[name].details}
    broken = jax.tree.map(lambda array: np.array([array[0], np.nan * array[1], array[2]]), networks)
    for name in ("estimated", "functional"):
        assert np.isnan(measure[name].function(broken)[""]).tolist() == [False, True, False]


def test_topology_and_surfaces_are_measurements() -> None:
    """Variables are those that are promised, with their axes; what is not finite is NaN."""
    for widths, dim in (((2, 6, 1), 2), ((3, 6, 1), 3)):
        domain = jg.box(-1, 1, dim=dim)
        init = jg.mlp(widths, activation="relu").init
        networks = jg.layers_of(jax.vmap(init)(jax.random.split(jax.random.key(1), 3)))
        broken = jax.tree.map(lambda array: np.array([array[0], np.nan * array[1], array[2]]), networks)
        measure = {"topology": jg.study.topology(domain), "critical": jg.study.critical_points(domain)}
        if dim == 3:
            measure["surface"] = jg.study.decision_surfaces(domain)
        for name, one in measure.items():
            found = one.function(broken)
            assert set(found) == {"", *one.details}
            for values in found.values():
                assert np.isnan(values).reshape(3, -1).any(axis=1).tolist() == [False, True, False]
            assert found[""].shape[1:] == {"topology": (2,), "critical": (dim + 1,), "surface": ()}[name]
        critical, topology = (measure[name].function(broken) for name in ("critical", "topology"))
        euler = critical[""] @ (-1.0) ** np.arange(dim + 1)
        assert euler[[0, 2]].tolist() == [1, 1]
        exact = jg.topology(broken, domain)
        np.testing.assert_array_equal(topology["holes"][[0, 2]], exact.num_holes[[0, 2]])
    *_, surface = measure.values()
    exact = jg.decision_surface(jax.tree.map(lambda array: array[2], broken), domain)
    assert surface.function(broken)["volume"][2] == exact.volume


def test_own_measurements_say_what_they_are() -> None:
    def size(params: Any) -> Any:
        """The largest bias.

        And more."""
        return params["dense0_relu"]["bias"].max()

    def plain(params: Any, twice: int = 1) -> Any:
        return twice * params["dense0_relu"]["bias"].max()

    measure = {"size": size, "plain": partial(partial(plain), twice=2), "bare": lambda params: plain(params)}
    found = jg.run_study({"width": [3]}, measure, inputs=2, progress=False)
    said = {name: found.attrs[name]["meaning"] for name in measure}
    assert said == {
        "size": "The largest bias.",
        "plain": "what plain returns",
        "bare": "a function without a name or docstring",
    }
