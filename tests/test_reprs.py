"""What results print, and what ``help()`` says of them."""

import importlib
import pkgutil
import pydoc
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom._reprs import WIDTH, readable, short, short_html

# Modules whose named tuples go from function to function inside and are no results.
INTERNAL = re.compile(
    r"jaxgeom\.("
    r"engine\.(library|spaces)"
    r"|training\.(lane_graph|lane_kernel|lane_network|lane_step|native|optimizer_code|optimizer_graph|optimizers|persistent"
    r"|plan|point_graph|primitive|scalar_graph|vector_code)"
    r"|regions\.(exact_plane|exact_lines)"
    r"|analysis\.(polytopes|linear_programs|cell_tree|finite_fields|incidence)"
    r"|study\.(layout|plan|program|describe|code|store)"
    r"|networks\.readers\.(expressions|onnx_operations|onnx_graphs|onnx_nodes|jax_programs|jax_endings)"
    r"|networks\.writers\.steps"
    r")"
)
INTERNAL_CLASSES = {"ProjectiveDomain", "StepFunctions", "RunFunctions", "RunResult"}


def named_tuples() -> Iterator[Any]:
    for module in pkgutil.walk_packages(jg.__path__, "jaxgeom."):
        if module.name.endswith("__main__") or ".libjaxgeom" in module.name:  # the compiled engine is no module
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            is_own = isinstance(value, type) and value.__module__ == module.name and not name.startswith("_")
            if is_own and issubclass(value, tuple) and hasattr(value, "_fields"):
                yield value


ALL = list(named_tuples())
PUBLIC = [cls for cls in ALL if not INTERNAL.fullmatch(cls.__module__) and cls.__name__ not in INTERNAL_CLASSES]


def test_every_named_tuple_of_the_table_of_contents_is_among_the_public_ones() -> None:
    listed = {
        value
        for room in (jg, jg.plot)
        for value in map(room.__getattribute__, room.__all__)
        if isinstance(value, type) and hasattr(value, "_fields")
    }
    assert listed <= set(PUBLIC)
    assert len(PUBLIC) > 50


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__qualname__)
def test_every_field_is_documented_with_its_shape(cls: Any) -> None:
    page = pydoc.render_doc(cls, renderer=pydoc.plaintext)
    for field in cls._fields:
        text = getattr(cls, field).__doc__
        annotation, _, meaning = text.partition(": ")
        assert annotation == cls.__annotations__[field] if isinstance(cls.__annotations__[field], str) else annotation
        assert len(meaning) > 3, field
        assert not re.match("Alias for field", text)
        if "Array" in annotation or "ndarray" in annotation:
            assert '"' in annotation or re.search(r"Callable|PyTree|list|dict|Params", annotation), field
        assert annotation.split("[")[0] in page


@pytest.mark.slow
@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__qualname__)
def test_everything_prints_in_a_handful_of_short_lines(cls: Any) -> None:
    tree = {f"dense{i}_relu": {"kernel": np.zeros((9, 40, 40)), "bias": np.zeros((9, 40))} for i in range(30)}
    for filling in (np.zeros((1000, 10, 10)), np.zeros(1000), np.float32(0.5), tree, [tree] * 5, "text" * 99, None):
        value = cls(*[filling] * len(cls._fields))
        lines = repr(value).splitlines()
        assert len(lines) <= len(cls._fields) + 2 + hasattr(cls, "_note")
        assert max(map(len, lines)) <= WIDTH
        assert str(value) == repr(value)
        if cls._repr_html_ is not short_html:  # it shows itself
            continue
        page = value._repr_html_()
        assert page.count("<tr") == len(cls._fields) == page.count("</tr>")
        assert len(page) < 1000 * len(cls._fields)
        assert all(f">{field}<" in page for field in cls._fields)


def fitted(num: int) -> Any:
    data = jg.parity(2)
    keys = jax.random.split(jax.random.key(0), num)
    return jg.fit_population(
        keys,
        lambda key: jg.fit(key, jg.mlp((2, 4, 1)), optax.sgd(0.1), jg.losses.squared_error, data, num_epochs=3),
    )


def test_a_fit_shows_shapes_dtypes_and_its_tree_in_one_line() -> None:
    text = repr(fitted(5))
    assert len(text.splitlines()) <= 10
    tree = next(line for line in text.splitlines() if line.startswith("    params="))
    assert "4 arrays, 85 float32" in tree  # 5 (2·4 + 4 + 4·1 + 1)
    assert "dense0_relu.bias (5, 4)" in tree
    assert "train_loss=(5, 4) float32" in text
    assert "train_accuracy=None" in text
    assert "diverged=(5,) bool" in text


def test_scalars_show_their_values() -> None:
    layers = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), np.zeros(1)))
    counted = jg.count_regions(layers, jg.box(-1, 1))
    assert repr(counted) == "RegionCounts(count=4 int64, degenerate=False bool, num_large=None, smallest_area=None)"
    assert repr(jg.box(-1, 1)) == "Box(low=[-1, -1] float64, high=[1, 1] float64)"
    found = repr(jg.enumerate_regions(layers, jg.box(-1, 1)))
    assert "vertices=(9, 2) float64" in found
    assert "complete=True" in found
    assert len(found.splitlines()) <= 10


def test_values_that_cannot_be_read_are_shown_by_shape() -> None:
    seen = []

    @jax.jit
    def traced(x: Any) -> Any:
        seen.append(repr(jg.Dense(x, x[0])))
        return x

    traced(jnp.ones((2, 3)))
    assert seen == ["Dense(kernel=(2, 3) float32, bias=(3,) float32, slope=None)"]
    gone = jnp.ones(2)
    gone.delete()
    assert short(gone) == "(2,) float32"
    assert short(jax.random.key(0)) == "() key<fry>"
    assert short(jax.ShapeDtypeStruct((2,), jnp.float32)) == "(2,) float32"
    assert short(np.array([None, 1])) == "(2,) object"
    assert short(np.ma.masked_array([1.5, 2.0], [True, False])) == "[None, 2] float64"


def test_fields_of_plain_values() -> None:
    @readable
    class Plain(NamedTuple):
        value: Any

    for value, text in (
        (3, "3"),
        (0.1 + 0.2, "0.3"),
        ("a", "'a'"),
        ((1, 2), "(1, 2)"),
        ((1,), "(1,)"),
        ([], "[]"),
        ({}, "{}"),
        ([0.5] * 300, "list of 300 float"),
        ({"a": 1, "b": "c"}, "{a: 1, b: 'c'}"),
        ({"a": {"b": 1}, "c": 2}, "{a, c}"),
        (jg.datasets.parity, "<parity>"),
        (slice(2), "slice(None, 2, None)"),
        (("a", np.zeros((2, 2))), "1 array, 4 float64 and 1 other value: 1 (2, 2)"),
        (
            {"a": np.zeros(9), "b": np.zeros((2, 2), int)},
            "2 arrays, 13 float64 and int64: a (9,) float64, b (2, 2) int64",
        ),
    ):
        assert repr(Plain(value)) == f"Plain(value={text})"
    assert "&lt;b&gt;" in Plain("<b>")._repr_html_()


def test_a_note_comes_first() -> None:
    @readable
    class Noted(NamedTuple):
        value: int

        def _note(self) -> str:
            return "40 % done"

    assert repr(Noted(1)) == "Noted(40 % done, value=1)"
    assert "40 % done" in Noted(1)._repr_html_()
