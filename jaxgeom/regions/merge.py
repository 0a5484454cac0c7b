"""[host] Which faces of a complex belong together: those with one affine map, wherever they are or in one piece.

Activation patterns that differ may give one map: units that are dead further on, or that cancel. Regions of kind
"linear" are connected sets with one map, joined across edges (not just vertices); those of kind "map" are the distinct
maps. Maps are taken as equal if they differ by at most 1e-11 of their own largest coefficient.
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
    if kind == "linear":
        pairs = complex_.edge_faces[(complex_.edge_faces != OUTSIDE).all(axis=1)]
        first = connected(len(maps), pairs[_are_near(maps[pairs[:, 0]], maps[pairs[:, 1]])])
    else:
        first = _first_of_equals(maps)
    return np.unique(first, return_inverse=True)[1]


def _are_near(a: Float[np.ndarray, "maps numbers"], b: Float[np.ndarray, "#maps numbers"]) -> np.ndarray:
    tolerance = _TOLERANCE * np.minimum(np.abs(a).max(axis=1, initial=0.0), np.abs(b).max(axis=1, initial=0.0))
    return np.abs(a - b).max(axis=1, initial=0.0) <= tolerance


def _first_of_equals(maps: Float[np.ndarray, "faces numbers"]) -> Int[np.ndarray, " faces"]:
    """For each map the first that equals it. Candidates are neighbours in the order of a fixed random projection."""
    direction = np.random.default_rng(0).normal(size=maps.shape[1])
    shadow = maps @ direction
    # a gap that no rounding of one of the maps beside it explains
    reach = 4 * _TOLERANCE * np.abs(direction).sum() * np.abs(maps).max(axis=1, initial=0.0)
    order = np.argsort(shadow, kind="stable")
    gaps = np.diff(shadow[order]) > np.maximum(reach[order][:-1], reach[order][1:])
    first = np.arange(len(maps))
    for group in np.split(order, np.flatnonzero(gaps) + 1):
        rest = np.sort(group)
        while len(rest) > 1:
            is_equal = _are_near(maps[rest], maps[rest[:1]])
            is_equal[0] = True
            first[rest[is_equal]] = rest[0]
            rest = rest[~is_equal]
    return first
