"""[host] How far a study is, under way or left: what is finished, damaged and missing, and who works on it."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxgeom._reprs import readable
from jaxgeom.study.result import load, read_part
from jaxgeom.study.store import RESULT, chunk_path, holders, read_manifest

_FEWEST = 2
"""Chunks from which a rate can be told."""


@readable
class StudyStatus(NamedTuple):
    """Progress of a study in a directory; :func:`jaxgeom.study.load` gives its numbers so far."""

    num_networks: int
    """Networks of the whole study."""
    num_chunks: int
    """Chunks of the whole study."""
    is_finished: Bool[np.ndarray, "*axes"]
    """Whether each network, along the axes of the study but "step", is finished."""
    coords: dict[str, np.ndarray]
    """Values along these axes."""
    missing: tuple[int, ...]
    """Numbers of the chunks that are not computed yet."""
    damaged: tuple[int, ...]
    """Numbers of the chunks whose checksum is wrong, which will be computed again."""
    holders: tuple[str, ...]
    """Processes that are at work, in words: one, or that of each shard."""
    rate: float
    """Networks a second, from the times of the files; NaN where it cannot be told."""
    has_result: bool
    """Whether ``result.npz`` is there and is that of this study."""

    def _note(self) -> str:
        return finished_of(self.num_networks, self.is_finished)


def finished_of(num_networks: Any, is_finished: Any) -> str:
    """How many of the networks of a study or a zoo are finished, in words."""
    if not isinstance(is_finished, np.ndarray) or not isinstance(num_networks, int):
        return "networks unknown"
    done = int(is_finished.sum())
    return f"{done:,} of {num_networks:,} networks finished ({done * 100 // max(num_networks, 1)} %)"


def study_status(directory: str | os.PathLike[str]) -> StudyStatus:
    """Progress of the study in a directory, while it runs or afterwards.

    Nothing is written there, and processes at work are not disturbed. Every chunk is read and its checksum compared.

    Args:
        directory: of the study.

    Raises:
        ValueError: for a directory without a study, or with a damaged manifest.
        OSError: if it cannot be read.

    Example:
        >>> import tempfile, jaxgeom as jg
        >>> out, axes = tempfile.mkdtemp(), {"width": [3], "seed": range(5)}
        >>> measure = {"params": jg.study.parameters()}
        >>> study = jg.run_study(axes, measure, inputs=2, out=out, chunk_size=2, progress=False)
        >>> found = jg.study.study_status(out)
        >>> found.num_chunks, found.missing, found.has_result
        (3, (), True)
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    if manifest is None:
        raise ValueError(f"{str(directory)!r} is not the directory of a study: it has no study.json.")
    coords = {name: np.array(values) for name, values in manifest["coords"].items() if name != "step"}
    is_finished = np.zeros([len(values) for values in coords.values()], bool)
    missing: list[int] = []
    damaged: list[int] = []
    sizes, times = [], []
    for number in range(manifest["num_chunks"]):
        part = read_part(directory, number, manifest["digest"])
        path = chunk_path(directory, number)
        if part is not None:
            is_finished.flat[part[0]] = True
            sizes.append(len(part[0]))
            times.append(path.stat().st_mtime)
        else:
            (damaged if path.exists() else missing).append(number)
    return StudyStatus(
        is_finished.size,
        manifest["num_chunks"],
        is_finished,
        coords,
        tuple(missing),
        tuple(damaged),
        tuple(holders(directory)),
        rate(np.array(sizes, float), np.array(times)),
        _has_result(directory, manifest),
    )


def rate(sizes: np.ndarray, times: np.ndarray) -> float:
    """Networks a second: all that was finished after the first file, in the time since then; NaN for fewer than two."""
    if len(times) < _FEWEST or np.ptp(times) <= 0:
        return float("nan")
    return float((sizes.sum() - sizes[times.argmin()]) / np.ptp(times))


def _has_result(directory: Path, manifest: dict[str, Any]) -> bool:
    try:
        return bool(load(directory / RESULT).settings.get("digest") == manifest["digest"])
    except (OSError, ValueError):
        return False
