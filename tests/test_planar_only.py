"""What is for regions in the plane says so when it gets regions in space, or something else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom import convert, plot

NETWORK = (jg.Dense(np.eye(3), np.zeros(3)), jg.Dense(np.ones((3, 1)), -np.ones(1)))
CUBE = jg.box(-1, 1, dim=3)
SPACE = jg.enumerate_regions(NETWORK, CUBE)
SURFACE = jg.decision_surface(NETWORK, CUBE)
VALUES = (np.zeros((3, 4, 4)),)

PLANAR: dict[str, Callable[[Any], Any]] = {
    "decision_boundary": jg.decision_boundary,
    "edge_lengths": jg.edge_lengths,
    "boundary_length": jg.boundary_length,
    "region_density": jg.region_density,
    "inradius": jg.inradius,
    "inscribed_circles": jg.inscribed_circles,
    "distance_to_decision_boundary": lambda given: jg.distance_to_decision_boundary(given, np.zeros((1, 2))),
    "locate": lambda given: jg.locate(given, NETWORK, np.zeros((1, 2))),
    "to_shapely": convert.to_shapely,
    "to_networkx": convert.to_networkx,
    "to_svg": convert.to_svg,
    "plot_regions": plot.plot_regions,
    "plot_surface": plot.plot_surface,
    "plot_formulas": plot.plot_formulas,
    "plot_units": lambda given: plot.plot_units(VALUES, jg.box(), complex_=given),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", PLANAR)
def test_regions_in_space_are_refused(name: str) -> None:
    for given, kind in ((SPACE, "SpatialComplex"), (SURFACE, "DecisionSurface")):
        with pytest.raises(TypeError, match=f"regions in the plane, a jaxgeom.PlanarComplex, but {kind} was given"):
            PLANAR[name](given)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("function", [jg.check_complex, jg.region_labels])
def test_what_takes_both_kinds_names_both(function: Callable[[Any], Any]) -> None:
    function(SPACE)
    with pytest.raises(TypeError, match="a PlanarComplex or a SpatialComplex, but DecisionSurface was given"):
        function(SURFACE)
