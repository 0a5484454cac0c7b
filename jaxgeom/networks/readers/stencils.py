"""[edge] Convolution and pooling in any number of dimensions, as sparse matrices and as groups of places.

All tensors here have the channels first: (batch, channels, *places). Padding and the zeros between inputs of a
transposed convolution come before, as a choice of places.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from jaxgeom.networks.readers.expressions import (
    MOST_TERMS,
    Tape,
    Values,
    applied,
    below_relu,
    constant,
    largest,
    places_of,
    plus,
    rearranged,
    select,
    size_of,
)

Pads = Sequence[tuple[int, int]]
"""For each axis of places, how much is added before and behind; less than zero takes away."""


def padded(values: Values, pads: Pads, mode: str = "constant", fill: float = 0.0) -> Values:
    """A tensor with its last axes padded.

    Args:
        values: (*, *places).
        pads: for each of the last axes.
        mode: of ``np.pad``: "constant", "edge", "reflect" or "wrap".
        fill: the constant.
    """
    return select(values, _padded_places(places_of(values), pads, mode), fill)


def _padded_places(places: np.ndarray, pads: Pads, mode: str = "constant") -> np.ndarray:
    ahead = places.ndim - len(pads)
    size_of([*places.shape[:ahead], *(n + a + b for n, (a, b) in zip(places.shape[ahead:], pads, strict=True))])
    cuts: list[Any] = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(places.shape[ahead:], pads, strict=True)]
    places = places[_ahead(cuts)]
    added = [(0, 0)] * ahead + [(max(a, 0), max(b, 0)) for a, b in pads]
    return np.pad(places, added, constant_values=-1) if mode == "constant" else np.pad(places, added, mode=mode)  # type: ignore[call-overload]


def _ahead(cuts: list[Any]) -> Any:
    """The index that cuts the last axes."""
    return (..., *cuts)


def spread(values: Values, steps: Sequence[int]) -> Values:
    """A tensor with zeros between the numbers of its last axes, so that they are ``steps`` apart."""
    places = places_of(values)
    ahead = places.ndim - len(steps)
    lengths = [(n - 1) * step + 1 for n, step in zip(places.shape[ahead:], steps, strict=True)]
    size_of([*places.shape[:ahead], *lengths])
    wide = np.full((*places.shape[:ahead], *lengths), -1)
    wide[_ahead([slice(None, None, step) for step in steps])] = places
    return select(values, wide)


def windows(places: np.ndarray, lengths: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> np.ndarray:
    """The places under a window that moves over the last axes: (*ahead, *steps, members)."""
    num = len(lengths)
    spans = [(length - 1) * dilation + 1 for length, dilation in zip(lengths, dilations, strict=True)]
    shape = places.shape[places.ndim - num :]
    if any(
        span > n or min(length, stride, dilation) < 1
        for span, n, length, stride, dilation in zip(spans, shape, lengths, strides, dilations, strict=True)
    ):
        raise ValueError(f"a window of {tuple(spans)} does not fit into {tuple(shape)} places.")
    axes = tuple(range(places.ndim - num, places.ndim))
    seen = np.lib.stride_tricks.sliding_window_view(places, spans, axis=axes)
    seen = seen[_ahead([*(slice(None, None, s) for s in strides), *[slice(None)] * num])]
    seen = seen[_ahead([slice(None, None, d) for d in dilations])]
    size_of(seen.shape)
    found: np.ndarray = seen.reshape(*seen.shape[: seen.ndim - num], math.prod(lengths))
    return found


def convolved(
    values: Values,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Sequence[int],
    pads: Pads,
    dilations: Sequence[int],
    groups: int = 1,
) -> Values:
    """The convolution (cross-correlation) of a tensor (batch, in, *places).

    Args:
        values: the tensor.
        weight: (out, in / groups, *lengths).
        bias: (out,), or none.
        strides: of the window, for each axis of places.
        pads: zeros around.
        dilations: steps within the window.
        groups: numbers of blocks of channels that do not see each other.
    """
    weight = np.asarray(weight, np.float64)
    out, inner = weight.shape[:2]
    if len(values.shape) != weight.ndim or values.shape[1] != inner * groups or groups < 1 or out % groups:
        raise ValueError(
            f"a convolution of weights {weight.shape} in {groups} groups does not fit a tensor {values.shape}."
        )
    places = _padded_places(places_of(values), pads)
    seen = windows(places, weight.shape[2:], strides, dilations)  # (batch, in, *steps, members)
    batch, steps = seen.shape[0], seen.shape[2:-1]
    num_steps, members = math.prod(steps), seen.shape[-1]
    if batch * out * num_steps * inner * members > MOST_TERMS:
        raise ValueError(
            f"a convolution of {batch * out * num_steps * inner * members:,} weights is too large: at most "
            f"{MOST_TERMS:,} are read."
        )
    seen = seen.reshape(batch, groups, inner, num_steps, members).transpose(0, 1, 3, 2, 4)
    seen = np.broadcast_to(seen[:, :, None], (batch, groups, out // groups, num_steps, inner, members))
    weights = weight.reshape(1, groups, out // groups, 1, inner, members)
    weights = np.broadcast_to(weights, seen.shape)
    is_there = (seen >= 0) & (weights != 0)
    ends = np.cumsum(is_there.reshape(-1, inner * members).sum(axis=1))
    shape = (batch, out, *steps)
    matrix = scipy.sparse.csr_array(
        (weights[is_there], seen[is_there], np.concatenate([[0], ends])), shape=(math.prod(shape), len(values.const))
    )
    found = applied(matrix, values, shape)
    return found if bias is None else plus(found, constant(per_channel(bias, len(shape))))


def transposed_convolved(
    values: Values,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Sequence[int],
    pads: Pads,
    dilations: Sequence[int],
    groups: int = 1,
    output_pads: Sequence[int] | None = None,
) -> Values:
    """The transpose of a convolution, of a tensor (batch, in, *places); ``weight`` is (in, out / groups, *lengths)."""
    weight = np.asarray(weight, np.float64)
    inner, out = weight.shape[:2]
    if len(values.shape) != weight.ndim or values.shape[1] != inner or groups < 1 or inner % groups:
        raise ValueError(
            f"a transposed convolution of weights {weight.shape} in {groups} groups does not fit {values.shape}."
        )
    flipped = np.flip(weight, axis=tuple(range(2, weight.ndim))).reshape(
        groups, inner // groups, out, *weight.shape[2:]
    )
    flipped = flipped.swapaxes(1, 2).reshape(groups * out, inner // groups, *weight.shape[2:])
    more = output_pads or [0] * len(strides)
    around = [
        ((n - 1) * d - low, (n - 1) * d - high + extra)
        for n, d, (low, high), extra in zip(weight.shape[2:], dilations, pads, more, strict=True)
    ]
    return convolved(
        spread(values, strides),
        flipped,
        bias,
        strides=[1] * len(strides),
        pads=around,
        dilations=dilations,
        groups=groups,
    )


def per_channel(array: np.ndarray, ndim: int) -> np.ndarray:
    """One number a channel, in the shape of a tensor with channels second."""
    return np.asarray(array, np.float64).reshape(1, -1, *[1] * (ndim - 2))


def ceil_pads(
    shape: Sequence[int], lengths: Sequence[int], strides: Sequence[int], pads: Pads, dilations: Sequence[int]
) -> Pads:
    """The padding with which the last window, which sticks out, is counted as well, unless it begins in the padding
    behind: what is called the ceil mode."""
    found = []
    for n, length, stride, (low, high), dilation in zip(shape, lengths, strides, pads, dilations, strict=True):
        span = (length - 1) * dilation + 1
        steps = -(-(n + low + high - span) // stride)
        if steps * stride >= n + low:
            steps -= 1
        found.append((low, max(high, steps * stride + span - n - low)))
    return found


def max_pooled(
    tape: Tape,
    values: Values,
    lengths: Sequence[int],
    *,
    strides: Sequence[int],
    pads: Pads,
    dilations: Sequence[int],
    name: str,
) -> Values:
    """Maxima under a window that moves over the last axes; padding does not take part."""
    groups = windows(_padded_places(places_of(values), pads), lengths, strides, dilations)
    if groups.ndim - 1 < len(lengths) + 2:
        return below_relu(tape, values, lambda inner: largest(tape, inner, groups, name))
    last = np.moveaxis(groups, 1, -2)  # the order of units

    def pooled(inner: Values) -> Values:
        return rearranged(largest(tape, inner, last, name), lambda places: np.moveaxis(places, -1, 1))

    return below_relu(tape, values, pooled)


def average_pooled(
    values: Values,
    lengths: Sequence[int],
    *,
    strides: Sequence[int],
    pads: Pads,
    counts_pads: Pads,
    divisor: int | None = None,
    dilations: Sequence[int] | None = None,
) -> Values:
    """Means under a window that moves over the last axes.

    Args:
        values: (*, *places).
        lengths: of the window.
        strides: of the window.
        pads: zeros around.
        counts_pads: how much of the padding counts as numbers in the mean.
        divisor: what sums are divided by instead of their numbers.
        dilations: steps within the window.
    """
    dilations = dilations or [1] * len(lengths)
    places = _padded_places(places_of(values), pads)
    ones = np.ones(values.shape[len(values.shape) - len(lengths) :])
    counted = np.pad(ones, [(max(a, 0), max(b, 0)) for a, b in counts_pads], constant_values=1.0)
    rest = [(a - c, b - d) for (a, b), (c, d) in zip(pads, counts_pads, strict=True)]
    counted = np.pad(counted, [(max(a, 0), max(b, 0)) for a, b in rest])
    seen = windows(places, lengths, strides, dilations)
    number = windows(np.arange(counted.size).reshape(counted.shape), lengths, strides, dilations)
    count = counted.ravel()[number].sum(axis=-1)
    count = np.broadcast_to(count if divisor is None else np.full_like(count, divisor), seen.shape[:-1])
    groups = seen.reshape(-1, seen.shape[-1])
    is_there = groups >= 0
    ends = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))])
    matrix = scipy.sparse.csr_array(
        (np.repeat(1.0 / count.ravel(), is_there.sum(axis=1)), groups[is_there], ends),
        shape=(len(groups), len(values.const)),
    )
    return applied(matrix, values, seen.shape[:-1])


def adaptive_windows(length: int, steps: int) -> list[np.ndarray]:
    """The places that adaptive pooling takes together along one axis, for each step."""
    return [np.arange(i * length // steps, -(-(i + 1) * length // steps)) for i in range(steps)]
