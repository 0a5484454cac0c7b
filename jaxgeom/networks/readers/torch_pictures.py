"""[edge] PyTorch's operations that make pictures larger or smaller, and those that move their pixels."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import Tape, Values, rearranged, reshaped

_MOST_PLACES = 2**12
"""Of pictures that are interpolated."""


def _interpolated(kind: str, num: int) -> Callable[..., Values]:
    """Interpolation between places is linear: a matrix, which PyTorch gives for pictures of one bright place."""

    def interpolated(tape: Tape, name: str, x: Values, *options: Any) -> Values:
        import torch

        shape = x.shape[-num:]
        size = math.prod(shape)
        if size > _MOST_PLACES:
            raise ops.NotLinear(f"it interpolates between {size:,} places; at most {_MOST_PLACES:,} are read")
        each = torch.eye(size, dtype=torch.float64).reshape(size, 1, *shape)
        found = getattr(torch.ops.aten, f"upsample_{kind}{num}d")(each, *options)
        flat = reshaped(x, (*x.shape[:-num], size))
        return reshaped(ops.matmul(flat, found.reshape(size, -1).numpy()), (*x.shape[:-num], *found.shape[-num:]))

    return interpolated


def _nearest(tape: Tape, name: str, x: Values, sizes: Any, *_: Any) -> Values:
    if sizes is None or any(size % n for size, n in zip(sizes, x.shape[2:], strict=True)):
        raise ops.NotLinear("its size is no multiple of the tensor's")
    repeats = [size // n for size, n in zip(sizes, x.shape[2:], strict=True)]
    return rearranged(x, lambda places: places.repeat(repeats[0], axis=2).repeat(repeats[1], axis=3))


def _moved(change: str) -> Callable[..., Values]:
    """What PyTorch does to the places of numbers."""

    def moved(tape: Tape, name: str, x: Values, *options: Any) -> Values:
        import torch

        def changed(places: np.ndarray) -> np.ndarray:
            found: np.ndarray = getattr(torch.ops.aten, change)(torch.from_numpy(places.copy()), *options).numpy()
            return found

        return rearranged(x, changed)

    return moved


def _windows(tape: Tape, name: str, x: Values, lengths: Any, dilation: Any, padding: Any, stride: Any) -> Values:
    """Each window as a column; places in the padding are zero."""
    import torch

    def columns(places: np.ndarray) -> np.ndarray:
        counted = torch.from_numpy(places + 1.0)
        found: np.ndarray = torch.ops.aten.im2col(counted, lengths, dilation, padding, stride).numpy()
        return np.asarray(np.rint(found), np.int64) - 1

    return rearranged(x, columns)


PICTURES: dict[str, Callable[..., Any]] = {
    "pixel_shuffle": _moved("pixel_shuffle"),
    "pixel_unshuffle": _moved("pixel_unshuffle"),
    "channel_shuffle": _moved("channel_shuffle"),
    "im2col": _windows,
    "upsample_nearest2d": _nearest,
    "upsample_linear1d": _interpolated("linear", 1),
    "upsample_bilinear2d": _interpolated("bilinear", 2),
    "upsample_bicubic2d": _interpolated("bicubic", 2),
    "upsample_trilinear3d": _interpolated("trilinear", 3),
}
"""Functions of the tape, the node's name and the arguments."""
