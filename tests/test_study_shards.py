"""Shards, status and launch files of studies: the bits of one run, what is missing or damaged, bad directories."""

import errno
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.study.tables import text_of
from jaxgeom.study import store

STUDY = """
chunk_size = 4
[axes]
width = [3]
seed = {stop = 14}
[train]
inputs = 2
[measure.regions]
what = "exact_regions"
domain = [-1, 1]
"""
SEEDS = 14


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(STUDY)
    return tmp_path / "small.toml"


def counts(**changes: Any) -> jg.Study:
    measure = {"regions": jg.study.exact_regions(jg.box(-1, 1))}
    arguments: dict[str, Any] = {"inputs": 2, "chunk_size": 4, "progress": False}
    return jg.run_study({"width": [3], "seed": range(SEEDS)}, measure, **arguments | changes)


def command(*arguments: Any) -> int:
    return main(["study", *map(str, arguments)])


def test_shards_make_the_study(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, expected = file.parent / "out", counts()
    assert command(file, "--out", out, "--shard", "1/3", "--quiet") == 0
    assert "4 of 14 networks (28 %) of the study are finished; other shards" in capsys.readouterr().out
    assert [path.name for path in sorted(out.glob("chunk*"))] == ["chunk-00001.npz"]
    part = jg.study.load(out)
    assert part.is_finished.sum() == 4
    assert np.isnan(part["regions"][~part.is_finished]).all()
    status = jg.study.study_status(out)
    assert (status.num_chunks, status.missing, status.damaged, status.holders) == (4, (0, 2, 3), (), ())
    np.testing.assert_array_equal(status.is_finished, part.is_finished)
    assert not status.has_result

    assert command(file, "--out", out, "--shard", "0/3", "--quiet") == 0
    (out / "chunk-00001.npz").write_bytes(b"damaged")  # and the task of shard 1 is put back into the queue
    (out / "chunk-00002.npz.7.tmp").write_bytes(b"of another shard, which is at work")
    (out / "chunk-00001.npz.7.tmp").write_bytes(b"left over")
    assert jg.study.study_status(out).damaged == (1,)
    before = (out / "chunk-00000.npz").stat().st_mtime_ns
    assert command(file, "--out", out, "--shard", "1/3", "--quiet") == 0
    assert [path.name for path in out.glob("*.tmp")] == ["chunk-00002.npz.7.tmp"]
    assert not (out / "result.npz").exists()
    assert command(file, "--out", out, "--shard", "2/3", "--quiet") == 0
    assert (out / "chunk-00000.npz").stat().st_mtime_ns == before
    found = jg.study.load(out / "result.npz")
    for name, array in expected.variables.items():
        assert found[name].tobytes() == array.tobytes()
    assert jg.study.study_status(out).has_result


def test_status_while_it_runs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.parent / "out"
    for shard in (0, 2):
        counts(out=out, shard=(shard, 4))
    for number, time in ((0, 1000.0), (2, 1002.0)):
        os.utime(out / f"chunk-{number:05d}.npz", (time, time))
    capsys.readouterr()
    with store.locked(out, shard=store.Shard(3, 4)):
        assert command(file, "--out", out, "--status") == 0
        text = capsys.readouterr().out
        assert "8 of 14 networks (57 %) are finished, in 2 of 4 chunks" in text
        assert re.search(rf"at work: shard 3: process {os.getpid()} on ", text)
        assert "about 0.1 minutes are left, at 2.0 networks a second" in text  # 4 networks in the 2 s after the first
        assert "written" not in text
        with pytest.raises(BlockingIOError, match=f"worked on by process {os.getpid()}"):
            counts(out=out)
        with pytest.raises(ValueError, match="holds another study"):
            counts(out=out, shard=(1, 4), key=1)
        counts(out=out, shard=(1, 4))
    assert command(out, "--status") == 0
    assert "at work: no process\nthe command that began it goes on with it" in capsys.readouterr().out


def test_a_finished_study_on_a_disk_that_cannot_be_written(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = file.parent / "out", os.open
    expected = counts(out=out)

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        patched.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
        np.testing.assert_array_equal(counts(out=out)["regions"], expected["regions"])
        assert command(file, "--out", out, "--quiet") == 0
        said = capsys.readouterr().out
        assert "exact number of linear regions" in said
        assert "written" not in said
        with pytest.raises(ValueError, match="holds another study"):
            counts(out=out, key=1)
        (out / "chunk-00001.npz").write_bytes(b"damaged")
        with pytest.raises(OSError, match="cannot write to the directory of the study: Read-only file system"):
            counts(out=out)
    np.testing.assert_array_equal(counts(out=out)["regions"], expected["regions"])


def test_launch_files(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out = file.parent / "an out"
    monkeypatch.chdir(file.parent)
    assert command("small.toml", "--out", "an out", "--slurm", 3, "--sbatch=--time=2:00:00", "--any-versions") == 0
    path = out / "study.sbatch"
    assert "study.sbatch submits it" in capsys.readouterr().out
    lines = path.read_text().splitlines()
    for line in ("--array=0-2", "--requeue", "--time=2:00:00", f'--output="{out}/slurm-%a.out"'):
        assert f"#SBATCH {line}" in lines
    assert [line[:8] for line in lines[1:]].index("") == len([line for line in lines if line[:7] == "#SBATCH"])
    (file.parent / "python").write_text('#!/bin/bash\nprintf "%s\\n" "$@" > called\n')
    (file.parent / "python").chmod(0o755)
    text = re.sub(r"^exec \S+", f"exec {file.parent}/python", path.read_text(), flags=re.M)
    path.write_text(text)
    subprocess.run(["bash", path], check=True, env=os.environ | {"SLURM_ARRAY_TASK_ID": "2"})
    called = (file.parent / "called").read_text().splitlines()
    assert called[:2] == ["-m", "jaxgeom"]
    assert main(called[2:]) == 0  # the task's own command
    assert [chunk.name for chunk in out.glob("chunk*")] == ["chunk-00002.npz"]


def test_comparisons_of_the_command_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = file.parent / "first", file.parent / "second.npz"
    a, b = counts(out=first), counts(key=1)
    jg.study.save(b, second)
    assert command(first, "--compare", second, "--out", file.parent / "both") == 0
    text = capsys.readouterr().out
    assert "key: 0 in the first, 1 in the second" in text
    assert "over independent networks" in text
    rows = (file.parent / "both" / "compare.csv").read_text().splitlines()
    assert rows[0] == "variable,width,step,first,second,difference,low,high,num"
    (row,) = [row.split(",") for row in rows if row.startswith("regions,")]
    means = [study["regions"].mean() for study in (a, b)]
    np.testing.assert_allclose([float(item) for item in row[3:6]], [*means, means[1] - means[0]])
    assert f"{means[0]:>10.4g} {means[1]:>10.4g}" in text
    assert "\ndiverged_step\n" not in text  # no table of a variable that is the same everywhere, but a line
    assert re.search(r"^the same in both: .*\bdiverged_step\b", text, re.M)
    assert command(first, "--compare", first) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("the same in both: ")


def test_numbers_of_a_comparison_stand_below_each_other() -> None:
    def made(key: int) -> jg.Study:
        names = {"plain": 1, "with a name that is longer than the column of short ones": 2}
        axes = {"width": [3, 12], "seed": range(3), "shift": names}
        measure = {"noise": lambda seed, shift, params: seed * shift + params["dense0_relu"]["bias"].sum()}
        return jg.run_study(axes, measure, inputs=2, key=key, progress=False)

    lines = [line for line in text_of(jg.study.compare(made(0), made(1))).splitlines() if line.endswith("3 networks")]
    assert len(lines) == 4
    assert len({line.index("[") for line in lines}) == 1


BAD: list[tuple[list[Any], str]] = [
    (["small.toml", "--shard", "3/3"], "a shard is I/N with I from 0 to N - 1, such as 0/8, but '3/3' was given"),
    (["small.toml", "--shard", "9/20"], "has 4 chunks, which as many shards can compute, but shard 9 of 20"),
    (["small.toml", "--slurm", "5"], "so that --slurm takes at most 4 tasks, but 5"),
    (["small.toml", "--slurm", "0"], "takes 1 to 100,000 tasks, but 0"),
    (["small.toml", "--slurm", "2", "--sbatch=time"], "begin with two strokes"),
    (["small.toml", "--sbatch=--time=1"], "--sbatch is for --slurm N"),
    (["none.toml", "--slurm", "2"], "cannot read 'none.toml'"),
    (["small.toml", "--compare", "small.toml"], "from directories or results"),
    (["none", "--compare", "none"], "a study is a directory, or a file .npz or .nc"),
    (["none.npz", "--compare", "none.npz"], "No such file"),
    (["none.toml", "--status"], "'out.none' is not the directory of a study: it has no study.json"),
    (["none", "--status"], "--status takes a directory of a study or its .toml file, but 'none' is not there"),
    (["none.npz", "--status"], "--status takes a directory of a study or its .toml file, but 'none.npz'"),
    (["small.toml", "--out", "a zoo"], "is the directory of a zoo. Give the study one of its own"),
    (
        ["small.toml", "--out", "foreign"],
        "damaged, or nothing that jaxgeom wrote .it says of no study.. Give",
    ),
    (["small.toml", "--out", "thesis"], "holds 'thesis.tex' and no study; give the study an empty directory"),
    (["small.toml", "--merge", "none"], "but --out was not given; add --out FILE.npz"),
    (["small.toml", "--merge", "none", "--out", "both.txt"], "but 'both.txt' was given; add --out FILE.npz"),
    (["small.toml", "--merge", "none", "--out", "there.npz"], "is there already"),
    (["none.npz", "--merge", "none.npz", "--out", "new.npz"], "No such file"),
    (["small.toml", "--out", "later"], "was written by another version of jaxgeom, in format 9; this version knows"),
    (["later", "--status"], "in format 9"),
    (["small.toml", "--out", "small.toml"], "cannot write to the directory of the study"),
    (["small.toml", "--out", "/proc/none"], "cannot write to the directory of the study"),
]


@pytest.mark.usefixtures("unchecked")
def test_what_is_bad_ends_in_one_line(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    for name, manifest, content in (
        ("a zoo", "zoo.json", "{}"),
        ("foreign", "study.json", '{"subject": "of somebody else"}'),
        ("later", "study.json", json.dumps({"format": 9, "digest": "x"})),
    ):
        Path(name).mkdir()
        (Path(name) / manifest).write_text(content)
    Path("there.npz").write_text("mine")
    Path("thesis").mkdir()
    Path("thesis/thesis.tex").write_text("mine")
    before = {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()}
    for arguments, message in BAD:
        assert command(*arguments, "--quiet") == 2, arguments
        printed = capsys.readouterr()
        assert printed.err.startswith("error: "), printed.err
        assert printed.err.count("\n") == 1, printed.err
        assert re.search(message, printed.err), (arguments, printed.err)
    assert before == {path: path.read_bytes() for path in before}


def test_studies_are_merged_by_the_command(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = file.parent
    for name, seeds in (("first", range(9)), ("second", range(9, SEEDS))):
        arguments: dict[str, Any] = {"inputs": 2, "progress": False, "out": folder / name}
        measure = {"regions": jg.study.exact_regions(jg.box(-1, 1))}
        jg.run_study({"width": [3], "seed": seeds}, measure, **arguments)
    assert command(folder / "first", "--merge", folder / "second", "--out", folder / "both.npz") == 0
    assert "seed 14, step 1: 14 of 14 networks (100 %) are finished" in capsys.readouterr().out
    np.testing.assert_array_equal(jg.study.load(folder / "both.npz")["regions"], counts()["regions"])


def test_a_full_disk_loses_nothing(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    out = file.parent / "out"
    counts(out=out, shard=(0, 2))
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert command(file, "--out", out, "--shard", "1/2", "--quiet") == 2
    assert "No space left on device. What was saved before is complete" in capsys.readouterr().err
    monkeypatch.undo()
    assert jg.study.load(out).is_finished.sum() >= 6
    counts(out=out, shard=(1, 2))
    assert jg.study.load(out / "result.npz").is_finished.all()


def test_a_read_only_directory_can_be_looked_at(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = file.parent / "out", os.open
    counts(out=out)

    def read_only(path: Any, flags: int, *rest: Any, **others: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *rest, **others)

    monkeypatch.setattr(os, "open", read_only)
    assert command(out, "--status") == 0
    assert "14 of 14 networks (100 %)" in capsys.readouterr().out
    assert command(file, "--out", out, "--quiet") == 2
    assert "cannot write to the directory of the study: Read-only file system" in capsys.readouterr().err
