"""[edge] Networks from Flax, of Linen and of NNX, followed by their jaxprs."""

from collections.abc import Mapping
from typing import Any

from jaxgeom.networks.readers.imported import Imported
from jaxgeom.networks.readers.jax_examples import in_double, vector_example
from jaxgeom.networks.readers.jax_functions import read_function

_CALL = "from_flax(module, variables, jnp.zeros((1, 28, 28, 1)))"


def from_flax(module: Any, variables: Any = None, example: Any = None, **options: Any) -> Imported:
    """The layers of a trained network of Flax at inference, of Linen or of NNX.

    Modules may do anything that is piecewise linear: convolutions, pooling, batch normalisation with running averages,
    residual connections, dropout that is switched off. Parameters are taken in float64, and what was read is compared
    with the module in float64.

    Args:
        module: a Linen module, or an NNX module with its parameters, which is copied and put into evaluation mode.
        variables: of a Linen module, all of them, such as {"params": …, "batch_stats": …}, or its parameters alone.
        example: a batch of inputs of the right shape, such as ``jnp.zeros((1, 28, 28, 1))``; not needed for networks
            of vectors.
        **options: of the module's call, such as ``train=False``.

    Raises:
        ValueError: for an operation that is not piecewise linear, named with its module and line; if the layers are not
            what the module computes.
        TypeError: for what is no module.

    Example:
        >>> import jax, jax.numpy as jnp, jaxgeom as jg
        >>> from flax import linen as nn
        >>> module = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(1)])
        >>> variables = module.init(jax.random.key(0), jnp.zeros((1, 2)))
        >>> [layer.kernel.shape for layer in jg.from_flax(module, variables).layers]
        [(2, 8), (8, 1)]
    """
    from flax import linen, nnx

    if isinstance(module, linen.Module):
        if not isinstance(variables, Mapping) or not variables:
            raise ValueError(
                "a Linen module does not hold its parameters. Give its variables: from_flax(module, variables)."
            )
        variables = variables if "params" in variables else {"params": variables}
        tree = in_double(variables)

        def function(x: Any) -> Any:
            return module.apply(tree, x, **options)

    elif isinstance(module, nnx.Module):
        if variables is not None:
            raise ValueError("an NNX module holds its parameters. Give an example alone: from_flax(module, example=…).")
        graph, state = nnx.split(module)
        tree = in_double(state)

        def function(x: Any) -> Any:
            network = nnx.merge(graph, tree)
            network.eval()
            return network(x, **options)

    else:
        raise TypeError(f"a module of Flax is needed, but {type(module).__name__} was given.")
    if example is None:
        example = vector_example(function, tree, "the module", _CALL, takes_batch=True)
    return read_function(function, example, takes_batch=True, what="the module")
