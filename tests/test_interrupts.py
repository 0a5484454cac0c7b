"""Ctrl-C is answered at once wherever it arrives, and keeps what was finished; so does the end of a program."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deadlines import fastest_counts, in_time

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.host import chunks
from jaxgeom.host.chunks import Interrupted, in_threads
from jaxgeom.host.signals import ENDING, deferred
from jaxgeom.host.threads import _exit_status
from jaxgeom.training.population import Trial

KEYS = jax.random.split(jax.random.key(5), 12)


class Press:
    """Ctrl-C, once something is on its way that takes long and cannot be interrupted."""

    def __init__(self):
        self.time, self.release = None, threading.Event()

    def __call__(self):
        self.time = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)
        self.release.wait(30)

    def was_answered_at_once(self):
        self.release.set()
        in_time(self.time, 2)


@fastest_counts
def test_control_c_is_answered_at_once_and_keeps_what_was_finished():
    press = Press()

    def function(chunk):
        if chunk[0] == 4:
            press()
        return 2 * chunk

    with pytest.raises(Interrupted, match=r"\d of 100 were finished") as caught:
        jg.map_chunks(function, np.arange(100), chunk_size=2)
    press.was_answered_at_once()
    assert {0, 1} <= set(caught.value.members.tolist())
    np.testing.assert_array_equal(caught.value.results, 2 * caught.value.members)


@fastest_counts
def test_control_c_in_parts_stops_what_they_have_started():
    press, begun = Press(), []

    def part():
        def function(chunk):
            begun.append(int(chunk[0]))
            if chunk[0] == 1:
                press()
            time.sleep(0.02)
            return chunk

        return jg.map_chunks(function, np.arange(500), chunk_size=1)

    with pytest.raises(Interrupted, match="0 of 1 parts"):
        in_threads([part])
    press.was_answered_at_once()
    num = len(begun)
    time.sleep(0.5)
    assert len(begun) <= num + os.cpu_count()  # which were about to begin


class Dying:
    """What presses Ctrl-C in its finalizer, whose errors Python prints and ignores."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # in which the handler is called


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_control_c_in_a_finalizer_is_not_lost(monkeypatch):
    class Bar:
        def __init__(self, **options):
            self.updates = 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self, number):
            self.updates += 1
            if self.updates == 3:
                Dying()

    monkeypatch.setattr(chunks, "tqdm", Bar)
    for is_compiled in (True, False):
        with pytest.raises(Interrupted) as caught:
            jg.map_chunks(lambda chunk: -chunk, np.arange(200), chunk_size=1, compiled=is_compiled)
        np.testing.assert_array_equal(caught.value.results, -caught.value.members)
        assert 3 <= len(caught.value.members) < 200


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_control_c_in_a_finalizer_during_a_call_of_the_engine_is_not_lost():
    before = signal.signal(signal.SIGALRM, lambda number, frame: Dying() and None)
    seen = []

    def call(stop):
        deadline = time.monotonic() + 30
        while not stop._obj.value and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(stop._obj.value)

    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            library.interruptible(call, is_long=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen == [1]


def test_handlers_of_ones_own_are_called_and_put_back():
    heard = []
    before = {number: signal.signal(number, lambda number, frame: heard.append(number)) for number in ENDING}
    try:
        own = {number: signal.getsignal(number) for number in ENDING}
        for number in ENDING:
            with deferred(), deferred():
                os.kill(os.getpid(), number)
                assert heard.count(number) == 0
            assert heard.count(number) == 1
        np.testing.assert_array_equal(jg.map_chunks(np.negative, np.arange(3), chunk_size=2), [0, -1, -2])
        assert {number: signal.getsignal(number) for number in ENDING} == own
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupted_twice():
    with deferred():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("not interrupted")


def interrupted_before_an_error():
    with deferred():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError


def test_a_second_control_c_does_not_wait_and_errors_hide_none():
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted_before_an_error()
    assert isinstance(caught.value.__context__, ValueError)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def pressing(press, is_when):
    """A function for programs, the identity of random bits, that presses Ctrl-C when it sees certain ones."""

    def on_host(bits):
        if is_when(int(bits)):
            press()
        return bits

    return lambda bits: jax.pure_callback(on_host, jax.ShapeDtypeStruct((), np.uint32), bits, vmap_method="sequential")


def toy_trial(key):
    """Solved with probability 0.3, and what the key alone decides."""
    mark, draw = jax.random.bits(key, (2,), "uint32")
    return Trial({"mark": mark}, {"start": draw}, draw < jnp.uint32(0.3 * 2**32), mark % 5 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 2])
@fastest_counts
def test_networks_that_are_solved_are_kept(number):
    whole = jg.fit_until_solved(KEYS, toy_trial, max_tries=4, chunk_size=3)
    last = np.flatnonzero(whole.tries > number)[-1]  # in the last chunk of that round
    mark = int(jax.jit(toy_trial)(jax.random.fold_in(KEYS[last], number)).params["mark"])
    press = Press()
    see = pressing(press, lambda bits: bits == mark)

    def trial(key):
        found = toy_trial(key)
        return found._replace(params={"mark": see(found.params["mark"])})

    with pytest.raises(Interrupted, match=rf"\d of {len(KEYS)} were finished") as caught:
        jg.fit_until_solved(KEYS, trial, max_tries=4, chunk_size=3)
    press.was_answered_at_once()
    members, found = caught.value.members, caught.value.results
    assert set(np.flatnonzero(whole.is_solved & (whole.tries <= number))) <= set(members)
    assert set(members) <= set(np.flatnonzero(whole.tries <= number + 1)) - {last}
    assert len(members) > 0
    kept = jg.Solved(*whole[:5], found.first_try_rate, found.first_try_error)
    for field in ("params", "initial_params", "is_solved", "tries", "diverged"):
        expected = jax.tree.map(lambda leaf: leaf[members], getattr(kept, field))
        jax.tree.map(np.testing.assert_array_equal, getattr(found, field), expected)
    if number:
        assert found.first_try_rate == whole.first_try_rate


@fastest_counts
def test_chunks_of_architectures_are_kept():
    shapes = [(2, 3, 1), (2, 12, 1), (2, 3, 1), (2, 3, 1), (2, 9, 1), (2, 3, 1)]
    keys = KEYS[: len(shapes)]

    def run(key, features, widths):
        return jax.random.bits(key, (), "uint32") + jnp.uint32(sum(features))

    first, second = jg.fit_architectures(keys, shapes, run, chunk_size=2)
    assert [first.members.tolist(), second.members.tolist()] == [[0, 2, 3, 5], [1, 4]]
    expected = dict(zip([*first.members, *second.members], [*first.result, *second.result], strict=True))
    press = Press()
    see = pressing(press, lambda bits: bits == expected[3])
    with pytest.raises(Interrupted, match=r"\d of 6 were finished") as caught:
        jg.fit_architectures(keys, shapes, lambda *arguments: see(run(*arguments)), chunk_size=2)
    press.was_answered_at_once()
    found = caught.value.results
    assert {0, 2} <= set(caught.value.members) <= {0, 1, 2, 4}
    assert sorted(np.concatenate([group.members for group in found])) == caught.value.members.tolist()
    for group in found:
        np.testing.assert_array_equal(group.result, [expected[member] for member in group.members])
        assert [(2, *widths, 1) for widths in group.widths.tolist()] == [shapes[member] for member in group.members]


LEAVING = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from jaxgeom.host.threads import Threads

log = open(sys.argv[1], "w")
log.write("written")
try:
    with Threads(1) as threads:
        threads.submit(lambda _: threading.Event().wait(60), None)
        raise KeyboardInterrupt
except KeyboardInterrupt:
    if sys.argv[2] != "caught":
        raise
"""


@pytest.mark.parametrize(("what", "status"), [("caught", 0), ("uncaught", 130)])
def test_a_program_that_leaves_work_behind_ends_as_others_do(what: str, status: int, tmp_path: Path) -> None:
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", LEAVING, str(tmp_path / "log"), what], check=False, timeout=50)
    assert done.returncode == status
    assert (tmp_path / "log").read_text() == "written"
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("error", "status"), [(None, 0), (ValueError(), 1), (Interrupted("", np.arange(0), None), 130)]
)
def test_the_exit_status_is_that_of_the_interpreter(
    error: BaseException | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    assert _exit_status() == status


COUNTING = """
import os, signal, sys, threading, time
import jax, numpy as np
import jaxgeom as jg

signal.signal(signal.SIGINT, signal.default_int_handler)
rng, width, num = np.random.default_rng(0), 800, int(sys.argv[2])
layers = tuple(
    jg.Dense(rng.normal(size=(a, b)).astype("float32"), rng.normal(size=b).astype("float32"))
    for a, b in ((2, width), (width, width), (width, 1))
)

def one(layers, shift):
    (kernel, bias, _), *others = layers
    return jg.count_regions((jg.Dense(kernel, bias + shift), *others), jg.box()).count

shifts = np.linspace(0, 1, num).astype("float32")
count = jax.jit(lambda layers: jax.lax.map(lambda shift: one(layers, shift), shifts)).lower(layers).compile()
ways = {"wait": jax.block_until_ready, "copy": np.asarray}
pressed, heard = [], []

def press():
    time.sleep(0.3)
    pressed.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

def main(way):
    if way == "own":
        signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    threading.Thread(target=press).start()
    if way == "own":
        assert count(layers).tolist() == [one(layers, shift) for shift in shifts]
        assert heard == [signal.SIGINT]
        return
    try:
        ways[way](count(layers))
        raise AssertionError("not interrupted")
    except KeyboardInterrupt:
        pass
    assert int(jax.numpy.arange(3).sum()) == 3  # waits for the count
    print(time.monotonic() - pressed[0])
    before = time.monotonic()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(9)
    except KeyboardInterrupt:
        assert time.monotonic() - before < 9

main(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["wait", "copy"])
@fastest_counts
def test_control_c_ends_counts_inside_programs(way: str) -> None:
    done = subprocess.run(  # some hundred million regions, which take many seconds
        [sys.executable, "-c", COUNTING, way, "200"], check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    in_time(time.monotonic() - float(done.stdout), 1)


@pytest.mark.slow
def test_counts_inside_programs_go_on_where_control_c_means_something_else() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, "own", "3"], check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
