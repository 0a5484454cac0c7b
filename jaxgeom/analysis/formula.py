"""[host] A trained network as a formula in LaTeX, of any widths and depth.

Matrices act on columns, as in print: the kernel (in, out) of a layer appears transposed.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxgeom._typing import Params
from jaxgeom.domains import Box
from jaxgeom.networks.layers import Dense, layers_of, slope_of

ONE_HIDDEN = 2
"""Affine layers of a network with one hidden layer."""


def latex_formula(params: Params, *, unit_box: Box | None = None, digits: int = 3) -> str:
    """The whole network with its numbers: ``f(x) = \\begin{bmatrix} … \\end{bmatrix} \\max\\left\\{ …, 0\\right\\} …``

    The result needs amsmath, as MathJax, KaTeX and GitHub have it; put it between dollars.

    Args:
        params: one network, whatever :func:`jaxgeom.layers_of` takes.
        unit_box: write the network in coordinates that run from 0 to 1 along the sides of this box, instead of its own.
        digits: significant digits of each number; 17 keep float64 exact, 9 float32.

    Raises:
        ValueError: for populations, digits below one, a box of another dimension, or activations other than ReLU, the
            absolute value, and none.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.array([[2.0]]), np.zeros(1)), jg.Dense(np.array([[1.0]]), np.array([-0.5]))
        >>> print(jg.latex_formula(network))
        f(x) = 1 \\max\\left\\{ 2 \\begin{bmatrix} x_{1} \\end{bmatrix},\\ 0 \\right\\} - 0.5
    """
    layers = _checked(params, digits)
    if unit_box is not None:
        layers = (in_unit_box(layers[0], unit_box), *layers[1:])
    inner = _matrix([[f"x_{{{d + 1}}}"] for d in range(layers[0].kernel.shape[0])])
    for index, (kernel, bias, _) in enumerate(layers):
        if index:
            before, after = _AROUND[_slope(layers[index - 1])]
            inner = f"{before} {inner}{after}"
        if kernel.shape == (1, 1):
            weights = number(kernel[0, 0], digits)
        else:
            weights = _matrix([[number(value, digits) for value in row] for row in kernel.T])
        if len(bias) == 1:
            inner = f"{weights} {inner} {signed(bias[0], digits)}".rstrip()
        else:
            inner = f"{weights} {inner} + {_matrix([[number(value, digits)] for value in bias])}"
    return f"f(x) = {inner}"


def latex_sum(params: Params, *, digits: int = 3) -> str:
    """The same of a network with one hidden layer and one output as a sum over its units, which needs no amsmath:
    ``f(x) = 2 \\max(x_1 + x_2 + 1, 0) - …``, as matplotlib can show it."""
    layers = _checked(params, digits)
    if len(layers) != ONE_HIDDEN or len(layers[1].bias) != 1:
        raise ValueError("a sum over units is written for one hidden layer and one output; use latex_formula.")
    (kernel, bias, _), (out, constant, _) = layers
    before, after = {0.0: (r"\max(", ", 0)"), -1.0: ("|", "|"), 1.0: ("(", ")")}[_slope(layers[0])]
    terms = ""
    for unit, weight in enumerate(out[:, 0]):
        inside = affine_text(kernel[:, unit], bias[unit], digits=digits)
        factor = signed(weight, digits)
        terms += f" {factor} {before}{inside}{after}" if factor else ""
    return f"f(x) = {_without_plus(f'{terms} {signed(constant[0], digits)}'.strip()) or '0'}"


def affine_text(
    gradient: Float[np.ndarray, " in"], intercept: float, *, names: Sequence[str] | None = None, digits: int = 3
) -> str:
    """``2 x_1 - x_2 + 1``: an affine function; terms that are zero to a thousandth of a digit are left out."""
    names = [f"x_{{{d + 1}}}" for d in range(len(gradient))] if names is None else names
    values = np.asarray([*gradient, intercept], np.float64)
    values = np.where(np.abs(values) < 10.0 ** (-digits - 3) * np.abs(values).max(), 0.0, values)
    parts = [f"{signed(v, digits)} {name}" for v, name in zip(values[:-1], names, strict=True) if v != 0]
    parts = [part.replace("+ 1 ", "+ ").replace("- 1 ", "- ") if part[2:4] == "1 " else part for part in parts]
    text = " ".join([*parts, signed(values[-1], digits)]).strip()
    return _without_plus(text) or "0"


def number(value: float, digits: int) -> str:
    """So many significant digits, without zeros at the end, and powers of ten as such."""
    text = f"{float(value):.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return "0" if text == "-0" else text


def signed(value: float, digits: int) -> str:
    """A term of a sum, with its sign in front; nothing for zero."""
    text = number(abs(float(value)), digits)
    return "" if text == "0" else f"{'-' if value < 0 else '+'} {text}"


def in_unit_box(layer: Dense, box: Box) -> Dense:
    """A first layer that takes u in [0, 1]^d instead of x = low + (high - low) u."""
    if len(box.low) != layer.kernel.shape[0]:
        raise ValueError(f"the network has {layer.kernel.shape[0]} inputs, but the box {len(box.low)} dimensions.")
    return Dense((box.high - box.low)[:, None] * layer.kernel, layer.bias + box.low @ layer.kernel, layer.slope)


def _checked(params: Params, digits: int) -> tuple[Any, ...]:
    """Layers of one network as NumPy arrays in float64."""
    layers: tuple[Any, ...] = jax.tree.map(lambda array: np.asarray(array, np.float64), layers_of(params))
    if layers[0].bias.ndim != 1:
        raise ValueError("one network is needed; take a member: jax.tree.map(lambda array: array[i], params).")
    if digits < 1:
        raise ValueError(f"digits must be at least 1, but {digits} was given.")
    for layer in layers[:-1]:
        _slope(layer)
    return layers


_AROUND = {
    0.0: (r"\max\left\{", r",\ 0 \right\}"),
    -1.0: (r"\left|", r" \right|"),
    1.0: (r"\left(", r" \right)"),
}
"""What is written around the pre-activations of units, by their slope."""


def _slope(layer: Dense) -> float:
    """That of all units of a layer, if there is a formula for it."""
    slopes = np.unique(slope_of(layer)).tolist() or [0.0]
    if len(slopes) > 1 or slopes[0] not in _AROUND:
        raise ValueError(
            "formulas are written for ReLU, the absolute value (slope -1) and layers without a kink (slope 1), but a "
            f"layer has the slopes {slopes[:4]}."
        )
    return float(slopes[0])


def _matrix(rows: Sequence[Sequence[str]]) -> str:
    return r"\begin{bmatrix} " + r" \\ ".join(" & ".join(row) for row in rows) + r" \end{bmatrix}"


def _without_plus(text: str) -> str:
    """A sum without the plus in front, and a minus close to its number."""
    if text.startswith("+ "):
        return text[2:]
    return "-" + text[2:] if text.startswith("- ") else text
