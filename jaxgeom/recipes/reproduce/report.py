"""[edge] A report on published results: Markdown with a table and a figure for each, and the numbers as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.rcsetup import cycler

from jaxgeom.host.files import whole_file
from jaxgeom.plot.style import COLORS
from jaxgeom.recipes.output import save_figure, save_report
from jaxgeom.recipes.reproduce.claims import Claim, table


def save_claim_figure(claim: Claim, path: Path, formats: Sequence[str]) -> list[Path]:
    """Write the figure of a claim, if it has one, under a path without ending.

    Args:
        claim: with or without a figure.
        path: in a directory that exists.
        formats: of the figure.
    """
    if claim.draw is None:
        return []
    with plt.rc_context({"axes.prop_cycle": cycler("color", COLORS)}):  # what C0, C1, … are when it is drawn
        figure = plt.figure(figsize=(6.4, 4.2), layout="constrained")
        claim.draw(figure.subplots())
        return save_figure(figure, path, formats)


def save_claims(
    claims: Mapping[str, Claim], pictures: Mapping[str, Sequence[Path]], directory: Path, settings: dict[str, Any]
) -> list[Path]:
    """Write ``report.md`` and ``report.json``.

    Args:
        claims: by name.
        pictures: files of the figure of each, as :func:`save_claim_figure` gives them.
        directory: where to; it must exist.
        settings: recorded in the JSON file.

    Returns:
        These files and the pictures.
    """
    written: list[Path] = []
    text = ["# Published results, measured anew", ""]
    for name, claim in claims.items():
        disagreements = [row.quantity for row in claim.rows if not row.agrees]
        verdict = "All figures agree." if not disagreements else f"**Does not agree: {'; '.join(disagreements)}.**"
        text += [f"## {claim.title}", "", f"`{name}`. Source: {claim.source}. {verdict}", "", table(claim), ""]
        text += [claim.remark, ""]
        if pictures[name]:
            text += [f"![{claim.title}]({pictures[name][0].name})", ""]
            written += pictures[name]
    report = directory / "report.md"
    with whole_file(report) as path:
        path.write_text("\n".join(text), encoding="utf-8")
    statistics = {
        name: {"title": claim.title, "source": claim.source, "rows": [row._asdict() for row in claim.rows]}
        for name, claim in claims.items()
    }
    return [report, save_report(directory / "report.json", settings, statistics), *written]
