"""[edge] What a page draws networks over: their inputs, or the coordinates that their inputs are features of."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgeom._typing import MATRIX, SPACE
from jaxgeom.data.features import features_of
from jaxgeom.domains import Box, checked_box
from jaxgeom.plot.explorer.gather import Gathered


def num_coordinates(found: Gathered, features: Sequence[str] | None, data: Any, domain: Box | None) -> int:
    """How many coordinates the page draws networks over: one, two or three.

    Of features they are as many as those of the data or the domain, or else as the names speak of.

    Raises:
        TypeError: for names that are no sequence of names, or a domain that is no box.
        ValueError: for networks of more than three inputs or of different ones, names of no features, or as many names
            as the networks do not have inputs.
    """
    widths = sorted({int(group.layers[0].kernel.shape[-2]) for group in found.groups})
    given = " and ".join(map(str, widths))
    if features is None:
        if len(widths) > 1:
            raise ValueError(
                f"the explorer shows networks with the same inputs, but these have {given}. Make two pages."
            )
        if widths[0] > SPACE:
            raise ValueError(
                f"the explorer shows networks with one, two or three inputs, but these have {given}. Take a slice of "
                "them: jaxgeom.on_plane(layers, plane). If inputs are features of the plane, name them: "
                'features=("x1", "x2", "x1^2", …).'
            )
        return widths[0]
    dim = _of_points(data, domain) or max(map(int, re.findall(r"x(\d)", " ".join(map(str, features)))), default=1)
    if dim > SPACE:
        raise ValueError(f"the explorer shows features of one, two or three coordinates, but {dim} were given.")
    features_of(np.zeros((1, dim), np.float32), features)
    if widths != [len(features)]:
        raise ValueError(
            f"the networks have {given} inputs, but features has {len(features)} names, {', '.join(features)}. Name "
            "all inputs, in their order."
        )
    return dim


def _of_points(data: Any, domain: Box | None) -> int | None:
    if domain is not None:
        return len(checked_box(domain).low)
    shape = () if data is None else np.shape(data[0] if isinstance(data, tuple | list) else data)
    return shape[1] if len(shape) == MATRIX else None
