"""[edge] Learning curves: the loss of one run, raw and smoothed, and those of many runs as a line with a band."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Num, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX
from jaxgeom.plot.style import new_axes


@readable
class LossArtists(NamedTuple):
    """What :func:`plot_loss` drew."""

    raw: Line2D
    """The loss as it was recorded."""
    smooth: Line2D
    """The same, smoothed."""


@readable
class CurveArtists(NamedTuple):
    """What :func:`plot_curves` drew."""

    median: Line2D
    """The median over networks; of a single curve, the curve."""
    band: PolyCollection | None
    """None for a single curve."""


def exponential_smoothing(
    values: Float[Any, "*runs steps"], smoothing: float = 0.95
) -> Float[np.ndarray, "*runs steps"]:
    """Values smoothed along the last axis: ``s[0] = v[0]``, ``s[t] = smoothing · s[t-1] + (1 - smoothing) · v[t]``.

    Raises:
        ValueError: unless ``0 <= smoothing < 1``.

    Example:
        >>> import jaxgeom as jg
        >>> jg.plot.exponential_smoothing([4.0, 0.0, 0.0], smoothing=0.5).tolist()
        [4.0, 2.0, 1.0]
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be at least 0 and below 1, but {smoothing} was given.")
    values = np.asarray(values, np.float64)
    smooth: Float[np.ndarray, "*runs steps"] = values.copy()
    for step in range(1, values.shape[-1]):
        smooth[..., step] = smoothing * smooth[..., step - 1] + (1 - smoothing) * values[..., step]
    return smooth


def plot_loss(
    losses: Float[Any, " steps"],
    *,
    smoothing: float = 0.95,
    ylabel: str = "loss",
    ax: Axes | None = None,
    **style: Any,
) -> LossArtists:
    """The loss of every batch, pale, and the same smoothed (:func:`exponential_smoothing`), against the step.

    Args:
        losses: as ``batch_losses`` of :func:`jaxgeom.fit`; the first is that of step 0.
        smoothing: the share of the past.
        ylabel: what the values are.
        ax: where to draw; default is a new figure.
        style: passed on to ``Axes.plot`` for the smoothed line.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> artists = jg.plot.plot_loss(np.exp(-np.arange(50) / 10))
        >>> artists.smooth.axes.get_ylabel()
        'loss'
    """
    if ax is None:
        (ax,) = new_axes()
    losses = np.asarray(losses)
    steps = np.arange(len(losses))
    (raw,) = ax.plot(steps, losses, color="0.6", linewidth=0.8, alpha=0.7, label="each batch")
    defaults: dict[str, Any] = {"color": "#0072b2", "linewidth": 1.8, "label": "smoothed"}
    (smooth,) = ax.plot(steps, exponential_smoothing(losses, smoothing), **defaults | style)
    ax.set_xlabel("step")
    ax.set_ylabel(ylabel)
    return LossArtists(raw, smooth)


def plot_curves(
    steps: Shaped[Any, " records"],
    values: Num[Any, "members records"],
    *,
    quantiles: tuple[float, float] = (0.1, 0.9),
    ylabel: str = "",
    ax: Axes | None = None,
    **style: Any,
) -> CurveArtists:
    """Many runs as one line, the median at each step, in a band between two quantiles.

    Args:
        steps: of the records, one row for all runs. In what :func:`jaxgeom.fit_population` returns, every run has a row
            of its own, all of them equal: take the first, ``runs.record_steps[0]`` or ``runs.snapshot_steps[0]``.
        values: one row a run; nan is left out.
        quantiles: lower and upper edge of the band.
        ylabel: what the values are; default leaves the label of the axes as it is.
        ax: where to draw; default is a new figure.
        style: passed on to ``Axes.plot``, for instance ``label`` and ``color``; the band takes the line's colour.

    Raises:
        ValueError: for quantiles that are not in order, or arrays that do not fit.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> model, loss = jg.mlp((2, 8, 1), activation="relu"), jg.losses.squared_error
        >>> def run(key):
        ...     return jg.fit(key, model, optax.adam(0.05), loss, jg.parity(2), num_epochs=20)
        >>> runs = jg.fit_population(jax.random.split(jax.random.key(0), 4), run)
        >>> artists = jg.plot.plot_curves(runs.record_steps[0], runs.train_loss)
        >>> artists.median.get_xdata().shape
        (21,)
    """
    steps, values = np.asarray(steps), np.asarray(values)
    low, high = quantiles
    if not 0 <= low <= high <= 1:
        raise ValueError(f"quantiles must be in order between 0 and 1, but {quantiles} was given.")
    if steps.ndim != 1:
        raise ValueError(f"steps are one row for all runs, but have shape {steps.shape}. Give one row, steps[0].")
    if values.ndim != MATRIX or len(values) == 0 or values.shape[1:] != steps.shape:
        raise ValueError(
            f"{steps.shape[0]} steps need values of shape (members, {steps.shape[0]}), but {values.shape} was given."
        )
    if ax is None:
        (ax,) = new_axes()
    bottom, middle, top = np.full((3, len(steps)), np.nan)
    is_known = ~np.isnan(values).all(axis=0)
    if is_known.any():
        found = np.nanquantile(values[:, is_known], [low, 0.5, high], axis=0)
        bottom[is_known], middle[is_known], top[is_known] = found
    (line,) = ax.plot(steps, middle, **{"linewidth": 1.8} | style)
    band = None
    if len(values) > 1:
        shade: dict[str, Any] = {
            "color": line.get_color(),
            "alpha": 0.2,
            "linewidth": 0,
            "zorder": line.get_zorder() - 0.5,
        }
        band = ax.fill_between(steps, bottom, top, **shade)
    ax.set_xlabel("step")
    if ylabel:
        ax.set_ylabel(ylabel)
    return CurveArtists(line, band)
