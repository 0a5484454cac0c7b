"""The rainbow sandwich: places, colours and sizes against formulas in NumPy, and what is drawn of them."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxgeom import plot
from jaxgeom.plot.sandwich import living_first

H = np.random.default_rng(0).normal(size=(50, 6)) * 2
ORDERS = [(5, 4, 1, 2, 3, 0), (5, 0, 1, 4, 3, 2), (0, 5, 1, 4, 3, 2)]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def stretched(values: np.ndarray, axis: int) -> np.ndarray:
    return (values - values.min(axis, keepdims=True)) / np.ptp(values, axis=axis, keepdims=True)


NORMALIZED = {
    None: lambda h: h,
    "softmax": lambda h: np.exp(h) / np.exp(h).sum(axis=1, keepdims=True),
    "sigmoid": lambda h: 1 / (1 + np.exp(-h)),
    "minmax": lambda h: stretched(h, 1),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("normalization", NORMALIZED)
def test_six_units_are_place_colour_and_size(order: tuple, normalization: str | None) -> None:
    dots = plot.dots_of(H, order, normalization=normalization)
    values = NORMALIZED[normalization](H)
    x, y, red, green, blue, size = (values[:, unit] for unit in order)
    colors = np.column_stack([red, green, blue])
    if normalization == "softmax":
        colors = (colors / colors.max()) ** 0.5
    np.testing.assert_allclose(dots.place, np.column_stack([x, y]), rtol=1e-12)
    np.testing.assert_allclose(dots.color, stretched(colors, 1) if normalization is None else colors, rtol=1e-12)
    np.testing.assert_allclose(dots.size, np.exp(3 * stretched(size, 0)) * 100, rtol=1e-10)
    assert dots.color.min() >= 0
    assert dots.color.max() <= 1
    assert (dots.size.min(), dots.size.max()) == pytest.approx((100, 100 * np.e**3))


def test_dead_units_are_grey_and_small_and_large_values_do_not_overflow() -> None:
    for normalization in NORMALIZED:
        dots = plot.dots_of(np.zeros((4, 6)), normalization=normalization, base=3)
        np.testing.assert_array_equal(dots.size, 3)
        expected = 1 if normalization == "softmax" else 1 / 2
        np.testing.assert_allclose(dots.color, expected)
        huge = plot.dots_of(H * 1e4, normalization=normalization)
        assert all(np.isfinite(part).all() for part in huge)


def test_dead_units_come_last() -> None:
    hidden = np.where(np.isin(np.arange(6), (5, 1)), 0.0, H)
    assert living_first(hidden, ORDERS[0]) == (4, 2, 3, 0, 5, 1)
    assert living_first(H, ORDERS[0]) == ORDERS[0]


def test_a_panel_a_layer_and_the_same_every_time() -> None:
    layers = [H, 3 * H[:, ::-1], np.maximum(H, 0)]
    first, second = (plot.sandwich(layers, ORDERS[0], names=["a", "b", "c"]) for _ in range(2))
    for layer, drawn, again in zip(layers, first, second, strict=True):
        dots = plot.dots_of(layer, ORDERS[0])
        below = np.argsort(-dots.size, kind="stable")
        np.testing.assert_array_equal(drawn.get_offsets(), dots.place[below])
        np.testing.assert_array_equal(drawn.get_facecolor()[:, :3], dots.color[below])
        np.testing.assert_array_equal(drawn.get_sizes(), dots.size[below])
        np.testing.assert_array_equal(drawn.get_offsets(), again.get_offsets())
        assert drawn.axes.get_facecolor() == (0, 0, 0, 1)
        assert (drawn.axes.get_xlabel(), drawn.axes.get_ylabel()) == ("unit 6", "unit 5")
        (low, high), (bottom, top) = drawn.axes.get_xlim(), drawn.axes.get_ylim()
        assert low < dots.place[:, 0].min() < dots.place[:, 0].max() < high
        assert bottom < dots.place[:, 1].min() < dots.place[:, 1].max() < top
    assert [drawn.axes.get_title() for drawn in first] == ["a", "b", "c"]
    figure = first[0].axes.figure
    np.testing.assert_array_equal(figure.get_size_inches(), (5.5, 16.5))


def test_one_scale_for_all() -> None:
    drawn = plot.sandwich([H, 3 * H], ORDERS[2], common_scale=True)
    limits = {(dots.axes.get_xlim(), dots.axes.get_ylim()) for dots in drawn}
    assert len(limits) == 1
    (low, high), _ = limits.pop()
    assert low < 3 * H[:, 0].min() < 3 * H[:, 0].max() < high
    assert all(dots.axes.get_aspect() == 1 for dots in drawn)
    free = plot.sandwich([H, 3 * H], ORDERS[2])
    assert free[0].axes.get_xlim() != free[1].axes.get_xlim()


def test_bad_input(unchecked) -> None:
    with pytest.raises(ValueError, match="'minmax', but 'max' was given"):
        plot.dots_of(H, normalization="max")
    for order in ((0, 1, 2, 3, 4, 4), (0, 1, 2, 3, 4), (1, 2, 3, 4, 5, 6)):
        with pytest.raises(ValueError, match="each of 0 to 5 once"):
            plot.sandwich([H], order)
    with pytest.raises(ValueError, match=r"\(points, 6\)"):
        plot.dots_of(H[:, :5])
    with pytest.raises(ValueError, match="as many names, but 1"):
        plot.sandwich([H, H], names=["a"])
    with pytest.raises(ValueError, match="as many axes, but 1"):
        plot.sandwich([H, H], axes=[plt.figure().subplots()])


def test_a_key_decides_the_order() -> None:
    orders = [plot.sandwich_order(jax.random.key(seed)) for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(6)) for order in orders)
