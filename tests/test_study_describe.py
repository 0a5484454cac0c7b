"""Descriptions of studies: a change of anything that a function reads is a difference, and nothing else is."""

import functools
import importlib.util
import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import study_program

import jaxgeom as jg
from jaxgeom.study import describe, versions
from jaxgeom.study.describe import Found, described, differences

HELPER = """
import numpy as np
SCALE = 1.0
TABLE = {1: "a", "1": "b"}
WEIGHTS = np.arange(100.0)

def inner(x):
    return x * 1.0

def f(x):
    return inner(x)

def unused(x):
    return x

class Base:
    factor = 2
    def scaled(self, x):
        return self.factor * x

class Layer(Base):
    __slots__ = ("size",)
    def __init__(self):
        self.size = 3
    def __call__(self, x):
        return self.scaled(x) + self.size
    @property
    def half(self):
        return self.size / 2
    @staticmethod
    def fixed(x):
        return x - 1
    @classmethod
    def made(cls, x):
        return cls.factor * x

def with_default(x, by=1.0, *, power=2):
    return x * by**power

@jax.custom_jvp
def bent(x):
    return x

@bent.defjvp
def rule(primals, tangents):
    return primals[0], tangents[0] * 3.0

def caught(x):
    try:
        y = x + 1
        z = y + 1
    except ValueError:
        z = x
    return z
"""
USES = {
    "attribute": "lambda params: helper.f(params)",
    "attribute by a string": "lambda params: getattr(helper, 'f')(params)",
    "attribute by a name made up": "lambda params: getattr(helper, chr(102))(params)",
    "module as an argument": "lambda params: apply_f(helper, params)",
    "import inside": "local_import",
    "import of a name inside": "local_from",
    "constant": "lambda params: helper.SCALE * params",
    "array": "lambda params: helper.WEIGHTS * params",
    "class": "lambda params: helper.Layer()(params)",
    "object": "helper.Layer()",
    "bound method": "helper.Layer().scaled",
    "class method": "helper.Layer.made",
    "partial": "functools.partial(helper.with_default, by=2.0)",
    "jit": "jax.jit(helper.f)",
    "vmap": "jax.vmap(helper.f)",
    "default": "lambda params, f=helper.f: f(params)",
    "cache": "functools.lru_cache(helper.f)",
    "custom rule": "helper.bent",
    "exception": "helper.caught",
    "in a list": "[helper.f, helper.with_default]",
    "population": "jg.study.of_population(helper.f)",
}
AROUND = """
import functools, jax, jaxgeom as jg
def apply_f(module, params):
    return module.f(params)
def local_import(params):
    import study_helper_module as h
    return h.f(params)
def local_from(params):
    from study_helper_module import f
    return f(params)
"""
FUNCTION = ("return x * 1.0", "return x * 100.0")
CHANGES = {
    "constant": ("SCALE = 1.0", "SCALE = 2.0"),
    "array": ("np.arange(100.0)", "np.arange(100.0)[::-1]"),
    "class": ("self.factor * x", "self.factor * x * 2"),
    "object": ("+ self.size", "- self.size"),
    "bound method": ("factor = 2", "factor = 3"),
    "class method": ("return cls.factor * x", "return cls.factor + x"),
    "partial": ("power=2", "power=3"),
    "custom rule": ("* 3.0", "* 4.0"),
    "in a list": ("by**power", "by + power"),
}
TRIED = "        y = x + 1\n        z = y + 1\n    except ValueError:\n        z = x"
CHANGES["exception"] = (TRIED, TRIED.replace("ValueError", "KeyError"))


def helper_with(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("study_helper_module")
    assert old in HELPER
    module.__dict__["jax"] = jax
    exec(compile(HELPER.replace(old, new), "helper", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "study_helper_module", module)
    return module


def used(name: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    namespace: dict[str, Any] = {"helper": helper_with(old, new, monkeypatch), "__name__": "user_script"}
    exec(compile(AROUND, "user_script", "exec"), namespace)
    found = Found(set(), [])
    description = described(eval(USES[name], namespace), found)
    assert not found.unknown
    return json.loads(json.dumps(description))


@pytest.mark.parametrize("name", USES)
def test_a_change_behind_every_kind_of_reference_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = CHANGES.get(name, FUNCTION)
    before = used(name, old, old, monkeypatch)
    assert differences(before, used(name, old, old, monkeypatch)) == []
    assert differences(before, used(name, old, new, monkeypatch))
    if name == "attribute":  # what is not read does not matter
        unread = "def unused(x):\n    return x"
        assert differences(before, used(name, unread, unread + " + 1", monkeypatch)) == []


def test_what_hides_another_in_a_flat_description() -> None:
    def holding(code: float, function: float) -> Any:
        return lambda params: code * function * params

    first = described(holding(1.0, 2.0))
    assert differences(first, described(holding(1.0, 3.0)))
    assert differences(first, described(holding(2.0, 2.0)))

    def same_names(factor: float, body: int) -> Callable:
        code = factor
        return (lambda params: code * params) if body else (lambda params: code + params)

    assert differences(described(same_names(1.0, 0)), described(same_names(1.0, 1)))
    attributed = lambda params: attributed.scale * params  # noqa: E731
    attributed.scale = 1.0  # type: ignore[attr-defined]
    before = described(attributed)
    attributed.scale = 2.0  # type: ignore[attr-defined]
    assert differences(before, described(attributed))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ({1: 2, "1": 3}, {1: 4, "1": 3}),
        (np.float32([0.5]), np.float64([0.5])),
        (np.arange(3), np.arange(3.0)),
        (np.array(["a", None], object), np.array(["a", 1], object)),
        (np.random.default_rng(0), np.random.default_rng(1)),
        (functools.partial(print, 1), functools.partial(print, 2)),
        (jax.random.key(0), jax.random.key(0, impl="rbg")),
    ],
)
def test_values_that_compare_equal_or_look_alike_are_told_apart(first: Any, second: Any) -> None:
    assert differences(described(first), described(first)) == []
    assert differences(described(first), described(second))


def test_functions_of_one_name_are_told_apart_where_they_are_met_again() -> None:
    one, two = (lambda x: x), (lambda x: 2 * x)
    assert described([one, two, one]) != described([one, two, two])
    assert described([one, one]) == described([one, one])


def test_values_that_are_not_finite_are_equal_to_themselves() -> None:
    for value in (np.nan, [np.inf, -np.inf], np.array([np.nan]), {"a": np.float32(np.nan)}):
        assert differences(json.loads(json.dumps(described(value))), described(value)) == []


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda params: eval("params"), "calls eval"),
        (lambda params: globals()["jnp"].sum(params), "calls globals"),
        (np.frompyfunc(lambda x: x, 1, 1), "shows nothing of the function"),
        (functools.partial(map, (x for x in [1])), "shows nothing of what it holds"),
        (lambda params: importlib.import_module("json"), "calls import_module"),
    ],
)
def test_what_cannot_be_described_is_refused(function: Any, message: str, tmp_path: Path) -> None:
    found = Found(set(), [])
    described(function, found)
    assert any(message in line for line in found.unknown)

    def measured(params: Any) -> Any:
        return jnp.float32(0) if function is None else jnp.float32(1)

    arguments: dict[str, Any] = {"inputs": 2, "progress": False}
    with pytest.raises(ValueError, match=f"could not be noticed: .*{message}"):
        jg.run_study({"width": 2}, {"m": measured}, **arguments, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert jg.run_study({"width": 2}, {"m": measured}, **arguments)["m"].tolist() == [1]


def test_a_resumed_study_with_a_changed_helper_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(new: str) -> jg.Study:
        helper = helper_with(FUNCTION[0], new, monkeypatch)
        namespace = {"helper": helper, "jnp": jnp, "__name__": "user_script"}
        exec("def m(params): return helper.f(jnp.sum(params['dense0_relu']['kernel']))", namespace)
        return jg.run_study({"width": 2}, {"m": namespace["m"]}, inputs=2, out=tmp_path / "out", progress=False)

    first = run(FUNCTION[0])["m"]
    np.testing.assert_array_equal(run(FUNCTION[0])["m"], first)
    with pytest.raises(ValueError, match=r"helper\.f\.inner\.code"):
        run(FUNCTION[1])


def test_axis_values_that_are_functions_are_described(tmp_path: Path) -> None:
    def named(factor: float) -> Any:
        def scaling(params: Any) -> Any:
            return factor * jnp.sum(params["dense0_relu"]["kernel"])

        return scaling

    def run(factor: float) -> jg.Study:
        axes = {"width": 2, "by": [named(factor)]}
        measure = {"m": lambda params, by: by(params)}
        return jg.run_study(axes, measure, inputs=2, out=tmp_path / "out", progress=False)

    run(1.0)
    with pytest.raises(ValueError, match=r"axes\.by\.scaling\.factor: 1\.0 there, 2\.0 here"):
        run(2.0)


def test_settings_of_jax_are_part_of_a_study(tmp_path: Path) -> None:
    study_program.run({"width": [2], "scale": 1.0}, out=tmp_path / "out")
    with jax.enable_x64(True), pytest.raises(ValueError, match=r"jax\.enable_x64: false there, true here"):
        study_program.run({"width": [2], "scale": 1.0}, out=tmp_path / "out")


def test_other_versions_are_refused_or_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"width": [2], "seed": range(3), "scale": 1.0}
    whole = study_program.run(axes, chunk_size=1, out=tmp_path / "out")
    (tmp_path / "out" / "chunk-00001.npz").unlink()
    (tmp_path / "out" / "result.npz").unlink()
    real = versions.versions
    monkeypatch.setattr("jaxgeom.study.plan.versions", lambda also=(): real(also) | {"numpy": "9.9"})
    with pytest.raises(ValueError, match=r"any_versions=True[\s\S]*versions\.numpy: .* there, \"9\.9\" here"):
        study_program.run(axes, chunk_size=1, out=tmp_path / "out")
    with pytest.warns(UserWarning, match=r"begun with other versions: versions\.numpy"):
        resumed = study_program.run(axes, chunk_size=1, out=tmp_path / "out", any_versions=True)
    for name, array in whole.variables.items():
        assert resumed[name].tobytes() == array.tobytes()
    assert resumed.settings["versions"]["numpy"] == np.__version__
    assert [item["numpy"] for item in resumed.settings["other_versions"]] == ["9.9"]
    with pytest.raises(ValueError, match="key: 0 there, 1 here"):  # another study is another study all the same
        study_program.run(axes, chunk_size=1, out=tmp_path / "out", any_versions=True, key=1)
    other = study_program.run({**axes, "seed": [7]}, chunk_size=1)
    with pytest.raises(ValueError, match=r"versions\.numpy"):
        jg.study.merge(whole, other)
    merged = jg.study.merge(whole, other, any_versions=True)
    assert merged["seed"].tolist() == [0, 1, 2, 7]
    assert [item["numpy"] for item in merged.settings["other_versions"]] == ["9.9"]


def test_another_python_compares_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"width": [2], "seed": range(2), "scale": 1.0}
    study_program.run(axes, out=tmp_path / "out")
    real = versions.versions
    monkeypatch.setattr("jaxgeom.study.plan.versions", lambda also=(): real(also) | {"python": "3.99.0"})
    monkeypatch.setattr(describe, "code_digest", lambda code: "bytecode of another Python")
    with pytest.raises(ValueError, match=r"any_versions=True"):
        study_program.run(axes, out=tmp_path / "out")
    with pytest.warns(UserWarning, match=r"versions\.python"):
        study_program.run(axes, out=tmp_path / "out", any_versions=True)
    monkeypatch.setattr(describe, "source_digest", lambda thing: "another source")
    with pytest.raises(ValueError, match=r"source: "):
        study_program.run(axes, out=tmp_path / "out", any_versions=True)


def test_packages_are_told_from_ones_own_code() -> None:
    assert versions.package_of("jax.numpy") == "jax"
    assert versions.package_of("functools") == "python"
    assert versions.package_of("pytest") == "pytest"
    assert versions.package_of("__main__") is None
    assert versions.package_of("study_program") is None
    found = Found(set(), [])
    assert described(pytest.approx, found) == f"{pytest.approx.__module__}.approx" or found.packages
    assert "pytest" in versions.versions(["pytest"])


def test_descriptions_are_the_same_in_every_process() -> None:
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import study_program as s; "
        "from jaxgeom.study.describe import described; "
        "print(json.dumps(described([s.drawn, s.slow, s.total, {'b', 'a'}])))"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(arguments, cwd=root, capture_output=True, text=True, check=True)
    here = described([study_program.drawn, study_program.slow, study_program.total, {"a", "b"}])
    assert differences(json.loads(done.stdout), here) == []
