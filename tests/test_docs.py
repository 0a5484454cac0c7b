"""Pages of the documentation: their code runs, links lead somewhere, figures are those of the benchmarks."""

import json
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))
RESULTS = ROOT / "benchmarks" / "results"
MODULES = ("convert", "datasets", "losses", "plot", "study")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "page", [page for page in HOW_TO if blocks(page, "python") and page.stem != "engine"], ids=lambda page: page.stem
)
def test_how_to_pages_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.stem == "export":
        for library in ("shapely", "networkx", "trimesh"):
            pytest.importorskip(library)
    if page.stem == "read_networks":
        for library in ("torch", "onnx", "onnxscript"):
            pytest.importorskip(library)
        warnings.simplefilter("ignore")  # PyTorch's exporter warns of itself; pytest restores the filters
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    plt.close("all")


def test_the_front_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks(DOCS / "index.md", "python")
    exec(code, {"__name__": "__main__"})
    assert capsys.readouterr().out.endswith("regions\n")


@pytest.mark.slow
def test_the_page_on_the_engine_says_which_way_fits_went(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for code in blocks(DOCS / "how-to" / "engine.md", "python"):
        exec(code, names)
    assert capsys.readouterr().out.split() == ["True", "False", "True"]


def test_commands_of_pages_exist() -> None:
    for page in PAGES:
        for line in "\n".join(blocks(page, "bash")).splitlines():
            for command in re.findall(r"python -m jaxgeom (\w+)", line):
                assert command in COMMANDS, f"{page.name}: {line}"
            for program in re.findall(r"\bpython (?!-m)((?:benchmarks|examples)/\S+)", line):
                assert (ROOT / program).is_file(), f"{page.name}: {line}"


def test_jax_for_devices_is_installed_together_with_jaxgeom() -> None:
    """By itself, ``pip install -U "jax[cuda13]"`` takes versions that jaxgeom excludes."""
    text = "\n".join("\n".join(blocks(page, "bash")) for page in [*PAGES, ROOT / "README.md"])
    commands = [line.split("#")[0] for line in text.splitlines() if "jax[" in line]
    assert len(commands) >= 4
    assert all(command.startswith('pip install -e . "jax[') for command in commands), commands


def public(module: Any) -> set[str]:
    """Names that a module makes itself or lists; without constants, which its functions mention."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return set(listed)
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__
    }


def test_every_public_name_is_in_the_reference() -> None:
    documented: dict[str, set[str]] = {}
    for page in (DOCS / "api").glob("*.md"):
        module = ""
        for directive, name in re.findall(r"^\.\. (currentmodule|auto\w+):: (\S+)$", page.read_text(), re.MULTILINE):
            if directive == "currentmodule":
                module = name
                continue
            assert name not in documented.setdefault(module, set()), f"{module}.{name} is there twice"
            documented[module].add(name)
    assert documented["jaxgeom"] == set(jg.__all__) - set(MODULES)
    inner = {"check_per_point"}  # what other rooms ask of losses
    for module in MODULES:
        found = getattr(jg, module)
        names = public(found) - {name for name in jg.__all__ if getattr(found, name, None) is getattr(jg, name)}
        assert documented.get(f"jaxgeom.{module}", set()) == names - inner, module


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
    places = re.findall(r"`((?:jaxgeom|tests|examples|docs|benchmarks)/[\w./-]*)`", text)
    assert [place for place in places if not (ROOT / place).exists()] == []


def agrees(text: str, value: float) -> bool:
    """Whether a figure is a value rounded to the digits that it shows; zeros at its end may be digits or not."""
    digits = text.replace(",", "").rstrip("×")
    decimals = len(digits.partition(".")[2])
    unit = 10.0**-decimals if decimals else 10.0 ** (len(digits) - len(digits.rstrip("0")))
    return abs(float(digits) - value) <= 0.5001 * unit


def rows(page: Path, after: str) -> list[list[str]]:
    """The body of the first table after a line."""
    lines = page.read_text().partition(after)[2].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    body = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        body.append([cell.strip() for cell in line.strip("|").split("|")])
    return body


def result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def test_the_table_of_exact_regions_is_that_of_the_benchmark() -> None:
    counts = result("exact_regions")["counts"]
    table = rows(DOCS / "benchmarks.md", "## Exact regions")
    assert len(table) == len(counts)
    for row, case in zip(table, counts, strict=True):
        assert row[1] == ("one" if case["networks"] == 1 else str(case["networks"]))
        figures = [1e3 * case["seconds"][name] for name in ("regioncam", "jaxgeom")] + [case["ratio"]["jaxgeom"]]
        assert all(agrees(text, value) for text, value in zip(row[3:6], figures, strict=True)), (row, figures)


def faster_by(candidates: dict[str, Any], rival: str) -> float:
    """With one thread or two, whichever suits the rival better."""
    return min(case["jaxgeom_is_faster_by"] for name, case in candidates.items() if name.startswith(rival))


@pytest.mark.parametrize("page", ["precision", "benchmarks"])
def test_figures_of_agreement_are_those_of_the_benchmark(page: str) -> None:
    families = list(result("agreement")["families"].values())
    totals = tuple(f"{sum(family[field] for family in families):,}" for field in ("networks", "counted_in_rationals"))
    text = " ".join((DOCS / f"{page}.md").read_text().split())
    figures = r"of ([\d,]+) networks, ([\d,]+) of them against rationals, none is wrong"
    assert re.findall(figures, text) == [totals]
    assert not any(family["wrong"] for family in families)


def test_the_table_of_training_is_that_of_the_benchmark() -> None:
    found = {}
    for case in result("training")["cases"]:
        networks = case["population"] * len(case["widths"])
        found[case["workload"], case["widths"][0][1], networks] = case["candidates"]
    rivals = ("PyTorch loop", "torch.func", "Flax loop", "vmap of scan")
    hidden = {"A": 10, "B: XOR, 2-2-1, full batch, SGD": 2, "B: XOR, 2-20-1": 20, "B: XOR, 2-100-1": 100}
    workload, num_checked = "", 0
    for row in rows(DOCS / "benchmarks.md", "## Training"):
        workload = row[0] or workload
        width = 1 if workload.startswith("C") else hidden[workload if workload.startswith("B") else "A"]
        candidates = found[workload[0], width, int(row[1].replace(",", ""))]
        for text, rival in zip(row[3:7], rivals, strict=True):
            (ratio,) = re.findall(r"\(([\d.,]+)×\)", text)
            assert agrees(ratio, faster_by(candidates, rival)), (row, rival, faster_by(candidates, rival))
            num_checked += 1
    assert num_checked == 96


def test_the_table_of_the_xor_study_is_that_of_the_benchmark() -> None:
    found = result("xor_study")["per_network"]
    table = rows(DOCS / "benchmarks.md", "## Counting, against")
    assert len(table) == 3
    for row in table:
        case = found[f"width {row[0]}"]
        figures = [case[part]["ratio"] for part in ("training", "maps", "maps + counting", "all")]
        texts = [re.findall(r"\*\*([\d,]+)×\*\*", cell)[0] for cell in row[1:]]
        assert all(agrees(text, value) for text, value in zip(texts, figures, strict=True)), (row, figures)


def test_the_table_of_lines_is_that_of_the_benchmark() -> None:
    shapes = list(result("lines")["shapes"].values())
    table = rows(DOCS / "benchmarks.md", "## Lines")
    kinds = ("one network, many segments", "many networks, one segment each", "one network, one segment")
    for row, shape in zip(table, shapes, strict=True):
        for text, kind in zip(row[1:], kinds, strict=True):
            time, ratio = re.fullmatch(r"([\d.]+) µs, ([\d.]+)×", text).groups()  # type: ignore[union-attr]
            assert agrees(time, shape[kind]["us_a_segment"]["jaxgeom"])
            assert agrees(ratio, shape[kind]["ratio"])


def test_the_table_of_slices_is_that_of_the_benchmark() -> None:
    found = result("slices")["rows"]
    table = rows(DOCS / "benchmarks.md", "## Slices of published")
    assert [row[0] for row in table] == list(found)
    for row in table:
        case = found[row[0]]
        assert case["are_equal"]
        assert row[1] == f"{case['counts']['count']:,}"
        figures = []
        for kind in ("count", "polygons"):
            milliseconds = [1e3 * case["seconds"][f"{who}{kind}"] for who in ("regioncam ", "")]
            figures += [*milliseconds, case["ratio"][kind]]
        assert all(agrees(text, value) for text, value in zip(row[2:], figures, strict=True)), (row, figures)


def test_the_table_of_accelerators_is_that_of_the_benchmark() -> None:
    record = result("compiled")
    table = rows(DOCS / "how-to" / "accelerators.md", "## Compile for a device")
    assert len(table) == len(record["training"])
    for row, (name, found) in zip(table, record["training"].items(), strict=True):
        case = found["h100"]
        assert name == f"{row[0].split(':')[0]}, {row[1]} networks"
        figures = [case["kernels"], case["bytes_a_network"] / 1e3, case["temporary_bytes"] / 1e6, case["registers"]]
        figures.append(case["estimated_model_steps_a_second"] / 1e6)
        assert all(agrees(text, value) for text, value in zip(row[2:7], figures, strict=True)), (row, figures)
        assert row[7] == str(found["v5e"]["kernels"])
    # what the page says of all of them, and of the persistent kernel
    kernels = {name[:-12]: found for name, found in record["persistent"].items()}
    assert {name: found["h100"]["registers"] for name, found in kernels.items()} == {"B2": 52, "B20": 254}
    assert [found["h100"]["spilled_bytes"] for found in kernels.values()] == [0, 0]
    assert ["error" in found["v5e"] for found in kernels.values()] == [False, False]
    for found in record["training"].values():
        assert found["h100"]["spilled_bytes"] == 0
        assert [case[name] for case in found.values() for name in ("float64", "rounded")] == [0] * 4


def test_the_table_of_convolutional_networks_is_that_of_the_benchmark() -> None:
    measured = result("convolutional")["rows"]
    table = rows(DOCS / "benchmarks.md", "## Convolutional networks")
    assert len(table) == 3
    for name, _, regions, seconds, memory in table:
        case = measured[name.split(", 32×32")[0]]
        assert regions == f"{case['regions']:,}"
        assert agrees(seconds, case["seconds"]["sparse"])
        assert agrees(memory.split()[0], case["added_megabytes"])


def bounds(values: Iterable[float]) -> list[float]:
    listed = list(values)
    return [min(listed), max(listed)]


def summary_of_the_results() -> dict[str, tuple[list[float], list[float]]]:
    """For each row of the summary the figures that it gives, in their order, and all ratios behind them."""
    rivals = ("PyTorch loop", "Flax loop", "torch.func", "vmap of scan")
    ratios: dict[tuple[str, bool], list[float]] = {(rival, single): [] for rival in rivals for single in (False, True)}
    for case in result("training")["cases"]:
        if case["workload"] in ("A", "B", "C"):  # those of the section's table
            for rival in rivals:
                is_single = case["population"] * len(case["widths"]) == 1
                ratios[rival, is_single].append(faster_by(case["candidates"], rival))
    scans = bounds(ratios["vmap of scan", False]) + bounds(ratios["vmap of scan", True])
    loops = bounds([each for (rival, _), some in ratios.items() if rival.endswith("loop") for each in some])
    functions = min(ratios["torch.func", False] + ratios["torch.func", True])
    counting = [case["all"]["ratio"] for name, case in result("xor_study")["per_network"].items() if "all" not in name]
    exact = result("exact_regions")["counts"]
    lines = {
        (shape, kind): case["ratio"]
        for shape, kinds in result("lines")["shapes"].items()
        for kind, case in kinds.items()
    }
    in_one_call = [ratio for (shape, kind), ratio in lines.items() if "512" not in shape and "many" in kind]
    spaces = [shape["ratio"]["all cores"] for shape in result("spaces")["shapes"].values() if "ratio" in shape]
    surfaces = {
        (name, num): grid["ratio"]
        for name, surface in result("spaces")["surfaces"].items()
        for num, grid in surface["grids"].items()
    }
    narrow = {(name, num): ratio for (name, num), ratio in surfaces.items() if "64-64" not in name}
    cubes = [bounds(ratio for (_, num), ratio in narrow.items() if num == points) for points in ("128", "256")]
    topology = [
        [seconds[rival] / seconds["topology"] for seconds in result("topology")["seconds"].values()]
        for rival in ("flooding, 2,000²", "gudhi, 300²")
    ]
    return {
        "training": ([*scans, functions, *loops], [each for some in ratios.values() for each in some]),
        "counting-against-the-customary-procedure": (bounds(counting), counting),
        "exact-regions": (
            bounds(case["ratio"]["jaxgeom"] for case in exact if case["networks"] > 1),
            [ratio for case in exact for ratio in case["ratio"].values()],
        ),
        "lines": (bounds(in_one_call), list(lines.values())),
        "space": ([*bounds(spaces), *cubes[0], *cubes[1]], spaces + list(surfaces.values())),
        "topology": ([*bounds(topology[0]), *bounds(topology[1])], topology[0] + topology[1]),
    }


def test_the_summary_is_that_of_the_benchmarks() -> None:
    expected = summary_of_the_results()
    table = rows(DOCS / "benchmarks.md", "# Benchmarks")
    assert len(table) == len(expected) + 1  # nothing is said of studies
    for row, (anchor, (figures, ratios)) in zip(table, expected.items(), strict=False):
        assert f"(#{anchor})" in row[0]
        texts = re.findall(r"[\d.,]*\d", re.sub(r"\(.*?\)", "", row[2]))
        assert len(texts) == len(figures), (row, figures)
        assert all(agrees(text, value) for text, value in zip(texts, figures, strict=True)), (row, figures)
        assert bool(row[3]) == (min(ratios) < 1), (row, min(ratios))  # where the rival is ahead


def test_ranges_in_sections_are_those_of_the_benchmarks() -> None:
    text = " ".join((DOCS / "benchmarks.md").read_text().split())
    slices = [case["ratio"] for case in result("slices")["rows"].values()]
    spaces = [shape["ratio"] for shape in result("spaces")["shapes"].values() if "ratio" in shape]
    (wide,) = [grids["grids"] for name, grids in result("spaces")["surfaces"].items() if "64-64" in name]
    few = min(case["ratio"]["jaxgeom in jit"] for case in result("exact_regions")["counts"])
    for pattern, values in (
        (r"Counts are (\S+) to (\S+) times", bounds(case["count"] for case in slices)),
        (r"Polygons are (\S+) to (\S+) times", bounds(case["polygons"] for case in slices)),
        (r"a region, (\S+) to (\S+) times more than a count", bounds(case["all cores"] for case in spaces)),
        (r"and (\S+) \(6-10\) to (\S+) times more than a whole", bounds(case["complex"] for case in spaces)),
        (r"up to 128³ \((\S+) to (\S+) times\)", [1 / wide["128"]["ratio"], 1 / wide["64"]["ratio"]]),
        (r"the one with four regions \((\S+)×\)", [few]),
    ):
        (found,) = re.findall(pattern, text)
        texts = [found] if isinstance(found, str) else found
        assert all(agrees(each, value) for each, value in zip(texts, values, strict=True)), (pattern, texts, values)


def test_figures_of_the_front_page_are_those_of_the_benchmarks() -> None:
    table = rows(ROOT / "README.md", "## What it does")
    texts = [text for row in table for text in re.findall(r"([\d.,]+(?: to [\d.,]+)?)×", row[2])]
    cases = [case for case in result("training")["cases"] if case["workload"] == "A"]
    spirals = {case["population"]: case["candidates"] for case in cases}
    rivals = ("Flax loop", "torch.func", "vmap of scan")
    exact = {
        (*case["widths"], case["networks"]): case["ratio"]["jaxgeom"] for case in result("exact_regions")["counts"]
    }
    topology = result("topology")["seconds"].values()
    spaces = [shape["ratio"]["all cores"] for shape in result("spaces")["shapes"].values() if "ratio" in shape]
    values = [
        *(faster_by(spirals[10_000], rival) for rival in rivals),
        *(faster_by(spirals[number], "vmap of scan") for number in (1, 16, 256)),
        result("xor_study")["per_network"]["width 100"]["all"]["ratio"],
        exact[100, 1000],
        exact[50, 50, 50, 50, 50, 50, 1000],
        result("lines")["shapes"]["[32, 32]"]["one network, many segments"]["ratio"],
        min(spaces),
    ]
    assert all(agrees(text, value) for text, value in zip(texts[: len(values)], values, strict=True)), (texts, values)
    assert texts[-2] == "6 to 90"
    finest = [
        surface["grids"]["256"]["ratio"]
        for name, surface in result("spaces")["surfaces"].items()
        if "64-64" not in name
    ]
    assert agrees("6", min(finest)) or min(finest) > 6
    assert agrees("90", max(finest))
    assert agrees(texts[-1], min(case["flooding, 2,000²"] / case["topology"] for case in topology))
