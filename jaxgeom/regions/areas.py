"""[host] Areas and centroids of the faces of planar complexes.

The diagonals from its first vertex part a face into triangles. All faces are gone through triangle by triangle at one
pace, the longest ones first, so that those that are still on their way are always the first so many.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom.regions.cycles import longest_first


def areas_and_centroids(
    vertices: Float[np.ndarray, "vertices 2"],
    is_ideal: Bool[np.ndarray, " vertices"],
    face_offsets: Int[np.ndarray, " offsets"],
    face_vertices: Int[np.ndarray, " corners"],
) -> tuple[Float[np.ndarray, " faces"], Float[np.ndarray, "faces 2"]]:
    """Areas and centroids, from positions relative to the first vertex of each face."""
    order, counts = longest_first(np.diff(face_offsets))
    starts = face_offsets.take(order)
    num = len(starts)
    x, y = (np.ascontiguousarray(vertices[:, column]) for column in (0, 1))
    twice, mean_x, mean_y, offset_x, offset_y = np.zeros((5, num))
    spokes: list[tuple[np.ndarray, np.ndarray]] = []
    triangles: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        at = face_vertices.take(starts)
        first_x, first_y = x.take(at), y.take(at)
        for step, some in enumerate(counts[1:], 1):
            at = face_vertices.take(starts[:some] + step)
            spoke = x.take(at) - first_x[:some], y.take(at) - first_y[:some]
            mean_x[:some] += spoke[0]
            mean_y[:some] += spoke[1]
            if step > 1:
                triangle = spokes[-1][0][:some] * spoke[1] - spokes[-1][1][:some] * spoke[0]
                twice[:some] += triangle
                triangles.append(triangle)
            spokes.append(spoke)
        for before, spoke, triangle in zip(spokes, spokes[1:], triangles, strict=False):
            some = len(triangle)
            weight = triangle / (3 * twice[:some])
            offset_x[:some] += (before[0][:some] + spoke[0]) * weight
            offset_y[:some] += (before[1][:some] + spoke[1]) * weight
        odd = np.flatnonzero(~(np.isfinite(twice) & (twice > 0)))
        if len(odd):
            num_corners = np.diff(face_offsets).take(order[odd])
            offset_x[odd], offset_y[odd] = mean_x[odd] / num_corners, mean_y[odd] / num_corners
    area, centroid = np.empty(num), np.empty((num, 2))
    area[order] = twice / 2
    centroid[order, 0], centroid[order, 1] = first_x + offset_x, first_y + offset_y
    if is_ideal.any():
        _unbounded(area, centroid, vertices, is_ideal, face_offsets, face_vertices)
    return area, centroid


def _unbounded(
    area: Float[np.ndarray, " faces"],
    centroid: Float[np.ndarray, "faces 2"],
    vertices: Float[np.ndarray, "vertices 2"],
    is_ideal: Bool[np.ndarray, " vertices"],
    face_offsets: Int[np.ndarray, " offsets"],
    face_vertices: Int[np.ndarray, " corners"],
) -> None:
    """Areas of faces with vertices at infinity, and instead of centroids what one gets from the mean of their finite
    vertices by a step of their size into each direction at infinity."""
    starts = face_offsets[:-1]
    position, at_infinity = vertices[face_vertices], is_ideal[face_vertices]
    unbounded = np.logical_or.reduceat(at_infinity, starts)
    finite = np.where(at_infinity[:, None], 0.0, position)
    mean = np.add.reduceat(finite, starts) / np.maximum(np.add.reduceat(~at_infinity, starts, dtype=int), 1)[:, None]
    size = np.maximum.reduceat(np.abs(finite).max(axis=1), starts)
    step = np.where(size > 0, size, 1.0)[:, None]
    inner = mean + step * np.add.reduceat(np.where(at_infinity[:, None], position, 0.0), starts)
    area[unbounded] = np.inf
    centroid[unbounded] = inner[unbounded]
