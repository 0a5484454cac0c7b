"""Formulas: read back by a parser of their own and evaluated."""

import re

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import network

from jaxgeom.analysis.formula import affine_text, latex_formula, latex_sum
from jaxgeom.domains import box
from jaxgeom.networks.layers import Dense

BY_HAND = (Dense(np.ones((2, 2)), np.array([1.0, 0.0])), Dense(np.array([[2.0], [-4.0]]), np.array([-1.0])))
POINTS = np.random.default_rng(0).uniform(-1, 1, (20, 2))


def numeral(text):
    return float(re.sub(r"\s*\\cdot 10\^\{(-?\d+)\}", r"e\1", text).replace(" ", ""))


def evaluated(formula, x):
    """What the formula gives at columns x (in, points): its text is turned into NumPy."""

    def matrix(match):
        rows = [[cell.strip() for cell in row.split("&")] for row in match[1].split(r"\\")]
        if rows[0][0].startswith("x_"):
            assert [row[0] for row in rows] == [f"x_{{{d + 1}}}" for d in range(len(x))]
            return "x"
        return f" np.array({[[numeral(cell) for cell in row] for row in rows]}) "

    text = formula.removeprefix("f(x) = ")
    text = re.sub(r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", matrix, text)
    text = re.sub(r"\s*\\cdot 10\^\{(-?\d+)\}", r"e\1", text)
    text = text.replace(r"\max\left\{", "@ np.maximum(").replace(r",\ 0 \right\}", ", 0)")
    text = re.sub(r"\)\s*x(?![\w_])", ") @ x", text)
    text = re.sub(r"([\d.])\s*@ np.maximum", r"\1 * np.maximum", text)
    return eval(text, {"np": np, "x": x})


def value(layers, x):
    for kernel, bias, *_ in layers[:-1]:
        x = np.maximum(x @ kernel + bias, 0)
    return x @ layers[-1].kernel + layers[-1].bias


@pytest.mark.parametrize("widths", [(1, 1), (2, 1), (5, 1), (3, 4, 2)])
def test_the_formula_is_the_network(widths):
    layers = network(1, *widths)
    np.testing.assert_allclose(evaluated(latex_formula(layers, digits=17), POINTS.T).T, value(layers, POINTS))
    rough = evaluated(latex_formula(layers), POINTS.T).T
    np.testing.assert_allclose(rough, value(layers, POINTS), atol=0.03)
    assert len(latex_formula(layers)) < len(latex_formula(layers, digits=17))


def test_coordinates_from_zero_to_one():
    layers = network(2, 6, 1)
    formula = latex_formula(layers, unit_box=box((-1, -2), (1, 3)), digits=17)
    low, high = np.array([-1.0, -2.0]), np.array([1.0, 3.0])
    unit = (POINTS - low) / (high - low)
    np.testing.assert_allclose(evaluated(formula, unit.T).T, value(layers, POINTS), rtol=1e-12)


def test_numbers_are_written_as_people_do():
    assert latex_sum(BY_HAND) == r"f(x) = 2 \max(x_{1} + x_{2} + 1, 0) - 4 \max(x_{1} + x_{2}, 0) - 1"
    assert affine_text(np.array([-2.0, 1e-9]), 0.5, names=("x", "y")) == "-2 x + 0.5"
    assert affine_text(np.array([1.0, -1.0]), 0.0, names=("x", "y")) == "x - y"
    assert affine_text(np.array([10.0, 12.5]), -1.0, names=("x", "y")) == "10 x + 12.5 y - 1"
    assert affine_text(np.zeros(2), 0.0) == "0"
    tiny = (Dense(np.full((2, 1), 1.5e-7), np.zeros(1)), Dense(np.array([[2.5e12]]), np.zeros(1)))
    formula = latex_formula(tiny)
    assert r"1.5 \cdot 10^{-7}" in formula
    assert r"2.5 \cdot 10^{12}" in formula
    np.testing.assert_allclose(evaluated(formula, POINTS.T).T, value(tiny, POINTS))


def test_matplotlib_shows_sums():
    figure = plt.figure()
    figure.text(0, 0.5, f"${latex_sum(network(3, 4, 1))}$")
    figure.canvas.draw()
    plt.close(figure)


def test_what_is_refused():
    population = jax.tree.map(lambda array: np.stack([array] * 2), BY_HAND)
    with pytest.raises(ValueError, match="one network"):
        latex_formula(population)
    with pytest.raises(ValueError, match="digits"):
        latex_formula(BY_HAND, digits=0)
    with pytest.raises(ValueError, match="dimensions"):
        latex_formula(BY_HAND, unit_box=box(dim=3))
    with pytest.raises(ValueError, match="one hidden layer"):
        latex_sum(network(0, 2, 2, 1))
