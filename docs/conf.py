"""The documentation's build: ``sphinx-build -W -j 2 docs docs/_build/html``.

Pages are Markdown (MyST). Those of ``tutorials``, ``how-to`` and ``gallery.md`` are notebooks: their code cells are
executed by the build, which fails where one raises. Nothing is fetched from the net, by the build or by the pages.
"""

import ast
import inspect
import logging
import os
import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

# What the notebooks' kernels inherit. Compiling takes most of their time, and half as long without optimization.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # progress bars of notebooks, of which there are none here
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
os.environ.pop("MPLBACKEND", None)  # kernels draw into the page

import jaxgeom  # noqa: E402

logging.getLogger("traitlets").setLevel(logging.WARNING)

for alias in ("datasets", "losses"):  # autodoc imports by name; these are attributes that live elsewhere
    sys.modules[f"jaxgeom.{alias}"] = getattr(jaxgeom, alias)

project = "jaxgeom"
author = "the authors of jaxgeom"
version = release = jaxgeom.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "requirements.txt"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings: list[str] = []
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
nb_output_stderr = "error"  # a warning in a tutorial is one of the build
nb_ipywidgets_js: dict[str, Any] = {}  # they would come from the net
nb_merge_streams = True

autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
maximum_signature_line_length = 72
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"jaxgeom {version}"
html_static_path = ["_static"]
html_css_files = ["jaxgeom.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00629b", "color-brand-content": "#00629b"},
    "dark_css_variables": {"color-brand-primary": "#6cb8ea", "color-brand-content": "#6cb8ea"},
}


def as_written(app: Any, what: str, name: str, item: Any, options: Any, signature: Any, returns: Any) -> Any:
    """A signature as the source has it: ``Float[Array, "points in"]``, not what that evaluates to."""
    if what == "class" and hasattr(item, "_fields"):
        defaults = item._field_defaults
        fields = [f"{field}={defaults[field]!r}" if field in defaults else field for field in item._fields]
        return f"({', '.join(fields)})", None
    if what not in ("function", "method"):
        return None
    function = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(item)))).body[0]
    if not isinstance(function, ast.FunctionDef):
        return None
    if what == "method" and function.args.args:
        del function.args.args[0]
    return f"({ast.unparse(function.args)})", ast.unparse(function.returns) if function.returns else None


def escaped(line: str) -> str:
    """A line of a docstring without accidental markup: bars are absolute values here, and stars count axes."""
    parts = re.split(r"(``.*?``)", line)
    return "".join(
        part if part.startswith("``") else re.sub(r"(?<!\\)(\||\*(?=\w+[,)]))", r"\\\1", part) for part in parts
    )


def with_fields(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """The fields of a named tuple, each with its type and shape as the source has them, after its description."""
    lines[:] = [escaped(re.sub(r"^(:param \w+)_:", r"\1\\_:", line)) for line in lines]  # or else it is a reference
    if what != "class" or not hasattr(item, "_fields"):
        return
    lines += ["", ".. container:: fields", ""]
    for field in item._fields:
        kind, _, text = (getattr(item, field).__doc__ or "").partition(": ")
        lines += [f"    **{field}** : ``{kind}``", f"        {escaped(text)}" if text else "        \\ ", ""]


def is_a_field(app: Any, what: str, name: str, item: Any, skip: bool, options: Any) -> bool | None:
    """Fields are listed above, with their types, and NamedTuple's own methods nowhere."""
    return True if type(item).__name__ == "_tuplegetter" else None


def spread(app: Any, env: Any, names: list[str]) -> None:
    """Pages in another order, so that neighbours, notebooks beside notebooks, go to different processes."""
    names[:] = [name for start in range(8) for name in sorted(names)[start::8]]


def write_explorer(app: Any, error: Any) -> None:
    """The page that ``how-to/explore.md`` shows, made by the code that stands above it."""
    if error is None and app.builder.format == "html":
        code = re.search(
            r"^```python\n(.*?)^```$", (HERE / "how-to" / "explore.md").read_text(), re.DOTALL | re.MULTILINE
        )
        names: dict[str, Any] = {}
        exec(code[1], names)
        shutil.copy(names["page"].path, Path(app.outdir) / "how-to" / "circles.html")


def setup(app: Any) -> None:
    app.connect("env-before-read-docs", spread)
    app.connect("autodoc-process-signature", as_written)
    app.connect("autodoc-process-docstring", with_fields)
    app.connect("autodoc-skip-member", is_a_field)
    app.connect("build-finished", write_explorer)
