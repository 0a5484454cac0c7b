"""[edge] Counts that theory knows: arrangements, discs, bounds, and one function with four numbers of regions."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes

from jaxgeom._typing import PLANE
from jaxgeom.domains import Polygon, box, polygon, whole_plane
from jaxgeom.networks.layers import Dense, Layers
from jaxgeom.recipes.reproduce.claims import Claim, exact, mean
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, connected
from jaxgeom.regions.count import count_regions
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.regions.labels import region_labels
from jaxgeom.theory import mean_count_ball, mean_count_one_layer, montufar_2014, montufar_2017, serra_2018

MOST_QUICK = 10
"""Hyperplanes of the largest arrangement that ``--quick`` counts."""

_NEAR = 1e-6
"""Biases so small that all hyperplanes of a few units meet in a box of side 2."""

_BUCK = {2: {3: 7, 5: 16, 10: 56, 20: 211}, 4: {4: 16, 8: 163, 16: 2517}}
_DISCS = {(10, 1.0, 1.0): 21.251, (20, 0.5, 1.0): 123.918, (30, 1.0, 2.0): 268.295}
_SIDES = 128


def buck(key: int, quick: bool) -> Claim:
    """Cells of generic hyperplanes: Σ C(n, k) over k ≤ dim."""
    rng = np.random.default_rng(key)
    rows = []
    for dim, counts in _BUCK.items():
        for num, cells in counts.items():
            if quick and num > MOST_QUICK:
                continue
            seeds = 5 if dim == PLANE else 2
            layers = _one_layer(rng.normal(size=(seeds, dim, num)), _NEAR * rng.normal(size=(seeds, num)))
            found = count_regions(layers, whole_plane() if dim == PLANE else box(-1, 1, dim=dim))
            for seed, count in enumerate(found.count.tolist()):
                rows.append(exact(f"{num} hyperplanes in R^{dim}, seed {seed}", cells, count))
    return Claim(
        "Cells of arrangements",
        "Buck (1943), Zaslavsky (1975)",
        rows,
        "Random hyperplanes as the units of one hidden layer: in the plane counted on the whole plane, in four "
        "dimensions on a box that holds all their meeting points.",
    )


def disc(key: int, quick: bool) -> Claim:
    """Mean counts at random initialisation, in a disc and in a square."""
    rng = np.random.default_rng(key)
    seeds = 500 if quick else 10_000
    rows, drawn = [], {}
    for (width, scale, radius), published in _DISCS.items():
        counts = _counts(rng.normal(size=(seeds, 2, width)), scale * rng.normal(size=(seeds, width)), _circle(radius))
        name = f"n = {width}, σ = {scale:g}, R = {radius:g}"
        rows.append(mean(f"mean in a disc, {name}", published, counts))
        drawn[name] = (counts, mean_count_ball(width, 2, radius, scale))
    for width, num in ((20, seeds), (100, seeds // 10)):
        shape = (num, 3, width)
        weights = rng.uniform(-1, 1, shape) / np.sqrt(2)
        counts = count_regions(_one_layer(weights[:, :2], weights[:, 2]), box(-1, 1)).count
        rows.append(mean(f"mean in [-1, 1]², PyTorch's initialisation, width {width}", _square(width), counts))

    def draw(ax: Axes) -> None:
        for place, (name, (counts, expected)) in enumerate(drawn.items()):
            ax.hist(counts, bins=40, alpha=0.6, label=name, color=f"C{place}", density=True)
            ax.axvline(expected, color=f"C{place}", linewidth=1.5)
        ax.plot([], [], color="0.4", label="closed form")
        ax.set(xlabel="regions in the disc", ylabel="density of networks")
        ax.legend(fontsize="small")

    return Claim(
        "Mean counts of one hidden layer",
        "integral geometry: 1 + n R/√(R²+σ²) + C(n,2) (1 - σ/√(R²+σ²)), and 1 + 5W/6 + W(W-1)/6",
        rows,
        f"The disc is a polygon of {_SIDES} sides, whose mean differs from the disc's by less than 0.1 %. Lines mark "
        "the closed form.",
        draw,
    )


def bounds(_key: int, _quick: bool) -> Claim:
    """Upper and lower bounds on the number of regions, as printed."""
    rows = [
        exact("Serra 2018, 2-[4, 4]", 121, serra_2018((4, 4), 2)),
        exact("Serra 2018, 4-[4, 4]", 163, serra_2018((4, 4), 4)),
        exact("Serra 2018, 2-[20, 20, 20]", 9_393_931, serra_2018((20,) * 3, 2)),
        exact("Serra 2018, 784-[11, 11]", 2_449_868, serra_2018((11, 11), 784)),
        exact("Montúfar 2017, 4-[4, 4]", 256, montufar_2017((4, 4), 4)),
        exact("Montúfar 2014 (lower), 2-[4, 4]", 44, montufar_2014((4, 4), 2)),
    ]
    return Claim("Bounds", "Montúfar et al. (2014), Montúfar (2017), Serra et al. (2018)", rows, "Exact integers.")


def definitions(_key: int, _quick: bool) -> Claim:
    """One function with four numbers of regions, one for each definition."""
    # max(-y, min(0, -x)): h = relu(x, y, -y), g = relu(h1 - h2 + h3, h1), f = g1 - g2
    layers = (
        Dense(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]]), np.zeros(3)),
        Dense(np.array([[1.0, 1.0], [-1.0, 0.0], [1.0, 0.0]]), np.zeros(2)),
        Dense(np.array([[1.0], [-1.0]]), np.zeros(1)),
    )
    complex_ = enumerate_regions(layers, box(-1, 1))
    kinds = {"activation": 5, "linear": 3, "map": 3}
    rows = [
        exact(f'kind "{kind}"', n, int(count_regions(layers, box(-1, 1), kind=kind).count)) for kind, n in kinds.items()
    ]
    rows.insert(1, exact("convex linear regions", 4, _num_convex(complex_)))

    def draw(ax: Axes) -> None:
        from jaxgeom.plot import plot_regions

        plot_regions(complex_, ax=ax)

    return Claim(
        "Definitions of a region",
        "arXiv:2505.16716, the function max(-y, min(0, -x))",
        rows,
        "Convex linear regions: the fewest convex unions of regions with one affine map.",
        draw,
    )


def _one_layer(kernel: np.ndarray, bias: np.ndarray) -> Layers:
    outputs = np.zeros((*bias.shape, 1)), np.zeros((len(bias), 1))
    return Dense(kernel, bias), Dense(*outputs)


def _circle(radius: float) -> Polygon:
    angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
    return polygon(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def _counts(kernel: np.ndarray, bias: np.ndarray, domain: Polygon) -> Int[np.ndarray, " networks"]:
    return count_regions(_one_layer(kernel, bias), domain).count


def _square(width: int) -> float:
    return mean_count_one_layer(width)


def _num_convex(complex_: PlanarComplex) -> int:
    """The fewest convex unions of faces with one map: of all ways to join faces across edges, tried one by one."""
    label = region_labels(complex_, "linear")
    inner = complex_.edge_faces[(complex_.edge_faces != OUTSIDE).all(axis=1)]
    joints = inner[label[inner[:, 0]] == label[inner[:, 1]]]
    for removed in range(len(joints) + 1):
        for choice in combinations(range(len(joints)), removed):
            group = connected(complex_.num_faces, np.delete(joints, choice, axis=0))
            if all(_is_convex(complex_, np.flatnonzero(group == first)) for first in np.unique(group)):
                return len(np.unique(group))
    return complex_.num_faces


def _is_convex(complex_: PlanarComplex, faces: Sequence[int] | np.ndarray) -> bool:
    """Whether a union of faces has the area of its convex hull."""
    from scipy.spatial import ConvexHull

    starts = complex_.face_offsets
    corners = np.concatenate([complex_.face_vertices[starts[face] : starts[face + 1]] for face in faces])
    hull = ConvexHull(complex_.vertices[corners])
    return bool(np.isclose(hull.volume, complex_.area[faces].sum(), rtol=1e-9))
