"""[edge] A report on published results: Markdown with a table and a figure for each, and the numbers as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from jaxgeom.host.files import whole_file
from jaxgeom.plot.style import COLORS
from jaxgeom.recipes.output import save_figure, save_report
from jaxgeom.recipes.reproduce.claims import Claim, table


def save_claims(
    claims: Mapping[str, Claim], directory: Path, settings: dict[str, Any], formats: Sequence[str]
) -> list[Path]:
    """Write ``report.md``, ``report.json`` and a figure for each claim that has one.

    Args:
        claims: by name.
        directory: where to; it must exist.
        settings: recorded in the JSON file.
        formats: of the figures.
    """
    written, text = [], ["# Published results, measured anew", ""]
    for name, claim in claims.items():
        disagreements = [row.quantity for row in claim.rows if not row.agrees]
        verdict = "All figures agree." if not disagreements else f"**Does not agree: {'; '.join(disagreements)}.**"
        text += [f"## {claim.title}", "", f"`{name}`. Source: {claim.source}. {verdict}", "", table(claim), ""]
        text += [claim.remark, ""]
        if claim.draw is not None:
            with plt.rc_context({"axes.prop_cycle": plt.cycler(color=COLORS)}):  # what C0, C1, … are when it is drawn
                figure = plt.figure(figsize=(6.4, 4.2), layout="constrained")
                claim.draw(figure.subplots())
                pictures = save_figure(figure, directory / name, formats)
            text += [f"![{claim.title}]({picture.name})" for picture in pictures[:1]] + [""]
            written += pictures
    report = directory / "report.md"
    with whole_file(report) as path:
        path.write_text("\n".join(text), encoding="utf-8")
    statistics = {
        name: {"title": claim.title, "source": claim.source, "rows": [row._asdict() for row in claim.rows]}
        for name, claim in claims.items()
    }
    return [report, save_report(directory / "report.json", settings, statistics), *written]
