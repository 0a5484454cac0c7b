"""Networks as the geometry sees them: a tuple of affine layers with ReLU in between.

A network is ``(Dense, ..., Dense)``. Every layer but the last is followed by ReLU, the last one is the affine
output. A unit is *active* where its pre-activation is strictly positive. :func:`layers_of` reads such a tuple
off the parameters of :func:`jaxgeom.mlp` (or of any Flax MLP), :func:`forward` evaluates it and keeps every
pre-activation and activation.

A population is the same tuple with a leading axis on every array.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgeom._reprs import readable
from jaxgeom._typing import Params
from jaxgeom.contract import times
from jaxgeom.given import as_array
from jaxgeom.same_network import check_computes


@readable
class Dense(NamedTuple):
    """One affine layer, ``x @ kernel + bias``. A population has a leading axis on both arrays."""

    kernel: Float[Array | np.ndarray, "*networks in out"]
    """Weights, one column a unit."""
    bias: Float[Array | np.ndarray, "*networks out"]
    """One offset a unit."""


Layers: TypeAlias = tuple[Dense, ...]


@readable
class Forward(NamedTuple):
    """Everything a ReLU network computes on a batch of points."""

    output: Float[Array, "points out"]
    """Values of the last, affine layer."""
    pre_activations: tuple[Float[Array, "points width"], ...]
    """For each hidden layer, the values before ReLU."""
    activations: tuple[Float[Array, "points width"], ...]
    """For each hidden layer, the values after ReLU."""


def forward(layers: Layers, x: Float[Array | np.ndarray, "points in"]) -> Forward:
    """Evaluate one network on a batch of points, keeping all hidden states.

    Args:
        layers: one network, as :func:`layers_of` gives it.
        x: points, shape (points, in). The result is float64 if either has that dtype.

    Raises:
        ValueError: for a population, or points of another shape or dimension.
    """
    pre_activations, activations = [], []
    with jax.enable_x64(True):
        x = jnp.asarray(as_array(x, "points"))
        layers = check_layers(layers, dim=x.shape[-1] if x.ndim else None)
        if np.ndim(layers[0].bias) != 1 or x.ndim != 2:
            raise ValueError(
                "forward takes one network and points of shape (points, in), but the layers have leading axes "
                f"{np.shape(layers[0].bias)[:-1]}, and the points shape {x.shape}. For populations, use jax.vmap."
            )
        for layer in layers[:-1]:
            pre_activations.append(times(x, layer.kernel) + layer.bias)
            x = jax.nn.relu(pre_activations[-1])  # whose derivative at zero is that of an inactive unit
            activations.append(x)
        output = times(x, layers[-1].kernel) + layers[-1].bias
    return Forward(output, tuple(pre_activations), tuple(activations))


def layer_name(index: int, activation: str) -> str:
    """Name of a layer among the parameters of :func:`jaxgeom.mlp`: its place, and what follows it."""
    return f"dense{index}_{activation}"


_OWN_NAME = re.compile(r"dense(\d+)_(\w+)")


def layers_of(params: Params, *, order: Sequence[str] | None = None, model: Any = None) -> Layers:
    """The tuple of affine layers that the region functions take, read off trained parameters.

    Layers without an activation are multiplied into the next one (in float64). A network that ends in ReLU
    gets an identity layer behind it, so that its last kinks count as well.

    Args:
        params: the parameters of a :func:`jaxgeom.mlp` with ReLU (or no) activations; or a sequence of pairs
            ``(kernel, bias)``; or those of another Flax module, with ``order`` and ``model``. A population has a
            leading axis on every array.
        order: for modules that are not :func:`jaxgeom.mlp`: the names of the layers from input to output, with ReLU
            between. Names alone do not tell it (Flax numbers layers as they are created, not as they are called).
        model: what computes the network: a :class:`jaxgeom.Model`, such as that of :func:`jaxgeom.from_linen`, or its
            function ``apply(params, x)``. The layers are compared with it at some thousand random points of all
            sizes, so that other activations, residual connections and another order are found out. Needed with
            ``order``.

    Raises:
        ValueError: if the parameters are not those of an MLP, or hold an activation that is not ReLU; if the layers
            compute something else than the model; or if there is an ``order`` without a ``model``.
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
    layers: list[Dense] = []
    pending: Dense | None = None
    for index, (name, activation, layer) in enumerate(named):
        if pending is not None:
            layer = _composed(pending, layer)
            pending = None
        is_last = index == len(named) - 1
        if activation == "linear" and not is_last:
            pending = layer
        elif activation in ("relu", "linear"):
            layers.append(layer)
            if is_last and activation == "relu":
                layers.append(_identity_like(layer))
        else:
            raise ValueError(
                f"layer {name!r} is followed by {activation}, but linear regions are counted for ReLU networks "
                "only. Use grid_regions(lambda x: model.apply(params, x), points), which takes any function, "
                "or write the layers by hand as a tuple of jaxgeom.Dense(kernel, bias)."
            )
    return check_layers(tuple(layers))


def check_layers(layers: Any, *, dim: int | None = None) -> Layers:
    """Check that the shapes of a network (or population) fit together.

    Args:
        layers: a tuple of :class:`Dense`, or pairs ``(kernel, bias)``.
        dim: if given, the input dimension that is needed.

    Returns:
        The layers, as a tuple of :class:`Dense` with NumPy or JAX arrays.

    Raises:
        TypeError: if ``layers`` is not a sequence of pairs, or weights are not real numbers.
        ValueError: if shapes do not fit, or float64 does not hold some weight.
    """
    if isinstance(layers, Mapping) or not isinstance(layers, tuple | list) or not layers:
        raise TypeError(
            f"a network is a tuple of jaxgeom.Dense(kernel, bias), but {type(layers).__name__} was given. "
            "Use jaxgeom.layers_of(params)."
        )
    layers = as_arrays(layers)
    width = dim
    leading = np.shape(layers[0].kernel)[:-2]
    for index, (kernel, bias) in enumerate(layers):
        shape = np.shape(kernel)
        if len(shape) < 2 or np.shape(bias) != (*shape[:-2], shape[-1]) or shape[:-2] != leading:
            raise ValueError(
                f"layer {index} has a kernel of shape {shape} and a bias of shape {np.shape(bias)}; needed are "
                "(*networks, in, out) and (*networks, out), with the same leading axes in all layers."
            )
        if width is not None and shape[-2] != width:
            raise ValueError(
                f"layer {index} takes {shape[-2]} inputs, but what comes before it has {width} dimensions."
            )
        width = shape[-1]
    return layers


def as_arrays(layers: Any) -> Layers:
    """The layers with arrays of real numbers for whatever was given; see :func:`jaxgeom.given.as_array`."""
    if any(not isinstance(layer, tuple | list) or len(layer) != 2 for layer in layers):
        raise TypeError("every layer must be a jaxgeom.Dense(kernel, bias).")
    return tuple(
        Dense(as_array(kernel, f"the kernel of layer {index}"), as_array(bias, f"the bias of layer {index}"))
        for index, (kernel, bias) in enumerate(layers)
    )


def pad_widths(layers: Layers, widths: Sequence[int]) -> Layers:
    """The same network with zero units added, so that the hidden layers get the given widths.

    Zero units are never active and cut nothing: networks of different widths can share one compiled program.

    Args:
        layers: one network or a population, as NumPy arrays.
        widths: for each hidden layer, at least its own width.
    """
    padded = []
    before = 0
    for layer, width in zip(layers, [*widths, layers[-1].bias.shape[-1]], strict=True):
        kernel, bias = (np.asarray(array) for array in layer)
        after = width - bias.shape[-1]
        none = [(0, 0)] * (bias.ndim - 1)
        if before or after:
            kernel = np.pad(kernel, [*none, (0, before), (0, after)])
            bias = np.pad(bias, [*none, (0, after)])
        padded.append(Dense(kernel, bias))
        before = after
    return tuple(padded)


def with_units(layers: Layers) -> Layers:
    """The network with a zero unit in each layer that has none, a zero output included: what needs some gets some."""
    if all(np.shape(layer.bias)[-1] for layer in layers):
        return layers
    padded, before = [], 0
    for kernel, bias in layers:
        after = int(np.shape(bias)[-1] == 0)
        none = [(0, 0)] * (np.ndim(bias) - 1)
        xp = np if isinstance(kernel, np.ndarray) and isinstance(bias, np.ndarray) else jnp
        padded.append(Dense(xp.pad(kernel, [*none, (0, before), (0, after)]), xp.pad(bias, [*none, (0, after)])))
        before = after
    return tuple(padded)


def first_nonfinite_layer(layers: Layers) -> int | None:
    """Index of the first layer with NaN or infinite weights, or None. Tracers count as finite."""
    for index, layer in enumerate(layers):
        if any(not isinstance(a, jax.core.Tracer) and not np.isfinite(np.asarray(a)).all() for a in layer):
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
    """(name, activation that follows, layer) for each affine layer, from input to output; see :func:`layers_of`."""
    if isinstance(params, tuple | list):
        layers = check_layers(tuple(params))
        last = len(layers) - 1
        return [(f"layer {i}", "linear" if i == last else "relu", layer) for i, layer in enumerate(layers)]
    if isinstance(params, Mapping) and set(params) == {"params"}:
        params = params["params"]
    if not isinstance(params, Mapping) or not params:
        raise ValueError(_not_an_mlp(f"a {type(params).__name__} was given"))
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
    if not allowed or np.ndim(entry["kernel"]) < 2:
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


def _composed(first: Dense, second: Dense) -> Dense:
    a, b = (Dense(*(jnp.asarray(array, jnp.float64) for array in layer)) for layer in (first, second))
    return Dense(a.kernel @ b.kernel, jnp.einsum("...i,...io->...o", a.bias, b.kernel) + b.bias)


def _identity_like(layer: Dense) -> Dense:
    width = layer.bias.shape[-1]
    kernel = jnp.broadcast_to(jnp.eye(width, dtype=layer.bias.dtype), (*layer.bias.shape[:-1], width, width))
    return Dense(kernel, jnp.zeros_like(layer.bias))
