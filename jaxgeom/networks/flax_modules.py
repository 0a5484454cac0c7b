"""Models from Flax modules, of Linen and of NNX.

Importing this file loads Flax, which takes longer than all of jaxgeom; nothing imports it before it is needed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jaxtyping import Array, Float

from jaxgeom._typing import Params, RandomKey
from jaxgeom.host.inputs import as_array, as_key
from jaxgeom.host.precision import full_precision
from jaxgeom.networks.models import Model


def from_linen(module: linen.Module, example: Float[Array | np.ndarray, "points in"]) -> Model:
    """A model from a Flax Linen module.

    Args:
        module: maps a batch (points, in) to (points, out), with parameters only (no batch statistics, no dropout).
        example: a batch of the right shape, used for initialisation only.

    Raises:
        ValueError: if the module has other variables than parameters.

    Example:
        >>> import jax, jax.numpy as jnp, jaxgeom as jg
        >>> from flax import linen
        >>> model = jg.from_linen(linen.Dense(3), jnp.zeros((1, 2)))
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 2))).shape
        (5, 3)
    """
    example = jnp.asarray(as_array("example", example))
    collections = set(jax.eval_shape(module.init, jax.random.key(0), example))
    if not collections <= {"params"}:
        raise ValueError(
            f"the module keeps variables besides its parameters: {sorted(collections - {'params'})}. jaxgeom trains "
            "pure functions of parameters; take out batch statistics and the like."
        )

    network = _Linen(module, example)
    return Model(network.init, network.apply)


class _Linen(NamedTuple):
    module: linen.Module
    example: Float[Array, "points in"]

    def init(self, key: RandomKey) -> Params:
        return self.module.init(as_key(key), self.example)["params"]

    @full_precision()
    def apply(self, params: Params, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
        result: Float[Array, "points out"] = self.module.apply({"params": params}, x)
        return result


def from_nnx(build: Callable[[nnx.Rngs], nnx.Module]) -> Model:
    """A model from a Flax NNX module.

    Args:
        build: makes the module from random streams, for instance ``lambda rngs: Net(2, 20, 1, rngs=rngs)``.

    Returns:
        A model whose parameters are the module's ``nnx.Param`` state as nested dictionaries.

    Raises:
        ValueError: if the module has other state than parameters.

    Example:
        >>> import jax, jax.numpy as jnp, jaxgeom as jg
        >>> from flax import nnx
        >>> model = jg.from_nnx(lambda rngs: nnx.Linear(2, 3, rngs=rngs))
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 2))).shape
        (5, 3)
    """
    abstract = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graph, template, rest = nnx.split(abstract, nnx.Param, ...)
    if jax.tree.leaves(rest):
        raise ValueError(
            f"the module keeps state besides its parameters: {sorted(map(str, rest))}. jaxgeom trains pure functions "
            "of parameters; take out batch statistics, dropout and the like."
        )

    network = _Nnx(build, graph, template)
    return Model(network.init, network.apply)


class _Nnx(NamedTuple):
    build: Callable[[nnx.Rngs], nnx.Module]
    graph: Any
    template: Any

    def init(self, key: RandomKey) -> Params:
        return nnx.to_pure_dict(nnx.state(self.build(nnx.Rngs(as_key(key))), nnx.Param))

    @full_precision()
    def apply(self, params: Params, x: Float[Array | np.ndarray, "points in"]) -> Float[Array, "points out"]:
        state = jax.tree.map(lambda leaf: leaf, self.template)
        nnx.replace_by_pure_dict(state, params)
        result: Float[Array, "points out"] = nnx.merge(self.graph, state)(x)
        return result
