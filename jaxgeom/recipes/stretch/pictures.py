"""[edge] Pictures and animations of stretching: all stages of both networks, and points on their way between them."""

import os
import textwrap
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from jaxgeom import plot
from jaxgeom._reprs import readable
from jaxgeom._typing import SPACE, Params, RandomKey
from jaxgeom.domains import box, grid_lines
from jaxgeom.networks.layers import named_layers
from jaxgeom.networks.models import activation_function
from jaxgeom.plot.stages import Morph, morph_stages, plot_stages
from jaxgeom.plot.style import set_padding
from jaxgeom.recipes.output import check_writable, movie_paths, rate_of, save_arrays, save_figure, save_report
from jaxgeom.recipes.stretch import experiment as stretch

SIDE = 100
"""Points on each side of the grid :func:`jaxgeom.mesh_grid`."""

_FAR, _BOUNDED = 1e3, 10.0


@readable
class Case(NamedTuple):
    """Points and the networks that they go through."""

    dim: int
    """Number of coordinates of the points, 1 or 2."""
    kind: str
    """Arrangement of the points: "mesh" or "cloud"."""
    activation: str
    """Name of the activation of all hidden layers."""
    weights: str
    """Name of the kind of weights."""
    x: Float[np.ndarray, "points dim"]
    """The points."""
    networks: tuple[Params, ...]
    """Both networks in the plane, the short one on the line."""

    @property
    def name(self) -> str:
        return f"{self.dim}d_{self.kind}_{self.activation}_{self.weights}"

    @property
    def title(self) -> str:
        where = "on the line" if self.dim == 1 else "in the plane"
        how = "by hand" if self.weights == "manual" else "random, made steep" if self.dim == 1 else "random"
        return f"A {self.kind} {where}, {self.activation}, first layer {how}"


def stretch_cases(
    key: RandomKey,
    *,
    kinds: Sequence[str] = stretch.INPUTS,
    activations: Sequence[str] = ("tanh", "relu"),
    weights: Sequence[str] = ("manual",),
    hidden: int = 3,
    scale: float = stretch.SCALE,
    use_bias: bool = False,
) -> Iterator[Case]:
    """All combinations of these in the plane, through 2-hidden-2 and 2-hidden-hidden-2; then on the line, through 1-2-1
    with random weights, those of the first layer times ``scale``: otherwise tanh would hardly bend anything.

    Raises:
        ValueError: for what :func:`jaxgeom.recipes.stretch.experiment.stretch_networks` and its like refuse.
    """
    input_key, plane_key, line_key = (jax.random.fold_in(key, place) for place in (3, 4, 13))
    for kind, activation, by in product(kinds, activations, weights):
        networks = stretch.stretch_networks(
            plane_key, hidden=hidden, activation=activation, weights=by, scale=scale, use_bias=use_bias
        )
        yield Case(2, kind, activation, by, np.asarray(stretch.stretch_inputs(input_key, kind)), tuple(networks))
    for kind, activation in product(kinds, activations):
        network = stretch.stretch_networks(
            line_key, dim=1, hidden=2, activation=activation, weights="random", use_bias=use_bias
        ).short
        network = {
            **network,
            (first := next(iter(network))): network[first] | {"kernel": scale * network[first]["kernel"]},
        }
        x = np.asarray(stretch.stretch_inputs(input_key, kind, dim=1))
        yield Case(1, kind, activation, "random", x, (network,))


def carried_lines(
    x: Float[Array | np.ndarray, "points dim"], num: int, *, power: float = 1.0
) -> Float[np.ndarray, "lines _ dim"]:
    """Grid lines over the square around zero that holds the points, for powers above 1 closer together near the origin;
    in one dimension the line itself."""
    extent = _extent(x)
    unit = grid_lines(box(-1, 1, dim=np.shape(x)[1]), num, num_points=6 * num + 1)
    lines: Float[np.ndarray, "lines _ dim"] = extent * np.sign(unit) * np.abs(unit) ** power
    return lines


def carried_sheet(
    x: Float[Array | np.ndarray, "points 2"], side: int, *, power: float = 1.0
) -> Float[np.ndarray, "rows columns 2"]:
    """The square around zero that holds the points, as a sheet, for powers above 1 finer near the origin."""
    places = np.linspace(-1, 1, side)
    places = _extent(x) * np.sign(places) * np.abs(places) ** power
    return np.stack(np.meshgrid(places, places), axis=-1)


def _extent(x: Float[Array | np.ndarray, "points dim"]) -> float:
    return float(np.ceil(np.abs(np.asarray(x)).max()))


def _power(params: Params) -> float:
    """Of grids: activations that saturate spread out what is near the origin, and press the rest flat."""
    saturates = any(
        abs(float(activation_function(name)(jnp.asarray(_FAR)))) < _BOUNDED for _, name, _ in named_layers(params)
    )
    return 2.0 if saturates else 1.0


def _is_mesh(x: Float[Array | np.ndarray, "points dim"]) -> bool:
    return np.shape(x) == (SIDE**2, 2)


def _through(found: Sequence[stretch.Stage]) -> list[np.ndarray]:
    return [stage.points for stage in found]


def draw_prefixes(networks: Sequence[Params], x: Float[Array | np.ndarray, "points in"], *, title: str = "") -> Figure:
    """Draw the input and the outputs of all prefixes of networks, in colours that say where points come from, on dark.

    The upper row leads through the first network. The lower one leads through the second, from where they part; beside
    it stand the weights. A mesh is drawn as a sheet, other points as dots.
    """
    power = _power(networks[-1])
    lines = carried_lines(x, 11, power=power)
    sheet = carried_sheet(x, 61, power=power) if _is_mesh(x) else None
    found = stretch.prefixes(networks, x)
    columns, rows = len(stretch.stages(networks[0], x)), len(networks)
    places = [*range(columns), *range(rows * columns - len(found) + columns, rows * columns)]
    with plot.dark():
        figure = plt.figure(figsize=(3.5 * columns, 3.5 * rows + 0.5), layout="constrained")
        set_padding(figure, 0.1)
        figure.suptitle(title, fontsize="x-large")
        grid = figure.add_gridspec(rows, columns)
        axes = []
        for place, stage in zip(places, found.values(), strict=True):
            kind: Any = "3d" if stage.points.shape[1] >= SPACE else None
            axes.append(figure.add_subplot(grid[place // columns, place % columns], projection=kind))
        if rows > 1:
            plot.plot_weights(networks[-1], ax=figure.add_subplot(grid[1, 0]))
    reach = float(np.abs(lines).max())
    plot_stages(
        _through(list(found.values())),
        plot.position_colors(x, reach=reach),
        [textwrap.fill(name, 24) for name in found],
        lines=_through(list(stretch.prefixes(networks, lines).values())),
        line_color=plot.position_colors(lines, reach=reach),
        sheets=None if sheet is None else _through(list(stretch.prefixes(networks, sheet).values())),
        sheet_color=None if sheet is None else plot.position_colors(sheet, reach=reach),
        axes=axes,
        s=26.0 if np.shape(x)[1] == 1 else 8.0,
    )
    return figure


def morph(params: Params, x: Float[Array | np.ndarray, "points in"], *, frames_per_step: int = 16) -> Morph:
    """The points on their way through a network, step after step, with grid lines carried along; a mesh as a sheet."""
    x = np.asarray(x)
    power = _power(params)
    lines = carried_lines(x, 9, power=power)
    sheet = carried_sheet(x, 33, power=power) if _is_mesh(x) else None
    found = stretch.stages(params, x)
    reach = float(np.abs(lines).max())
    return morph_stages(
        _through(found),
        plot.position_colors(x, reach=reach),
        stretch.step_names(found),
        lines=_through(stretch.stages(params, lines)),
        line_color=plot.position_colors(lines, reach=reach),
        sheets=None if sheet is None else _through(stretch.stages(params, sheet)),
        sheet_color=None if sheet is None else plot.position_colors(sheet, reach=reach),
        frames_per_step=frames_per_step,
        frames_of_rest=max(1, frames_per_step // 2),
        s=26.0 if x.shape[1] == 1 else 9.0,
    )


def save_stretch(
    cases: Sequence[Case],
    directory: str | os.PathLike[str],
    settings: dict[str, Any],
    *,
    formats: Sequence[str] = ("png", "gif"),
    frames_per_step: int = 16,
    progress: bool = False,
) -> list[Path]:
    """Write ``stretch.json``, ``stretch.npz``, and for each case a figure and an animation of its longest network.

    Args:
        cases: as :func:`stretch_cases` gives them.
        directory: where to; created if need be.
        settings: recorded in the JSON file.
        formats: of pictures.
        frames_per_step: frames of the animations from stage to stage.
        progress: show progress bars.

    Returns:
        The paths written.

    Raises:
        ValueError: if the directory cannot be written.
    """
    path = check_writable(directory)
    arrays: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for case in cases:
        for name, stage in stretch.prefixes(case.networks, case.x).items():
            arrays[f"{case.name}/{name}"] = stage.points
        facts[case.name] = {
            "weights": jax.tree.map(np.asarray, case.networks[-1]),
            "steps": [step._asdict() for step in stretch.step_facts(case.networks[-1], case.x)],
        }
    written = [save_report(path / "stretch.json", settings, facts), save_arrays(path / "stretch.npz", arrays)]
    for case in cases:
        where = path / f"stretch_{case.name}"
        written += save_figure(draw_prefixes(case.networks, case.x, title=case.title), where, formats, dpi=90)
        movies = movie_paths(where, formats)
        if movies:
            moving = morph(case.networks[-1], case.x, frames_per_step=frames_per_step)
            title = f"drawing {case.name}" if progress else False
            rate = rate_of(moving.num_frames, 20)
            plot.save_animation(
                moving.figure, moving.draw, moving.num_frames, movies, frames_per_second=rate, progress=title
            )
            plt.close(moving.figure)
            written += movies
        if "html" in formats:
            written.append(save_page(case, where.with_name(f"{where.name}.html")))
    return written


def save_page(case: Case, path: Path) -> Path:
    """A page with the networks of a case, whose stages can be turned."""
    from jaxgeom.plot.explorer.page import explore

    names = ["-".join(str(width) for width in _widths(params)) for params in case.networks]
    extent = float(np.ceil(np.abs(case.x).max()))
    x = case.x.reshape(SIDE, SIDE, 2)[::4, ::4].reshape(-1, 2) if len(case.x) == SIDE**2 else case.x
    explore(
        dict(zip(names, case.networks, strict=True)),
        path,
        data=x,
        domain=box(-extent, extent, dim=case.dim),
        axis="network",
        title=case.title,
        link=f"network={names[-1]}&wide=1&through=2",
    )
    return path


def _widths(params: Params) -> list[int]:
    kernels = [np.shape(layer.kernel) for _, _, layer in named_layers(params)]
    return [kernels[0][0], *(shape[1] for shape in kernels)]
