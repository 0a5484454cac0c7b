"""[edge] The weights of a network as text, beside a picture or printed before it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

from jaxgeom._typing import Params
from jaxgeom.networks.layers import named_layers
from jaxgeom.plot.style import new_axes

_MOST = 12
"""Rows of a layer, and numbers of a row; of more, so many are written."""


def plot_weights(params: Params, *, digits: int = 2, ax: Axes | None = None, **style: Any) -> Text:
    """The weights of a network as text on axes of their own, to stand beside what the network does.

    Of each layer the activation that follows, a row for each input, and one for the biases where some are not zero.

    Args:
        params: of one network, as :func:`jaxgeom.layers_of` takes them, or its layers.
        digits: decimals.
        ax: where to write; default is a new figure.
        style: passed on to ``Axes.text``.

    Raises:
        ValueError: for several networks at once, and for digits that are no integer from 0 up.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.ones((2, 2)), np.array([0, -1.0])), jg.Dense(np.array([[1.0], [-2.0]]), np.zeros(1))
        >>> print(jg.plot.plot_weights(network, digits=1).get_text())
        layer 1, relu
             1.0    1.0
             1.0    1.0
        +    0.0   -1.0
        layer 2
             1.0
            -2.0
    """
    if not isinstance(digits, int) or digits < 0:
        raise ValueError(f"digits is an integer from 0 up, but {digits!r} was given.")
    lines = []
    for number, (_, activation, layer) in enumerate(named_layers(params)):
        lines.append(f"layer {number + 1}" + ("" if activation == "linear" else f", {activation}"))
        kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
        if bias.ndim != 1:
            raise ValueError(
                f"the weights are those of one network, but biases of layer {number + 1} have shape {bias.shape}. "
                "Take one of the networks: jax.tree.map(lambda array: array[0], params)."
            )
        lines += [_row(" ", row, digits) for row in kernel[:_MOST]]
        if len(kernel) > _MOST:
            lines.append(f"  … {len(kernel):,} rows")
        if np.any(bias):
            lines.append(_row("+", bias, digits))
    if ax is None:
        (ax,) = new_axes()
    ax.set_axis_off()
    place: dict[str, Any] = {"family": "monospace", "ha": "center", "va": "center", "transform": ax.transAxes}
    return ax.text(0.5, 0.5, "\n".join(lines), **place | style)


def _row(mark: str, row: np.ndarray, digits: int) -> str:
    numbers = " ".join(f"{value:{digits + 5}.{digits}f}" for value in row[:_MOST])
    return f"{mark} {numbers}" + (" …" if len(row) > _MOST else "")
