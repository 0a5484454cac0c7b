"""[host] Whether functions rise or fall along the edges of complexes, or are constant there: signs that are certain."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Int, Int8

from jaxgeom.analysis.incidence import Incidence
from jaxgeom.domains import Box, PlanarDomain, ProjectiveDomain, exact_domain
from jaxgeom.networks.layers import Layers, slope_of
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex
from jaxgeom.regions.exact_plane import dyadic
from jaxgeom.regions.space import SpatialComplex

_DIGITS = 1e-7
"""Maps are right to eight digits at least, relative to their largest number on the domain, and positions to eleven,
relative to its size."""
_TINY = 1e-290


def rises(
    complexes: Sequence[PlanarComplex] | Sequence[SpatialComplex],
    cells: Incidence,
    edges: Int[np.ndarray, "edges 2"],
    domain: PlanarDomain,
) -> Int8[np.ndarray, " edges"]:
    """The sign of what the first output at the second end of each edge has more than at the first end.

    Args:
        complexes: of networks on the domain, in the plane or in space.
        cells: their cells.
        edges: the two vertices of all of their edges, numbered as in ``cells``.
        domain: a bounded one.
    """
    first = cells.starts[cells.dim]
    of_regions = cells.sides[(cells.sides[:, 1] >= first) & (cells.sides[:, 0] < cells.starts[2])]
    region = np.zeros(len(edges), np.int64)
    region[of_regions[:, 0] - cells.starts[1]] = of_regions[:, 1] - first
    gradient = np.concatenate([complex_.gradient[:, 0] for complex_ in complexes])[region]
    intercept = np.concatenate([complex_.intercept[:, 0] for complex_ in complexes])[region]
    size = np.abs(cells.positions).max()
    with np.errstate(all="ignore"):
        step = cells.positions[edges[:, 1]] - cells.positions[edges[:, 0]]
        rise = np.sum(gradient * step, axis=1)
        share = np.minimum(np.abs(step).max(axis=1) / size, 1)
        steepness = np.abs(gradient).sum(axis=1) * size
        tolerance = _DIGITS * (steepness + share * np.abs(intercept))
        is_certain = (np.abs(rise) > tolerance) & (steepness > _TINY) & np.isfinite(tolerance)
    sign = np.sign(np.where(is_certain, rise, 0)).astype(np.int8)
    is_flat = np.concatenate([_dead(complex_) for complex_ in complexes])[region]
    sign[is_flat] = 0
    start = exact_domain(domain)
    network = cells.network[cells.of_dimension(1)]
    begins = np.searchsorted(network, np.arange(len(complexes)))
    exact: dict[int, Callable[[int], int]] = {}
    for edge in np.flatnonzero(~is_certain & ~is_flat).tolist():
        member = int(network[edge])
        complex_ = complexes[member]
        if member not in exact:
            exact[member] = _in_plane(complex_, start) if isinstance(complex_, PlanarComplex) else _in_space(complex_)
        sign[edge] = exact[member](edge - int(begins[member]))
    return sign


def _dead(complex_: PlanarComplex | SpatialComplex) -> Bool[np.ndarray, " regions"]:
    """On which regions all units of some layer are constant, because none is active."""
    dead, first = np.zeros(len(complex_.patterns), bool), 0
    for layer in _layers_of(complex_)[:-1]:
        last = first + len(layer.bias)
        if not np.asarray(slope_of(layer)).any():
            dead |= ~complex_.patterns[:, first:last].any(axis=1)
        first = last
    return dead


def _layers_of(complex_: PlanarComplex | SpatialComplex) -> Layers:
    assert complex_.layers is not None
    return complex_.layers


def _gradients(layers: Layers) -> Callable[[np.ndarray], list[np.ndarray]]:
    """From an activation pattern, the gradients of all units of each layer, (units, dim), and of the outputs: Python's
    integers, up to one positive factor a layer."""
    kernels = [dyadic(np.asarray(layer.kernel))[0].T for layer in layers]
    slopes = [dyadic(np.asarray(slope_of(layer))) for layer in layers[:-1]]
    known: dict[bytes, list[np.ndarray]] = {}

    def of(pattern: np.ndarray) -> list[np.ndarray]:
        key = pattern.tobytes()
        if key not in known:
            found, begin = [kernels[0]], 0
            for kernel, (inactive, active) in zip(kernels[1:], slopes, strict=True):
                factors = np.where(pattern[begin : begin + len(inactive)], active, inactive)
                found.append(kernel @ (factors[:, None] * found[-1]))
                begin += len(factors)
            known[key] = found
        return known[key]

    return of


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _in_plane(complex_: PlanarComplex, start: ProjectiveDomain | Box) -> Callable[[int], int]:
    """The exact sign of the rise along an edge of a complex in the plane."""
    assert isinstance(start, ProjectiveDomain)
    layers = _layers_of(complex_)
    gradients = _gradients(layers)
    starts = np.cumsum([0, *(len(layer.bias) for layer in layers)])
    points, _ = dyadic(start.vertices)
    ends = [[points[v] for v in (side, following)] for side, following in _sides(start)]

    def rise(edge: int) -> int:
        layer, unit, left = complex_.edge_layer[edge], complex_.edge_unit[edge], complex_.edge_faces[edge, 0]
        pattern = complex_.patterns[left]
        (a, b), *_ = gradients(pattern)[-1].tolist()
        if layer == OUTSIDE:  # the side goes around the domain in the direction of the edge
            (px, py, pw), (qx, qy, qw) = ends[unit]
            return _sign(a * (qx * pw - px * qw) + b * (qy * pw - py * qw))
        # the normal that shows to the left, into the face
        p, q = gradients(pattern)[layer][unit].tolist()
        towards = 1 if pattern[starts[layer] + unit] else -1
        return towards * _sign(a * q - b * p)

    return rise


def _sides(start: ProjectiveDomain) -> list[tuple[int, int]]:
    (cycle,) = start.cycles
    return list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))


def _in_space(complex_: SpatialComplex) -> Callable[[int], int]:
    """The exact sign of the rise along an edge of a complex in space."""
    layers = _layers_of(complex_)
    gradients = _gradients(layers)
    starts = np.cumsum([0, *(len(layer.bias) for layer in layers)])
    around = np.split(complex_.facet_vertices, complex_.facet_offsets[1:-1])
    facets_of: dict[frozenset[int], list[int]] = {}
    for facet, corners in enumerate(around):
        cycle = corners.tolist()
        for ends in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            facets_of.setdefault(frozenset(ends), []).append(facet)

    def outward(facet: int, cell: int) -> list[int]:
        """The normal of a facet, away from the cell."""
        layer, unit = int(complex_.facet_layer[facet]), int(complex_.facet_unit[facet])
        if layer == OUTSIDE:
            return [(1 if unit % 2 else -1) if axis == unit // 2 else 0 for axis in range(3)]
        pattern = complex_.patterns[cell]
        towards = -1 if pattern[starts[layer] + unit] else 1
        return [towards * number for number in gradients(pattern)[layer][unit].tolist()]

    def rise(edge: int) -> int:
        ends = complex_.edges[edge].tolist()
        facets = facets_of[frozenset(ends)]
        for cell in np.unique(complex_.facet_cells[facets]).tolist():
            if cell == OUTSIDE:
                continue
            one, other = (facet for facet in facets if cell in complex_.facet_cells[facet])
            (p, q, r), (u, v, w) = outward(one, cell), outward(other, cell)
            along = q * w - r * v, r * u - p * w, p * v - q * u
            if not any(along):
                continue  # the two facets are in one plane
            # that is the direction in which the first facet passes the edge, as seen from outside
            cycle = around[one].tolist()
            is_forward = cycle[(cycle.index(ends[0]) + 1) % len(cycle)] == ends[1]
            is_forward ^= complex_.facet_cells[one, 0] != cell
            (gradient,) = gradients(complex_.patterns[cell])[-1].tolist()
            sign = _sign(sum(a * b for a, b in zip(gradient, along, strict=True)))
            return sign if is_forward else -sign
        raise RuntimeError("the complex is inconsistent: an edge has no corner. Please report the network.")

    return rise
