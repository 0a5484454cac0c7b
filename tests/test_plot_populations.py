"""Pictures of populations: maps side by side, kinds, distributions and phase diagrams show what they were given."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of, network

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


def test_kinds_have_their_shares() -> None:
    complexes = [complex_of(network(seed, 3, 1), jg.box(-1, 1)) for seed in range(3)]
    members = [[each] * 4 for each in complexes]
    axes = plot.plot_kinds(complexes, np.array([600, 30, 2]), num_all=700, members=members, points=np.eye(2))
    assert [ax.get_title().splitlines()[0] for ax in axes] == ["86 %", "4 %", "2 of 700"]
    assert [ax.get_title().splitlines()[1] for ax in axes] == [f"{each.num_faces} regions" for each in complexes]
    assert plot.plot_kinds(complexes[:1], np.array([3]), names=["a"])[0].get_title() == "100 %\na"
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
