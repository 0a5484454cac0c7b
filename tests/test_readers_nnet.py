"""Networks in .nnet files: outputs against an evaluation by hand, gradients, malformed files."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from read_truth import dense, gradients, outputs

import jaxgeom as jg

WIDTHS = (3, 6, 5, 2)
LOW, HIGH = np.array([-2.0, 0.0, 10.0]), np.array([2.0, 1.0, 30.0])
MEANS, RANGES = np.array([0.5, 0.25, 20.0, -3.0]), np.array([4.0, 1.0, 20.0, 7.0])


def weights() -> list[tuple[np.ndarray, np.ndarray]]:
    """Matrices (out, in) and offsets, as such files hold them."""
    random = np.random.default_rng(0)
    return [(random.normal(size=(b, a)), random.normal(size=b)) for a, b in itertools.pairwise(WIDTHS)]


def line(numbers: np.ndarray) -> str:
    return ",".join(repr(float(x)) for x in np.atleast_1d(numbers)) + ",\n"


def text() -> str:
    parts = ["// a comment\n", "// and another one\n", "3,3,2,6,\n", "3,6,5,2,\n", "0,\n"]
    parts += [line(LOW), line(HIGH), line(MEANS), line(RANGES)]
    for matrix, offsets in weights():
        parts += [*map(line, matrix), *map(line, offsets)]
    return "".join(parts)


def by_hand(points: np.ndarray) -> np.ndarray:
    h = (points - MEANS[:3]) / RANGES[:3]
    for index, (matrix, offsets) in enumerate(weights()):
        h = np.einsum("oi,pi->po", matrix, h) + offsets
        h = np.where(h < 0, 0, h) if index < 2 else h
    return h * RANGES[3] + MEANS[3]


def test_normalisation_is_part_of_the_layers(tmp_path: Path) -> None:
    (tmp_path / "net.nnet").write_text(text())
    read = jg.from_nnet(tmp_path / "net.nnet")
    assert (read.input_shape, read.output_shape) == ((3,), (2,))
    points = np.random.default_rng(1).uniform(LOW, HIGH, size=(10_000, 3))
    expected = by_hand(points)
    np.testing.assert_allclose(outputs(read.layers, points), expected, rtol=1e-12, atol=1e-12)
    steps = 1e-5 * np.eye(3)[:, None] * RANGES[:3]
    change = (by_hand((points + steps).reshape(-1, 3)) - by_hand((points - steps).reshape(-1, 3))) / 2e-5
    wanted = change.reshape(3, -1, 2)[:, :, 0].T / RANGES[:3]
    is_off = np.abs(gradients(read.layers, points, 0) - wanted).max(axis=1) > 1e-6
    assert is_off.mean() < 0.001  # differences across a kink
    assert read.notes == ("bounds of the inputs in [-2, 2], [0, 1], [10, 30]",)


def test_layers_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "net.nnet").write_text(text())
    read = jg.from_nnet(str(tmp_path / "net.nnet"), normalised=True)
    for layer, (matrix, offsets) in zip(read.layers, weights(), strict=True):
        np.testing.assert_array_equal(dense(layer.kernel), matrix.T)
        np.testing.assert_array_equal(layer.bias, offsets)
    assert jg.count_regions(jg.on_plane(read.layers, jg.plane_through(*np.eye(3))), jg.box(-1, 1)).count > 3


def test_malformed_files_end_in_one_line(tmp_path: Path) -> None:
    whole = text()
    lines = whole.splitlines(keepends=True)
    broken = {
        "empty": ("", r"ends where numbers of layers"),
        "cut": ("".join(lines[:-1]), r"ends where a bias of layer 3 should be"),
        "word": (whole.replace("0,\n", "zero,\n", 1), r"line 5 should hold a flag.*'zero,'"),
        "short": ("".join([*lines[:9], "1.0,\n", *lines[10:]]), r"line 10 should hold weights of a unit of layer 1"),
        "infinite": ("".join([*lines[:9], "1.0,inf,2.0\n", *lines[10:]]), r"line 10 .* 3 finite numbers"),
        "sizes": (whole.replace("3,6,5,2,", "4,6,5,2,", 1), r"sizes \[4, 6, 5, 2\], but it has 3 inputs"),
        "huge": (whole.replace("3,6,5,2,", "3,60000000,60000000,2,", 1), r"at most 67,108,864 weights a layer"),
        "many": (whole.replace("3,3,2,6,", "1000000,3,2,6,", 1), r"1,000,000 layers; at most"),
        "negative": (whole.replace("3,6,5,2,", "3,-6,5,2,", 1), r"whole numbers from 1"),
        "zero range": (whole.replace(line(RANGES), line(0 * RANGES)), r"ranges should not be zero"),
        "header": (whole.replace("3,3,2,6,", "3,", 1), r"first line should hold"),
    }
    for name, (content, message) in broken.items():
        (tmp_path / f"{name}.nnet").write_text(content)
        with pytest.raises(ValueError, match=rf"{name}\.nnet cannot be read as a \.nnet file: .*{message}") as caught:
            jg.from_nnet(tmp_path / f"{name}.nnet")
        assert "\n" not in str(caught.value), name
    (tmp_path / "noise.nnet").write_bytes(np.random.default_rng(0).bytes(3000))
    with pytest.raises(ValueError, match=r"noise\.nnet cannot be read"):
        jg.from_nnet(tmp_path / "noise.nnet")
    with pytest.raises(ValueError, match=r"missing\.nnet is no file"):
        jg.from_nnet(tmp_path / "missing.nnet")
