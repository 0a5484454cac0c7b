"""[edge] Networks from Equinox, followed by their jaxprs."""

from typing import Any

from jaxgeom.networks.readers.imported import Imported
from jaxgeom.networks.readers.jax_examples import in_double, vector_example
from jaxgeom.networks.readers.jax_functions import read_function


def from_equinox(module: Any, example: Any = None, *, state: Any = None) -> Imported:
    """The layers of a trained network of Equinox at inference.

    The module is put into inference mode, its parameters are taken in float64, and what was read is compared with it in
    float64.

    Args:
        module: a callable ``equinox.Module`` of one point, not of a batch.
        example: one input of the right shape, such as ``jnp.zeros((1, 28, 28))``; not needed for networks of vectors.
        state: of modules with batch normalisation, which are called with it: the second result of
            ``equinox.nn.make_with_state``, after training.

    Raises:
        ValueError: for an operation that is not piecewise linear, named with its line; if the layers are not what the
            module computes.
        TypeError: for what is no module.

    Example:
        >>> import equinox, jax, jaxgeom as jg
        >>> module = equinox.nn.MLP(2, 1, 8, depth=2, key=jax.random.key(0))
        >>> [layer.kernel.shape for layer in jg.from_equinox(module).layers]
        [(2, 8), (8, 8), (8, 1)]
    """
    import equinox

    if not isinstance(module, equinox.Module) or not callable(module):
        raise TypeError(f"a callable equinox.Module is needed, but {type(module).__name__} was given.")
    network = in_double(equinox.nn.inference_mode(module))
    inner = None if state is None else in_double(state)

    def function(x: Any) -> Any:
        return network(x) if inner is None else network(x, inner)[0]

    if example is None:
        call = "from_equinox(module, jnp.zeros((1, 28, 28)))"
        example = vector_example(function, network, "the module", call, takes_batch=False)
    return read_function(function, example, takes_batch=False, what="the module")
