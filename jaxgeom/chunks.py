"""[host] Apply a compiled function to a long leading axis, chunk by chunk, with progress.

Chunks bound the memory, stay in cache, and share one compiled program: the last one is filled up with copies of
its last member, which are thrown away. On a CPU as many chunks are in flight as there are cores, since much of a
small program runs on one; the order and the values of the results do not depend on that.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from jaxgeom._typing import PyTree


def map_chunks(
    function: Callable[[PyTree], PyTree],
    population: PyTree,
    *,
    chunk_size: int,
    progress: bool | str = False,
    compiled: bool = True,
) -> PyTree:
    """``function`` over a population, chunk by chunk.

    Args:
        function: takes and returns pytrees whose leaves have a leading axis of one length.
        population: pytree of arrays with a leading axis (networks); random keys are welcome.
        chunk_size: members of a chunk; the program is compiled for min(chunk_size, networks).
        progress: show a progress bar; a string is its title.
        compiled: whether the function is a program for one size of chunks, to be compiled by the first one. Else the
            last chunk is not filled up, and no chunk waits for the first.

    Returns:
        The results as NumPy arrays, in the order of the population.

    Raises:
        ValueError: for an empty population, leaves of different length, or a chunk size below 1.
    """
    lengths = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(population)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "every array of a population needs one and the same, positive, length along its first axis, but "
            f"these were found: {sorted(lengths)}."
        )
    check_chunk_size(chunk_size)
    num = lengths.pop()
    chunk_size = min(chunk_size, num)
    starts = range(0, num, chunk_size)

    leaves, structure = jax.tree.flatten(population)
    takers = [_taker(leaf) for leaf in leaves]

    @_with_callers_settings
    def run(start: int) -> PyTree:
        stop = start + chunk_size
        is_short = stop > num
        members = np.minimum(np.arange(start, stop), num - 1) if is_short and compiled else slice(start, min(stop, num))
        chunk = jax.tree.unflatten(structure, [take(members) for take in takers])
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: num - start], function(chunk))

    results: dict[int, Any] = {}
    title = progress if isinstance(progress, str) else None
    with (
        tqdm(total=num, unit="net", desc=title, disable=not progress) as bar,
        ThreadPoolExecutor(num_workers()) as pool,
    ):
        waiting = list(starts)
        if compiled or len(waiting) == 1:
            results[0] = run(waiting.pop(0))
            bar.update(chunk_size)
        futures = {pool.submit(run, start): start for start in waiting}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                bar.update(min(chunk_size, num - bar.n))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return jax.tree.map(lambda *parts: np.concatenate(parts), *(results[start] for start in starts))


def _taker(leaf: Any) -> Callable[[slice | np.ndarray], Any]:
    """How to take some members of an array: in NumPy, which takes a tenth of the time of an operation of JAX's."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data, impl = np.asarray(jax.random.key_data(leaf)), jax.random.key_impl(leaf)
        return lambda members: jax.random.wrap_key_data(jnp.asarray(data[members]), impl=impl)
    values = np.asarray(leaf)
    return lambda members: values[members]


def in_threads(functions: Sequence[Callable[[], Any]], num_threads: int | None = None) -> list[Any]:
    """Results of functions without arguments, such as populations that compile programs of their own, on all cores."""
    with ThreadPoolExecutor(num_threads or num_workers()) as pool:
        futures = [pool.submit(_with_callers_settings(function)) for function in functions]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def in_background(function: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Start a function without arguments, such as what draws, and go on meanwhile, for instance training.

    What the block gets waits for the function's result. At the end of the block it is waited for in any case, so that
    what may take long, and be interrupted, belongs into the block.
    """
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_with_callers_settings(function)).result


def _with_callers_settings(function: Callable) -> Callable:
    """JAX's settings belong to a thread: in another one, the function finds those of the present one."""
    config: Any = jax.config
    x64, device, precision = config.jax_enable_x64, config.jax_default_device, config.jax_default_matmul_precision

    def run(*arguments: Any) -> Any:
        with jax.enable_x64(x64), jax.default_device(device), jax.default_matmul_precision(precision):
            return function(*arguments)

    return run


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise a ValueError unless the size is positive, or None for the default."""
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive integer, but {chunk_size} was given.")


def num_workers() -> int:
    """Chunks in flight: one for each core, or two on an accelerator, so that it never waits."""
    if jax.default_backend() != "cpu":
        return 2
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
