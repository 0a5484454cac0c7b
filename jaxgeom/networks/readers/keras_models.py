"""[edge] Networks from Keras 3, followed by their jaxprs; files are looked at before Keras sees them."""

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.networks.readers.given_files import file_at
from jaxgeom.networks.readers.imported import Imported
from jaxgeom.networks.readers.jax_functions import first_line, read_function

_MOST_BYTES = 2**31
_MODULES = ("keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints")
_FURTHER = ("keras.src.models.functional", "keras.src.models.sequential", "keras.dtype_policies", "keras.activations")
_TRAINING = ("keras.optimizers", "keras.optimizers.schedules", "keras.losses", "keras.metrics")
_UNSAFE = ("Lambda", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "TFSMLayer")
_PARTS = ("config.json", "metadata.json", "model.weights.h5")


def from_keras(model: Any, example: Any = None) -> Imported:
    """The layers of a model of Keras 3 at inference.

    Keras runs on several frameworks; models are read where it runs on JAX (``KERAS_BACKEND=jax``, set before Keras is
    imported; where it was not imported, and nothing else is set, this function imports it so). What was read is
    compared with the model, which calculates in float32. A softmax or sigmoid at the end is left off, with a note.

    Args:
        model: a built model, sequential, functional or of a class of one's own; or the path of a ``.keras`` file. Of
            files, objects of Keras itself are made and nothing else: lambdas and other code are refused.
        example: a batch of inputs; needed only where lengths in the model's input shape are None.

    Raises:
        ValueError: for an operation that is not piecewise linear, named with its layer; for files that cannot be read;
            for another backend; if the layers are not what the model computes.
        TypeError: for what is no model.

    Example:
        >>> import keras, jaxgeom as jg  # with KERAS_BACKEND=jax
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
        >>> [layer.kernel.shape for layer in jg.from_keras(model).layers]
        [(2, 8), (8, 1)]
    """
    if isinstance(model, str | Path):
        _check_file(Path(model))
    keras = _keras()
    if keras.backend.backend() != "jax":
        raise ValueError(
            f"Keras runs on {keras.backend.backend()} here; models are read where it runs on JAX. Save the model, and "
            'start Python with KERAS_BACKEND=jax: from_keras("model.keras").'
        )
    if isinstance(model, str | Path):
        model = _loaded(keras, Path(model))
    if not isinstance(model, keras.Model):
        raise TypeError(f"a keras.Model is needed, but {type(model).__name__} was given.")
    if not model.built:
        raise ValueError("the model is not built. Call it once, or give its first layer keras.Input(shape).")
    if example is None:
        example = np.zeros((1, *_input_shape(model)))
    trainable = [np.asarray(variable.value) for variable in model.trainable_variables]
    rest = [np.asarray(variable.value) for variable in model.non_trainable_variables]

    def function(x: Any) -> Any:
        return model.stateless_call(trainable, rest, x, training=False)[0]

    return read_function(function, example, takes_batch=True, what="the model")


def _keras() -> Any:
    """The module ``keras``; if it is not imported yet and no backend is chosen, with JAX as its backend."""
    if "keras" in sys.modules or "KERAS_BACKEND" in os.environ:
        import keras

        return keras
    os.environ["KERAS_BACKEND"] = "jax"
    try:
        import keras
    finally:
        del os.environ["KERAS_BACKEND"]
    return keras


def _input_shape(model: Any) -> tuple[int, ...]:
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, dict | list) or (shape and isinstance(shape[0], tuple)):
        raise ValueError("the model takes several inputs; wrap it in one that takes a single tensor.")
    if not shape or any(length is None for length in shape[1:]):
        raise ValueError(f"the model's input shape is {shape}. Give a batch of inputs: from_keras(model, example).")
    return tuple(shape[1:])


def _check_file(path: Path) -> None:
    """Raise a ValueError for what is no .keras file, for one that unpacks to much, and for what is not Keras's own."""
    file_at(path)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist()}
            if sum(sizes.values()) > _MOST_BYTES or not set(_PARTS) <= set(sizes):
                raise ValueError(f"it holds {sorted(sizes)[:5]}, of {sum(sizes.values()):,} bytes")
            if any(name.startswith("/") or ".." in Path(name).parts for name in sizes):
                raise ValueError("it holds files for other folders")
            config = json.loads(archive.read("config.json"))
        if not isinstance(config, dict):
            raise ValueError("its configuration is no dictionary")
    except (OSError, ValueError, zipfile.BadZipFile, RecursionError) as error:
        raise ValueError(f"{path.name} cannot be read as a .keras file: {first_line(error)}.") from error
    for part in _objects(config):
        name, module = str(part.get("class_name")), part.get("module", "keras")
        is_known = module in (*_MODULES, *_FURTHER, *_TRAINING) and name not in (*_UNSAFE, "function")
        if not is_known or part.get("registered_name") not in (None, name):
            raise ValueError(
                f"{path.name} holds {module}.{name}, which is code of somebody else or runs some. Load the model "
                "yourself if you trust the file, and pass it."
            )


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """All descriptions of objects in a configuration."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _objects(value)


def _loaded(keras: Any, path: Path) -> Any:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise ValueError(f"{path.name} cannot be read as a .keras file: {first_line(error)}.") from error
