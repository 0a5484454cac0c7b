"""[host] What a study measures: functions that say by the names of their arguments what they need.

A measurement of one network is a pure function that is compiled into the program that trains: it may ask for
``params``, ``apply``, ``layers`` (those of :func:`jaxgeom.layers_of`), ``initial_params``, the data ``train`` and
``test``, the ``loss`` and every axis and setting of the study by name, and for ``widths`` (hidden,), the units of each
hidden layer: narrow networks are padded with units that are zero, which come last. A measurement of a population is a
host function of many networks at once, of which every member at every step makes one: it may ask for ``params`` and
``layers``, with a leading axis (networks), for numerical axes (networks,) and for ``widths`` (networks, hidden).

Both return an array, or a dictionary of arrays, of which each becomes a variable: ``name_key``, and ``name`` for the
empty key. What cannot be measured, such as the regions of a network that is not finite, is NaN: never a number that
could be averaged unseen.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgeom._reprs import readable
from jaxgeom._typing import Apply, Params, PyTree, RandomKey
from jaxgeom.analysis.critical import CriticalPoints
from jaxgeom.analysis.critical import critical_points as critical_points_of
from jaxgeom.analysis.estimate import estimate_regions
from jaxgeom.analysis.functional_dimension import functional_dimension as dimension_of
from jaxgeom.analysis.measures import boundary_length
from jaxgeom.analysis.surfaces import check_has_surface, decision_surface
from jaxgeom.analysis.topology import topology as topology_of
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import is_right as right_by_outputs
from jaxgeom.domains import Box, PlanarDomain
from jaxgeom.host.inputs import as_key
from jaxgeom.networks.layers import Layers
from jaxgeom.networks.models import hidden_states
from jaxgeom.regions.breakpoints import breakpoints
from jaxgeom.regions.cells import finite_member
from jaxgeom.regions.count import count_regions
from jaxgeom.regions.enumerate import enumerate_population
from jaxgeom.regions.grid.count import count_grid_regions
from jaxgeom.study.missing import or_nan
from jaxgeom.training.fit import Loss


@readable
class Measurement(NamedTuple):
    """A function to apply to every network, and what its values are."""

    function: Callable[..., Any]
    """What is measured, ``function(params, ...)``."""
    is_of_population: bool = False
    """Whether it is a host function of many networks, instead of a pure function of one."""
    dims: tuple[str, ...] = ()
    """Names of the trailing axes of its arrays, from the last one backwards where arrays have fewer."""
    units: str = "1"
    """Unit of the values."""
    meaning: str = ""
    """What the values are, in words."""
    details: dict[str, tuple[str, str]] | None = None
    """Units and meaning of entries of a dictionary, by key, where they differ; keys that it always has."""
    steps: tuple[int, ...] | None = None
    """Those of the study's ``at_steps`` at which a population is measured; None for all. Values at others are NaN."""


def pure(
    function: Callable[..., PyTree], *, dims: Sequence[str] = (), units: str = "1", meaning: str = ""
) -> Measurement:
    """Any pure function of one network, with names for the axes of its result, its units and its meaning."""
    return Measurement(function, False, tuple(dims), units, meaning or _first_line(function))


def of_population(
    function: Callable[..., PyTree], *, dims: Sequence[str] = (), units: str = "1", meaning: str = ""
) -> Measurement:
    """Any host function of many networks at once; its arrays have a leading axis (networks)."""
    return Measurement(function, True, tuple(dims), units, meaning or _first_line(function))


def loss_on(split: str = "train") -> Measurement:
    """The mean loss on the "train" or the "test" split."""

    def mean_loss(apply: Apply, params: Params, loss: Loss, data: Dataset) -> Array:
        return jnp.mean(loss(apply(params, data.x), data.y))

    return Measurement(_on(split, mean_loss, True), meaning=f"mean loss on the {split} split")


def accuracy_on(split: str = "train", is_right: Loss = right_by_outputs) -> Measurement:
    """The fraction of points that are right on the "train" or the "test" split."""

    def mean_accuracy(apply: Apply, params: Params, data: Dataset) -> Array:
        return jnp.mean(is_right(apply(params, data.x), data.y), dtype=jnp.float32)

    return Measurement(
        _on(split, mean_accuracy, False), meaning=f"fraction of points that are right on the {split} split"
    )


def all_right(split: str = "train", is_right: Loss = right_by_outputs) -> Callable[..., Array]:
    """Condition for ``until`` of :func:`jaxgeom.run_study`: all points of the "train" or "test" split are right."""

    def are_right(apply: Apply, params: Params, data: Dataset) -> Array:
        return jnp.all(is_right(apply(params, data.x), data.y))

    return _on(split, are_right, False)


def exact_regions(domain: PlanarDomain, *, kind: str = "activation", min_area: float | None = None) -> Measurement:
    """Exact numbers of linear regions by :func:`jaxgeom.count_regions`: of all members at all steps in one call.

    Variables: ``name``, ``name_degenerate`` and, with ``min_area``, ``name_large`` and ``name_smallest_area``.
    """

    def count(layers: Layers) -> dict[str, Any]:
        found = count_regions(layers, domain, kind=kind, min_area=min_area)
        is_counted = np.asarray(found.count) >= 0
        counts: dict[str, Any] = {"": found.count, "degenerate": found.degenerate}
        if min_area is not None:
            counts |= {"large": found.num_large, "smallest_area": found.smallest_area}
        return {name: or_nan(array, is_counted) for name, array in counts.items()}

    details = {"degenerate": ("1", "whether an exact zero was met, as where three lines meet in one point")}
    if min_area is not None:
        details["large"] = ("1", f"number of regions of at least {min_area} in area; NaN where not finite")
        details["smallest_area"] = ("squared units of the input", "area of the smallest region")
    meaning = f"exact number of linear regions, kind {kind!r}; NaN where not finite"
    return Measurement(count, True, meaning=meaning, details=details)


def estimated_regions(key: RandomKey, domain: Box, *, num_samples: int = 1000) -> Measurement:
    """Estimated numbers of activation regions on a box of any dimension, by :func:`jaxgeom.estimate_regions`.

    Every network is measured with the same key, so that results do not depend on what else is measured.

    Variables: ``name``, ``name_standard_error``, ``name_lower`` and ``name_upper``.
    """

    def estimate(layers: Layers) -> dict[str, np.ndarray]:
        num = len(layers[0].bias)
        found = estimate_regions(jnp.broadcast_to(as_key(key), (num,)), layers, domain, num_samples=num_samples)
        is_known = found.lower >= 0
        values = {
            "": found.estimate,
            "standard_error": found.standard_error,
            "lower": found.lower,
            "upper": found.upper,
        }
        return {name: or_nan(array, is_known) for name, array in values.items()}

    details = {
        "standard_error": ("1", "standard error of the estimate; zero where all regions were visited"),
        "lower": ("1", "certain lower bound of the number of regions"),
        "upper": ("1", "certain upper bound of the number of regions"),
    }
    meaning = "estimated number of activation regions; NaN where not finite"
    return Measurement(estimate, True, meaning=meaning, details=details)


def functional_dimension(domain: PlanarDomain | Box) -> Measurement:
    """Exact functional dimensions by :func:`jaxgeom.functional_dimension`.

    Variables: ``name``, ``name_upper`` and ``name_certain``.
    """

    def measure(layers: Layers) -> dict[str, np.ndarray]:
        found = dimension_of(layers, domain)
        values = {"": found.dimension, "upper": found.upper, "certain": found.is_certain}
        return {name: or_nan(array, found.dimension >= 0) for name, array in values.items()}

    details = {
        "upper": ("1", "certain upper bound of the functional dimension"),
        "certain": ("1", "whether the two agree, which proves the functional dimension"),
    }
    meaning = "functional dimension, the rank of the parameters' Jacobian over all regions; NaN where not finite"
    return Measurement(measure, True, meaning=meaning, details=details)


def topology(domain: PlanarDomain) -> Measurement:
    """Betti numbers of the decision regions of each class by :func:`jaxgeom.topology`, exactly.

    Variables: ``name`` (components of each class's region), ``name_holes``, ``name_cavities``, all with the axis
    "class", and ``name_boundaries``, ``name_closed_boundaries`` and ``name_degenerate``.
    """

    def measure(layers: Layers) -> dict[str, np.ndarray]:
        found = topology_of(layers, domain)
        is_counted = found.num_boundaries >= 0
        values = {
            "": found.num_components,
            "holes": found.num_holes,
            "cavities": found.num_cavities,
            "boundaries": found.num_boundaries,
            "closed_boundaries": found.num_closed_boundaries,
            "degenerate": found.degenerate,
        }
        return {name: or_nan(array, is_counted) for name, array in values.items()}

    details = {
        "holes": ("1", "holes of each class's region; NaN where not finite"),
        "cavities": ("1", "cavities of each class's region, in space; NaN where not finite"),
        "boundaries": ("1", "components of the decision boundary; NaN where not finite"),
        "closed_boundaries": ("1", "those of them that do not reach the border of the domain"),
        "degenerate": ("1", "whether an exact zero was met"),
    }
    meaning = "components of each class's region; NaN where not finite"
    return Measurement(measure, True, ("class",), meaning=meaning, details=details)


def critical_points(domain: PlanarDomain) -> Measurement:
    """Numbers of critical points by :func:`jaxgeom.critical_points`, exactly: of networks with one output.

    Variables: ``name``, with the axis "index" (minima, saddles and so on up to maxima inside of the domain, each as
    often as its multiplicity), ``name_maxima`` (also those on the border) and ``name_flat`` (sets of flat regions).
    """

    def measure(layers: Layers) -> dict[str, np.ndarray]:
        dim = layers[0].kernel.shape[-2]
        each = []
        for one in critical_points_of(layers, domain):
            assert one is None or isinstance(one, CriticalPoints)
            if one is None:
                each.append([np.nan] * (dim + 3))
            else:
                numbers = one.is_maximum.sum(), (one.flat_dimension == dim).sum()
                each.append(np.append(one.multiplicity.sum(axis=0), numbers).tolist())
        values = np.array(each, float).reshape(-1, dim + 3)
        columns = {"": values[:, : dim + 1], "maxima": values[:, dim + 1], "flat": values[:, dim + 2]}
        return {name: or_nan(np.nan_to_num(column).astype(int), ~np.isnan(column)) for name, column in columns.items()}

    details = {
        "maxima": ("1", "local maxima, also on the border of the domain; NaN where not finite"),
        "flat": ("1", "connected sets of regions on which the network is constant; NaN where not finite"),
    }
    meaning = "critical points of each index with their multiplicities; NaN where not finite"
    return Measurement(measure, True, ("index",), meaning=meaning, details=details)


def decision_surfaces(domain: Box) -> Measurement:
    """Areas and shapes of decision surfaces in space by :func:`jaxgeom.decision_surface`: of networks with one output.

    Variables: ``name`` (area), ``name_volume`` of f > 0, ``name_components``, ``name_handles`` (the genus of all closed
    components together) and ``name_watertight``; NaN where not finite.
    """

    def measure(layers: Layers) -> dict[str, np.ndarray]:
        check_has_surface(layers, domain)
        rows = []
        for index in range(len(layers[0].bias)):
            one = finite_member(layers, index)
            found = None if one is None else decision_surface(one, domain)
            rows.append(
                [np.nan] * 5
                if found is None
                else [
                    found.area,
                    found.volume,
                    found.num_components,
                    np.maximum(found.genus, 0).sum(),
                    found.is_watertight,
                ]
            )
        columns = np.array(rows, float).reshape(-1, 5).T
        return dict(zip(("", *details), columns, strict=True))

    details = {
        "volume": ("units of the input, to the power 3", "volume of the points with a positive output"),
        "components": ("1", "components of the decision surface"),
        "handles": ("1", "genus of all closed components together"),
        "watertight": ("1", "whether the decision surface does not leave the box"),
    }
    meaning = "area of the decision surface; NaN where not finite"
    return Measurement(measure, True, units="squared units of the input", meaning=meaning, details=details)


def grid_regions(points: Float[Array | np.ndarray, "points in"], *, atol: float = 1e-3) -> Measurement:
    """Distinct affine maps and activation patterns at points, by :func:`jaxgeom.count_grid_regions`.

    Variables: ``name`` (distinct maps) and ``name_patterns``.
    """

    def count(layers: Layers) -> dict[str, np.ndarray]:
        found = count_grid_regions(layers, points, atol)
        counts = {"": np.asarray(found.num_maps), "patterns": np.asarray(found.num_patterns)}
        return {name: or_nan(array, array >= 0) for name, array in counts.items()}

    meaning = f"distinct affine maps at {len(points)} points; NaN where not finite"
    details = {"patterns": ("1", f"activation patterns at {len(points)} points; NaN where not finite")}
    return Measurement(count, True, meaning=meaning, details=details)


def boundary_lengths(domain: PlanarDomain) -> Measurement:
    """The length of the boundaries between regions, and their number. Builds every complex: some ms a network.

    Variables: ``name`` (total length; NaN for networks that are not finite).
    """

    def measure(layers: Layers) -> np.ndarray:
        complexes = enumerate_population(layers, domain)
        return np.array([np.nan if c is None else sum(map(np.sum, boundary_length(c)), start=0.0) for c in complexes])

    return Measurement(measure, True, units="units of the input", meaning="length of the boundaries between regions")


def line_breakpoints(
    start: Float[Array | np.ndarray, "*lines in"],
    stop: Float[Array | np.ndarray, "*lines in"],
    *,
    kind: str = "segment",
) -> Measurement:
    """Numbers of breakpoints along segments or lines, by :func:`jaxgeom.breakpoints`."""

    def count(layers: Layers) -> np.ndarray:
        counts = np.asarray(breakpoints(layers, start, stop, kind=kind).count)
        return or_nan(counts, counts >= 0)

    return Measurement(count, True, ("line",), meaning=f"breakpoints along each {kind}; NaN where not finite")


def states_at(points: Float[Array | np.ndarray, "points in"], layer: int = -1) -> Measurement:
    """Activations of one hidden layer of an :func:`jaxgeom.mlp` at points: an embedding of them.

    Args:
        points: where to look.
        layer: which hidden layer, counted from 0, or from the last one backwards.
    """
    points = np.asarray(points, np.float32)

    def states(params: Params) -> Array:
        return hidden_states(params, points)[:-1][layer].activation

    return Measurement(states, dims=("point", "unit"), meaning=f"activations of hidden layer {layer}")


def as_measurement(measure: Measurement | Callable[..., Any]) -> Measurement:
    """A plain function is a pure function of one network."""
    if isinstance(measure, Measurement):
        return measure
    if not callable(measure):
        raise TypeError(
            "a measurement is a function of arguments such as params, or one of jaxgeom.study's, such as "
            f"exact_regions(domain), but {measure!r} was given."
        )
    return pure(measure)


def _on(split: str, function: Callable[..., Array], takes_loss: bool) -> Callable[..., Array]:
    if split not in ("train", "test"):
        raise ValueError(f"the split must be 'train' or 'test', but {split!r} was given.")

    # What a measurement asks for is read from the names of its arguments.
    if takes_loss:
        return {
            "train": lambda apply, params, loss, train: function(apply, params, loss, train),
            "test": lambda apply, params, loss, test: function(apply, params, loss, test),
        }[split]
    return {
        "train": lambda apply, params, train: function(apply, params, train),
        "test": lambda apply, params, test: function(apply, params, test),
    }[split]


def _first_line(function: Any) -> str:
    """What a function says of itself, or else its name."""
    while isinstance(function, partial):
        function = function.func
    said = (getattr(function, "__doc__", None) or "").strip().split("\n")[0]
    name = getattr(function, "__name__", type(function).__name__)
    return said or ("a function without a name or docstring" if name == "<lambda>" else f"what {name} returns")
