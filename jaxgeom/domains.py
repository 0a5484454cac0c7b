"""Where regions are counted: boxes, convex polygons, the whole plane; and grids of points on boxes."""

import functools
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, PLANE
from jaxgeom.host.given import check_flags, check_positive, float64_of, is_positive, known

LEAST_VERTICES = 3
"""Vertices of a triangle."""
ONCE_AROUND = 2
"""How often the sides of a convex polygon change from one half of all directions to the other."""
LEAST_OF_LINE = 2
"""Points of a line that has both of its ends."""


@readable
class Box(NamedTuple):
    """An axis-parallel box, ``low <= x <= high`` in each coordinate."""

    low: Float[np.ndarray, " dim"]
    """Lower end in each coordinate."""
    high: Float[np.ndarray, " dim"]
    """Upper end in each coordinate."""


def box(
    low: float | Sequence[float] | np.ndarray = -1.0,
    high: float | Sequence[float] | np.ndarray = 1.0,
    *,
    dim: int | None = None,
) -> Box:
    """The box from ``low`` to ``high``; by default the square [-1, 1]².

    Args:
        low: lower ends, one number for all coordinates, or one for each.
        high: upper ends, likewise.
        dim: number of coordinates; None for as many as there are bounds, or 2 if there is one for all.

    Raises:
        TypeError: if the bounds are no real numbers, or are traced.
        ValueError: if they are not finite, not in order, or not ``dim`` many.

    Example:
        >>> import jaxgeom as jg
        >>> jg.box(-1, [1, 2]).high.tolist(), len(jg.box(0, [1, 2, 3]).low), len(jg.box(0, 1, dim=3).low)
        ([1.0, 2.0], 3, 3)
    """
    if dim is not None:
        check_positive("dim", dim)
    try:
        given = [float64_of(bound, "the bounds of a box") for bound in known((low, high), "the bounds of a box")]
        lengths = {bound.shape[0] for bound in given if bound.ndim}
        dim = dim or max(lengths - {1}, default=min(lengths, default=2))
        if not dim:
            raise ValueError("no bounds")
        bounds = Box(*(np.broadcast_to(bound, (dim,)).copy() for bound in given))
    except ValueError as error:
        if "float64" in str(error):
            raise
        raise ValueError(
            f"a box in {dim} dimensions needs one bound or {dim} of them, but low = {low} and high = {high} were "
            "given. Set dim to the number of coordinates."
        ) from error
    if not (np.isfinite(bounds.low).all() and np.isfinite(bounds.high).all()):
        raise ValueError(
            f"the bounds of a box must be finite, but low = {low} and high = {high} were given. All of R² is "
            "jaxgeom.whole_plane()."
        )
    if not (bounds.low < bounds.high).all():
        raise ValueError(f"low must lie below high in every coordinate, but {low} and {high} were given.")
    return bounds


@readable
class Polygon(NamedTuple):
    """A convex polygon in the plane."""

    vertices: Float[np.ndarray, "vertices 2"]
    """In counter-clockwise order."""


@readable
class WholePlane(NamedTuple):
    """The whole plane, without any boundary."""

    center: Float[np.ndarray, " 2"]
    """Some point that none of the lines at hand runs through; results do not depend on it."""


PlanarDomain: TypeAlias = Box | Polygon | WholePlane


def polygon(vertices: Sequence[Sequence[float]] | np.ndarray) -> Polygon:
    """The convex polygon with these vertices, in either order.

    Args:
        vertices: shape (vertices, 2), at least three of them, neighbours not repeated; straight angles are allowed.

    Raises:
        TypeError: if the vertices are no real numbers, or are traced.
        ValueError: if they are not finite, not convex, or span no area.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> triangle = jg.polygon([(0, 0), (1, 0), (0, 1)])
        >>> network = jg.Dense(np.eye(2), -np.full(2, 0.25)), jg.Dense(np.ones((2, 1)), np.zeros(1))
        >>> int(jg.count_regions(network, triangle).count)
        4
    """
    what = "the vertices of a polygon"
    points = np.array(float64_of(known(vertices, what), what))
    if points.ndim != MATRIX or points.shape[0] < LEAST_VERTICES or points.shape[1] != PLANE:
        raise ValueError(f"a polygon needs an array (vertices, 2) of at least 3 vertices, but got {points.shape}.")
    if not np.isfinite(points).all():
        raise ValueError(f"the vertices of a polygon must be finite, but {points.tolist()} were given.")
    exact = [(Fraction(x), Fraction(y)) for x, y in points.tolist()]
    sides = [(q[0] - p[0], q[1] - p[1]) for p, q in zip(exact, exact[1:] + exact[:1], strict=True)]
    turns = [a[0] * b[1] - a[1] * b[0] for a, b in zip(sides, sides[1:] + sides[:1], strict=True)]
    nowhere = (Fraction(0), Fraction(0))
    orientation = 1 if max(turns) > 0 else -1
    rounds = sum((a > nowhere) != (b > nowhere) for a, b in zip(sides, sides[1:] + sides[:1], strict=True))
    if any(turn * orientation < 0 for turn in turns) or not any(turns) or rounds != ONCE_AROUND or nowhere in sides:
        raise ValueError(
            f"the vertices {points.tolist()} are not those of a convex polygon in order, each given once. Take their "
            "convex hull (scipy.spatial.ConvexHull) or split the polygon into convex ones."
        )
    return Polygon(points[::orientation].copy())


def whole_plane() -> WholePlane:
    """The whole plane as a domain: regions and bounded regions of all of R^2.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.full(2, 9.0)), jg.Dense(np.ones((2, 1)), np.zeros(1))
        >>> int(jg.count_regions(network, jg.whole_plane()).count), int(jg.count_regions(network, jg.box(-1, 1)).count)
        (4, 1)
    """
    return WholePlane(np.array([0.0173492431640625, -0.0318450927734375]))


class ProjectiveDomain(NamedTuple):
    """A domain as homogeneous points (x, y, w) and the convex faces that they span; see :func:`projective_domain`."""

    vertices: Float[np.ndarray, "vertices 3"]
    """The finite points (x/w, y/w), and for w = 0 points at infinity in direction (x, y)."""
    cycles: tuple[tuple[int, ...], ...]
    """The vertices of each face, counter-clockwise."""


def exact_domain(domain: PlanarDomain) -> ProjectiveDomain | Box:
    """The domain as cells are cut from it: homogeneous points in the plane, a checked box in any other dimension.

    Raises:
        TypeError: for anything that is not a domain.
        ValueError: for a box in more than 10 dimensions.
    """
    if not isinstance(domain, Box) or np.size(domain.low) == PLANE:
        return projective_domain(domain)
    domain = checked_box(domain)
    if len(domain.low) > MOST_DIMENSIONS:
        raise ValueError(
            f"a box in {len(domain.low)} dimensions has 2^{len(domain.low)} corners to begin with, and at most "
            f"{MOST_DIMENSIONS} dimensions are allowed. Take a slice: jaxgeom.on_plane composes the first layer with a "
            "plane in the input space. Or estimate: jaxgeom.estimate_regions."
        )
    return domain


MOST_DIMENSIONS = 10
"""Of boxes whose regions can be found."""


_DIRECTIONS = np.array(
    [
        [0.96929931640625, 0.24588012695312],
        [-0.69760131835938, 0.71649169921875],
        [-0.27169799804688, -0.96237182617188],
    ]
)


def projective_domain(domain: PlanarDomain) -> ProjectiveDomain:
    """The domain as one convex face; the whole plane as three, which meet along rays from its centre.

    On homogeneous points a ReLU network is a network without biases, and so the faces at infinity are faces like
    others. Sides between two faces do not belong to the domain's boundary and are to be taken out again.

    Raises:
        TypeError: for anything that is not a domain.
        ValueError: if the domain is not two-dimensional.
    """
    if not isinstance(domain, Box | Polygon | WholePlane):
        raise TypeError(
            "a domain is needed, such as jaxgeom.box(-1, 1), which is [-1, 1]², or a jaxgeom.polygon or "
            f"jaxgeom.whole_plane(), but {_named(domain)} was given."
        )
    numbers = domain_numbers(domain)
    return _start(domain) if numbers is None else _remembered(*numbers)


def domain_numbers(domain: Any) -> tuple[Any, ...] | None:
    """Kind and numbers of a domain, by which something may be remembered about it; None if its arrays are long, or not
    of float64."""
    kind = type(domain)
    if kind not in _KINDS:
        return None
    numbers: list[Any] = [kind]
    for field in domain:
        if type(field) is not np.ndarray or field.dtype is not _FLOAT64 or field.size > _FEW:
            return None
        numbers.append((field.shape, field.tobytes()))
    return tuple(numbers)


_KINDS = frozenset([Box, Polygon, WholePlane])
_FLOAT64 = np.dtype(np.float64)  # this very object is the type of nearly all such arrays
_FEW = 256  # numbers, of which domains are short enough to be remembered


@functools.lru_cache(maxsize=64)
def _remembered(kind: Any, *fields: tuple[tuple[int, ...], bytes]) -> ProjectiveDomain:
    """The domain of these numbers in homogeneous points, checked once: that takes longer than a small network."""
    start = _start(kind(*(np.frombuffer(numbers).reshape(shape) for shape, numbers in fields)))
    start.vertices.setflags(write=False)
    return start


def _start(domain: PlanarDomain) -> ProjectiveDomain:
    if isinstance(domain, WholePlane):
        what = "the centre of the whole plane"
        center = float64_of(known(domain.center, what), what)
        if np.shape(center) != (2,) or not np.isfinite(center).all():
            raise ValueError(f"the centre of the whole plane must be a finite point, but {center} was given.")
        finite = np.append(center, 1.0)
        ideal = np.concatenate([_DIRECTIONS, np.zeros((3, 1))], axis=1)
        return ProjectiveDomain(np.concatenate([finite[None], ideal]), ((0, 1, 2), (0, 2, 3), (0, 3, 1)))
    points = polygon_vertices(domain)
    return ProjectiveDomain(np.concatenate([points, np.ones((len(points), 1))], axis=1), (tuple(range(len(points))),))


def checked_box(domain: Box) -> Box:
    """The box after the checks of :func:`box`, for those that were made by hand.

    Raises:
        TypeError: for anything that is not a box.
        ValueError: for bounds that are not finite, or not in order.
    """
    if not isinstance(domain, Box):
        raise TypeError(f"a jaxgeom.box is needed, such as jaxgeom.box(-1, 1), but {_named(domain)} was given.")
    return box(domain.low, domain.high, dim=np.size(domain.low))


def _named(given: Any) -> str:
    """What was given in the place of a domain: numbers as they are, functions that were not called by their names."""
    if callable(given):
        return f"the function {getattr(given, '__name__', given)} itself, without brackets,"
    return f"the tuple {given}" if type(given) is tuple and len(repr(given)) <= _SHORT else type(given).__name__


_SHORT = 40  # letters that messages repeat


def corners(domain: Box) -> Float[np.ndarray, "corners dim"]:
    """The 2^dim corners of a box, float64, the last coordinate changing fastest.

    Example:
        >>> import jaxgeom as jg
        >>> jg.corners(jg.box(0, [1, 2])).tolist()
        [[0.0, 0.0], [0.0, 2.0], [1.0, 0.0], [1.0, 2.0]]
    """
    domain = checked_box(domain)
    return np.array(list(itertools.product(*zip(domain.low, domain.high, strict=True))))


def polygon_vertices(domain: Box | Polygon) -> Float[np.ndarray, "vertices 2"]:
    """The vertices of a bounded two-dimensional domain in counter-clockwise order, float64.

    Raises:
        TypeError: for anything that is not a bounded domain.
        ValueError: if the domain is not two-dimensional.

    Example:
        >>> import jaxgeom as jg
        >>> jg.polygon_vertices(jg.box(0, 1)).tolist()
        [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    """
    if isinstance(domain, Polygon):
        return polygon(domain.vertices).vertices
    if not isinstance(domain, Box):
        raise TypeError(
            "a bounded domain is needed, such as jaxgeom.box(-1, 1), which is [-1, 1]², or a jaxgeom.polygon, but "
            f"{_named(domain)} was given."
        )
    domain = checked_box(domain)
    if len(domain.low) != PLANE:
        raise ValueError(
            f"a two-dimensional domain is needed, but a box in {len(domain.low)} dimensions was given. Use "
            "box(low, high, dim=2)."
        )
    (x0, y0), (x1, y1) = domain
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def grid_points(domain: Box, num: int = 101, *, with_corners: bool = False) -> Float[np.ndarray, "points dim"]:
    """A dense grid with ``num`` points along each axis, ends included; the first coordinate changes fastest.

    The points are float32. Then products with float32 weights are exact in float64, and a line that runs through
    grid points (as trained networks have them) is seen to do so, instead of leaving signs to rounding.

    Args:
        domain: the box that the grid spans.
        num: points along each axis; 101 is the usual choice for counting regions on [-1, 1]².
        with_corners: append the corners of the box once more, as the XOR study does.

    Returns:
        float32 array of shape (num^dim, dim), or (num^dim + 2^dim, dim) with the corners.

    Raises:
        TypeError: for anything that is not a box.
        ValueError: if ``num`` is no integer of at least 2.

    Example:
        >>> import jaxgeom as jg
        >>> jg.grid_points(jg.box(0, 1), 2).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    check_flags(with_corners=with_corners)
    if not is_positive(num) or num < LEAST_OF_LINE:
        raise ValueError(f"a grid needs at least 2 points along each axis, but num = {num!r} was given.")
    domain = checked_box(domain)
    steps = np.arange(num)
    axes = [
        (low * (num - 1 - steps) + high * steps) / (num - 1) for low, high in zip(domain.low, domain.high, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes[::-1], indexing="ij")[::-1], axis=-1).reshape(-1, len(axes))
    points = np.concatenate([grid, corners(domain)]) if with_corners else grid
    return points.astype(np.float32)


def grid_lines(domain: Box, num: int = 21, *, num_points: int = 201) -> Float[np.ndarray, "lines points dim"]:
    """The lines of a grid, subdivided, so that they bend where a network bends them.

    Args:
        domain: the box that the grid spans.
        num: lines along each axis, for each value of the other coordinates; the outermost are sides of the box.
        num_points: points on each line, evenly spaced, ends included.

    Returns:
        float32 array; first the lines along the first axis. In the plane ``2 * num`` lines, in one dimension a single
        one.

    Raises:
        ValueError: for numbers that are no integers of at least 2.

    Example:
        >>> import jaxgeom as jg
        >>> jg.grid_lines(jg.box(-1, 1), 3, num_points=5).shape
        (6, 5, 2)
    """
    if not (is_positive(num) and is_positive(num_points)) or min(num, num_points) < LEAST_OF_LINE:
        raise ValueError(f"grid lines take at least 2 lines and 2 points, but {num!r} and {num_points!r} were given.")
    domain = checked_box(domain)
    dim = len(domain.low)
    families = []
    for axis in range(dim):
        sizes = [num_points if other == axis else num for other in range(dim)]
        places = [np.linspace(low, high, size) for low, high, size in zip(*domain, sizes, strict=True)]
        grid = np.moveaxis(np.stack(np.meshgrid(*places, indexing="ij"), axis=-1), axis, -2)
        families.append(grid.reshape(-1, num_points, dim))
    return np.concatenate(families).astype(np.float32)
