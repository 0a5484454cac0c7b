"""[edge] XOR: how many linear regions do networks have that solve it?

Networks 2-W-1 with ReLU learn XOR on {-1, 1}² with targets ±1: PyTorch's initialisation, mean squared error, 100
full-batch steps of SGD with learning rate 0.1, drawn anew until all four points are right. Their linear regions on
[-1, 1]² are counted twice: as distinct affine maps on a grid of 101 × 101 points and the four corners, with
tolerance 1e-3, which is the customary procedure, and exactly, after training and before it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optax
from jaxtyping import Real

from jaxgeom._reprs import readable
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.data.datasets import parity
from jaxgeom.data.losses import side_is_right, squared_error
from jaxgeom.domains import box, grid_points
from jaxgeom.host.files import whole_file
from jaxgeom.recipes.output import check_writable, save_figure, save_report
from jaxgeom.regions.cells import NOT_COUNTED
from jaxgeom.study.measurements import Measurement, all_right, exact_regions, grid_regions
from jaxgeom.study.networks import parameters
from jaxgeom.study.result import Study, save
from jaxgeom.study.run import run_study
from jaxgeom.theory import mean_count_one_layer

LEARNING_RATE = 0.1
NUM_STEPS = 100

ANECDOTES = {2: (3, 3), 20: (55, 54), 100: (1079, 1399)}
"""The grid counts that the notebook behind this study reports, for two networks of each width."""


@readable
class XorStatistics(NamedTuple):
    """What the table shows of one width; counts over solved networks, and nan where there are none."""

    width: int
    """Hidden units."""
    num_networks: int
    """Number of networks of this width."""
    num_solved: int
    """Number of those whose last try has all four points right."""
    p_solved: float
    """Fraction solved by their first try."""
    p_solved_low: float
    """Lower end of its 95 % interval, that of :func:`jaxgeom.fraction_interval`."""
    p_solved_high: float
    """Upper end of that interval."""
    grid_count: dict[str, float]
    """mean, sd, min and max of the grid counts."""
    exact_count: dict[str, float]
    """The same of the exact counts."""
    exact_count_init: dict[str, float]
    """The same of the exact counts before training, over all networks."""
    theory_init: float
    """Expected exact count before training."""


def train_xor(
    width: int | Sequence[int],
    seeds: Sequence[int],
    *,
    measure: Mapping[str, Measurement] | None = None,
    at_steps: Sequence[int] = (0, NUM_STEPS),
    key: int = 0,
    max_tries: int = 100,
    progress: bool | str = False,
) -> Study:
    """Networks 2-width-1 trained on XOR until they solve it, by :func:`jaxgeom.run_study`.

    Args:
        width: hidden units; a single number makes no axis.
        seeds: numbers of the networks, each of which has a random key of its own.
        measure: measurements besides the parameters.
        at_steps: steps of gradient descent, of 100, after which to measure.
        key: seed of the study.
        max_tries: networks not solved by so many initialisations are left unsolved.
        progress: show a progress bar; a string is its title.

    Returns:
        A study with the axes width and seed and the variables ``is_solved``, ``tries`` and those of ``params``, of
        which :func:`jaxgeom.study.networks` makes networks.

    Raises:
        ValueError: for what :func:`jaxgeom.run_study` refuses, such as no widths or repeated ones.
    """
    return run_study(
        {"width": width, "seed": seeds},
        {**(measure or {}), "params": parameters()},
        data=parity(2),
        optimizer=optax.sgd(LEARNING_RATE),
        loss=squared_error,
        num_epochs=NUM_STEPS,
        at_steps=at_steps,
        key=key,
        until=all_right(is_right=side_is_right),
        max_tries=max_tries,
        progress=progress,
    )


def xor_study(
    widths: Sequence[int] = (2, 20, 100),
    num_seeds: int = 1000,
    *,
    key: int = 0,
    num_grid: int = 101,
    max_tries: int = 100,
    progress: bool | str = False,
) -> Study:
    """Networks of several widths trained on XOR, their linear regions counted on a grid and exactly.

    Args:
        widths: numbers of hidden units.
        num_seeds: networks of each width.
        key: seed of the study.
        num_grid: grid points along each axis.
        max_tries: initialisations a network may use.
        progress: show a progress bar; a string is its title.

    Returns:
        That of :func:`train_xor` with two more variables: "maps", the distinct affine maps on the grid after training,
        and "regions", exact numbers on [-1, 1]² before and after it; NaN if training diverged.

    Raises:
        ValueError: for no widths, repeated widths, or sizes that are too small.
    """
    domain = box(-1, 1)
    on_grid = grid_regions(grid_points(domain, num_grid, with_corners=True))
    return train_xor(
        tuple(widths),
        range(num_seeds),
        measure={"maps": on_grid._replace(steps=(NUM_STEPS,)), "regions": exact_regions(domain)},
        key=key,
        max_tries=max_tries,
        progress=progress,
    )


def xor_statistics(study: Study) -> list[XorStatistics]:
    """Means, deviations and ranges of a study's counts, width by width."""

    def moments(counts: Real[np.ndarray, " networks"]) -> dict[str, float]:
        if len(counts) == 0:
            return dict.fromkeys(("mean", "sd", "min", "max"), float("nan"))
        deviation = float(np.std(counts, ddof=1)) if len(counts) > 1 else 0.0
        return {"mean": float(counts.mean()), "sd": deviation, "min": int(counts.min()), "max": int(counts.max())}

    rows = []
    for place, width in enumerate(study.coords["width"].tolist()):
        is_solved, tries = study.variables["is_solved"][place], study.variables["tries"][place]
        maps, regions = study.variables["maps"][place, :, -1], study.variables["regions"][place]
        at_first = fraction_interval(int(((tries == 1) & is_solved).sum()), len(tries))
        rows.append(
            XorStatistics(
                width=width,
                num_networks=len(tries),
                num_solved=int(is_solved.sum()),
                p_solved=float(at_first.fraction),
                p_solved_low=float(at_first.low),
                p_solved_high=float(at_first.high),
                grid_count=moments(maps[is_solved]),
                exact_count=moments(regions[is_solved, -1]),
                exact_count_init=moments(regions[:, 0]),
                theory_init=mean_count_one_layer(width),
            )
        )
    return rows


def xor_table(study: Study) -> str:
    """The study as a table in plain text: the probability to solve XOR with its 95 % interval, and both counts of the
    solved networks."""

    def cells(counts: dict[str, float]) -> str:
        if np.isnan(counts["mean"]):
            return f"{'–':>9} {'–':>7} {'–':>6} {'–':>6}"
        return f"{counts['mean']:9.2f} {counts['sd']:7.2f} {counts['min']:6.0f} {counts['max']:6.0f}"

    head = f"{'mean':>9} {'sd':>7} {'min':>6} {'max':>6}"
    lines = [
        f"{'':>6} {'':>19}   {'maps on the grid':^31}   {'regions, exact':^31}",
        f"{'width':>6} {'P(solved), 95 %':>19}   {head}   {head}",
    ]
    for row in xor_statistics(study):
        solved = f"{row.p_solved:.3f} ({row.p_solved_low:.3f}–{row.p_solved_high:.3f})"
        lines.append(f"{row.width:>6} {solved:>19}   {cells(row.grid_count)}   {cells(row.exact_count)}")
    return "\n".join(lines)


def save_xor_study(
    study: Study, directory: str | os.PathLike[str], settings: dict[str, Any], formats: Sequence[str] = ("png",)
) -> list[Path]:
    """Write ``xor.json``, ``xor.npz`` and the picture ``xor``, the numbers first.

    Args:
        study: what to save.
        directory: where to; created if need be.
        settings: recorded in the JSON file.
        formats: of the picture, png and svg.

    Returns:
        The paths written.

    Raises:
        ValueError: if the directory cannot be written.
    """
    from jaxgeom import plot

    written = save_xor_numbers(study, directory, settings)
    grid = f"{settings['num_grid']} × {settings['num_grid']}"
    figure = plot.new_figure(num_columns=len(study.coords["width"]))
    counts = {
        f"distinct maps on the {grid} grid": study.variables["maps"],
        "regions, exact": study.variables["regions"],
    }
    num = len(study.coords["seed"])
    figure.suptitle(f"Networks that solve XOR, of {num:,} trained of each width", fontsize="medium")
    plot.region_counts(
        np.repeat(study.coords["width"], len(study.coords["seed"])),
        {
            name: np.where(study.variables["is_solved"], count[..., -1], NOT_COUNTED).astype(int).ravel()
            for name, count in counts.items()
        },
        anecdotes=ANECDOTES,
        theory=mean_count_one_layer,
        ax=figure.subplots(),
    )
    return [*written, *save_figure(figure, Path(directory) / "xor", formats)]


def save_xor_numbers(study: Study, directory: str | os.PathLike[str], settings: dict[str, Any]) -> list[Path]:
    """The same without the picture: what is saved after each width, so that nothing finished is lost."""
    path = check_writable(directory)
    with whole_file(path / "xor.npz") as temporary:
        save(study, temporary)
    report = save_report(path / "xor.json", settings, [row._asdict() for row in xor_statistics(study)])
    return [report, path / "xor.npz"]
