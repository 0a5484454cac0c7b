"""Zoos of trained networks: labels against other ways to them, the same bits after whatever ended the process."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from deadlines import fastest_counts, in_time

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.zoo.command import axes_of
from jaxgeom.study import shards, store, zoo_data
from jaxgeom.study import zoo as making

AXES: dict[str, Any] = {"width": 5, "noise": [0.1, 0.3], "learning_rate": [0.01, 0.03], "seed": range(20)}
AXES |= {"num_points": 60, "batch_size": 16, "num_epochs": 3}
OPTIONS: dict[str, Any] = {"labels": ["regions", "linear_regions", "boundary", "topology"], "progress": False}
OPTIONS |= {"shard_size": 8}
NUM_SHARDS = 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> jg.Zoo:
    """An undisturbed zoo."""
    return jg.zoo(AXES, out=tmp_path_factory.mktemp("zoo") / "whole", **OPTIONS)


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.glob("shard-*.safetensors"))}


def test_networks_and_labels(whole: jg.Zoo) -> None:
    """Number 47 is noise 0.1, rate 0.03, seed 7: trained by ``fit`` alone it has the same weights, and its labels are
    what the library and NumPy say of it."""
    found = whole.network(27)
    assert found.settings == whole.network(noise=0.1, learning_rate=0.03, seed=7).settings
    wanted = {"noise": 0.1, "seed": 7, "learning_rate": pytest.approx(0.03), "width": 5, "depth": 2}
    assert {name: found.settings[name] for name in wanted} == wanted
    of_data = {"data": "spirals", "noise": 0.1, "target": "labels", "num_points": 60, "train_fraction": 0.8}
    data = zoo_data.zoo_data(0, **of_data, data_seed=0)
    key = jax.random.split(jax.random.fold_in(jax.random.key(0), 7))[0]

    def run(key: Any) -> Any:
        model, loss = jg.mlp((2, 5, 5, 3)), jg.losses.softmax_cross_entropy
        return jg.fit(key, model, optax.adam(0.03), loss, data.train, num_epochs=3, batch_size=16, record=None).params

    (alone,) = (jax.tree.map(lambda a: a[0], jg.fit_population(key[None], run)),)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(dict(found.params)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    layers, domain = jg.layers_of(found.params), jg.box(-1, 1)
    boundary = jg.decision_boundary(jg.enumerate_regions(layers, domain))
    topology = jg.topology(layers, domain)
    expected = {
        "regions": jg.count_regions(layers, domain).count,
        "linear_regions": jg.count_regions(layers, domain, kind="linear").count,
        "boundary_length": boundary.length.sum(),
        "boundary_pieces": len(boundary.length),
        "components": topology.num_components,
        "holes": topology.num_holes,
        "boundaries": topology.num_boundaries,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found.labels[name], value, rtol=1e-12, err_msg=name)
    for split in ("train", "test"):
        x, y = (np.asarray(array) for array in getattr(data, split))
        outputs = np.asarray(jg.forward(layers, x).output)
        loss = np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(len(y)), y]
        assert found.labels[f"{split}_accuracy"] == pytest.approx((outputs.argmax(axis=1) == y).mean())
        assert found.labels[f"{split}_loss"] == pytest.approx(loss.mean(), rel=1e-4)
    study = jg.study.zoo_labels(whole)
    assert study["regions"].shape == (2, 2, 20)
    assert study.dims["holes"] == ("noise", "learning_rate", "seed", "class")
    assert whole["regions"].flat[27] == expected["regions"] == study["regions"][0, 1, 7]
    assert whole["seed"].tolist() == list(range(20))


@fastest_counts
def test_opened_fast_and_made_again_from_its_manifest_alone(whole: jg.Zoo, tmp_path: Path) -> None:
    start = time.monotonic()
    jg.open_zoo(whole.directory).network(42)
    in_time(start, 0.1)  # a hundredth of that where nothing else runs
    shutil.copy(whole.directory / shards.MANIFEST, tmp_path)
    again = jg.study.shard_again(tmp_path, 7)
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: np.asarray(array).tobytes() for name, array in whole.shard(7).items()
    }
    manifest = json.loads((tmp_path / shards.MANIFEST).read_text())
    assert {"key", "licence", "versions", "groups", "keys", "axes"} <= set(manifest)
    assert manifest["groups"][0]["splits"] == {"train": 48, "test": 12}


def test_missing_and_damaged_shards_are_made_again(whole: jg.Zoo, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole.directory, copy)
    before, paths = files(copy), sorted(copy.glob("shard-*"))
    paths[0].unlink()
    paths[2].write_bytes(before[paths[2].name][:-100])
    paths[3].write_bytes(b"")
    paths[5].write_bytes(before[paths[4].name])
    flipped = bytearray(before[paths[7].name])
    flipped[-5] ^= 1
    paths[7].write_bytes(flipped)
    part = jg.open_zoo(copy)
    assert part.is_finished.tolist() == [False] + [True] * 9
    with pytest.raises(ValueError, match="network 0 is in shard 0, which is not finished yet"):
        part.network(0)
    with pytest.raises(ValueError, match="not shard 5 of this zoo"):
        part.shard(5)
    jg.zoo(AXES, out=copy, **OPTIONS)
    assert files(copy) == before


def test_killed_and_interrupted(whole: jg.Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "killed"
    code = (
        "import time; import jaxgeom as jg; from jaxgeom.study import zoo as making; real = making.write_shard\n"
        "def write(*arguments): real(*arguments); time.sleep(600)\n"  # until it is killed, however slow the machine
        f"making.write_shard = write; jg.zoo({AXES!r}, out={str(out)!r}, **{OPTIONS!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    while len(files(out)) < 1 and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1 <= len(files(out)) < NUM_SHARDS
    (out / "shard-00009.safetensors.1.tmp").write_bytes(b"left over")
    real, num = shards.write_shard, len(files(out))

    def write(*arguments: Any) -> None:
        real(*arguments)
        if len(files(out)) == num + 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(making, "write_shard", write)
    with pytest.raises(KeyboardInterrupt, match="the same call goes on from there"):
        jg.zoo(AXES, out=out, **OPTIONS)
    assert num + 2 <= len(files(out)) < NUM_SHARDS
    monkeypatch.undo()
    jg.zoo(AXES, out=out, **OPTIONS)
    assert files(out) == {
        name: content.replace(whole.manifest["digest"].encode(), b"")
        for name, content in files(whole.directory).items()
    } or files(out) == files(whole.directory)
    assert not list(out.glob("*.tmp"))


def test_a_full_disk_spoils_nothing(whole: jg.Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device\. What was saved before is complete"):
        jg.zoo(AXES, out=tmp_path / "full", **OPTIONS)
    monkeypatch.undo()
    saved = files(tmp_path / "full")
    assert 0 < len(saved) < NUM_SHARDS
    assert not list((tmp_path / "full").glob("*.tmp"))
    assert saved.items() <= files(whole.directory).items()


def test_a_finished_zoo_on_a_disk_that_cannot_be_written(
    whole: jg.Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole.directory, copy)
    listed = sorted(path.name for path in copy.iterdir())
    real = os.open

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    assert jg.zoo(AXES, out=copy, **OPTIONS).is_finished.all()
    assert main(["zoo", "--out", str(copy), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "80 networks in 10 shards" in said
    assert "written" not in said
    assert main(["zoo", "--out", str(copy), "--status"]) == 0
    assert "80 of 80 networks (100 %) are finished" in capsys.readouterr().out
    with pytest.raises(ValueError, match="holds another zoo"):
        jg.zoo(AXES | {"noise": 0.2}, out=copy, **OPTIONS)
    for content in (b"", None):  # what is not finished cannot be gone on with
        path = shards.shard_path(copy, 4)
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(OSError, match="cannot write to the directory of the zoo: Read-only file system"):
            jg.zoo(AXES, out=copy, **OPTIONS)
    assert sorted([*(path.name for path in copy.iterdir()), path.name]) == listed


def test_status(whole: jg.Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shards hold eight of the forty networks of each noise: rates and seeds, rates first."""
    copy = tmp_path / "copy"
    shutil.copytree(whole.directory, copy)
    for number in range(6, 10):
        shards.shard_path(copy, number).unlink()
    shards.shard_path(copy, 1).write_bytes(shards.shard_path(copy, 0).read_bytes())
    for number in (0, 2, 3, 4, 5):
        os.utime(shards.shard_path(copy, number), (1000.0 + number, 1000.0 + number))
    found = jg.study.zoo_status(copy)
    assert (found.num_networks, found.num_shards, found.missing, found.damaged) == (80, 10, (6, 7, 8, 9), (1,))
    assert found.holders == ()
    assert found.rate == 4 * 8 / 5  # networks of all but the first, in five seconds
    expected = np.zeros((2, 2, 20), bool)
    expected[0, 0, :8] = expected[0, 0, 16:] = expected[0, 1] = expected[1, 0, :8] = True
    np.testing.assert_array_equal(found.is_finished, expected)
    assert "40 of 80 networks finished (50 %)" in repr(found)
    with store.locked(copy, "zoo"):
        assert main(["zoo", "--out", str(copy), "--status"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("40 of 80 networks (50 %) are finished, in 5 of 10 shards\ndamaged shards, which")
    assert f"at work: process {os.getpid()} on" in said
    assert "about 0.1 minutes are left, at 6.4 networks a second" in said
    assert "noise: 0.1 80%, 0.3 20%" in said
    assert main(["zoo", "--out", str(tmp_path), "--status"]) == 2
    assert capsys.readouterr().err == f"error: {str(tmp_path)!r} is no zoo: it has no zoo.json.\n"


def test_a_shard_that_was_written_anew_is_read_anew(whole: jg.Zoo, tmp_path: Path) -> None:
    shutil.copytree(whole.directory, tmp_path / "zoo")
    found = jg.open_zoo(tmp_path / "zoo")
    path = shards.shard_path(found.directory, 0)
    before = dict(found.shard(0))
    assert found.shard(0) is found.shard(0)
    changed = {name: np.array(array) for name, array in before.items()}
    changed["label.regions"] += 1
    shards.write_shard(found.directory, 0, found.manifest["digest"], changed)
    np.testing.assert_array_equal(found.shard(0)["label.regions"], whole.shard(0)["label.regions"] + 1)
    np.testing.assert_array_equal(before["label.regions"], whole.shard(0)["label.regions"])  # is still mapped
    assert found.network(0).labels["regions"] == whole.network(0).labels["regions"] + 1
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"header is longer than the file\. The zoo command, or jaxgeom\.zoo, makes"):
        found.network(0)
    path.unlink()
    with pytest.raises(ValueError, match=r"shard 0 of the zoo .* cannot be read: No such file"):
        found.network(0)


def test_refusals(whole: jg.Zoo, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    other = tmp_path / "other"
    other.mkdir()
    manifest = whole.manifest | {"format": "jaxgeom zoo 9"}
    store.write_manifest(other, manifest, shards.MANIFEST)  # whatever a later version takes for its digest
    (tmp_path / "file").write_text("in the way")
    for axes, options, message in (
        ({"widht": [3]}, {}, "an axis of a zoo must be one of data, noise, .* but 'widht' was given"),
        ({"data": ["spirals", "swirls"]}, {}, "data of a zoo must be one of spirals, .* but 'swirls'"),
        ({"width": [0, 3]}, {}, "width of a zoo must be a positive integer, but 0"),
        ({"seed": [-1, 2]}, {}, "seeds are integers from 0"),
        (AXES | {"batch_size": 5000}, {}, "larger than the 48 points"),
        (AXES | {"activation": "sin"}, {}, "piecewise linear"),
        ({}, {"labels": ["volume"]}, "a label of a zoo must be one of regions, .* but 'volume'"),
        ({}, {"domain": (1, -1)}, "domain must be the low and the high end"),
        ({}, {"out": foreign}, "holds 'thesis.tex' and no zoo"),
        ({}, {"out": other}, "format 'jaxgeom zoo 9'"),
        ({}, {"out": tmp_path / "file" / "below"}, "cannot write to the directory of the zoo"),
        (AXES, {"out": whole.directory, "labels": ["regions"]}, r"differ in:\n  labels: [^\n]*$"),
        (AXES | {"noise": [0.1, 0.2]}, {"out": whole.directory}, r"another zoo.*\n  axes.noise: \[0.1, 0.3\] there"),
        (AXES | {"noise": [0.1, 0.3]}, {"out": whole.directory, "key": 1}, "key: 0 there, 1 here"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            jg.zoo(axes, **{"out": tmp_path / "new", **OPTIONS, **options})
    assert (foreign / "thesis.tex").read_text() == "mine"
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match=r"is no zoo: it has no zoo\.json"):
        jg.open_zoo(foreign)
    with pytest.raises(ValueError, match="format 'jaxgeom zoo 9'; this version knows format 'jaxgeom zoo 1'"):
        jg.open_zoo(other)
    for wrong, message in (({"number": 80}, "networks 0 to 79"), ({"seed": 3}, "those of 4 networks")):
        with pytest.raises(ValueError, match=message):
            whole.network(**wrong)
    with pytest.raises(ValueError, match="the zoo has the labels train_loss"):
        whole["colour"]


def test_examples_for_training_loops(whole: jg.Zoo) -> None:
    examples = jg.study.ZooExamples(whole, "regions", noise=0.3)
    assert len(examples) == 40
    weights, regions = examples[np.array([39, 0, 7])]
    params = whole.network(47).params
    assert weights.shape == (3, 2 * 5 + 5 + 5 * 5 + 5 + 5 * 3 + 3)
    first = params["dense0_relu"]
    np.testing.assert_array_equal(weights[2][:15], np.append(first["kernel"], first["bias"]))
    assert regions.tolist() == whole["regions"][1].ravel()[[39, 0, 7]].tolist()
    fetched = examples.__getitems__([39, 0, 7])
    assert [int(label) for _, label in fetched] == regions.tolist()
    np.testing.assert_array_equal(fetched[2][0], examples[7][0])
    seen = [label for _, labels in jg.study.zoo_batches(examples, 8, seed=3) for label in labels]
    assert sorted(seen) == sorted(whole["regions"][1].ravel())
    assert seen != [label for _, labels in jg.study.zoo_batches(examples, 8, seed=4) for label in labels]
    with pytest.raises(ValueError, match="more than the 40 networks"):
        jg.study.zoo_batches(examples, 50)
    with pytest.raises(IndexError, match="there are 40 networks"):
        examples[40]


def test_canonical_form(whole: jg.Zoo) -> None:
    """Permuted and scaled networks get one form, which computes the same."""
    params = shards.params_of(whole.shard(0))
    names, rng = list(params), np.random.default_rng(0)
    moved = {name: dict(layer) for name, layer in params.items()}
    for name, following in pairwise(names):
        order, scale = rng.permutation(5), 2.0 ** rng.integers(-3, 4, 5).astype(np.float32)
        moved[name] = {part: array[..., order] * scale for part, array in moved[name].items()}
        moved[following]["kernel"] = moved[following]["kernel"][:, order] / scale[:, None]
    one, other = map(jax.jit(jg.canonical_form), (params, moved))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    x = rng.uniform(-1, 1, (50, 2))
    for member in (0, 5):
        before, after = (jg.forward(jg.layers_of(jax.tree.map(lambda a: a[member], p)), x) for p in (params, one))  # noqa: B023
        np.testing.assert_allclose(before.output, after.output, rtol=1e-4, atol=1e-5)
        bias = np.asarray(one["dense0_relu"]["bias"][member])
        assert (np.diff(bias) >= 0).all()
        np.testing.assert_allclose(
            bias**2 + (np.asarray(one["dense0_relu"]["kernel"][member]) ** 2).sum(0), 1, rtol=1e-5
        )
    tanh = {name.replace("relu", "tanh"): layer for name, layer in params.items()}
    sorted_only = jax.jit(jg.canonical_form)(tanh)["dense0_tanh"]["bias"]
    np.testing.assert_array_equal(sorted_only, np.sort(params["dense0_relu"]["bias"]))


@pytest.mark.parametrize("exponent", [-100, -66, 66, 100])
def test_canonical_form_of_weights_whose_squares_are_no_floats(exponent: int) -> None:
    params = jg.mlp((2, 5, 1), activation="relu").init(jax.random.key(0))
    scale = np.float32(2.0) ** exponent
    moved = {
        "dense0_relu": {part: array * scale for part, array in params["dense0_relu"].items()},
        "dense1_linear": params["dense1_linear"] | {"kernel": params["dense1_linear"]["kernel"] / scale},
    }
    for a, b in zip(*(jax.tree.leaves(jg.canonical_form(p)) for p in (params, moved)), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError, match="by the names of its layers, but tuple was given"):
        jg.canonical_form(jg.layers_of(params))


def test_command(whole: jg.Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert axes_of(["width=8,10", "seed=0:3", "data=spirals", "noise=0.1"]) == {
        "width": [8, 10],
        "seed": [0, 1, 2],
        "data": "spirals",
        "noise": 0.1,
    }
    assert main(["zoo", "--out", str(whole.directory), "--quiet"]) == 0
    assert "80 networks in 10 shards" in capsys.readouterr().out
    assert main(["zoo", "--out", str(whole.directory), "--check"]) == 0
    assert "comes out again to the bit" in capsys.readouterr().out
    assert main(["zoo", "width", "--out", str(whole.directory)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
