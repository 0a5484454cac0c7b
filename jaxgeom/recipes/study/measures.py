"""[edge] Measurements in files that describe studies: ``[measure.NAME]``."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom._typing import PAIR
from jaxgeom.data import losses
from jaxgeom.domains import box, grid_points, polygon, whole_plane
from jaxgeom.host.names import did_you_mean
from jaxgeom.recipes.study.own import is_own, own_function, with_own_settings
from jaxgeom.recipes.study.values import check_keys, check_setting, is_integer, is_list, is_real, named, shown
from jaxgeom.study import measurements
from jaxgeom.study.demand import check_data
from jaxgeom.study.networks import parameters

ACCURACIES = ("is_right", "class_is_right", "side_is_right", "probability_is_right")


OF_OWN = ("function", "of_population", "dims", "units", "meaning")
"""Keys of a measurement of one's own, beside its settings."""


def measurement(name: str, table: Any, folder: Path) -> measurements.Measurement:
    """The measurement that a table ``[measure.NAME]`` describes."""
    where = f"[measure.{name}]"
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table with `what` to measure, but {shown(table)} was given.")
    if "function" in table:
        return _own(where, table, folder)
    kinds: dict[str, Callable[..., measurements.Measurement]] = {
        "loss": measurements.loss_on,
        "accuracy": measurements.accuracy_on,
        "exact_regions": measurements.exact_regions,
        "grid_regions": _grid_regions,
        "boundary_lengths": measurements.boundary_lengths,
        "line_breakpoints": measurements.line_breakpoints,
        "topology": measurements.topology,
        "critical_points": measurements.critical_points,
        "decision_surfaces": measurements.decision_surfaces,
        "functional_dimension": measurements.functional_dimension,
        "states": measurements.states_at,
        "parameters": parameters,
    }
    if not isinstance(table.get("what"), str) or table["what"] not in kinds:
        given = f"{shown(table['what'])} was given" if "what" in table else "it is missing"
        near = did_you_mean(table.get("what"), kinds)
        raise ValueError(
            f"`what` in {where} must be one of {', '.join(kinds)}, but {given}; or give a `function`.{near}"
        )
    function = kinds[table["what"]]
    settings = {key: value for key, value in table.items() if key != "what"}
    arguments = inspect.signature(function).parameters
    needed = [n for n, p in arguments.items() if p.default is inspect.Parameter.empty]
    check_keys(where, settings, tuple(arguments), needed=needed)
    for key, value in settings.items():
        if key not in ("domain", "is_right"):
            check_setting(f"{key} in {where}", value, arguments[key])
    settings |= {key: np.array(value, float) for key, value in settings.items() if key in ("start", "stop", "points")}
    if "domain" in settings:
        settings["domain"] = _domain(where, settings["domain"])
    if "is_right" in settings:
        settings["is_right"] = _accuracy(f"is_right in {where}", settings["is_right"], folder)
    return function(**settings)


def _accuracy(where: str, given: Any, folder: Path) -> Any:
    return own_function(where, given, folder) if is_own(given) else named(where, given, ACCURACIES, losses)


def _own(where: str, table: Mapping[str, Any], folder: Path) -> measurements.Measurement:
    """A measurement of one's own: a function of what measurements may ask for, or a Measurement."""
    function = own_function(f"function in {where}", table["function"], folder)
    if isinstance(function, measurements.Measurement):
        check_keys(where, table, ("function",))
        return function
    settings = {key: value for key, value in table.items() if key not in OF_OWN}
    fixed = with_own_settings(where, function, settings, ("params", "layers", "apply"))
    about = {key: table[key] for key in ("dims", "units", "meaning") if key in table}
    for key, value in about.items():
        many = is_list(value) if key == "dims" else True
        if not many or not all(isinstance(item, str) for item in (value if key == "dims" else [value])):
            wanted = "a list of names" if key == "dims" else "a text"
            raise ValueError(f"{key} in {where} needs {wanted}, but {shown(value)} was given.")
    is_of_population = table.get("of_population", False)
    if not isinstance(is_of_population, bool):
        raise ValueError(f"of_population in {where} needs true or false, but {shown(is_of_population)} was given.")
    make = measurements.of_population if is_of_population else measurements.pure
    about.setdefault("meaning", (function.__doc__ or "").strip().partition("\n")[0])
    return make(partial(function, **fixed) if fixed else function, **about)


def _grid_regions(domain: Any, num_grid: int = 101, atol: float = 1e-3) -> measurements.Measurement:
    check_data(f"a grid of {num_grid:,} × {num_grid:,} points", 16 * num_grid**2)
    return measurements.grid_regions(grid_points(domain, num_grid, with_corners=True), atol=atol)


def _domain(where: str, given: Any) -> Any:
    """``[low, high]`` for a square, ``[[x, y], …]`` for a convex polygon, "plane", or ``{low, high, dim}``."""
    if given == "plane":
        return whole_plane()
    if isinstance(given, Mapping):
        check_keys(f"the domain in {where}", given, ("low", "high", "dim"), needed=("low", "high", "dim"))
        if not (is_real(given["low"]) and is_real(given["high"]) and is_integer(given["dim"])):
            raise ValueError(f"the domain in {where} needs numbers low, high and dim, but {shown(given)} was given.")
        return box(given["low"], given["high"], dim=given["dim"])
    if is_list(given) and len(given) == PAIR and all(map(is_real, given)):
        return box(*given)
    if (
        is_list(given)
        and len(given) > PAIR
        and all(is_list(corner) and len(corner) == PAIR and all(map(is_real, corner)) for corner in given)
    ):
        return polygon(given)
    raise ValueError(
        f"the domain in {where} must be [low, high] for a square, the corners [[x, y], …] of a convex polygon, "
        f'"plane", or {{low = -1, high = 1, dim = 3}} for a box, but {shown(given)} was given.'
    )
