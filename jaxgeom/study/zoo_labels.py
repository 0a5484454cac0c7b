"""[host] What is known of each network of a zoo: by the names of labels, and what their values are."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgeom._reprs import readable
from jaxgeom.analysis.decisions import decisions
from jaxgeom.domains import Box, Polygon
from jaxgeom.networks.layers import Layers
from jaxgeom.regions.count import count_regions

Domain = Polygon | Box


@readable
class Label(NamedTuple):
    """A function of many networks at once, and its values."""

    function: Callable[[Layers, Any], dict[str, np.ndarray]]
    """``function(layers, domain)`` gives arrays with a leading axis (networks) by name, for one label or several."""
    meaning: dict[str, str]
    """Which of them are this label's, and what they hold."""


TRAINED = {
    "train_loss": "mean cross-entropy on the training split after training",
    "train_accuracy": "fraction of points of the training split that are right",
    "test_loss": "mean cross-entropy on the test split",
    "test_accuracy": "fraction of points of the test split that are right",
    "initial_loss": "mean cross-entropy on the training split before training",
    "diverged_step": "training step that met NaN or infinity, after which a network stays as it was; -1 if none",
}
"""Labels that training gives, of every zoo."""


def _regions(layers: Layers, domain: Domain) -> dict[str, np.ndarray]:
    found = count_regions(layers, domain)
    return {"regions": found.count, "regions_degenerate": found.degenerate}


def _linear_regions(layers: Layers, domain: Domain) -> dict[str, np.ndarray]:
    return {"linear_regions": count_regions(layers, domain, kind="linear").count}


def _decisions(layers: Layers, domain: Domain) -> dict[str, np.ndarray]:
    found = decisions(layers, domain)
    return {
        "boundary_length": found.boundary_length,
        "boundary_pieces": found.boundary_pieces,
        "components": found.num_components,
        "holes": found.num_holes,
        "boundaries": found.num_boundaries,
        "closed_boundaries": found.num_closed_boundaries,
    }


LABELS: dict[str, Label] = {
    "regions": Label(
        _regions,
        {
            "regions": "exact number of activation regions on the domain",
            "regions_degenerate": "whether an exact zero was met, as where three lines meet in one point",
        },
    ),
    "linear_regions": Label(_linear_regions, {"linear_regions": "exact number of linear regions on the domain"}),
    "boundary": Label(
        _decisions,
        {
            "boundary_length": "length of the decision boundary in the domain",
            "boundary_pieces": "straight pieces of the decision boundary",
        },
    ),
    "topology": Label(
        _decisions,
        {
            "components": "components of the region of each class",
            "holes": "holes of the region of each class",
            "boundaries": "components of the decision boundary",
            "closed_boundaries": "those of them that do not reach the border of the domain",
        },
    ),
}
"""Labels that geometry gives, by the names under which they are asked for."""


def labelled(names: Sequence[str], layers: Layers, domain: Domain) -> dict[str, np.ndarray]:
    """The arrays of these labels of a population, by their own names."""
    functions = dict.fromkeys(LABELS[name].function for name in names)
    found = {function: function(layers, domain) for function in functions}
    return {own: found[LABELS[name].function][own] for name in names for own in LABELS[name].meaning}
