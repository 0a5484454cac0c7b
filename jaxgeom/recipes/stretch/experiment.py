"""[edge] Stretching: where points go, stage by stage, when small networks lift them by a dimension and bring them back.

Two networks without biases, dim-hidden-dim and dim-hidden-hidden-dim, share their first and their last layer, and so do
all their prefixes: the first layer; with its activation; the whole shorter network; the longer one up to its second
layer; with its activation; to its end. Points and what becomes of them are float64, weights float32. The first layer is
S·[I; 2·1] by hand (the inputs, and twice their sum in every further unit, all times S = 3), or random like the others,
uniform within ±1/√fan_in.

The notebook behind this can draw hidden layers of three units only, although it has weights for two and four; here
two are drawn in the plane, and of four or more the first three.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE, Params, RandomKey
from jaxgeom.data.datasets import gaussian_cloud
from jaxgeom.data.sampling import half_open
from jaxgeom.networks.layers import check_one_piece, named_layers
from jaxgeom.networks.models import activation_function, hidden_states, mlp

_FLAT = 0.01
"""Slopes below this part are those of units that are saturated."""

INPUTS = ("mesh", "cloud")
WEIGHTS = ("manual", "random")
SCALE = 3.0
"""S, of the first layer by hand."""


@readable
class Networks(NamedTuple):
    """Two networks that share their first and last layer; parameters as :func:`jaxgeom.mlp` makes them."""

    short: Params
    """One hidden layer."""
    long: Params
    """Two hidden layers."""


@readable
class StepFacts(NamedTuple):
    """What one step does to the points, in numbers."""

    step: str
    """Its name, as :func:`step_names` gives it."""
    extent: float
    """The largest coordinate after it, regardless of sign."""
    stretch: list[float] | None
    """Of a product with weights, the singular values: how much lengths grow, direction by direction."""
    flat: float | None
    """Of an activation, the share of coordinates that it has pressed flat: its slope there is below 0.01."""


@readable
class Stage(NamedTuple):
    """Where the points are after a step of a network."""

    kind: str
    """The step that led here: "input", "linear" (a product with weights), "bias", or the name of an activation."""
    layer: int
    """The layer it belongs to, from 0; -1 for the input."""
    points: Float64[np.ndarray, "*batch width"]
    """Where the points are after the step."""


def stretch_inputs(key: RandomKey, kind: str = "mesh", *, dim: int = 2) -> Float64[np.ndarray, "points dim"]:
    """The points to be stretched: a mesh, which covers [-5, 5)² by 10,000 points, or a Gaussian cloud of 1,000 (whose
    random numbers are float32).

    In one dimension, 50 points each: evenly spaced on [-1, 1], or Gaussian.

    Raises:
        ValueError: for another kind, or more than two dimensions.
    """
    if kind not in INPUTS or dim not in (1, 2):
        raise ValueError(f"inputs are 'mesh' or 'cloud' in 1 or 2 dimensions, but {kind!r} in {dim} was given.")
    if kind == "cloud":
        return np.asarray(gaussian_cloud(key, num_points=1000 if dim == PLANE else 50, dim=dim), np.float64)
    if dim == PLANE:
        side = half_open(-5.0, 5.0, 0.1)
        return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, PLANE)
    return np.linspace(-1.0, 1.0, 50)[:, None]


def first_layer(dim: int, hidden: int, *, scale: float = SCALE) -> Float[Array, "dim hidden"]:
    """The first layer by hand, a kernel (in, out): unit i < dim is ``scale`` times input i, and each further unit twice
    ``scale`` times the sum of the inputs.

    Raises:
        ValueError: if there are fewer hidden units than inputs.
    """
    if not 1 <= dim <= hidden:
        raise ValueError(
            f"the first layer by hand needs at least as many hidden units as inputs, but {hidden} units for {dim} "
            "inputs were given. Use weights='random'."
        )
    return scale * jnp.concatenate([jnp.eye(dim), 2 * jnp.ones((dim, hidden - dim))], axis=1)


def stretch_networks(
    key: RandomKey,
    *,
    dim: int = 2,
    hidden: int = 3,
    activation: str = "tanh",
    weights: str = "manual",
    scale: float = SCALE,
    use_bias: bool = False,
) -> Networks:
    """A network with one hidden layer and one with two, which share their first and last layer.

    Args:
        key: decides all random weights.
        dim: inputs, and outputs.
        hidden: units of each hidden layer.
        activation: what follows the hidden layers, such as "tanh" or "relu"; not "maxout".
        weights: "manual" for :func:`first_layer`, or "random"; all other layers are random.
        scale: of the first layer by hand.
        use_bias: give all layers biases, random ones.

    Raises:
        ValueError: for another ``weights``, unknown activations, or sizes that do not go.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be 'manual' or 'random', but {weights!r} was given.")
    check_one_piece(activation, "the stretching of networks")
    model = mlp((dim, hidden, hidden, dim), activation=activation, use_bias=use_bias)
    long = model.init(key)
    first, _, last = long
    if weights == "manual":
        long = {**long, first: long[first] | {"kernel": first_layer(dim, hidden, scale=scale)}}
    return Networks({first: long[first], last.replace("2", "1"): long[last]}, long)


def stages(params: Params, x: Float[Array | np.ndarray, "*batch in"]) -> list[Stage]:
    """Where points are before and after every step of a network, in float64: product with weights, bias, activation.

    Args:
        params: of a :func:`jaxgeom.mlp`, with any activations. Layers without biases have no step for them, and
            linear layers none for their activation.
        x: points, with any number of leading axes: (points, in), or (lines, points, in) for a grid that is carried
            along.

    Raises:
        ValueError: if the parameters are not those of an MLP.
    """
    x = np.asarray(x, np.float64)
    found = [Stage("input", -1, x)]
    layers = named_layers(params)
    with jax.enable_x64(True):
        states = jax.tree.map(np.asarray, hidden_states(params, x.reshape(-1, x.shape[-1])))
    for index, ((name, activation, layer), state) in enumerate(zip(layers, states, strict=True)):
        steps = {"linear": state.pre_activation}
        if "bias" in params[name]:
            steps = {"linear": steps["linear"] - np.asarray(layer.bias, np.float64), "bias": steps["linear"]}
        if activation != "linear":
            steps[activation] = state.activation
        found += [Stage(kind, index, points.reshape(*x.shape[:-1], -1)) for kind, points in steps.items()]
    return found


def step_names(found: Sequence[Stage]) -> list[str]:
    """What each step does, such as "input", "linear 2 → 3", "bias", "tanh"."""
    names = []
    for place, stage in enumerate(found):
        sizes = f" {found[place - 1].points.shape[-1]} → {stage.points.shape[-1]}" if stage.kind == "linear" else ""
        names.append(stage.kind + sizes)
    return names


def prefixes(networks: Sequence[Params], x: Float[Array | np.ndarray, "*batch in"]) -> dict[str, Stage]:
    """The input, and the outputs of all prefixes of networks, by the steps that they consist of; shared ones once.

    Of both networks without biases there are six: the first layer, with its activation, the whole short network; the
    long one up to its second layer, with its activation, and whole.

    Args:
        networks: as :func:`stretch_networks` gives them, or one of them.
        x: points, as for :func:`stages`.
    """
    named: dict[str, Stage] = {}
    for params in networks:
        found = stages(params, x)
        names = step_names(found)
        for place, stage in enumerate(found):
            named.setdefault(", ".join(names[min(place, 1) : place + 1]), stage)
    return named


def step_facts(params: Params, x: Float[Array | np.ndarray, "points in"]) -> list[StepFacts]:
    """What the steps of a network do to some points, in numbers; the first entry is the input.

    Args:
        params: of a :func:`jaxgeom.mlp`.
        x: points.
    """
    found = stages(params, x)
    layers = [layer for _, _, layer in named_layers(params)]
    facts = []
    for place, (stage, name) in enumerate(zip(found, step_names(found), strict=True)):
        stretch = flat = None
        if stage.kind == "linear":
            stretch = np.linalg.svd(np.asarray(layers[stage.layer].kernel, np.float64), compute_uv=False).tolist()
        elif stage.kind not in ("input", "bias"):
            with jax.enable_x64(True):
                before = jnp.asarray(found[place - 1].points)
                slope = jax.jvp(activation_function(stage.kind), (before,), (jnp.ones_like(before),))[1]
            flat = float(np.mean(np.abs(np.asarray(slope)) < _FLAT))
        facts.append(StepFacts(name, float(np.abs(stage.points).max()), stretch, flat))
    return facts
