"""[host] Training whole populations: one key, one network; in chunks, on all cores and devices, with progress.

:func:`fit_population` runs any pure function of a key (and of settings) for many keys, and
:func:`fit_architectures` does so for networks of many widths and depths. :func:`fit_until_solved` is the procedure of
the XOR study: train, and draw a new network where that failed, up to a number of tries.
"""

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from tqdm.auto import tqdm

from jaxgeom._reprs import readable
from jaxgeom._typing import Keys, Params, PyTree, RandomKey
from jaxgeom.host.chunks import Interrupted, check_chunk_size, in_threads, interrupted, map_chunks, num_devices
from jaxgeom.host.devices import at_arrays, platform, sharing
from jaxgeom.host.given import check_flags, check_positive, check_progress, is_positive
from jaxgeom.host.inputs import as_keys
from jaxgeom.host.programs import Program, for_population
from jaxgeom.host.sizes import power_of_two, round_up, size_of_chunks
from jaxgeom.networks.models import LEAST_FEATURES
from jaxgeom.training.primitive import amount_of_work


@readable
class Solved(NamedTuple):
    """Networks trained until they solve their task."""

    params: Params
    """Parameters of the last try of each network, NumPy arrays with a leading axis (networks)."""
    initial_params: Params
    """Parameters before that try."""
    is_solved: Bool[np.ndarray, " networks"]
    """Whether the last try solved the task; where not, the cap on tries was reached."""
    tries: Int[np.ndarray, " networks"]
    """Tries used."""
    diverged: Bool[np.ndarray, " networks"]
    """Whether the last try met NaN or infinity."""
    first_try_rate: Float[np.ndarray, ""]
    """Fraction of networks solved by their first try: an unbiased estimate of the probability of success."""
    first_try_error: Float[np.ndarray, ""]
    """Standard error of that fraction (binomial), 0 where all networks or none were solved by their first try;
    :func:`jaxgeom.fraction_interval` has an interval that says something there, too."""


@readable
class Architectures(NamedTuple):
    """Networks of one depth and similar width, trained by one program."""

    members: Int[np.ndarray, " networks"]
    """Which of all networks they are."""
    features: tuple[int, ...]
    """Numbers of units from input to output, of the widest in each layer."""
    widths: Int[np.ndarray, "networks hidden"]
    """Numbers of units that each network really has; the others are zero in ``result``."""
    result: PyTree
    """What ``run`` gave, NumPy arrays with a leading axis (networks)."""


@readable
class Trial(NamedTuple):
    """One try of :func:`fit_until_solved`."""

    params: Params
    """Parameters after training."""
    initial_params: Params
    """Parameters before training."""
    is_solved: Bool[Array, ""]
    """Whether the try solved the task."""
    diverged: Bool[Array, ""]
    """Whether training met NaN or infinity."""


def fit_population(
    keys: Keys,
    run: Callable[..., PyTree],
    *settings: PyTree,
    chunk_size: int | None = None,
    fast_compile: bool = False,
    progress: bool | str = False,
) -> PyTree:
    """Trained networks, one for each key: results of ``run`` with a leading axis (networks).

    Args:
        keys: random keys (networks,), such as ``jax.random.split(jax.random.key(0), 1000)``.
        run: a pure function of one key, such as ``lambda key: jaxgeom.fit(key, ...)``, and of one network's settings.
            Define it once and call this often: programs are kept by the function that they were compiled from.
        settings: arrays with a leading axis (networks), or pytrees of such: learning rates, widths, data of its own.
        chunk_size: networks trained at once; by default by the rules of :mod:`jaxgeom.host.sizes`.
        fast_compile: compile without optimization, in a third of the time (on CPUs): for trainings shorter than that.
        progress: say how much memory the results will take, and show a progress bar; a string is its title.

    Returns:
        The results of ``run`` as NumPy arrays with a leading axis (networks).

    Raises:
        ValueError: if there are no keys, or another number of settings.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> def run(key, rate):
        ...     model, data = jg.mlp((2, 4, 1), activation="relu"), jg.parity(2)
        ...     return jg.fit(key, model, optax.sgd(rate), jg.losses.squared_error, data, num_epochs=10)
        >>> runs = jg.fit_population(jax.random.split(jax.random.key(0), 3), run, jax.numpy.array([0.1, 0.2, 0.3]))
        >>> runs.train_loss.shape  # networks, records
        (3, 11)
    """
    check_progress(progress)
    check_flags(fast_compile=fast_compile)
    keys = as_keys(keys)
    population = (keys, *jax.tree.map(jnp.asarray, settings))
    num = keys.shape[0]
    _check_settings(num, settings)
    check_chunk_size(chunk_size)
    with at_arrays(population):
        demand = _demand(run, *population)
        chunk_size = chunk_size or demand.chunk_size(num)
        if progress:
            megabytes = num * demand.result_bytes / 1e6
            tqdm.write(
                f"{num:,} networks, {min(chunk_size, num)} at once; results take {megabytes:,.1f} MB", file=sys.stderr
            )
        program = _program(run, fast_compile=fast_compile)
        return map_chunks(
            program,
            population,
            chunk_size=chunk_size,
            at_once=demand.at_once,
            progress=progress,
            over_processes=True,
        )


def _check_settings(num: int, settings: PyTree) -> None:
    """Raise a ValueError for settings that are not one for each network."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(settings)[0]:
        if np.shape(leaf)[:1] != (num,):
            place = jax.tree_util.keystr(path)
            raise ValueError(
                f"each of the {num} networks needs settings of its own, along a leading axis of arrays, but "
                f"settings{place} has shape {np.shape(leaf)}. Use jnp.full({num}, value) for one number that all "
                "share, or let run close over it, and jnp.array(numbers) for a list."
            )


def fit_architectures(
    keys: Keys,
    architectures: Sequence[Sequence[int]],
    run: Callable[..., PyTree],
    *settings: PyTree,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> list[Architectures]:
    """Trained networks of several widths and depths, with one compiled program for each group of similar ones.

    Networks of one depth are trained together, narrow ones padded with zero units. The rule: hidden widths are rounded
    up to a power of two, at least 8, and networks that round to the same sizes form a group. So padding at most
    quadruples a step of networks that are not tiny, and usually adds half, while each program costs some seconds of
    compilation. A group whose networks are all alike is not padded.

    Args:
        keys: random keys (networks,).
        architectures: for each network its numbers of units from input to output, such as (2, 20, 1).
        run: ``run(key, features, widths, *settings)`` trains one network made by
            ``jaxgeom.mlp(features, widths=widths, ...)``.
        settings: arrays with a leading axis (networks), or pytrees of such.
        chunk_size: networks trained at once; by default as many as stay in cache, or fill an accelerator.
        progress: show a progress bar; a string is its title.

    Returns:
        The groups, by depth and width.

    Raises:
        ValueError: if there is not one architecture for each key, or one has a size below one.
        Interrupted: after Ctrl-C; its ``members`` are the networks that were finished, and its ``results`` the groups,
            of which some are without those that were not.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> def run(key, features, widths):
        ...     model = jg.mlp(features, activation="relu", widths=widths)
        ...     return jg.fit(key, model, optax.sgd(0.1), jg.losses.squared_error, jg.parity(2), num_epochs=2)
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> groups = jg.fit_architectures(keys, [(2, 3, 1), (2, 4, 1), (2, 5, 5, 1)], run)
        >>> [group.members.tolist() for group in groups]
        [[0, 1], [2]]
    """
    check_progress(progress)
    keys = as_keys(keys)
    if len(architectures) != keys.shape[0]:
        raise ValueError(
            f"each network needs a key and an architecture, but there are {keys.shape[0]} keys and "
            f"{len(architectures)} architectures."
        )
    for features in architectures:
        if len(features) < LEAST_FEATURES or not all(is_positive(size) for size in features):
            raise ValueError(f"an architecture has at least two positive sizes, but {tuple(features)} was given.")

    def train(members: np.ndarray) -> Architectures:
        inputs, *_, outputs = architectures[members[0]]
        hidden = np.array([tuple(architectures[member])[1:-1] for member in members], np.int32)
        features = (int(inputs), *hidden.max(axis=0).tolist(), int(outputs))
        group_keys, *group_settings = jax.tree.map(lambda leaf: leaf[members], (keys, *settings))
        try:
            result = fit_population(
                group_keys,
                _of_architecture(run, features, bool((hidden == hidden[0]).all())),
                hidden,
                *group_settings,
                chunk_size=chunk_size,
                progress=f"{progress if isinstance(progress, str) else ''} {features}".strip() if progress else False,
            )
        except Interrupted as stopped:
            if stopped.results is None:
                raise
            members, hidden, result = members[stopped.members], hidden[stopped.members], stopped.results
        return Architectures(members, features, hidden, result)

    groups = [partial(train, members) for members in architecture_groups(architectures)]
    if sharing()[1] > 1:  # processes have to meet in the same order
        return [train() for train in groups]
    try:
        return in_threads(groups)
    except Interrupted as stopped:
        done = stopped.results
        raise interrupted([group.members for group in done], len(architectures), done) from None


def architecture_groups(architectures: Sequence[Sequence[int]]) -> list[Int[np.ndarray, " members"]]:
    """Which networks share a program, by the rule of :func:`fit_architectures`: by depth, then by width."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for member, features in enumerate(architectures):
        rounded_up = (max(8, power_of_two(int(width))) for width in features[1:-1])
        groups.setdefault((int(features[0]), *rounded_up, int(features[-1])), []).append(member)
    return [np.array(groups[rounded]) for rounded in sorted(groups, key=lambda rounded: (len(rounded), rounded))]


@lru_cache(maxsize=256)
def _of_architecture(run: Callable[..., PyTree], features: tuple[int, ...], is_one: bool) -> Callable[..., PyTree]:
    """The run of one network of a group; the same function for the same group, so that it is compiled once."""

    def run_padded(key: RandomKey, widths: Array, *settings: PyTree) -> PyTree:
        return run(key, features, None if is_one else tuple(widths), *settings)

    return run_padded


def fit_until_solved(
    keys: Keys,
    trial: Callable[[RandomKey], Trial],
    *,
    max_tries: int = 100,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> Solved:
    """Networks that solve their task: trained, and trained anew from other initialisations until they do.

    Try number t of a network uses the key ``jax.random.fold_in(key, t)`` (from 0), so that its result depends on
    nothing but its key (to rounding: programs compiled for chunks of another size may round otherwise). Only unsolved
    networks take part in the next round of tries; when they are few, several tries of each are trained at once.

    Args:
        keys: random keys (networks,).
        trial: a pure function of one key that trains and judges one network.
        max_tries: networks that are still unsolved after so many tries stay so and are marked.
        chunk_size: networks trained at once; by default by the rules of :mod:`jaxgeom.host.sizes`.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: if there are no keys, or ``max_tries`` is below one.
        Interrupted: after Ctrl-C; its ``members`` are the networks that are solved or out of tries, and its ``results``
            what is returned for these. The rate of first tries is that of all networks tried.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> def trial(key):
        ...     model, data, right = jg.mlp((2, 4, 1), activation="relu"), jg.parity(2), jg.losses.side_is_right
        ...     run = jg.fit(key, model, optax.adam(0.1), jg.losses.squared_error, data, num_epochs=50, accuracy=right)
        ...     return jg.Trial(run.params, run.initial_params, run.train_accuracy[-1] == 1, run.diverged)
        >>> solved = jg.fit_until_solved(jax.random.split(jax.random.key(0), 4), trial)
        >>> solved.is_solved.tolist()
        [True, True, True, True]
    """
    check_progress(progress)
    keys = as_keys(keys)
    check_positive("max_tries", max_tries)
    num = keys.shape[0]
    check_chunk_size(chunk_size)

    def solved(tried: Tried) -> Solved:
        params, initial_params, _, diverged = tried.results
        rate = tried.first_try_rate
        error = np.sqrt(rate * (1 - rate) / tried.num_tried)
        return Solved(params, initial_params, tried.is_solved, tried.tries, diverged, rate, error)

    try:
        with at_arrays(keys):
            demand = _demand(trial, keys)
            _check_trial(demand.results)
            # A quarter of the networks, since each round takes whole chunks, and the last rounds have few networks.
            chunk_size = min(chunk_size or demand.chunk_size(round_up(num, 4) // 4), num)
            tried = repeat_until_solved(
                _program(_try_of(trial)),
                (keys,),
                attrgetter("is_solved"),
                max_tries=max_tries,
                chunk_size=chunk_size,
                at_once=demand.at_once,
                progress=progress,
                over_processes=True,
            )
    except Interrupted as stopped:
        stopped.results = None if stopped.results is None else solved(stopped.results)
        raise
    return solved(tried)


@readable
class Tried(NamedTuple):
    """Networks at the end of :func:`repeat_until_solved`."""

    results: PyTree
    """Of the last try of each, NumPy arrays with a leading axis (networks)."""
    is_solved: Bool[np.ndarray, " networks"]
    """Whether the last try solved the task."""
    tries: Int[np.ndarray, " networks"]
    """Tries used."""
    first_try_rate: Float[np.ndarray, ""]
    """Fraction of the networks that were tried which their first try solved."""
    num_tried: int
    """Networks that were tried at least once."""


def repeat_until_solved(
    program: Program,
    population: tuple[PyTree, ...],
    solved_of: Callable[[PyTree], Array],
    *,
    max_tries: int,
    chunk_size: int,
    at_once: int | None = None,
    progress: bool | str = False,
    over_processes: bool = False,
) -> Tried:
    """Networks tried until they solve their task, in rounds of whole chunks, so that one program serves all rounds.

    Args:
        program: of ``(*population, number)`` for a chunk of networks, with the number of the try of each from 0.
        population: pytrees of arrays with a leading axis (networks).
        solved_of: which tries solved the task, among the results of the program.
        max_tries: of each network.
        chunk_size: networks computed at once.
        at_once: chunks in flight on each device, as for :func:`jaxgeom.map_chunks`.
        progress: show a progress bar; a string is its title.
        over_processes: share the chunks of each round among all processes, as for :func:`jaxgeom.map_chunks`.

    Raises:
        Interrupted: after Ctrl-C; its ``members`` are the networks that are solved or out of tries, and its ``results``
            theirs, a :class:`Tried`.
    """
    check_progress(progress)
    num = len(jax.tree.leaves(population)[0])
    tries, is_solved, is_first = np.zeros(num, np.int64), np.zeros(num, bool), np.zeros(num, bool)
    pending = np.arange(num)
    last: list[PyTree] = []

    def take_round(slots: np.ndarray, results: PyTree) -> None:
        """The results of the slots of a round that are finished: first tries first, each of them once."""
        if not last:
            last.append(jax.tree.map(lambda leaf: np.zeros((num, *leaf.shape[1:]), leaf.dtype), results))
        has_solved = np.asarray(solved_of(results), bool)
        for start in range(0, int(slots[-1]) + 1, len(pending)):
            places = np.flatnonzero((slots >= start) & (slots < start + len(pending)))
            is_next = ~is_solved[members[slots[places]]] & (tries[members[slots[places]]] == numbers[slots[places]])
            places = places[is_next & (numbers[slots[places]] < max_tries)]
            own = members[slots[places]]
            jax.tree.map(lambda array, new: array.__setitem__(own, new[places]), last[0], results)  # noqa: B023
            is_solved[own] = has_solved[places]
            is_first[own] = has_solved[places] & (tries[own] == 0)
            tries[own] += 1

    def tried(done: np.ndarray) -> Tried:
        results = jax.tree.map(lambda leaf: leaf[done], last[0])
        rate = np.asarray(np.mean(is_first[tries > 0]))
        return Tried(results, is_solved[done], tries[done], rate, int(np.sum(tries > 0)))

    num_shares = sharing()[1] if over_processes else 1
    title = progress if isinstance(progress, str) else None
    with tqdm(total=num, unit="net", desc=title, disable=not progress) as bar:
        while len(pending):
            # Room that is left in whole chunks of all devices is for the tries after the next one.
            slots = np.arange(round_up(len(pending), chunk_size * num_devices() * num_shares))
            members = pending[slots % len(pending)]
            numbers = tries[members] + slots // len(pending)
            given = (*jax.tree.map(lambda leaf: leaf[members], population), numbers.astype(np.uint32))  # noqa: B023
            try:
                found = map_chunks(
                    program,
                    given,
                    chunk_size=chunk_size,
                    at_once=at_once,
                    any_length=True,
                    over_processes=over_processes,
                )
            except Interrupted as stopped:
                if stopped.results is not None:
                    take_round(stopped.members, stopped.results)
                done = np.flatnonzero(is_solved | (tries == max_tries))
                raise interrupted([done], num, tried(done) if len(done) else None) from None
            take_round(slots, found)
            pending = np.flatnonzero(~is_solved & (tries < max_tries))
            bar.update(num - len(pending) - bar.n)
    return tried(np.arange(num))


def default_chunk_size(run: Callable[..., PyTree], *member: PyTree, num: int) -> int:
    """How many networks are trained at once, by the rules of :mod:`jaxgeom.host.sizes`.

    Args:
        run: as for :func:`fit_population`.
        member: key and settings of one network.
        num: size of the population.
    """
    return _demand(run, *jax.tree.map(lambda leaf: leaf[None], member)).chunk_size(num)


def result_bytes(run: Callable[..., PyTree], *member: PyTree) -> int:
    """Bytes of the results of one network, known without training it. A whole population takes as many times more."""
    return _demand(run, *jax.tree.map(lambda leaf: leaf[None], member)).result_bytes


class _Demand(NamedTuple):
    """What one network asks for, known without training it."""

    results: PyTree
    """Shapes and types of the results of one network."""
    result_bytes: int
    engine_work: int
    """Multiply-adds that the compiled engine does for it; 0 for the general path, and for other devices than CPUs."""
    step_work: int
    """Those of a step; 0 where the engine could not do them either."""

    def chunk_size(self, num: int) -> int:
        """Networks trained at once, of so many."""
        return size_of_chunks(num, self.result_bytes, engine_work=self.engine_work, step_work=self.step_work)

    @property
    def at_once(self) -> int | None:
        """Chunks in flight on a device: the engine spreads each over all cores."""
        return 1 if self.engine_work else None


def _demand(run: Callable[..., PyTree], *population: PyTree) -> _Demand:
    leaves, structure = jax.tree.flatten(population)
    shapes = [jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in leaves]
    return _demand_of(run, platform(), structure, *shapes)


@lru_cache(maxsize=256)
def _demand_of(run: Callable[..., PyTree], computed_by: str, structure: Any, *shapes: jax.ShapeDtypeStruct) -> _Demand:
    closed, results = jax.make_jaxpr(run, return_shape=True)(*jax.tree.unflatten(structure, shapes))
    num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(results))
    amount = amount_of_work(closed.jaxpr)
    return _Demand(results, num_bytes, amount.total if computed_by == "cpu" else 0, amount.of_step)


def _check_trial(result: Any) -> None:
    """Raise a TypeError unless a trial gives what says of one network whether it is solved, and whether it diverged."""
    truths: list[Any] = [getattr(result, "is_solved", None), getattr(result, "diverged", None)]
    is_trial = all(hasattr(result, name) for name in Trial._fields)
    if not is_trial or not all(getattr(truth, "shape", None) == () and truth.dtype == bool for truth in truths):
        raise TypeError(
            "the trial must return a jaxgeom.Trial, whose is_solved and diverged are single truth values such as "
            f"run.train_accuracy[-1] == 1, but it gives {result}."
        )


_program = lru_cache(maxsize=32)(for_population)
"""One program for each function, kept for the next call with the same one."""


@lru_cache(maxsize=32)
def _try_of(trial: Callable[[RandomKey], Trial]) -> Callable[[RandomKey, Array], Trial]:
    """A numbered try of a network; the same function for the same trial, so that it is compiled once."""
    return lambda key, number: trial(jax.random.fold_in(key, number))
