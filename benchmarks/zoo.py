"""What does a zoo of trained networks with exact counts take, and what is it good for?

Networks 2-10-10-3, 750 steps of Adam on three spirals in minibatches of 32, in a process of its own: seconds, memory,
size on disk, and what a million would take at that rate. Then how long one network takes to open, whether a zoo that
is killed goes on to the same files, and how much an ordinary regression from weights tells of the exact counts.

    python benchmarks/zoo.py                        32,768 networks; writes benchmarks/results/zoo.json
    python benchmarks/zoo.py --million              the million itself; the rest stays in the record
    python benchmarks/zoo.py --million --every-label   with linear regions, boundaries and topology as well
    python benchmarks/zoo.py --tiny                 try everything out in seconds; the figures mean nothing
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _record import environment, write_json

import jaxgeom as jg

NETWORKS = 32_768
EVERY_LABEL = ["regions", "linear_regions", "boundary", "topology"]


def axes_of(num: int, num_epochs: int) -> dict[str, Any]:
    return {"seed": range(num), "num_epochs": num_epochs}


def made(directory: Path, num: int, num_epochs: int, labels: list[str]) -> dict[str, Any]:
    """A zoo made in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--child", str(directory), str(num), str(num_epochs), *labels]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    inner, megabytes = json.loads(done.stdout.splitlines()[-1])
    return {
        "networks": num,
        "labels": labels,
        "seconds": seconds,
        "seconds_without_imports": inner,
        "peak_megabytes": megabytes,
        "megabytes_on_disk": sum(path.stat().st_size for path in directory.iterdir()) / 1e6,
        "networks_per_second": num / inner,
        "minutes_for_a_million": 1e6 / num * inner / 60,
    }


def child(directory: str, num: str, num_epochs: str, *labels: str) -> None:
    start = time.perf_counter()
    jg.zoo(axes_of(int(num), int(num_epochs)), out=directory, labels=labels, progress=False)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000]))


def opened(directory: Path, repeats: int) -> dict[str, float]:
    """Milliseconds until a network is read, from the directory and from an open zoo."""
    zoo, random = jg.open_zoo(directory), np.random.default_rng(0)
    numbers = random.integers(0, zoo.num_networks, repeats).tolist()

    def milliseconds(function: Any) -> float:
        times = []
        for number in numbers:
            start = time.perf_counter()
            np.concatenate([part.ravel() for layer in function(number).params.values() for part in layer.values()])
            times.append(time.perf_counter() - start)
        return 1e3 * float(np.median(times))

    from_directory = milliseconds(lambda number: jg.open_zoo(directory).network(number))
    return {"from_directory": from_directory, "from_open_zoo": milliseconds(zoo.network)}


def killed(directory: Path, expected: Path, num: int, num_epochs: int, num_kills: int) -> dict[str, Any]:
    """Whether a zoo that is killed again and again ends with the same files."""
    command = [sys.executable, __file__, "--child", str(directory), str(num), str(num_epochs), "regions"]
    shards = []
    for _ in range(num_kills):
        before = len(list(directory.glob("*.safetensors")))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and len(list(directory.glob("*.safetensors"))) <= before:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        shards.append(len(list(directory.glob("*.safetensors"))))
    subprocess.run(command, check=True, capture_output=True)
    same = all(path.read_bytes() == (directory / path.name).read_bytes() for path in expected.glob("*.safetensors"))
    return {"shards_after_each_kill": shards, "identical": same}


def explained(directory: Path) -> dict[str, float]:
    """Held-out R² of least squares from weights to exact counts; of few networks this means nothing."""
    zoo, found = jg.open_zoo(directory), {}
    for canonical in (False, True):
        examples = jg.study.ZooExamples(zoo, "regions", canonical=canonical)
        weights, counts = examples[np.arange(len(examples))]
        for name, features in (("linear", weights), ("squares", np.concatenate([weights, weights**2], axis=1))):
            found[f"{name}{', canonical form' if canonical else ''}"] = held_out(features, counts)
    return found


def held_out(features: np.ndarray, counts: np.ndarray) -> float:
    train = np.arange(len(counts)) < len(counts) * 4 // 5
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0) + 1e-9
    design = np.append(np.clip((features - mean) / deviation, -8, 8), np.ones((len(features), 1)), axis=1)
    square = design[train].T @ design[train] + 1e-3 * train.sum() * np.eye(design.shape[1])
    residual = counts - design @ np.linalg.solve(square, design[train].T @ counts[train])
    return float(1 - (residual[~train] ** 2).mean() / counts[~train].var())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true", help="a million networks, and nothing else")
    parser.add_argument("--every-label", action="store_true", help="with --million: all that geometry says")
    parser.add_argument("--tiny", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "zoo.json"))
    parser.add_argument("--keep", metavar="DIR", help="keep the zoo there")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return 0
    num, num_epochs, few, kills = (200, 1, 64, 1) if options.tiny else (NETWORKS, 10, 2048, 3)
    path = Path(options.out)
    before = json.loads(path.read_text()) if path.exists() else {}
    record: dict[str, Any] = {"environment": environment(["optax", "flax"])}
    with tempfile.TemporaryDirectory() as directory:
        place = Path(options.keep or f"{directory}/zoo")
        if options.million:
            labels, name = (EVERY_LABEL, "million_every_label") if options.every_label else (["regions"], "million")
            found = made(place, 200 if options.tiny else 1_000_000, num_epochs, labels)
            before[name] = record | found | {"milliseconds_to_open": opened(place, 20)}
            print(json.dumps(before[name], indent=2))
            write_json(options.out, before)
            return 0
        record["counts"] = made(place, num, num_epochs, ["regions"])
        record["milliseconds_to_open"] = opened(place, 20)
        record["explained"] = explained(place)
        record["all_labels"] = made(Path(directory) / "labels", few, num_epochs, EVERY_LABEL)
        record["killed"] = killed(Path(directory) / "killed", place, num, num_epochs, kills)
    record |= {name: before[name] for name in ("million", "million_every_label") if name in before}
    print(json.dumps(record, indent=2))
    write_json(options.out, record)
    return 0 if record["killed"]["identical"] else 1


if __name__ == "__main__":
    sys.exit(main())
