"""[host] Breakpoints of a network along one line in integer arithmetic: slow, never wrong, the engine's specification.

Floating-point numbers are dyadic rationals, and so are slopes and intercepts of the units' functions of t on a piece of
the line where they are linear. Those of one layer are kept as Python's integers over a common denominator, breakpoints
as fractions. Layer by layer, every piece is cut at the roots of those units that are strictly positive at one of its
ends and strictly negative at the other; roots that coincide are one. At t = ±infinity the sign is that of the slope,
or of the intercept where there is no slope.

From one piece to the next, only what changes is multiplied with the next kernel. That still takes about 0.1 µs for each
weight of a layer and breakpoint of earlier layers: some 10 ms for 32 units a layer, a second for 256.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from jaxgeom.engine import library
from jaxgeom.networks.layers import Dense, Layers, slope_of

End = Fraction | None
"""A place on the line; None for the infinite one on that side."""


class _Piece(NamedTuple):
    """A piece of the line, with the functions of t that a layer takes there."""

    begin: End
    end: End
    functions: Shaped[np.ndarray, "units 2"]
    """Slopes and intercepts, integers over the layer's denominator."""
    pattern: tuple[bool, ...]
    maker: tuple[int, int] | None
    """Layer and unit that bend where the piece begins."""


def exact_line(
    layers: Layers,
    start: Float[np.ndarray, " in"],
    stop: Float[np.ndarray, " in"],
    *,
    is_infinite: bool = False,
) -> library.Lines:
    """Breakpoints along start + t (stop - start), for t between 0 and 1 or for all t, without any rounding.

    Args:
        layers: one network, finite.
        start: a point of the line.
        stop: another point of it.
        is_infinite: whether t takes all values.
    """
    (first, last), denominator = _integers(np.stack([start, stop]))
    is_tied = False
    begin, end = (None, None) if is_infinite else (Fraction(0), Fraction(1))
    pieces = [_Piece(begin, end, np.stack([last - first, first], axis=1), (), None)]
    for index, layer in enumerate(layers[:-1]):
        functions, denominator = _pre_activations(layer, pieces, denominator)
        factors, scale = _integers(np.asarray(slope_of(layer)))
        is_zero = ~np.asarray(layer.kernel).any(axis=0) & (np.asarray(layer.bias) == 0)
        bends = (factors != scale) & ~is_zero
        parts = []
        for piece, rows in zip(pieces, functions, strict=True):
            cut, is_cut_tied = _cut(piece._replace(functions=rows), index, factors, scale, bends)
            parts += cut
            is_tied |= is_cut_tied
        pieces = parts
        denominator *= scale
    outputs, denominator = _pre_activations(layers[-1], pieces, denominator)
    maps = [[[_quotient(value, denominator) for value in row] for row in rows.tolist()] for rows in outputs]
    slope_, intercept = np.moveaxis(np.array(maps, np.float64), 2, 0)
    places = [piece.begin for piece in pieces[1:]]
    makers = np.array([piece.maker for piece in pieces[1:]], np.int64).reshape(-1, 2)
    patterns = np.array([piece.pattern for piece in pieces], np.uint8).reshape(len(pieces), -1)
    t = [_quotient(t.numerator, t.denominator) for t in places if t is not None]
    return library.Lines(
        np.array([len(t)]),
        np.array([is_tied]),
        np.array(t, np.float64)[None],
        makers[None, :, 0].astype(np.int32),
        makers[None, :, 1].astype(np.int32),
        slope_[None],
        intercept[None],
        patterns[None, [0, -1]],
    )


def _integers(array: Float[np.ndarray, "*shape"]) -> tuple[Shaped[np.ndarray, "*shape"], int]:
    """The array times the smallest power of two that makes it integers, as Python's; and that power."""
    ratios = [value.as_integer_ratio() for value in np.asarray(array, np.float64).ravel().tolist()]
    scale = max((denominator for _, denominator in ratios), default=1)
    scaled = np.array([numerator * (scale // denominator) for numerator, denominator in ratios], object)
    return scaled.reshape(np.shape(array)), scale


def _pre_activations(
    layer: Dense, pieces: list[_Piece], denominator: int
) -> tuple[list[Shaped[np.ndarray, "units 2"]], int]:
    """The layer's functions on all pieces, and their denominator."""
    numbers, scale = _integers(np.concatenate([layer.kernel, np.asarray(layer.bias)[None]]))
    weights, bias = numbers[:-1].T, numbers[-1] * denominator
    found: list[np.ndarray] = []
    for number, piece in enumerate(pieces):
        if number == 0:
            rows = weights @ piece.functions
            rows[:, 1] += bias
        else:
            difference = piece.functions - pieces[number - 1].functions
            changed = (difference != 0).any(axis=1)
            rows = found[-1] + weights[:, changed] @ difference[changed]
        found.append(rows)
    return found, denominator * scale


def _cut(
    piece: _Piece,
    layer: int,
    factors: Shaped[np.ndarray, " units"],
    scale: int,
    bends: Bool[np.ndarray, " units"],
) -> tuple[list[_Piece], bool]:
    """The pieces that one layer cuts a piece into, with the layer's activations; and whether units are zero at an end
    of it, or several in one point. ``factors / scale`` are the layer's slopes."""
    rows = piece.functions
    before, after = _signs(rows, piece.begin, -1), _signs(rows, piece.end, 1)
    is_tied = bool((bends & ((before == 0) | (after == 0))).any())
    roots: dict[Fraction, int] = {}
    for unit in np.flatnonzero(bends & (before * after < 0)).tolist():
        root = Fraction(-rows[unit, 1], rows[unit, 0])
        is_tied |= root in roots
        roots.setdefault(root, unit)
    places = sorted(roots)
    parts = []
    for begin, end in zip([piece.begin, *places], [*places, piece.end], strict=True):
        is_active = bends & (np.maximum(_signs(rows, begin, -1), _signs(rows, end, 1)) > 0)
        activations = rows * np.where(is_active, scale, factors)[:, None]
        maker = (layer, roots[begin]) if begin in roots else piece.maker
        parts.append(_Piece(begin, end, activations, (*piece.pattern, *is_active.tolist()), maker))
    return parts, is_tied


def _signs(rows: Shaped[np.ndarray, "units 2"], place: End, side: int) -> Int[np.ndarray, " units"]:
    """Signs of functions at a place, or for None at infinity on that side."""
    if place is None:
        values = np.where(rows[:, 0] != 0, side * rows[:, 0], rows[:, 1])
    else:
        values = rows[:, 0] * place.numerator + rows[:, 1] * place.denominator
    return (values > 0).astype(np.int64) - (values < 0)


def _quotient(numerator: int, denominator: int) -> float:
    """The float next to a ratio of integers; beyond the largest one, infinity."""
    try:
        return numerator / denominator
    except OverflowError:
        return float("inf") if numerator > 0 else float("-inf")
