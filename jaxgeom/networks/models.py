"""Multilayer perceptrons as pairs of pure functions; :mod:`jaxgeom.networks.flax_modules` makes such of Flax modules.

``Model(init, apply)`` holds no state: ``params = init(key)`` is a plain dictionary of arrays, and
``apply(params, x)`` evaluates a batch. A population is ``jax.vmap(init)(keys)``.

The parameters of :func:`mlp` describe themselves: layer i is named ``dense{i}_{activation}`` after the activation
that follows it, so that :func:`hidden_states` and :func:`jaxgeom.layers_of` need nothing else. The kernel of a layer of
maxout units has two columns for each: those of the first pieces, then those of the second ones.
"""

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, Apply, Params, RandomKey
from jaxgeom.host.contract import times
from jaxgeom.host.given import check_flags
from jaxgeom.host.inputs import as_array, as_key
from jaxgeom.host.names import check_name
from jaxgeom.host.precision import full_precision
from jaxgeom.host.programs import compiled
from jaxgeom.networks.affine import FEW_INPUTS
from jaxgeom.networks.layers import activated, layer_name, named_layers, num_pieces, slope_in_name

LEAST_FEATURES = 2
"""Numbers of units of a network without hidden layers: inputs and outputs."""


@readable
class Model(NamedTuple):
    """A network as two pure functions."""

    init: Callable[[RandomKey], Params]
    """``init(key)`` draws the parameters of one network."""
    apply: Apply
    """``apply(params, x)`` maps points (points, in) to outputs (points, out)."""
    is_mlp: bool = False
    """Whether ``apply`` is that of :func:`mlp`, which the names and shapes of the parameters tell in full."""
    mask: Params | None = None
    """Which parameters are real, bool, where others are padding and must stay zero; None if all are real."""

    def _note(self) -> str:
        """Layers, their shapes, and the number of parameters."""
        try:
            params = jax.eval_shape(self.init, jax.random.key(0))
        except Exception:  # a text about a model must not fail because of the model
            return "layers unknown"
        leaves = jax.tree.leaves(params)
        num = sum(math.prod(leaf.shape) for leaf in leaves)
        if self.is_mlp:
            kernels = sorted(params, key=lambda name: int(name.partition("_")[0].removeprefix("dense")))
            sizes = [params[kernels[0]]["kernel"].shape[0]]
            for name in kernels:
                activation = name.partition("_")[2]
                sizes.append(f"{params[name]['kernel'].shape[1] // num_pieces(activation)} {activation}")
            shapes = " → ".join(map(str, sizes))
        else:
            paths = jax.tree_util.tree_flatten_with_path(params)[0]
            shapes = ", ".join(f"{jax.tree_util.keystr(path)} {leaf.shape}" for path, leaf in paths)
        return f"{shapes}; {num:,} parameters"


@readable
class LayerState(NamedTuple):
    """Values of one layer on a batch of points, before and after its activation."""

    pre_activation: Float[Array, "points width"]
    """Values before the activation; of maxout units, twice as many as there are units."""
    activation: Float[Array, "points units"]
    """Values after it (the same for a linear layer)."""


@readable
class Initializer(NamedTuple):
    """Random numbers for weights and biases: all layers share one draw, which each scales by its number of inputs."""

    draw: Callable[[RandomKey, tuple[int]], Array]
    """``draw(key, (numbers,))``: independent standard numbers, float32."""
    kernel_scale: Callable[[Any], Any]
    """``kernel_scale(fan_in)``: what the weights are multiplied by."""
    bias_scale: Callable[[Any], Any]
    """``bias_scale(fan_in)``: the same for the biases."""


def _identity(z: Array) -> Array:
    return z


def maxout(z: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """The larger ones of two halves of an axis: units n and n + units are the pieces of unit n. Derivatives at ties are
    those of the second piece."""
    first, second = jnp.split(z, 2, axis=axis)
    return jnp.where(first > second, first, second)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": _identity,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "leaky_relu": lambda z: jnp.where(z > 0, z, 0.01 * z),
    "abs": lambda z: jnp.where(z > 0, z, -z),
    "hard_tanh": lambda z: jnp.where(z > 1, 1, jnp.where(z > -1, z, -1)),
    "maxout": maxout,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "sin": jnp.sin,
}
"""Activations by name. At a kink, derivatives are those of the side where the unit is not active (z ≤ 0), as in
:func:`jaxgeom.networks.layers.with_activation`; hard tanh is relu(z + 1) - relu(z - 1) - 1, and maxout relu(a - b) + b
of its two pieces, which halves the last axis; all others act on each number."""


def activation_function(name: str) -> Callable[[Array], Array]:
    """The activation of a name, which may be a number: a leaky ReLU of that slope.

    Raises:
        ValueError: for other names.
    """
    slope = slope_in_name(name) if isinstance(name, str) else None
    if slope is not None:
        return lambda z: jnp.where(z > 0, z, slope * z)
    check_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def _name_of(activation: Any) -> str:
    """The name of an activation that is given by its name or its slope."""
    if isinstance(activation, str):
        return activation
    if isinstance(activation, jax.core.Tracer):
        raise TypeError(
            "an activation is part of the program, and must be a name or a number, but a traced one was given. Of a "
            'study, name its axis in static: static=("activation",).'
        )
    if isinstance(activation, bool) or not isinstance(activation, int | float | np.integer | np.floating):
        raise TypeError(
            f"an activation is a name or a number, its slope, but {type(activation).__name__} was given. Names are "
            f"{', '.join(sorted(ACTIVATIONS, key=lambda name: name != 'relu'))}."
        )
    if not math.isfinite(activation):
        raise ValueError(f"a slope must be finite, but {activation} was given.")
    return repr(float(activation))


def he_init(bias_scale: float = 0.0) -> Initializer:
    """He initialisation: normal weights of variance 2/fan_in, normal biases of standard deviation ``bias_scale``.

    Example:
        >>> import jax, jaxgeom as jg
        >>> params = jg.mlp((2, 8, 1), init=jg.he_init(bias_scale=0.1)).init(jax.random.key(0))
        >>> bool((params["dense0_relu"]["bias"] != 0).all())
        True
    """
    return Initializer(_normal, _root_of_two_over, _constant_scale(bias_scale))


def _normal(key: RandomKey, shape: tuple[int]) -> Array:
    return jax.random.normal(key, shape, jnp.float32)


def _uniform(key: RandomKey, shape: tuple[int]) -> Array:
    return jax.random.uniform(key, shape, jnp.float32, -1.0, 1.0)


def _truncated_normal(key: RandomKey, shape: tuple[int]) -> Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32) / _STANDARD_DEVIATION


def _root_of_two_over(fan_in: Any) -> Any:
    return (2 / fan_in) ** 0.5


def _one_over_root(fan_in: Any) -> Any:
    return fan_in**-0.5


def _constant(value: float, _: Any) -> float:
    return value


@lru_cache(maxsize=64)
def _constant_scale(value: float) -> Callable[[Any], float]:
    return partial(_constant, value)  # the same one for the same value, so that programs are kept


_OWN_DRAWS = (_normal, _uniform, _truncated_normal)


_STANDARD_DEVIATION = 0.87962566103423978  # of a standard normal variable cut off at ±2

INITIALIZERS: dict[str, Initializer] = {
    "pytorch": Initializer(_uniform, _one_over_root, _one_over_root),
    "flax": Initializer(_truncated_normal, _one_over_root, partial(_constant, 0.0)),
    "he": he_init(),
}
"""Initialisations by name: PyTorch's default for linear layers (weights and biases uniform within ±1/√fan_in), Flax's
(LeCun normal, cut off at two standard deviations; zero biases), and He's with zero biases."""


def mlp(
    features: Sequence[int],
    *,
    activation: str | float | Sequence[str | float] = "relu",
    output_activation: str | float = "linear",
    use_bias: bool = True,
    init: str | Initializer = "pytorch",
    widths: Sequence[Any] | None = None,
    dtype: Any = "float32",
) -> Model:
    """A multilayer perceptron.

    Args:
        features: numbers of units from input to output, such as (2, 10, 10, 3). Each maxout unit has two affine
            pieces, so that a layer of n of them has a kernel of shape (in, 2 n).
        activation: what follows the hidden layers, by name (:data:`ACTIVATIONS`): one for all, or one for each.
            A layer with "linear" is a linear bottleneck, and the units of one with "maxout" are maxima of two pieces.
            A number is the slope of a leaky ReLU, and the name of the layer holds it, as in "dense0_0.2".
        output_activation: what follows the last layer; leave it "linear" for losses that take logits.
        use_bias: whether layers have biases.
        init: "pytorch" (uniform within ±1/√fan_in, weights and biases), "flax" (LeCun normal, zero biases), "he"
            (He normal, zero biases), or an :class:`Initializer` such as ``he_init(bias_scale=0.1)``. It is part of
            every published count.
        widths: numbers of units that the hidden layers really have, at most those in ``features``; they may be
            traced. The other units are padding: their weights and biases are zero and stay so, and the rest is drawn
            as for ``mlp((in, *widths, out))``, so that one compiled program serves networks of many widths. Traced
            widths out of bounds cannot raise: they give parameters that are NaN, and ``fit`` marks them ``diverged``.
        dtype: of the parameters, "float32" or "float64". With "float64", ``fit`` trains in double precision, from the
            same initial parameters as with "float32". JAX needs ``jax.config.update("jax_enable_x64", True)`` for it.

    Returns:
        A model with parameters ``{"dense0_relu": {"kernel": (in, out), "bias": (out,)}, ...}``.

    Raises:
        ValueError: for fewer than two features, sizes below one, unknown names, a wrong number of activations, widths
            out of bounds, or another dtype.

    Example:
        >>> import jax, jaxgeom as jg
        >>> model = jg.mlp((2, 10, 1), activation="relu", init="he")
        >>> params = model.init(jax.random.key(0))
        >>> {name: layer["kernel"].shape for name, layer in params.items()}
        {'dense0_relu': (2, 10), 'dense1_linear': (10, 1)}
    """
    check_flags(use_bias=use_bias)
    features = tuple(int(n) if isinstance(n, np.integer) else n for n in features)
    if len(features) < LEAST_FEATURES or any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in features):
        raise ValueError(
            f"features must be at least two positive integers, from input to output, but {features} was given, "
            "for instance (2, 20, 1)."
        )
    num_hidden = len(features) - 2
    given: Any = activation
    is_one = isinstance(given, str) or not np.iterable(given)
    hidden: tuple[str | float, ...] = (given,) * num_hidden if is_one else tuple(given)
    if len(hidden) != num_hidden:
        raise ValueError(
            f"{num_hidden} hidden layers need one activation or {num_hidden}, but {len(hidden)} were given: {hidden}."
        )
    activations = tuple(map(_name_of, (*hidden, output_activation)))
    for name in activations:
        activation_function(name)
    if isinstance(init, str):
        check_name("init", init, INITIALIZERS)
        init = INITIALIZERS[init]
    if widths is not None:
        widths = _check_widths(widths, features)
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f'dtype must be "float32" or "float64", but {dtype!r} was given.')
    network = _Network(features, activations, use_bias, init, widths, np.dtype(dtype).name)
    return Model(network.init, network.apply, True, None if widths is None else network.mask())


class _Network(NamedTuple):
    """What :func:`mlp` makes: its functions are methods, so that models can be pickled and copied."""

    features: tuple[int, ...]
    activations: tuple[str, ...]
    use_bias: bool
    initializer: Initializer
    widths: tuple[Int32[Array, ""], ...] | None
    dtype: str = "float32"

    def init(self, key: RandomKey) -> Params:
        draw = _drawn_at_once if self.initializer.draw in _OWN_DRAWS else _drawn
        params = draw(as_key(key), *self[:-1])
        if self.dtype == "float32":
            return params
        if jnp.asarray(0.0).dtype != jnp.float64:
            raise ValueError(
                'dtype="float64" needs double precision in JAX, which is off: '
                'jax.config.update("jax_enable_x64", True).'
            )
        return jax.tree.map(lambda leaf: leaf.astype(self.dtype), params)

    @full_precision()
    def apply(self, params: Params, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
        x = jnp.asarray(as_array("x", x))
        check_inputs(x, self.features[0])
        for index, (width, activation) in enumerate(zip(self.features[1:], self.activations, strict=True)):
            name = layer_name(index, activation)
            layer, shape = params[name], (x.shape[-1], width * num_pieces(activation))
            if layer["kernel"].shape != shape:
                raise ValueError(
                    f"the kernel of {name} must have shape {shape} (in, out), but has shape {layer['kernel'].shape}."
                )
            dtype = jnp.result_type(x, *jax.tree.leaves(layer))
            z = small_product(x.astype(dtype), jnp.asarray(layer["kernel"], dtype))
            x = activation_function(activation)(z + layer["bias"] if self.use_bias else z)
        return x

    def mask(self) -> Params:
        """Which parameters belong to units that are really there."""
        real: tuple[Any, ...] = (self.features[0], *(self.widths or ()), self.features[-1])
        units = [np.arange(most) < width for most, width in zip(self.features, real, strict=True)]
        mask = {}
        for index, (activation, (before, after)) in enumerate(zip(self.activations, pairwise(units), strict=True)):
            after = jnp.tile(after, num_pieces(activation))
            bias = {"bias": jnp.asarray(after)} if self.use_bias else {}
            mask[layer_name(index, activation)] = {"kernel": jnp.asarray(before)[:, None] & after} | bias
        return mask


def has_own_init(model: Model) -> bool:
    """Whether a model's parameters are drawn as :func:`mlp` does, by operations that do not ask for the kind of key."""
    network = getattr(model.init, "__self__", None)
    return isinstance(network, _Network) and network.initializer.draw in _OWN_DRAWS


def small_product(x: Float[Array, "points in"], kernel: Float[Array, "in out"]) -> Float[Array, "points out"]:
    """``x @ kernel``; as multiply-adds where one side is tiny, since batches of such products are slow on CPUs."""
    if x.ndim == MATRIX and min(kernel.shape) <= FEW_INPUTS:
        return jnp.sum(x[:, :, None] * kernel, axis=1)
    return jax.lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


def check_inputs(x: Array, inputs: int) -> None:
    """A ValueError for points that have another dimension than the network's inputs."""
    if x.shape[-1:] != (inputs,):
        raise ValueError(f"the network takes points of shape (points, {inputs}), but {x.shape} was given.")


def _drawn(
    key: RandomKey,
    features: tuple[int, ...],
    activations: tuple[str, ...],
    use_bias: bool,
    init: Initializer,
    widths: Sequence[int | Array] | None,
) -> Params:
    """Parameters from one draw of numbers: layer after layer, the kernel row by row and then the bias.

    With ``widths``, each number goes to the same place of the network as without padding. The first numbers of a draw
    do not depend on how many are drawn.
    """
    pieces = [num_pieces(activation) for activation in activations]
    sizes = [
        (before + use_bias) * after * each for (before, after), each in zip(pairwise(features), pieces, strict=True)
    ]
    # Some versions of XLA would take the factors of a draw and of its scale together, and round otherwise than others.
    numbers: Array = jax.lax.optimization_barrier(init.draw(key, (sum(sizes),)))
    real = features if widths is None else (features[0], *widths, features[-1])
    for width, most in zip(real[1:-1], features[1:-1], strict=True) if widths is not None else ():
        numbers = jnp.where((width >= 1) & (width <= most), numbers, jnp.nan)
    params: dict[str, dict[str, Array]] = {}
    used: int | Array = 0

    def taken(rows: int, units: int, real_rows: int | Array, real_units: int | Array, each: int) -> Array:
        if widths is None:
            return numbers[used : used + rows * each * units].reshape(rows, each * units)
        row, (piece, unit) = np.arange(rows)[:, None], np.divmod(np.arange(each * units), units)
        place = jnp.minimum(used + (row * each + piece) * real_units + unit, numbers.shape[0] - 1)
        return jnp.where((row < real_rows) & (unit < real_units), numbers[place], 0)

    for index, (activation, each, inputs, outputs) in enumerate(
        zip(activations, pieces, pairwise(features), pairwise(real), strict=True)
    ):
        (rows, units), (real_rows, real_units) = inputs, outputs
        fan_in = real_rows if isinstance(real_rows, int) else real_rows.astype(jnp.float32)
        layer = {"kernel": init.kernel_scale(fan_in) * taken(rows, units, real_rows, real_units, each)}
        used = used + real_rows * real_units * each
        if use_bias:
            layer["bias"] = init.bias_scale(fan_in) * taken(1, units, 1, real_units, each)[0]
            used = used + real_units * each
        params[layer_name(index, activation)] = layer
    return params


_drawn_at_once = compiled(1, 2, 3, 4)(_drawn)
"""One program instead of one for each operation, which would take ten times as long to compile."""


def hidden_states(params: Params, x: Float[Array | np.ndarray, "points in"]) -> tuple[LayerState, ...]:
    """Pre-activations and activations of every layer of an :func:`mlp` on a batch of points, first to last.

    Args:
        params: parameters of one network made by :func:`mlp`, or its layers.
        x: points (points, in).

    Raises:
        ValueError: if the parameters are not those of an MLP, or the points have another dimension than its inputs.

    Example:
        >>> import jax, jaxgeom as jg
        >>> params = jg.mlp((2, 3, 1), activation="relu").init(jax.random.key(0))
        >>> states = jg.hidden_states(params, [[0.0, 1.0], [1.0, 0.0]])
        >>> [state.activation.shape for state in states]
        [(2, 3), (2, 1)]
    """
    states = []
    x = jnp.asarray(as_array("x", x))
    layers = named_layers(params)
    check_inputs(x, layers[0][-1].kernel.shape[-2])
    for _, activation, layer in layers:
        z = times(x, layer.kernel) + layer.bias
        x = activation_function(activation)(z) if layer.slope is None else activated(z, layer.slope)
        states.append(LayerState(z, x))
    return tuple(states)


def _check_widths(widths: Sequence[int | Array], features: tuple[int, ...]) -> tuple[Any, ...]:
    widths, most = tuple(widths), features[1:-1]
    is_traced = [isinstance(width, jax.core.Tracer) for width in widths]
    if len(widths) != len(most) or any(
        not traced and not 1 <= operator.index(width) <= limit
        for width, limit, traced in zip(widths, most, is_traced, strict=False)
    ):
        raise ValueError(
            f"widths must be a number of units for each of the {len(most)} hidden layers, between 1 and {most}, but "
            f"{widths} was given."
        )
    return tuple(jnp.asarray(width, jnp.int32) for width in widths)
