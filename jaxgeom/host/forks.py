"""An error for processes forked while JAX was running, where its threads are missing and compiling waits for ever."""

import os
import sys

_MESSAGE = (
    "this process was forked from one in which JAX was already running; JAX's threads do not exist here, and what it "
    "compiles would wait for them for ever. Start processes with multiprocessing.get_context('spawn') or 'forkserver' "
    "(for pools: ProcessPoolExecutor(mp_context=...)), or fork before the first use of JAX."
)
_is_forked = False


def check_not_forked() -> None:
    """Raise a RuntimeError that names the remedy in a process that was forked while JAX was running."""
    if _is_forked:
        raise RuntimeError(_MESSAGE)


def _mark() -> None:
    global _is_forked
    bridge = sys.modules.get("jax._src.xla_bridge")
    # No public function says whether JAX has started; a version without this one counts as started.
    _is_forked = _is_forked or bool(getattr(bridge, "backends_are_initialized", lambda: bridge is not None)())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark)
