"""[host] Results of a compiled function along a long leading axis, chunk by chunk, on all devices, with progress.

This is the one driver of populations. Chunks bound the memory (:mod:`jaxgeom.host.sizes` says how large they are) and
share one compiled program: the last one is filled up with copies of its last member, which are thrown away. Programs of
:func:`jaxgeom.host.programs.for_population`, and what ``jax.jit`` gave, are compiled once for all devices, and take a
chunk for each of them at once; other functions get chunks on one device after the other. On a CPU as many chunks are in
flight as there are cores, since much of a small program runs on one. Neither the order nor the values of the results
depend on that.

Compiling and running a program cannot be interrupted. So all of that happens in threads (:mod:`jaxgeom.host.threads`),
and the calling thread only waits for them: Ctrl-C is answered at once, with an error that holds what was finished.
"""

import os
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from tqdm.auto import tqdm

from jaxgeom.host.devices import choice, chosen_as, devices, on_devices, platform, populations_on, sharing
from jaxgeom.host.forks import check_not_forked
from jaxgeom.host.given import check_flags, check_positive, check_progress
from jaxgeom.host.processes import gathered
from jaxgeom.host.programs import Program, of_chunks
from jaxgeom.host.signals import deferred
from jaxgeom.host.threads import GRACE, Stopped, Threads

Result = TypeVar("Result")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a computation in chunks. Its message says what was finished, and it holds that."""

    def __init__(self, message: str, members: np.ndarray, results: PyTree):
        super().__init__(message)
        self.members = members
        """Which members of the population were finished, ascending."""
        self.results = results
        """Their results, NumPy arrays with a leading axis (members); None if there are none."""


def map_chunks(
    function: Callable[[PyTree], PyTree] | Program,
    population: PyTree,
    *,
    chunk_size: int,
    progress: bool | str = False,
    compiled: bool = True,
    any_length: bool = False,
    at_once: int | None = None,
    over_processes: bool = False,
) -> PyTree:
    """Results of ``function`` over a population, chunk by chunk, on all local devices.

    Args:
        function: takes and returns pytrees whose leaves have a leading axis of one length.
        population: pytree of arrays with a leading axis (networks); random keys are welcome.
        chunk_size: members of a chunk; the program is compiled for min(chunk_size, networks).
        progress: show a progress bar; a string is its title.
        compiled: whether the function is a program for one size of chunks, to be compiled by the first one of each
            device. Else the last chunk is not filled up, and no chunk waits for the first. Programs run on all local
            devices, on those of :func:`jaxgeom.on_devices`, or on that of ``jax.default_device``.
        any_length: compile for ``chunk_size`` whatever the number of networks, so that one program serves populations
            of any length.
        at_once: chunks in flight on each device; by default as many as there are cores, or two on an accelerator.
        over_processes: share the chunks among all processes where :func:`jaxgeom.on_devices` has devices of all of
            them. Each gets all results.

    Returns:
        The results as NumPy arrays, in the order of the population.

    Raises:
        ValueError: for an empty population, leaves of different length, or a chunk size below 1.
        Interrupted: after Ctrl-C, within a second or so; its ``members`` and ``results`` are what was finished.
        RuntimeError: in a process that was forked while JAX was running.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> jg.map_chunks(lambda x: x**2, np.arange(5), chunk_size=2).tolist()
        [0, 1, 4, 9, 16]
    """
    check_progress(progress)
    check_flags(compiled=compiled, any_length=any_length, over_processes=over_processes)
    check_not_forked()
    lengths = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(population)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "every array of a population needs one and the same, positive, length along its first axis, but "
            f"these were found: {sorted(lengths)}."
        )
    check_chunk_size(chunk_size)
    num = lengths.pop()
    chunk_size = chunk_size if any_length else min(chunk_size, num)
    if over_processes and sharing()[1] > 1:
        share = partial(map_chunks, chunk_size=chunk_size, progress=progress, compiled=compiled, at_once=at_once)
        return _shared_out(partial(share, function, any_length=compiled), population, num, chunk_size * num_devices())
    if compiled and isinstance(function, jax.stages.Wrapped) and len(populations_on()) > 1:
        function = of_chunks(cast(Hashable, function))
    is_spread = isinstance(function, Program)
    places = populations_on() if compiled else devices()[:1]
    if not any_length:
        places = places[: -(-num // chunk_size)]
    if is_spread:
        chunk_size *= len(places)
    starts = range(0, num, chunk_size)
    num_turns = 1 if is_spread else len(places)  # chunks that run on other devices than each other

    leaves, structure = jax.tree.flatten(population)
    takers = [_taker(leaf) for leaf in leaves]

    def run(start: int) -> PyTree:
        stop = start + chunk_size
        is_short = stop > num
        members = np.minimum(np.arange(start, stop), num - 1) if is_short and compiled else slice(start, min(stop, num))
        own = places if is_spread else (places[start // chunk_size % len(places)],)
        with on_devices(own) if compiled and own != devices() else nullcontext():
            chunk = jax.tree.unflatten(structure, [take(members) for take in takers])
            return jax.tree.map(lambda leaf: np.asarray(leaf)[: num - start], function(chunk))

    results: dict[int, Any] = {}
    title = progress if isinstance(progress, str) else None
    at_once = at_once or num_workers() // num_devices()
    workers = min(at_once * num_turns, len(starts))
    with tqdm(total=num, unit="net", desc=title, disable=not progress) as bar, Threads(workers) as threads:

        def take(start: int, result: PyTree) -> None:
            results[start] = result
            bar.update(min(chunk_size, num - start))

        try:
            with deferred():
                num_first = num_turns if compiled else 0  # which compile, and for which the others wait
                for some in (starts[:num_first], starts[num_first:]):
                    for future in threads.as_completed([threads.submit(_with_callers_settings(run), s) for s in some]):
                        take(future.argument, future.result())
        except (KeyboardInterrupt, Stopped):  # the latter in a part of what was interrupted
            finished = [np.arange(start, min(start + chunk_size, num)) for start in sorted(results)]
            raise interrupted(finished, num, _joined(results) if results else None) from None
    return _joined(results)


def _shared_out(compute: Callable[[PyTree], PyTree], population: PyTree, num: int, size: int) -> PyTree:
    """Results for a population of which each process computes every n-th piece of this size."""
    index, num_processes = sharing()
    of_process = np.arange(num) // size % num_processes
    members = [np.flatnonzero(of_process == number) for number in range(num_processes)]
    own = members[index]
    # a process without any has to know what results look like
    some = own if len(own) else np.arange(min(size, num))
    results = compute(jax.tree.map(lambda leaf: leaf[some], population))
    return gathered(jax.tree.map(lambda array: array[: len(own)], results), members)


def _joined(results: dict[int, Any]) -> PyTree:
    return jax.tree.map(lambda *parts: np.concatenate(parts), *(results[start] for start in sorted(results)))


def interrupted(members: Sequence[np.ndarray], num: int, results: PyTree) -> Interrupted:
    """The error that holds ``results`` of these members, in pieces, of a population of ``num``."""
    finished = np.sort(np.concatenate([np.zeros(0, np.int64), *members]))
    kept = "they are the attribute `results` of this error" if len(finished) else "nothing is lost that was finished"
    message = f"interrupted; {len(finished):,} of {num:,} were finished: {kept}. Nothing was written to disk here."
    return Interrupted(message, finished, results)


def _taker(leaf: Any) -> Callable[[slice | np.ndarray], Any]:
    """How to take some members of an array: in NumPy, which takes a tenth of the time of an operation of JAX's."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data, impl = np.asarray(jax.random.key_data(leaf)), jax.random.key_impl(leaf)
        return lambda members: jax.random.wrap_key_data(jnp.asarray(data[members]), impl=impl)
    values = np.asarray(leaf)
    return lambda members: values[members]


def in_threads(functions: Sequence[Callable[[], Any]], num_threads: int | None = None) -> list[Any]:
    """Results of functions without arguments, such as populations that compile programs of their own, on all cores.

    Raises:
        Interrupted: after Ctrl-C; ``members`` are the functions that were finished, and ``results`` a list of theirs.
    """
    check_not_forked()
    with Threads(num_threads or num_workers()) as threads:
        futures = [threads.submit(_with_callers_settings(_call), function) for function in functions]
        try:
            with deferred():
                return [future.result() for future in futures]
        except (KeyboardInterrupt, Stopped):
            threads.stop()
            deadline = time.monotonic() + GRACE  # in which parts that are in chunks give what they have
            for future in futures:
                future.wait_until(deadline)
            done = [i for i, future in enumerate(futures) if future.is_successful()]
            kept = "their results are the attribute `results` of this error" if done else "there is nothing to keep"
            message = f"interrupted; {len(done)} of {len(functions)} parts were finished: {kept}."
            raise Interrupted(message, np.array(done, np.int64), [futures[i].result() for i in done]) from None


def _call(function: Callable[[], Any]) -> Any:
    return function()


@contextmanager
def in_background(function: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Start a function without arguments, such as what draws, and go on meanwhile, for instance training.

    What the block gets waits for the function's result. At the end of the block it is waited for in any case, unless
    the block ends by an error or by Ctrl-C.
    """
    check_not_forked()
    with Threads(1) as threads:
        future = threads.submit(_with_callers_settings(_call), function)
        yield future.result
        future.wait()


_SETTINGS = {
    "enable_x64": "jax_enable_x64",
    "default_device": "jax_default_device",
    "default_matmul_precision": "jax_default_matmul_precision",
    "numpy_dtype_promotion": "jax_numpy_dtype_promotion",
    "numpy_rank_promotion": "jax_numpy_rank_promotion",
    "default_prng_impl": "jax_default_prng_impl",
    "debug_nans": "jax_debug_nans",
    "debug_infs": "jax_debug_infs",
    "disable_jit": "jax_disable_jit",
    "log_compiles": "jax_log_compiles",
    "transfer_guard": "jax_transfer_guard",
}
"""JAX's context managers that hold in one thread only, and what their values are read from."""


def _with_callers_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """JAX's settings belong to a thread: in another one, the function finds those of the present one."""
    values = {
        name: getattr(jax.config, flag)
        for name, flag in _SETTINGS.items()
        if hasattr(jax, name) and hasattr(jax.config, flag)
    }

    chosen = choice()

    def run(*arguments: Any) -> Any:
        with ExitStack() as stack:
            stack.enter_context(chosen_as(chosen))
            for name, value in values.items():
                if getattr(jax.config, _SETTINGS[name]) != value:
                    stack.enter_context(getattr(jax, name)(value))
            return function(*arguments)

    return run


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise a ValueError unless the size is positive, or None for the default."""
    if chunk_size is not None:
        check_positive("chunk_size", chunk_size)


def num_workers() -> int:
    """Chunks in flight: one for each core, or two on each accelerator, so that it never waits."""
    return num_cores() if platform() == "cpu" else 2 * num_devices()


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_devices() -> int:
    """Devices that chunks go to."""
    return len(populations_on())
