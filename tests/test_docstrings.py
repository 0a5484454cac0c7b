"""Examples in docstrings give the outputs that they show, and every function of daily use has one."""

import ast
import doctest
import inspect
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import jaxgeom as jg

PACKAGE = Path(jg.__file__).parent
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def examples_of(path: Path) -> dict[str, str]:
    """The docstrings with examples in a file, by the names of their functions."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            text = ast.get_docstring(node) or ""
            if ">>>" in text:
                found[node.name] = text
    return found


EXAMPLES = {
    str(path.relative_to(PACKAGE)): found for path in sorted(PACKAGE.rglob("*.py")) if (found := examples_of(path))
}
NEEDED = {
    "convert.py": ("shapely", "networkx"),
    "torch_modules.py": ("torch",),
    "equinox_modules.py": ("equinox",),
    "sklearn_models.py": ("sklearn",),
    "keras_models.py": ("keras",),
    "onnx_models.py": ("onnx",),
    "onnx_graphs.py": ("onnx",),
    "torch_sequences.py": ("torch",),
}
WITHOUT = {
    "run_study",  # an example takes a minute: docs/tutorials
    "train_spirals",
    "train_xor",
    "xor_statistics",
    "xor_study",
    "xor_table",
}


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_give_what_they_show(name: str) -> None:
    for library in NEEDED.get(Path(name).name, ()):
        pytest.importorskip(library)
    report: list[str] = []
    for function, text in EXAMPLES[name].items():
        test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, function, name, 0)
        assert test.examples[-1].want or function == "check_complex"  # one that shows nothing can hardly fail
        doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=report.append)
    plt.close("all")
    assert not report, "".join(report)


def test_functions_of_daily_use_have_examples() -> None:
    functions = {name for name in jg.__all__ if inspect.isfunction(getattr(jg, name))}
    losses = {f"{name}" for name, value in vars(jg.losses).items() if is_public(name, value, jg.losses)}
    datasets = {f"{name}" for name, value in vars(jg.datasets).items() if is_public(name, value, jg.datasets)}
    shown = {function for found in EXAMPLES.values() for function in found}
    assert len(functions) > 80
    assert (functions | losses | datasets) - shown - {"check_per_point"} == WITHOUT


def is_public(name: str, value: object, module: object) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
