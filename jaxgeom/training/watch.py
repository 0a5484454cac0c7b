"""Watching a training while it runs: the call of the host with records, and one that prints them."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import lax
from jaxtyping import Array, Bool, Int32

from jaxgeom._typing import Params, PyTree
from jaxgeom.host.given import check_positive
from jaxgeom.host.watch import Progress, Watch


def text_log(every: int = 1, *, write: Callable[[str], Any] | None = None) -> Watch:
    """A line of text after every so many records of a training, for the argument ``watch`` of :func:`jaxgeom.fit`.

    Args:
        every: records from one line to the next; :func:`jaxgeom.fit` records after each epoch, unless told otherwise.
        write: takes each line; default is to print it to the standard error stream.

    Raises:
        ValueError: for ``every`` below one.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> lines = []
        >>> model, loss, log = jg.mlp((2, 4, 1)), jg.losses.squared_error, jg.text_log(20, write=lines.append)
        >>> run = jg.fit(jax.random.key(0), model, optax.adam(0.1), loss, jg.parity(2), num_epochs=50, watch=log)
        >>> run = jax.block_until_ready(run)
        >>> [line.split(",")[0] for line in lines]
        ['step 0', 'step 20', 'step 40', 'step 50']
    """
    check_positive("every", every)
    return Watch(partial(_write_line, write or _print_line), every, lambda params: ())


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write_line(write: Callable[[str], Any], progress: Progress) -> None:
    parts = [f"step {progress.step:,}".replace(",", " ")]
    for name, loss, accuracy in (
        ("train", progress.train_loss, progress.train_accuracy),
        ("test", progress.test_loss, progress.test_accuracy),
    ):
        if loss is not None:
            parts.append(f"{name} loss {loss:.4g}" + ("" if accuracy is None else f", {100 * accuracy:.1f} % right"))
    write(", ".join(parts))


def call_watch(
    watch: Watch, num_records: int, is_due: Bool[Array, ""], place: Int32[Array, ""], state: Any, values: PyTree
) -> None:
    """Call the host with a record if it is due; inside a traced training.

    Args:
        watch: what is called.
        num_records: of the whole run.
        is_due: whether this step is recorded.
        place: which record it is.
        state: of the training: its parameters and step.
        values: what was recorded: (loss, accuracy) of the training split, and of the test split or None.
    """
    keep: Callable[[Params], PyTree] = watch.keep or (lambda params: params)
    is_last = place == num_records - 1

    def shown() -> None:
        # not ordered: such callbacks are not mapped
        jax.debug.callback(partial(_show, watch.show), state.step, values, keep(state.params), is_last)

    lax.cond(is_due & ((place % watch.every == 0) | is_last), shown, lambda: None)


def _show(show: Callable[[Progress], None], step: Any, values: Any, kept: Any, is_last: Any) -> None:
    train, test = ([None if number is None else float(number) for number in pair] for pair in values)
    assert train[0] is not None  # as records have a loss
    show(Progress(int(step), train[0], train[1], test[0], test[1], kept, bool(is_last)))
