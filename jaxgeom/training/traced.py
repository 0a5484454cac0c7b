"""Results of a function that has been traced, evaluated again: with other arguments, and with other constants."""

from collections.abc import Sequence
from typing import Any


def evaluated(closed: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """The flat results of what ``jax.make_jaxpr`` has traced.

    Args:
        closed: what ``jax.make_jaxpr`` gave.
        constants: in place of ``closed.consts``, what the function closed over.
        arguments: the flat arguments.
    """
    # jax.extend imports Pallas, and takes half as long to import as all of jaxgeom.
    from jax.extend.core import jaxpr_as_fun

    result: list[Any] = jaxpr_as_fun(type(closed)(closed.jaxpr, list(constants)))(*arguments)
    return result
