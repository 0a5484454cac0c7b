"""Faces of a box that hyperplanes cut: their numbers, and what is noticed when they cannot be right.

That they are right is tested through the regions they make, in test_regions_spatial.py.
"""

import math

import numpy as np
import pytest

from jaxgeom import Dense, box
from jaxgeom.domains import corners
from jaxgeom.regions import spatial
from jaxgeom.regions.lattice import box_lattice, cell_vertices, cut, is_consistent, simplices
from jaxgeom.regions.spatial import count_regions_nd


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
def test_the_lattice_of_a_box(dim):
    lattice, is_upper, sides = box_lattice(dim)
    assert list(lattice.num_faces) == [math.comb(dim, k) * 2 ** (dim - k) for k in range(dim + 1)]
    np.testing.assert_array_equal(np.where(is_upper, 1.0, -1.0), corners(box(dim=dim)))
    assert sorted(sides) == list(range(2 * dim))
    assert is_consistent(lattice)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_cells_and_simplices_of_a_box(dim):
    lattice = box_lattice(dim)[0]
    offsets, members = cell_vertices(lattice)
    assert offsets.tolist() == [0, 2**dim]
    assert members.tolist() == list(range(2**dim))
    # every order of the coordinates gives a path of edges from the first corner to the last, and a simplex
    cell, found = simplices(lattice)
    assert cell.tolist() == [0] * math.factorial(dim)
    points = corners(box(0, 1, dim=dim))[found]
    assert len({simplex.tobytes() for simplex in found}) == math.factorial(dim)
    np.testing.assert_allclose(np.abs(np.linalg.det(points[:, 1:] - points[:, :1])), 1)


def test_a_cut_through_vertices_and_through_nothing():
    square = box_lattice(2)[0]
    diagonal = cut(square, np.array([0, 1, -1, 0], np.int8))
    assert diagonal.lattice.num_faces == (4, 5, 2)
    assert [part.tolist() for part in diagonal.split] == [[], [], [0]]
    assert diagonal.lattice.ends[-1].tolist() == [0, 3]
    assert diagonal.is_positive.tolist() == [True, False]
    along_a_side = cut(square, np.array([0, 0, 1, 1], np.int8))
    assert along_a_side.lattice is square
    assert along_a_side.is_positive.tolist() == [True]


def test_inconsistent_lattices_are_noticed():
    lattice = box_lattice(3)[0]
    halves = cut(lattice, np.where(np.arange(8) < 4, -1, 1).astype(np.int8)).lattice
    assert is_consistent(halves)
    assert halves.num_faces == (12, 20, 11, 2)
    around = halves.around[0].copy()
    around[0] = around[5]
    assert not is_consistent(halves._replace(around=(around, halves.around[1])))
    assert not is_consistent(halves._replace(ends=halves.ends[::-1]))
    assert not is_consistent(halves._replace(num_faces=(12, 20, 11, 3)))
    assert not is_consistent(halves._replace(around=(halves.around[0], halves.around[1] * 0)))


def test_wrong_signs_are_noticed(monkeypatch):
    # one corner that claims to be on the other side of a plane: its section is no polygon
    kernel = np.array([[1.0, 0.2, 0.1], [0.1, 1, 0.3], [0.2, 0.1, 1]])
    layers = (Dense(kernel, np.array([0.1, 0.1, -0.1])), Dense(np.ones((3, 1)), np.zeros(1)))
    assert count_regions_nd(layers, box(dim=3)).count == 8
    decide = spatial.decide

    def mistaken(*arguments):
        signs = decide(*arguments)
        if len(signs) == 8:
            signs[[0, 3, 5, 6], 0], signs[[1, 2, 4, 7], 0] = 1, -1
        return signs

    monkeypatch.setattr(spatial, "decide", mistaken)
    with pytest.raises(RuntimeError, match="a unit does not vanish in two points of a polygon's boundary"):
        count_regions_nd(layers, box(dim=3))
    monkeypatch.undo()
    monkeypatch.setattr(spatial, "is_consistent", lambda lattice: False)
    with pytest.raises(RuntimeError, match="faces of the regions do not fit together"):
        count_regions_nd(layers, box(dim=3))
