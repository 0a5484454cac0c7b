"""Studies that are interrupted, disturbed and spread out: the numbers are those of an undisturbed run, to the bit."""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import study_program

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.study.file import study_arguments
from jaxgeom.study import store

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, jg.Study]:
    """An undisturbed run, and its directory."""
    directory = tmp_path_factory.mktemp("study") / "whole"
    return directory, study_program.run(out=directory)


@pytest.fixture
def copy(whole: tuple[Path, jg.Study], tmp_path: Path) -> Path:
    """A copy of its directory without the final result."""
    shutil.copytree(whole[0], tmp_path / "copy")
    (tmp_path / "copy" / store.RESULT).unlink()
    return tmp_path / "copy"


def chunks(directory: Path) -> list[Path]:
    return sorted(directory.glob("chunk-*.npz"))


def assert_same(found: jg.Study, expected: jg.Study) -> None:
    assert set(found.variables) == set(expected.variables)
    for name, array in expected.variables.items():
        assert found.variables[name].tobytes() == array.tobytes(), name


def program(*arguments: str, **environment: str) -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    code = "import sys, study_program; study_program.main(sys.argv[1], *map(int, sys.argv[2:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )


def test_nothing_is_computed_twice(whole: tuple[Path, jg.Study], copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(chunks(copy)) == study_program.NUM_CHUNKS
    saved: list[int] = []
    monkeypatch.setattr(store, "save_chunk", lambda directory, number, *rest: saved.append(number))
    assert_same(study_program.run(out=copy), whole[1])
    assert saved == []


def test_missing_and_damaged_chunks_are_computed_again(whole: tuple[Path, jg.Study], copy: Path) -> None:
    paths = chunks(copy)
    before = {path: path.read_bytes() for path in paths}
    paths[0].unlink()
    paths[2].write_bytes(before[paths[2]][:-100])  # cut short
    paths[3].write_bytes(b"")
    paths[5].write_bytes(before[paths[4]])  # another chunk's
    flipped = bytearray(before[paths[7]])
    flipped[flipped.index(b"members.npy") + 160] ^= 1  # in the numbers themselves
    paths[7].write_bytes(flipped)
    assert_same(study_program.run(out=copy), whole[1])
    for path, content in before.items():
        with np.load(path) as found, np.load(whole[0] / path.name) as expected:
            assert set(found.files) == set(expected.files)
            assert all(found[name].tobytes() == expected[name].tobytes() for name in expected.files)
        assert len(content) == path.stat().st_size


def test_no_flipped_bit_goes_unseen(tmp_path: Path) -> None:
    arrays = {"members": np.arange(3), "x": np.linspace(0, 1, 3)}
    store.save_chunk(tmp_path, 0, "study", arrays)
    path = store.chunk_path(tmp_path, 0)
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        found = store.load_chunk(tmp_path, 0, "study")
        assert found is None or all(found[name].tobytes() == arrays[name].tobytes() for name in arrays), position
        assert found is None or set(found) == set(arrays)
    path.write_bytes(content)
    assert store.load_chunk(tmp_path, 0, "study") is not None
    assert store.load_chunk(tmp_path, 0, "another") is None


def test_unfinished_studies_can_be_read(whole: tuple[Path, jg.Study], copy: Path) -> None:
    for path in chunks(copy)[1:]:
        path.unlink()
    found, (_, expected) = jg.study.load(copy), whole
    is_there = ~np.isnan(found["total"][..., 0])
    assert is_there.sum() == 10
    np.testing.assert_array_equal(found.is_finished, is_there)
    assert expected.is_finished.all()
    for name, array in expected.variables.items():
        np.testing.assert_array_equal(found[name][is_there], array[is_there])
        assert np.isnan(found[name][~is_there]).all(), name
    assert np.isnan(found["diverged_step"].mean())  # an integer, which no mean passes over in silence
    assert "120 networks, 10 finished (8 %)" in repr(found)
    assert " finished (" not in repr(expected)


def test_another_description_is_refused(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.name != store.LOCK}
    with pytest.raises(ValueError, match=r"axes.width: \[2, 5, 9\] there, \[2, 5\] here"):
        study_program.run({**study_program.AXES, "width": [2, 5]}, out=copy)
    with pytest.raises(ValueError, match="key: 0 there, 1 here"):
        study_program.run(out=copy, key=1)
    with pytest.raises(ValueError, match="chunk_size: 10 there, 20 here"):
        study_program.run(out=copy, chunk_size=20)
    assert before == {path.name: path.read_bytes() for path in copy.iterdir() if path.name != store.LOCK}


@pytest.mark.slow
def test_a_description_that_fails_does_not_block_the_directory(whole: tuple[Path, jg.Study], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must give arrays with a leading axis"):
        jg.run_study(
            study_program.AXES,
            {"first": jg.study.of_population(lambda layers: np.zeros(3))},
            model=study_program.drawn,
            inputs=2,
            out=tmp_path / "new",
            progress=False,
        )
    assert_same(study_program.run(out=tmp_path / "new"), whole[1])


def test_a_full_disk_is_reported_and_spoils_nothing(
    whole: tuple[Path, jg.Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, calls = tmp_path / "full", os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device\. What was saved before is complete") as caught:
        study_program.run(out=out)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert not list(out.glob("*.tmp"))
    num_saved = len(chunks(out))
    assert 0 < num_saved < study_program.NUM_CHUNKS
    assert np.isfinite(jg.study.load(out).variables["total"]).sum() == 10 * num_saved
    assert_same(study_program.run(out=out), whole[1])


def test_an_unwritable_directory_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot write to the directory of the study"):
        study_program.run(out=tmp_path / "file" / "below")


def test_one_at_a_time(copy: Path) -> None:
    with store.locked(copy), pytest.raises(BlockingIOError, match=f"worked on by process {os.getpid()} on"):
        study_program.run(out=copy)
    study_program.run(out=copy)  # the lock is free again


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    stop = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < stop
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_and_interrupted_at_several_moments(whole: tuple[Path, jg.Study], tmp_path: Path) -> None:
    out = tmp_path / "killed"
    for num_wanted, number in ((0, signal.SIGHUP), (3, signal.SIGKILL), (8, signal.SIGINT)):
        process = program(str(out), STUDY_SLOWNESS="0.3")
        wait_for(lambda n=num_wanted: (out / store.MANIFEST).exists() and len(chunks(out)) >= n, process)  # type: ignore[misc]
        if num_wanted == 3:  # a second one is turned away, and disturbs nothing
            with pytest.raises(BlockingIOError, match=f"process {process.pid} on"):
                study_program.run(out=out)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode != 0
        assert num_wanted <= len(chunks(out)) < study_program.NUM_CHUNKS
    (out / "chunk-00009.npz.1.tmp").write_bytes(b"left over")
    assert_same(study_program.run(out=out), whole[1])
    assert not list(out.glob("*.tmp"))


@pytest.mark.slow
def test_eight_devices_give_the_same_bits(whole: tuple[Path, jg.Study], tmp_path: Path) -> None:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    process = program(str(tmp_path / "eight"), XLA_FLAGS=flags)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert "8 devices" in output
    assert_same(jg.study.load(tmp_path / "eight"), whole[1])


@pytest.mark.slow
def test_two_processes_give_the_same_bits(whole: tuple[Path, jg.Study], tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = tmp_path / "two"
    both = [program(str(out), str(number), "2", str(port)) for number in range(2)]
    try:
        outputs = [process.communicate(timeout=240)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], outputs
    for number in range(2):
        assert_same(jg.study.load(f"{out}-{number}.npz"), whole[1])
    assert_same(jg.study.load(out), whole[1])
    expected = study_program.population()
    for number in range(2):
        with np.load(f"{out}-{number}-population.npz") as found:
            assert [found[name].tobytes() for name in found] == [array.tobytes() for array in expected]
    study_program.zoo(str(tmp_path / "zoo"))
    shards = sorted(path.name for path in (tmp_path / "zoo").glob("*.safetensors"))
    assert len(shards) == 3
    for name in shards:
        assert (tmp_path / "two-zoo" / name).read_bytes() == (tmp_path / "zoo" / name).read_bytes()


@pytest.mark.slow
def test_study_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["study", str(ROOT / "examples" / "study.toml"), "--out", str(out), "--netcdf"]) == 0
    printed = capsys.readouterr()
    assert "exact number of linear regions" in printed.out
    assert "80/80" in printed.err
    study = jg.study.load(out)
    assert study.variables["regions"].shape == (2, 1, 20, 2, 3)
    assert study.variables["loss"][..., -1].mean() < study.variables["loss"][..., 0].mean()
    assert_same(jg.study.load(out / "result.nc"), study)


FILE: dict[str, Any] = {"axes": {"width": [2]}, "measure": {"r": {"what": "exact_regions", "domain": [-1, 1]}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axis": {}}, r"the file has the unknown key 'axis'; allowed are key, .* axes"),
        ({"axes": {"seed": {"start": 0, "end": 3}}}, r"'end'; allowed are start, stop, step"),
        ({"measure": {"r": {"what": "regions"}}}, "must be one of loss, accuracy, exact_regions"),
        ({"measure": {"r": {"what": "exact_regions", "domain": "disk"}}}, "the corners"),
        ({"measure": {"r": {"what": "exact_regions", "box": 1}}}, "'box'; allowed are domain, kind, min_area"),
        ({"measure": {"r": {"what": "exact_regions"}}}, "needs domain"),
        ({"data": {"name": "xor"}}, "must be one of spirals, "),
        ({"data": {"name": "spirals", "nose": 1}}, "'nose'; allowed are num_per_class, num_classes, noise, radius"),
        ({"optimizer": {"learning_rate": 1}}, "needs a `name`, one of sgd"),
        ({"model": {"features": [2, 3]}}, "'features'; allowed are activation"),
        ({"train": {"steps": 5}}, "'steps'; allowed are loss, num_epochs"),
        ({"train": {"loss": "mse"}}, "must be one of squared_error"),
        ({"measure": 3}, "must be a table"),
    ],
)
def test_unknown_keys_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study_arguments(FILE | changes)


def test_errors_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("axes = [")
    assert main(["study", str(tmp_path / "bad.toml")]) == 2
    assert "is not TOML" in capsys.readouterr().err
    assert main(["study", str(tmp_path / "none.toml")]) == 2
    assert "cannot read" in capsys.readouterr().err
