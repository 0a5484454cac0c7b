"""Decisions of many networks at once, against the cells of each: ``topology`` and ``decision_boundary``."""

import itertools
import math
from typing import Any

import jax
import numpy as np
import pytest
from test_topology import folded

import jaxgeom as jg
from jaxgeom.analysis import decisions as module
from jaxgeom.analysis.decisions import decisions

SQUARE = jg.box(-1, 1)
TRIANGLE = jg.polygon([[-1.0, -1.0], [1.0, -0.5], [0.0, 1.0]])


def population(rng: np.random.Generator, num: int, *widths: int, size: float = 2.0, integers: bool = False) -> Any:
    """Networks with weights so large that boundaries close; of small integers, which tie often."""

    def draw(bound: float, *shape: int) -> np.ndarray:
        return rng.integers(-1, 2, shape).astype(float) if integers else rng.uniform(-bound, bound, shape)

    return tuple(
        jg.Dense(draw(size / math.sqrt(a), num, a, b) * math.sqrt(3), draw(1.0, num, b))
        for a, b in itertools.pairwise(widths)
    )


def check(layers: Any, domain: Any) -> Any:
    """Every number is that of the cells of each network by itself."""
    found, wanted = decisions(layers, domain), jg.topology(layers, domain)
    for name in ("num_components", "num_holes", "num_boundaries", "num_closed_boundaries"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    for index, length in enumerate(found.boundary_length):
        complex_ = jg.enumerate_regions(jax.tree.map(lambda a: a[index], layers), domain)  # noqa: B023
        boundary = jg.decision_boundary(complex_)
        assert found.boundary_pieces[index] == len(boundary.length)
        assert length == pytest.approx(boundary.length.sum(), rel=1e-9, abs=1e-12)
    return found


@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 6])
def test_random_networks(outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is looked at cell by cell; closed boundaries, holes and points with three classes are among them."""
    rng = np.random.default_rng(outputs)
    monkeypatch.setattr(module, "boundary_sizes", None)
    for widths, size in (((2, 7, outputs), 3.0), ((2, 8, 6, outputs), 4.0), ((2, 5, 5, 5, outputs), 4.0)):
        found = check(population(rng, 12, *widths, size=size), SQUARE)
        assert found.num_boundaries.sum() > 6
    closing = population(rng, 20, 2, 9, 9, outputs, size=5.0)
    found = check(closing, jg.box(-3, 3))
    assert found.num_closed_boundaries.sum() > 0
    assert found.num_holes.sum() > 0
    check(population(rng, 8, 2, 8, 6, outputs, size=4.0), TRIANGLE)


@pytest.mark.parametrize("outputs", [1, 3])
def test_networks_that_meet_exact_zeros(outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    check(population(rng, 25, 2, 5, 4, outputs, integers=True), SQUARE)
    rings = folded(1.0, [0.5, 0.25], last=-0.125), folded(-1.0, [0.5, 0.25])
    for network in rings:  # rings around each other, and a saddle
        check(jax.tree.map(lambda array: array[None], network), SQUARE)


def test_what_is_not_finite_is_not_counted() -> None:
    layers = population(np.random.default_rng(0), 4, 2, 6, 3)
    layers[0].kernel[2, 0, 0] = np.nan
    found = decisions(layers, SQUARE)
    assert found.num_components[2].tolist() == [-1, -1, -1]
    assert (found.boundary_length[2], found.boundary_pieces[2], found.num_boundaries[2]) == (0, 0, -1)
    others = [0, 1, 3]
    alone = decisions(jax.tree.map(lambda array: array[others], layers), SQUARE)
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one[others], other)


def test_refusals() -> None:
    layers = population(np.random.default_rng(0), 2, 3, 6, 2)
    with pytest.raises(ValueError, match="in the plane, but the box has 3 dimensions"):
        decisions(layers, jg.box(-1, 1, dim=3))
    with pytest.raises(ValueError, match="first layer takes 3"):
        decisions(layers, SQUARE)
    with pytest.raises(ValueError, match="bounded domain"):
        decisions(population(np.random.default_rng(0), 2, 2, 6, 2), jg.whole_plane())
