"""[edge] What an ONNX file holds: the model, and its tensors as arrays, with nothing believed that the file says of
sizes and places."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.host.packages import optional
from jaxgeom.networks.readers.expressions import size_of
from jaxgeom.networks.readers.given_files import file_at, short

MOST_BYTES = 2**31
"""Of one file; protobuf itself ends here."""

_FIRST_OPSET = 1


def first_line(error: BaseException | str) -> str:
    """The first line of a message, without the full stop, cut where it gets long."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]


def model_of(source: Any) -> tuple[Any, Path | None]:
    """A model, and the folder that it lies in, if it was a file.

    Raises:
        ValueError: for what is no file, or not an ONNX model.
        TypeError: for other objects.
        ImportError: without the package onnx.
    """
    onnx = optional("onnx", "readers")
    if isinstance(source, onnx.ModelProto):
        return with_inlined_functions(source), None
    if not isinstance(source, str | Path):
        raise TypeError(f"a path or an onnx.ModelProto is needed, but {type(source).__name__} was given.")
    path = file_at(source)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes; larger models than 2 GiB have their weights beside them.")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:
        raise ValueError(f"{path.name} cannot be read as an ONNX model: {first_line(error)}.") from error
    if not model.HasField("graph") or not model.graph.output:
        raise ValueError(f"{path.name} cannot be read as an ONNX model: it has no graph with an output.")
    if not _is_text(model):
        raise ValueError(f"{path.name} cannot be read as an ONNX model: it has names that are no text.")
    return with_inlined_functions(model), path.parent


def _is_text(model: Any) -> bool:
    """Whether all names are UTF-8, without which protobuf gives bytes."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    named = [*model.graph.input, *model.graph.output, *model.graph.initializer]
    texts = [each.name for each in (*named, *nodes, *model.functions)]
    texts += [text for node in nodes for text in (node.op_type, node.domain, *node.input, *node.output)]
    texts += [attribute.name for node in nodes for attribute in node.attribute]
    texts += [each.domain for each in (*model.opset_import, *model.functions)]
    return all(isinstance(text, str) for text in texts)


def with_inlined_functions(model: Any) -> Any:
    """The same model with the functions that it defines written out, as some exporters leave them in."""
    import onnx.inliner

    if not model.functions:
        return model
    _check_no_recursion(model)
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        raise ValueError(f"the model's own functions cannot be written out: {first_line(error)}.") from error


_MOST_INLINED = 2**16


def _check_no_recursion(model: Any) -> None:
    """A ValueError for functions that call themselves, or that would become too many nodes."""
    functions = {(each.domain, each.name): each for each in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    waiting: list[tuple[str, str]] = list(functions)
    open_: set[tuple[str, str]] = set()
    while waiting:
        key = waiting[-1]
        called = _operations_in(functions[key].node)
        inner = [each for each in called if each in functions and each not in sizes]
        if key in sizes or not inner:
            sizes[key] = min(sum(sizes.get(each, 1) for each in called), 2 * _MOST_INLINED)
            open_.discard(key)
            waiting.pop()
            continue
        if key in open_ or any(each in open_ for each in inner):
            raise ValueError(f"the model's function {short(key[1])} calls itself.")
        open_.add(key)
        waiting.extend(dict.fromkeys(inner))
    if sum(sizes.get(each, 1) for each in _operations_in(model.graph.node)) > _MOST_INLINED:
        raise ValueError(f"the model's functions would become more than {_MOST_INLINED:,} nodes; no more are read.")


def _operations_in(nodes: Any) -> list[tuple[str, str]]:
    """Domain and name of the operations of nodes, and of those in their graphs."""
    found, waiting = [], [nodes]
    while waiting:
        for node in waiting.pop():
            found.append((node.domain, node.op_type))
            for attribute in node.attribute:
                waiting.extend(graph.node for graph in (attribute.g, *attribute.graphs) if graph.node)
    return found


def opset_of(model: Any) -> int:
    """The version of ONNX's own operations that a model uses."""
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    return int(max([_FIRST_OPSET, *versions]))


def array_of(tensor: Any, folder: Path | None) -> np.ndarray:
    """A tensor of a model as an array.

    Args:
        tensor: an ``onnx.TensorProto``.
        folder: where the model's file lies; data of its own may lie beside or below it, and nowhere else.

    Raises:
        ValueError: if it is too large, not of numbers, damaged, or elsewhere.
    """
    import onnx
    from onnx import numpy_helper

    size = size_of(tensor.dims)
    name = short(tensor.name)
    if tensor.HasField("segment"):
        raise ValueError(f"the tensor {name!r} is stored in segments, which nothing writes any more.")
    try:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            whole = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims)
            number = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
            whole.raw_data = _data_beside(tensor, folder, size * number)
            tensor = whole
        array = np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:
        raise ValueError(f"the tensor {name!r} cannot be read: {first_line(error)}.") from error
    if (
        not (array.dtype.kind in "biuf" or np.can_cast(array.dtype, np.float64, "same_kind"))
        or array.dtype.kind in "cO"
    ):
        raise ValueError(f"the tensor {name!r} is of type {array.dtype}, which is no real number.")
    return array


def _data_beside(tensor: Any, folder: Path | None, size: int) -> bytes:
    """The bytes of a tensor that are in a file of their own."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if folder is None:
        raise ValueError("its data are in another file; give the path of the model instead of the model")
    place = Path(entries.get("location", ""))
    path = (folder / place).resolve()
    if place.is_absolute() or not path.is_relative_to(folder.resolve()):
        raise ValueError("its data are outside of the model's folder")
    if not path.is_file():
        raise ValueError(f"its data are in {short(path.name)!r}, which is no file beside the model")
    offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    if length != size or offset < 0 or offset + length > path.stat().st_size:
        raise ValueError(f"its data are not {size:,} bytes of {short(path.name)!r}")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
