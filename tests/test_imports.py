"""Who may import whom, and what importing jaxgeom loads."""

import ast
import inspect
import re
import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from unittest.mock import Mock

import pytest

from jaxgeom.host import packages

PACKAGE = Path(__file__).parents[1] / "jaxgeom"

# The staircase of docs/architecture.md, from the ground up: a room imports rooms of lower floors alone, and a neighbour
# of its own floor only where it is listed beside it. `__init__` names modules and imports one.
FLOORS: tuple[dict[str, set[str]], ...] = (
    {
        "_typing": set(),
        "_reprs": set(),
        "host": {"_typing", "_reprs"},
        "domains": {"_typing", "_reprs", "host"},
        "theory": {"domains", "host"},
    },
    {"networks": set(), "data": set(), "engine": set()},
    {"regions": set(), "training": set()},
    {"analysis": set()},
    {"study": set(), "plot": set(), "convert": set()},
    {"recipes": set()},
    {"__main__": set()},
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Lower floors that a room has nothing to do with.
NEVER = {"engine": {"domains", "theory", "_typing"}, "analysis": {"training", "data"}, "plot": {"training", "engine"}}
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


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports, anywhere in it; its own and the package's version are no rooms."""
    own = {name.split(".")[1] for name in imported_modules(path) if name.startswith("jaxgeom.")}
    return own - {room(path), "__version__"}


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_go_down_the_staircase(path: Path) -> None:
    own, found = room(path), imported_rooms(path)
    if own == "__init__":
        assert found == {"host"}
        return
    lower = {name for name, floor in FLOOR_OF.items() if floor < FLOOR_OF[own]}
    assert found <= (lower | FLOORS[FLOOR_OF[own]][own]) - NEVER.get(own, set())


def test_every_file_has_a_floor() -> None:
    assert {room(path) for path in FILES} == {*FLOOR_OF, "__init__"}


def test_no_circle_on_a_floor() -> None:
    for rooms in FLOORS:
        seen: set[str] = set()
        for name, neighbours in rooms.items():  # listed from the ground up
            assert neighbours <= seen
            seen.add(name)


def test_the_page_on_architecture_says_what_is() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (\d) \| (.*) \|$", page, re.MULTILINE)
    assert {int(floor): set(re.findall(r"`(\w+)`", rooms)) for floor, rooms in rows} == {
        number: set(rooms) for number, rooms in enumerate(FLOORS, 1)
    }
    mapped = {Path(place).stem for place in re.findall(r"^\| `jaxgeom/([\w./]+)` \|", page, re.MULTILINE)}
    assert mapped == {*FLOOR_OF, "__init__"}
    places = re.findall(r"`((?:jaxgeom|tests|examples|docs)/[\w./]*)`", page)
    assert len(places) > 40
    assert [place for place in places if not (PACKAGE.parent / place).exists()] == []


def printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_importing_jaxgeom_loads_nothing_else() -> None:
    assert printed("import sys; import jaxgeom; print({'jax', 'numpy'} & set(sys.modules))") == "set()"
    late = {"flax", "scipy.sparse", "matplotlib", "jax.extend"}

    def loaded(code: str) -> set[str]:
        return set(printed(f"import sys; {code}; print(*{late} & set(sys.modules))").split())

    daily = "jaxgeom.mlp, jaxgeom.fit, jaxgeom.fit_population, jaxgeom.count_regions, jaxgeom.losses, jaxgeom.parity"
    assert loaded(f"import jaxgeom; {daily}") == loaded("import jax, optax")
    evaluated = "model = jaxgeom.mlp((2, 3, 1)); model.apply(model.init(jax.random.key(0)), [[0.0, 1.0]])"
    assert loaded(f"import jax, jaxgeom; {evaluated}") == loaded("import jax, optax")


def test_the_table_of_contents_is_that_of_type_checkers() -> None:
    import jaxgeom

    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    homes = {}
    for node in ast.walk(stub):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.name == alias.asname  # which makes it public
                homes[alias.name] = node.module
    modules = {name: home.rpartition(".")[0] for name, home in jaxgeom._MODULES.items()}
    assert homes == jaxgeom._HOMES | modules
    for name, home in jaxgeom._HOMES.items():  # the first module that has it, and not one that imports it from there
        defined = getattr(getattr(jaxgeom, name), "__module__", home)
        assert defined == home or not defined.startswith("jaxgeom"), name


@pytest.mark.slow
@pytest.mark.parametrize(("library", "owner"), [("flax", "networks"), ("optax", "training")])
def test_libraries_have_one_importer(library: str, owner: str) -> None:
    importers = {room(path) for path in FILES if any(n.split(".")[0] == library for n in imported_modules(path))}
    assert importers <= {owner, "recipes"}
    assert owner in importers


def test_table_of_contents_is_complete() -> None:
    import jaxgeom

    for name in jaxgeom.__all__:
        assert getattr(jaxgeom, name) is not None
    assert sorted(jaxgeom.__all__) == jaxgeom.__all__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = jaxgeom.nonsense


def test_completion_offers_public_names_alone() -> None:
    import jaxgeom

    for module in (jaxgeom, jaxgeom.plot, jaxgeom.datasets, jaxgeom.losses, jaxgeom.study):
        assert [name for name in dir(module) if not name.startswith("__")] == sorted(module.__all__)
        assert all(hasattr(module, name) for name in dir(module))


def test_docstrings_of_the_table_of_contents_begin_with_what_is_returned() -> None:
    import jaxgeom

    verbs = "Build|Certify|Compute|Count|Draw|Evaluate|Find|Fit|Give|Look|Make|Measure|Return|Summarise|Train|Write"
    for room in (jaxgeom, jaxgeom.plot):
        for name in room.__all__:
            documented = inspect.getdoc(getattr(room, name)) or ""
            assert documented, name
            assert not re.match(rf"({verbs})(es|s)? ", documented), name


def test_version_is_the_same_everywhere() -> None:
    import jaxgeom

    citation, changes = ((PACKAGE.parent / name).read_text() for name in ("CITATION.cff", "CHANGELOG.md"))
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [jaxgeom.__version__]
    entries = re.findall(r"^## (.*) \((\d{4}-\d\d-\d\d|unreleased)\)$", changes, re.MULTILINE)
    assert entries[0][0] == jaxgeom.__version__
    assert [date for _, date in entries[1:] if date == "unreleased"] == []


def test_versions_of_jax_that_are_excluded_give_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for version in ("0.10.1", "0.10.21", "0.12.0"):
            packages.warn_if_excluded("jax", version)
        packages.warn_if_excluded("typing", "0.10.2")  # of another package
    excluded = re.findall(r"!=([\d.]+)", re.search(r'"jax>=.*"', (PACKAGE.parent / "pyproject.toml").read_text())[0])
    assert "0.10.2" in excluded
    for version in excluded:
        with pytest.warns(UserWarning, match=rf"jax {version} is installed, .* wrong numbers.*pip install \"jax[!>]"):
            packages.warn_if_excluded("jax", version)
    monkeypatch.setattr(packages, "requires", Mock(side_effect=PackageNotFoundError))
    packages.warn_if_excluded("jax", "0.10.2")  # not installed: nothing is known
    wrong = "import jax; jax.__version__ = '0.10.2'; import jaxgeom; jaxgeom.count_regions"
    done = subprocess.run([sys.executable, "-c", wrong], capture_output=True, text=True, check=True)
    assert "jax 0.10.2 is installed" in done.stderr
