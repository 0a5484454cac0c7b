"""[edge] XOR: how many linear regions do networks have that solve it?

Networks 2-W-1 with ReLU learn XOR on {-1, 1}² with targets ±1: PyTorch's initialisation, mean squared error, 100
full-batch steps of SGD with learning rate 0.1, drawn anew until all four points are right. Their linear regions on
[-1, 1]² are counted twice: as distinct affine maps on a grid of 101 × 101 points and the four corners, with
tolerance 1e-3, which is the customary procedure, and exactly, after training and before it.
"""

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import RandomKey
from jaxgeom.data.datasets import parity
from jaxgeom.data.losses import side_is_right, squared_error
from jaxgeom.domains import box, grid_points
from jaxgeom.host.given import check_positive
from jaxgeom.networks.layers import layers_of
from jaxgeom.networks.models import mlp
from jaxgeom.recipes.output import check_writable, save_arrays, save_figure, save_report
from jaxgeom.regions.cells import NOT_COUNTED
from jaxgeom.regions.count import count_regions
from jaxgeom.regions.grid.count import count_grid_regions
from jaxgeom.theory import mean_count_one_layer
from jaxgeom.training.fit import fit
from jaxgeom.training.population import Solved, Trial, fit_until_solved

LEARNING_RATE = 0.1
NUM_STEPS = 100

ANECDOTES = {2: (3, 3), 20: (55, 54), 100: (1079, 1399)}
"""The grid counts that the notebook behind this study reports, for two networks of each width."""


@readable
class XorStudy(NamedTuple):
    """One row a network; widths one after the other, seeds counting up within each."""

    width: Int[np.ndarray, " networks"]
    """Hidden units."""
    seed: Int[np.ndarray, " networks"]
    """Number of the network within its width; its random key follows from it, the width and the study's key."""
    solved: Bool[np.ndarray, " networks"]
    """Whether the last try has all four points right."""
    tries: Int[np.ndarray, " networks"]
    """Initialisations used."""
    grid_count: Int[np.ndarray, " networks"]
    """Distinct affine maps on the grid after training; -1 if training diverged."""
    exact_count: Int[np.ndarray, " networks"]
    """Regions in (-1, 1)² after training, exact; -1 if training diverged."""
    exact_count_init: Int[np.ndarray, " networks"]
    """Regions of the same network before training, exact."""


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
    p_solved_error: float
    """Its standard error (binomial)."""
    grid_count: dict[str, float]
    """mean, sd, min and max of the grid counts."""
    exact_count: dict[str, float]
    """The same of the exact counts."""
    exact_count_init: dict[str, float]
    """The same of the exact counts before training, over all networks."""
    theory_init: float
    """Expected exact count before training."""


def train_xor(
    key: RandomKey, width: int, num_seeds: int, *, max_tries: int = 100, progress: bool | str = False
) -> Solved:
    """Networks 2-width-1 trained on XOR until they solve it.

    Args:
        key: random key; network i of a width has a key of its own, whatever the number of networks.
        width: hidden units.
        num_seeds: networks.
        max_tries: networks not solved by so many initialisations are left unsolved.
        progress: show a progress bar; a string is its title.

    Returns:
        The trained population, with ``params`` as :func:`jaxgeom.mlp` makes them.

    Raises:
        ValueError: for sizes below one.
    """
    for name, value in (("width", width), ("num_seeds", num_seeds)):
        check_positive(name, value)
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.fold_in(key, width), seed))(np.arange(num_seeds))
    return fit_until_solved(keys, _trial(width), max_tries=max_tries, progress=progress)


@lru_cache(maxsize=32)
def _trial(width: int) -> Callable[[RandomKey], Trial]:
    """One try of one network; the same function for the same width, so that it is compiled once."""
    model = mlp((2, width, 1))
    data = parity(2)
    optimizer = optax.sgd(LEARNING_RATE)

    def trial(key: RandomKey) -> Trial:
        result = fit(key, model, optimizer, squared_error, data, num_epochs=NUM_STEPS, record=None)
        is_right = side_is_right(model.apply(result.params, data.x), data.y)
        return Trial(result.params, result.initial_params, jnp.all(is_right) & ~result.diverged, result.diverged)

    return trial


def xor_study(
    widths: Sequence[int] = (2, 20, 100),
    num_seeds: int = 1000,
    *,
    key: RandomKey | int | np.integer = 0,
    num_grid: int = 101,
    max_tries: int = 100,
    trained: Mapping[int, Solved] | None = None,
    progress: bool = False,
) -> XorStudy:
    """Networks of several widths trained on XOR, their linear regions counted on a grid and exactly.

    Args:
        widths: numbers of hidden units.
        num_seeds: networks of each width.
        key: random key of the study, or a seed for one.
        num_grid: grid points along each axis.
        max_tries: initialisations a network may use.
        trained: the networks of each width, if :func:`train_xor` has given them already for this key.
        progress: show progress bars.

    Raises:
        ValueError: for no widths, repeated widths, or sizes that are too small.
    """
    widths = [operator.index(width) for width in widths]
    if not widths or len(set(widths)) < len(widths):
        raise ValueError(f"widths must be different positive integers, but {widths} was given.")
    if num_seeds < 1 or min(widths) < 1:
        raise ValueError(f"widths and num_seeds must be positive, but {widths} and {num_seeds} were given.")
    key = jax.random.key(int(key)) if isinstance(key, int | np.integer) else key
    domain = box(-1, 1)
    points = grid_points(domain, num_grid, with_corners=True)
    parts = []
    for width in widths:

        def bar(what: str, width: int = width) -> bool | str:
            return f"width {width}, {what}" if progress else False

        if trained is None:
            solved = train_xor(key, width, num_seeds, max_tries=max_tries, progress=bar("training"))
        else:
            solved = trained[width]
        layers = layers_of(solved.params)
        on_grid = count_grid_regions(layers, points, progress=bar("counting on the grid"))
        exact = count_regions(layers, domain, progress=bar("counting exactly"))
        before = count_regions(layers_of(solved.initial_params), domain, progress=bar("counting before training"))
        parts.append(
            XorStudy(
                np.full(num_seeds, width),
                np.arange(num_seeds),
                solved.is_solved,
                solved.tries,
                on_grid.num_maps,
                exact.count,
                before.count,
            )
        )
    return XorStudy(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def xor_statistics(study: XorStudy) -> list[XorStatistics]:
    """Means, deviations and ranges of a study's counts, width by width."""

    def moments(counts: Int[np.ndarray, " networks"]) -> dict[str, float]:
        if len(counts) == 0:
            return dict.fromkeys(("mean", "sd", "min", "max"), float("nan"))
        spread = float(np.std(counts, ddof=1)) if len(counts) > 1 else 0.0
        return {
            "mean": float(counts.mean()),
            "sd": spread,
            "min": int(counts.min()),
            "max": int(counts.max()),
        }

    rows = []
    for width in dict.fromkeys(study.width.tolist()):
        member = study.width == width
        solved = member & study.solved
        rate = float(np.mean((study.tries == 1)[member] & study.solved[member]))
        rows.append(
            XorStatistics(
                width=width,
                num_networks=int(member.sum()),
                num_solved=int(solved.sum()),
                p_solved=rate,
                p_solved_error=float(np.sqrt(rate * (1 - rate) / member.sum())),
                grid_count=moments(study.grid_count[solved]),
                exact_count=moments(study.exact_count[solved]),
                exact_count_init=moments(study.exact_count_init[member]),
                theory_init=mean_count_one_layer(width),
            )
        )
    return rows


def xor_table(study: XorStudy) -> str:
    """The study as a table in plain text: the probability to solve XOR, and both counts of the solved networks."""

    def cells(counts: dict[str, float]) -> str:
        if np.isnan(counts["mean"]):
            return f"{'–':>9} {'–':>7} {'–':>6} {'–':>6}"
        return f"{counts['mean']:9.2f} {counts['sd']:7.2f} {counts['min']:6.0f} {counts['max']:6.0f}"

    head = f"{'mean':>9} {'sd':>7} {'min':>6} {'max':>6}"
    lines = [
        f"{'':>6} {'':>15}   {'maps on the grid':^31}   {'regions, exact':^31}",
        f"{'width':>6} {'P(solved)':>15}   {head}   {head}",
    ]
    for row in xor_statistics(study):
        solved = f"{row.p_solved:.3f} ± {row.p_solved_error:.3f}"
        lines.append(f"{row.width:>6} {solved:>15}   {cells(row.grid_count)}   {cells(row.exact_count)}")
    return "\n".join(lines)


def save_xor_study(study: XorStudy, directory: str | os.PathLike[str], settings: dict[str, Any]) -> list[Path]:
    """Write ``xor.json``, ``xor.npz`` and ``xor.png``, the numbers first.

    Args:
        study: what to save.
        directory: where to; created if need be.
        settings: recorded in the JSON file.

    Returns:
        The paths written.

    Raises:
        ValueError: if the directory cannot be written.
    """
    from jaxgeom import plot

    written = save_xor_numbers(study, directory, settings)
    grid = f"{settings['num_grid']} × {settings['num_grid']}"
    figure = plot.new_figure(num_columns=len(set(study.width.tolist())))
    plot.region_counts(
        study.width,
        {
            f"distinct maps on the {grid} grid": np.where(study.solved, study.grid_count, NOT_COUNTED),
            "regions, exact": np.where(study.solved, study.exact_count, NOT_COUNTED),
        },
        anecdotes=ANECDOTES,
        theory=mean_count_one_layer,
        ax=figure.subplots(),
    )
    return [*written, *save_figure(figure, Path(directory) / "xor", ("png",))]


def save_xor_numbers(study: XorStudy, directory: str | os.PathLike[str], settings: dict[str, Any]) -> list[Path]:
    """The same without the picture: what is saved after each width, so that nothing finished is lost."""
    path = check_writable(directory)
    arrays = save_arrays(path / "xor.npz", study._asdict())
    return [save_report(path / "xor.json", settings, [row._asdict() for row in xor_statistics(study)]), arrays]
