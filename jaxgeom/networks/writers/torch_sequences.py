"""[edge] Networks and populations as PyTorch modules."""

from typing import Any

import numpy as np

from jaxgeom.networks.writers.steps import Step, num_networks, steps_of


def to_torch(network: Any) -> Any:
    """A network as a ``torch.nn.Sequential`` of standard modules, or a population as a list of them.

    ``torch.func.stack_module_state`` makes a module that is mapped over of such a list. Weights keep their bits and
    their dtype, float32 or float64.

    Args:
        network: the parameters of a :func:`jaxgeom.mlp`, or layers; of one network, or of a population with one leading
            axis. Activations are ReLU and its relatives with any slopes, hard tanh, maxout, tanh, sigmoid, ELU, GELU
            and softplus.

    Returns:
        The module, from points (points, in) to outputs (points, out): a ``Linear`` for each layer, and what follows it.

    Raises:
        ValueError: for parameters of other networks, or with more leading axes, or the activation "sin", which is no
            module of PyTorch.
        TypeError: for what is neither parameters nor layers.

    Example:
        >>> import jax, jaxgeom as jg
        >>> jg.to_torch(jg.mlp((2, 8, 1), activation="relu").init(jax.random.key(0)))
        Sequential(
          (0): Linear(in_features=2, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=1, bias=True)
        )
    """
    steps = steps_of(network)
    num = num_networks(steps)
    if num is None:
        return _sequence(steps)
    return [_sequence(tuple(_of_network(step, index) for step in steps)) for index in range(num)]


def _of_network(step: Step, index: int) -> Step:
    slope = step.slope[index] if isinstance(step.slope, np.ndarray) else step.slope
    return Step(step.kernel[index], step.bias[index], step.activation, slope)


def _sequence(steps: tuple[Step, ...]) -> Any:
    import torch

    parts = []
    for step in steps:
        inputs, outputs = step.kernel.shape
        linear = torch.nn.utils.skip_init(torch.nn.Linear, inputs, outputs, dtype=_dtype(step.kernel))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(step.kernel.T.copy()))
            linear.bias.copy_(torch.from_numpy(step.bias.copy()))
        parts += [linear, *_behind(step)]
    return torch.nn.Sequential(*parts)


def _dtype(array: np.ndarray) -> Any:
    import torch

    return torch.float64 if array.dtype == np.float64 else torch.float32


def _behind(step: Step) -> list[Any]:
    """The modules of an activation; maxima of two halves are those of a window over two rows."""
    from torch import nn

    if step.activation == "maxout":
        return [nn.Unflatten(1, (2, step.bias.size // 2)), nn.MaxPool2d((2, 1)), nn.Flatten(1)]
    if step.activation == "slope" and isinstance(step.slope, np.ndarray):
        import torch

        units = nn.PReLU(step.slope.size, dtype=_dtype(step.slope))
        with torch.no_grad():
            units.weight.copy_(torch.from_numpy(step.slope.copy()))
        return [units]
    known = {
        "linear": [],
        "relu": [nn.ReLU()],
        "abs": [nn.LeakyReLU(-1.0)],
        "slope": [nn.LeakyReLU(step.slope)],
        "hard_tanh": [nn.Hardtanh()],
        "tanh": [nn.Tanh()],
        "sigmoid": [nn.Sigmoid()],
        "elu": [nn.ELU()],
        "gelu": [nn.GELU(approximate="tanh")],
        "softplus": [nn.Softplus(threshold=_NEVER)],
    }
    if step.activation not in known:
        raise ValueError(
            f"PyTorch has no module for the activation {step.activation!r}; {', '.join(known)} and maxout are written."
        )
    return known[step.activation]


_NEVER = 1e9
"""Beyond this, PyTorch's softplus would be linear."""
