"""Lines, thresholds and hidden space: what is drawn is what the network says."""

from itertools import combinations

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

import jaxgeom as jg
from jaxgeom import plot
from jaxgeom.plot.hidden import cube_section

PLANES = jg.hyperplanes(jg.mlp((2, 5, 1), widths=(3,)).init(jax.random.key(0)))
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_lines_are_where_units_switch_and_padding_is_not_drawn() -> None:
    drawn = plot.plot_hyperplanes(PLANES, limits=(-2, 2), colors=("red", "green", "blue"))
    segments = np.array(drawn.lines.get_segments())
    assert segments.shape == (3, 2, 2)
    weight, bias = np.asarray(PLANES.weight)[:3], np.asarray(PLANES.bias)[:3]
    np.testing.assert_allclose(np.einsum("uec,uc->ue", segments, weight) + bias[:, None], 0, atol=1e-5)
    # they cross the whole picture: both ends lie outside, on different sides of the foot
    assert (np.linalg.norm(segments, axis=2) > np.sqrt(8)).all()
    np.testing.assert_allclose(drawn.lines.get_colors()[1], to_rgba("green"))
    along = np.column_stack([drawn.arrows.U, drawn.arrows.V])
    assert (np.sum(along * weight, axis=1) > 0).all()
    np.testing.assert_allclose(np.sum(drawn.arrows.get_offsets() * weight, axis=1) + bias, 0, atol=1e-5)
    ax = drawn.lines.axes
    assert ax.get_xlim() == ax.get_ylim() == (-2, 2)
    assert ax.get_aspect() == 1


def test_lines_need_two_inputs() -> None:
    with pytest.raises(ValueError, match="two inputs"):
        plot.plot_hyperplanes(jg.hyperplanes(jg.mlp((3, 2, 1)).init(jax.random.key(0))))


def test_fits_show_thresholds_within_the_data_only() -> None:
    x = np.linspace(-1, 1, 11)[:, None]
    places = np.array([-5.0, -0.5, np.nan, 0.25, np.inf])
    drawn = plot.plot_fit(x, x**2, x**3, steps=np.sign(x), thresholds=places)
    np.testing.assert_array_equal([segment[0, 0] for segment in drawn.thresholds.get_segments()], [-0.5, 0.25])
    for line, values in ((drawn.target, x**2), (drawn.prediction, x**3), (drawn.steps, np.sign(x))):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([x, values]))
    assert drawn.target.axes.get_xlim() == (-1, 1)
    bare = plot.plot_fit(x, x**2, x**3)
    assert bare.steps is None
    assert bare.thresholds is None


def test_hidden_space_is_the_unit_cube() -> None:
    hidden, labels = RNG.random((20, 4)), np.arange(20) % 2
    drawn = plot.plot_hidden(hidden, labels, units=(3, 0, 2), names=("a", "b"))
    for label, cloud in enumerate(drawn):
        np.testing.assert_array_equal(np.array(cloud._offsets3d), hidden[labels == label][:, [3, 0, 2]].T)
    ax = drawn[0].axes
    assert ax.get_xlim() == ax.get_ylim() == ax.get_zlim() == (0, 1)
    assert [ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()] == ["unit 4", "unit 1", "unit 3"]
    axes = plot.plot_hidden_triples(hidden, labels, num_columns=2)
    labelled = [(ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()) for ax in axes]
    assert labelled == [tuple(f"unit {unit + 1}" for unit in triple) for triple in combinations(range(4), 3)]
    with pytest.raises(ValueError, match="three units"):
        plot.plot_hidden(hidden, units=(0, 1, 4))
    with pytest.raises(ValueError, match="3 to 10"):
        plot.plot_hidden_triples(hidden[:, :2])


def test_the_plane_in_the_cube_lies_in_both() -> None:
    for weight, bias, num_corners in (([1, 1, 1], -1.5, 6), ([0, 0, 2], -1, 4), ([1, 1, 1], -0.5, 3)):
        (corners,) = cube_section(np.array(weight, float), bias)
        assert len(corners) == num_corners
        np.testing.assert_allclose(corners @ weight + bias, 0, atol=1e-12)
        assert ((corners >= 0) & (corners <= 1)).all()
        # in order: the polygon is convex, so all turns are the same way
        sides = np.roll(corners, -1, axis=0) - corners
        turns = np.cross(sides, np.roll(sides, -1, axis=0)) @ weight
        assert (turns > 0).all() or (turns < 0).all()
    assert cube_section(np.array([1.0, 1, 1]), 1.0) == []
    ax = plot.new_axes(dim=3)[0]
    assert plot.plot_cube_plane(jnp.ones(3), -1.5, ax=ax).axes is ax
