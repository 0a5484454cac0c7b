"""Multilayer perceptrons as pairs of pure functions, built on Flax, and adapters for Flax modules of one's own.

``Model(init, apply)`` holds no state: ``params = init(key)`` is a plain dictionary of arrays, and
``apply(params, x)`` evaluates a batch. A population is ``jax.vmap(init)(keys)``.

The parameters of :func:`mlp` describe themselves: layer i is named ``dense{i}_{activation}`` after the activation
that follows it, so that :func:`hidden_states` and :func:`jaxgeom.layers_of` need nothing else.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jaxtyping import Array, Float

from jaxgeom._typing import Apply, Params, RandomKey
from jaxgeom.layers import layer_name, named_layers


class Model(NamedTuple):
    """A network as two pure functions."""

    init: Callable[[RandomKey], Params]
    """``init(key)`` draws the parameters of one network."""
    apply: Apply
    """``apply(params, x)`` maps points (points, in) to outputs (points, out)."""


class LayerState(NamedTuple):
    """What one layer does to a batch of points."""

    pre_activation: Float[Array, "points width"]
    """Values before the activation."""
    activation: Float[Array, "points width"]
    """Values after it (the same for a linear layer)."""


Initializer: TypeAlias = Callable[[int], tuple[Callable[..., Array], Callable[..., Array]]]
"""From a layer's number of inputs to Flax initialisers of its kernel and of its bias."""

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda z: z,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "leaky_relu": jax.nn.leaky_relu,
    "abs": jnp.abs,
    "hard_tanh": jax.nn.hard_tanh,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "sin": jnp.sin,
}
"""Activations by name."""


def pytorch_init(fan_in: int) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """PyTorch's default for linear layers: weights and biases uniform within ±1/√fan_in."""
    bound = fan_in**-0.5

    def uniform(key: RandomKey, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, tuple(shape), dtype, -bound, bound)

    return uniform, uniform


def flax_init(fan_in: int) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """Flax's default: LeCun normal weights, zero biases."""
    return linen.initializers.lecun_normal(), linen.initializers.zeros


def he_init(bias_scale: float = 0.0) -> Initializer:
    """He initialisation: normal weights of variance 2/fan_in, normal biases of standard deviation ``bias_scale``."""

    def initializer(fan_in: int) -> tuple[Callable[..., Array], Callable[..., Array]]:
        return linen.initializers.normal((2 / fan_in) ** 0.5), linen.initializers.normal(bias_scale)

    return initializer


INITIALIZERS: dict[str, Initializer] = {"pytorch": pytorch_init, "flax": flax_init, "he": he_init()}
"""Initialisations by name."""


def mlp(
    features: Sequence[int],
    *,
    activation: str | Sequence[str] = "relu",
    output_activation: str = "linear",
    use_bias: bool = True,
    init: str | Initializer = "pytorch",
) -> Model:
    """A multilayer perceptron.

    Args:
        features: numbers of units from input to output, such as (2, 10, 10, 3).
        activation: what follows the hidden layers, by name (:data:`ACTIVATIONS`): one for all, or one for each.
            A layer with "linear" is a linear bottleneck.
        output_activation: what follows the last layer; leave it "linear" for losses that take logits.
        use_bias: whether layers have biases.
        init: "pytorch" (uniform within ±1/√fan_in, weights and biases), "flax" (LeCun normal, zero biases), "he"
            (He normal, zero biases), or an initialiser such as ``he_init(bias_scale=0.1)``. It is part of every
            published count.

    Returns:
        A model with parameters ``{"dense0_relu": {"kernel": (in, out), "bias": (out,)}, ...}``, float32.

    Raises:
        ValueError: for fewer than two features, sizes below one, unknown names, or a wrong number of activations.
    """
    features = tuple(int(n) if isinstance(n, np.integer) else n for n in features)
    if len(features) < 2 or any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in features):
        raise ValueError(
            f"features must be at least two positive integers, from input to output, but {features} was given, "
            "for instance (2, 20, 1)."
        )
    num_hidden = len(features) - 2
    hidden = (activation,) * num_hidden if isinstance(activation, str) else tuple(activation)
    if len(hidden) != num_hidden:
        raise ValueError(
            f"{num_hidden} hidden layers need one activation or {num_hidden}, but {len(hidden)} were given: {hidden}."
        )
    activations = (*hidden, output_activation)
    for name in activations:
        _check_name("activation", name, ACTIVATIONS)
    if not callable(init):
        _check_name("init", init, INITIALIZERS)
        init = INITIALIZERS[init]
    module = _MLP(features, activations, use_bias, init)

    def initialise(key: RandomKey) -> Params:
        return module.init(key, jnp.zeros((1, features[0])))["params"]

    def apply(params: Params, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
        return module.apply({"params": params}, x)

    return Model(initialise, apply)


class _MLP(linen.Module):
    features: tuple[int, ...]
    activations: tuple[str, ...]
    use_bias: bool
    initializer: Initializer

    @linen.compact
    def __call__(self, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
        x = jnp.asarray(x)
        for index, (width, activation) in enumerate(zip(self.features[1:], self.activations, strict=True)):
            kernel_init, bias_init = self.initializer(self.features[index])
            dense = linen.Dense(
                width,
                use_bias=self.use_bias,
                kernel_init=kernel_init,
                bias_init=bias_init,
                dot_general=_small_dot_general,
                name=layer_name(index, activation),
            )
            x = ACTIVATIONS[activation](dense(x))
        return x


def _small_dot_general(x: Array, kernel: Array, dimensions: Any, **options: Any) -> Array:
    """``x @ kernel``; as multiply-adds where one side is tiny, since batches of such products are slow on CPUs."""
    if x.ndim == 2 and min(kernel.shape) <= 4:
        return jnp.sum(x[:, :, None] * kernel, axis=1)
    return jax.lax.dot_general(x, kernel, dimensions, **options)


def hidden_states(params: Params, x: Float[Array | np.ndarray, "points in"]) -> tuple[LayerState, ...]:
    """What every layer of an :func:`mlp` does to a batch of points, from first to last.

    Args:
        params: parameters of one network made by :func:`mlp`.
        x: points (points, in).

    Raises:
        ValueError: if the parameters are not those of an MLP.
    """
    states = []
    x = jnp.asarray(x)
    for _, activation, layer in named_layers(params):
        _check_name("activation", activation, ACTIVATIONS)
        z = jnp.matmul(x, layer.kernel) + layer.bias
        x = ACTIVATIONS[activation](z)
        states.append(LayerState(z, x))
    return tuple(states)


def from_linen(module: linen.Module, example: Float[Array | np.ndarray, "points in"]) -> Model:
    """A model from a Flax Linen module.

    Args:
        module: maps a batch (points, in) to (points, out), with parameters only (no batch statistics, no dropout).
        example: a batch of the right shape, used for initialisation only.

    Raises:
        ValueError: if the module has other variables than parameters.
    """
    collections = set(jax.eval_shape(module.init, jax.random.key(0), example))
    if not collections <= {"params"}:
        raise ValueError(
            f"the module keeps variables besides its parameters: {sorted(collections - {'params'})}. jaxgeom trains "
            "pure functions of parameters; take out batch statistics and the like."
        )

    def apply(params: Params, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
        return module.apply({"params": params}, x)

    return Model(lambda key: module.init(key, example)["params"], apply)


def from_nnx(build: Callable[[nnx.Rngs], nnx.Module]) -> Model:
    """A model from a Flax NNX module.

    Args:
        build: makes the module from random streams, for instance ``lambda rngs: Net(2, 20, 1, rngs=rngs)``.

    Returns:
        A model whose parameters are the module's ``nnx.Param`` state as nested dictionaries.

    Raises:
        ValueError: if the module has other state than parameters.
    """
    abstract = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graph, template, rest = nnx.split(abstract, nnx.Param, ...)
    if jax.tree.leaves(rest):
        raise ValueError(
            f"the module keeps state besides its parameters: {sorted(map(str, rest))}. jaxgeom trains pure functions "
            "of parameters; take out batch statistics, dropout and the like."
        )

    def initialise(key: RandomKey) -> Params:
        return nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key)), nnx.Param))

    def apply(params: Params, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
        state = jax.tree.map(lambda leaf: leaf, template)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)(x)

    return Model(initialise, apply)


def _check_name(kind: str, name: Any, known: dict[str, Any]) -> None:
    if name not in known:
        raise ValueError(f"{kind} must be one of {', '.join(known)}, but {name!r} was given.")
