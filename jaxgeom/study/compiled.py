"""[host] Compiled programs of studies: another call with the same description gets those of the one before.

Each call of :func:`jaxgeom.run_study` makes its functions of members anew, and JAX compiles for functions, not for what
they say. So programs go by the digest of the description, as saved studies do, and by the digest of what tracing gives
for everything, of the training for one step: a data set or a learning rate read from a file that has changed since is
another program.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.extend.core  # by which the newest JAX adds to its settings; programs traced before that are compiled again
import numpy as np

from jaxgeom.host.programs import Program, for_population
from jaxgeom.study.describe import Found, described, digest
from jaxgeom.study.layout import Group
from jaxgeom.study.plan import JAX_SETTINGS
from jaxgeom.study.program import Recipe, arguments, data_bytes, member_function

MOST_PROGRAMS, MOST_BYTES = 64, 2**28
"""Programs that are kept, the last ones used, and bytes of the data that they hold, all together."""
_NOT_COMPILED = ("max_tries",)


class _Kept(NamedTuple):
    program: Program
    last: list[Callable[..., Any]]
    """The function of members of the last call, the only entry: traced for other numbers of networks, what the first
    call was given may hold other numbers by then."""
    num_bytes: int


_programs: dict[str, _Kept] = {}


def program_of(recipe: Recipe, group: Group) -> Program:
    """The program of :func:`jaxgeom.study.program.member_function` for many members of a group.

    Functions that cannot be described get a program of their own at each call.
    """
    function, name = member_function(recipe, group), _name(recipe, group)
    if name is None:
        return for_population(function)
    kept = _programs.pop(name, None)
    if kept is None:
        last = [function]
        kept = _Kept(for_population(lambda *of_member: last[0](*of_member)), last, data_bytes(recipe, group))
    kept.last[0] = function
    _programs[name] = kept  # as the last one
    while len(_programs) > MOST_PROGRAMS or sum(each.num_bytes for each in list(_programs.values())) > MOST_BYTES:
        _programs.pop(next(iter(_programs), ""), None)
    return kept.program


def _name(recipe: Recipe, group: Group) -> str | None:
    found = Found(set(), [])
    parts = {name: value for name, value in recipe._asdict().items() if name not in _NOT_COMPILED}
    about = [described(parts, found), described(group.static, found), group.hidden, group.widths is None]
    if found.unknown:
        return None
    settings = [getattr(jax.config, f"jax_{name}") for name in JAX_SETTINGS]
    traced = jax.make_jaxpr(member_function(recipe, group, is_outline=True, has_step=True))(*arguments(group, 0))
    contents = hashlib.sha256(str(traced).encode())
    for constant in _constants(traced):
        array = np.asarray(constant)
        contents.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return digest([*about, settings, contents.hexdigest()])


def _constants(traced: Any) -> Iterator[Any]:
    """Arrays in a jaxpr and in those inside of it, which its text does not show."""
    yield from traced.consts
    for equation in traced.jaxpr.eqns:
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda item: hasattr(item, "jaxpr")):
            if hasattr(inner, "jaxpr") and hasattr(inner, "consts"):
                yield from _constants(inner)
