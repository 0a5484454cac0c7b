"""The speed limit of training: a C program for one machine, against which the library's speed can be stated.

:func:`train` trains a population of MLPs by ``training_limit.c``, compiled for the sizes at hand. It computes what
optax and a float32 library compute, and nothing else: no random numbers, no records, no guard against divergence.
As a script, this file compares it with training in float64, exits with an error if they differ, and prints its speed.

    python benchmarks/_limit.py
"""

import ctypes
import functools
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MOST_POINTS = 16  # at a time; 16 was the fastest of 4, 8, 16 and 32

Params = list[tuple[np.ndarray, np.ndarray]]


def is_available() -> bool:
    """Whether there is a compiler."""
    return shutil.which("gcc") is not None


@functools.cache
def _library(
    widths: tuple[int, ...], points: int, batch: int, has_rows: bool, loss: str, optimizer: str
) -> ctypes.CDLL:
    """The C program for these sizes."""
    layers = [f"X({layer}, {width}, {widths[layer + 1]})" for layer, width in enumerate(widths[:-1])]
    macros = {
        "LAYERS": " ".join(layers),
        "LAYERS_BACK": " ".join(layers[::-1]),
        "POINTS": points,
        "BATCH": batch,
        "BLOCK": -(-batch // -(-batch // MOST_POINTS)),
        "HAS_ROWS": int(has_rows),
        "LOSS": loss.upper(),
        "OPTIMIZER": optimizer.upper(),
    }
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "limit.so"
        flags = ["-std=gnu17", "-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno"]
        flags += ["-shared", "-fPIC", "-pthread"]
        defined = [f"-D{name}={value}" for name, value in macros.items()]
        source = Path(__file__).with_name("training_limit.c")
        subprocess.run(["gcc", *flags, *defined, str(source), "-o", str(target), "-lm"], check=True)
        library = ctypes.CDLL(str(target))
    library.train.restype = library.peak_gflops.restype = ctypes.c_double
    return library


def train(
    params: Params,
    x: np.ndarray,
    y: np.ndarray,
    *,
    loss: str,
    optimizer: tuple,
    num_steps: int,
    rows: np.ndarray | None = None,
    threads: int | None = None,
) -> tuple[Params, np.ndarray, float]:
    """Train all networks, and say how long the training itself took.

    Args:
        params: kernel (members, in, out) and bias (members, out) of every layer; ReLU between layers.
        x: points (points, in).
        y: labels (points,) for "softmax" and "binary" (one output), numbers (points, 1) for "squared".
        loss: "softmax", "binary" or "squared"; all are means over the batch.
        optimizer: ("sgd", rate), ("adam", rate) or ("adamw", rate, weight decay), as in optax.
        num_steps: steps to take.
        rows: row numbers (members, num_steps, batch) of every minibatch; default is the full batch.
        threads: default is all cores.

    Returns:
        parameters, losses (members, num_steps) before each step, and seconds without compiling and rearranging.
    """
    name, rate, *decay = optimizer
    members, points = len(params[0][0]), len(x)
    if loss != "softmax" and params[-1][0].shape[2] != 1:
        raise ValueError(f"{loss} takes one output, but the networks have {params[-1][0].shape[2]}.")
    if rows is not None and (rows.shape[:2] != (members, num_steps) or rows.min() < 0 or rows.max() >= points):
        raise ValueError(f"rows must be numbers of the {points} points, of shape ({members}, {num_steps}, batch).")
    widths = (x.shape[1], *(kernel.shape[2] for kernel, _ in params))
    batch = points if rows is None else rows.shape[2]
    library = _library(widths, points, batch, rows is not None, loss, name)
    lanes = ctypes.c_int.in_dll(library, "num_lanes").value
    num_groups = -(-members // lanes)

    def to_groups(array: np.ndarray, dtype: type) -> np.ndarray:
        """(members, ...) as (group, ..., lane)."""
        padded = np.zeros((num_groups * lanes, *array.shape[1:]), dtype)
        padded[:members] = array
        return np.ascontiguousarray(np.moveaxis(padded.reshape(num_groups, lanes, *array.shape[1:]), 1, -1))

    def from_groups(array: np.ndarray) -> np.ndarray:
        array = np.moveaxis(array, -1, 1)
        return array.reshape(num_groups * lanes, *array.shape[2:])[:members]

    layers = [np.concatenate([kernel, bias[:, None]], 1).swapaxes(1, 2) for kernel, bias, *_ in params]
    packed = to_groups(np.concatenate([layer.reshape(members, -1) for layer in layers], 1), np.float32)
    losses = np.zeros((num_groups, num_steps, lanes), np.float32)
    orders = None if rows is None else to_groups(rows, np.int32)
    targets = np.ascontiguousarray(np.reshape(y, -1), np.float32 if loss == "squared" else np.int32).view(np.float32)
    if rows is None:
        inputs = np.ascontiguousarray(np.vstack([x.T, np.ones(points)]), np.float32)
    else:
        inputs = np.zeros((points, (x.shape[1] + 4) // 4 * 4), np.float32)
        inputs[:, : x.shape[1]] = x
        inputs[:, x.shape[1]] = targets
    seconds = library.train(
        num_groups,
        num_steps,
        ctypes.c_float(rate),
        ctypes.c_float(*decay or (0.0,)),
        *(None if array is None else array.ctypes.data_as(ctypes.c_void_p) for array in (inputs, targets, orders)),
        *(array.ctypes.data_as(ctypes.c_void_p) for array in (packed, losses)),
        threads or os.cpu_count(),
    )
    ends = np.cumsum([layer[0].size for layer in layers])
    trained = []
    for layer, values in zip(layers, np.split(from_groups(packed), ends[:-1], axis=1), strict=True):
        matrix = values.reshape(layer.shape).swapaxes(1, 2)
        trained.append((matrix[:, :-1].copy(), matrix[:, -1].copy()))
    return trained, from_groups(losses).copy(), seconds


def peak_gflops(threads: int) -> float:
    """Measured GFLOP/s of multiply-adds alone."""
    library = _library((1, 1), 1, 1, False, "squared", "sgd")
    return max(library.peak_gflops(threads) for _ in range(3))


def flops_per_step(widths: Sequence[int], batch: int) -> int:
    """Operations of a step's matrix products: outputs, gradients of the weights, and of all but the first inputs."""
    sizes = [before * after for before, after in itertools.pairwise(widths)]
    return 2 * batch * (3 * sum(sizes) - sizes[0])


def _draw(
    widths: Sequence[int], members: int, points: int, loss: str, steps: int, batch: int | None
) -> tuple[Params, np.ndarray, np.ndarray, np.ndarray | None]:
    """Random parameters, data and minibatches."""
    random = np.random.default_rng(0)
    params = [
        (
            random.uniform(-1, 1, (members, before, after)).astype(np.float32) / np.sqrt(np.float32(before)),
            random.uniform(-1, 1, (members, after)).astype(np.float32) / np.sqrt(np.float32(before)),
        )
        for before, after in itertools.pairwise(widths)
    ]
    x = random.normal(size=(points, widths[0])).astype(np.float32)
    y = random.integers(0, max(2, widths[-1]), points, np.int32)
    if loss == "squared":
        y = np.sin(3 * x.sum(1, keepdims=True)).astype(np.float32)
    rows = None if batch is None else random.integers(0, points, (members, steps, batch), np.int32)
    return params, x, y, rows


def _train_exactly(
    params: Params, x: np.ndarray, y: np.ndarray, loss: str, optimizer: tuple, num_steps: int, rows: np.ndarray | None
) -> tuple[Params, np.ndarray]:
    """The same in float64, one network after another."""
    name, rate, *decay = optimizer
    trained, losses = [], np.zeros((len(params[0][0]), num_steps))
    for member in range(len(losses)):
        leaves = [array[member].astype(float) for layer in params for array in layer]
        first, second = ([np.zeros_like(leaf) for leaf in leaves] for _ in range(2))
        for step in range(num_steps):
            chosen = slice(None) if rows is None else rows[member, step]
            inputs, targets = [x[chosen].astype(float)], y[chosen]
            for i in range(0, len(leaves), 2):
                z = inputs[-1] @ leaves[i] + leaves[i + 1]
                inputs.append(np.maximum(z, 0))
            if loss == "softmax":
                log_p = z - np.log(np.sum(np.exp(z), 1, keepdims=True))
                one_hot = np.eye(z.shape[1])[targets]
                value, delta = -np.sum(log_p * one_hot, 1), np.exp(log_p) - one_hot
            elif loss == "binary":
                labels = targets[:, None]
                value, delta = np.logaddexp(0, z) - labels * z, 1 / (1 + np.exp(-z)) - labels
            else:
                value, delta = (z - targets) ** 2, 2 * (z - targets)
            losses[member, step] = np.mean(value)
            delta = delta / len(z)
            gradients = []
            for i in range(len(leaves) - 2, -1, -2):
                gradients = [inputs[i // 2].T @ delta, delta.sum(0), *gradients]
                delta = (delta @ leaves[i].T) * (inputs[i // 2] > 0)
            for i, gradient in enumerate(gradients):
                change = gradient
                if name != "sgd":
                    first[i] = 0.9 * first[i] + 0.1 * gradient
                    second[i] = 0.999 * second[i] + 0.001 * gradient**2
                    root = np.sqrt(second[i] / (1 - 0.999 ** (step + 1)))
                    change = first[i] / (1 - 0.9 ** (step + 1)) / (root + 1e-8)
                if decay:
                    change = change + decay[0] * leaves[i]
                leaves[i] = leaves[i] - rate * change
        trained.append(leaves)
    stacked = [np.stack([leaves[i] for leaves in trained]) for i in range(len(trained[0]))]
    return list(zip(stacked[::2], stacked[1::2], strict=True)), losses


def _check() -> bool:
    """Whether all losses and optimizers agree with float64, at the first step and after 30.

    Tolerances are in units of float32's eps; parameters, inputs and losses are of order one. A step rounds a parameter
    once and its gradient a few times: 16. Thirty steps: 30 times that, as rounded parameters move later gradients too.
    Losses are means over points: 4 and 16.
    """
    eps = float(np.finfo(np.float32).eps)
    optimizers = (("sgd", 0.1), ("adam", 0.01), ("adamw", 0.01, 0.1))
    cases = (  # widths, members, points, batch
        ("softmax", ((2, 10, 10, 3), 19, 50, 32), ((5, 8, 2), 16, 21, None), ((1, 6, 4), 3, 40, 35)),
        ("binary", ((2, 7, 1), 5, 11, None), ((4, 3, 9, 5, 1), 33, 30, 7), ((2, 1, 1), 17, 100, None)),
        ("squared", ((2, 23, 1), 17, 4, None), ((3, 13, 6, 1), 33, 29, None), ((3, 1), 2, 20, 18)),
    )
    is_right = True
    for loss, *shapes in cases:
        for (widths, members, points, batch), optimizer in zip(shapes, optimizers, strict=True):
            for steps, units, loss_units in ((1, 16, 4), (30, 480, 16)):
                params, x, y, rows = _draw(widths, members, points, loss, steps, batch)
                got, losses, _ = train(params, x, y, loss=loss, optimizer=optimizer, num_steps=steps, rows=rows)
                exact, exact_losses = _train_exactly(params, x, y, loss, optimizer, steps, rows)
                pairs = zip(sum(got, ()), sum(exact, ()), strict=True)
                error = max(np.abs(value - right).max() for value, right in pairs) / eps
                loss_error = np.max(np.abs(losses - exact_losses) / (1 + exact_losses)) / eps
                if not (error <= units and loss_error <= loss_units):
                    is_right = False
                    print(f"{loss} {optimizer} {widths} {steps} steps: off by {error:.0f} eps, loss {loss_error:.0f}")
    return is_right


def _print_speeds() -> None:
    cores = sorted({1, os.cpu_count() or 1})
    peaks = [peak_gflops(threads) for threads in cores]
    print(
        "peak",
        *(f"{threads} threads {peak:.1f} GFLOP/s" for threads, peak in zip(cores, peaks, strict=True)),
        sep="  ",
    )
    workloads = [
        ((2, 10, 10, 3), 2000, 32, "softmax", ("adamw", 0.01, 1e-4), 400),
        *(((2, width, 1), 4, None, "squared", ("sgd", 0.1), 40000 // width) for width in (2, 20, 100)),
        *(((2, width, 1), 2000, None, "binary", ("adam", 0.01), 20) for width in (1, 2, 4, 8, 16)),
    ]
    for widths, points, batch, loss, optimizer, steps in workloads:
        params, x, y, rows = _draw(widths, 256, points, loss, steps, batch)
        flops = flops_per_step(widths, batch or points)
        line = f"{'-'.join(map(str, widths)):10} batch {batch or points:4} {optimizer[0]:5} {flops:7} FLOP"
        for threads, peak in zip(cores, peaks, strict=True):
            call = functools.partial(train, params, x, y, loss=loss, optimizer=optimizer, num_steps=steps, rows=rows)
            speed = 256 * steps / min(call(threads=threads)[2] for _ in range(5))
            gflops = 1e-9 * flops * speed
            line += f"  | {threads} threads {speed / 1e3:9.1f} k steps/s {gflops:6.1f} GFLOP/s {gflops / peak:4.0%}"
        print(line)


if __name__ == "__main__":
    if not is_available():
        sys.exit("There is no gcc.")
    if not _check():
        sys.exit(1)
    print("agrees with float64")
    _print_speeds()
