"""[edge] The rainbow sandwich: six hidden units of each layer as the place, colour and size of dots, layer on layer.

This follows a picture in Dan Lu's notebook "Spiraling out of Neural Nets", and does what its code meant where the code
does something else:

- Its layers are named after ReLUs, but their values are taken before them. Here the caller gives the values; both make
  good pictures.
- Without normalisation its sizes, exp(3·minmax)·100, are pressed into [0, 1] afterwards, which leaves dots of less than
  a square point. Here the formula holds for every normalisation.
- Its small constant that should keep min–max from dividing zero by zero is added to the quotient. Here such points are
  grey, and such sizes the smallest.
- An unknown normalisation is returned as an exception object instead of being raised.
- It prints the permutation as if unit i were shown as the i-th entry's attribute, but uses it as documented here.
- Softmax of six units leaves colours that can hardly be seen on black. Here the largest of a layer is full, and the
  square root is shown, as eyes see light.
- Its min–max has two meanings, which both stay: of sizes over the points of a layer, of colours and of the
  normalisation over the units of a point (as softmax is).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, RandomKey
from jaxgeom.host.given import check_flags
from jaxgeom.host.inputs import as_key
from jaxgeom.plot.style import dark

NUM_UNITS = 6
"""Hidden units that a dot shows: x, y, red, green, blue and size."""

NORMALIZATIONS = (None, "softmax", "sigmoid", "minmax")
ATTRIBUTES = ("x", "y", "R", "G", "B", "size")


@readable
class Dots(NamedTuple):
    """How points look in a rainbow sandwich."""

    place: Float[np.ndarray, "points 2"]
    """Where each dot is on the page."""
    color: Float[np.ndarray, "points 3"]
    """Red, green and blue, in [0, 1]."""
    size: Float[np.ndarray, " points"]
    """Area of the dot in square points, from ``base`` to e³ times as much."""


def dots_of(
    hidden: Float[Any, "points 6"],
    order: Sequence[int] = (0, 1, 2, 3, 4, 5),
    *,
    normalization: str | None = None,
    base: float = 100.0,
) -> Dots:
    """Six hidden units as x, y, red, green, blue and size.

    Args:
        hidden: values of six units.
        order: which unit gives x, which y, red, green, blue and size: a permutation of 0 to 5.
        normalization: what is done to the values first. None: nothing, and colours are stretched by the smallest and
            the largest of a point's three. "softmax" over the units of a point, "sigmoid", or "minmax" over the units
            of a point: places and colours are the results; of softmax, colours are square roots of shares of the
            layer's largest.
        base: area of the smallest dots in square points; areas are exp(3·minmax)·base, with the min–max over points.

    Raises:
        ValueError: for another normalisation, an order that is no permutation, or other than six units.
    """
    values = np.asarray(hidden, np.float64)
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization must be None, 'softmax', 'sigmoid' or 'minmax', but {normalization!r} was given."
        )
    if sorted(order) != list(range(6)):
        raise ValueError(
            f"order must hold each of 0 to 5 once, the units for {', '.join(ATTRIBUTES)}, but {list(order)} was given."
        )
    if values.ndim != MATRIX or values.shape[1] != NUM_UNITS:
        raise ValueError(
            f"a layer for the sandwich has the shape (points, 6), but {values.shape} was given. Choose six units of "
            "wider layers."
        )
    if normalization == "softmax":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    elif normalization == "sigmoid":
        values = 0.5 * (1 + np.tanh(values / 2))
    elif normalization == "minmax":
        values = _minmax(values, axis=1, if_equal=0.5)
    values = values[:, list(order)]
    color = values[:, 2:5] if normalization is not None else _minmax(values[:, 2:5], axis=1, if_equal=0.5)
    if normalization == "softmax":
        color = np.sqrt(color / color.max())
    return Dots(values[:, :2], color, base * np.exp(3 * _minmax(values[:, 5], axis=0, if_equal=0.0)))


def living_first(hidden: Float[Any, "points 6"], order: Sequence[int]) -> tuple[int, ...]:
    """An order in which units that are the same at all points come last, otherwise as it was: two dead units as x and y
    would make a layer a line, or a dot.

    Args:
        hidden: values of six units, after their activation.
        order: a permutation of 0 to 5.
    """
    is_dead = np.ptp(np.asarray(hidden), axis=0) == 0
    return tuple(sorted(order, key=lambda unit: bool(is_dead[unit])))


def sandwich_order(key: RandomKey) -> list[int]:
    """A random order of the six units for :func:`sandwich` and :func:`dots_of`, decided by a key.

    Example:
        >>> import jax, jaxgeom as jg
        >>> sorted(jg.plot.sandwich_order(jax.random.key(0)))
        [0, 1, 2, 3, 4, 5]
    """
    order: list[int] = jax.random.permutation(as_key(key), 6).tolist()
    return order


def sandwich(
    layers: Sequence[Float[Any, "points 6"]],
    order: Sequence[int] = (0, 1, 2, 3, 4, 5),
    *,
    normalization: str | None = None,
    common_scale: bool = False,
    base: float = 100.0,
    names: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
    **style: Any,
) -> list[PathCollection]:
    """Layers as dots on dark panels; large dots lie below small ones.

    Args:
        layers: values of six units of each layer, for the same points.
        order: which unit gives x, which y, red, green, blue and size: a permutation of 0 to 5.
        normalization: None, "softmax", "sigmoid" or "minmax"; see :func:`dots_of`.
        base: area of the smallest dots in square points.
        common_scale: the same limits and equal scales on all panels, instead of limits of each panel's own.
        names: titles of the panels.
        axes: where to draw; default is a new black figure, 5.5 inches wide, with one panel below the other.
        style: passed on to ``scatter``.

    Returns:
        The dots of each layer; they look the same at every call.

    Raises:
        ValueError: as :func:`dots_of`, or for other numbers of axes or names than of layers.
    """
    check_flags(common_scale=common_scale)
    looks = [dots_of(layer, order, normalization=normalization, base=base) for layer in layers]
    for what, given in (("names", names), ("axes", axes)):
        if given is not None and len(given) != len(looks):
            raise ValueError(f"{len(looks)} layers need as many {what}, but {len(given)} were given.")
    if axes is None:
        with dark():
            figure = plt.figure(figsize=(5.5, 5.5 * len(looks)), layout="constrained", facecolor="black")
            axes = list(figure.subplots(len(looks), squeeze=False)[:, 0])
    places = np.concatenate([look.place for look in looks])
    drawn = []
    for number, (look, ax) in enumerate(zip(looks, axes, strict=True)):
        below = np.argsort(-look.size, kind="stable")
        defaults: dict[str, Any] = {"s": look.size[below], "c": look.color[below], "linewidths": 0}
        drawn.append(ax.scatter(*look.place[below].T, **defaults | style))
        ax.set_facecolor("black")
        ax.set(xlabel=f"unit {order[0] + 1}", ylabel=f"unit {order[1] + 1}")
        if names is not None:
            ax.set_title(names[number])
        shown = places if common_scale else look.place
        low, high = shown.min(axis=0), shown.max(axis=0)
        margin = 0.08 * np.where(high > low, high - low, 1.0)
        ax.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
        ax.locator_params(nbins=3)
        if common_scale:
            ax.set_aspect("equal", adjustable="box")
    return drawn


def _minmax(values: np.ndarray, *, axis: int, if_equal: float) -> np.ndarray:
    """Stretched to [0, 1] along an axis; a value of its own where all are equal."""
    low, high = values.min(axis=axis, keepdims=True), values.max(axis=axis, keepdims=True)
    spread = high - low
    return np.where(spread > 0, (values - low) / np.where(spread > 0, spread, 1.0), if_equal)
