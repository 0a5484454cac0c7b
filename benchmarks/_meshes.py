"""Marching cubes on grids, and how far apart two triangulated surfaces are."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

import jaxgeom as jg

try:
    from skimage import measure
except ImportError:
    measure = None


class Mesh(NamedTuple):
    """A surface of triangles."""

    vertices: np.ndarray  # (vertices, 3)
    triangles: np.ndarray  # (triangles, 3)

    @property
    def corners(self) -> np.ndarray:
        """Corners of all triangles: (triangles, 3, 3)."""
        return self.vertices[self.triangles]

    @property
    def area(self) -> float:
        return float(self.areas.sum())

    @property
    def areas(self) -> np.ndarray:
        a, b, c = self.corners.swapaxes(0, 1)
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2

    @property
    def volume(self) -> float:
        """Of what the surface encloses, if it is closed."""
        a, b, c = self.corners.swapaxes(0, 1)
        return abs(float(np.sum(a * np.cross(b, c))) / 6)

    @property
    def num_components(self) -> int:
        """Of the graph of vertices and edges."""
        first, second = np.concatenate([self.triangles[:, :2], self.triangles[:, 1:]]).T
        num = len(self.vertices)
        _, label = connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(num, num)))
        return len(np.unique(label[self.triangles]))


def values_by_numpy(layers: jg.Layers, domain: jg.Box, num: int) -> np.ndarray:
    """Outputs of a network on a grid of ``num`` points along each axis, in float32, plane by plane."""
    *hidden, last = [(np.float32(layer.kernel), np.float32(layer.bias)) for layer in layers]
    x, y, z = np.linspace(domain.low, domain.high, num, dtype=np.float32).T
    points = np.stack(np.meshgrid(x[:1], y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    values = np.empty((num, num * num), np.float32)
    for place in range(num):
        points[:, 0] = x[place]
        h = points
        for kernel, bias in hidden:
            h = np.maximum(h @ kernel + bias, 0)
        values[place] = (h @ last[0] + last[1])[:, 0]
    return values.reshape(num, num, num)


def values_by_jax(layers: jg.Layers, domain: jg.Box, num: int) -> np.ndarray:
    """The same by a jitted program."""
    weights = [(jnp.float32(layer.kernel), jnp.float32(layer.bias)) for layer in layers]
    return np.asarray(_on_grid(weights, jnp.float32(domain.low), jnp.float32(domain.high), num))


@partial(jax.jit, static_argnames="num")
def _on_grid(weights: list, low: jax.Array, high: jax.Array, num: int) -> jax.Array:
    x, y, z = jnp.linspace(low, high, num).T
    plane = jnp.stack(jnp.meshgrid(y, z, indexing="ij"), axis=-1).reshape(-1, 2)

    def on_plane(x: jax.Array) -> jax.Array:
        h = jnp.concatenate([jnp.full((num * num, 1), x), plane], axis=1)
        *hidden, (kernel, bias) = weights
        for weight, offset in hidden:
            h = jax.nn.relu(h @ weight + offset)
        return (h @ kernel + bias)[:, 0].reshape(num, num)

    return jax.lax.map(on_plane, x)


def marching_cubes(values: np.ndarray, domain: jg.Box) -> Mesh:
    """The surface on which values on a grid are zero, by scikit-image."""
    step = (domain.high - domain.low) / (np.array(values.shape) - 1)
    vertices, triangles, *_ = measure.marching_cubes(values, 0.0, spacing=tuple(step))
    return Mesh(vertices + domain.low, triangles)


def sampled(mesh: Mesh, num: int, rng: np.random.Generator) -> np.ndarray:
    """Random points of a surface, evenly by area, and as many of its vertices."""
    areas = mesh.areas
    a, b, c = mesh.corners[rng.choice(len(areas), num, p=areas / areas.sum())].swapaxes(0, 1)
    root, other = np.sqrt(rng.random((num, 1))), rng.random((num, 1))
    inside = (1 - root) * a + root * (1 - other) * b + root * other * c
    used = np.unique(mesh.triangles)
    return np.concatenate([inside, mesh.vertices[rng.permutation(used)[:num]]])


def distances(points: np.ndarray, mesh: Mesh, spacing: float) -> np.ndarray:
    """Distances of points from a surface, never too small.

    They are those from the triangles on which the nearest of many points of the surface lie, ``spacing`` apart.
    """
    cover, triangle = _cover(mesh, spacing)
    _, near = KDTree(cover).query(points, k=min(6, len(cover)))
    candidates = triangle[near.reshape(len(points), -1)]
    return np.min([_to_triangles(points, mesh.corners[column]) for column in candidates.T], axis=0)


def _cover(mesh: Mesh, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of all triangles, no more than ``spacing`` from one to the next, and their triangles."""
    corners = mesh.corners
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    parts = np.maximum(1, np.ceil(longest / spacing)).astype(int)
    found = []
    for num in np.unique(parts):
        which = np.flatnonzero(parts == num)
        first, second = np.indices((num + 1, num + 1)).reshape(2, -1)
        kept = first + second <= num
        shares = np.stack([num - first - second, first, second], axis=1)[kept] / num
        found.append((np.einsum("pi,tid->tpd", shares, corners[which]).reshape(-1, 3), np.repeat(which, kept.sum())))
    points, triangle = zip(*found, strict=True)
    return np.concatenate(points), np.concatenate(triangle)


def _to_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance of each point from its own triangle."""
    a, b, c = corners.swapaxes(0, 1)
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    unit = normal / np.maximum(length, np.finfo(float).tiny)[:, None]
    sides = [(a, b), (b, c), (c, a)]
    is_above = np.all([np.sum(np.cross(q - p, points - p) * unit, axis=1) >= 0 for p, q in sides], axis=0)
    beside = [np.linalg.norm(points - p - _clipped(points - p, q - p), axis=1) for p, q in sides]
    height = np.where(is_above & (length > 0), np.abs(np.sum((points - a) * unit, axis=1)), np.inf)
    return np.min([height, *beside], axis=0)


def _clipped(offset: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The nearest point of a side, both from its start."""
    along = np.sum(offset * side, axis=1) / np.maximum(np.sum(side * side, axis=1), np.finfo(float).tiny)
    return np.clip(along, 0, 1)[:, None] * side
