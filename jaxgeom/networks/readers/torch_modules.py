"""[edge] Networks from PyTorch: modules followed by ``torch.export``, and dictionaries of parameters."""

import contextlib
import copy
import io
import logging
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.check import DOUBLE_PRECISION, SINGLE_PRECISION
from jaxgeom.networks.readers.expressions import (
    MOST_NUMBERS,
    Tape,
    Values,
    new_input,
)
from jaxgeom.networks.readers.given_files import file_at, short
from jaxgeom.networks.readers.imported import Imported, finished, refusal
from jaxgeom.networks.readers.named_arrays import from_named_arrays
from jaxgeom.networks.readers.torch_endings import before_ending, check_ending, ending_of, note_on
from jaxgeom.networks.readers.torch_operations import OPERATIONS

_POINTS_AT_ONCE = 256


def from_torch(
    module: Any,
    example: Any = None,
    *,
    order: Sequence[str] | None = None,
    activation: str | float = "relu",
) -> Imported:
    """The layers of a PyTorch network at inference.

    Modules are followed by ``torch.export``, whatever their Python code looks like: linear and convolutional layers of
    all kinds, pooling, batch normalisation, ReLU and its relatives, sums, concatenations, reshaping. What was read is
    compared with the module itself in float64. A softmax or sigmoid at the end is left off, with a note.

    Args:
        module: a ``torch.nn.Module``; or a state dict, or the path of a file with one, which is loaded with
            ``weights_only=True``.
        example: a batch of inputs of the right shape, such as ``torch.zeros(1, 3, 32, 32)``; not needed where the
            first layer is a ``torch.nn.Linear``, and for state dicts.
        order: for state dicts: the names of the layers from input to output, such as ("fc1", "fc2"), with one
            activation between.
        activation: for state dicts: what is between the layers, by name or slope.

    Returns:
        A :class:`jaxgeom.Imported` network: its ``layers`` are what :func:`jaxgeom.count_regions` and
        all others take; ``units`` says where they come from, ``input_shape`` and ``output_shape`` are those of one
        point, and ``notes`` what differs from the source.

    Raises:
        ValueError: for an operation that is not piecewise linear, which it names; for files that cannot be read; if the
            layers are not what the module computes.
        TypeError: for what is no module.

    Example:
        >>> import torch, jaxgeom as jg
        >>> module = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        >>> [layer.kernel.shape for layer in jg.from_torch(module).layers]
        [(2, 8), (8, 1)]
    """
    import torch

    if isinstance(module, str | Path):
        module = _loaded(Path(module))
    if isinstance(module, Mapping):
        return from_named_arrays(_arrays(module), order, activation)
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"a torch.nn.Module, a state dict or a path is needed, but {type(module).__name__} was given.")
    example = _example(module, example)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        network = copy.deepcopy(module).cpu().double().eval()
        try:
            network(example.double())
        except Exception as error:
            raise ValueError(
                f"the module does not take inputs of shape {tuple(example.shape)}: {_first_line(error)}. Give a batch "
                "of its inputs, real numbers, as from_torch(module, example)."
            ) from error
        try:
            with silenced():
                program = torch.export.export(network, (example.double(),), strict=False).run_decompositions({})
        except Exception as error:
            raise ValueError(
                f"torch.export cannot follow this module: {_first_line(error)}. Export it to ONNX and use from_onnx."
            ) from error
        tape = Tape(channel_axis=1)
        ending = ending_of(program.graph)
        if ending is not None:
            check_ending(ending)
        values, is_short = _followed(program, tape, tuple(example.shape), ending)
        shape = tuple(example.shape[1:])
        source = network if ending is None else before_ending(program, network, shape)
        return finished(
            tape,
            values,
            input_shape=shape,
            output_shape=values.shape[1:],
            source=lambda points: _outputs(source, points, shape),
            precision=SINGLE_PRECISION if is_short else DOUBLE_PRECISION,
            what="the module",
            notes=[] if ending is None else [note_on(ending)],
        )


def _example(module: Any, example: Any) -> Any:
    import torch

    if example is not None:
        if not torch.is_tensor(example):
            array = np.asarray(example)
            if array.dtype.kind not in "fiub":
                raise TypeError(f"example must be a batch of inputs, but {type(example).__name__} was given.")
            example = torch.as_tensor(array)
        example = example.detach().cpu()
        if example.ndim < 1 or example.shape[0] < 1:
            raise ValueError(f"example must be a batch of at least one point, but its shape is {tuple(example.shape)}.")
        return example[:1].float()
    known = torch.nn.Linear | torch.nn.Flatten | torch.nn.Identity
    first = next((part for part in module.modules() if isinstance(part, known) or not list(part.children())), None)
    if not isinstance(first, known):
        kind = type(first).__name__
        raise ValueError(
            f"the shape of the inputs of a network that begins with {kind} is not known. Give a batch of inputs, such "
            "as from_torch(module, torch.zeros(1, 3, 32, 32))."
        )
    linear = next((part for part in module.modules() if isinstance(part, torch.nn.Linear)), None)
    if linear is None:
        raise ValueError("the shape of the inputs is not known. Give a batch of inputs: from_torch(module, example).")
    return torch.zeros(1, linear.in_features)


def _outputs(network: Any, points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    import torch

    found = []
    with torch.no_grad():
        for start in range(0, len(points), _POINTS_AT_ONCE):
            x = torch.from_numpy(points[start : start + _POINTS_AT_ONCE]).double().reshape(-1, *shape)
            found.append(network(x).reshape(len(x), -1).double().numpy())
    return np.concatenate(found)


def _followed(program: Any, tape: Tape, shape: tuple[int, ...], ending: Any) -> tuple[Values, bool]:
    """The output of an exported program without its ending, and whether it calculates in less than float64."""
    import torch

    signature = program.graph_signature
    state = {**program.state_dict, **getattr(program, "constants", {})}
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **getattr(signature, "inputs_to_lifted_tensor_constants", {}),
    }
    found: dict[Any, Any] = {}
    is_short = False

    def value(item: Any) -> Any:
        if isinstance(item, torch.fx.Node):
            return found[item]
        if isinstance(item, list | tuple):
            return type(item)(map(value, item))
        return item

    num_inputs = 0
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name in names:
                tensor = state[names[node.name]]
                found[node] = tensor.double() if tensor.is_floating_point() else tensor
            else:
                num_inputs += 1
                if num_inputs > 1:
                    raise ValueError("the module takes several inputs; wrap it in one that takes a single tensor.")
                found[node] = new_input(tape, shape)
        elif node.op == "output":
            outputs = value(node.args[0])
            outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
            if len(outputs) != 1:
                raise ValueError(
                    f"the module returns {len(outputs)} tensors; wrap it in one that returns a single tensor."
                )
            return ops.lifted(outputs[0]), is_short
        elif node is ending:
            found[node] = value(node.args[0])
        elif node.op == "call_function":
            dtype = node.kwargs.get("dtype")
            is_short = is_short or dtype in (torch.float32, torch.float16, torch.bfloat16)
            found[node] = _called(tape, node, value(node.args), {key: value(v) for key, v in node.kwargs.items()})
        else:
            raise ValueError(refusal(f"{node.op} {node.target}"))
    raise ValueError("the module has no output.")


def _called(tape: Tape, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not _has_values((args, kwargs)):
        return node.target(*args, **kwargs)
    operation = str(node.target).removeprefix("aten.").partition(".")[0]
    operation = "getitem" if "getitem" in operation else operation
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = str(stack[-1][0]).removeprefix("L['self'].") if stack else ""
    name = path or node.name
    function = OPERATIONS.get(operation)
    if function is None:
        raise ValueError(refusal(operation, name if path else ""))
    try:
        return function(tape, name, *args, **kwargs)
    except (ops.NotLinear, TypeError, IndexError, NotImplementedError) as error:
        raise ValueError(f"{refusal(operation, name if path else '')} Reason: {_first_line(error)}.") from error


def _has_values(item: Any) -> bool:
    if isinstance(item, Values | ops.Condition):
        return True
    if isinstance(item, Mapping):
        return any(map(_has_values, item.values()))
    return isinstance(item, list | tuple) and any(map(_has_values, item))


def _loaded(path: Path) -> Mapping[str, Any]:
    """A state dict from a file: never anything but tensors, and nothing larger than the file."""
    import torch

    file_at(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                    raise ValueError("it is a compressed archive, which PyTorch does not write")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        objects = re.search(r"GLOBAL (\S+) was not an allowed", str(error))  # PyTorch's remedy is to run what is in it
        reason = f"it holds a {objects[1]}, for which code in it would be run" if objects else _first_line(error)
        raise ValueError(
            f"{path.name} cannot be read as a state dict: {reason}. Only tensors are loaded; save "
            "module.state_dict(), or pass the module itself."
        ) from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{path.name} holds a {type(found).__name__}, but a state dict is needed.")
    return found


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """PyTorch's loggers and printed graphs, which go before errors that are told in a line."""
    loggers = [logger for name, logger in logging.root.manager.loggerDict.items() if name.split(".")[0] == "torch"]
    before = [(logger, logger.disabled) for logger in loggers if isinstance(logger, logging.Logger)]
    try:
        for logger, _ in before:
            logger.disabled = True
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, was_disabled in before:
            logger.disabled = was_disabled


def _arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    found = {}
    for name, tensor in state.items():
        if not hasattr(tensor, "detach"):
            inner = f" Pass what is in it: state[{name!r}]." if isinstance(tensor, Mapping) else ""
            kind = type(tensor).__name__
            raise ValueError(f"the state dict has a {kind} at {short(str(name))!r}, where a tensor is needed.{inner}")
        if tensor.numel() > MOST_NUMBERS:
            raise ValueError(f"{name!r} has {tensor.numel():,} numbers; at most {MOST_NUMBERS:,} are read.")
        if tensor.layout != _strided() or tensor.is_complex() or tensor.is_quantized or tensor.is_meta:
            raise ValueError(f"{name!r} is a sparse, complex, quantised or empty tensor; plain ones are read.")
        found[str(name)] = tensor.detach().cpu().double().numpy()
    return found


def _strided() -> Any:
    import torch

    return torch.strided


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]
