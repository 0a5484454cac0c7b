"""Networks in the plane and their complexes, in integer arithmetic, which compiles nothing."""

import itertools

import numpy as np

from jaxgeom.domains import box, projective_domain
from jaxgeom.networks.layers import Dense, with_activation
from jaxgeom.regions.cells import cell_counts, with_one_axis
from jaxgeom.regions.complex import without_artificial_edges
from jaxgeom.regions.exact_plane import complex_of_cells, exact_cells
from jaxgeom.regions.space_cells import space_complexes


def network(seed, *widths, num_inputs=2, values=None):
    """Random layers of these widths, the outputs included; uniform, or with weights among the given values."""
    rng = np.random.default_rng(seed)

    def draw(shape):
        return rng.uniform(-1, 1, shape) if values is None else rng.choice(values, shape)

    return tuple(Dense(draw((a, b)), draw(b)) for a, b in itertools.pairwise((num_inputs, *widths)))


def counts_in_box(layers, domain):
    """Counts by the engine's part for boxes of any dimension, on the square, too."""
    return cell_counts(with_one_axis(with_activation(layers, None)), domain)[0]


def complex_in_box(layers, domain):
    """The complex of one network from there."""
    return space_complexes(with_one_axis(with_activation(layers, None)), domain)[0]


def complex_of(layers, domain=None, *, activation=None, cut_output=False):
    """What enumerate_regions gives."""
    layers = with_activation(layers, activation)
    if cut_output:
        width = layers[-1].bias.shape[0]
        layers = (*layers, Dense(np.eye(width), np.zeros(width)))
    start = projective_domain(box() if domain is None else domain)
    return without_artificial_edges(complex_of_cells(exact_cells(layers, start)))


def faces_of_corners(complex_):
    """The face of each corner."""
    return np.repeat(np.arange(complex_.num_faces), np.diff(complex_.face_offsets))


def polygons(complex_):
    """The vertices of each face."""
    return np.split(complex_.vertices[complex_.face_vertices], complex_.face_offsets[1:-1])
