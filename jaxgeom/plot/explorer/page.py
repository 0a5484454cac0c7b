"""[edge] Networks as one page: :func:`explore` writes weights, exact regions and data into a file that shows them."""

import html
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, PLANE, SPACE
from jaxgeom.domains import Box, box, checked_box
from jaxgeom.host.files import whole_file
from jaxgeom.host.given import check_numbers, check_positive
from jaxgeom.host.inputs import as_array
from jaxgeom.host.names import check_name
from jaxgeom.plot.explorer.exact import polygons, with_counts
from jaxgeom.plot.explorer.gather import Gathered, gather, thinned, with_curves
from jaxgeom.plot.explorer.inputs import num_coordinates
from jaxgeom.plot.explorer.pack import num_packed, pack

SOURCES = files("jaxgeom.plot.explorer") / "browser"
"""Where the page's JavaScript, style and frame are."""
MOST_CLASSES = 10
"""Different targets that are taken for classes, of networks with several outputs."""
MARGIN = 0.15
"""Of the data, on each side of them."""
MEGABYTE = 1e6

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.mjs";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:function|const) (\w+)", re.MULTILINE)


@readable
class Explorer(NamedTuple):
    """A page that :func:`explore` wrote; notebooks show it."""

    path: Path
    """Where it is."""
    num_bytes: int
    """Its size."""
    num_networks: int
    """Networks in it."""
    num_frames: int
    """Frames of each."""
    num_exact: int
    """Frames whose regions are the engine's; the page cuts all others itself."""

    def _repr_html_(self) -> str:
        page = html.escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe style="border: 0; width: 100%; height: 50em" srcdoc="{page}"></iframe>'

    def _mime_(self) -> tuple[str, str]:
        """What marimo shows, which takes tuples for data."""
        return "text/html", self._repr_html_()


def explore(
    networks: Any,
    path: str | os.PathLike[str],
    *,
    data: Any = None,
    test: Any = None,
    domain: Box | None = None,
    features: Sequence[str] | None = None,
    axes: Mapping[str, Sequence[Any]] | None = None,
    axis: str = "setting",
    curves: Mapping[str, tuple[Any, Any]] | None = None,
    title: str | None = None,
    link: str = "",
    max_frames: int = 60,
    max_megabytes: float = 5.0,
) -> Explorer:
    """One page with networks to explore: a file that needs no server and loads nothing.

    The page holds the weights of all networks at all frames, and the exact regions of as many of them as fit, as the
    engine finds them. It evaluates the networks and cuts the plane itself everywhere else, between frames too. Sliders
    for the step and every axis; regions with their codes, maps and areas; units and their bent hyperplanes; hidden
    layers, which can be turned, and the way from one to the next; the output as a sheet in space; curves with the
    population's bands; of two settings or more, a table of them; two networks side by side. Weights can be edited, and
    the page trains networks itself: on its data or on six problems, with up to 64 seeds at once.

    Smooth networks have no regions: of these the page shows outputs, decision boundary and the lines on which units
    switch. Of networks with one input it shows the graph and the units' thresholds, with three inputs the decision
    surface in a box that can be turned.

    Inputs of networks may also be features of the plane, or of a line or a box: coordinates, squares, products and
    sines, as :func:`jaxgeom.datasets.features_of` computes them. Named by ``features``, they are the first column of
    the diagram, each with its picture, and a stage on the way through the network; points and domain are those of the
    plane. Regions of such networks are no polygons there, unless all features are coordinates: the page shows neither
    them nor their numbers, but what it shows of smooth networks.

    Args:
        networks: runs of :func:`jaxgeom.fit` or :func:`jaxgeom.fit_population`, best with snapshots; a
            :class:`jaxgeom.Study` that measured ``study.parameters()``; layers of one network or more; or a
            dictionary of these by the values of one more setting, such as ``{8: runs_of_width_8, 32: …}``. Networks
            have one, two or three inputs, or ``features``. Of those with smooth activations, runs, studies or the
            parameters of :func:`jaxgeom.mlp`.
        path: the file to write, ``.html``; folders that are missing are made, as everywhere in jaxgeom.
        data: points and labels or targets that are drawn, a :class:`jaxgeom.Dataset` or a pair; or points alone, which
            get the colours of where they are in the input. Up to ten different targets are labels, or up to two if the
            networks have one output.
        test: points and labels or targets that the networks were not trained on, like ``data``; a button shows them as
            rings, and the page says how many of them are right, or their error.
        domain: the box that is shown; default is the data's, or [-1, 1] in each direction.
        features: names of what the networks have as inputs, in their order, such as
            ``("x1", "x2", "x1^2", "x1*x2", "sin(x1)")``; default are the coordinates.
        axes: for layers, names and values of their leading axes, such as ``{"seed": range(8), "step": steps}``.
        axis: what the values of a dictionary are.
        curves: more numbers to draw against the step, such as ``{"loss": (steps, losses)}`` of layers from a training
            loop of one's own: steps (records,), and numbers with the leading axes of the networks but for the step,
            then (records,).
        title: heading of the page; default says what is shown, such as ``"Linear regions while they train"``.
        link: what the page shows first, as the text behind the # in one of its links, such as ``"wide=1&step=100"``.
            Its words, joined by &: ``step=``; the name of an axis with one of its values, ``seed=3``, and with ``b.``
            before it, ``b.seed=5``, the network beside; ``color=`` output, sides or regions; ``unit=2.5``, layer and
            unit counted from 1; ``through=``, the stage on the way through the network, from 0; ``wide=1`` for large
            hidden layers; ``sheet=1`` for the sheet in space; ``edges=0``, ``boundary=0`` and ``data=0`` to hide
            them, ``test=1`` to show the test data; ``map=ROWS~COLUMNS~CURVE``, two axes and a curve, for the table;
            ``theme=`` light or dark. Others, with ``t.`` before them, are the choices of training in the page.
        max_frames: frames of each network at most; of more, some evenly spaced ones are taken.
        max_megabytes: how large the file may become. Weights have to fit; polygons are added network by network.

    Raises:
        TypeError: for anything that holds no networks, a domain that is no box, or features that are no names.
        ValueError: for another ending, words that no link has, networks with more than three inputs or with others than
            the features, names of no features, data of other shapes, or weights that take more than ``max_megabytes``,
            with sizes that do: :func:`jaxgeom.study.select` takes some networks of a study.

    Example:
        >>> import jax, optax, tempfile, jaxgeom as jg
        >>> model, loss = jg.mlp((2, 8, 1), activation="relu"), jg.losses.squared_error
        >>> def run(key):
        ...     return jg.fit(key, model, optax.adam(0.05), loss, jg.parity(2), num_epochs=50, snapshot_every=5)
        >>> runs = jg.fit_population(jax.random.split(jax.random.key(0), 4), run)
        >>> page = jg.explore(runs, tempfile.mkdtemp() + "/xor.html", data=jg.parity(2))
        >>> page.num_networks, page.num_frames, page.num_exact
        (4, 11, 44)
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"the explorer is a page, .html, but {path.name!r} was given.")
    check_positive("max_frames", max_frames)
    check_numbers(max_megabytes=max_megabytes)
    if not max_megabytes > 0:
        raise ValueError(f"max_megabytes must be positive, but {max_megabytes} was given.")
    found = with_curves(thinned(gather(networks, axes, axis), max_frames), curves or {})
    if not found.groups:
        raise ValueError("none of the networks is finite. Check the field `diverged` of the training result.")
    dim = num_coordinates(found, features, data, domain)
    is_one = all(group.layers[-1].bias.shape[-1] == 1 for group in found.groups)
    for name, text in (("title", title), ("link", link)):
        if not isinstance(text, str) and (name, text) != ("title", None):
            raise TypeError(f"{name} must be text, but {text!r} was given.")
    _check_link(link, found)
    points, about_data = _with_test(*_points(data, dim, is_one), data, test, dim, is_one)
    domain = _domain(domain, points.get("data/x"), dim)
    found = with_counts(found, domain) if features is None else found
    arrays = _weights(found) | points
    code = joined_code()
    left = max_megabytes * MEGABYTE - num_packed(arrays) - len(code) - len(_source("style.css"))
    if left < 0:
        needed = max_megabytes - left / MEGABYTE
        frames = _frames_that_fit(found, left)
        raise ValueError(
            f"{found.num_networks} networks at {len(found.steps)} frames take {needed:.1f} MB, but {max_megabytes} MB "
            f"are allowed. Give max_megabytes={math.ceil(needed)}, {f'max_frames={frames}, ' if frames else ''}or "
            f"fewer networks ({_fewer(networks, found)})."
        )
    start = _first_shown(found)
    exact = polygons(found, domain, start, left) if features is None else {}
    arrays |= {f"exact/{name}": array for name, array in exact.items()}
    about = {
        "title": title if title is not None else _title(found, dim, features, points | about_data, is_one),
        "axes": [{"name": name, "values": _plain(values)} for name, values in found.axes.items()],
        "steps": found.steps.tolist(),
        "curves": list(found.curves),
        "inputs": dim,
        "features": None if features is None else list(features),
        "groups": [[found.dim, *(layer.bias.shape[-1] for layer in group.layers)] for group in found.groups],
        "activations": [group.activations for group in found.groups],
        "domain": [*domain.low.tolist(), *domain.high.tolist()],
        "start": start,
        "link": link.removeprefix("#"),
        **about_data,
    }
    with whole_file(path) as temporary:
        temporary.write_text(_filled(about, arrays, code), encoding="utf-8")
    num_exact = len(exact["entries"]) - 1 if exact else 0
    return Explorer(path, path.stat().st_size, found.num_networks, len(found.steps), num_exact)


def _title(found: Gathered, dim: int, features: Sequence[str] | None, points: Mapping[str, Any], is_one: bool) -> str:
    """What a page shows: exact regions, or what there is to see of networks that have none."""
    is_cut = features is None and all(group.activations is None for group in found.groups)
    if dim == PLANE and is_cut:
        what = "Linear regions"
    elif dim not in (PLANE, SPACE):
        what = "Networks and their graphs"
    elif "data/x" in points and "data/y" not in points and not is_one:
        what = "Points in every layer"
    elif points.get("classes", ()) is None:
        what = "Outputs" if dim == PLANE else "Surfaces where outputs are zero"
    else:
        what = "Decision boundaries" if dim == PLANE else "Decision surfaces"
    return f"{what} while they train" if len(found.steps) > 1 else what


def _weights(found: Gathered) -> dict[str, np.ndarray]:
    arrays = {}
    for place, group in enumerate(found.groups):
        arrays[f"{place}/members"] = group.members.astype(np.int32)
        for number, layer in enumerate(group.layers):
            arrays[f"{place}/kernel/{number}"] = np.asarray(layer.kernel)
            arrays[f"{place}/bias/{number}"] = np.asarray(layer.bias)
            if layer.slope is not None:
                arrays[f"{place}/slope/{number}"] = np.asarray(layer.slope, np.float32)
    for number, curve in enumerate(found.curves.values()):
        arrays[f"curve/{number}/steps"] = curve.steps.astype(np.float32)
        arrays[f"curve/{number}/values"] = curve.values.astype(np.float32)
    return arrays


def _points(data: Any, dim: int, is_one: bool) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Points and what they are coloured by: numbers of classes, the target itself, or, of points alone, nothing.

    Networks of one output decide between two classes at most: few different targets are numbers to them.
    """
    if data is None:
        return {}, {}
    if not isinstance(data, tuple | list):
        x = np.asarray(as_array("data", data))
        if x.ndim != MATRIX or x.shape[1] != dim:
            raise ValueError(f"points have the shape (points, {dim}), but {x.shape} was given.")
        return {"x": x[np.isfinite(x).all(axis=1)].astype(np.float32)}, {}
    x, y = (np.asarray(part) for part in data)
    as_array("data.x", x)
    y = y.reshape(len(y), -1) if y.ndim else y
    if x.ndim != MATRIX or x.shape[1] != dim or y.ndim != MATRIX or len(x) != len(y):
        raise ValueError(
            f"data are points (points, {dim}) and one target each, but shapes {x.shape} and {y.shape} were given."
        )
    is_there = np.isfinite(x).all(axis=1)
    x, y = x[is_there].astype(np.float32), y[is_there]
    classes = np.unique(y) if y.shape[1] == 1 else np.arange(y.shape[1])
    if y.shape[1] > 1:
        color = y.argmax(axis=1)
    elif len(classes) <= (2 if is_one else MOST_CLASSES):
        color = np.searchsorted(classes, y[:, 0])
    else:
        return {"x": x, "y": y[:, 0].astype(np.float32)}, {"classes": None}
    return {"x": x, "y": color.astype(np.float32)}, {"classes": _plain(classes.tolist())}


def _with_test(
    points: dict[str, np.ndarray], about: dict[str, Any], data: Any, test: Any, dim: int, is_one: bool
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The same with points that were not trained on, and the classes of all."""
    if test is None:
        return {f"data/{name}": array for name, array in points.items()}, about
    if "y" not in points:
        raise ValueError("test data are shown beside training data with targets, but data has none. Give data=(x, y).")
    parts = [
        [np.asarray(part) for part in (each if isinstance(each, tuple | list) else (each,))] for each in (data, test)
    ]
    if len(parts[1]) != len(parts[0]) or parts[1][1].shape[1:] != parts[0][1].shape[1:]:
        raise ValueError(
            f"test data have targets as those of data, {parts[0][1].shape[1:]} for each point, but "
            f"{[part.shape for part in parts[1]]} was given."
        )
    as_array("test.x", parts[1][0])
    num = len(points["x"])
    both, about = _points(tuple(np.concatenate(each) for each in zip(*parts, strict=True)), dim, is_one)
    split = {
        f"{name}/{part}": array[rows]
        for part, array in both.items()
        for name, rows in (("data", slice(num)), ("test", slice(num, None)))
    }
    return split, about


def _domain(domain: Box | None, x: np.ndarray | None, dim: int) -> Box:
    """The box that is shown: a cube around the data, unless it is given."""
    if domain is not None:
        domain = checked_box(domain)
        if len(domain.low) != dim:
            raise ValueError(
                f"the networks have {dim} inputs, but a box in {len(domain.low)} dimensions was given as the domain."
            )
        return domain
    if x is None or not len(x):
        return box(-1, 1, dim=dim)
    if dim == 1:
        return box(x.min(axis=0).astype(float), x.max(axis=0).astype(float))
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    half = (0.5 + MARGIN) * ((high - low).max() or 2.0)
    center = (low + high) / 2
    return box(center - half, center + half)


LINK_WORDS = ("step", "color", "sheet", "unit", "through", "wide", "map", "theme", "edges", "boundary", "data", "test")
"""Words of a page's link besides its axes; those of training in the page begin with ``t.``, and with ``b.`` the axes of
a second network."""


def _check_link(link: str, found: Gathered) -> None:
    """Raise a ValueError for words that no link of the page has: it would not say that it leaves them out."""
    words = [*found.axes, *LINK_WORDS]
    for word, _ in parse_qsl(link.removeprefix("#"), keep_blank_values=True):
        if not word.startswith("t.") and word.removeprefix("b.") not in found.axes:
            remedy = "Axes of a second network begin with b., and what is trained in the page with t.; Link copies all."
            check_name("a word of link", word, words, remedy)


def _frames_that_fit(found: Gathered, left: float) -> int | None:
    """How many frames of these networks fit, if ``left`` characters are too many by so much; None for less than two."""
    every = num_packed(_weights(found))
    room = every + left
    frames = int(len(found.steps) * room / every)
    while frames > 1 and num_packed(_weights(thinned(found, frames))) > room:
        frames -= 1
    return frames if frames > 1 else None


def _fewer(networks: Any, found: Gathered) -> str:
    """How to take some of the networks, as it would be typed."""
    if not all(hasattr(networks, name) for name in ("variables", "dims", "coords")):
        return "of arrays with a leading axis: jax.tree.map(lambda array: array[:2], networks)"
    name = max(found.axes, key=lambda name: (len(found.axes[name]), name == "seed"))
    some = max(1, min(2, len(found.axes[name]) // 2))
    return f"jaxgeom.study.select(study, {name}={_plain(found.axes[name][:some])!r})"


def _first_shown(found: Gathered) -> int:
    """The network whose loss is the median of the last value of all axes but one; without losses, the first."""
    members = np.sort(np.concatenate([group.members for group in found.groups]))
    size = len(list(found.axes.values())[-1]) if found.axes else 1
    last = members[members // size == members[-1] // size]
    if "loss" not in found.curves:
        return int(last[0])
    loss = found.curves["loss"].values[last, -1]
    return int(last[np.argsort(loss)[(np.isfinite(loss).sum() - 1) // 2]])


def _plain(values: Sequence[Any]) -> list[Any]:
    """What JSON can hold: numbers and texts."""
    items = [value.item() if isinstance(value, np.generic) else value for value in values]
    return [item if isinstance(item, int | float | str) else str(item) for item in items]


def joined_code() -> str:
    """The modules of the page in one text, each in a scope of its own and after those that it imports."""
    texts: dict[str, str] = {}

    def add(name: str) -> str:
        source = _source(f"{name}.mjs")
        for _, imported in _IMPORT.findall(source):
            if imported not in texts:
                texts[imported] = _in_a_scope(imported, add(imported))
        return _IMPORT.sub(r"const {\1} = \2_module;", source)

    main = add("main")
    return "\n".join([*texts.values(), main])


def _in_a_scope(name: str, source: str) -> str:
    exported = ", ".join(_EXPORT.findall(source))
    body = re.sub("^export ", "", source, flags=re.MULTILINE)
    return f"// {name}.mjs\nconst {name}_module = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"


def _source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")


def _filled(about: dict[str, Any], arrays: Mapping[str, np.ndarray], code: str) -> str:
    table, content = pack(arrays)
    values = {
        "TITLE": html.escape(str(about["title"])),
        "STYLE": _source("style.css"),
        "ABOUT": json.dumps(about | {"arrays": table}).replace("<", "\\u003c"),
        "BYTES": content,
        "CODE": code,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _source("frame.html"))
