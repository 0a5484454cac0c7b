"""How many model-steps a second does jaxgeom train, against what one would use today?

A model-step is one step of the optimizer for one network. The workloads, each for populations of several sizes:

- A: three spirals, 2-10-10-3, minibatches of 32 in a new order every epoch, AdamW, softmax cross-entropy.
- B: XOR, 2-W-1 with W = 2, 20 and 100, full batches of 4 points, SGD, squared error.
- C: two rings, 2-W-1 for all W from 1 to 16, full batches of 2,000 points, Adam, binary cross-entropy.
- D: single networks with wide layers, SGD: XOR by 2-W-1 and 2-W-W-1, minibatches of 32 by 10-W-W-10 and 2-V-V-1, for
  W = 512 and V = 256.

The rivals are described in ``_rivals.py``: PyTorch in a loop and by ``torch.func``, with one thread and with all; Flax
and Optax in a loop, as ``vmap`` of a ``scan`` and as a plain ``scan`` of one network; and a C program for the sizes at
hand, the limit. All get the initial parameters and the order of the minibatches for nothing; jaxgeom draws both within
its time, with all cores and, beside that, with one thread on one core. PyTorch is left out where it is not installed,
and the C program where there is no compiler.

How it measures: for each workload and population, one process, all candidates in turns; the fastest of several calls
counts, but long calls are not repeated. What JAX spends on tracing and compiling is measured apart, through its own
events; the C program has a clock of its own, which leaves out compiling and packing. Members are all of the population,
or a few for the rivals that take one network after another; the steps are chosen so that a call takes about a third of
a second. Both stand in the JSON file, with all raw timings; nothing is extrapolated.

How it checks: in the same process, all candidates first train a few steps from the same parameters on the same
minibatches. Each rival's networks are compared with jaxgeom's: the worst loss over the training set must be within
LOSS_TOLERANCE, and a typical network's parameters (the median over networks of the largest difference) within
PARAM_TOLERANCE. Both are far above float32 rounding, since single networks drift: Adam's steps are as large for a
gradient that is all rounding as for any other, and a kink may be crossed a step later. A failed check raises an error,
after the record is written.

Besides, it measures for workload A what records and snapshots cost, and how long jaxgeom compiles by depth, members and
steps.

    pip install -e ".[bench]" && python benchmarks/training.py
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple, TypeAlias
from unittest import mock

import _rivals
import jax
import numpy as np
from _record import Timing, environment, interleaved, write_json
from _rivals import Job, Problem, Rival, Stack

import jaxgeom as jg
from jaxgeom.training import native

OURS = "jaxgeom"
ALONE = "jaxgeom, 1 thread"
LOSS_TOLERANCE = 1e-3
PARAM_TOLERANCE = 1e-4
RECORD_TOLERANCE = 1e-5
MAX_SECONDS = 5.0
MAX_NUMBERS = 2**25
MAX_STEPS = 1_000_000
SECTIONS = ("A", "B", "C", "D", "recording", "compile")
LOSSES = {
    "softmax": jg.losses.softmax_cross_entropy,
    "binary": jg.losses.binary_cross_entropy,
    "squared": jg.losses.squared_error,
}
SIZES = [1, 16, 256, 4096, 10_000]
FULL = {
    "spirals": {"num_per_class": 1000, "hidden": [10, 10]},
    "seconds": 0.3,
    "repeats": 2,
    "populations": {"A": SIZES, "B": SIZES, "C": [1, 16, 256, 625], "D": [1]},
    "widths": {"B": [2, 20, 100], "C": list(range(1, 17)), "D": [512]},
    "loop_members": {"A": 4, "B": 4, "C": 1, "D": 1},
    "recording": {"members": 256, "steps": 1500},
    "compile": {"depths": [1, 2, 4, 8], "members": [16, 256, 4096], "steps": [75, 7500]},
}
TINY = {
    "spirals": {"num_per_class": 50, "hidden": [4]},
    "seconds": 0.0,
    "repeats": 1,
    "populations": {"A": [5], "B": [], "C": [2], "D": [1]},
    "widths": {"B": [2], "C": [2], "D": [24]},
    "loop_members": {"A": 1, "B": 2, "C": 1, "D": 1},
    "recording": {"members": 4, "steps": 150},
    "compile": {"depths": [2], "members": [4], "steps": [75]},
}
Results: TypeAlias = tuple[list[Stack], float | None]
"""Trained networks of each problem, and the seconds by the candidate's own clock if it has one."""


class Case(NamedTuple):
    """One line of the table: each problem with so many members."""

    workload: str
    title: str
    problems: tuple[Problem, ...]
    population: int
    """Networks of each problem."""
    check_steps: int
    """Steps to be compared, whole epochs."""
    loop_members: int
    """Networks of each problem for rivals that take one after another."""


class Candidate:
    """Trains when called, and keeps the seconds of its own clock."""

    def __init__(self, train: Callable[[], Results]) -> None:
        self.train = train
        self.own_seconds: list[float] = []

    def __call__(self) -> list[Stack]:
        trained, seconds = self.train()
        if seconds is not None:
            self.own_seconds.append(seconds)
        return trained

    def best(self, timing: Timing) -> float:
        return min(self.own_seconds) if self.own_seconds else timing.best


def spirals(settings: dict[str, Any]) -> Problem:
    sizes = settings["spirals"]
    data, _ = jg.split(jax.random.key(1), jg.spirals(jax.random.key(0), num_per_class=sizes["num_per_class"]))
    return Problem((2, *sizes["hidden"], 3), *map(np.asarray, data), "softmax", ("adamw", 1e-3, 1e-2), batch=32)


def xor(width: int) -> Problem:
    return Problem((2, width, 1), *map(np.asarray, jg.parity(2)), "squared", ("sgd", 0.1))


def rings(width: int) -> Problem:
    data = jg.rings(jax.random.key(0))
    return Problem((2, width, 1), *map(np.asarray, data), "binary", ("adam", 1e-3))


def wide(width: int) -> list[Problem]:
    """Single networks of which a step is enough work for all cores, or has few points for many units."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(256, 10)).astype(np.float32), draw.integers(0, 10, 256).astype(np.int32)
    corners = tuple(map(np.asarray, jg.parity(2)))
    return [
        xor(width),
        Problem((2, width, width, 1), *corners, "squared", ("sgd", 0.01)),
        Problem((10, width, width, 10), x, y, "softmax", ("sgd", 0.01), batch=32),
        Problem((2, width // 2, width // 2, 1), x[:, :2], x[:, 2:3], "squared", ("sgd", 0.01), batch=32),
    ]


def make_cases(workload: str, settings: dict[str, Any]) -> list[Case]:
    populations, widths = settings["populations"][workload], settings["widths"].get(workload)
    few = settings["loop_members"][workload]
    if workload == "A":
        return [Case("A", "spirals", (spirals(settings),), num, 75, few) for num in populations]
    if workload == "B":
        return [Case("B", f"XOR, width {w}", (xor(w),), num, 50, few) for w in widths for num in populations]
    if workload == "D":
        problems = [problem for w in widths for problem in wide(w)]
        titled = [("-".join(map(str, problem.widths)), problem) for problem in problems]
        return [Case("D", title, (problem,), num, 16, few) for title, problem in titled for num in populations]
    problems = tuple(map(rings, widths))
    return [Case("C", "rings, all widths", problems, num, 25 if num <= 16 else 5, few) for num in populations]


# jaxgeom


def jaxgeom_run(problem: Problem, num_steps: int, **options: Any) -> Callable[..., jg.Fit]:
    """Whole epochs of one network, perhaps padded."""
    optimizer, data = _rivals.optax_optimizer(problem.optimizer), jg.Dataset(problem.x, problem.y)
    schedule = {"num_epochs": num_steps // problem.steps_per_epoch, "batch_size": problem.batch}

    def run(key: jax.Array, *widths: jax.Array) -> jg.Fit:
        model = jg.mlp(problem.widths, widths=tuple(widths[0])) if widths else problem.model
        return jg.fit(key, model, optimizer, LOSSES[problem.loss], data, **({"record": None} | schedule | options))

    return run


def jaxgeom_population(problem: Problem, keys: jax.Array, num_steps: int, **options: Any) -> Callable[[], jg.Fit]:
    """A population. Functions made by one call share their compiled program."""
    return partial(jg.fit_population, keys, jaxgeom_run(problem, num_steps, **options))


def jaxgeom_widths(
    problems: Sequence[Problem], keys: Sequence[jax.Array], num_steps: int
) -> Callable[[], list[jg.Fit]]:
    """Populations of several widths on one data set, in one program: narrow networks are padded."""
    if len(problems) == 1:
        train = jaxgeom_population(problems[0], keys[0], num_steps)
        return lambda: [train()]
    hidden = [problem.widths[1:-1] for problem in problems]
    widest = problems[0].widths[:1] + tuple(map(max, zip(*hidden, strict=True))) + problems[0].widths[-1:]
    run = jaxgeom_run(problems[0]._replace(widths=widest), num_steps)
    all_keys = jax.numpy.concatenate(keys)
    widths = np.repeat(np.array(hidden, np.int32), len(keys[0]), axis=0)

    def train_all() -> list[jg.Fit]:
        fit = jg.fit_population(all_keys, run, widths)
        return [unpadded(fit, widths_, i * len(keys[0]), len(keys[0])) for i, widths_ in enumerate(hidden)]

    return train_all


def unpadded(fit: jg.Fit, hidden: Sequence[int], start: int, num: int) -> jg.Fit:
    """Some networks of one width, without their padding."""

    def cut_out(params: Any) -> Any:
        sizes = [None, *hidden, None]
        members = slice(start, start + num)
        return {
            name: {
                "kernel": layer["kernel"][members, : sizes[i], : sizes[i + 1]],
                "bias": layer["bias"][members, : sizes[i + 1]],
            }
            for i, (name, layer) in enumerate(params.items())
        }

    return fit._replace(params=cut_out(fit.params), initial_params=cut_out(fit.initial_params))


def our_candidate(train: Callable[[], list[jg.Fit]]) -> Candidate:
    return Candidate(lambda: ([_rivals.as_stack(fit.params) for fit in train()], None))


def our_candidates(case: Case, keys: Sequence[jax.Array], steps: dict[str, int]) -> dict[str, Candidate]:
    """jaxgeom with all cores, and with one."""
    found = {}
    for name in steps:
        train = jaxgeom_widths(case.problems, keys, steps[name])
        found[name] = our_candidate(one_core(train) if name == ALONE else train)
    return found


def one_core(train: Callable[[], list[jg.Fit]]) -> Callable[[], list[jg.Fit]]:
    """The same, with one thread on one core; it must not have been called before."""

    def alone() -> list[jg.Fit]:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cores)})
        try:
            with mock.patch.object(native, "THREADS", 1):
                return train()
        finally:
            os.sched_setaffinity(0, cores)

    return alone


def rival_candidate(rival: Rival, jobs: Sequence[Job]) -> Candidate:
    calls = [rival(job) for job in jobs]

    def train() -> Results:
        results = [call() for call in calls]
        seconds = [own for _, own in results]
        return [params for params, _ in results], None if None in seconds else sum(seconds)

    return Candidate(train)


# Workloads


def measure(case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    """Check all candidates on a few steps, then time them on as many as fill the time."""
    found, loops = _rivals.rivals(num_cores())
    if case.workload == "D":
        found.pop("C", None)  # its layers are on the stack, which does not hold these
    ours = (OURS, ALONE) if num_cores() > 1 and hasattr(os, "sched_setaffinity") else (OURS,)
    names = [*ours, *found]
    keys = [
        jax.random.split(jax.random.fold_in(jax.random.key(2), index), case.population)
        for index, _ in enumerate(case.problems)
    ]
    members = {name: min(case.population, case.loop_members) if name in loops else case.population for name in names}
    train = jaxgeom_widths(case.problems, keys, case.check_steps)
    fits = interleaved({OURS: train}, repeats=1)[OURS]
    starts = [_rivals.as_stack(fit.initial_params) for fit in fits.result]

    def make_rivals(num_steps: dict[str, int]) -> dict[str, Candidate]:
        most = max(num_steps.values())
        jobs = [_rivals.make_job(*each, most) for each in zip(case.problems, keys, starts, strict=True)]
        return {
            name: rival_candidate(found[name], [_rivals.cut(job, members[name], steps) for job in jobs])
            for name, steps in num_steps.items()
        }

    candidates = our_candidates(case, keys, dict.fromkeys(ours, case.check_steps))
    candidates |= make_rivals(dict.fromkeys(found, case.check_steps))
    timings = interleaved(candidates, repeats=2 if settings["seconds"] else 1, max_seconds=1.0)
    checks = {name: compare(case, timings[OURS].result, timings[name].result) for name in names if name != OURS}
    compiling = {name: timing.compile_seconds[0] for name, timing in timings.items()}
    compiling[OURS] = fits.compile_seconds[0]
    steps = dict.fromkeys(names, case.check_steps)
    for _ in range(2):  # a short call is mostly what calls take anyway, so that the first guess may be too low
        longer = {}
        for name, timing in timings.items():
            best = candidates[name].best(timing)
            if (
                best < settings["seconds"] / 2
                and (number := choose_steps(case, steps[name], best, settings["seconds"])) > steps[name]
            ):
                longer[name] = steps[name] = number
        if not longer:
            break
        of_rivals = {name: number for name, number in longer.items() if name not in ours}
        candidates |= our_candidates(case, keys, {name: longer[name] for name in ours if name in longer})
        candidates |= make_rivals(of_rivals) if of_rivals else {}
        timings = interleaved({name: candidates[name] for name in longer}, repeats=1, max_seconds=MAX_SECONDS)
    del fits
    for candidate in candidates.values():
        candidate.own_seconds.clear()
    timings = interleaved(candidates, repeats=settings["repeats"], max_seconds=MAX_SECONDS)
    rows = {}
    for name in names:
        seconds = candidates[name].best(timings[name])
        total = members[name] * len(case.problems)
        raw = {"seconds": timings[name].seconds, "compile_seconds": timings[name].compile_seconds}
        rows[name] = {
            "members": total,
            "steps": steps[name],
            "seconds": seconds,
            "model_steps_per_second": total * steps[name] / seconds,
            "check_compile_seconds": compiling[name],
            "raw": raw | ({"own_seconds": own} if (own := candidates[name].own_seconds) else {}),
        }
        if name in checks:
            rows[name]["check"] = checks[name]
    rate = rows[OURS]["model_steps_per_second"]
    for row in rows.values():
        row["jaxgeom_is_faster_by"] = rate / row["model_steps_per_second"]
        if flops := flops_per_step(case):
            row["gflops"] = flops * row["model_steps_per_second"] / 1e9
    first = case.problems[0]
    description = {
        "workload": case.workload,
        "title": case.title,
        "widths": [problem.widths for problem in case.problems],
        "population": case.population,
        "points": len(first.x),
        "batch": first.batch,
        "optimizer": first.optimizer,
        "loss": first.loss,
        "flops_per_model_step": flops_per_step(case),
    }
    return description | {"candidates": rows}


def choose_steps(case: Case, steps: int, seconds: float, wanted: float) -> int:
    """Steps that take about as long as wanted, if so many take so many seconds: multiples of those checked, as far as
    memory allows."""
    points = case.problems[0].batch
    numbers = case.population * (points or 1)  # per step: the C program keeps all losses, and minibatches have rows
    most = min(MAX_STEPS, MAX_NUMBERS // numbers) // case.check_steps
    return case.check_steps * max(1, min(most, int(wanted / seconds * steps / case.check_steps)))


def compare(case: Case, ours: list[Stack], theirs: list[Stack]) -> dict[str, Any]:
    """Differences between the networks that both have trained."""
    each = [_rivals.differences(*group) for group in zip(case.problems, ours, theirs, strict=True)]
    losses, params = np.concatenate(each, axis=1)
    worst_loss, typical_params = float(np.max(losses)), float(np.median(params))
    return {
        "members": len(losses),
        "steps": case.check_steps,
        "largest_loss_difference": worst_loss,
        "median_loss_difference": float(np.median(losses)),
        "largest_param_difference": float(np.max(params)),
        "median_param_difference": typical_params,
        "agrees": worst_loss <= LOSS_TOLERANCE and typical_params <= PARAM_TOLERANCE,
    }


def flops_per_step(case: Case) -> float | None:
    """Of the matrix products, as the C program counts them; a mean over widths."""
    if _rivals._limit is None:
        return None
    each = [_rivals._limit.flops_per_step(problem.widths, problem.batch or len(problem.x)) for problem in case.problems]
    return sum(each) / len(each)


def num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Records and compilation


def measure_recording(settings: dict[str, Any]) -> dict[str, Any]:
    """What records and snapshots cost, and whether they are right."""
    problem, steps = spirals(settings), settings["recording"]["steps"]
    keys = jax.random.split(jax.random.key(2), settings["recording"]["members"])
    options = {
        "nothing": {},
        "record every epoch": {"record": "epoch"},
        "loss of every batch": {"batch_losses": True},
        "snapshot every 100 steps": {"snapshot_every": 100},
    }
    candidates = {name: jaxgeom_population(problem, keys, steps, **given) for name, given in options.items()}
    timings = interleaved(candidates, repeats=settings["repeats"], max_seconds=4 * MAX_SECONDS)
    plain = timings["nothing"]
    rows = {}
    for name, timing in timings.items():
        fit, stack = timing.result, _rivals.as_stack(timing.result.params)
        _, differences = _rivals.differences(problem, _rivals.as_stack(plain.result.params), stack)
        rows[name] = {
            "seconds": timing.best,
            "overhead": timing.best / plain.best - 1,
            "compile_seconds": timing.compile_seconds[0],
            "raw_seconds": timing.seconds,
            "median_param_difference": float(np.median(differences)),
            "agrees": bool(np.median(differences) <= PARAM_TOLERANCE),
        }
        if fit.train_loss is not None:
            ends = {0: _rivals.as_stack(fit.initial_params), -1: stack}
            errors = [np.abs(fit.train_loss[:, at] - _rivals.train_losses(problem, end)) for at, end in ends.items()]
            rows[name]["largest_loss_error"] = error = float(np.max(errors))
            rows[name]["agrees"] &= error <= RECORD_TOLERANCE
    return {"members": len(keys), "steps": steps, "options": rows}


def measure_compile(settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds that JAX spends on tracing and compiling workload A: by hidden layers of width 10, members and steps."""
    sizes, problem = settings["compile"], spirals(settings)
    members, steps = min(sizes["members"]), min(sizes["steps"])

    @cache
    def seconds(depth: int, members: int, steps: int) -> list[float]:
        deep = problem._replace(widths=(2, *[10] * depth, 3))
        keys = jax.random.split(jax.random.key(2), members)
        # A new function each time, so that it is compiled anew.
        programs = {"": lambda: jaxgeom_population(deep, keys, steps)()}
        return interleaved(programs, repeats=settings["repeats"], max_seconds=MAX_SECONDS)[""].compile_seconds

    return {
        "default": {"depth": 2, "members": members, "steps": steps},
        "depth": {str(number): seconds(number, members, steps) for number in sizes["depths"]},
        "members": {str(number): seconds(2, number, steps) for number in sizes["members"]},
        "steps": {str(number): seconds(2, members, number) for number in sizes["steps"]},
    }


# Report


def table(cases: list[dict[str, Any]]) -> str:
    """Model-steps a second, and in brackets how many times jaxgeom's are more; of rivals the better number of
    threads."""

    def title_of(name: str) -> str:
        return name if name == ALONE else name.split(",")[0]

    titles = list(dict.fromkeys(title_of(name) for case in cases for name in case["candidates"]))
    lines = [f"{'model-steps a second':<22}{'networks':>9}" + "".join(f"{title:>18}" for title in titles)]
    for case in cases:
        rates = dict.fromkeys(titles, 0.0)
        for name, row in case["candidates"].items():
            rates[title_of(name)] = max(rates[title_of(name)], row["model_steps_per_second"])
        ours = rates.pop(OURS)
        cells = [short(ours)] + [f"{short(rate)} ({short(ours / rate)}x)" if rate else "" for rate in rates.values()]
        line = f"{case['workload'] + ' ' + case['title']:<22}{case['population'] * len(case['widths']):>9,}"
        lines.append(line + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def failures(record: dict[str, Any]) -> list[str]:
    failed = []
    for case in record["cases"]:
        for name, row in case["candidates"].items():
            if not row.get("check", {}).get("agrees", True):
                failed.append(f"{name} at {case['workload']} {case['title']}, {case['population']} networks")
    options = record.get("recording", {}).get("options", {})
    return failed + [name for name, row in options.items() if not row["agrees"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds; the figures mean nothing")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="parts to measure")
    parser.add_argument("--out", default="benchmarks/results/training.json", help="JSON file; default %(default)s")
    parser.add_argument("--populations", type=int, nargs="+", help="networks, for all workloads (of each width in C)")
    parser.add_argument("--seconds", type=float, help="time to fill by one call")
    parser.add_argument("--repeats", type=int, help="rounds of timing")
    given = parser.parse_args()
    settings: dict[str, Any] = dict(TINY if given.tiny else FULL)
    settings |= {name: value for name in ("seconds", "repeats") if (value := getattr(given, name)) is not None}
    if given.populations is not None:
        settings["populations"] = dict.fromkeys(("A", "B", "C"), given.populations) | {"D": [1]}
    jax.config.update("jax_enable_compilation_cache", False)
    found, _ = _rivals.rivals(num_cores())
    print(f"rivals: {', '.join(found)}", file=sys.stderr)
    if _rivals.torch is None:
        print('PyTorch is not installed, and left out: pip install -e ".[bench]"', file=sys.stderr)
    record: dict[str, Any] = {
        "environment": environment(("flax", "optax", "torch")),
        "settings": settings,
        "tolerance": {"largest_loss_difference": LOSS_TOLERANCE, "median_param_difference": PARAM_TOLERANCE},
        "cases": [],
    }
    if "C" in found:
        record["peak_gflops"] = {str(n): _rivals._limit.peak_gflops(n) for n in sorted({1, num_cores()})}
    for case in (case for name in ("A", "B", "C", "D") if name in given.only for case in make_cases(name, settings)):
        print(f"measuring {case.workload} {case.title}, {case.population} networks", file=sys.stderr, flush=True)
        record["cases"].append(measure(case, settings))
        write_json(given.out, record)
    for name, function in (("recording", measure_recording), ("compile", measure_compile)):
        if name in given.only:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            record[name] = function(settings)
    write_json(given.out, record)
    if record["cases"]:
        print(table(record["cases"]))
        checks = [row["check"] for case in record["cases"] for row in case["candidates"].values() if "check" in row]
        for name in ("largest_loss_difference", "median_param_difference"):
            worst = max(check[name] for check in checks)
            print(f"worst {name.replace('_', ' ')}: {worst:.1e} (tolerance {record['tolerance'][name]:.0e})")
    for name, row in record.get("recording", {}).get("options", {}).items():
        print(f"recording: {name:<26}{row['seconds']:>8.3f} s  {row['overhead']:>+7.1%}")
    for name in ("depth", "members", "steps"):
        times = record.get("compile", {}).get(name, {})
        if times:
            print(f"compile seconds by {name:<8}" + "".join(f"{k:>7}: {min(v):.2f}" for k, v in times.items()))
    if failed := failures(record):
        raise RuntimeError(f"jaxgeom and its rivals disagree: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
