"""Pictures of populations: maps side by side, kinds, distributions and phase diagrams show what they were given."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of, network
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from test_explorer_colors import contrast

import jaxgeom as jg
from jaxgeom import plot


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    plt.close("all")


def test_maps_stand_side_by_side_with_their_boundaries() -> None:
    domain = jg.box(-1, 1)
    complexes = [complex_of(network(seed, 5, 1), domain) for seed in range(5)]
    grid = jg.grid_points(domain, 9)
    values = np.stack([np.asarray(jg.forward(network(seed, 5, 1), grid).output[:, 0]) for seed in range(5)])
    boundaries = [jg.decision_boundary(each) for each in complexes]
    drawn = plot.plot_multiples(values.reshape(5, 9, 9), boundaries=boundaries, domain=domain, num_columns=3)
    tiles = drawn.image.get_array().filled(np.nan)
    assert tiles.shape == (19, 29)
    np.testing.assert_array_equal(tiles[10:, 10:19], values[4].reshape(9, 9)[::-1])
    assert np.isnan(tiles[9]).all()
    assert np.isnan(tiles[10:, 20:]).all()  # no sixth network
    segments = np.array(drawn.boundaries.get_segments())
    assert len(segments) == sum(len(each.segments) for each in boundaries)
    left, right, below, above = drawn.image.get_extent()
    assert (left, right, below, above) == (0, 29, 19, 0)
    last = boundaries[4].segments[-1, 1]  # pixel centres are the points of the grid; this is in row 1, column 1
    np.testing.assert_allclose(segments[-1, 1], [10 + (last[0] + 1) * 4 + 0.5, 19 - ((last[1] + 1) * 4 + 0.5)])
    for wrong in ({"boundaries": boundaries}, {"boundaries": boundaries[:2], "domain": domain}):
        with pytest.raises(ValueError, match="boundaries"):
            plot.plot_multiples(values.reshape(5, 9, 9), **wrong)
    with pytest.raises(ValueError, match="maps of shape"):
        plot.plot_multiples(values[:0].reshape(0, 9, 9))


def wilson(num: int, num_all: int) -> np.ndarray:
    """The two probabilities from which an observed fraction is 1.96 standard errors away."""
    squared = 1.959963984540054**2
    # (num/num_all - p)² = squared · p (1 - p) / num_all, as a polynomial in p
    roots = np.roots([1 + squared / num_all, -(2 * num + squared) / num_all, (num / num_all) ** 2])
    ends: np.ndarray = np.sort(roots.real)
    return ends


def test_each_unit_of_a_kind_has_dashes_of_its_own_and_points_their_classes() -> None:
    layers = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # bends at x = 0 and y = 0
    (ax,) = plot.plot_kinds(
        [complex_of(layers, jg.box(-1, 1))], np.array([1]), points=np.eye(2), labels=np.array([-1, 1])
    )
    bends = next(each for each in ax.collections if isinstance(each, LineCollection) and len(each.get_linestyle()) > 1)
    looks: dict[bool, set[str]] = {True: set(), False: set()}
    for segment, dashes in zip(bends.get_segments(), bends.get_linestyle(), strict=True):
        looks[bool(np.ptp(segment[:, 0]) < 1e-9)].add(str(dashes))
    assert [len(each) for each in looks.values()] == [1, 1]
    assert looks[True] != looks[False]
    marks = [each for each in ax.collections if isinstance(each, PathCollection)]
    assert [np.asarray(each.get_offsets()).tolist() for each in marks] == [[[1, 0]], [[0, 1]]]


def test_kinds_have_their_shares() -> None:
    complexes = [complex_of(network(seed, 3, 1), jg.box(-1, 1)) for seed in range(3)]
    members = [[each] * 4 for each in complexes]
    axes = plot.plot_kinds(complexes, np.array([600, 30, 2]), num_all=700, members=members, points=np.eye(2))
    titles = [ax.get_title().splitlines()[0] for ax in axes]
    assert [title.split(" (")[0] for title in titles] == ["86 %", "4 %", "2 of 700"]
    ends = [tuple(map(float, title.split("(")[1].removesuffix(" %)").split("–"))) for title in titles]
    for (low, high), num in zip(ends, (600, 30, 2), strict=True):
        expected = 100 * wilson(num, 700)
        digits = np.where(np.minimum(expected, 100 - expected) < 1, 0.05, 0.5)  # a digit more below 1 %
        assert np.all(np.abs(np.array([low, high]) - expected) <= digits)
    assert axes[0].figure.get_supxlabel() == "In brackets: 95 % intervals"
    bare = plot.plot_kinds(complexes, np.array([600, 30, 2]), num_all=700, confidence=None)
    assert [ax.get_title().splitlines()[0] for ax in bare] == ["86 %", "4 %", "2 of 700"]
    assert bare[0].figure.get_supxlabel() == ""
    assert [ax.get_title().splitlines()[1] for ax in axes] == [f"{each.num_faces} regions" for each in complexes]
    assert plot.plot_kinds(complexes[:1], np.array([3]), names=["a"])[0].get_title() == "100 % (44–100 %)\na"
    with pytest.raises(ValueError, match="as many numbers"):
        plot.plot_kinds(complexes, np.array([1, 2]))


def test_distributions_are_densities_and_quantiles() -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(size=(200, 5))
    values[0, 2], values[1, 3] = np.nan, -1.0
    drawn = plot.plot_distribution(np.array([0, 1, 2, 4, 8]), values, is_log=True, num_bins=10)
    edges = np.unique(drawn.density.get_coordinates()[:, 0, 1])
    shown = drawn.density.get_array()
    for step in (0, 3):
        counts = np.histogram(values[values[:, step] > 0, step], edges)[0]
        np.testing.assert_allclose(shown[:, step] ** 2, counts / counts.max(), atol=1e-12)
    np.testing.assert_allclose(drawn.median.get_ydata()[0], np.median(values[:, 0]))
    low, high = drawn.bands[0].get_paths()[0].get_extents().get_points()[:, 1]
    bands = np.array([np.nanquantile(np.where(column > 0, column, np.nan), [0.05, 0.95]) for column in values.T])
    np.testing.assert_allclose([low, high], [bands.min(), bands.max()])
    assert drawn.axes.get_yscale() == "log"
    plot.plot_distribution(np.array([0, 1]), np.ones((3, 2))).axes.figure.canvas.draw()
    with pytest.raises(ValueError, match="two steps"):
        plot.plot_distribution(np.array([0]), np.ones((3, 1)))
    with pytest.raises(ValueError, match="none of the values"):
        plot.plot_distribution(np.array([0, 1]), -np.ones((3, 2)), is_log=True)


def study() -> jg.Study:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 2000, (3, 20, 2, 2)).astype(float)
    counts[0, :, 0] = np.nan
    counts[1, :5, 1] = np.nan
    dims = ("width", "seed", "learning_rate", "step")
    coords = {"width": np.array([2, 4, 8]), "seed": np.arange(20), "learning_rate": np.array([0.1, 0.5])}
    variables = {"regions": counts, "norms": np.ones((3, 20, 2, 7)), "name": np.ones(3)}
    all_dims = {"regions": dims, "norms": (*dims[:3], "unit"), "name": ("width",)}
    attrs = {"regions": {"meaning": "number of regions"}}
    coords |= {"step": np.array([0, 50])}
    return jg.Study(variables, all_dims, coords, attrs, {}, np.ones((3, 20, 2), bool))


def test_phase_diagrams_are_medians_of_a_study() -> None:
    found = study()
    drawn = plot.plot_phases(found, "regions", x="learning_rate", y="width")
    expected = np.nanmedian(found["regions"][1:, ..., 1], axis=1)
    np.testing.assert_array_equal(drawn.median[1:], expected)
    assert np.isnan(drawn.median[0, 0])
    assert drawn.num_networks.tolist() == [[0, 20], [20, 15], [20, 20]]
    assert drawn.mesh.get_array().mask.sum() == 1
    assert len(drawn.texts) == 5
    low, high = np.quantile(found["regions"][1, :, 0, 1], [0.1, 0.9], method="closest_observation")
    texts = {text.get_position(): text.get_text() for text in drawn.texts}
    assert texts[0, 1].splitlines()[1] == "–".join(f"{x:,.0f}" for x in (low, high))
    assert drawn.axes.get_title().startswith("0 to 20 networks a cell after 50 steps")
    assert drawn.colorbar.ax.get_ylabel() == "number of regions, median"
    early = plot.plot_phases(found, "regions", x="width", y="learning_rate", step=0)
    np.testing.assert_array_equal(early.median[:, 1:], np.nanmedian(found["regions"][1:, ..., 0], axis=1).T)
    plot.plot_phases(found, "regions", x="step", y="width").axes.figure.canvas.draw()
    for wrong, match in (
        ({"variable": "loss", "x": "width", "y": "seed"}, "measured"),
        ({"variable": "name", "x": "width", "y": "seed"}, "two different axes"),
        ({"variable": "norms", "x": "width", "y": "seed"}, "several numbers"),
        ({"variable": "regions", "x": "width", "y": "seed", "step": 3}, "was not measured"),
    ):
        with pytest.raises(ValueError, match=match):
            plot.plot_phases(found, **wrong)


@pytest.mark.parametrize("is_unfinished", [False, True])
def test_phase_diagrams_of_truth_values_are_fractions_with_intervals(is_unfinished: bool) -> None:
    rng = np.random.default_rng(1)
    truth: np.ndarray = rng.random((3, 20, 2)) < 0.7
    truth[2] = True
    if is_unfinished:  # a float with NaN then
        truth = truth.astype(np.float64)
        truth[0, :6] = np.nan
    dims, coords = (
        ("width", "seed", "learning_rate"),
        {n: study().coords[n] for n in ("width", "seed", "learning_rate")},
    )
    found = jg.Study({"is_solved": truth}, {"is_solved": dims}, coords, {}, {}, np.ones((3, 20, 2), bool))
    drawn = plot.plot_phases(found, "is_solved", x="learning_rate", y="width")
    np.testing.assert_allclose(drawn.median, np.nanmean(truth.astype(float), axis=1), rtol=1e-14)
    assert drawn.num_networks[0].tolist() == [14 if is_unfinished else 20] * 2
    assert drawn.colorbar.ax.get_ylabel() == "is solved, fraction of networks"
    assert drawn.axes.get_title().endswith("below the fraction: its 95 % interval")
    assert (drawn.mesh.norm.vmin, drawn.mesh.norm.vmax) == (0, 1)
    for text in drawn.texts:
        column, row = text.get_position()
        share, interval = text.get_text().splitlines()
        num = int(drawn.num_networks[row, column])
        ends = 100 * wilson(int(np.nansum(truth[row, :, column])), num)
        assert abs(float(share.split()[0]) - 100 * drawn.median[row, column]) <= 0.5
        np.testing.assert_allclose([float(end) for end in interval.removesuffix(" %").split("–")], ends, atol=0.5)


def test_phase_diagrams_of_counts_that_are_0_or_1_are_medians() -> None:
    counts = np.zeros((3, 20, 2), int)
    counts[:, :8] = 1
    dims, coords = (
        ("width", "seed", "learning_rate"),
        {n: study().coords[n] for n in ("width", "seed", "learning_rate")},
    )
    found = jg.Study({"holes": counts}, {"holes": dims}, coords, {}, {}, np.ones((3, 20, 2), bool))
    drawn = plot.plot_phases(found, "holes", x="learning_rate", y="width")
    assert (drawn.median == 0).all()
    assert drawn.colorbar.ax.get_ylabel() == "holes, median"


@pytest.mark.parametrize("cmap", ["viridis", "cividis", "RdYlBu", "magma"])
def test_numbers_in_cells_are_read_on_all_colours(cmap: str) -> None:
    shares = np.arange(21)[:, None, None] / 20 * np.ones((1, 3, 2))
    coords = {"width": np.arange(21), "learning_rate": np.array([0.1, 1.0]), "seed": np.arange(3)}
    dims = ("width", "seed", "learning_rate")
    found = jg.Study({"share": shares}, {"share": dims}, coords, {}, {}, np.ones((21, 3, 2), bool))
    drawn = plot.plot_phases(found, "share", x="learning_rate", y="width", cmap=cmap)
    drawn.axes.figure.canvas.draw()
    faces = np.round(255 * np.asarray(drawn.mesh.get_facecolor())[:, :3]).astype(int).reshape(21, 2, 3)
    assert len(drawn.texts) == 42
    for text in drawn.texts:
        column, row = text.get_position()
        ink = np.round(255 * np.array(to_rgb(text.get_color()))).astype(int)
        assert contrast(faces[row, column].tolist(), ink.tolist()) > 4.5
