"""Whole computations as one kernel of a CPU: the same results, and nothing in them that cannot be compiled there."""

import re
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgeom.training import cpu_kernel
from jaxgeom.training.cpu_kernel import ELEMENTWISE, MOST_OPERATIONS, OTHERS, equations, is_known_to_work, one_kernel

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
N = np.arange(12, dtype=np.int32).reshape(3, 4)


def everything(x, n, is_on):
    """A computation with every operation that is allowed, but for what only calls something else."""
    positive, small = jnp.abs(x) + 1, x / 2
    floats = [
        jnp.cos(x),
        lax.erf(x),
        jnp.exp(x),
        jnp.exp2(x),
        jnp.expm1(x),
        lax.floor(x),
        lax.ceil(x),
        lax.clamp(x, x, x),
    ]
    floats += [jnp.log(positive), jnp.log1p(positive), lax.logistic(x), positive**x, x**3, lax.rsqrt(positive), -x]
    floats += [lax.round(x), lax.sign(x), jnp.sin(x), jnp.sqrt(positive), lax.square(x), jnp.tanh(x), lax.max(x, small)]
    floats += [
        lax.min(x, small),
        lax.rem(x, positive),
        lax.stop_gradient(x),
        x - small,
        lax.mul(x, x),
        lax.rev(x, (0,)),
    ]
    floats += [x.T.reshape(3, 4), jnp.pad(x, 1)[1:-1, 1:-1], jnp.where(n > 5, x, small), x.reshape(-1)[(n * 7) % 12]]
    floats += [
        jnp.stack([x[0], x[1], x[2]]),
        jnp.concatenate([x[:1], x[1:]]),
        *(a.reshape(3, 1) for a in jnp.split(x, 4, 1)),
    ]
    floats += [x.max(axis=1, keepdims=True), x.min(axis=1, keepdims=True), lax.dynamic_slice(x, (n[0, 1], 0), (1, 4))]
    floats += [
        lax.dynamic_update_slice(x, small[:1], (n[0, 1], 0)),
        jnp.argmax(x, 1)[:, None],
        jnp.argmin(x, 1)[:, None],
    ]
    floats += [
        lax.bitcast_convert_type(lax.bitcast_convert_type(x, jnp.int32), jnp.float32),
        lax.expand_dims(x[0], (0,)),
    ]
    flags = [jnp.isfinite(x), (n >= 3) & (n <= 8), (n < 3) | ~(n == 4), (n != 5) ^ is_on, jnp.any(n > 10, 1)[:, None]]
    flags += [jnp.all(n >= 0, axis=1)[:, None], jnp.squeeze(n[None], 0) > 2]
    counts = [
        n << 2,
        lax.shift_right_arithmetic(n, 1),
        lax.shift_right_logical(n, 1),
        lax.broadcasted_iota(jnp.int32, (3, 4), 0),
    ]
    total = lax.optimization_barrier(sum(floats) + sum(f.astype(x.dtype) for f in flags) + sum(counts).astype(x.dtype))
    total = lax.cond(is_on, lambda a: a + 1, lambda a: a * 2, total)
    total = lax.fori_loop(0, n[0, 2] + 1, lambda i, a: a / 2 + i, total)
    return {"total": total, "steps": lax.scan(lambda c, row: (c + row, c), x[0], x)[1], "n": n, "is_on": is_on}


def compiled(function, *arrays):
    return jax.jit(partial(one_kernel, function)).lower(*arrays).compile()


def is_one_kernel(program):
    return bool(re.search(r'call\(.*to_apply=%kernel.*xla_cpu_small_call="true"', program.as_text()))


def test_everything_that_is_allowed_can_be_compiled():
    program = compiled(everything, X, N, True)
    assert is_one_kernel(program)
    result, expected = program(X, N, True), everything(X, N, True)
    assert jax.tree.structure(result) == jax.tree.structure(expected)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), result, expected)
    used = {equation.primitive.name for equation in equations(jax.make_jaxpr(everything)(X, N, True).jaxpr)}
    allowed = {name for pattern in (ELEMENTWISE, OTHERS) for name in pattern.pattern.split("|")}
    assert used <= allowed
    # Derivatives make the first; JAX replaces the others by other operations in some versions.
    assert allowed - used <= {"add_any", "copy", "stack", "stop_gradient", "unstack"}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.sort(x, axis=1),
        lambda x: x @ x.T,
        lambda x: jnp.sum(x, axis=0),
        lambda x: jnp.asarray(x).at[np.array([0, 0])].add(1),
        lambda x: lax.fori_loop(0, 3, lambda i, a: jnp.cumsum(a, axis=0), x),
        lambda x: jnp.fft.fft(x).real,
    ],
    ids=["sort", "product", "sum", "scatter", "cumsum in a loop", "fft"],
)
def test_the_rest_is_left_as_it_is(function):
    program = compiled(function, X)
    assert not is_one_kernel(program)
    np.testing.assert_allclose(program(X), function(X), rtol=1e-5, atol=1e-6)


def test_inputs_without_use_constants_and_wide_numbers():
    # XLA aborts if it finds an input of the kernel without use.
    table = np.arange(5, dtype=np.float32)

    def function(x, unused, flag, n):
        return {"x": jnp.where(flag, x, table), "n": n * 2, "zero": 0 * n}

    with jax.enable_x64(True):
        given = (
            np.array([0.1, 0.2, 0.3, 0.4, 1 / 3]),
            np.ones(3),
            np.array([True, False, True, False, True]),
            np.int64(2**40),
        )
        program = compiled(function, *given)
        assert is_one_kernel(program)
        result = program(*given)
        expected = np.where(given[2], given[0], table)
        np.testing.assert_array_equal(result["x"], expected)
        assert result["x"].dtype == np.float64
        assert (result["n"], result["zero"]) == (2**41, 0)


def test_other_devices_versions_and_types_are_left_alone(monkeypatch):
    assert not is_one_kernel(compiled(lambda x: x + 1, X.astype(jnp.bfloat16)))
    jaxpr = jax.make_jaxpr(lambda x: x + 1)(X).jaxpr
    assert is_known_to_work(jaxpr)
    monkeypatch.setattr("jaxgeom.training.cpu_kernel.NEXT_VERSION", jax.__version_info__[:2])
    assert not is_known_to_work(jaxpr)
    monkeypatch.undo()
    monkeypatch.setattr("jaxgeom.training.cpu_kernel.jax.default_backend", lambda: "gpu")
    assert "small_call" not in jax.jit(partial(cpu_kernel.one_kernel, lambda x: x + 1)).lower(X).as_text()


def test_it_composes_with_vmap():
    function = lambda x: lax.fori_loop(0, 3, lambda i, a: jnp.sin(a) + i, x)  # noqa: E731
    mapped = jax.jit(jax.vmap(partial(one_kernel, function)))
    np.testing.assert_allclose(mapped(X), jax.vmap(function)(X), rtol=1e-6)


def test_long_computations_are_left_alone():
    def chain(num):
        return jax.make_jaxpr(lambda x: reduce(lambda y, _: y + x, range(num), x))(1.0).jaxpr

    assert is_known_to_work(chain(MOST_OPERATIONS))
    assert not is_known_to_work(chain(MOST_OPERATIONS + 1))
