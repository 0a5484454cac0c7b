"""Seconds of the first call that trains a population, in a process of its own: ``_first_call.py WHO NETWORKS``.

WHO is jaxgeom or scan, what one would write by hand: ``jit`` of ``vmap`` of a ``scan`` over the same steps, with the
same model, optimizer and loss. Both draw the initial parameters. Libraries are imported and keys and data drawn before
the clock starts; it stops when the networks are there. Prints the seconds.
"""

import sys
import time

import jax
import jax.numpy as jnp
import optax

import jaxgeom as jg
from jaxgeom._typing import Params

STEPS, WIDTHS = 100, (2, 20, 1)
MODEL, OPTIMIZER = jg.mlp(WIDTHS, activation="relu"), optax.adam(0.01)


def by_jaxgeom(keys: jax.Array, data: jg.Dataset) -> Params:
    def run(key: jax.Array) -> jg.Fit:
        return jg.fit(key, MODEL, OPTIMIZER, jg.losses.squared_error, data, num_epochs=STEPS, record=None)

    return jg.fit_population(keys, run).params


def by_scan(keys: jax.Array, data: jg.Dataset) -> Params:
    def outputs(params: Params, x: jax.Array) -> jax.Array:
        first, last = params.values()
        return jax.nn.relu(x @ first["kernel"] + first["bias"]) @ last["kernel"] + last["bias"]

    def loss(params: Params) -> jax.Array:
        return jnp.mean((outputs(params, data.x) - data.y) ** 2)

    def run(key: jax.Array) -> Params:
        first_key, last_key = jax.random.split(key)
        bound = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        sizes = zip((first_key, last_key), WIDTHS[:-1], WIDTHS[1:], strict=True)
        layers = [{"bias": jnp.zeros(n), "kernel": bound(own, (m, n), jnp.float32)} for own, m, n in sizes]
        params = {"first": layers[0], "last": layers[1]}

        def step(carry: tuple, _: None) -> tuple[tuple, None]:
            params, state = carry
            updates, state = OPTIMIZER.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(step, (params, OPTIMIZER.init(params)), None, length=STEPS)
        return params

    trained: Params = jax.jit(jax.vmap(run))(keys)
    return trained


def main() -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    who, num = sys.argv[1], int(sys.argv[2])
    keys, data = jax.random.split(jax.random.key(0), num), jg.parity(2)
    jax.block_until_ready((keys, data, jg.fit is jg.fit_population))  # which are imported when first named
    start = time.perf_counter()
    params = jax.block_until_ready({"jaxgeom": by_jaxgeom, "scan": by_scan}[who](keys, data))
    print(time.perf_counter() - start)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))


if __name__ == "__main__":
    main()
