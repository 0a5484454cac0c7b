"""Calls of the engine's training, as a family of runs makes them, and files of them for ``training_driver.cc``."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxgeom as jg
from jaxgeom.training import primitive

TYPES = {"int32": 4, "int64": 5, "float64": 12}
RNG = np.random.default_rng(97)


class Call(NamedTuple):
    """A call of a handler."""

    is_training: bool
    """Or else of random words."""
    attributes: dict[str, np.ndarray]
    given: list[np.ndarray]
    results: list[np.ndarray]
    """What the library returned."""

    @property
    def layout(self) -> int:
        """Which of the results says how vectors were filled, which depends on the threads; -1 for none."""
        whole = [number for number, array in enumerate(self.results) if array.dtype == np.int32]
        return whole[2] if self.is_training else -1  # after the steps of divergence and of stopping


def points(num: int, num_outputs: int | None, num_inputs: int = 2) -> jg.Dataset:
    """Points with targets that are numbers, or for None, three classes."""
    x = RNG.normal(size=(num, num_inputs))
    y = RNG.integers(0, 3, num) if num_outputs is None else RNG.normal(size=(num, num_outputs))
    return jg.Dataset(x, y)


SQUARED, SOFTMAX, XOR = jg.losses.squared_error, jg.losses.softmax_cross_entropy, jg.parity(2)
SIDES = jg.Dataset(points(21, 1).x, RNG.integers(0, 2, 21))
RIGHT = {"accuracy": jg.losses.class_is_right}
RUNS: dict[str, tuple[Any, ...]] = {
    # numbers of networks, model, loss, optimizer, data, options
    "in registers": ((1, 20), ((2, 2, 1), {}), SQUARED, optax.sgd(0.1), XOR, {}),
    "unit by unit": ((1, 3, 18), ((2, 7, 1), {}), SQUARED, optax.adam(0.01), XOR, {"record": 2}),
    "unit by unit, loss of its own": (
        (9,),
        ((2, 5, 1), {}),
        lambda z, y: jnp.sum((z - y) ** 4, axis=1),
        optax.rmsprop(0.01),
        XOR,
        {},
    ),
    "wide": ((1, 2), ((2, 130, 1), {}), SQUARED, optax.sgd(0.1), XOR, {}),
    "cube": ((1, 17), ((3, 5, 1), {}), SQUARED, optax.adamw(0.01), jg.parity(3), {}),
    "full batch": (
        (1, 2, 19),
        ((2, 9, 5, 1), {"activation": ("leaky_relu", "abs")}),
        SQUARED,
        optax.adam(0.01),
        points(75, 1),
        {"batch_losses": True, "snapshot_steps": (0, 2)},
    ),
    "minibatches": (
        (1, 5, 33),
        ((2, 10, 10, 3), {}),
        SOFTMAX,
        optax.adamw(optax.cosine_decay_schedule(0.02, 20)),
        points(61, None),
        RIGHT | {"batch_size": 18, "drop_last": False, "test": points(7, None), "snapshot_every": 3},
    ),
    "kept": (
        (1, 9),
        ((2, 6, 1), {"activation": "tanh"}),
        jg.losses.binary_cross_entropy,
        optax.sgd(0.1, momentum=0.9),
        SIDES,
        {"batch_size": 5, "snapshot_every": 2, "keep": lambda params: params["dense0_tanh"]["bias"]},
    ),
    "maxout": (
        (1, 17),
        ((2, 5, 4, 2), {"activation": "maxout", "output_activation": "maxout"}),
        SQUARED,
        optax.sgd(0.05),
        points(40, 2),
        {},
    ),
    "sums, no biases, stopping": (
        (1, 11),
        ((2, 5, 4, 3), {"activation": "softplus", "use_bias": False}),
        SOFTMAX,
        optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.02)),
        points(31, None),
        RIGHT | {"batch_size": 7, "stop_accuracy": 0.42},
    ),
    "padded": (
        (1, 18),
        ((2, 6, 6, 1), {"activation": "gelu", "widths": (3, 5)}),
        SQUARED,
        optax.adam(0.01),
        points(20, 1),
        {},
    ),
    "single numbers": ((1, 2), ((1, 1), {}), SQUARED, optax.sgd(0.1), points(16, 1, 1), {}),
    "no hidden layer": ((1, 16), ((20, 2), {}), SQUARED, optax.lamb(0.01), points(50, 2, 20), {}),
    "divergence": ((1, 17), ((2, 12, 12, 1), {}), SQUARED, optax.sgd(30.0), points(100, 1), {"snapshot_every": 1}),
    "shared by threads": (
        (1,),
        ((3, 210, 200, 2), {"activation": ("tanh", "relu")}),
        SQUARED,
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.001)),
        points(140, 2, 3),
        {"batch_size": 90, "drop_last": False},
    ),
}


def calls(dtype: str, num_epochs: int = 3) -> list[Call]:
    """The calls of all runs, with parameters of this type."""
    found: list[Call] = []
    for number, (populations, (features, more), loss, optimizer, data, options) in enumerate(RUNS.values()):
        model = jg.mlp(features, dtype=dtype, **more)

        def run(key: Any, model=model, loss=loss, optimizer=optimizer, data=data, options=options) -> jg.Fit:
            return jg.fit(key, model, optimizer, loss, data, num_epochs=num_epochs, **options)

        for num in populations:
            keys = jax.random.split(jax.random.fold_in(jax.random.key(98), number), num)
            with _recorded(found):
                result = jax.vmap(run)(keys)
            assert result.by_engine.all()
    return found


def word_calls() -> list[Call]:
    """Calls that draw random words: of few and many, of both kinds."""
    found: list[Call] = []
    keys = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(99), 3)))
    from jaxgeom.engine import library

    with _captured(found, is_training=False):
        for shape in ((1,), (2,), (15,), (16,), (33,), (5, 2)):
            for is_by_place in (False, True):
                for is_folded in (False, True):
                    if shape[-1] != 2 and is_by_place and not is_folded:
                        continue
                    library.words(jnp.asarray(keys[0]), shape=shape, is_by_place=is_by_place, is_folded=is_folded)
    return found


@contextmanager
def _recorded(found: list[Call]) -> Iterator[None]:
    """Runs whose arrays are known are not compiled, but call the engine at once."""
    own = primitive._compiled

    def recorder(work: Any, depth: int) -> Any:
        def call(*arrays: Any) -> Any:
            given = jax.tree.unflatten(work.structure, arrays)
            shapes = primitive._shapes(arrays, work, depth)
            with _captured(found, is_training=True):
                return list(primitive.call_kernel(work.run, depth, given, shapes))

        return call

    primitive._compiled = recorder
    try:
        yield
    finally:
        primitive._compiled = own


@contextmanager
def _captured(found: list[Call], *, is_training: bool) -> Iterator[None]:
    own = jax.ffi.ffi_call

    def ffi_call(*target: Any, **options: Any) -> Any:
        def call(*arrays: Any, **attributes: np.ndarray) -> Any:
            results = own(*target, **options)(*arrays, **attributes)
            flat = list(map(np.asarray, jax.tree.leaves(results)))
            found.append(Call(is_training, attributes, list(map(np.asarray, arrays)), flat))
            return results

        return call

    jax.ffi.ffi_call = ffi_call
    try:
        yield
    finally:
        jax.ffi.ffi_call = own


def write(calls: list[Call], path: Path) -> None:
    """A file for the driver."""
    with path.open("wb") as file:

        def put(*numbers: int) -> None:
            file.write(struct.pack(f"={len(numbers)}q", *numbers))

        put(len(calls))
        for call in calls:
            put(call.is_training, call.layout, len(call.attributes))
            for name, array in call.attributes.items():
                put(len(name))
                file.write(name.encode())
                put(TYPES[array.dtype.name], array.size)
                file.write(np.ascontiguousarray(array).tobytes())
            for arrays, has_data in ((call.given, True), (call.results, False)):
                put(len(arrays))
                for array in arrays:
                    put(array.ndim, *array.shape, array.nbytes)
                    file.write(np.ascontiguousarray(array).tobytes() if has_data else b"")


def read(calls: list[Call], path: Path) -> list[list[np.ndarray]]:
    """The results that the driver wrote."""
    data, at, found = path.read_bytes(), 0, []
    for call in calls:
        found.append([])
        for array in call.results:
            found[-1].append(np.frombuffer(data, array.dtype, array.size, at).reshape(array.shape))
            at += array.nbytes
    assert at == len(data)
    return found
