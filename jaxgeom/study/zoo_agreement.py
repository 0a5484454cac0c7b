"""[host] How far a shard that was made again agrees with the one that was saved."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxgeom._reprs import readable
from jaxgeom.study.shards import LABEL, params_of

START, END, SHARE = 1e-5, 1e-3, 0.9
"""What is asked of other versions and devices: of every network, the loss before training agrees to ``START``; of this
share, each weight and label to ``END``, and whole numbers are the same. All relative to 1 or the number, whichever is
larger. Roundings grow with training, in few networks without bound: where the general path, not the engine, trains
networks 2-10-10-3 for 750 steps of Adam, their losses before training differ by at most 6e-7, weights by 3e-6 in the
median and by 3e-5 in nine of ten networks, but by up to 0.02 in one of a hundred."""


@readable
class Agreement(NamedTuple):
    """A shard that was made again beside the saved one."""

    differing: tuple[str, ...]
    """Arrays that are not the same to the bit."""
    start: Float[np.ndarray, " networks"]
    """How far the losses before training are apart."""
    end: Float[np.ndarray, " networks"]
    """The largest difference of any weight or label of each network."""
    is_close: Bool[np.ndarray, " networks"]
    """Whether all numbers of a network are within the tolerance."""

    @property
    def is_within_tolerance(self) -> bool:
        """Whether the shard agrees as far as is asked of other versions."""
        return bool((self.start <= START).all() and self.is_close.mean() >= SHARE)


def agreement(saved: Mapping[str, np.ndarray], again: Mapping[str, np.ndarray]) -> Agreement:
    """Compare two shards of the same networks, array by array.

    Raises:
        ValueError: for shards with other arrays, or of other networks.
    """
    exact = ("network", "seed", "learning_rate")
    if set(saved) != set(again) or any(not np.array_equal(saved[name], again[name]) for name in exact):
        raise ValueError("the shard that was made again has other networks or labels than the saved one.")
    differing = tuple(name for name in saved if not np.array_equal(saved[name], again[name], equal_nan=True))
    start, end = (np.zeros(len(saved["network"])) for _ in range(2))
    is_close = np.ones(len(start), bool)
    weights = {f"{layer}.{part}" for layer, parts in params_of(saved).items() for part in parts}
    for name in differing:
        apart = _apart(saved[name], again[name])
        if name == f"{LABEL}initial_loss":
            start = apart
        end = np.maximum(end, apart)
        is_whole = name not in weights and saved[name].dtype.kind != "f"
        is_close &= apart <= (0 if is_whole else END)
    return Agreement(differing, start, end, is_close)


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The largest difference of each network's numbers, relative to 1 or the number itself; NaN are equal."""
    first, second = (np.asarray(array, np.float64).reshape(len(array), -1) for array in (one, other))
    with np.errstate(invalid="ignore"):
        found = np.abs(first - second) / np.maximum(1, np.abs(first))
    found = np.where((first == second) | (np.isnan(first) & np.isnan(second)), 0, found)
    largest: np.ndarray = np.where(np.isnan(found), np.inf, found).max(axis=1)
    return largest
