"""[edge] Named arrays as one text: a table of what lies where, and all bytes compressed, in base64."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

ALIGNMENT = 8
"""Bytes at whose multiples arrays begin, as typed arrays of JavaScript have to."""
TEXT_PER_BYTE = 4 / 3
"""Characters of base64 for each byte."""


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], str]:
    """The table, ``{name: [dtype, shape, first byte]}``, and the bytes in base64; little-endian."""
    table, pieces, place = {}, [], 0
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        table[name] = [array.dtype.name, list(array.shape), place]
        content += bytes(-len(content) % ALIGNMENT)
        pieces.append(content)
        place += len(content)
    return table, base64.b64encode(zlib.compress(b"".join(pieces), 9)).decode()


def num_packed(arrays: Mapping[str, np.ndarray]) -> float:
    """About how many characters arrays take."""
    return TEXT_PER_BYTE * sum(
        len(zlib.compress(np.ascontiguousarray(array).tobytes(), 1)) for array in arrays.values()
    )
