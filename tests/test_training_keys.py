"""Random numbers that the engine draws: JAX's own, to the bit, by either of its ways to count."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.training.keys import engine_key

pytestmark = pytest.mark.skipif(not library.trainers(), reason="the engine is not built")
KEYS = jax.random.split(jax.random.key(93), 40)


def drawn(key, num):
    """Keys, words of two widths, and what is made of them."""
    inner = jax.random.split(key, num)[num // 2]
    return (
        jax.random.key_data(inner),
        jax.random.bits(inner, (num, 3)),
        jax.random.bits(key, (num,), jnp.uint16),
        jax.random.uniform(key, (num,), jnp.float32, -1, 1),
        jax.random.normal(jax.random.fold_in(key, num), (num,)),
    )


@pytest.mark.parametrize("is_by_place", [True, False])
@pytest.mark.parametrize("num", [1, 27])
def test_numbers_are_those_of_jax(is_by_place, num):
    own = jax.jit(jax.vmap(lambda key: drawn(engine_key(key), num)))
    with jax.threefry_partitionable(is_by_place):
        pairs = zip(own(KEYS), jax.jit(jax.vmap(lambda key: drawn(key, num)))(KEYS), strict=True)
        for mine, theirs in pairs:
            np.testing.assert_array_equal(mine, theirs)
        alone = jax.random.bits(engine_key(KEYS[0]), (num,))
        np.testing.assert_array_equal(alone, jax.random.bits(KEYS[0], (num,)))


def test_programs_for_accelerators_draw_as_jax_does():
    draw = jax.jit(lambda key: jax.random.bits(engine_key(key), (5,)))
    for platform, is_there in (("cpu", True), ("cuda", False)):
        module = jax.export.export(
            draw, platforms=[platform], disabled_checks=[jax.export.DisabledSafetyCheck.custom_call("jaxgeom_words")]
        )(KEYS[0]).mlir_module()
        assert ("jaxgeom_words" in module) is is_there


def test_fit_starts_as_the_model_does():
    own_key, _ = jax.random.split(KEYS[0])
    for key in (KEYS[0], jax.random.key_data(KEYS[0])):
        run = jg.fit(key, jg.mlp((2, 5, 1)), optax.sgd(0.1), jg.losses.squared_error, jg.parity(2), num_epochs=1)
        first = jg.mlp((2, 5, 1)).init(own_key)
        jax.tree.map(np.testing.assert_array_equal, run.initial_params, first)
    other = jax.random.key(0, impl="rbg")
    assert engine_key(other) is other


def test_models_of_ones_own_get_keys_of_jax():
    seen = []

    def init(key):
        seen.append(jax.random.key_impl(key))
        return jg.mlp((2, 5, 1)).init(key)

    model = jg.mlp((2, 5, 1))._replace(init=init)
    jg.fit(KEYS[0], model, optax.sgd(0.1), jg.losses.squared_error, jg.parity(2), num_epochs=1)
    assert set(map(str, seen)) == {"threefry2x32"}
