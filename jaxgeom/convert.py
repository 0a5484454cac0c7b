"""[edge] Complexes and slices for other libraries: shapely, a networkx graph of neighbours, meshes, GeoJSON, SVG.

shapely, networkx and trimesh are optional: ``pip install "jaxgeom[interop]"``. SVG is written here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxgeom.analysis.measures import edge_lengths
from jaxgeom.analysis.slices import Slice
from jaxgeom.analysis.surfaces import DecisionSurface
from jaxgeom.host.files import whole_file
from jaxgeom.host.packages import optional
from jaxgeom.regions.boundary import check_bounded
from jaxgeom.regions.colors import LAYER_COLORS, class_colors, face_colors, lighter
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, check_is_planar
from jaxgeom.regions.decision_regions import DecisionRegions


def to_shapely(complex_: PlanarComplex) -> list[Any]:
    """The faces as polygons of shapely, in their order, counter-clockwise.

    Raises:
        ImportError: without shapely 2.
        ValueError: if the complex covers the whole plane.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> [round(polygon.area, 6) for polygon in jg.convert.to_shapely(complex_)]
        [1.0, 1.0, 1.0, 1.0]
    """
    shapely = optional("shapely", "interop")
    check_bounded(complex_, "a list of polygons")
    face = np.repeat(np.arange(complex_.num_faces), np.diff(complex_.face_offsets))
    rings = shapely.linearrings(complex_.vertices[complex_.face_vertices], indices=face)
    return list(shapely.polygons(rings))


def classes_to_shapely(regions: DecisionRegions) -> list[Any]:
    """The region of each class as one polygon or multipolygon of shapely, with holes where it has any; empty for
    classes that win nowhere.

    Raises:
        ImportError: without shapely 2.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> regions = jg.decision_regions(jg.enumerate_regions(network, jg.box(-1, 1)))
        >>> [(shape.geom_type, round(shape.area, 6)) for shape in jg.convert.classes_to_shapely(regions)]
        [('Polygon', 3.5), ('Polygon', 0.5)]
    """
    shapely = optional("shapely", "interop")
    polygon = np.repeat(np.arange(len(regions.label)), np.diff(regions.polygon_offsets))
    rings = shapely.linearrings(regions.vertices[regions.polygon_vertices], indices=polygon)
    polygons = shapely.polygons(rings)
    return [_united(shapely, polygons[regions.label == label]) for label in range(regions.num_classes)]


def _united(shapely: Any, polygons: np.ndarray) -> Any:
    """The union of polygons that share whole sides; where slivers have sides in common with themselves, in general."""
    if not len(polygons):
        return shapely.MultiPolygon()
    try:
        found = shapely.coverage_union_all(polygons)
        if found.is_valid:
            return found
    except shapely.errors.GEOSException:
        pass
    return shapely.union_all(polygons)


def to_geojson(slice_: Slice, path: str | Path | None = None, *, decimals: int | None = None) -> str:
    """A slice as GeoJSON: a collection of features in coordinates of the plane.

    Features have a property ``kind``: "class" (polygons with ``label`` and ``area``), "boundary" (lines between two
    ``labels``, with ``length``) or "region" (linear regions with ``label``, None where several win, and ``area``).

    Args:
        slice_: as :func:`jaxgeom.slice_network` gives it.
        path: where to write it, too; by default nowhere.
        decimals: digits behind the point; by default all that tell numbers apart.

    Raises:
        ImportError: without shapely 2.

    Example:
        >>> import json, jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((2, 8, 3), activation="relu").init(jax.random.key(0)))
        >>> found = jg.slice_network(network, jg.plane_along_inputs([0.0, 0.0]), jg.box(-1, 1))
        >>> features = json.loads(jg.convert.to_geojson(found))["features"]
        >>> round(sum(each["properties"]["area"] for each in features if each["properties"]["kind"] == "class"), 9)
        4.0
    """
    shapely, regions, complex_ = optional("shapely", "interop"), slice_.regions, slice_.complex_

    def feature(kind: str, shape: Any, **properties: Any) -> dict[str, Any]:
        shape = _oriented(shapely, shape)
        geometry = json.loads(shapely.to_geojson(shape))
        if decimals is not None:
            geometry["coordinates"] = _rounded(geometry["coordinates"], decimals)
        return {"type": "Feature", "properties": {"kind": kind, **properties}, "geometry": geometry}

    features = [
        feature("class", shape, label=label, area=float(regions.class_area[label]))
        for label, shape in enumerate(classes_to_shapely(regions))
        if not shape.is_empty
    ]
    pairs = np.sort(slice_.boundary.classes, axis=1)
    for one, other in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist():
        own = (pairs == [one, other]).all(axis=1)
        lines = shapely.MultiLineString(list(slice_.boundary.segments[own]))
        features.append(
            feature("boundary", lines, labels=[one, other], length=float(slice_.boundary.length[own].sum()))
        )
    lowest, highest = np.full(complex_.num_faces, regions.num_classes), np.full(complex_.num_faces, -1)
    np.minimum.at(lowest, regions.face, regions.label)
    np.maximum.at(highest, regions.face, regions.label)
    for face, shape in enumerate(to_shapely(complex_)):
        label = int(lowest[face]) if lowest[face] == highest[face] else None
        features.append(feature("region", shape, label=label, area=float(complex_.area[face])))
    text = json.dumps({"type": "FeatureCollection", "features": features}) + "\n"
    if path is not None:
        with whole_file(Path(path)) as temporary:
            temporary.write_text(text)
    return text


def _oriented(shapely: Any, shape: Any) -> Any:
    """The shape with outer rings counter-clockwise and inner ones clockwise, as GeoJSON has them."""
    if shape.geom_type == "Polygon":
        return shapely.geometry.polygon.orient(shape)
    if shape.geom_type == "MultiPolygon":
        return shapely.MultiPolygon([shapely.geometry.polygon.orient(part) for part in shape.geoms])
    return shape


def _rounded(coordinates: Any, decimals: int) -> Any:
    return (
        [_rounded(item, decimals) for item in coordinates]
        if isinstance(coordinates, list)
        else round(coordinates, decimals)
    )


def to_networkx(complex_: PlanarComplex) -> Any:
    """The dual graph as a ``networkx.Graph``: regions, joined where they share an edge.

    Nodes are numbers of faces, with ``area``, ``centroid`` (x, y) and ``pattern`` (a string of 0 and 1, one for each
    hidden unit); edges have the ``length`` of the common boundary and the ``layer`` and ``unit`` that made it.

    Raises:
        ImportError: without networkx.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> graph = jg.convert.to_networkx(complex_)
        >>> graph.number_of_nodes(), graph.number_of_edges()
        (4, 4)
    """
    check_is_planar(complex_, "a graph of neighbours")
    graph = optional("networkx", "interop").Graph()
    digits = np.where(complex_.patterns, "1", "0")
    graph.add_nodes_from(
        (face, {"area": area, "centroid": (x, y), "pattern": "".join(pattern)})
        for face, (area, (x, y), pattern) in enumerate(
            zip(complex_.area.tolist(), complex_.centroid.tolist(), digits.tolist(), strict=True)
        )
    )
    inner = (complex_.edge_faces != OUTSIDE).all(axis=1)
    pairs = np.sort(complex_.edge_faces[inner], axis=1)
    # a boundary of two faces may have a vertex in its middle
    pairs, first, number = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    length = np.bincount(number.ravel(), edge_lengths(complex_)[inner], minlength=len(pairs))
    layer, unit = complex_.edge_layer[inner][first], complex_.edge_unit[inner][first]
    graph.add_edges_from(
        (one, other, {"length": long, "layer": by, "unit": which})
        for (one, other), long, by, which in zip(
            pairs.tolist(), length.tolist(), layer.tolist(), unit.tolist(), strict=True
        )
    )
    return graph


def to_trimesh(surface: DecisionSurface) -> Any:
    """A decision surface as a ``trimesh.Trimesh`` with the same vertices and triangles.

    Raises:
        ImportError: without trimesh.
    """
    return optional("trimesh", "interop").Trimesh(surface.vertices, surface.triangles, process=False)


def save_surface(surface: DecisionSurface, path: str | Path) -> None:
    """Write a decision surface as OBJ, PLY, STL or GLB, by the ending of its name: whole, or not at all.

    Raises:
        ImportError: without trimesh.
        ValueError: for another ending, and a surface without triangles.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in MESHES:
        raise ValueError(f"surfaces are written as {', '.join(MESHES)}, but {path.name!r} was given.")
    if not len(surface.triangles):
        raise ValueError("this surface has no triangles: the network does not change its sign in the box.")
    data = to_trimesh(surface).export(file_type=kind)
    with whole_file(path) as part:
        part.write_bytes(data if isinstance(data, bytes) else data.encode())


MESHES = ("obj", "ply", "stl", "glb")


def to_svg(
    complex_: PlanarComplex,
    path: str | Path | None = None,
    *,
    colors: str | Float[np.ndarray, "faces rgb"] = "random",
    size: float = 600.0,
) -> str:
    """The complex as an SVG picture: one path a face, and over them one for the edges of each layer.

    Args:
        complex_: regions on a bounded domain.
        path: where to write it, too; by default nowhere.
        colors: "random" (neighbours differ), "none" (edges only), or an array (faces, 3) from 0 to 1.
        size: of the longer side, in pixels.

    Raises:
        ValueError: if the complex covers the whole plane, or for other colours.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> jg.convert.to_svg(complex_).count('<path color="')
        4
    """
    check_bounded(complex_, "a picture")
    low, high = complex_.vertices.min(axis=0), complex_.vertices.max(axis=0)
    scale = size / (high - low).max()
    width, height = scale * (high - low)
    places = (complex_.vertices - [low[0], high[1]]) * [scale, -scale] + 0.0  # without negative zeros
    names = [f"{x:.6g} {y:.6g}" for x, y in places.tolist()]
    margin = size / 300
    box = f"{-margin:g} {-margin:g} {width + 2 * margin:g} {height + 2 * margin:g}"
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width:g}" height="{height:g}">']
    if not (isinstance(colors, str) and colors == "none"):
        # faces are outlined in their own colour, so that nothing shines through between them
        lines.append('<g fill="currentColor" stroke="currentColor" stroke-width="0.5">')
        cycles = np.split(complex_.face_vertices, complex_.face_offsets[1:-1])
        for cycle, color in zip(cycles, _hexadecimal(complex_, colors), strict=True):
            lines.append(f'<path color="{color}" d="M{"L".join(names[vertex] for vertex in cycle.tolist())}Z"/>')
        lines.append("</g>")
    lines.append('<g fill="none" stroke-width="1" stroke-linecap="round">')
    for layer in np.unique(complex_.edge_layer)[::-1].tolist():
        color = "#000000" if layer < 0 else LAYER_COLORS[layer % len(LAYER_COLORS)]
        ends = complex_.edges[complex_.edge_layer == layer].tolist()
        steps = "".join(f"M{names[start]}L{names[stop]}" for start, stop in ends)
        name = "boundary" if layer < 0 else f"layer{layer}"
        lines.append(f'<path class="{name}" stroke="{color}" d="{steps}"/>')
    text = "\n".join([*lines, "</g>", "</svg>\n"])
    if path is not None:
        with whole_file(Path(path)) as temporary:
            temporary.write_text(text)
    return text


def slice_to_svg(slice_: Slice, path: str | Path | None = None, *, size: float = 600.0) -> str:
    """A slice as an SVG picture: one path for each class (``class="class0"``), one for the edges of linear regions,
    and one for the boundary between each pair of classes (``class="boundary0-1"``).

    Args:
        slice_: as :func:`jaxgeom.slice_network` gives it.
        path: where to write it, too; by default nowhere.
        size: of the longer side, in pixels.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((2, 8, 3), activation="relu").init(jax.random.key(0)))
        >>> found = jg.slice_network(network, jg.plane_along_inputs([0.0, 0.0]), jg.box(-1, 1))
        >>> jg.convert.slice_to_svg(found).count('<path class="boundary') == len(jg.plot.plot_slice(found).boundary)
        True
    """
    regions, complex_ = slice_.regions, slice_.complex_
    low, high = slice_.domain.min(axis=0), slice_.domain.max(axis=0)
    scale = size / (high - low).max()
    width, height = scale * (high - low)

    def named(points: np.ndarray) -> list[str]:
        return [f"{x:.6g} {y:.6g}" for x, y in ((points - [low[0], high[1]]) * [scale, -scale] + 0.0).tolist()]

    def lines_of(segments: np.ndarray) -> str:
        ends = named(segments.reshape(-1, 2))
        return "".join(f"M{start}L{stop}" for start, stop in zip(ends[::2], ends[1::2], strict=True))

    margin = size / 300
    box = f"{-margin:g} {-margin:g} {width + 2 * margin:g} {height + 2 * margin:g}"
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width:g}" height="{height:g}">']
    names = named(regions.vertices)
    cycles = np.split(regions.polygon_vertices, regions.polygon_offsets[1:-1])
    for label, color in enumerate(lighter(class_colors(regions.num_classes))):
        own = [cycles[index].tolist() for index in np.flatnonzero(regions.label == label)]
        steps = "".join("M" + "L".join(names[vertex] for vertex in cycle) + "Z" for cycle in own)
        shade = "#{:02x}{:02x}{:02x}".format(*np.rint(255 * color).astype(int))
        if own:
            lines.append(f'<path class="class{label}" fill="{shade}" stroke="{shade}" stroke-width="0.5" d="{steps}"/>')
    edges = lines_of(complex_.vertices[complex_.edges[complex_.edge_layer >= 0]])
    lines.append('<g fill="none" stroke-linecap="round">')
    lines.append(f'<path class="edges" stroke="#404040" stroke-opacity="0.55" stroke-width="0.5" d="{edges}"/>')
    pairs = np.sort(slice_.boundary.classes, axis=1)
    for one, other in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist():
        steps = lines_of(slice_.boundary.segments[(pairs == [one, other]).all(axis=1)])
        lines.append(f'<path class="boundary{one}-{other}" stroke="#0d0d0d" stroke-width="2.5" d="{steps}"/>')
    border = "L".join(named(slice_.domain))
    lines.append(f'<path class="domain" stroke="#262626" stroke-width="1" d="M{border}Z"/>')
    text = "\n".join([*lines, "</g>", "</svg>\n"])
    if path is not None:
        with whole_file(Path(path)) as temporary:
            temporary.write_text(text)
    return text


def _hexadecimal(complex_: PlanarComplex, colors: str | Float[np.ndarray, "faces rgb"]) -> list[str]:
    values = face_colors(complex_) if isinstance(colors, str) and colors == "random" else np.asarray(colors)
    is_number = np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)
    if not is_number or values.shape != (complex_.num_faces, 3) or not ((values >= 0) & (values <= 1)).all():
        given = repr(colors) if isinstance(colors, str) else f"an array {values.shape}"
        raise ValueError(
            f'colors must be "random", "none" or an array ({complex_.num_faces}, 3) from 0 to 1, but {given} was given.'
        )
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.rint(255 * values).astype(int).tolist()]
