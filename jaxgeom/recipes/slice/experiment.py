"""[edge] What is done with networks and points that were read: planes are chosen, networks cut, and all is measured."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import SPACE
from jaxgeom.analysis.slices import Slice, slice_network
from jaxgeom.domains import Polygon
from jaxgeom.networks.layers import Layers
from jaxgeom.networks.plane_domains import box_on_plane
from jaxgeom.networks.planes import plane_along_inputs, planes_through_data
from jaxgeom.networks.slices import Plane, plane_through
from jaxgeom.study.result import Study
from jaxgeom.study.slices import slice_study

RADIUS = 0.02
"""Of local complexity, in parts of the root of the median area."""


@readable
class Slices(NamedTuple):
    """Networks on the plane that is drawn, and on many."""

    rows: Int[np.ndarray, " anchors"]
    """Points on the plane that is drawn."""
    shown: dict[str, Slice]
    """Each network on that plane."""
    study: Study
    """All networks on all planes, that one first."""


def anchor_rows(num_points: int, labels: np.ndarray | None, rows: Sequence[int] | None) -> Int[np.ndarray, " 3"]:
    """Which three points the plane goes through: those asked for, or the first ones of three classes, or the first.

    Raises:
        ValueError: for rows that are not there.
    """
    if rows is not None:
        if len(set(rows)) != SPACE or not all(0 <= row < num_points for row in rows):
            raise ValueError(
                f"three different rows from 0 to {num_points - 1} are needed, but {list(rows)} were given."
            )
        return np.array(rows)
    if labels is not None:
        first = np.unique(labels, return_index=True)[1]
        if len(first) >= SPACE:
            return np.asarray(first[:SPACE])
    if num_points < SPACE:
        raise ValueError(f"a plane goes through three points, but there are {num_points}.")
    return np.arange(SPACE)


def slices_of(
    networks: Mapping[str, Layers],
    x: Float[np.ndarray, "points in"],
    labels: Int[np.ndarray, " points"] | None = None,
    *,
    rows: Sequence[int] | None = None,
    inputs: tuple[int, int] | None = None,
    bounds: tuple[float, float] | None = None,
    num_planes: int = 1,
    radius: float | None = None,
    key: int = 0,
    progress: bool | str = False,
) -> Slices:
    """Networks on the plane through three points, or along two inputs through one, and on planes through random ones.

    Args:
        networks: by name, with as many inputs as the points.
        x: points of input space.
        labels: their classes.
        rows: the points of the first plane; of those along inputs, the first one alone.
        inputs: the two inputs along which the first plane lies, in place of three points.
        bounds: of all inputs; by default of each the least and the largest value among the points.
        num_planes: how many, the first one included; the others go through three random points each.
        radius: of local complexity.
        key: of the random points.
        progress: show a progress bar.
    """
    chosen = anchor_rows(len(x), labels, rows) if inputs is None or rows is None else np.array(rows)
    if inputs is None:
        planes: list[Plane] = [plane_through(*x[chosen])]
    else:
        chosen = chosen[:1]
        if not 0 <= chosen[0] < len(x):
            raise ValueError(f"rows go from 0 to {len(x) - 1}, but {chosen[0]} was given.")
        planes = [plane_along_inputs(x[chosen[0]], inputs)]
    if num_planes > 1:
        more = planes_through_data(jax.random.key(key), x, num_planes=num_planes - 1)
        planes += more.planes
    low, high = (x.min(axis=0), x.max(axis=0)) if bounds is None else bounds
    domains: list[Polygon] = [box_on_plane(plane, low, high) for plane in planes]
    if radius is None:
        radius = RADIUS * float(np.sqrt(np.median([_area(domain) for domain in domains])))
    shown = {name: slice_network(layers, planes[0], domains[0]) for name, layers in networks.items()}
    study = slice_study(networks, planes, domains, radius=radius, progress=progress)
    return Slices(chosen, shown, study)


def statistics(found: Slices) -> list[dict[str, Any]]:
    """One row a network: its numbers on the first plane, and their means over all."""
    rows = []
    for place, name in enumerate(found.shown):
        numbers = {
            key: found.study.variables[key][place]
            for key in ("num_regions", "region_density", "boundary_length", "num_boundaries", "local_complexity")
        }
        parts, holes = (found.study.variables[key][place].sum(axis=-1) for key in ("num_components", "num_holes"))
        numbers |= {"num_components": parts, "num_holes": holes}
        shares = found.study.variables["class_area"][place, 0]
        row: dict[str, Any] = {
            key: {"first": values[0], "mean": values.mean(), "min": values.min(), "max": values.max()}
            for key, values in numbers.items()
        }
        rows.append({"network": name, **row, "class_shares": shares / shares.sum()})
    return rows


def _area(domain: Polygon) -> float:
    x, y = domain.vertices.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
