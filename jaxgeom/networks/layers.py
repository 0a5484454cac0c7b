"""Networks as the geometry sees them: a tuple of affine layers, each followed by units with one kink at zero.

A network is ``(Dense, ..., Dense)``. Every layer but the last is followed by ReLU, or by what its ``slope`` says: a
unit gives h = z where its pre-activation z is strictly positive, where it is *active*, and slope · z elsewhere. The
last layer is the affine output. :func:`layers_of` reads such a tuple off the parameters of :func:`jaxgeom.mlp` (or of
any Flax MLP), :func:`with_activation` adds the slopes to layers written by hand, :func:`forward` evaluates a network
and keeps every pre-activation and activation.

A population is the same tuple with a leading axis on every array.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, Params
from jaxgeom.host.contract import times
from jaxgeom.host.given import as_array, as_float64, is_plain, where_layers_are
from jaxgeom.host.names import did_you_mean
from jaxgeom.host.sparse import SparseKernel, as_sparse, is_sparse, stored
from jaxgeom.networks.same_network import check_computes

if TYPE_CHECKING:
    Kernel: TypeAlias = Float[Array | np.ndarray, "*networks in out"]
else:  # or a sparse kernel
    Kernel = Any


@readable
class Dense(NamedTuple):
    """One affine layer, ``x @ kernel + bias``, and what follows it. A population has a leading axis on all arrays."""

    kernel: Kernel
    """Weights (*networks, in, out), one column a unit; of single networks, where most are zero, also as
    ``scipy.sparse.csr_array``."""
    bias: Float[Array | np.ndarray, "*networks out"]
    """One offset a unit."""
    slope: Float[Array | np.ndarray, "*networks out"] | None = None
    """What values that are not positive are multiplied by after the layer: 0 is ReLU, 0.01 the usual leaky ReLU, -1 the
    absolute value, 1 a unit without a kink. None stands for ReLU, and behind the last layer for nothing. Functions
    that take layers also take one number, or one for each unit that all networks share."""


Layers: TypeAlias = tuple[Dense, ...]

Activation: TypeAlias = str | float | Sequence[str | float]
"""A name, or a slope; for all hidden layers, or for each."""

_SLOPES = {"relu": 0.0, "leaky_relu": 0.01, "abs": -1.0, "linear": 1.0}
_REWRITTEN = ("hard_tanh", "maxout")


@readable
class Forward(NamedTuple):
    """Everything a network computes on a batch of points."""

    output: Float[Array, "points out"]
    """Values of the last, affine layer."""
    pre_activations: tuple[Float[Array, "points width"], ...]
    """For each hidden layer, the values before its activation."""
    activations: tuple[Float[Array, "points width"], ...]
    """For each hidden layer, the values after its activation."""


def forward(layers: Layers, x: Float[Array | np.ndarray, "points in"]) -> Forward:
    """Outputs and all hidden states of one network on a batch of points.

    Args:
        layers: one network, as :func:`layers_of` gives it.
        x: points, shape (points, in).

    Returns:
        Outputs, pre-activations and activations as JAX arrays, float64 if the layers or the points are. Where JAX's x64
        is off, take ``np.asarray`` of them before calculating with them: JAX rounds to float32 what it combines.

    Raises:
        ValueError: for a population, or points of another shape or dimension.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> values = jg.forward(network, [[0.5, -2.0], [3.0, 4.0]])
        >>> values.output.tolist(), values.activations[0].tolist()
        ([[-0.5], [6.0]], [[0.5, 0.0], [3.0, 4.0]])
    """
    pre_activations, activations = [], []
    with jax.enable_x64(True):
        x = jnp.asarray(as_array(x, "points"))
        layers = check_layers(layers, dim=x.shape[-1] if x.ndim else None, keep_sparse=True)
        if np.ndim(layers[0].bias) != 1 or x.ndim != MATRIX:
            raise ValueError(
                "forward takes one network and points of shape (points, in), but the layers have leading axes "
                f"{np.shape(layers[0].bias)[:-1]}, and the points shape {x.shape}. For populations, use jax.vmap."
            )
        for layer in layers[:-1]:
            pre_activations.append(_product(x, layer.kernel) + layer.bias)
            x = activated(pre_activations[-1], layer.slope)
            activations.append(x)
        output = _product(x, layers[-1].kernel) + layers[-1].bias
    return Forward(output, tuple(pre_activations), tuple(activations))


def _product(x: Array, kernel: Any) -> Array:
    return jnp.asarray(np.asarray(x) @ kernel) if isinstance(kernel, SparseKernel) else times(x, kernel)


def activated(
    z: Float[Array, "*points out"], slope: Float[Array | np.ndarray, " out"] | None
) -> Float[Array, "*points out"]:
    """The activations of a hidden layer, in the dtype of the pre-activations. Their derivative at zero is that of an
    inactive unit."""
    return jax.nn.relu(z) if slope is None else jnp.where(z > 0, z, slope.astype(z.dtype) * z)


def slope_of(layer: Dense) -> Float[Array | np.ndarray, "*networks out"]:
    """The slopes of a hidden layer as an array: zeros for ReLU."""
    return np.zeros(np.shape(layer.bias)) if layer.slope is None else layer.slope


def layer_name(index: int, activation: str) -> str:
    """Name of a layer among the parameters of :func:`jaxgeom.mlp`: its place, and what follows it."""
    return f"dense{index}_{activation}"


_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_OWN_NAME = re.compile(rf"dense(\d+)_(\w+|{_NUMBER})")


def num_pieces(activation: str) -> int:
    """Number of affine functions that a unit of :func:`jaxgeom.mlp` takes: two for maxout, their maximum; else one."""
    return 2 if activation == "maxout" else 1


def check_one_piece(activation: str, what: str) -> None:
    """Raise a ValueError if units have two pieces where ``what`` needs one."""
    if num_pieces(activation) > 1:
        raise ValueError(
            f"{what} needs units with one pre-activation, but those of {activation} take the larger one of two. "
            "layers_of(params) writes such a network with one kink a unit: of a layer of n of them, the first n units "
            "of layers_of are the differences of their pieces."
        )


def slope_in_name(activation: str) -> float | None:
    """The number where the name of an activation is one, as in "dense0_0.2"; None for words."""
    return float(activation) if re.fullmatch(_NUMBER, activation) else None


def is_piecewise_linear(activation: str) -> bool:
    """Whether an activation, by its name, has linear regions: those that :func:`layers_of` reads."""
    return activation in (*_SLOPES, *_REWRITTEN) or slope_in_name(activation) is not None


def layers_of(params: Params, *, order: Sequence[str] | None = None, model: Any = None) -> Layers:
    """The tuple of affine layers that the region functions take, read off trained parameters.

    Of activations other than ReLU, the layers have the slopes; layers without an activation have slope 1. Each unit of
    hard tanh is written as two ReLU units, and each maxout unit as a ReLU unit and a linear one, in float64, as
    :func:`with_activation` says. A network that ends in an activation gets an identity layer behind it, so that its
    last kinks count as well.

    Args:
        params: the parameters of a :func:`jaxgeom.mlp` with piecewise linear activations ("relu", "leaky_relu", "abs",
            "linear", "hard_tanh", "maxout" or a slope); or a sequence of layers ``(kernel, bias)`` or ``(kernel, bias,
            slope)``; or those of another Flax module, with ``order`` and ``model``. A population has a leading axis on
            every array.
        order: for modules that are not :func:`jaxgeom.mlp`: the names of the layers from input to output, with ReLU
            between. Names alone do not tell it (Flax numbers layers as they are created, not as they are called).
        model: what computes the network: a :class:`jaxgeom.Model`, such as that of :func:`jaxgeom.from_linen`, or its
            function ``apply(params, x)``. The layers are compared with it at some thousand random points of all
            sizes, so that other activations, residual connections and another order are found out. Needed with
            ``order``.

    Raises:
        ValueError: if the parameters are not those of an MLP, or hold an activation that is not piecewise linear; if
            the layers compute something else than the model; or if there is an ``order`` without a ``model``.

    Example:
        >>> import jax, jaxgeom as jg
        >>> model = jg.mlp((2, 8, 1), activation="relu")
        >>> networks = jg.layers_of(jax.vmap(model.init)(jax.random.split(jax.random.key(0), 100)))
        >>> [layer.kernel.shape for layer in networks]
        [(100, 2, 8), (100, 8, 1)]
    """
    with jax.enable_x64(True):  # float64 weights stay float64
        named = [(name, after, as_arrays([layer])[0]) for name, after, layer in named_layers(params, order)]
        if order is not None and model is None:
            raise ValueError(
                "an order alone cannot tell whether ReLU, and nothing else, is between the layers. Give the model as "
                "well, and this is checked: layers_of(params, order=…, model=model), or model=module.apply."
            )
        layers = _layers_of(named)
    if model is not None:
        check_computes(layers, getattr(model, "apply", model), params)
    return layers


def _layers_of(named: list[tuple[str, str, Dense]]) -> Layers:
    layers = [layer for _, _, layer in named]
    if named[-1][1] != "linear":
        layers.append(_identity_like(layers[-1], num_pieces(named[-1][1])))
    for index, (name, activation, layer) in enumerate(named[: len(layers) - 1]):
        if layer.slope is not None:
            continue
        slope = slope_in_name(activation)
        if not is_piecewise_linear(activation):
            raise ValueError(
                f"layer {name!r} is followed by {activation}, but linear regions are counted for piecewise linear "
                "networks only. Use grid_regions(lambda x: model.apply(params, x), points), which takes any function, "
                "or write the layers by hand as a tuple of jaxgeom.Dense(kernel, bias)."
            )
        if activation == "maxout":
            _check_halves(index, *layers[index : index + 2])
        layers[index : index + 2] = _followed_by(activation if slope is None else slope, *layers[index : index + 2])
    return check_layers(tuple(layers))


def with_activation(layers: Layers, activation: Activation | None, *, keep_sparse: bool = False) -> Layers:
    """The layers with the slopes of an activation that is given beside them.

    Hard tanh, with its two kinks, is relu(z + 1) - relu(z - 1) - 1, and maxout of two pieces is relu(a - b) + b:
    networks with these are rewritten, in float64, as ones with twice the units, and what follows takes up the sums.

    Args:
        layers: one network or a population.
        activation: of all hidden layers, or of each: "relu", "leaky_relu" (slope 0.01), a number (a leaky ReLU of that
            slope), "abs", "linear" (no kink), "hard_tanh" (between -1 and 1; a layer of twice the units: those of the
            kinks at -1, then those of the kinks at 1) or "maxout" (units n and n + width/2 are the two pieces; a
            layer of the differences, which cut, and then the second pieces, which do not). None for what the layers
            say themselves.
        keep_sparse: leave sparse kernels as they are.

    Raises:
        ValueError: for other activations, or a wrong number of them, maxout with an odd width, or layers that have
            slopes already.
        TypeError: for anything that is neither a name nor a number.
    """
    if activation is None:
        return check_layers(layers, keep_sparse=keep_sparse)
    is_network = not isinstance(layers, Mapping) and isinstance(layers, tuple | list) and layers
    if not (is_network and "maxout" in (activation if isinstance(activation, list | tuple) else [activation])):
        layers = check_layers(layers)  # those for maxout fit when they are rewritten
    found = list(as_arrays(layers))
    if any(layer.slope is not None for layer in found):
        raise ValueError(
            f"the layers have slopes of their own, but activation={activation!r} was given as well. Leave it out, or "
            "take layers without slopes, Dense(kernel, bias)."
        )
    num_hidden = len(found) - 1
    each = list(activation) if isinstance(activation, list | tuple) else [activation] * num_hidden
    if len(each) != num_hidden:
        raise ValueError(f"there are {num_hidden} hidden layers, but {len(each)} activations were given: {each}.")
    with jax.enable_x64(True):
        for index, name in enumerate(each):
            if name == "maxout":
                _check_halves(index, *found[index : index + 2])
            found[index : index + 2] = _followed_by(name, *found[index : index + 2])
    return check_layers(tuple(found))


def is_rewriting(activation: Activation | None) -> bool:
    """Whether an activation changes the weights of the layers, and not only their slopes."""
    return any(name in _REWRITTEN for name in (activation if isinstance(activation, list | tuple) else [activation]))


def _followed_by(activation: Any, layer: Dense, after: Dense) -> tuple[Dense, Dense]:
    """A layer with an activation, and the one after it; where x64 is enabled."""
    if activation not in _REWRITTEN:
        slope = _slope(activation)
        return layer._replace(slope=_filled(slope, layer.bias) if slope else None), after
    (a, p, _), (b, q, _) = (jax.tree.map(as_float64, part) for part in (layer, after))
    xp = jnp if any(isinstance(array, jax.core.Tracer) for array in (a, p, b, q)) else np
    if activation == "hard_tanh":
        layer = Dense(xp.concatenate([a, a], axis=-1), xp.concatenate([p + 1.0, p - 1.0], axis=-1))
        return layer, Dense(xp.concatenate([b, -b], axis=-2), q - b.sum(axis=-2))
    width = p.shape[-1] // 2
    a, p = (xp.concatenate([c[..., :width] - c[..., width:], c[..., width:]], axis=-1) for c in (a, p))
    halves = np.broadcast_to(np.repeat([0.0, 1.0], width), p.shape)
    return Dense(a, p, halves), Dense(xp.concatenate([b, b], axis=-2), q)


def _check_halves(index: int, layer: Dense, after: Dense) -> None:
    width, inputs = np.shape(layer.bias)[-1], np.shape(after.kernel)[-2]
    if width != 2 * inputs:
        raise ValueError(
            f"maxout halves the number of units, but layer {index} has {width} and the next one takes {inputs} inputs."
        )


def _filled(slope: float, bias: Array | np.ndarray) -> Float[np.ndarray, "*networks out"]:
    """One number for all units, which takes no memory for each."""
    return np.broadcast_to(np.float64(slope), np.shape(bias))


def _slope(activation: Any) -> float:
    if isinstance(activation, str):
        if activation in _SLOPES:
            return _SLOPES[activation]
        raise ValueError(
            f"the activation must be one of {', '.join((*_SLOPES, *_REWRITTEN))} or a slope, but {activation!r} was "
            f"given.{did_you_mean(activation, (*_SLOPES, *_REWRITTEN))} Other functions have no linear regions: "
            "count_grid_regions and grid_regions count the affine maps that any function shows on a grid."
        )
    if isinstance(activation, bool) or not isinstance(activation, int | float | np.floating | np.integer):
        raise TypeError(
            f"an activation is a name or a number, its slope, but {type(activation).__name__} was given. Names are "
            f"{', '.join((*_SLOPES, *_REWRITTEN))}."
        )
    if not np.isfinite(activation):
        raise ValueError(f"a slope must be finite, but {activation} was given.")
    return float(activation)


def check_layers(layers: Any, *, dim: int | None = None, keep_sparse: bool = False) -> Layers:
    """Check that the shapes of a network (or population) fit together.

    Args:
        layers: a tuple of :class:`Dense`, or of tuples ``(kernel, bias)`` or ``(kernel, bias, slope)``.
        dim: if given, the input dimension that is needed.
        keep_sparse: leave sparse kernels as they are; else they become dense arrays, if these are not too large.

    Returns:
        The layers, as a tuple of :class:`Dense` with NumPy or JAX arrays.

    Raises:
        TypeError: if ``layers`` is not a sequence of layers, or weights are not real numbers.
        ValueError: if shapes do not fit, float64 does not hold some weight, or the last layer has a slope.
    """
    if isinstance(layers, Mapping) or not isinstance(layers, tuple | list) or not layers:
        is_empty = isinstance(layers, tuple | list | Mapping) and not layers
        given = f"an empty {type(layers).__name__}" if is_empty else type(layers).__name__
        raise TypeError(
            f"a network is a tuple of jaxgeom.Dense(kernel, bias), but {given} was given."
            + where_layers_are(layers, "Use jaxgeom.layers_of(params).")
        )
    checked = as_arrays(layers, keep_sparse=keep_sparse)
    width = dim
    leading = checked[0].kernel.shape[:-2]
    for index, (kernel, bias, _) in enumerate(checked):
        shape = kernel.shape
        if len(shape) < MATRIX or bias.shape != (*leading, shape[-1]) or shape[:-2] != leading:
            raise ValueError(
                f"layer {index} has a kernel of shape {shape} and a bias of shape {bias.shape}; needed are "
                "(*networks, in, out) and (*networks, out), with the same leading axes in all layers."
            )
        if width is not None and shape[-2] != width:
            raise ValueError(
                f"layer {index} takes {shape[-2]} inputs, but what comes before it has {width} dimensions."
            )
        width = shape[-1]
    if checked[-1].slope is not None:
        raise ValueError(
            f"layer {len(checked) - 1} is the last one, which no activation follows, but it has a slope. Add an "
            "identity layer behind it, jaxgeom.Dense(np.eye(out), np.zeros(out)), so that its units are hidden ones."
        )
    return checked


def as_arrays(layers: Any, *, keep_sparse: bool = False) -> Layers:
    """The layers with arrays of real numbers for whatever was given; see :func:`jaxgeom.host.given.as_array`, and
    :func:`check_layers` for sparse kernels."""
    if any(not isinstance(layer, tuple | list) or len(layer) not in (2, 3) for layer in layers):
        needed = "every layer must be a jaxgeom.Dense(kernel, bias), or a Dense(kernel, bias, slope)."
        raise TypeError(needed + where_layers_are(layers))
    found = []
    for index, layer in enumerate(layers):
        if type(layer) is Dense and layer.slope is None and is_plain(layer.kernel) and is_plain(layer.bias):
            found.append(layer)  # as it is, in a tenth of the time
            continue
        kernel, bias, *rest = layer
        if is_sparse(kernel):
            kernel = as_sparse(kernel) if keep_sparse else np.asarray(as_sparse(kernel))
        else:
            kernel = as_array(kernel, f"the kernel of layer {index}")
        bias = as_array(bias, f"the bias of layer {index}")
        found.append(Dense(kernel, bias, _slopes_of_units(rest[0], bias.shape, index) if rest else None))
    return tuple(found)


def _slopes_of_units(slope: Any, shape: tuple[int, ...], index: int) -> Array | np.ndarray | None:
    """The slopes of all units (*networks, out): of one number for all, of one for each unit, or as they are."""
    if slope is None:
        return None
    slope = as_array(slope, f"the slope of layer {index}")
    given = np.shape(slope)
    if given not in ((), shape[-1:], shape):
        raise ValueError(
            f"layer {index} has a bias of shape {shape} and a slope of shape {given}; needed is one number, one for "
            f"each unit, {shape[-1:]}, or one for each bias."
        )
    if isinstance(slope, jax.core.Tracer):
        return slope if given == shape else jnp.broadcast_to(slope, shape)
    if given == () and not np.isfinite(slope):
        raise ValueError(f"a slope must be finite, but {slope} was given for layer {index}.")
    if not isinstance(slope, jax.Array):
        slope = slope.astype(np.float64, copy=False)
    return slope if given == shape else np.broadcast_to(np.asarray(slope), shape)


def pad_widths(layers: Layers, widths: Sequence[int]) -> Layers:
    """The same network with zero units added, so that the hidden layers get the given widths.

    Zero units are never active and cut nothing: networks of different widths can share one compiled program.

    Args:
        layers: one network or a population, as NumPy arrays.
        widths: for each hidden layer, at least its own width.
    """
    layers = jax.tree.map(np.asarray, as_arrays(layers))
    numbers = [width - layer.bias.shape[-1] for width, layer in zip(widths, layers[:-1], strict=True)]
    padded, before = [], 0
    for (kernel, bias, slope), after in zip(layers, [*numbers, 0], strict=True):
        none = [(0, 0)] * (bias.ndim - 1)
        columns = [*none, (0, after)]
        kernel = np.pad(kernel, [*none, (0, before), (0, after)])
        padded.append(Dense(kernel, np.pad(bias, columns), None if slope is None else np.pad(slope, columns)))
        before = after
    return tuple(padded)


def first_nonfinite_layer(layers: Layers) -> int | None:
    """Index of the first layer with NaN or infinite weights or slopes, or None. Tracers count as finite."""
    for index, layer in enumerate(layers):
        arrays = [array for array in jax.tree.leaves(layer) if not isinstance(array, jax.core.Tracer)]
        arrays = [weights for array in arrays for weights in (stored(array) if is_sparse(array) else [array])]
        if not all(np.isfinite(np.asarray(array)).all() for array in arrays):
            return index
    return None


def check_finite(layers: Layers) -> None:
    """Raise a ValueError that names the first layer with NaN or infinite weights."""
    index = first_nonfinite_layer(layers)
    if index is not None:
        raise ValueError(
            f"layer {index} of the network has NaN or infinite weights, so its regions are undefined. Check the "
            "field `diverged` of the training result."
        )


def named_layers(params: Params, order: Sequence[str] | None = None) -> list[tuple[str, str, Dense]]:
    """(name, activation that follows, layer) for each affine layer, from input to output; see :func:`layers_of`.

    Of layers with slopes of their own, these are the activation, and it is named "slope".
    """
    if isinstance(params, tuple | list):
        layers = check_layers(params)
        names = ["relu" if layer.slope is None else "slope" for layer in layers[:-1]]
        return [
            (f"layer {i}", name, layer) for i, (name, layer) in enumerate(zip([*names, "linear"], layers, strict=True))
        ]
    if isinstance(params, Mapping) and set(params) == {"params"}:
        params = params["params"]
    if not isinstance(params, Mapping) or not params:
        found = f"a {type(params).__name__} was given"
        elsewhere = where_layers_are(params)
        raise ValueError(f"these are not parameters: {found}.{elsewhere}" if elsewhere else _not_an_mlp(found))
    if order is not None:
        if sorted(order) != sorted(params):
            raise ValueError(f"order must name each of the layers {sorted(params)} once, but {list(order)} was given.")
        return [(name, "linear" if name == order[-1] else "relu", _dense(name, params[name])) for name in order]
    matches = {name: _OWN_NAME.fullmatch(str(name)) for name in params}
    parsed = sorted((int(match[1]), name, match[2]) for name, match in matches.items() if match)
    if len(parsed) < len(params):
        raise ValueError(_not_an_mlp(f"the modules are named {sorted(map(str, params))}"))
    return [(name, activation, _dense(name, params[name])) for _, name, activation in parsed]


def _dense(name: str, entry: Any) -> Dense:
    allowed = isinstance(entry, Mapping) and set(entry) in ({"kernel"}, {"kernel", "bias"})
    if not allowed or np.ndim(entry["kernel"]) < MATRIX:
        held = sorted(entry) if isinstance(entry, Mapping) else type(entry).__name__
        raise ValueError(_not_an_mlp(f"module {name!r} holds {held} instead of kernel and bias"))
    kernel, bias = (
        array if array is None or hasattr(array, "dtype") else as_array(array, f"the {part} of {name!r}")
        for part, array in (("kernel", entry["kernel"]), ("bias", entry.get("bias")))
    )
    return Dense(kernel, jnp.zeros((*kernel.shape[:-2], kernel.shape[-1]), kernel.dtype) if bias is None else bias)


def _not_an_mlp(found: str) -> str:
    return (
        f"these are not the parameters of a jaxgeom.mlp: {found}. If they are the layers of a ReLU network, pass "
        'order=("first", …, "last") with their names from input to output, and model=, or write the affine layers by '
        "hand as a tuple of jaxgeom.Dense(kernel, bias); for any other network use grid_regions with its apply "
        "function."
    )


def _identity_like(layer: Dense, pieces: int) -> Dense:
    """The identity of what a last layer gives: its values, or the maxima of as many of them at a time."""
    width = layer.bias.shape[-1] // pieces
    kernel = jnp.broadcast_to(jnp.eye(width, dtype=layer.bias.dtype), (*layer.bias.shape[:-1], width, width))
    return Dense(kernel, jnp.zeros_like(layer.bias[..., :width]))
