"""Who may import whom, and what importing jaxgeom loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxgeom"

# Each room and the rooms that it may import, as in the design. What is not listed may import anything.
ALLOWED = {
    "_typing": set(),
    "_reprs": set(),
    "files": set(),
    "given": set(),
    "contract": set(),
    "memory": set(),
    "layers": {"_typing", "same_network"},
    "domains": {"_typing"},
    "forks": set(),
    "inputs": {"_typing", "forks"},
    "signals": set(),
    "threads": {"signals"},
    "chunks": {"_typing", "forks", "signals", "threads"},
    "affine": {"_typing", "layers", "domains"},
    "comparison": {"_typing", "layers", "affine"},
    "engine": {"signals", "engine"},
    "regions": {"_typing", "layers", "domains", "affine", "chunks", "engine", "memory", "regions"},
    "measures": {"_typing", "layers", "domains", "affine", "regions"},
    "analysis": {"_typing", "layers", "domains", "inputs", "regions", "analysis"},
    "datasets": {"_typing", "inputs"},
    "losses": {"inputs"},
    "models": {"_typing", "inputs", "layers"},
    "embeddings": {"_typing", "layers", "models"},
    "order": {"_typing", "inputs"},
    "plan": {"datasets", "inputs", "losses", "models"},
    "kernels": {"_typing"},
    "optimizers": {"_typing"},
    "padding": {"_typing", "kernels", "optimizers"},
    "loop": {"_typing", "plan"},
    "fences": {"_typing"},
    "lane_losses": {"fences", "losses"},
    "lanes": {"_typing", "fences", "lane_losses", "layers", "models", "loop"},
    "training": {
        *("_typing", "datasets", "inputs", "losses", "models", "optimizers", "order", "padding", "plan", "loop"),
        *("lanes", "kernels"),
    },
    "population": {"_typing", "chunks", "datasets", "inputs", "losses", "models", "training"},
    "study": {
        *("_typing", "analysis", "chunks", "datasets", "domains", "inputs", "layers", "losses", "measures", "memory"),
        *("models", "population", "regions", "study", "training"),
    },
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} uses a relative import"
            found |= {node.module} if node.module != "jaxgeom" else {f"jaxgeom.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_rooms_import_only_what_they_may(path: Path) -> None:
    own = {name.split(".")[1] for name in imported_modules(path) if name.startswith("jaxgeom.")}
    if room(path) in ALLOWED:
        assert own <= ALLOWED[room(path)] | {"_reprs", "given", "contract"}  # which stand below all others
    if room(path) not in ("__init__", "recipes", "commands", "__main__"):
        assert not own & ({"plot", "convert", "commands", "__main__"} - {room(path)})


@pytest.mark.parametrize(("library", "owner"), [("flax", "models"), ("optax", "optimizers")])
def test_libraries_have_one_importer(library: str, owner: str) -> None:
    importers = {room(path) for path in FILES if any(n.split(".")[0] == library for n in imported_modules(path))}
    assert importers <= {owner, "recipes"}
    assert owner in importers


def test_every_listed_room_exists() -> None:
    assert set(ALLOWED) <= {room(path) for path in FILES}


def test_importing_jaxgeom_is_light() -> None:
    heavy = ("matplotlib", "xarray", "orbax.checkpoint", "torch", "pandas")

    def loaded(modules: str) -> str:
        code = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    own = loaded("jaxgeom")
    assert own == loaded("jax, flax, optax")
    assert "matplotlib" not in own


def test_table_of_contents_is_complete() -> None:
    import jaxgeom

    for name in jaxgeom.__all__:
        assert getattr(jaxgeom, name) is not None
    assert sorted(jaxgeom.__all__) == jaxgeom.__all__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = jaxgeom.nonsense


def test_version_is_the_same_everywhere() -> None:
    import tomllib

    import jaxgeom

    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    assert project["project"]["version"] == jaxgeom.__version__
