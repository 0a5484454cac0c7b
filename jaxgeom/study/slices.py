"""[host] Real networks on many planes of their input space: counts, boundaries, topology, as arrays with named axes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm.auto import tqdm

from jaxgeom.analysis.measures import distances_on_host
from jaxgeom.analysis.slices import Slice, slice_network, slice_topology
from jaxgeom.domains import Box, Polygon, polygon_vertices
from jaxgeom.host.given import check_flags, check_positive, check_progress
from jaxgeom.networks.layers import Activation, Dense, Layers
from jaxgeom.networks.slices import Plane
from jaxgeom.study.result import Study
from jaxgeom.study.versions import versions

_AXES = ("network", "plane")
_MEANINGS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "num_regions": ((), "1", "linear regions with one activation pattern each"),
    "region_density": ((), "1 / area", "linear regions per unit of area"),
    "boundary_length": ((), "length", "length of the decision boundary"),
    "boundary_between": (("class", "other_class"), "length", "length of the boundary between two classes"),
    "class_area": (("class",), "area", "area on which the class wins"),
    "num_components": (("class",), "1", "connected components of the class's region"),
    "num_holes": (("class",), "1", "holes in the class's region"),
    "num_boundaries": ((), "1", "connected components of the decision boundary"),
    "num_closed_boundaries": ((), "1", "those that do not reach the border of the domain"),
    "local_complexity": ((), "1", "mean number of units whose line passes within the radius of a point"),
    "degenerate": ((), "1", "whether an exact zero was met at a vertex"),
}


def slice_study(
    networks: Layers | Sequence[Layers] | Mapping[Any, Layers],
    planes: Plane | Sequence[Plane],
    domains: Box | Polygon | Sequence[Box | Polygon],
    *,
    activation: Activation | None = None,
    radius: float | None = None,
    num_points: int = 256,
    topology: bool = True,
    progress: bool | str = False,
) -> Study:
    """What networks do on planes of their input space: regions, boundaries, areas and shapes of classes, complexity.

    The study has the axes "network" and "plane"; variables of classes have further ones. Save it, choose from it, and
    make it an xarray dataset as any other (:mod:`jaxgeom.study`).

    Args:
        networks: one network, several such as the checkpoints of a training, or several by name or step, all with as
            many inputs and outputs. Kernels may be sparse.
        planes: one plane or several.
        domains: a bounded part of each plane, or one for all, in coordinates of the planes.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        radius: measure the local complexity, too: how many units have their line (on the plane) within this distance,
            on average over points of a grid on the domain.
        num_points: about so many points of that grid.
        topology: count components, holes and boundaries, too, which takes longest.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for no networks or planes, numbers of domains and planes that differ, or networks with different
            numbers of outputs; and as :func:`jaxgeom.slice_network`.

    Example:
        >>> import jax, jaxgeom as jg
        >>> init = jg.mlp((20, 12, 3), activation="relu").init
        >>> networks = {step: jg.layers_of(init(jax.random.key(step))) for step in (0, 100)}
        >>> planes = jg.random_planes(jax.random.key(0), [0.5] * 20, num_planes=3)
        >>> found = jg.study.slice_study(networks, planes, [jg.box_on_plane(plane, 0, 1) for plane in planes])
        >>> found["num_regions"].shape, found["class_area"].shape, found["network"].tolist()
        ((2, 3), (2, 3, 3), [0, 100])
    """
    check_progress(progress)
    check_flags(topology=topology)
    check_positive("num_points", num_points)
    names, each = _named(networks)
    planes = [planes] if isinstance(planes, Plane) else list(planes)
    several = [domains] * len(planes) if isinstance(domains, Box | Polygon) else list(domains)
    if not planes or len(several) != len(planes):
        raise ValueError(f"every plane needs a domain, but there are {len(planes)} planes and {len(several)} domains.")
    corners = [polygon_vertices(domain) for domain in several]
    points = [] if radius is None else [_points_in(polygon, num_points) for polygon in corners]
    rows: list[dict[str, Any]] = []
    title = progress if isinstance(progress, str) else None
    with tqdm(total=len(each) * len(planes), unit="slice", desc=title, disable=not progress) as bar:
        for layers in each:
            for place, (plane, domain) in enumerate(zip(planes, several, strict=True)):
                found = slice_network(layers, plane, domain, activation=activation)
                row = _measured(found)
                if topology:
                    row |= _shape(found)
                if radius is not None:
                    row["local_complexity"] = _complexity(found, points[place], radius)
                rows.append(row)
                bar.update()
    sizes = {row["class_area"].shape for row in rows}
    if len(sizes) > 1:
        raise ValueError("the networks have different numbers of outputs. Study those that are alike together.")
    shape = (len(each), len(planes))
    variables = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    variables = {name: values.reshape(*shape, *values.shape[1:]) for name, values in variables.items()}
    dims = {name: (*_AXES, *_MEANINGS[name][0]) for name in variables}
    attrs = {name: dict(zip(("units", "meaning"), _MEANINGS[name][1:], strict=True)) for name in variables}
    coords = {"network": np.array(names), "plane": np.arange(len(planes))}
    settings = {
        "description": {
            "axes": {name: values.tolist() for name, values in coords.items()},
            "radius": radius,
            "num_points": num_points,
            "domains": [polygon.tolist() for polygon in corners],
        },
        "versions": versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Study(variables, dims, coords, attrs, settings, np.ones(shape, bool))


def _named(networks: Any) -> tuple[list[Any], list[Layers]]:
    """Names of networks, by default numbers, and their layers."""
    if isinstance(networks, Mapping):
        names, each = list(networks), list(networks.values())
    else:
        is_one = len(networks) > 0 and (isinstance(networks[0], Dense) or hasattr(networks[0][0], "shape"))
        each = [networks] if is_one else list(networks)
        names = list(range(len(each)))
    if not each:
        raise ValueError("at least one network is needed, but none was given.")
    return names, each


def _measured(found: Slice) -> dict[str, Any]:
    """What a slice tells by itself."""
    regions, boundary = found.regions, found.boundary
    between = np.zeros((regions.num_classes, regions.num_classes))
    is_between = boundary.classes[:, 0] != boundary.classes[:, 1]
    one, other = boundary.classes[is_between].T
    np.add.at(between, (one, other), boundary.length[is_between])
    between = between + between.T
    return {
        "num_regions": found.complex_.num_faces,
        "region_density": found.complex_.num_faces / float(found.complex_.area.sum()),
        "boundary_length": between.sum() / 2,
        "boundary_between": between,
        "class_area": regions.class_area,
        "degenerate": bool(found.complex_.degenerate),
    }


def _shape(found: Slice) -> dict[str, Any]:
    """Components, holes and boundaries."""
    counted = slice_topology(found)
    names = ("num_components", "num_holes", "num_boundaries", "num_closed_boundaries")
    return {name: getattr(counted, name) for name in names}


def _complexity(found: Slice, points: Float[np.ndarray, "points 2"], radius: float) -> float:
    assert found.complex_.layers is not None
    return float(np.mean(np.sum(distances_on_host(found.complex_.layers, points) <= radius, axis=1)))


def _points_in(corners: Float[np.ndarray, "corners 2"], num: int) -> Float[np.ndarray, "points 2"]:
    """Those points of a square grid that lie in a convex polygon, about so many, at least one."""
    x, y = corners.T
    area = 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    step, (low, high) = np.sqrt(area / num), (corners.min(axis=0), corners.max(axis=0))
    axes = [np.arange(a + step / 2, b, step) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    sides, offset = np.roll(corners, -1, axis=0) - corners, grid[:, None] - corners
    inside: Float[np.ndarray, "points 2"] = grid[
        (sides[:, 0] * offset[..., 1] - sides[:, 1] * offset[..., 0] > 0).all(axis=1)
    ]
    return inside if len(inside) else corners.mean(axis=0)[None]
