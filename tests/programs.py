"""Every public function that can be part of a program, as a program of its own: what is exported for accelerators, and
compiled for them by ``benchmarks/compiled.py``."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax

import jaxgeom as jg
from jaxgeom.networks.affine import activation_words, affine_maps_of_patterns

# Arguments: random keys as their data, and points. Of networks and what is computed, shapes are enough.
KEY, KEYS = np.array([0, 7], np.uint32), np.arange(32, dtype=np.uint32).reshape(16, 2)
X = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
Y, Z, LABELS, TWO = X[:, :1] * X[:, 1:], X[:, [0, 1, 0]], np.arange(12, dtype=np.int32) % 3, np.arange(12) % 2
START, STOP = np.float32([-1, -1]), np.float32([1, 1])
BOX, GRID = jg.box(-1, 1), jg.grid_points(jg.box(-1, 1), 5)
SPIRALS, XOR = jg.Dataset(X, LABELS), jg.Dataset(*map(np.asarray, jg.parity(2)))
LOSSES = jg.losses


def mlp(*features: int, **options: Any) -> jg.Model:
    return jg.mlp(features, init="pytorch", **options)


def params_of(model: jg.Model, num: int | None = None) -> Any:
    return jax.eval_shape(model.init if num is None else jax.vmap(model.init), KEY if num is None else KEYS[:num])


def layers(params: Any) -> Any:
    return jax.eval_shape(jg.layers_of, params)


NET, DEEP, THREE = mlp(2, 6, 1), mlp(2, 5, 4, 1), mlp(2, 10, 10, 3)
PARAMS, DEEP_PARAMS = params_of(NET), params_of(DEEP)
DEEP_ONE, MANY = layers(DEEP_PARAMS), layers(params_of(DEEP, 8))
WORDS = jax.eval_shape(activation_words, DEEP_ONE, jax.ShapeDtypeStruct(GRID.shape, GRID.dtype))
AFFINE = jax.eval_shape(jg.fit_affine, X, Y)


class Module(nn.Module):
    """Trained the general way."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(1)(nn.tanh(nn.Dense(16)(x)))


def fit(model: jg.Model, optimizer: Any, loss: Any, data: jg.Dataset, **options: Any) -> Callable[[Any], jg.Fit]:
    return lambda key: jg.fit(key, model, optimizer, loss, data, **options)


WORKLOAD_A = fit(
    THREE, optax.adamw(1e-3), LOSSES.softmax_cross_entropy, SPIRALS, num_epochs=2, batch_size=4, record=None
)
WORKLOAD_B = fit(NET, optax.sgd(0.1), LOSSES.squared_error, XOR, num_epochs=5)


def padded(key: Any, rate: Any, width: Any) -> jg.Fit:
    """Settings that differ from network to network."""
    model = jg.mlp((2, 8, 1), activation="tanh", widths=(width,))
    data = jg.rings(jax.random.key(0), num_per_class=8)
    accuracy, loss = LOSSES.side_is_right, LOSSES.binary_cross_entropy
    return jg.fit(
        key, model, optax.adam(rate), loss, data, num_epochs=4, accuracy=accuracy, record=2, stop_accuracy=0.9
    )


def trained_rate(rate: Any) -> Any:
    """A derivative through a whole run."""
    found = jg.fit(jax.random.key(0), NET, optax.sgd(rate), LOSSES.squared_error, XOR, num_epochs=3)
    return found.train_loss[-1]


def stepped(key: Any, x: Any, y: Any) -> Any:
    init, step = jg.trainer(NET, optax.lbfgs(), LOSSES.squared_error)
    return step(init(key), x, y)


class Program(NamedTuple):
    """A function of arrays."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    is_double: bool = False
    """Whether it computes in float64 whatever JAX's x64 setting, which TPUs emulate with less range and precision."""
    calls_host: bool = False
    """Whether the host's engine answers, which has no place in a program that is kept in a file."""
    but_for: tuple[str, ...] = ()
    """Platforms that it cannot be lowered for."""


# One row a program: the public functions that it shows come first, then what is particular.
PROGRAMS = {
    # models and layers
    "mlp init": Program(THREE.init, (KEY,)),
    "mlp apply": Program(THREE.apply, (params_of(THREE), X)),
    "mlp he_init": Program(jg.mlp((2, 4, 1), init=jg.he_init(0.1)).init, (KEY,)),
    "from_linen": Program(lambda key, x: (m := jg.from_linen(Module(), X)).apply(m.init(key), x), (KEY, X)),
    "hidden_states": Program(jg.hidden_states, (DEEP_PARAMS, X)),
    "forward layers_of": Program(lambda params, x: jg.forward(jg.layers_of(params), x), (DEEP_PARAMS, X)),
    "canonical_form": Program(jg.canonical_form, (params_of(DEEP, 8),)),
    # training
    "fit one": Program(WORKLOAD_A, (KEY,)),
    "fit minibatches": Program(jax.vmap(WORKLOAD_A), (KEYS,)),
    "fit full batches": Program(jax.vmap(WORKLOAD_B), (KEYS,)),
    "fit general": Program(
        jax.vmap(fit(jg.from_linen(Module(), X), optax.adam(0.1), LOSSES.squared_error, XOR, num_epochs=3)), (KEYS,)
    ),
    "fit everything recorded": Program(
        jax.vmap(
            fit(
                *(THREE, optax.sgd(0.1, momentum=0.9), LOSSES.softmax_cross_entropy, SPIRALS),
                **{"num_epochs": 2, "batch_size": 5, "drop_last": False, "test": SPIRALS, "record": "step"},
                **{"accuracy": LOSSES.class_is_right, "batch_losses": True, "snapshot_every": 2},
            )
        ),
        (KEYS,),
    ),
    "fit widths and rates": Program(
        jax.vmap(padded), (KEYS, np.full(16, 0.01, np.float32), np.arange(16, dtype=np.int32) % 8 + 1)
    ),
    "fit derivative": Program(jax.grad(trained_rate), (np.float32(0.1),)),
    "trainer": Program(stepped, (KEY, XOR.x, XOR.y)),
    "random_order": Program(lambda key, epoch: jg.random_order(key, 10, epoch), (KEY, np.int32(3))),
    # data and losses
    "spirals split": Program(lambda key: jg.split(key, jg.spirals(key, num_per_class=8)), (KEY,)),
    "rings": Program(partial(jg.rings, num_per_class=8), (KEY,)),
    "disk_with_holes": Program(partial(jg.disk_with_holes, num_negative=8, num_positive=8, num_holes=2), (KEY,)),
    "hole_centers": Program(lambda radius: jg.datasets.hole_centers(radius=radius), (np.float32(2),)),
    "gaussian_cloud": Program(jg.gaussian_cloud, (KEY,)),
    "line_segments segments_of": Program(lambda key: (jg.line_segments(key), jg.datasets.segments_of(key)), (KEY,)),
    "moons": Program(jg.datasets.moons, (KEY,)),
    "circles": Program(jg.datasets.circles, (KEY,)),
    "blobs": Program(jg.datasets.blobs, (KEY,)),
    "checkerboard": Program(jg.datasets.checkerboard, (KEY,)),
    "features_of": Program(partial(jg.datasets.features_of, names=jg.datasets.feature_names(2)), (X,)),
    "softmax_cross_entropy class_is_right": Program(
        lambda z, y: (LOSSES.softmax_cross_entropy(z, y), LOSSES.class_is_right(z, y)), (Z, LABELS)
    ),
    "binary_cross_entropy side_is_right": Program(
        lambda z, y: (LOSSES.binary_cross_entropy(z, y), LOSSES.side_is_right(z, y)), (Y, TWO)
    ),
    "probability_cross_entropy probability_is_right": Program(
        lambda z, y: (LOSSES.probability_cross_entropy(z, y), LOSSES.probability_is_right(z, y)), (Y, TWO)
    ),
    "squared_error is_right": Program(
        lambda z, y: (LOSSES.squared_error(z, y), LOSSES.is_right(z, y)), (Y, TWO[:, None])
    ),
    "percentage_error squared_percentage_error": Program(
        lambda z, y: (LOSSES.percentage_error(z, y), LOSSES.squared_percentage_error(z, y)), (Y, Y)
    ),
    # patterns, maps, grids
    "activation_words unpack_patterns": Program(
        lambda layers, x: jg.unpack_patterns(activation_words(layers, x), (5, 4)), (DEEP_ONE, GRID)
    ),
    "affine_maps": Program(lambda params, x: jg.affine_maps(partial(DEEP.apply, params), x), (DEEP_PARAMS, GRID)),
    "affine_maps_of_patterns": Program(affine_maps_of_patterns, (DEEP_ONE, WORDS)),
    "grid_regions": Program(lambda layers: jg.grid_regions(layers, GRID), (DEEP_ONE,), is_double=True),
    "grid_regions of many": Program(
        jax.vmap(lambda layers: jg.grid_regions(layers, GRID, capacity=16)), (MANY,), is_double=True
    ),
    "grid_regions of a function": Program(
        lambda params, x: jg.grid_regions(partial(DEEP.apply, params), x), (DEEP_PARAMS, GRID), is_double=True
    ),
    # exact geometry
    "count_regions": Program(lambda layers: jg.count_regions(layers, BOX).count, (MANY,), calls_host=True),
    "count_regions of maps": Program(
        jax.vmap(lambda layers: jg.count_regions(layers, BOX, kind="map").count), (MANY,), calls_host=True
    ),
    "breakpoints": Program(
        lambda layers, a, b: jg.breakpoints(layers, a, b, capacity=8).t, (MANY, START, STOP), True, calls_host=True
    ),
    # measures
    "distance_to_boundary": Program(jg.distance_to_boundary, (DEEP_ONE, X), is_double=True),
    "local_complexity": Program(jg.local_complexity, (DEEP_ONE, X, np.float32(0.1)), is_double=True),
    "image_lengths": Program(jg.image_lengths, (DEEP_ONE, X), is_double=True),
    "hyperplanes signed_distances codes": Program(
        lambda params, x: (jg.signed_distances(p := jg.hyperplanes(params), x), jg.codes(p, x)), (PARAMS, X)
    ),
    "code_counts": Program(lambda code, labels: jg.code_counts(code, labels, 6, 3), (LABELS.astype(np.uint32), LABELS)),
    "thresholds": Program(jg.thresholds, (params_of(mlp(1, 6, 1)),)),
    "step_output": Program(jg.step_output, (PARAMS, X)),
    "linear_separability": Program(partial(jg.linear_separability, num_steps=5), (X, TWO)),
    "pca pca_coordinates": Program(lambda x: jg.pca_coordinates(jg.pca(x), x), (X,)),
    "affine_triples": Program(jg.affine_triples, (DEEP_ONE, X), is_double=True),
    # JAX lowers its own svd for TPUs in float32, where the program around it has x64 off.
    "fit_affine": Program(jg.fit_affine, (X, Y), is_double=True, but_for=("tpu",)),
    "predict_affine r_squared": Program(
        lambda fit, x, y: jg.r_squared(y, jg.predict_affine(fit, x)), (AFFINE, X, Y), is_double=True
    ),
}
