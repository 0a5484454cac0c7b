"""Networks and places to start from, for the tests of the exact cells in Python integers."""

import itertools
from fractions import Fraction

import numpy as np

from jaxgeom.domains import ProjectiveDomain, box, projective_domain, whole_plane
from jaxgeom.networks.layers import Dense

SQUARE = projective_domain(box())
PLANE = projective_domain(whole_plane())
# a centre and rays that lines with small integer coefficients run through
SYMMETRIC_PLANE = ProjectiveDomain(np.array([[0.0, 0, 1], [1, 0, 0], [-1, 1, 0], [-1, -1, 0]]), PLANE.cycles)


def network(*pairs):
    return tuple(Dense(np.asarray(kernel, np.float64), np.asarray(bias, np.float64)) for kernel, bias, *_ in pairs)


def of_widths(draw, *widths):
    return network(*((draw(a, b), draw(1, b)[0]) for a, b in itertools.pairwise((2, *widths, 1))))


def uniform(rng, *widths):
    return of_widths(lambda a, b: rng.uniform(-1, 1, (a, b)), *widths)


def small_integers(rng, *widths):
    """Weights in {-1, -½, 0, ½, 1}: parallel, coincident and concurrent lines, dead and constant units, flat pieces."""
    return of_widths(lambda a, b: rng.integers(-2, 3, (a, b)) / 2, *widths)


def lines(*rows):
    """One hidden layer with these lines a x + b y + c, added up at the output."""
    rows = np.float64(rows)
    return network((rows[:, :2].T, rows[:, 2]), (np.ones((len(rows), 1)), [0.0]))


def tent(depth):
    """The tent map on [0, 1], composed with itself; y is ignored."""
    inner = [[2.0, 2], [-4, -4]]
    return network(([[1, 1], [0, 0]], [0, -0.5]), *[(inner, [0, -0.5])] * (depth - 1), (np.array(inner)[:, :1], [0]))


def wedge():
    """max(-y, min(0, -x)), from arXiv:2505.16716."""
    return network(
        ([[1, 0, 0], [0, 1, -1]], np.zeros(3)), ([[1, 1], [-1, 0], [1, 0]], np.zeros(2)), ([[1], [-1]], np.zeros(1))
    )


def sloped(layers, slopes):
    """The layers with slopes, one array for each hidden layer."""
    hidden = [Dense(layer.kernel, layer.bias, slope) for layer, slope in zip(layers[:-1], slopes, strict=True)]
    return (*hidden, layers[-1])


def relu(layers):
    return [np.zeros_like(layer.bias) for layer in layers[:-1]]


def maps(cell):
    return tuple(Fraction(value, cell.denominator) for row in cell.rows for value in row)


def turned(points):
    """A cycle, begun at its least vertex."""
    start = points.index(min(points))
    return (*points[start:], *points[:start])
