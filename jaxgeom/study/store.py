"""[host] The directory of a study: what it is, and every finished chunk, in files that are whole or not there.

``study.json`` holds the description, its digest and the versions; ``chunk-00012.npz`` the arrays of one chunk with
their checksum; ``lock`` belongs to whoever is at work. A file is written under another name, flushed to the disk and
then renamed, so that being killed at any moment leaves the old file or the new one. The lock is the operating
system's and ends with its process, however that ends. Shards of one study, each the work of a process of its own, hold
it together, and each ``lock-00003`` for itself.
"""

import errno
import hashlib
import io
import json
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgeom.study.describe import digest

MANIFEST = "study.json"
LOCK = "lock"
RESULT = "result.npz"
CHECKSUM = "sha256"
_LEFT_OVER = re.compile(r"(chunk-\d+\.npz|shard-\d+\.safetensors|(study|zoo)\.json|result\.(npz|nc))\.\d+\.tmp")
ZOO_MANIFEST = "zoo.json"
_OTHERS = {"study": ZOO_MANIFEST, "zoo": MANIFEST}
"""Manifests that no directory of a study, or of a zoo, has."""
_OF_BOTH = r"lock.*|.*\.tmp|\..*|__pycache__"
_OWN = {
    "study": rf"{_OF_BOTH}|(chunk|result).*\.(npz|nc)|compare\.csv|.*\.(sbatch|toml|py|out|err|log)",
    "zoo": _OF_BOTH,
}
"""Files that may be where a study or a zoo begins: of a study also its description, and what a queue writes."""
FORMAT, ZOO_FORMAT = 1, "jaxgeom zoo 1"
"""Of manifests and chunks; what has another one was written by another version."""
_FORMATS = {MANIFEST: FORMAT, ZOO_MANIFEST: ZOO_FORMAT}
_TRIES, _PAUSE = 3, 0.1
"""Attempts at a lock, which whoever asks for the status holds for a moment, and seconds between them."""
_NOT_DIGESTED = ("digest", "created", "other_versions")


def chunk_path(directory: Path, number: int) -> Path:
    """Where a chunk is kept."""
    return directory / f"chunk-{number:05d}.npz"


def has_chunks(directory: Path) -> bool:
    """Whether anything has been finished."""
    return any(directory.glob("chunk-*.npz"))


class Shard(NamedTuple):
    """A part of a study that one of several processes computes: every ``num``-th chunk, from ``index`` on."""

    number: int
    num: int

    def has(self, chunk: int) -> bool:
        """Whether a chunk is one of the shard's."""
        return chunk % self.num == self.number


def check_is_own(directory: Path, what: str = "study") -> None:
    """Raise a ValueError for a directory with other files than those of a study or a zoo, and without its manifest."""
    if not directory.is_dir() or any((directory / name).exists() for name in _OTHERS.values()):
        return
    foreign = sorted(path.name for path in directory.iterdir() if not re.fullmatch(_OWN[what], path.name))
    if foreign:
        raise ValueError(
            f"{str(directory)!r} holds {foreign[0]!r} and no {what}; give the {what} an empty directory, or a new one."
        )


def is_writable(directory: Path) -> bool:
    """Whether a study or a zoo can be begun or gone on with there. What is finished can be read all the same."""
    return not directory.is_dir() or os.access(directory, os.W_OK)


@contextmanager
def locked(directory: Path, what: str = "study", shard: Shard | None = None) -> Iterator[None]:
    """Hold the directory of a study or a zoo, or a shard of it beside others, creating it if need be.

    Raises:
        OSError: if it cannot be written, or another process holds it; the message says which.
        ValueError: for the directory of a zoo instead of a study, or the other way round.
    """
    if (directory / _OTHERS[what]).exists():
        other = "zoo" if what == "study" else "study"
        raise ValueError(f"{str(directory)!r} is the directory of a {other}. Give the {what} one of its own.")
    names = [LOCK] if shard is None else [LOCK, f"{LOCK}-{shard.number:05d}"]
    descriptors: list[int] = []
    try:
        for name in names:
            descriptors.append(_opened(directory, name, what))
            _take(descriptors[-1], directory, what, is_shared=shard is not None and name == LOCK)
        for left_over in directory.glob("*.tmp"):
            match = _LEFT_OVER.fullmatch(left_over.name)
            chunk = match and re.match(r"chunk-(\d+)", left_over.name)
            if match and (shard is None or (chunk and shard.has(int(chunk[1])))):
                left_over.unlink()
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@contextmanager
def beginning(directory: Path) -> Iterator[None]:
    """Hold what shards do one after another: look for the manifest and write it, and the result."""
    import fcntl

    descriptor = _opened(directory, f"{LOCK}-{MANIFEST}", "study")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def holders(directory: Path) -> list[str]:
    """Who is at work in a directory, in words: one process, or that of each shard."""
    import fcntl

    found = []
    shards = [path for path in sorted(directory.glob(f"{LOCK}-*")) if path.name != f"{LOCK}-{MANIFEST}"]
    for path in [directory / LOCK, *shards]:
        with suppress(OSError), open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                shard = f"shard {int(path.name.removeprefix(f'{LOCK}-'))}: " if path.name != LOCK else ""
                found.append(shard + (file.read(4096).decode(errors="replace").strip() or "another process"))
    return found


def _opened(directory: Path, name: str, what: str) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory / name, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write to the directory of the {what}: {error.strerror}", str(directory)
        ) from error


def _take(descriptor: int, directory: Path, what: str, is_shared: bool) -> None:
    import fcntl  # not on Windows, where studies run without a directory

    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    try:
        for attempt in range(1, _TRIES + 1):
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                break
            except OSError as error:
                if attempt == _TRIES or error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                time.sleep(_PAUSE)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise OSError(error.errno, f"cannot lock the {what}: {error.strerror}", str(directory)) from error
        holder = os.pread(descriptor, 4096, 0).decode(errors="replace").strip() or "another process"
        raise BlockingIOError(
            errno.EWOULDBLOCK,
            f"the {what} is being worked on by {holder}. Wait for it, or give this {what} another directory",
            str(directory),
        ) from error
    since = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(OSError):  # on a full disk it is locked without saying by whom
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()} since {since}".encode(), 0)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there, whatever happens.

    Raises:
        OSError: if that fails; nothing is left behind, and an older file of that name stays.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OSError(
            error.errno,
            f"cannot save: {error.strerror}. What was saved before is complete, and the same call goes on from there",
            str(path),
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_directory(path.parent)


def _flush_directory(directory: Path) -> None:
    with suppress(OSError):  # some file systems refuse, and keep the order by themselves
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_manifest(directory: Path, name: str = MANIFEST) -> dict[str, Any] | None:
    """The manifest, or None if there is none.

    Raises:
        ValueError: if it is damaged, or in a format of another version.
    """
    try:
        content = (directory / name).read_bytes()
    except FileNotFoundError:
        return None
    path = str(directory / name)
    try:
        manifest = json.loads(content)
        if not isinstance(manifest, dict) or "digest" not in manifest:
            raise ValueError("it says of no study")
        known = _FORMATS[name]
        given = manifest.get("format", known)
        if given == known and manifest["digest"] != manifest_digest(manifest):
            raise ValueError("it is not as it was written")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path!r} is damaged, or nothing that jaxgeom wrote ({error}). Give another directory; to start anew "
            "here, move its files away."
        ) from error
    if given != known:
        raise ValueError(
            f"{path!r} was written by another version of jaxgeom, in format {given!r}; this version knows format "
            f"{known!r}. Use that version, or give another directory."
        )
    return manifest


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """A digest of all that is fixed when a study begins."""
    return digest({name: item for name, item in manifest.items() if name not in _NOT_DIGESTED})


def put_aside(directory: Path, study: str) -> None:
    """Rename the result of another study than that of this digest, which nothing else may be left of."""
    path = directory / RESULT
    if path.exists():
        path.rename(path.with_name(f"result-before-{study[:8]}.npz"))


def write_manifest(directory: Path, manifest: Mapping[str, Any], name: str = MANIFEST) -> None:
    """Write the manifest."""
    write_atomically(directory / name, (json.dumps(manifest, indent=1) + "\n").encode())


def save_chunk(directory: Path, number: int, study: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Save a finished chunk.

    Args:
        directory: of the study.
        number: of the chunk.
        study: digest of the study's description.
        arrays: what to save.
    """
    write_atomically(chunk_path(directory, number), packed(arrays, checksum(study, number, arrays)))


def load_chunk(directory: Path, number: int, study: str) -> dict[str, np.ndarray] | None:
    """A finished chunk, or None if there is none, or it is not as it was saved."""
    try:
        with open(chunk_path(directory, number), "rb") as file, np.load(file) as archive:
            arrays = dict(archive)
        written = arrays.pop(CHECKSUM).tobytes().hex()
    except FileNotFoundError:
        return None
    except Exception:  # a damaged archive fails in many ways
        return None
    return arrays if written == checksum(study, number, arrays) else None


def packed(arrays: Mapping[str, np.ndarray], written: str) -> bytes:
    """Arrays and their checksum as the content of an .npz file."""
    buffer = io.BytesIO()
    everything: dict[str, Any] = {**arrays, CHECKSUM: np.frombuffer(bytes.fromhex(written), np.uint8)}
    np.savez(buffer, **everything)
    return buffer.getvalue()


def checksum(study: str, number: int, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over what a chunk is and all that it holds."""
    found = hashlib.sha256(f"{study} {number}".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
