"""Training written out in NumPy: a net with one hidden layer, its gradient by hand, and four optimizers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgeom import mlp
from jaxgeom.data.datasets import Dataset
from jaxgeom.networks.models import Model

KEY = jax.random.key(23)
EPS = float(np.finfo(np.float32).eps)
RNG = np.random.default_rng(23)

POINTS, WIDTH = 7, 5
X = RNG.normal(size=(POINTS, 2)).astype(np.float32)
Y = RNG.normal(size=(POINTS, 1)).astype(np.float32)
DATA = Dataset(jnp.asarray(X), jnp.asarray(Y))
TEST_DATA = Dataset(DATA.x[:4] + 1, DATA.y[:4] - 0.5)


def draw(key, activation="tanh"):
    """Parameters of a net 2-WIDTH-1, all uniform within ±1/√2: one draw compiles faster than four."""
    numbers = jax.random.uniform(key, (4 * WIDTH + 1,), minval=-(0.5**0.5), maxval=0.5**0.5)
    kernel, bias, last_kernel, last_bias = jnp.split(numbers, [2 * WIDTH, 3 * WIDTH, 4 * WIDTH])
    return {
        f"dense0_{activation}": {"kernel": kernel.reshape(2, WIDTH), "bias": bias},
        "dense1_linear": {"kernel": last_kernel[:, None], "bias": last_bias},
    }


def net(activation="tanh"):
    return Model(partial(draw, activation=activation), mlp((2, WIDTH, 1), activation=activation).apply)


NET = net()
SGD = optax.sgd(0.1)
# Roundings on the way to one entry of a gradient: sums over inputs, units and points, and a few more.
OPS = 2 + WIDTH + POINTS + 8


def double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def numpy(tree):
    return jax.tree.map(np.asarray, tree)


def member(tree, i):
    """The i-th network of a population, or the i-th snapshot; or several."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[i], tree)


def stacked(*trees):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def assert_close(actual, desired, atol):
    """Trees with the same structure, whose numbers differ by less than ``atol`` times the largest (or 1)."""
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    for a, b in zip(jax.tree.leaves(double(actual)), jax.tree.leaves(double(desired)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol * max(1.0, np.abs(b).max(initial=0)))


def assert_same(actual, desired):
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    jax.tree.map(np.testing.assert_array_equal, actual, desired)


# The truth: a net with one hidden layer, its gradient and four optimizers

SLOPES = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
}


def numpy_loss(params, x, y, activation="tanh", weight=None):
    """Mean squared error over the points, and its gradient, in the precision of what comes in."""
    first, second = params[f"dense0_{activation}"], params["dense1_linear"]
    function, slope = SLOPES[activation]
    z = x @ first["kernel"] + first["bias"]
    residual = function(z) @ second["kernel"] + second["bias"] - y
    share = np.full(len(x), 1 / len(x), x.dtype) if weight is None else weight / weight.sum()
    to_output = 2 * residual * share[:, None]
    to_hidden = to_output @ second["kernel"].T * slope(z)
    gradient = {
        f"dense0_{activation}": {"kernel": x.T @ to_hidden, "bias": to_hidden.sum(0)},
        "dense1_linear": {"kernel": function(z).T @ to_output, "bias": to_output.sum(0)},
    }
    return (share * residual[:, 0] ** 2).sum(), gradient


def sgd_update(number, p, g, memory):
    return p - 0.1 * g, memory


def momentum_update(number, p, g, memory):
    velocity = 0.9 * memory[0] + g
    return p - 0.1 * velocity, (velocity,)


def adam_update(number, p, g, memory, decay=0.0):
    mean, square = 0.9 * memory[0] + 0.1 * g, 0.999 * memory[1] + 0.001 * g**2
    direction = mean / (1 - 0.9**number) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8)
    return p - 0.01 * (direction + decay * p), (mean, square)


OPTIMIZERS = {
    "sgd": (optax.sgd(0.1), sgd_update),
    "momentum": (optax.sgd(0.1, momentum=0.9), momentum_update),
    "adam": (optax.adam(0.01), adam_update),
    "adamw": (optax.adamw(0.01, weight_decay=0.1), partial(adam_update, decay=0.1)),
}


def numpy_run(params, batches, update=sgd_update, activation="tanh"):
    """Losses before each step, and the parameters before the first and after every step."""
    zeros = jax.tree.map(np.zeros_like, params)
    memory, losses, history = (zeros, zeros), [], [params]
    is_leaf = lambda node: isinstance(node, tuple)  # noqa: E731
    for number, (x, y, weight) in enumerate(batches, start=1):
        loss, gradient = numpy_loss(params, x, y, activation, weight)
        new = jax.tree.map(lambda p, g, *m, n=number: update(n, p, g, m), params, gradient, *memory)
        params = jax.tree.map(lambda pair: pair[0], new, is_leaf=is_leaf)
        num_memories = len(jax.tree.leaves(new, is_leaf=is_leaf)[0][1])
        memory = tuple(jax.tree.map(lambda pair, i=i: pair[1][i], new, is_leaf=is_leaf) for i in range(num_memories))
        losses.append(loss)
        history.append(params)
    return np.array(losses), history


# A model that counts how often it is trained on each row

ROWS = 10
ROW_DATA = Dataset(jnp.arange(ROWS, dtype=jnp.float32)[:, None], jnp.zeros((ROWS, 1)))
COUNTER = Model(
    lambda key: {"used": jnp.zeros(ROWS)}, lambda params, x: params["used"][x[:, 0].astype(jnp.int32)][:, None]
)
