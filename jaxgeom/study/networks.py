"""[host] The networks of a study: a measurement that keeps their parameters, and the networks that these make."""

from itertools import pairwise
from typing import Any

import jax
import numpy as np

from jaxgeom._typing import Params
from jaxgeom.host.names import did_you_mean
from jaxgeom.networks.layers import named_layers, num_pieces
from jaxgeom.study.measurements import Measurement
from jaxgeom.study.result import Study, select


def parameters() -> Measurement:
    """All weights and biases of networks of any kind; of those by :func:`jaxgeom.mlp`, :func:`networks` makes networks
    again.

    Variables: the place of each array in the tree of parameters, ``name_LAYER_kernel`` and ``name_LAYER_bias`` such as
    ``name_dense0_relu_kernel``, or ``name_block_scale_0`` for ``params["block"]["scale"][0]``.
    """

    def weights(params: Params) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path, array in jax.tree_util.tree_flatten_with_path(params)[0]:
            name = "_".join(jax.tree_util.keystr((key,), simple=True) for key in path)
            if name in found:
                raise ValueError(f"two arrays of the parameters would have the name {name!r}; rename one of them.")
            found[name] = array
        return found

    return Measurement(weights, meaning="weights and biases, layer by layer")


def networks(study: Study, *, name: str = "params", **values: Any) -> Params:
    """Parameters of the networks of a study at given coordinates.

    Args:
        study: one that measures :func:`parameters`.
        name: of that measurement.
        values: as for :func:`select`: for any axis one value, or several. Narrow networks among wider ones of several
            ``width`` or ``hidden`` are filled up with zero units, which change none of their outputs.

    Returns:
        A dictionary as :func:`jaxgeom.mlp` makes it, of NumPy arrays whose leading axes are those of the study of which
        no single value was given. Networks that are not finished are NaN.

    Raises:
        ValueError: for a study without that measurement, and for unknown coordinates.

    Example:
        >>> import jaxgeom as jg
        >>> measure = {"params": jg.study.parameters()}
        >>> study = jg.run_study({"width": [2, 9], "seed": range(3)}, measure, inputs=2, progress=False)
        >>> layers = jg.layers_of(jg.study.networks(study, width=9, step=0))
        >>> layers[0].kernel.shape
        (3, 2, 9)
    """
    part = select(study, **values)
    found: dict[str, dict[str, np.ndarray]] = {}
    for variable, array in part.variables.items():
        layer, _, kind = variable.removeprefix(f"{name}_").rpartition("_")
        if variable.startswith(f"{name}_") and layer.startswith("dense") and not np.isnan(array).all():
            found.setdefault(layer, {})[kind] = array
    if not found:
        raise ValueError(
            f"networks are made of the measurement jaxgeom.study.parameters(), but {name!r} is none, or not finished: "
            f"the study has the variables {', '.join(study.variables)}.{did_you_mean(name, study.variables)}"
        )
    layers = named_layers(found)
    sizes: list[int | None] = [None] * (len(layers) + 1)
    if np.ndim(values.get("width", [])) == 0:
        sizes[1:-1] = [int(values["width"])] * (len(layers) - 1)
    elif isinstance(values.get("hidden"), str):
        sizes[1:-1] = map(int, values["hidden"].split("-"))
    is_known = ~np.isnan(found[layers[0][0]]["kernel"][..., :1, :1])
    for (layer, activation, _), (before, after) in zip(layers, pairwise(sizes), strict=True):
        kernel = _real(_real(found[layer].pop("kernel"), -2, before), -1, after, num_pieces(activation))
        known = {"kernel": is_known} | dict.fromkeys(found[layer], is_known[..., 0])
        parts = {"kernel": kernel} | {
            kind: _real(array, -1, after, num_pieces(activation)) for kind, array in found[layer].items()
        }
        found[layer] = {kind: np.where(known[kind], np.nan_to_num(array), np.nan) for kind, array in parts.items()}
    return found


def _real(array: np.ndarray, axis: int, size: int | None, pieces: int = 1) -> np.ndarray:
    """Without what all networks lack along an axis and, if a size is known, without padding."""
    others = tuple(range(array.ndim - 1 if axis == -1 else array.ndim - 2)) + (() if axis == -1 else (array.ndim - 1,))
    places = np.flatnonzero(~np.isnan(array).all(axis=others)).reshape(pieces, -1)
    return np.take(array, places[:, :size].ravel(), axis=axis)
