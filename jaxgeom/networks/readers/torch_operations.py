"""[edge] PyTorch's operations on symbolic tensors, by the names that ``torch.export`` gives them."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import (
    Tape,
    Values,
    broadcast,
    clipped,
    concatenated,
    largest,
    maximum,
    minimum,
    places_of,
    rearranged,
    reshaped,
    scaled,
    select,
    summed,
    unit,
)
from jaxgeom.networks.readers.orders import in_order, running_extreme
from jaxgeom.networks.readers.stencils import (
    adaptive_windows,
    average_pooled,
    ceil_pads,
    convolved,
    max_pooled,
    padded,
    transposed_convolved,
)
from jaxgeom.networks.readers.torch_pictures import PICTURES


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().double().numpy() if hasattr(value, "detach") else value, np.float64)


def _known(value: Any) -> Any:
    return value if isinstance(value, Values) else _array(value)


def _list(value: Any, length: int) -> list[int]:
    items = [value] if isinstance(value, int) else list(value)
    return items * length if len(items) == 1 else items


def _convolution(
    tape: Tape,
    name: str,
    x: Values,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    *rest: Any,
) -> Values:
    weight = _array(weight)
    num = weight.ndim - 2
    bias = None if bias is None else _array(bias)
    strides, dilations = _list(stride, num), _list(dilation, num)
    is_transposed, output_pads, groups = False, [0] * num, 1
    if len(rest) == 1:
        groups = rest[0]
    elif rest:
        is_transposed, output_pads, groups = rest
    is_single = len(x.shape) == num + 1
    x = x._replace(shape=(1, *x.shape)) if is_single else x
    spans = [(k - 1) * d for k, d in zip(weight.shape[2:], dilations, strict=True)]
    if padding == "same":
        pads = [(span // 2, span - span // 2) for span in spans]
    else:
        pads = [(p, p) for p in _list(0 if padding == "valid" else padding, num)]
    if is_transposed:
        found = transposed_convolved(
            x,
            weight,
            bias,
            strides=strides,
            pads=pads,
            dilations=dilations,
            groups=groups,
            output_pads=_list(output_pads, num),
        )
    else:
        found = convolved(x, weight, bias, strides=strides, pads=pads, dilations=dilations, groups=groups)
    return found._replace(shape=found.shape[1:]) if is_single else found


def _transposed(
    tape: Tape,
    name: str,
    x: Values,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Values:
    return _convolution(tape, name, x, weight, bias, stride, padding, dilation, True, output_padding, groups)


def _max_pool(num: int) -> Callable[..., Any]:
    def pooled(
        tape: Tape,
        name: str,
        x: Values,
        lengths: Any,
        stride: Any = (),
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Values:
        lengths = _list(lengths, num)
        strides, dilations = _list(stride or lengths, num), _list(dilation, num)
        pads: Any = [(p, p) for p in _list(padding, num)]
        if ceil_mode:
            pads = ceil_pads(x.shape[-num:], lengths, strides, pads, dilations)
        return max_pooled(tape, x, lengths, strides=strides, pads=pads, dilations=dilations, name=name)

    return pooled


def _average_pool(num: int) -> Callable[..., Any]:
    def pooled(
        tape: Tape,
        name: str,
        x: Values,
        lengths: Any,
        stride: Any = (),
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Values:
        lengths = _list(lengths, num)
        strides = _list(stride or lengths, num)
        pads: Any = [(p, p) for p in _list(padding, num)]
        counts = pads if count_include_pad else [(0, 0)] * num
        if ceil_mode:
            pads = ceil_pads(x.shape[-num:], lengths, strides, pads, [1] * num)
        return average_pooled(x, lengths, strides=strides, pads=pads, counts_pads=counts, divisor=divisor_override)

    return pooled


def _adaptive(num: int, is_maximum: bool) -> Callable[..., Any]:
    def pooled(tape: Tape, name: str, x: Values, sizes: Any) -> Any:
        sizes = [n if size is None else size for size, n in zip(_list(sizes, num), x.shape[-num:], strict=True)]
        for axis, size in zip(range(len(x.shape) - num, len(x.shape)), sizes, strict=True):
            taken = adaptive_windows(x.shape[axis], size)
            if is_maximum:
                most = max(map(len, taken))
                places = np.moveaxis(places_of(x), axis, -1)
                groups = np.full((*places.shape[:-1], size, most), -1)
                for step, window in enumerate(taken):
                    groups[..., step, : len(window)] = places[..., window]
                x = rearranged(largest(tape, x, groups, name), partial(np.moveaxis, source=-1, destination=axis))
            else:
                matrix = np.zeros((x.shape[axis], size))
                for step, window in enumerate(taken):
                    matrix[window, step] = 1.0 / len(window)
                turned = rearranged(x, partial(np.moveaxis, source=axis, destination=-1))
                turned = ops.matmul(turned, matrix)
                x = rearranged(turned, partial(np.moveaxis, source=-1, destination=axis))
        return (x, None) if is_maximum else x

    return pooled


def _batch_norm(tape: Tape, name: str, x: Values, weight: Any, bias: Any, mean: Any, variance: Any, *rest: Any) -> Any:
    known = [None if part is None else _array(part) for part in (mean, variance, weight, bias)]
    if known[0] is None:
        raise ops.NotLinear("it normalises by the statistics of the batch")
    return ops.normalised(x, known[0], known[1], known[2], known[3], rest[-1], 1), None, None


def _mean(tape: Tape, name: str, x: Values, axes: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Values:
    return ops.mean(x, _axes(x, axes), keepdims=keepdim)


def _sum(tape: Tape, name: str, x: Values, axes: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Values:
    return summed(x, _axes(x, axes), keepdims=keepdim)


def _axes(x: Values, axes: Any) -> list[int]:
    axes = [axes] if isinstance(axes, int) else axes
    return [axis % len(x.shape) for axis in (axes or range(len(x.shape)))]


def _largest_along(sign: float) -> Callable[..., Any]:
    def reduced(tape: Tape, name: str, x: Values, axes: Any = None, keepdim: bool = False) -> Any:
        return ops.largest_along(tape, x, _axes(x, axes), name, sign=sign, keepdims=keepdim)

    return reduced


def _max_with_index(sign: float) -> Callable[..., Any]:
    def reduced(tape: Tape, name: str, x: Values, axis: Any = None, keepdim: bool = False) -> Any:
        if isinstance(axis, Values) or hasattr(axis, "detach"):
            return (maximum if sign > 0 else minimum)(tape, x, ops.lifted(_known(axis)), name)
        y = _largest_along(sign)(tape, name, x, axis, keepdim)
        return y if axis is None else (y, None)

    return reduced


def _cumulated(tape: Tape, name: str, x: Values, axis: int, **_: Any) -> Values:
    return ops.cumulated(x, axis % max(len(x.shape), 1))


def _running(sign: float) -> Callable[..., Any]:
    def running(tape: Tape, name: str, x: Values, axis: int) -> tuple[Values, None]:
        return running_extreme(tape, x, axis, name, sign=sign), None

    return running


def _sorted(
    tape: Tape, name: str, x: Values, axis: int = -1, descending: bool = False, **named: Any
) -> tuple[Values, None]:
    return in_order(tape, x, named.get("dim", axis), name, descending=named.get("descending", descending)), None


def _top(
    tape: Tape, name: str, x: Values, num: int, axis: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Values, None]:
    return in_order(tape, x, axis, name, descending=largest, num=num), None


def _moved(change: Callable[..., np.ndarray]) -> Callable[..., Any]:
    def moved(tape: Tape, name: str, x: Values, *args: Any, **kwargs: Any) -> Values:
        return rearranged(x, lambda places: change(places, *args, **kwargs))

    return moved


def _slice(places: np.ndarray, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> np.ndarray:
    cut: list[Any] = [slice(None)] * places.ndim
    cut[axis] = slice(start, end, step)
    found: np.ndarray = places[tuple(cut)]
    return found


def _chunks(tape: Tape, name: str, x: Values, sizes: Any, axis: int = 0) -> tuple[Values, ...]:
    length = x.shape[axis]
    if isinstance(sizes, int):
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)]
    cuts = np.split(places_of(x), np.cumsum(sizes)[:-1], axis=axis)
    return tuple(select(x, cut) for cut in cuts)


def _pad(tape: Tape, name: str, x: Values, pads: Sequence[int], mode: Any = "constant", value: Any = None) -> Values:
    if not isinstance(mode, str):
        mode, value = "constant", mode
    pairs = list(zip(pads[0::2], pads[1::2], strict=True))[::-1]
    kinds = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    return padded(x, pairs, kinds[mode], float(value or 0.0))


def _pad_mode(mode: str) -> Callable[..., Any]:
    return lambda tape, name, x, pads: _pad(tape, name, x, pads, mode)


def _prelu(tape: Tape, name: str, x: Values, slope: Any) -> Values:
    slopes = _array(slope)
    shape = [1] * len(x.shape)
    if slopes.size > 1:
        shape[1 if len(x.shape) > 1 else 0] = -1
    return unit(tape, x, slopes.reshape(shape), name)


def _add(sign: float) -> Callable[..., Any]:
    def added(tape: Tape, name: str, a: Any, b: Any, *, alpha: float = 1.0) -> Values:
        b = _known(b)
        return ops.add(_known(a), scaled(ops.lifted(b), sign * alpha))

    return added


def _addmm(tape: Tape, name: str, bias: Any, a: Any, b: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Values:
    return ops.add(scaled(ops.matmul(_known(a), _known(b)), alpha), scaled(ops.lifted(_known(bias)), beta))


def _linear(tape: Tape, name: str, x: Values, weight: Any, bias: Any = None) -> Values:
    found = ops.matmul(x, _array(weight).T)
    return found if bias is None else ops.add(found, _array(bias))


def _compared(sign: float) -> Callable[..., Any]:
    def compared(tape: Tape, name: str, a: Any, b: Any) -> ops.Condition:
        return ops.Condition(scaled(ops.subtract(_known(a), _known(b)), sign))

    return compared


def _where(tape: Tape, name: str, condition: Any, above: Any, below: Any) -> Values:
    if not isinstance(condition, ops.Condition):
        mask = np.asarray(condition.detach().cpu().numpy(), bool)
        return ops.add(scaled(ops.lifted(_known(above)), mask), scaled(ops.lifted(_known(below)), ~mask))
    return ops.chosen(tape, condition.values, _known(above), _known(below), name)


def _hard_sigmoid(tape: Tape, name: str, x: Values) -> Values:
    return clipped(tape, ops.add(scaled(x, 1 / 6), 0.5), 0.0, 1.0, name)


def _number(value: Any, otherwise: float) -> float:
    return otherwise if value is None else float(value)


def _clamp(tape: Tape, name: str, x: Values, low: Any = None, high: Any = None, **named: Any) -> Values:
    low, high = named.get("min", low), named.get("max", high)
    return clipped(tape, x, _number(low, -math.inf), _number(high, math.inf), name)


def _threshold(tape: Tape, name: str, x: Values, start: float, otherwise: float) -> Values:
    if start != otherwise:
        raise ops.NotLinear("it jumps at its threshold")
    return clipped(tape, x, float(start), math.inf, name)


def _expand(tape: Tape, name: str, x: Values, sizes: Sequence[int], **_: Any) -> Values:
    ahead = len(sizes) - len(x.shape)
    return broadcast(x, [x.shape[i - ahead] if n == -1 else n for i, n in enumerate(sizes)])


def _same(tape: Tape, name: str, x: Values, *args: Any, **kwargs: Any) -> Values:
    return x


def _reshaped(tape: Tape, name: str, x: Values, shape: Sequence[int], *rest: Any) -> Values:
    return reshaped(x, shape)


def _flattened(tape: Tape, name: str, x: Values, start: int = 0, end: int = -1) -> Values:
    start, end = start % len(x.shape), end % len(x.shape)
    return reshaped(x, (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


def _squeezed(places: np.ndarray, axes: Any = None) -> np.ndarray:
    axes = [axes] if isinstance(axes, int) else list(range(places.ndim) if axes is None else axes)
    return np.squeeze(places, tuple(axis % places.ndim for axis in axes if places.shape[axis] == 1))


def _indexed(places: np.ndarray, indices: Sequence[Any]) -> np.ndarray:
    return places[tuple(slice(None) if i is None else i.numpy() for i in indices)]


OPERATIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    **{f"max_pool{num}d": _max_pool(num) for num in (1, 2, 3)},
    **{f"max_pool{num}d_with_indices": lambda *args, num=num: (_max_pool(num)(*args), None) for num in (1, 2, 3)},
    **{f"avg_pool{num}d": _average_pool(num) for num in (1, 2, 3)},
    **{f"adaptive_avg_pool{num}d": _adaptive(num, False) for num in (1, 2, 3)},
    **{f"_adaptive_avg_pool{num}d": _adaptive(num, False) for num in (2, 3)},
    **{f"adaptive_max_pool{num}d": _adaptive(num, True) for num in (1, 2, 3)},
    "_native_batch_norm_legit_no_training": _batch_norm,
    "batch_norm": lambda *args: _batch_norm(*args[:-4], args[-2])[0],
    "linear": _linear,
    "addmm": _addmm,
    **dict.fromkeys(("mm", "matmul", "mv"), lambda tape, name, a, b: ops.matmul(_known(a), _known(b))),
    "relu": lambda tape, name, x: unit(tape, x, 0.0, name),
    "leaky_relu": lambda tape, name, x, slope=0.01: unit(tape, x, slope, name),
    **dict.fromkeys(("rrelu", "rrelu_with_noise_functional"), lambda *args: _rrelu(*args)),
    "prelu": _prelu,
    "_prelu_kernel": lambda tape, name, x, slope: unit(tape, x, _array(slope), name),
    "abs": lambda tape, name, x: unit(tape, x, -1.0, name),
    "hardtanh": lambda tape, name, x, low=-1.0, high=1.0: clipped(tape, x, low, high, name),
    "relu6": lambda tape, name, x: clipped(tape, x, 0.0, 6.0, name),
    "hardsigmoid": _hard_sigmoid,
    "softshrink": lambda tape, name, x, width=0.5: ops.subtract(x, clipped(tape, x, -width, width, name)),
    "threshold": _threshold,
    "clamp": _clamp,
    "clamp_min": lambda tape, name, x, low: _clamp(tape, name, x, low),
    "clamp_max": lambda tape, name, x, high: _clamp(tape, name, x, None, high),
    "maximum": lambda tape, name, a, b: maximum(tape, ops.lifted(_known(a)), ops.lifted(_known(b)), name),
    "minimum": lambda tape, name, a, b: minimum(tape, ops.lifted(_known(a)), ops.lifted(_known(b)), name),
    "amax": _largest_along(1.0),
    "amin": _largest_along(-1.0),
    "max": _max_with_index(1.0),
    "min": _max_with_index(-1.0),
    "cumsum": _cumulated,
    "cummax": _running(1.0),
    "cummin": _running(-1.0),
    "sort": _sorted,
    "topk": _top,
    **dict.fromkeys(("gt", "ge"), _compared(1.0)),
    **dict.fromkeys(("lt", "le"), _compared(-1.0)),
    "where": _where,
    "add": _add(1.0),
    "sub": _add(-1.0),
    "rsub": lambda tape, name, a, b, alpha=1.0: ops.subtract(_known(b), scaled(a, alpha)),
    "neg": lambda tape, name, x: scaled(x, -1.0),
    "mul": lambda tape, name, a, b: ops.multiply(_known(a), _known(b)),
    "div": lambda tape, name, a, b: ops.divide(_known(a), _known(b)),
    "mean": _mean,
    "sum": _sum,
    "cat": lambda tape, name, parts, axis=0: concatenated([ops.lifted(_known(part)) for part in parts], axis),
    "stack": lambda tape, name, parts, axis=0: concatenated(
        [rearranged(ops.lifted(_known(part)), lambda p: np.expand_dims(p, axis)) for part in parts], axis
    ),
    **dict.fromkeys(("view", "reshape", "_unsafe_view"), _reshaped),
    "flatten": _flattened,
    "unflatten": lambda tape, name, x, axis, sizes: _reshaped(
        tape, name, x, (*x.shape[: axis % len(x.shape)], *sizes, *x.shape[axis % len(x.shape) + 1 :])
    ),
    "permute": _moved(np.transpose),
    "transpose": _moved(np.swapaxes),
    "t": _moved(np.transpose),
    "movedim": _moved(np.moveaxis),
    "flip": _moved(np.flip),
    "roll": _moved(lambda p, shifts, axes=(): np.roll(p, tuple(shifts), tuple(axes)) if axes else np.roll(p, shifts)),
    "squeeze": _moved(_squeezed),
    "unsqueeze": _moved(np.expand_dims),
    "slice": _moved(_slice),
    "select": _moved(lambda places, axis, index: np.take(places, index, axis=axis)),
    "index_select": _moved(lambda places, axis, index: np.take(places, index.numpy(), axis=axis)),
    "index": _moved(_indexed),
    "repeat": _moved(lambda places, repeats: np.tile(places, repeats)),
    **PICTURES,
    "expand": _expand,
    "split": _chunks,
    "split_with_sizes": _chunks,
    "chunk": lambda tape, name, x, num, axis=0: _chunks(tape, name, x, -(-x.shape[axis] // num), axis),
    "unbind": lambda tape, name, x, axis=0: tuple(
        select(x, np.take(places_of(x), i, axis=axis)) for i in range(x.shape[axis])
    ),
    "constant_pad_nd": _pad,
    "pad": _pad,
    **{f"reflection_pad{num}d": _pad_mode("reflect") for num in (1, 2, 3)},
    **{f"replication_pad{num}d": _pad_mode("replicate") for num in (1, 2, 3)},
    "getitem": lambda tape, name, parts, index: _item(parts, index),
    **dict.fromkeys(
        (
            "clone",
            "detach",
            "contiguous",
            "dropout",
            "alias",
            "to",
            "_to_copy",
            "lift_fresh_copy",
            "feature_dropout",
            "alpha_dropout",
            "native_dropout",
        ),
        _same,
    ),
}
"""What operations of PyTorch do to symbolic tensors: functions of the tape, the node's name and the arguments."""


def _rrelu(tape: Tape, name: str, x: Values, *args: Any) -> Values:
    low, high = [arg for arg in args if isinstance(arg, float)][:2] or (1 / 8, 1 / 3)
    return unit(tape, x, (low + high) / 2, name)


def _item(parts: Any, index: int) -> Any:
    if parts[index] is None:
        raise ops.NotLinear("its indices, or the statistics of a batch, are used")
    return parts[index]
