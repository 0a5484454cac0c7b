"""[host] Which faces of a complex belong together: those with one affine map, wherever they are or in one piece.

Activation patterns that differ may give one map: units that are dead further on, or that cancel. Regions of kind
"linear" are connected sets with one map, joined across edges (not just vertices); those of kind "map" are the distinct
maps. Maps are taken as equal if they differ by at most 1e-11 of the largest coefficient of the network's maps.
"""

import numpy as np
from jaxtyping import Float, Int

from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, connected

KINDS = ("activation", "linear", "map")
_TOLERANCE = 1e-11


def region_labels(complex_: PlanarComplex, kind: str = "linear") -> Int[np.ndarray, " faces"]:
    """The region that each face belongs to, numbered from 0 in order of their first faces.

    Args:
        complex_: as :func:`jaxgeom.enumerate_regions` gives it.
        kind: "activation" (every face is its own), "linear" (connected faces with one affine map) or "map" (all faces
            with one affine map).

    Raises:
        ValueError: for another kind, or a complex that is not complete and so has no maps.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but {kind!r} was given.")
    if kind == "activation":
        return np.arange(complex_.num_faces)
    if not complex_.complete:
        raise ValueError("this complex is not complete, so that its faces have no affine maps. Raise max_regions.")
    maps = np.concatenate([complex_.gradient, complex_.intercept[..., None]], axis=-1).reshape(complex_.num_faces, -1)
    tolerance = _TOLERANCE * np.abs(maps).max(initial=0.0)
    if kind == "linear":
        pairs = complex_.edge_faces[(complex_.edge_faces != OUTSIDE).all(axis=1)]
        first = connected(len(maps), pairs[_are_near(maps[pairs[:, 0]], maps[pairs[:, 1]], tolerance)])
    else:
        first = _first_of_equals(maps, tolerance)
    return np.unique(first, return_inverse=True)[1]


def _are_near(
    a: Float[np.ndarray, "maps numbers"], b: Float[np.ndarray, "#maps numbers"], tolerance: float
) -> np.ndarray:
    return (np.abs(a - b) <= tolerance).all(axis=1)


def _first_of_equals(maps: Float[np.ndarray, "faces numbers"], tolerance: float) -> Int[np.ndarray, " faces"]:
    """For each map the first that equals it. Candidates are neighbours in the order of a fixed random projection."""
    direction = np.random.default_rng(0).normal(size=maps.shape[1])
    shadow = maps @ direction
    order = np.argsort(shadow, kind="stable")
    reach = 2 * tolerance * np.abs(direction).sum()
    breaks = np.flatnonzero(np.diff(shadow[order]) > reach) + 1
    first = np.arange(len(maps))
    for group in np.split(order, breaks):
        rest = np.sort(group)
        while len(rest) > 1:
            is_equal = _are_near(maps[rest], maps[rest[:1]], tolerance)
            first[rest[is_equal]] = rest[0]
            rest = rest[~is_equal]
    return first
