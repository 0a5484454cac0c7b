"""[host] Kinds of networks: those of one kind have the same regions with the same points in them, up to symmetry."""

from itertools import permutations, product
from math import factorial, prod
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE
from jaxgeom.domains import PlanarDomain
from jaxgeom.networks.layers import Dense, Layers, check_layers, slope_of
from jaxgeom.regions.enumerate import enumerate_population

_TURNS = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]], np.float64)
SQUARE = np.concatenate([_TURNS, _TURNS @ np.diag([1.0, -1.0])])
"""The eight symmetries of a square, as matrices."""
_MOST_ORDERS = 5040
_ATOL = 1e-9


@readable
class Kinds(NamedTuple):
    """Networks by the geometry of their regions, as :func:`network_kinds` finds them."""

    kind: Int[np.ndarray, " networks"]
    """The kind of each network: 0 is the most frequent one; -1 for networks that are not finite."""
    num_networks: Int[np.ndarray, " kinds"]
    """Networks of each kind."""
    num_regions: Int[np.ndarray, " kinds"]
    """Activation regions of each kind."""
    num_active: Int[np.ndarray, "kinds units"]
    """At how many points each unit is active, in ascending order in each layer."""
    example: Int[np.ndarray, " kinds"]
    """Number of the first network of each kind."""
    matrix: Float[np.ndarray, "networks 2 2"]
    """The symmetry that carries each network to the position in which its kind is described."""
    layers: Layers
    """The networks, carried by their symmetries: those of a kind lie on each other."""


def network_kinds(
    layers: Layers,
    points: Float[np.ndarray, "points 2"],
    domain: PlanarDomain,
    *,
    symmetries: Float[np.ndarray, "symmetries 2 2"] = SQUARE,
) -> Kinds:
    """Networks with two inputs and one output, grouped by exact geometry.

    Two networks are of one kind if their units can be numbered, and the plane turned by one of the symmetries, such
    that the same activation patterns have a region, the points have the same patterns, and the output has the same
    signs at the points (or all opposite ones: a symmetry may exchange the classes, as a quarter turn does in XOR).

    Args:
        layers: a population with one leading axis, and few hidden units.
        points: such as the data; the symmetries permute them.
        domain: where regions are looked for; the symmetries leave it as it is.
        symmetries: matrices that are orthogonal, the identity among them.

    Raises:
        ValueError: for no points or such that are not finite, another number of inputs or outputs, more than 5,040
            orders of the hidden units (those of seven in one layer), or symmetries that do not permute the points.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> kernel = np.array([[1.0, 1.0], [1.0, 1.0]])
        >>> one = jg.Dense(np.stack([kernel, kernel * [[1], [-1]]]), np.tile([1.0, 0.0], (2, 1)))
        >>> two = jg.Dense(np.tile([[2.0], [-4.0]], (2, 1, 1)), np.array([[-1.0], [-1.0]]))
        >>> kinds = jg.network_kinds((one, two), [[1, 1], [1, -1], [-1, 1], [-1, -1]], jg.box(-1, 1))
        >>> kinds.num_networks.tolist(), kinds.num_regions.tolist()  # a network and its mirror image
        ([2], [3])
    """
    layers = check_layers(layers, dim=PLANE)
    points = np.asarray(points, np.float64)
    if points.ndim != PLANE or points.shape[1] != PLANE or not len(points) or not np.isfinite(points).all():
        raise ValueError(
            f"kinds need at least one point, finite and of shape (points, 2), but {points.shape} was given, "
            f"{np.isfinite(points).sum()} of {points.size} coordinates finite."
        )
    if np.ndim(layers[0].bias) != PLANE or layers[-1].bias.shape[-1] != 1:
        raise ValueError(
            "kinds are those of a population with one leading axis and one output, but the first and last bias have "
            f"shapes {np.shape(layers[0].bias)} and {np.shape(layers[-1].bias)}."
        )
    widths = [layer.bias.shape[-1] for layer in layers[:-1]]
    of_layers = [(*range(width),) for width in widths]
    bends = [bool(np.any(np.asarray(slope_of(layer)) != 1)) for layer in layers[:-1]]  # linear units have no order
    if prod(factorial(width) for width, can_bend in zip(widths, bends, strict=True) if can_bend) > _MOST_ORDERS:
        raise ValueError(
            f"layers of {widths} units have more than {_MOST_ORDERS:,} orders, those of seven units in one layer; take "
            "smaller networks."
        )
    moved = [_permutation(points, matrix) for matrix in symmetries]
    starts = np.cumsum([0, *widths])
    orders = [
        np.concatenate([start + np.array(order, int) for start, order in zip(starts, chosen, strict=False)])
        for chosen in product(*(permutations(of) if can else [of] for of, can in zip(of_layers, bends, strict=True)))
    ]
    complexes = enumerate_population(layers, domain)
    signs, outputs = _at_points(layers, points)
    found: dict[tuple[bytes, ...], list[tuple[int, int, bool]]] = {}
    for number, complex_ in enumerate(complexes):
        if complex_ is not None:
            form, symmetry, is_opposite = _canonical(
                complex_.patterns, signs[number], outputs[number] > 0, orders, moved
            )
            found.setdefault(form, []).append((number, symmetry, is_opposite))
    groups = sorted(found.values(), key=lambda members: (-len(members), members[0][0]))
    kind, turn, sign = np.full(len(complexes), -1), np.zeros(len(complexes), int), np.ones(len(complexes))
    for label, members in enumerate(groups):
        for number, symmetry, is_opposite in members:
            kind[number], turn[number], sign[number] = label, symmetry, -1.0 if is_opposite else 1.0
    matrix = np.asarray(symmetries, np.float64)[turn]
    example = np.array([members[0][0] for members in groups], int)
    counts = [getattr(complexes[number], "num_faces", 0) for number in example.tolist()]
    active = signs[example].sum(axis=1)
    return Kinds(
        kind,
        np.array([len(members) for members in groups], int),
        np.array(counts, int),
        np.concatenate([np.sort(each, axis=1) for each in np.split(active, starts[1:-1], axis=1)], axis=1),
        example,
        matrix,
        _carried(layers, matrix, sign),
    )


def _permutation(points: Float[np.ndarray, "points 2"], matrix: Float[np.ndarray, "2 2"]) -> Int[np.ndarray, " points"]:
    """Where a symmetry takes each point from: the number of the point that becomes point i."""
    distance = np.abs((points @ np.asarray(matrix).T)[None] - points[:, None]).max(axis=2)
    source: Int[np.ndarray, " points"] = distance.argmin(axis=1)
    if distance[np.arange(len(points)), source].max() > _ATOL or len(np.unique(source)) < len(points):
        raise ValueError(f"the symmetry {np.asarray(matrix).tolist()} does not permute the points; leave it out.")
    return source


def _at_points(
    layers: Layers, points: Float[np.ndarray, "points 2"]
) -> tuple[Bool[np.ndarray, "networks points units"], Float[np.ndarray, "networks points"]]:
    """Which units are active at the points, and the outputs, in float64."""
    h, active = np.broadcast_to(points, (len(layers[0].bias), *points.shape)), []
    for layer in layers[:-1]:
        z = h @ np.asarray(layer.kernel, np.float64) + np.asarray(layer.bias, np.float64)[:, None]
        slope = np.asarray(slope_of(layer))[..., None, :]
        active.append((z > 0) & (slope != 1))
        h = np.where(z > 0, z, z * slope)
    last = h @ np.asarray(layers[-1].kernel, np.float64) + np.asarray(layers[-1].bias, np.float64)[:, None]
    return np.concatenate(active, axis=2), last[..., 0]


def _canonical(
    patterns: Bool[np.ndarray, "faces units"],
    signs: Bool[np.ndarray, "points units"],
    outputs: Bool[np.ndarray, " points"],
    orders: list[np.ndarray],
    moved: list[np.ndarray],
) -> tuple[tuple[bytes, ...], int, bool]:
    """The first description of a network in any order of its units and position, and the position."""
    found = []
    for order in orders:
        regions = b"".join(sorted(row.tobytes() for row in patterns[:, order]))
        for symmetry, source in enumerate(moved):
            sides = outputs[source]
            is_opposite = bool(sides[0])  # the first point's class is the negative one
            form = (regions, signs[source][:, order].tobytes(), (sides ^ is_opposite).tobytes())
            found.append((form, symmetry, is_opposite))
    return min(found, key=lambda each: (each[0], each[1] != 0, each[1]))


def _carried(layers: Layers, matrix: Float[np.ndarray, "networks 2 2"], sign: Float[np.ndarray, " networks"]) -> Layers:
    """Each network after a turn of the plane, its output times a sign."""
    first, *middle, last = (jax.tree.map(np.asarray, layer) for layer in layers)
    turned = Dense(matrix @ first.kernel, first.bias, first.slope)
    signed = Dense(last.kernel * sign[:, None, None], last.bias * sign[:, None], last.slope)
    result: Layers = (turned, *middle, signed)
    return result
