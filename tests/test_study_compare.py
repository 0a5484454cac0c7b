"""Studies compared: intervals against formulas by hand, coverage against a simulation, and what is refused."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

import jaxgeom as jg


def made(values: Any, seeds: Any, *, key: int = 0, width: Any = (4,), axes: Any = None, **settings: Any) -> jg.Study:
    """A study of given numbers (width, seed, step)."""
    coords = {"width": np.array(width), "seed": np.array(seeds), "step": np.array([0, 10])}
    variables = {"x": np.asarray(values), "texts": np.full(np.shape(values), "a")}
    dims = dict.fromkeys(variables, ("width", "seed", "step"))
    about = {
        "description": {"key": key, "settings": settings, "axes": {"width": list(width)}},
        "versions": {"jax": "1"},
    }
    attrs = {name: {"units": "1", "meaning": ""} for name in variables}
    return jg.Study(variables, dims, coords, attrs, about, np.ones((len(width), len(seeds)), bool))


def numbers(num: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return shift + scale * np.random.default_rng(seed).normal(size=(1, num, 2))


def test_pairs_have_students_interval() -> None:
    a, b = numbers(12, 0), numbers(15, 1, 0.5)
    a[0, 3, 0] = np.nan
    found = jg.study.compare(made(a, range(12)), made(b, range(2, 17)), level=0.9)
    assert found.is_paired
    for step in (0, 1):
        d = b[0, :10, step] - a[0, 2:, step]
        d = d[~np.isnan(d)]
        # 90 % of Student's distribution: 1.8331 for 9 degrees of freedom and 1.8595 for 8, from a printed table
        half = {10: 1.8331, 9: 1.8595}[len(d)] * np.sqrt(np.sum((d - d.mean()) ** 2) / (len(d) - 1) / len(d))
        expected = [d.mean(), d.mean() - half, d.mean() + half, len(d)]
        got = [getattr(found, name)["x"][0, step] for name in ("difference", "low", "high", "num")]
        np.testing.assert_allclose(got, expected, rtol=0, atol=5e-5)
        np.testing.assert_allclose(found.second["x"] - found.first["x"], found.difference["x"])
    assert found.dims["x"] == ("width", "step")
    assert "seed: 10 values in common, left out are 2 values in the first and 5 values in the second" in found.settings
    assert "variable texts: not of one shape in both, left out" in found.settings


@pytest.mark.parametrize("given", [{"key": 1}, {"is_paired": False}])
def test_independent_networks_have_welchs_interval(given: dict[str, Any]) -> None:
    a, b = numbers(8, 0), numbers(30, 1, 0.5, 3.0)
    arguments = {name: value for name, value in given.items() if name != "key"}
    found = jg.study.compare(made(a, range(8)), made(b, range(30), key=given.get("key", 0)), **arguments)
    assert not found.is_paired
    test = scipy.stats.ttest_ind(b[0], a[0], equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose([found.low["x"][0], found.high["x"][0]], [test.low, test.high], rtol=1e-9)
    assert (found.num["x"] == 8).all()
    # A bootstrap, which knows of no distribution, gives about the same interval.
    rng = np.random.default_rng(5)
    means = [rng.choice(array[0, :, 1], (20000, array.shape[1])).mean(axis=1) for array in (a, b)]
    interval = np.quantile(means[1] - means[0], [0.025, 0.975])
    np.testing.assert_allclose([found.low["x"][0, 1], found.high["x"][0, 1]], interval, atol=0.3)


@pytest.mark.parametrize("is_paired", [True, False])
def test_intervals_cover_as_often_as_they_say(is_paired: bool) -> None:
    num, level = 4000, 0.8
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(num, 5, 2)) if is_paired else 0.0
    a, b = shared + rng.normal(size=(num, 5, 2)), shared + 0.3 + 2 * rng.normal(size=(num, 5, 2))
    first, second = (made(array, range(5), width=range(1, num + 1)) for array in (a, b))
    found = jg.study.compare(first, second, level=level, is_paired=is_paired)
    covers = (found.low["x"] < 0.3) & (found.high["x"] > 0.3)
    # Welch's degrees of freedom are an approximation, which errs by about a percent for five networks.
    assert abs(covers.mean() - level) < 4 * np.sqrt(level * (1 - level) / covers.size) + (0 if is_paired else 0.015)


def test_truth_values_have_newcombes_intervals() -> None:
    def of(first: Any, second: Any, is_paired: bool) -> list[float]:
        sides = (np.repeat(np.reshape(each, (1, -1, 1)), 2, axis=2).astype(bool) for each in (first, second))
        studies = [made(side, range(side.shape[1])) for side in sides]
        found = jg.study.compare(*studies, is_paired=is_paired)
        return [getattr(found, name)["x"][0, 1].item() for name in ("difference", "low", "high")]

    # Published: 56 of 70 and 48 of 80, 0.0524 to 0.3339 (Newcombe 1998, page 873, table II, method 10)
    some, others = np.arange(80) < 48, np.arange(70) < 56
    np.testing.assert_allclose(of(some, others, False), [0.2, 0.0524, 0.3339], atol=5e-5)
    # Published: 36 pairs yes and yes, 12 yes and no, 2 no and yes: 0.0569 to 0.3404 (ibid., page 2635, method 10)
    yes, pairs = np.repeat([1, 1, 0], [36, 12, 2]), np.repeat([1, 0, 1], [36, 12, 2])
    np.testing.assert_allclose(of(pairs, yes, True), [0.2, 0.0569, 0.3404], atol=5e-5)
    # All of 100 in both, whose intervals begin at n / (n + z²): as far as one of them is from its end
    z2 = 3.8414588
    half = z2 / (100 + z2)
    for is_paired in (False, True):
        np.testing.assert_allclose(of(np.ones(100), np.ones(100), is_paired), [0, -half, half], atol=1e-8)
    # The same in each pair, of 50 in 100: the correlation by hand, with its correction for continuity
    half_ones = np.arange(100) < 50
    side = np.sqrt(z2 / 4 / (100 + z2))  # of half the samples, the ends are this far away
    correlation = (50 * 50 - 100 / 2) / 50**2
    half = side * np.sqrt(2 - 2 * correlation)
    np.testing.assert_allclose(of(half_ones, half_ones, True), [0, -half, half], atol=1e-8)


@pytest.mark.parametrize("is_paired", [True, False])
def test_intervals_of_truth_values_cover_as_often_as_they_say(is_paired: bool) -> None:
    num, seeds, level = 1000, 1600, 0.9
    rng = np.random.default_rng(3)
    one, another = rng.uniform(size=(2, num, seeds, 2))
    other = np.where(rng.uniform(size=one.shape) < 0.5, one, another) if is_paired else another
    first, second = (made(each, range(seeds), width=range(1, num + 1)) for each in (one < 0.9, other < 0.75))
    found = jg.study.compare(first, second, level=level, is_paired=is_paired)
    difference = 0.75 - 0.9  # second minus first
    covers = (found.low["x"] <= difference) & (difference <= found.high["x"])
    # The correction for continuity lowers the correlation of pairs by about 0.5 / (1600 · 0.3 · 0.43) < 0.003.
    assert abs(covers.mean() - level) < 4 * np.sqrt(level * (1 - level) / covers.size) + 0.003


def test_truth_values_of_unfinished_studies() -> None:
    whole = np.ones((1, 9, 2), bool)
    part = np.where(np.arange(9)[:, None] < 4, 1.0, np.nan) * np.ones((1, 9, 2))
    found = jg.study.compare(made(whole, range(9)), made(part, range(9)))
    assert (found.num["x"] == 4).all()
    z2 = 3.8414588
    np.testing.assert_allclose(found.high["x"], z2 / (4 + z2), rtol=1e-7)
    one = jg.study.compare(made(whole[:, :1], range(1)), made(whole, range(9)), is_paired=False)
    assert np.isnan(one.low["x"]).all()


def test_axes_are_matched_and_settings_named() -> None:
    first = made(np.zeros((3, 4, 2)), range(4), width=(2, 4, 8), rate=0.1)
    second = made(np.ones((2, 4, 2)), range(4), width=(8, 2), rate=0.2)
    second.settings["versions"]["jax"] = "2"
    found = jg.study.compare(first, second)
    assert found.coords["width"].tolist() == [2, 8]
    assert (found.difference["x"] == 1).all()
    assert (found.high["x"] == 1).all()  # all differences are the same
    assert found.settings[:3] == (
        "settings.rate: 0.1 in the first, 0.2 in the second",
        'versions.jax: "1" in the first, "2" in the second',
        "width: 2 values in common, left out are 1 values in the first",
    )
    for study, function in ((first, "f"), (second, "g")):
        study.settings["description"]["axes"]["loss"] = {"mine": {"function": function}}
    named = jg.study.compare(first, second).settings
    assert 'axes.loss.mine.function: "f" in the first, "g" in the second' in named
    one = jg.study.select(first, seed=[0])
    assert np.isnan(jg.study.compare(one, jg.study.select(second, seed=[1])).low["x"]).all()
    alone = jg.study.select(second, width=8)
    with pytest.raises(ValueError, match=r"'width' is one of the first study alone: choose .*select\(study, width=2\)"):
        jg.study.compare(first, alone)
    alone.settings["description"]["settings"]["width"] = 8
    assert jg.study.compare(alone, first).dims["x"] == ("step",)


@pytest.mark.parametrize(
    ("first", "second", "changes", "message"),
    [
        ({}, {"width": (5,)}, {}, "no value of the axis 'width' in common: 4 in the first, 5 in the second"),
        ({}, {}, {"over": "height"}, "'height' was given, and they have the axes width, seed"),
        ({}, {}, {"level": 95}, "between 0 and 1"),
        ({}, {"seeds": (7, 8, 9)}, {"is_paired": True}, "pairs need two values of 'seed'"),
    ],
)
def test_what_cannot_be_compared_is_refused(first: Any, second: Any, changes: Any, message: str) -> None:
    studies = [made(np.zeros((1, 3, 2)), one.pop("seeds", range(3)), **one) for one in (dict(first), dict(second))]
    with pytest.raises(ValueError, match=message):
        jg.study.compare(*studies, **changes)


@pytest.mark.usefixtures("unchecked")
def test_a_path_is_no_study() -> None:
    with pytest.raises(TypeError, match=r"but str, str was given. jaxgeom.study.load\(path\) reads one"):
        jg.study.compare("a", "b")


def test_axes_are_matched_by_name_in_any_order() -> None:
    coords = {"width": np.array([2, 4]), "depth": np.array([1, 2]), "seed": np.arange(3), "step": np.array([0, 10])}
    first = made(np.zeros((2, 3, 2)), range(3), width=(2, 4))._replace(
        variables={"x": np.random.default_rng(0).normal(size=(2, 2, 3, 2))},
        dims={"x": tuple(coords)},
        coords=coords,
        is_finished=np.ones((2, 2, 3), bool),
    )
    order = 1, 2, 0, 3
    names = [tuple(coords)[place] for place in order]
    second = first._replace(
        variables={"x": first.variables["x"].transpose(order)},
        dims={"x": tuple(names)},
        coords={name: coords[name] for name in names},
        is_finished=np.ones((2, 3, 2), bool),
    )
    found = jg.study.compare(first, second)
    assert found.dims["x"] == ("width", "depth", "step")
    assert (found.difference["x"] == 0).all()


@pytest.mark.parametrize(("given", "expected"), [(2, 1.0), (None, 0.0), (4, None)])
def test_an_argument_is_matched_with_the_axis_of_its_name(given: int | None, expected: float | None) -> None:
    steps = {"seed": np.arange(3), "step": np.array([0, 10])}
    first = made(np.zeros((2, 3, 2)), range(3), width=("None", "2"))
    first = first._replace(
        variables={"x": np.broadcast_to(np.array([0.0, 1.0])[:, None, None], (2, 3, 2))},
        dims={"x": ("batch_size", "seed", "step")},
        coords={"batch_size": np.array(["None", "2"]), **steps},
        settings={**first.settings, "description": {"key": 0, "batch_size": None, "axes": {"batch_size": [None, 2]}}},
    )
    about = {**first.settings, "description": {"key": 0, "batch_size": given, "axes": {}}}
    second = first._replace(
        variables={"x": np.zeros((3, 2))},
        dims={"x": ("seed", "step")},
        coords=steps,
        settings=about,
        is_finished=np.ones(3, bool),
    )
    if expected is None:
        with pytest.raises(ValueError, match="the axis 'batch_size' is one of the first study alone"):
            jg.study.compare(first, second)
        return
    found = jg.study.compare(first, second)
    assert (found.first["x"] == expected).all()
    assert found.settings == ()
