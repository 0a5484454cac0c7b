"""[edge] Pictures of the spirals: data, predictions, bottlenecks, learning curves, rainbow sandwiches, and a movie.

Of each kind of network the picture shows the median seed: the middle one by test accuracy at the end, ties broken by
test loss. The movie is made of that network's snapshots.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from jaxgeom import plot
from jaxgeom._reprs import readable
from jaxgeom._typing import Params, RandomKey
from jaxgeom.data.datasets import Dataset
from jaxgeom.domains import box, grid_lines
from jaxgeom.networks.layers import layers_of
from jaxgeom.networks.models import hidden_states
from jaxgeom.plot.sandwich import ATTRIBUTES, NORMALIZATIONS, living_first
from jaxgeom.plot.stages import Morph
from jaxgeom.plot.style import DASHES, following_limits, percent, set_padding
from jaxgeom.recipes.output import (
    HOLD,
    check_writable,
    movie_paths,
    rate_of,
    save_arrays,
    save_explorer,
    save_figure,
    save_report,
)
from jaxgeom.recipes.spirals.experiment import SPIRAL_MODELS, spiral_data
from jaxgeom.regions.boundary import decision_boundary
from jaxgeom.regions.decision_regions import DecisionRegions, decision_regions
from jaxgeom.regions.enumerate import enumerate_population, enumerate_regions
from jaxgeom.training.fit import Fit

SANDWICHES = (
    ((5, 4, 1, 2, 3, 0), False),
    ((5, 4, 1, 2, 3, 0), True),
    ((5, 0, 1, 4, 3, 2), False),
    ((0, 5, 1, 4, 3, 2), True),
)
"""Orders of the units, and whether all layers have one scale, in the notebook that these pictures follow."""
_FEWER = 5  # of so many points, one is on a page

SQUARE = box(-1.15, 1.15)
_NAMES = ("spiral 0", "spiral 1", "spiral 2")
_MOST_EPOCHS = 120
"""Of curves that are drawn."""


@readable
class SpiralFacts(NamedTuple):
    """Test accuracies of one kind of network at the end of training, over seeds."""

    median: float
    """Median of the accuracies."""
    min: float
    """The lowest accuracy."""
    max: float
    """The highest accuracy."""
    median_seed: int
    """The network that pictures show."""
    num_diverged: int
    """Number of networks that met NaN or infinity."""


@readable
class Course(NamedTuple):
    """One network at some epochs of its training."""

    epoch: Int[np.ndarray, " snapshots"]
    """Epochs trained at each snapshot."""
    params: Params
    """With a leading axis (snapshots)."""


def median_seed(run: Fit) -> int:
    """The middle network of a population by test accuracy at the end, ties broken by test loss; of an even number the
    better one of the two in the middle."""
    worst_first = np.lexsort((-np.asarray(run.test_loss)[:, -1], np.asarray(run.test_accuracy)[:, -1]))
    return int(worst_first[len(worst_first) // 2])


def spiral_facts(runs: Mapping[str, Fit]) -> dict[str, SpiralFacts]:
    """What the networks have learnt: test accuracies of each kind."""
    facts = {}
    for name, run in runs.items():
        last = np.asarray(run.test_accuracy)[:, -1]
        numbers = (float(np.median(last)), float(last.min()), float(last.max()))
        facts[name] = SpiralFacts(*numbers, median_seed(run), int(np.sum(run.diverged)))
    return facts


def spiral_table(facts: Mapping[str, SpiralFacts]) -> str:
    """The facts as a table in plain text."""
    lines = [f"{'test accuracy':<16} {'median':>8} {'min':>8} {'max':>8}   median seed"]
    for name, fact in facts.items():
        lines.append(f"{name:<16} {fact.median:8.1%} {fact.min:8.1%} {fact.max:8.1%}   {fact.median_seed:>11}")
    return "\n".join(lines)


def course_of(run: Fit, seed: int) -> Course:
    """The snapshots of one network of a population."""
    steps_of_epoch = int(np.asarray(run.record_steps)[seed, 1])
    return Course(np.asarray(run.snapshot_steps)[seed] // steps_of_epoch, _member(run.snapshots, seed))


def predicted(name: str, params: Params, x: Any) -> Int[np.ndarray, " points"]:
    """The class that a network predicts for each point."""
    result: Int[np.ndarray, " points"] = np.asarray(_outputs(name, params, x)).argmax(axis=1)
    return result


@partial(jax.jit, static_argnums=0)
def _outputs(name: str, params: Params, x: Any) -> Array:
    return SPIRAL_MODELS[name].apply(params, x)


def draw_data(data: Dataset) -> Figure:
    """The points, coloured by class."""
    (ax,) = plot.new_axes(size=5)
    plot.plot_points(data.x, np.asarray(data.y), names=_NAMES, ax=ax)
    _frame(ax, f"{len(data.x):,} points on three spirals")
    return _figure(ax)


def draw_predictions(data: Dataset, shown: Sequence[tuple[str, Params, str]]) -> Figure:
    """Points coloured by what networks predict, over their decision regions, side by side.

    Args:
        data: points.
        shown: name, parameters and title of each network.
    """
    axes = plot.new_axes(len(shown), size=5)
    _more_room(axes[0])
    for ax, (name, params, title) in zip(axes, shown, strict=True):
        _draw_decision(ax, params)
        plot.plot_points(data.x, predicted(name, params, data.x), ax=ax)
        _frame(ax, title)
    _figure(axes[0]).suptitle("Points in the colours that the networks give them, and the regions of each colour")
    return _figure(axes[0])


def draw_truth(data: Dataset, name: str, params: Params, title: str) -> Figure:
    """The classes beside what a network predicts."""
    left, right = plot.new_axes(2, size=5)
    _more_room(left)
    plot.plot_points(data.x, np.asarray(data.y), names=_NAMES, ax=left)
    _frame(left, "truth")
    _draw_decision(right, params)
    plot.plot_points(data.x, predicted(name, params, data.x), ax=right)
    _frame(right, title)
    return _figure(left)


def draw_embeddings(data: Dataset, params: Params, title: str) -> Figure:
    """The data and their places in both bottlenecks; below, a grid on the input, bent by the network."""
    axes = plot.new_axes(6, size=4.4, num_columns=3)
    lines = grid_lines(SQUARE, 24, num_points=231)
    points = [np.asarray(data.x), *_embeddings(params, data.x)]
    bent = [lines, *_embeddings(params, lines.reshape(-1, 2))]
    titles = ("input", "first bottleneck", "second bottleneck")
    for place, (ax, below) in enumerate(zip(axes[:3], axes[3:], strict=True)):
        plot.plot_points(points[place], np.asarray(data.y), names=_NAMES if place == 0 else None, ax=ax)
        plot.plot_warped_grid(bent[place].reshape(lines.shape), lines[..., 0], ax=below, cmap="cividis")
        _frame(ax, titles[place]) if place == 0 else _label(ax, titles[place])
        _label(below, "a grid on the input" if place == 0 else "and where it goes", unit="$x$" if place == 0 else "$h$")
    _figure(axes[0]).suptitle(title)
    return _figure(axes[0])


def draw_curves(runs: Mapping[str, Fit]) -> Figure:
    """Test loss and accuracy against epochs: the median over seeds, the middle half, and the range of all."""
    figure = plt.figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for color, dashes, (name, run) in zip(plot.COLORS, DASHES, runs.items(), strict=False):
        last = np.asarray(run.record_steps).shape[1] - 1
        # evenly on a logarithmic axis: of all, the last thousand would be a bar
        epochs = np.unique(np.geomspace(1, last, _MOST_EPOCHS).round().astype(int))
        for ax, curves in ((left, run.test_loss), (right, run.test_accuracy)):
            shown = np.asarray(curves)[:, epochs]
            low, lower, middle, upper, high = np.quantile(shown, [0, 0.25, 0.5, 0.75, 1], axis=0)
            ax.fill_between(epochs, low, high, color=color, alpha=0.07, linewidth=0)
            ax.fill_between(epochs, lower, upper, color=color, alpha=0.3, linewidth=0)
            ax.plot(epochs, middle, color=color, linestyle=dashes, linewidth=1.6, label=name)
    left.set(xscale="log", yscale="log", xlabel="epoch", ylabel="test loss (cross-entropy)")
    right.set(xscale="log", xlabel="epoch", ylabel="test accuracy", ylim=(0, 1.02))
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    right.legend(loc="lower right", fontsize="small", handlelength=3)
    num = len(np.asarray(next(iter(runs.values())).record_steps))
    figure.suptitle(f"Four kinds of networks on three spirals: median, middle half and range of {num} seeds")
    return figure


def draw_sandwich(layers: Mapping[str, Sequence[Any]], order: Sequence[int], *, common_scale: bool) -> Figure:
    """Rainbow sandwiches, one a column, the first layer at the top; columns by what they are called, such as "before
    ReLU", the last after it.

    Args:
        layers: values of six units, for each layer.
        order: of the units; in each layer those that are dead after ReLU come last.
        common_scale: one scale for all panels: values less their mean, in standard deviations of what is seen. Without,
            each panel shows values as they are, with limits of its own.
    """
    orders = [living_first(hidden, order) for hidden in list(layers.values())[-1]]
    scaled = {
        name: [
            _in_deviations(values, some) if common_scale else values
            for values, some in zip(hidden, orders, strict=True)
        ]
        for name, hidden in layers.items()
    }
    places = [
        values[:, list(some[:2])] for hidden in scaled.values() for values, some in zip(hidden, orders, strict=True)
    ]
    reach = 1.08 * max(float(np.abs(place).max()) for place in places)
    with plot.dark():
        figure = plt.figure(figsize=(3.8 * len(layers), 3.7 * len(orders) + 0.9), layout="constrained")
        set_padding(figure, 0.08)
        figure.set_facecolor("black")
        stacks = figure.subplots(len(orders), len(layers), squeeze=False).T
        for place, (axes, (name, hidden)) in enumerate(zip(stacks, scaled.items(), strict=True)):
            for number, (ax, values, order_here) in enumerate(zip(axes, hidden, orders, strict=True)):
                shown = _in_deviations(values, order_here) if common_scale else values
                plot.sandwich([shown], order_here, base=12.0, axes=[ax])
                ax.set_title(
                    f"layer {number + 1}, {name}" + ("" if place else f"\n{_channels(order_here)}"), fontsize=13
                )
                if common_scale:
                    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=_TICKS, yticks=_TICKS, aspect="equal")
        title = "Six units of each layer: place, colour and size; dead units last"
        how = "One scale: standard deviations of each layer" if common_scale else "Each panel has its own scale"
        figure.suptitle(f"{title}\n{how}", fontsize=15)
    return figure


_TICKS = (-2, 0, 2)
"""Standard deviations."""


def _in_deviations(values: Any, order: Sequence[int]) -> np.ndarray:
    """Values less their mean, over the standard deviation of the two units that give the place."""
    values = np.asarray(values)
    spread = float(values[:, list(order[:2])].std(axis=0).max())
    result: np.ndarray = (values - values.mean(axis=0)) / (spread or 1.0)
    return result


def _channels(order: Sequence[int]) -> str:
    return "  ".join(f"{what} {unit + 1}" for what, unit in zip(ATTRIBUTES[2:], order[2:], strict=True))


def draw_normalizations(hidden: Sequence[Any], order: Sequence[int]) -> Figure:
    """The rainbow sandwich with each normalisation, one a column; dead units last, places without numbers."""
    with plot.dark():
        figure = plt.figure(figsize=(2.7 * len(NORMALIZATIONS), 2.75 * len(hidden)), layout="constrained")
        set_padding(figure, 0.08)
        figure.set_facecolor("black")
        stacks = figure.subplots(len(hidden), len(NORMALIZATIONS), squeeze=False).T
        for axes, how in zip(stacks, NORMALIZATIONS, strict=True):
            for number, (ax, values) in enumerate(zip(axes, hidden, strict=True)):
                plot.sandwich([values], living_first(values, order), normalization=how, base=10.0, axes=[ax])
                ax.set_title(f"layer {number + 1}, {how or 'as it is'}", fontsize=13)
                ax.set(xticks=[], yticks=[])
        figure.suptitle("Six units of each layer after ReLU, by how values become places, colours, sizes", fontsize=15)
    return figure


def course_movie(data: Dataset, course: Course, accuracy: Float[Any, " snapshots"] | None = None) -> Morph:
    """The decision regions and both bottlenecks during training, with limits that follow the points smoothly.

    Args:
        data: points.
        course: one network.
        accuracy: the share of points that are right at each snapshot, for the title.
    """
    embeddings = jax.jit(jax.vmap(lambda params: _embeddings(params, data.x)))(course.params)
    complexes = enumerate_population(layers_of(course.params), SQUARE)  # snapshots are finite
    regions = [decision_regions(complex_) for complex_ in complexes]
    axes = plot.new_axes(3, size=3.6)
    figure = _figure(axes[0])
    figure.set_size_inches(10.8, 4.7)
    set_padding(figure, 0.08)
    labels = np.asarray(data.y)
    areas = _class_areas(axes[0])
    plot.plot_points(data.x, labels, ax=axes[0], s=4)
    _frame(axes[0], "input")
    places = [np.asarray(points) for points in embeddings]
    limits = [following_limits(points) for points in places]
    for ax, title in zip(axes[1:], ("first bottleneck", "second bottleneck"), strict=True):
        _label(ax, title)
        ax.set(xticks=[], yticks=[], xlim=(-1, 1), ylim=(-1, 1))
    heading, every = figure.suptitle("epoch\nphase", fontsize=16), np.unique(labels)
    clouds = [plot.plot_points(points[0], labels, ax=ax, s=4) for ax, points in zip(axes[1:], places, strict=True)]

    def draw(frame: int) -> None:
        _show_classes(areas, regions[frame])
        right = "" if accuracy is None else f": {percent(accuracy[frame])} of test points right"
        words = "" if accuracy is None else f"\n{phase_of(float(accuracy[frame]))}"
        heading.set_text(f"epoch {course.epoch[frame]:,}{right}{words}")
        for ax, points, cloud, limit in zip(axes[1:], places, clouds, limits, strict=True):
            for label, dots in zip(every, cloud, strict=True):
                dots.set_offsets(points[frame][labels == label])
            (left, right_end), (bottom, top) = limit[frame]
            ax.set(xlim=(left, right_end), ylim=(bottom, top))
            ax.set_xlabel(f"$h_1$ ({right_end - left:.2g} across)")

    return Morph(figure, draw, len(course.epoch))


_PHASES = ((0.5, "hardly more than a guess"), (0.8, "straight cuts through the spirals"), (0.97, "the arms come apart"))


def phase_of(accuracy: float) -> str:
    """How far the spirals are untwisted, in words, by the share of points that are right."""
    return next((words for most, words in _PHASES if accuracy < most), "each spiral has a region of its own")


def save_spirals(
    key: RandomKey,
    runs: Mapping[str, Fit],
    directory: str | os.PathLike[str],
    settings: dict[str, Any],
    *,
    formats: Sequence[str] = ("png", "gif"),
    num_sandwiches: int = len(SANDWICHES),
    progress: bool = False,
) -> list[Path]:
    """Write ``spirals.json``, ``spirals.npz``, all pictures and the movie.

    Args:
        key: the random key that :func:`jaxgeom.train_spirals` was given.
        runs: what it returned. Without snapshots there is no movie.
        directory: where to; created if need be.
        settings: recorded in the JSON file.
        formats: of pictures.
        num_sandwiches: how many of :data:`SANDWICHES` are drawn.
        progress: show progress bars.

    Returns:
        The paths written.

    Raises:
        ValueError: if the directory cannot be written.
    """
    path = check_writable(directory)
    facts = spiral_facts(runs)
    train, test = spiral_data(jax.random.fold_in(key, 0))
    data = Dataset(*(jnp.concatenate(parts) for parts in zip(train, test, strict=True)))
    members = {name: _member(run.params, facts[name].median_seed) for name, run in runs.items()}

    def title(name: str) -> str:
        seed = facts[name].median_seed
        accuracy = np.asarray(runs[name].test_accuracy)[seed, -1]
        return f"{name}, median seed ({seed})\n{percent(accuracy)} of test points right"

    states = hidden_states(members["deep MLP"], data.x)[:-1]
    layers = {
        "before ReLU": [np.asarray(state.pre_activation) for state in states],
        "ReLU": [np.asarray(state.activation) for state in states],
    }
    figures: dict[str, Callable[[], Figure]] = {
        "data": lambda: draw_data(data),
        "predictions": lambda: draw_predictions(
            data, [(name, members[name], title(name)) for name in ("deep linear", "MLP")]
        ),
        "truth": lambda: draw_truth(data, "deep MLP", members["deep MLP"], title("deep MLP")),
        "embeddings": lambda: draw_embeddings(
            data, members["bottleneck MLP"], title("bottleneck MLP").replace("\n", ": ")
        ),
        "curves": lambda: draw_curves(runs),
        "normalizations": lambda: draw_normalizations(layers["ReLU"], SANDWICHES[0][0]),
    }
    for number, (order, common_scale) in enumerate(SANDWICHES[:num_sandwiches]):
        figures[f"sandwich{number + 1}"] = partial(draw_sandwich, layers, order, common_scale=common_scale)
    arrays: dict[str, Any] = {"x": data.x, "y": data.y, "is_test": np.arange(len(data.x)) >= len(train.x)}
    for name, run in runs.items():
        arrays |= spiral_arrays(name, run)
    report = save_report(path / "spirals.json", settings, {name: fact._asdict() for name, fact in facts.items()})
    written = [report, save_arrays(path / "spirals.npz", arrays)]
    for name, draw in figures.items():
        written += save_figure(draw(), path / f"spirals_{name}", formats, dpi=100)
    movies = movie_paths(path / "spirals_training", formats)
    if runs["bottleneck MLP"].snapshots is not None:
        few = Dataset(*(part[::_FEWER] for part in data))
        heading = "Three spirals, through two bottlenecks"
        written += save_explorer(runs["bottleneck MLP"], path / "spirals_training", formats, data=few, title=heading)
    if movies and runs["bottleneck MLP"].snapshots is not None:
        run, seed = runs["bottleneck MLP"], facts["bottleneck MLP"].median_seed
        course = course_of(run, seed)
        movie = course_movie(data, course, np.asarray(run.test_accuracy)[seed, course.epoch])
        bar = "drawing the movie" if progress else False
        rate = rate_of(movie.num_frames, 10)
        plot.save_animation(
            movie.figure, movie.draw, movie.num_frames, movies, frames_per_second=rate, hold=HOLD, progress=bar
        )
        plt.close(movie.figure)
        written += movies
    return written


def spiral_arrays(name: str, run: Fit) -> dict[str, Any]:
    """What the file of arrays holds of one kind of network."""
    curves = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    return {f"{name}/{field}": getattr(run, field) for field in curves} | {
        f"{name}/{layer}/{what}": array for layer, entries in run.params.items() for what, array in entries.items()
    }


def _member(params: Params, seed: int) -> Params:
    return jax.tree.map(lambda leaf: leaf[seed], params)


@jax.jit
def _embeddings(params: Params, x: Any) -> tuple[Any, Any]:
    """The places of points in both bottlenecks."""
    states = hidden_states(params, x)
    return states[1].activation, states[3].activation


def _draw_decision(ax: Axes, params: Params) -> None:
    """The regions of the predicted classes, in pale colours, and what parts them, exactly."""
    complex_ = enumerate_regions(layers_of(params), SQUARE)
    plot.plot_boundary(decision_boundary(complex_), ax=ax, legend=False, colors="0.25", linewidths=0.8, zorder=0.6)
    _show_classes(_class_areas(ax), decision_regions(complex_))


def _tints() -> Any:
    """Pale colours of the three classes, which differ in lightness too: for print without colours."""
    strength = np.array([[0.42], [0.16], [0.36]])
    return 1 - strength + strength * np.array([to_rgb(color) for color in plot.COLORS[: len(strength)]])


def _class_areas(ax: Axes) -> PolyCollection:
    """An empty collection of polygons behind all else, outlined in their own colours, so that no seams show."""
    areas = PolyCollection([], edgecolors="face", linewidths=0.3, zorder=0.5)
    ax.add_collection(areas, autolim=False)
    return areas


def _show_classes(areas: PolyCollection, regions: DecisionRegions) -> None:
    """Fill a collection with the polygons on which each class wins, in the pale colour of that class."""
    areas.set_verts(regions.polygons)
    areas.set_facecolor(_tints()[regions.label])


def _figure(ax: Axes) -> Figure:
    figure: Any = ax.figure  # get_figure(root=True) came with matplotlib 3.10
    result: Figure = figure.figure
    return result


def _more_room(ax: Axes) -> None:
    """Above titles of two lines."""
    engine: Any = _figure(ax).get_layout_engine()
    engine.set(h_pad=0.12)


def _label(ax: Axes, title: str, unit: str = "$h$") -> None:
    ax.set_title(title)
    name = unit.strip("$")
    ax.set(xlabel=f"${name}_1$", ylabel=f"${name}_2$")


def _frame(ax: Axes, title: str) -> None:
    """The input square, always the same."""
    _label(ax, title, "$x$")
    (left, bottom), (right, top) = SQUARE
    ax.set_aspect("equal", adjustable="box")
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[-1, -0.5, 0, 0.5, 1], yticks=[-1, -0.5, 0, 0.5, 1])
