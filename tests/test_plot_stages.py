"""Points at every stage of a network, and on their way; grids that a network has bent: what is drawn, and where."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxgeom import box, grid_lines, mlp, plot
from jaxgeom.plot.sheet import fitted_camera

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
        everything = np.concatenate([stage, lines.reshape(-1, lines.shape[-1])])[:, :3]
        ax = points.axes
        limits = [ax.get_xlim(), ax.get_ylim(), *([ax.get_zlim()] if ax.name == "3d" else [])][: everything.shape[1]]
        low, high = np.transpose(limits)
        assert (low < everything.min(axis=0)).all()
        assert (high > everything.max(axis=0)).all()
        # one scale: an inch is as much along every axis, and the longest axis is full
        if ax.name == "3d":
            np.testing.assert_allclose(np.ptp(limits, axis=1) / ax._box_aspect, np.ptp(limits[0]) / ax._box_aspect[0])
        assert np.max(high - low) < 1.1 * np.ptp(everything, axis=0).max()
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
    assert [getattr(ax, f"get_{axis}label")() for axis in "xyz"] == ["coordinate 1", "coordinate 2", "coordinate 3"]
    for stage, (points, lines) in enumerate(zip(STAGES, LINES, strict=True)):
        everything = np.concatenate([points, lines.reshape(-1, lines.shape[-1])])[:, :3]
        low, high = everything.min(axis=0), everything.max(axis=0)
        extent = np.max(high - low) / 2
        expected = np.zeros((20, 3))
        expected[:, : min(points.shape[1], 3)] = (points[:, :3] - (low + high) / 2) / extent
        ends.append(expected)
        for frame in (5 * stage, 5 * stage + 1):
            np.testing.assert_allclose(shown(frame), expected, rtol=1e-12)
        assert NAMES[stage] in ax.get_title()
        shown_ends = [float(label.get_text().replace("−", "-")) for label in ax.get_xticklabels()]
        middle = (low[0] + high[0]) / 2
        assert shown_ends == pytest.approx([middle - extent, middle, middle + extent], rel=0.06)
    # A quarter, half and three quarters of the time on the way from the first stage to the second.
    for frame, share in ((2, 5 / 32), (3, 1 / 2), (4, 27 / 32)):
        np.testing.assert_allclose(shown(frame), (1 - share) * ends[0] + share * ends[1], rtol=1e-12)
        assert NAMES[1] in ax.get_title()


def test_a_plane_suffices_for_two_coordinates_and_zeros_are_fine() -> None:
    moving = plot.morph_stages([np.zeros((3, 1)), np.ones((3, 2))], np.zeros(3), ["none", "all"])
    assert moving.figure.axes[0].name == "rectilinear"
    moving.draw(moving.num_frames - 1)
    (points,) = moving.figure.axes[0].collections
    np.testing.assert_array_equal(points.get_offsets(), np.zeros((3, 2)))  # in the middle of the axes


def test_sheets_are_bent_in_colours_of_their_places() -> None:
    flat = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 4)), axis=-1)
    color = plot.position_colors(flat)
    bent = np.concatenate([flat, flat[..., :1] ** 2], axis=2)
    assert plot.plot_stages([p.reshape(20, -1) for p in (flat, bent)], color.reshape(20, 3), ["a", "b"]) != []
    plt.close("all")
    with pytest.raises(ValueError, match="as many sheets, but 1"):
        plot.plot_stages([flat.reshape(20, 2)] * 2, color.reshape(20, 3), ["a", "b"], sheets=[flat])
    drawn = plot.plot_stages(
        *([flat.reshape(20, 2), bent.reshape(20, 3)], color.reshape(20, 3), ["a", "b"]),
        sheets=[flat, bent],
        sheet_color=color,
    )
    assert drawn == []
    (plane,), (space,) = (ax.collections for ax in plt.gcf().axes)
    assert (len(plane.get_paths()), len(space._faces)) == (12, 12)
    corner = np.array([[-1, -1], [-0.5, -1], [-0.5, -1 / 3], [-1, -1 / 3]])
    assert {tuple(row) for row in plane.get_paths()[0].vertices.round(9)} == {tuple(row) for row in corner.round(9)}
    moving = plot.morph_stages(
        *([flat.reshape(20, 2), bent.reshape(20, 3)], color.reshape(20, 3), ["a", "b"]),
        sheets=[flat, bent],
        sheet_color=color,
    )
    moving.draw(moving.num_frames - 1)
    (sheet,) = moving.figure.axes[0].collections
    np.testing.assert_allclose(sheet._faces[0, 0], [-1, -1, 0.65])  # heights of 0 to 1 are drawn a little larger,
    labels = [label.get_text() for label in moving.figure.axes[0].get_zticklabels()]
    assert labels == ["−0.27", "0.5", "1.3"]  # 0.5 ± 0.5 / 0.65, as the numbers say
    mirrored = plot.plot_sheet(np.concatenate([flat, flat[2:3]]), np.ones((5, 5, 3)) * 0.8)
    shade = mirrored.get_facecolor()[:, 0]
    np.testing.assert_allclose(shade, [0.8] * 12 + [0.8 * 0.72] * 4)  # the last row lies on its back


def test_thin_spaces_are_drawn_larger_at_most_threefold_and_flat_ones_are_not() -> None:
    sides = {(4, 4, 4): (4, 4, 4), (4, 8, 8): (5.2, 8, 8), (1, 1, 6): (3, 3, 6), (0, 6, 6): (2.7, 6, 6)}
    for given, drawn in sides.items():
        corners = np.array(list(np.ndindex(2, 2, 2))) * np.array(given, float)
        ax = plt.figure().add_subplot(projection="3d")
        plot.plot_stages([corners], np.zeros(8), ["a"], axes=[ax])
        box = ax._box_aspect
        np.testing.assert_allclose(box / box.max(), np.divide(drawn, max(drawn)), err_msg=str(given))
        for side, axis in zip(given, "xyz", strict=True):
            low, high = getattr(ax, f"get_{axis}lim")()
            assert (low + high) / 2 == pytest.approx(side / 2)
            assert high - low == pytest.approx(1.08 * (side or 2.7))


def test_colours_say_where_points_are() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21)), axis=-1)
    colors = plot.position_colors(grid)
    assert ((colors >= 0) & (colors <= 1)).all()
    light = colors @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light.mean(axis=1)) > 0).all()  # in grey, the second coordinate
    blue_against_yellow = colors[..., 2] - colors[..., :2].mean(axis=-1)
    assert (np.diff(blue_against_yellow.mean(axis=0)) < 0).all()  # without red and green, the first
    assert np.ptp(colors[10, 10]) < 0.02  # grey at the origin
    line = plot.position_colors(grid[10, :, :1])  # of one coordinate, both along it
    assert np.abs(line[9] - line[11]).max() > 0.2  # and its halves have colours of their own at zero
    assert (np.diff(line @ [0.2126, 0.7152, 0.0722]) > 0).all()
    assert (np.diff(line[:, 2] - line[:, :2].mean(axis=-1)) < 0).all()


def test_cameras_see_the_broad_side() -> None:
    wall = np.random.default_rng(0).normal(size=(100, 3)) * [1, 0, 1]  # thin along y
    floor = np.random.default_rng(0).normal(size=(100, 3)) * [1, 1, 0]
    elevation, azimuth = fitted_camera(wall)
    assert elevation == 20
    assert abs(azimuth + 90) <= 20
    assert fitted_camera(floor)[0] == 50
    assert 20 < fitted_camera(wall, floor)[0] < 50


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
    for wrong in (np.zeros((3, 4, 1)), np.zeros((3, 4))):
        with pytest.raises(ValueError, match="a sheet has the shape"):
            plot.plot_sheet(wrong, np.zeros((3, 4, 3)))
    with pytest.raises(ValueError, match="as many colours"):
        plot.plot_sheet(lines, np.zeros((2, 4, 3)))


def test_weights_are_written_row_by_row():
    params = mlp((2, 3, 14, 1), activation="tanh").init(jax.random.key(0))
    params["dense0_tanh"]["bias"] = np.array([0.25, 0.0, -0.5])
    text = plot.plot_weights(params, digits=6).get_text()
    first, second, third = (part.split("\n") for part in text.split("layer ")[1:])
    assert (first[0], second[0], third[0]) == ("1, tanh", "2, tanh", "3")
    written = np.array([line.replace("+", " ").split() for line in first[1:4]], float)
    np.testing.assert_allclose(written[:2], params["dense0_tanh"]["kernel"], atol=1e-6)
    np.testing.assert_array_equal(written[2], params["dense0_tanh"]["bias"])
    assert len(second[1:4]) == 3
    assert second[1].endswith(" …")
    assert "  … 14 rows" in third
    for wrong in (-1, -3):
        with pytest.raises(ValueError, match="digits is an integer from 0 up"):
            plot.plot_weights(params, digits=wrong)
    with pytest.raises(ValueError, match=r"biases of layer 1 have shape \(2, 3\)"):
        plot.plot_weights(jax.tree.map(lambda array: np.stack([array] * 2), params))
