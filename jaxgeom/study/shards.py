"""[host] The shards of a zoo: files of named arrays in the safetensors format, which say of which zoo they are.

Weights are ``dense0_relu.kernel`` (networks, in, out), ``dense0_relu.bias`` and so on, labels ``label.NAME``, and
``network``, ``seed`` and ``learning_rate`` say which networks they are.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom._typing import Params
from jaxgeom.networks.readers.safetensors_files import read_arrays
from jaxgeom.networks.writers.safetensors_files import header_of
from jaxgeom.study.store import CHECKSUM, ZOO_MANIFEST, checksum, write_atomically

MANIFEST = ZOO_MANIFEST
NOTE = "jaxgeom.zoo"
"""Under this name a shard says, as JSON, the digest of its zoo, its number and its checksum."""
LABEL = "label."


def shard_path(directory: Path, number: int) -> Path:
    """Where a shard is kept."""
    return directory / f"shard-{number:05d}.safetensors"


def write_shard(directory: Path, number: int, zoo: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Save a finished shard, whole or not at all.

    Args:
        directory: of the zoo.
        number: of the shard.
        zoo: digest of the zoo's manifest.
        arrays: what to save.
    """
    plain = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    note = json.dumps({"zoo": zoo, "shard": number, CHECKSUM: checksum(zoo, number, plain)})
    content = b"".join([header_of(plain, {NOTE: note}), *(array.tobytes() for array in plain.values())])
    write_atomically(shard_path(directory, number), content)


def read_shard(directory: Path, number: int, zoo: str) -> dict[str, np.ndarray]:
    """The arrays of a shard, memory-mapped; its checksum is not looked at.

    Raises:
        ValueError: for a file that is none, or of another zoo.
    """
    again = "The zoo command, or jaxgeom.zoo, makes the shard again."
    try:
        arrays, note = _read(directory, number)
    except ValueError as error:
        raise ValueError(f"{error} {again}") from error
    if note.get("zoo") != zoo or note.get("shard") != number:
        raise ValueError(f"{shard_path(directory, number).name} is not shard {number} of this zoo. {again}")
    return arrays


def check_shard(directory: Path, number: int, zoo: str) -> bool:
    """Whether there is a shard, and it is to the bit as it was saved."""
    try:
        arrays, note = _read(directory, number)
        return note == {"zoo": zoo, "shard": number, CHECKSUM: checksum(zoo, number, arrays)}
    except ValueError:
        return False


def params_of(arrays: Mapping[str, np.ndarray]) -> Params:
    """The weights among the arrays of a shard, as :func:`jaxgeom.mlp` has them."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        layer, _, part = name.rpartition(".")
        if part in ("kernel", "bias"):
            found.setdefault(layer, {})[part] = array
    return found


def labels_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The labels among the arrays of a shard."""
    return {name.removeprefix(LABEL): array for name, array in arrays.items() if name.startswith(LABEL)}


def _read(directory: Path, number: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, notes = read_arrays(shard_path(directory, number))
    try:
        note = json.loads(notes[NOTE])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{shard_path(directory, number).name} is no shard of a zoo.") from error
    return arrays, note
