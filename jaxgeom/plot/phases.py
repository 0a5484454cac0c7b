"""[edge] Phase diagrams: a measurement of a study over two of its axes, as colours."""

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.text import Text

from jaxgeom._reprs import readable
from jaxgeom.host.names import did_you_mean
from jaxgeom.plot.style import percent, percent_interval

MOST_TEXTS = 120
"""Cells that numbers are written into."""
_WIDE = 30
"""A measurement that varies by a larger factor has a logarithmic colour scale."""
_LONG = 40
"""Letters of a meaning that fits beside a colour bar."""
_DARK = 0.179
"""Luminance below which white stands out more than black."""


@readable
class PhaseArtists(NamedTuple):
    """What :func:`plot_phases` drew."""

    axes: Axes
    """Where it was drawn."""
    mesh: QuadMesh
    """The cells, coloured by the median, or the fraction of networks for which a truth value is true."""
    colorbar: Colorbar | None
    """Beside the axes."""
    texts: list[Text]
    """Median and spread in each cell, or fraction and confidence interval; none if there are many cells."""
    median: Float[np.ndarray, "rows columns"]
    """What the colours say, medians or fractions; NaN where no network was measured."""
    num_networks: Int[np.ndarray, "rows columns"]
    """Networks of each cell."""


def plot_phases(
    study: Any,
    variable: str,
    *,
    x: str,
    y: str,
    step: int | None = None,
    quantiles: tuple[float, float] = (0.1, 0.9),
    ax: Axes | None = None,
    **style: Any,
) -> PhaseArtists:
    """A measurement of a study over two of its axes: the median over all other axes as colour, the spread as text. Of
    truth values, such as ``is_solved``, the fraction of networks for which they are true, with its 95 % interval
    (:func:`jaxgeom.fraction_interval`).

    Args:
        study: a :class:`jaxgeom.Study`, or anything with its ``variables``, ``dims``, ``coords`` and ``attrs``.
        variable: the measurement.
        x: the axis from left to right, each of its values a column.
        y: the axis from below, each of its values a row.
        step: after which training step, one of those measured; default is the last.
        quantiles: of the spread that is written below the median; of no use to truth values.
        ax: where to draw; default is a new figure.
        style: passed on to ``Axes.pcolormesh``, for instance ``cmap`` and ``norm``.

    Raises:
        TypeError: for anything but a study.
        ValueError: for names that the study does not have, a variable without these axes, or with axes that no network
            belongs to (units, say), or a step that was not measured.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> study = jg.run_study(
        ...     {"width": [2, 4], "learning_rate": [0.1, 0.3], "seed": range(3)},
        ...     {"loss": jg.study.loss_on()},
        ...     data=jg.parity(2), optimizer=optax.sgd, loss=jg.losses.squared_error, num_epochs=10,
        ... )
        >>> drawn = jg.plot.plot_phases(study, "loss", x="width", y="learning_rate")
        >>> drawn.num_networks.tolist()
        [[3, 3], [3, 3]]
    """
    if not all(hasattr(study, name) for name in ("variables", "dims", "coords", "attrs")):
        raise TypeError(
            f"a Study is needed, as jaxgeom.run_study or jaxgeom.study.load(path) gives it, but {type(study).__name__} "
            "was given."
        )
    if variable not in study.variables:
        raise ValueError(
            f"the study measured {', '.join(study.variables)}, but {variable!r} was given."
            f"{did_you_mean(variable, study.variables)}"
        )
    dims, values = study.dims[variable], np.asarray(study.variables[variable])
    is_truth = _is_truth(values)
    values = values.astype(np.float64)
    if x == y or x not in dims or y not in dims:
        raise ValueError(
            f"two different axes of {variable!r} are needed, not {x!r} and {y!r}; it has {', '.join(dims)}."
        )
    unknown = [name for name in dims if name not in study.coords]
    if unknown:
        raise ValueError(f"{variable!r} has several numbers a network, along {', '.join(unknown)}; measure one number.")
    at = ""
    if "step" in dims and "step" not in (x, y):
        known = np.asarray(study.coords["step"]).tolist()
        if step is not None and step not in known:
            raise ValueError(f"step {step} was not measured; there are {', '.join(map(str, known))}.")
        step = known[-1] if step is None else step
        values = np.take(values, known.index(step), axis=dims.index("step"))
        dims = tuple(name for name in dims if name != "step")
        at = f" after {step:,} steps"
    members = tuple(place for place, name in enumerate(dims) if name not in (x, y))
    cells = np.transpose(values, (dims.index(y), dims.index(x), *members)).reshape(
        values.shape[dims.index(y)], values.shape[dims.index(x)], -1
    )
    num = np.isfinite(cells).sum(axis=2)
    low, median, high = (np.full(num.shape, np.nan) for _ in range(3))
    is_known = num > 0
    if is_known.any():
        some = np.where(np.isfinite(cells[is_known]), cells[is_known], np.nan)
        middle = np.nanmean if is_truth else np.nanmedian
        median[is_known] = middle(some, axis=1)
        # values that networks have: counts stay whole
        low[is_known], high[is_known] = np.nanquantile(some, quantiles, axis=1, method="closest_observation")
    if ax is None:
        size = (max(5.2, 1.6 + 1.05 * num.shape[1]), max(3.6, 1.4 + 0.75 * num.shape[0]))
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    norm = Normalize(0, 1) if is_truth else _scale(median)
    look: dict[str, Any] = {"cmap": "viridis", "norm": norm, "edgecolors": "white", "linewidth": 1}
    columns, rows = np.arange(num.shape[1] + 1) - 0.5, np.arange(num.shape[0] + 1) - 0.5
    mesh: QuadMesh = ax.pcolormesh(columns, rows, np.ma.masked_invalid(median), **look | style)
    attrs = study.attrs.get(variable, {})
    label = attrs.get("meaning", "")
    label = label if 0 < len(label) <= _LONG else variable.replace("_", " ")
    label += ", fraction of networks" if is_truth else ", median"
    colorbar = ax.figure.colorbar(mesh, ax=ax, label=label, fraction=0.06, pad=0.03)
    texts = []
    if num.size <= MOST_TEXTS:
        colors = np.asarray(mesh.cmap(mesh.norm(median)))[..., :3]
        light = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)  # sRGB, IEC 61966-2-1  # noqa: PLR2004
        luminance = light @ np.array([0.2126, 0.7152, 0.0722])
        for row, column in zip(*np.nonzero(is_known), strict=True):
            if is_truth:
                text = f"{percent(median[row, column])}\n{_interval(median[row, column], int(num[row, column]))}"
            else:
                text, bottom, top = (_short(each[row, column]) for each in (median, low, high))
                text += f"\n{bottom}–{top}" if num[row, column] > 1 else ""
            ink = "white" if luminance[row, column] < _DARK else "black"
            texts.append(ax.text(column, row, text, ha="center", va="center", color=ink, fontsize="small"))
    for name, set_ticks, set_label in ((x, ax.set_xticks, ax.set_xlabel), (y, ax.set_yticks, ax.set_ylabel)):
        ticks = np.asarray(study.coords[name]).tolist()
        set_ticks(range(len(ticks)), [f"{each:g}" if isinstance(each, float) else str(each) for each in ticks])
        set_label(name.replace("_", " "))
    most, least = int(num.max()), int(num.min())
    networks = f"{most:,} networks a cell" if most == least else f"{least:,} to {most:,} networks a cell"
    spread = f"; below the median: {100 * quantiles[0]:g}–{100 * quantiles[1]:g} %" if most > 1 else ""
    below = "" if not texts else "; below the fraction: its 95 % interval" if is_truth else spread
    ax.set_title(f"{networks}{at}{below}", fontsize="medium")
    return PhaseArtists(ax, mesh, colorbar, texts, median, num)


def _is_truth(values: Num[np.ndarray, "..."] | Bool[np.ndarray, "..."]) -> bool:
    """Whether values are True or False; those of an unfinished study are 0, 1 and NaN."""
    if values.dtype.kind != "f":
        return values.dtype.kind == "b"
    is_missing = np.isnan(values)
    return bool(is_missing.any() and not is_missing.all() and np.isin(values[~is_missing], (0, 1)).all())


def _interval(fraction: float, num: int) -> str:
    return percent_interval(round(fraction * num), num)


def _scale(values: Float[np.ndarray, "rows columns"]) -> Normalize:
    """Logarithmic if positive numbers vary by a large factor."""
    some = values[np.isfinite(values)]
    if some.size and some.min() > 0 and some.max() > _WIDE * some.min():
        return LogNorm(float(some.min()), float(some.max()))
    return Normalize(float(some.min()), float(some.max())) if some.size else Normalize(0, 1)


def _short(value: float) -> str:
    """Two or three digits, without exponents where that is possible."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:  # noqa: PLR2004
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
