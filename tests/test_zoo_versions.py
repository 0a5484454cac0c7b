"""Zoos in other versions of Python and JAX: data have the same bits, shards come out again to a stated tolerance."""

import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.study import shards, zoo_data
from jaxgeom.study.zoo_agreement import agreement

DIGESTS = {
    "spirals": "6f29ec72f953be66",
    "rings": "5586947547c70985",
    "disk_with_holes": "3e6b5a0fcd5ffaec",
    "line_segments": "09086078bc57563b",
    "moons": "fed750648b81232e",
    "circles": "e31d412c7742c5a5",
    "blobs": "6a0e3d4322f10ebe",
    "checkerboard": "b41db32f063b1754",
}


@pytest.mark.parametrize("name", zoo_data.SOURCES)
def test_data_have_the_same_bits_in_all_versions(name: str) -> None:
    """Digests as drawn by JAX 0.10.1 and 0.12; and the points are those of ``jaxgeom.datasets``, to rounding."""
    given: dict[str, Any] = {"noise": 0.2, "target": "labels", "num_points": 60, "train_fraction": 0.8, "data_seed": 3}
    found = zoo_data.zoo_data(5, data=name, **given)
    assert found.sha256[:16] == DIGESTS[name]
    of_draw = jax.random.fold_in(jax.random.fold_in(jax.random.key(5), 1), 3)
    draw_key, noise_key, split_key, _ = jax.random.split(of_draw, 4)
    x, y = {
        "spirals": lambda key: jg.spirals(key, num_per_class=20, noise=0.2),
        "rings": lambda key: jg.rings(key, num_per_class=30),
        "disk_with_holes": lambda key: jg.disk_with_holes(key, num_negative=30, num_positive=30),
        "line_segments": lambda key: jg.line_segments(key, num_per_segment=3),
        "moons": lambda key: jg.datasets.moons(key, num_points=60),
        "circles": lambda key: jg.datasets.circles(key, num_points=60, factor=0.5),
        "blobs": lambda key: jg.datasets.blobs(key, num_points=60),
        "checkerboard": lambda key: jg.datasets.checkerboard(key, num_points=60),
    }[name](draw_key)
    source = zoo_data.SOURCES[name]
    x = (np.asarray(x) - np.array(source.center)) / source.half_side
    x = x if name == "spirals" else x + 0.2 * np.asarray(jax.random.normal(noise_key, x.shape))
    train, test = jg.split(split_key, jg.Dataset(x.astype(np.float32), y), train_fraction=0.8)
    for one, other in ((found.train, train), (found.test, test)):
        np.testing.assert_allclose(one.x, other.x, rtol=0, atol=2e-6)
        np.testing.assert_array_equal(one.y, other.y)


def test_shards_of_other_versions_come_out_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made by Python 3.13 and JAX 0.12: ``jaxgeom zoo width=3 data=disk_with_holes init=he seed=0:8 num_points=60
    batch_size=16 num_epochs=20 --labels regions topology --licence CC0``."""
    zoo = jg.open_zoo(Path(__file__).parent / "zoo_of_other_versions")
    saved = {name: np.array(array) for name, array in zoo.shard(0).items()}
    found = agreement(saved, jg.study.shard_again(zoo.directory, 0))
    assert found.is_within_tolerance, found
    for status, factor, regions, message in (
        (0, 1 + 1e-6, 0, "to the tolerance of other versions: losses before training agree to"),
        (2, 1.1, 0, "beyond the tolerance of other versions"),
        (2, 1, 1, "other numbers in label.regions, beyond"),
    ):
        copy = tmp_path / f"{factor}"
        copy.mkdir()
        shutil.copy(zoo.directory / shards.MANIFEST, copy)
        other = {n: a * np.float32(factor) if n.endswith("kernel") else a for n, a in saved.items()}
        other["label.regions"] = other["label.regions"] + regions
        shards.write_shard(copy, 0, zoo.manifest["digest"], other)
        assert main(["zoo", "--out", str(copy), "--check"]) == status
        said = capsys.readouterr()
        assert message in said.out + said.err
