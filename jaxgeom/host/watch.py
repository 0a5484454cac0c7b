"""What a training that is watched tells the host, and what the host gives it to call."""

from collections.abc import Callable
from typing import NamedTuple

from jaxgeom._reprs import readable
from jaxgeom._typing import Params, PyTree


@readable
class Progress(NamedTuple):
    """A training at one of its records, as Python numbers."""

    step: int
    """Steps taken."""
    train_loss: float
    """Mean loss over the training split."""
    train_accuracy: float | None
    """Fraction of its points that are right; None if no ``accuracy`` was given."""
    test_loss: float | None
    """Mean loss over the test split; None without one."""
    test_accuracy: float | None
    """Fraction of its points that are right; None without ``accuracy`` or test split."""
    kept: PyTree
    """What ``keep`` made of the parameters, as arrays."""
    is_last: bool
    """Whether it is the last record."""


@readable
class Watch(NamedTuple):
    """What :func:`jaxgeom.fit` calls while it trains."""

    show: Callable[[Progress], None]
    """``show(progress)`` runs on the host, in the middle of the training: it must not compute with JAX, which waits for
    the training."""
    every: int = 1
    """Records from one call to the next; the first and the last record are shown in any case."""
    keep: Callable[[Params], PyTree] | None = None
    """A pure function of the parameters, computed with the training; None for the parameters themselves."""
