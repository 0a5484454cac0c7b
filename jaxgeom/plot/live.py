"""[edge] A picture of a network that changes while it trains: in a notebook, or as a file that is written again."""

import base64
import io
import os
import queue
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from jaxgeom._typing import MATRIX, PLANE, Params
from jaxgeom.data.datasets import Dataset
from jaxgeom.domains import Box, box, checked_box
from jaxgeom.host.files import whole_file
from jaxgeom.host.given import check_positive
from jaxgeom.host.watch import Progress, Watch
from jaxgeom.networks.models import Model
from jaxgeom.plot.stages import SIGNED
from jaxgeom.plot.style import COLORS

_SIDE = 96
"""Points along each side of the picture of a plane."""
_SAMPLES = 400
"""Points of a graph."""
_MARGIN = 0.15
_PATIENCE = 0.2
"""Seconds after which a thread that waits for pictures looks whether it is still wanted."""


def live_view(
    model: Model,
    data: Dataset,
    *,
    every: int = 10,
    domain: Box | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Watch:
    """A picture of a network while it trains, for the argument ``watch`` of :func:`jaxgeom.fit`: its output over the
    plane (of one input, its graph) with the data, and its loss so far.

    Notebooks show it in the cell that calls this function, and draw it again there: those of Jupyter, and of marimo if
    the same cell trains, once; what this function returns, as the last line of that cell, shows the last picture. With
    a path it is written to that file, again and again, for any viewer that follows files. The training waits while it
    is drawn, about a tenth of a second.

    Args:
        model: the network that trains, of one or two inputs.
        data: points, and labels or targets.
        every: records from one picture to the next; :func:`jaxgeom.fit` records after each epoch, unless told
            otherwise. The first and the last record are drawn in any case.
        domain: the box that is shown; default is the data's.
        path: a PNG to write, such as ``live.png``.

    Raises:
        ValueError: for data or a domain of three or more inputs, ``every`` below one, or a path that does not end in
            ``.png``.

    Example:
        >>> import jax, optax, tempfile, jaxgeom as jg
        >>> from pathlib import Path
        >>> data, model = jg.datasets.circles(jax.random.key(0)), jg.mlp((2, 8, 1), activation="tanh")
        >>> path, loss = Path(tempfile.mkdtemp()) / "live.png", jg.losses.binary_cross_entropy
        >>> view = jg.plot.live_view(model, data, every=20, path=path)
        >>> run = jg.fit(jax.random.key(1), model, optax.adam(0.01), loss, data, num_epochs=40, watch=view)
        >>> jax.effects_barrier()  # waits for the last picture
        >>> path.exists()
        True
    """
    check_positive("every", every)
    x, y = (np.asarray(part) for part in data)
    if x.ndim != MATRIX or x.shape[1] > PLANE:
        raise ValueError(f"a live view shows networks with one or two inputs, but the points have shape {x.shape}.")
    domain = _around(x) if domain is None else checked_box(domain)
    if len(domain.low) != x.shape[1]:
        raise ValueError(f"the points have {x.shape[1]} coordinates, but the domain has {len(domain.low)}.")
    handle, file = _notebook_handle(), None if path is None else Path(path)
    if file is not None and file.suffix != ".png":
        raise ValueError(f"a live view is written as PNG, to a path that ends in .png, but {str(path)!r} was given.")
    records: list[Progress] = []
    last: list[bytes] = []
    show_in_marimo = _marimo_cell()

    def show(progress: Progress) -> None:
        if progress.step == 0:
            records.clear()
        records.append(progress._replace(kept=None))
        picture = _drawn(x, y.reshape(len(x), -1), domain, progress.kept, records)
        if handle is not None:
            handle.update({"image/png": picture, "text/plain": f"step {progress.step}"}, raw=True)
        last[:] = [picture]
        show_in_marimo(picture, progress.is_last)
        if file is not None:
            with whole_file(file) as temporary:
                temporary.write_bytes(picture)

    grid = _grid(domain).astype(np.float32)

    def outputs(params: Params) -> Any:
        return model.apply(params, jnp.asarray(grid))

    return _LiveView(show, every, outputs)._with(last)


class _LiveView(Watch):
    """A watch that notebooks show as its last picture."""

    pictures: Sequence[bytes] = ()

    def _with(self, pictures: Sequence[bytes]) -> "_LiveView":
        self.pictures = pictures
        return self

    def _repr_html_(self) -> str:
        return _as_image(self.pictures[-1]) if self.pictures else "before the first step"

    def _mime_(self) -> tuple[str, str]:
        """What marimo shows, which takes tuples for data."""
        return "text/html", self._repr_html_()


def _as_image(picture: bytes) -> str:
    content = base64.b64encode(picture).decode()
    return f'<img alt="the network while it trains" src="data:image/png;base64,{content}">'


def _marimo_cell() -> Callable[[bytes, bool], None]:
    """What puts pictures into the cell of a marimo notebook that is running; outside of one, nothing does.

    JAX calls from threads of its own, which marimo does not know: one of marimo's shows the pictures. It ends with the
    last picture of a training, or with its cell."""
    marimo: Any = sys.modules.get("marimo")
    if marimo is None or not marimo.running_in_notebook():
        return lambda picture, is_last: None
    pictures: queue.SimpleQueue[tuple[bytes, bool]] = queue.SimpleQueue()

    def show_all() -> None:
        is_last = False
        while not is_last and not marimo.current_thread().should_exit:
            try:
                picture, is_last = pictures.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
            marimo.output.replace(marimo.Html(_as_image(picture)))

    marimo.Thread(target=show_all, daemon=True).start()
    return lambda picture, is_last: pictures.put((picture, is_last))


def _around(x: np.ndarray) -> Box:
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    half = (0.5 + _MARGIN) * ((high - low).max() or 2.0)
    center = (low + high) / 2
    return box(center - half, center + half) if len(low) > 1 else box(low, high)


def _grid(domain: Box) -> np.ndarray:
    """Points of the plane, rows from the bottom to the top, or of the line."""
    if len(domain.low) == 1:
        return np.linspace(domain.low, domain.high, _SAMPLES)
    axes = [np.linspace(low, high, _SIDE) for low, high in zip(domain.low, domain.high, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, PLANE)


def _notebook_handle() -> Any:
    """A place in the cell of a notebook that is running; None outside of Jupyter."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return ipython.display.display({"text/plain": "before the first step"}, raw=True, display_id=True)


def _drawn(x: np.ndarray, y: np.ndarray, domain: Box, kept: Any, records: Sequence[Progress]) -> bytes:
    """The picture as PNG: outputs at the points of :func:`_grid`, and the losses of all records so far."""
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    picture, curve = figure.subplots(1, 2)
    values = np.asarray(kept).reshape(len(kept), -1)
    (_draw_graph if x.shape[1] == 1 else _draw_plane)(picture, x, y, domain, values)
    picture.set_title(f"step {records[-1].step:,}")
    steps = [record.step for record in records]
    curve.plot(steps, [record.train_loss for record in records], ".-", color=COLORS[0], label="training")
    tests = [record.test_loss for record in records if record.test_loss is not None]
    if tests:
        curve.plot(steps, tests, ".-", color=COLORS[1], label="test")
        curve.legend()
    if all(record.train_loss > 0 for record in records):
        curve.set_yscale("log")
    curve.set(xlabel="steps", ylabel="loss")
    curve.locator_params(axis="x", nbins=5)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=80)
    return memory.getvalue()


def _draw_graph(ax: Any, x: np.ndarray, y: np.ndarray, domain: Box, values: np.ndarray) -> None:
    ax.plot(x, y, ".", color="0.6")
    ax.plot(_grid(domain), values, color="black")
    low, high = float(y.min()), float(y.max())
    ax.set_ylim(low - _MARGIN * (high - low or 1), high + _MARGIN * (high - low or 1))


def _draw_plane(ax: Any, x: np.ndarray, y: np.ndarray, domain: Box, values: np.ndarray) -> None:
    (left, bottom), (right, top) = domain
    look = {"extent": (left, right, bottom, top), "origin": "lower", "aspect": "auto"}
    num = values.shape[1]
    if num == 1:
        shown = values.reshape(_SIDE, _SIDE)
        largest = float(np.quantile(np.abs(shown), 0.9)) or 1.0
        ax.imshow(shown, cmap=SIGNED, vmin=-largest, vmax=largest, **look)
        if shown.min() < 0 < shown.max():
            ax.contour(shown, [0], colors="black", linewidths=1.5, extent=look["extent"])
    else:
        shown = values.argmax(axis=1).reshape(_SIDE, _SIDE)
        ax.imshow(shown, cmap=ListedColormap(COLORS[:num]), vmin=-0.5, vmax=num - 0.5, alpha=0.45, **look)
    label = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0]
    classes = np.unique(label)
    dots: dict[str, Any] = {"c": label, "cmap": SIGNED}
    if len(classes) <= len(COLORS):
        dots = {"c": [COLORS[place] for place in np.searchsorted(classes, label)]}
    ax.scatter(*x.T, s=14, edgecolors="white", linewidths=0.5, **dots)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
