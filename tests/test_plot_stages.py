"""Points at every stage of a network, and on their way; grids that a network has bent: what is drawn, and where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxgeom import box, grid_lines, plot

RANDOM = np.random.default_rng(0)
STAGES = [RANDOM.normal(size=(20, dim)) * scale for dim, scale in ((2, 5), (3, 60), (4, 1), (1, 0.1))]
COLOR = STAGES[0][:, 0]
LINES = [RANDOM.normal(size=(3, 7, dim)) * scale for dim, scale in ((2, 5), (3, 60), (4, 1), (1, 0.1))]
NAMES = ["input", "up", "higher", "down"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def place_of(collection) -> np.ndarray:
    if collection.axes.name == "3d":
        return np.column_stack(collection._offsets3d)
    return np.asarray(collection.get_offsets())


def test_all_stages_side_by_side() -> None:
    drawn = plot.plot_stages(STAGES, COLOR, NAMES, lines=LINES)
    assert [points.axes.name for points in drawn] == ["rectilinear", "3d", "3d", "rectilinear"]
    assert [points.axes.get_title() for points in drawn] == NAMES
    shown = [STAGES[0], STAGES[1], STAGES[2][:, :3], np.column_stack([STAGES[3][:, 0], np.zeros(20)])]
    for points, expected, stage, lines in zip(drawn, shown, STAGES, LINES, strict=True):
        np.testing.assert_array_equal(place_of(points), expected)
        np.testing.assert_array_equal(points.get_array(), COLOR)
        assert points.get_clim() == drawn[0].get_clim() == (-np.abs(COLOR).max(), np.abs(COLOR).max())
        low, high = points.axes.get_xlim()
        assert low == -high
        assert high >= max(np.abs(stage[:, :3]).max(), np.abs(lines[..., :3]).max())
        if stage.shape[1] > 1:
            assert points.axes.get_ylim() == (low, high)
    assert sum(drawn[0].axes.get_facecolor()[:3]) < 0.5


def test_points_move_from_stage_to_stage() -> None:
    moving = plot.morph_stages(STAGES, COLOR, NAMES, lines=LINES, frames_per_step=4, frames_of_rest=2)
    assert moving.num_frames == 2 * 4 + 3 * 3
    ax = moving.figure.axes[0]
    assert ax.name == "3d"

    def shown(frame: int) -> np.ndarray:
        moving.draw(frame)
        (points,) = [artist for artist in ax.collections if artist.get_array() is not None]
        np.testing.assert_array_equal(points.get_array(), COLOR)
        assert ax.get_xlim() == ax.get_ylim() == ax.get_zlim() == limits
        assert len(ax.collections) == 2  # points and lines, nothing left of the frame before
        return place_of(points)

    moving.draw(0)
    limits = ax.get_xlim()
    ends = []
    for stage, (points, lines) in enumerate(zip(STAGES, LINES, strict=True)):
        extent = max(np.abs(points[:, :3]).max(), np.abs(lines[..., :3]).max())
        expected = np.zeros((20, 3))
        expected[:, : min(points.shape[1], 3)] = points[:, :3] / extent
        ends.append(expected)
        for frame in (5 * stage, 5 * stage + 1):
            np.testing.assert_allclose(shown(frame), expected, rtol=1e-12)
        assert NAMES[stage] in ax.get_title()
        assert float(ax.get_xticklabels()[-1].get_text()) == pytest.approx(extent, rel=0.05)
    # A quarter, half and three quarters of the time on the way from the first stage to the second.
    for frame, share in ((2, 5 / 32), (3, 1 / 2), (4, 27 / 32)):
        np.testing.assert_allclose(shown(frame), (1 - share) * ends[0] + share * ends[1], rtol=1e-12)
        assert NAMES[1] in ax.get_title()


def test_a_plane_suffices_for_two_coordinates_and_zeros_are_fine() -> None:
    moving = plot.morph_stages([np.zeros((3, 1)), np.ones((3, 2))], np.zeros(3), ["none", "all"])
    assert moving.figure.axes[0].name == "rectilinear"
    moving.draw(moving.num_frames - 1)
    (points,) = moving.figure.axes[0].collections
    np.testing.assert_array_equal(points.get_offsets(), np.ones((3, 2)))


def test_warped_grid() -> None:
    lines = grid_lines(box(-1, 1), 3, num_points=5)
    drawn = plot.plot_warped_grid(lines)
    np.testing.assert_array_equal(np.stack(drawn.get_segments()), lines)
    assert drawn.axes.get_aspect() == 1
    assert drawn.axes.viewLim.x0 <= -1 < 1 <= drawn.axes.viewLim.x1
    colored = plot.plot_warped_grid(lines, lines[..., 0])
    pieces = np.stack(colored.get_segments())
    assert pieces.shape == (6 * 4, 2, 2)
    np.testing.assert_allclose(colored.get_array(), pieces[:, :, 0].mean(axis=1), atol=1e-6)
    on_line = plot.plot_warped_grid(lines[..., :1])
    np.testing.assert_array_equal(np.stack(on_line.get_segments())[..., 1], 0)
    in_space = plot.plot_warped_grid(np.concatenate([lines, lines[..., :1] * lines[..., 1:]], axis=2))
    assert in_space.axes.name == "3d"


def test_bad_input(unchecked) -> None:
    lines = np.zeros((3, 4, 2))
    with pytest.raises(ValueError, match=r"jaxgeom\.pca"):
        plot.plot_warped_grid(np.zeros((3, 4, 5)))
    with pytest.raises(ValueError, match=r"need \(3, 4\) numbers"):
        plot.plot_warped_grid(lines, np.zeros(3))
    with pytest.raises(ValueError, match="axes of kind"):
        plot.plot_warped_grid(np.zeros((3, 4, 3)), ax=plt.figure().subplots())
    with pytest.raises(ValueError, match="as many titles, but 3"):
        plot.plot_stages(STAGES, COLOR, NAMES[:3])
    with pytest.raises(ValueError, match="as many lines, but 1"):
        plot.morph_stages(STAGES, COLOR, NAMES, lines=LINES[:1])
    with pytest.raises(ValueError, match="at least one frame"):
        plot.morph_stages(STAGES, COLOR, NAMES, frames_per_step=0)
