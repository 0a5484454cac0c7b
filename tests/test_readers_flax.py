"""Networks of Flax read into layers: outputs and gradients against Flax, refusals."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from read_truth import gradients, outputs

import jaxgeom as jg


class Residual(nn.Module):
    """Convolutions, batch normalisation, a block with a skip connection, pooling, dropout, a softmax."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(4, (3, 3), use_bias=False)(x)))
        y = nn.leaky_relu(nn.Conv(4, (3, 3), feature_group_count=2, kernel_dilation=2)(x), 0.1)
        x = nn.max_pool(nn.relu(nn.Conv(4, (3, 3), padding="CIRCULAR")(y) + x), (2, 2), (2, 2))
        x = nn.avg_pool(x, (2, 2), padding=((1, 0), (0, 1)), count_include_pad=False)
        x = nn.Dropout(0.5, deterministic=not train)(x.reshape(len(x), -1))
        return nn.softmax(nn.DenseGeneral((3,))(x))


class Shared(nn.Module):
    """One layer used twice, a scan over layers, and an embedding of places that is a constant."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        layer = nn.Dense(6, kernel_init=nn.initializers.lecun_normal())
        x = nn.relu(layer(x))
        x = nn.relu(layer(x)) + self.param("places", nn.initializers.normal(), (6,))
        block = nn.scan(_Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return nn.Dense(2)(block()(x, None)[0])


class _Block(nn.Module):
    @nn.compact
    def __call__(self, x: Any, _: Any) -> Any:
        return x + nn.relu6(nn.Dense(6)(x)), None


class Mixer(nn.Module):
    """An MLP-mixer with ReLU and without layer normalisation."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Conv(4, (2, 2), strides=(2, 2))(x)
        x = x.reshape(len(x), -1, 4)
        x = x + jnp.swapaxes(nn.Dense(9)(nn.relu(nn.Dense(5)(jnp.swapaxes(x, 1, 2)))), 1, 2)
        x = x + nn.Dense(4)(nn.PReLU()(nn.Dense(6)(x)))
        return nn.Dense(2)(x.mean(1))


class Chain(nn.Module):
    parts: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        for part in self.parts():
            x = part(x)
        return x


LINEN: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(8), nn.hard_tanh, nn.Dense(2)]), (4,)),
    "residual": (Residual, (8, 8, 2)),
    "shared": (Shared, (6,)),
    "mixer": (Mixer, (6, 6, 1)),
    "transposed": (
        lambda: Chain(lambda: [nn.ConvTranspose(3, (3, 3), strides=(2, 2)), nn.relu, nn.Conv(1, (2, 2), strides=2)]),
        (3, 4, 2),
    ),
    "depthwise": (lambda: Chain(lambda: [nn.Conv(4, (3,), feature_group_count=2), nn.relu, nn.Conv(2, (1,))]), (7, 2)),
    "local": (lambda: Chain(lambda: [nn.ConvLocal(2, (2,)), nn.relu, lambda x: x.max(1)]), (4, 1)),
}


def trained(name: str) -> tuple[Any, Any, tuple[int, ...]]:
    """A module with variables that are not those of the start."""
    build, shape = LINEN[name]
    module = build()
    variables = module.init(jax.random.key(0), jnp.zeros((1, *shape)))
    leaves, tree = jax.tree.flatten(variables)
    random = np.random.default_rng(0)
    moved = [leaf + np.abs(random.normal(size=leaf.shape)).astype(np.float32) / 5 for leaf in leaves]
    return module, jax.tree.unflatten(tree, moved), shape


def check(read: Any, function: Any, double: Any, shape: tuple[int, ...], ending: Any = lambda z: z) -> None:
    """Outputs as float32 gives them at 1,000 points, and gradients of the last output as in float64."""
    assert read.input_shape == shape
    x = np.random.default_rng(1).normal(size=(1000, *shape)).astype(np.float32)
    expected = np.asarray(jax.jit(function)(x)).reshape(1000, -1)
    np.testing.assert_allclose(
        np.asarray(ending(outputs(read.layers, x))), expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max()
    )
    if double is None:
        return
    with jax.enable_x64(True):
        points = np.random.default_rng(2).normal(size=(10_000 if np.prod(shape) < 8 else 300, *shape))
        wanted = jax.jit(jax.vmap(jax.grad(lambda x: double(x[None]).ravel()[-1])))(points)
    np.testing.assert_allclose(
        gradients(read.layers, points, expected.shape[1] - 1),
        np.asarray(wanted).reshape(len(points), -1),
        rtol=1e-7,
        atol=1e-10,
    )


def in_double(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEN)
def test_outputs_and_gradients_are_linens(name: str) -> None:
    module, variables, shape = trained(name)
    read = jg.from_flax(module, variables, None if len(shape) == 1 else jnp.zeros((1, *shape)))
    is_classifier = name == "residual"
    is_large = name in ("residual", "mixer")
    double = None if is_large else lambda x: module.apply(in_double(variables), x)
    check(read, lambda x: module.apply(variables, x), double, shape, nn.softmax if is_classifier else lambda z: z)
    assert bool(read.notes) == is_classifier


class Net(nnx.Module):
    def __init__(self, rngs: Any) -> None:
        self.conv, self.norm = nnx.Conv(2, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.drop, self.out = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), (2, 2))
        return self.out(self.drop(x).mean((1, 2)))


@pytest.mark.slow
def test_outputs_and_gradients_are_nnxs() -> None:
    net = Net(nnx.Rngs(0))
    net.train()
    net(jax.random.normal(jax.random.key(1), (64, 6, 6, 2)) * 2 + 0.3)  # statistics
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(net, nnx.Param)))
    read = jg.from_flax(net, example=jnp.zeros((1, 6, 6, 2)))
    assert not net.drop.deterministic  # it stays as it is
    jax.tree.map(np.testing.assert_array_equal, before, nnx.to_pure_dict(nnx.state(net, nnx.Param)))
    graph, state = nnx.split(net)

    def in_evaluation(tree: Any, x: Any) -> Any:
        whole = nnx.merge(graph, tree)
        whole.eval()
        return whole(x)

    real = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, state
    )
    check(read, lambda x: in_evaluation(state, x), lambda x: in_evaluation(real, x), (6, 6, 2))


def test_vectors_need_no_example() -> None:
    module = nnx.Sequential(nnx.Linear(3, 5, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(5, 2, rngs=nnx.Rngs(1)))
    assert jg.from_flax(module).input_shape == (3,)
    model = jg.mlp((2, 6, 1))
    params = model.init(jax.random.key(0))
    read = jg.from_flax(nn.Dense(3), nn.Dense(3).init(jax.random.key(0), jnp.zeros((1, 7)))["params"])  # params alone
    assert read.layers[0].kernel.shape == (7, 3)
    same = jg.from_function(lambda x: model.apply(params, x), jnp.zeros((1, 2)))
    for layer, wanted in zip(same.layers, jg.layers_of(params), strict=True):
        np.testing.assert_array_equal(layer.kernel, wanted.kernel)


@pytest.mark.slow
def test_units_are_named_after_modules() -> None:
    module, variables, _ = trained("residual")
    read = jg.from_flax(module, variables, jnp.zeros((1, 8, 8, 2)))
    assert read.units[0].names == ("Residual/relu",)
    assert jg.unit_name(read.units[0], 4 * (8 * 5 + 7) + 3) == "Residual/relu[0, 5, 7, 3]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "operation"),
    [
        (nn.GroupNorm(1), r"operation \w+ \(.*GroupNorm_0"),
        (nn.LayerNorm(), r"operation \w+ \(.*LayerNorm_0"),
        (nn.tanh, "operation tanh"),
        (nn.gelu, "operation integer_pow"),
        (nn.softmax, "operation exp"),
        (lambda x: x * nn.sigmoid(nn.Dense(4)(x)), "operation logistic"),
        (nn.MultiHeadDotProductAttention(1), r"operation dot_general \(.*MultiHeadDotProductAttention_0"),
        (nn.BatchNorm(use_running_average=False), "JAX cannot trace the module"),
        (nn.Dropout(0.5, deterministic=False), "JAX cannot trace the module"),
    ],
)
def test_what_is_not_piecewise_linear_is_refused_by_name(part: Any, operation: str) -> None:
    def parts() -> list[Any]:
        own = part.copy(name=None) if isinstance(part, nn.Module) else part
        return [nn.Dense(4), lambda x: x[:, None, :], own, nn.Dense(2)]

    module = Chain(parts)
    example = jnp.zeros((1, 3))
    variables = module.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, example)
    with pytest.raises(ValueError, match=operation) as caught:
        jg.from_flax(module, variables, example)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_asked_for() -> None:
    module, variables, shape = trained("residual")
    with pytest.raises(ValueError, match=r"does not hold its parameters\. Give its variables"):
        jg.from_flax(module)
    with pytest.raises(ValueError, match=r"shape of the inputs of the module is not known\. Give an example"):
        jg.from_flax(module, variables)
    with pytest.raises(ValueError, match=r"cannot trace the module.*batch_stats"):
        jg.from_flax(module, {"params": variables["params"]}, jnp.zeros((1, *shape)))
    with pytest.raises(ValueError, match=r"cannot trace the module"):
        jg.from_flax(module, variables, jnp.zeros((1, *shape)), train=True)
    with pytest.raises(ValueError, match=r"holds its parameters"):
        jg.from_flax(Net(nnx.Rngs(0)), variables)
    with pytest.raises(TypeError, match=r"module of Flax is needed, but list was given"):
        jg.from_flax([1])
