"""Random keys of JAX whose numbers the compiled engine draws: the same bits, and nothing to compile.

On CPUs, XLA takes longer to compile the numbers of one initialisation than all else of a program that trains. Programs
for other devices have JAX's own operations.
"""

import math
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32

from jaxgeom._typing import Params, RandomKey
from jaxgeom.engine import library
from jaxgeom.host.devices import pretended
from jaxgeom.networks.models import Model, has_own_init

_OWN = "threefry2x32"
"""JAX's kind of keys that are drawn from here."""
_WORD = 32
_MOST_WORDS = 2**31
"""Draws of more have counts of more than one word, or several keys."""


def engine_key(key: RandomKey) -> RandomKey:
    """A key with the same numbers and the same keys split from it; the key itself where the engine cannot draw them."""
    if str(jax.random.key_impl(key)) != _OWN or not library.trainers() or pretended() not in (None, "cpu"):
        return key
    own: RandomKey = jax.random.wrap_key_data(jax.random.key_data(key), impl=_kind())
    return own


def initial_params(model: Model, key: RandomKey) -> Params:
    """What ``model.init`` draws, as arrays of JAX: models of one's own may return those of NumPy, and wider ones."""
    params: Params = jax.tree.map(jnp.asarray, model.init(engine_key(key) if has_own_init(model) else key))
    return params


@cache
def _kind() -> Any:
    """The engine's kind of keys."""
    from jax.extend.random import define_prng_impl  # imports Pallas

    return define_prng_impl(
        key_shape=(2,),
        seed=lambda seed: jax.random.key_data(jax.random.key(seed, impl=_OWN)),
        split=_split,
        random_bits=_bits,
        fold_in=lambda key, data: jax.random.key_data(jax.random.fold_in(_plain(key), data)),
        name="jaxgeom_threefry2x32",
        tag="jaxgeom",
    )


def _plain(key: UInt32[Array, " two"]) -> RandomKey:
    typed: RandomKey = jax.random.wrap_key_data(key, impl=_OWN)
    return typed


def _split(key: UInt32[Array, " two"], shape: tuple[int, ...]) -> Array:
    def by_jax(key: UInt32[Array, " two"]) -> Array:
        return jax.random.key_data(jax.random.split(_plain(key), shape))

    return _drawn(key, (*shape, 2), by_jax, is_folded=False)


def _bits(key: UInt32[Array, " two"], bit_width: int, shape: tuple[int, ...]) -> Array:
    def by_jax(key: UInt32[Array, " two"]) -> Array:
        return jax.random.bits(_plain(key), shape, f"uint{bit_width}")

    return _drawn(key, shape, by_jax, is_folded=True) if bit_width == _WORD else by_jax(key)


def _drawn(key: UInt32[Array, " two"], shape: tuple[int, ...], by_jax: Any, *, is_folded: bool) -> Array:
    """So many words: of each count both that it gives, or folded to one."""
    if not 0 < math.prod(shape) < _MOST_WORDS:
        words: Array = by_jax(key)
        return words
    # Whether the word of a place does not depend on how many are drawn; mypy does not know the setting.
    is_by_place = bool(getattr(jax.config, "jax_threefry_partitionable", True))
    drawn: Array = jax.lax.platform_dependent(
        key, cpu=partial(library.words, shape=shape, is_by_place=is_by_place, is_folded=is_folded), default=by_jax
    )
    return drawn
