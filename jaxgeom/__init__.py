"""jaxgeom: populations of small neural networks in JAX, and the geometry of what they compute.

Train thousands of networks at once (:func:`mlp`, :func:`fit`, :func:`fit_population`), count the linear regions that
ReLU networks cut their input space into (:func:`count_regions`, :func:`grid_regions`), and draw them
(``jaxgeom.plot``). This file is the table of contents; Flax, studies, pictures and recipes are loaded when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxgeom.analysis.comparison import (
    AffineFit,
    Comparison,
    affine_triples,
    compare_networks,
    fit_affine,
    predict_affine,
    r_squared,
)
from jaxgeom.analysis.critical import CriticalPoints, critical_points
from jaxgeom.analysis.embeddings import (
    Codes,
    Hyperplanes,
    PrincipalAxes,
    Separability,
    code_counts,
    codes,
    hyperplanes,
    linear_separability,
    pca,
    pca_coordinates,
    signed_distances,
    step_output,
    thresholds,
)
from jaxgeom.analysis.estimate import RegionEstimate, estimate_regions
from jaxgeom.analysis.formula import latex_formula
from jaxgeom.analysis.functional_dimension import FunctionalDimension, batch_functional_dimension, functional_dimension
from jaxgeom.analysis.measures import (
    NearestBoundary,
    NearestOnDecisionBoundary,
    boundary_length,
    distance_to_boundary,
    distance_to_decision_boundary,
    edge_lengths,
    image_lengths,
    inradius,
    local_complexity,
    region_density,
)
from jaxgeom.analysis.surfaces import DecisionSurface, decision_surface
from jaxgeom.analysis.topology import Topology, topology
from jaxgeom.data import datasets, losses
from jaxgeom.data.datasets import (
    Dataset,
    damped_sine,
    disk_with_holes,
    gaussian_cloud,
    line_segments,
    mesh_grid,
    parity,
    rings,
    spirals,
    split,
)
from jaxgeom.domains import (
    Box,
    Polygon,
    WholePlane,
    box,
    corners,
    grid_lines,
    grid_points,
    polygon,
    polygon_vertices,
    whole_plane,
)
from jaxgeom.host.chunks import map_chunks
from jaxgeom.networks.affine import AffineMaps, activation_words, affine_maps, affine_maps_of_patterns, unpack_patterns
from jaxgeom.networks.layers import Dense, Forward, Layers, forward, layers_of
from jaxgeom.networks.models import Initializer, LayerState, Model, he_init, hidden_states, mlp
from jaxgeom.networks.slices import Plane, Projection, box_on_plane, lift, on_plane, plane_through, project
from jaxgeom.regions.boundary import Boundary, decision_boundary
from jaxgeom.regions.breakpoints import breakpoints
from jaxgeom.regions.certificates import check_complex
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.count import RegionCounts, count_regions
from jaxgeom.regions.enumerate import enumerate_population, enumerate_regions
from jaxgeom.regions.grid.count import GridCounts, count_grid_regions
from jaxgeom.regions.grid.regions import GridRegions, grid_regions
from jaxgeom.regions.inscribed import InscribedCircles, inscribed_circles
from jaxgeom.regions.labels import region_labels
from jaxgeom.regions.lines import Breakpoints
from jaxgeom.regions.locate import locate
from jaxgeom.regions.polylines import PathBreakpoints, polyline_breakpoints
from jaxgeom.regions.space import SpatialComplex
from jaxgeom.theory import (
    hanin_rolnick_2019,
    mean_count_ball,
    mean_count_one_layer,
    mean_count_polygon,
    mean_length_ratio,
    montufar_2014,
    montufar_2017,
    raghu_2017,
    serra_2018,
    zaslavsky,
    zaslavsky_central,
)
from jaxgeom.training.fit import Fit, Trainer, TrainState, fit, trainer
from jaxgeom.training.population import (
    Architectures,
    Solved,
    Trial,
    fit_architectures,
    fit_population,
    fit_until_solved,
)
from jaxgeom.training.shuffle import random_order

if TYPE_CHECKING:
    from jaxgeom import convert, plot, study
    from jaxgeom.networks.flax_modules import from_linen, from_nnx
    from jaxgeom.recipes.spirals.experiment import spiral_data, train_spirals
    from jaxgeom.recipes.xor.experiment import XorStudy, train_xor, xor_statistics, xor_study, xor_table
    from jaxgeom.study import Study, run_study

__version__ = "0.1.0"

__all__ = [
    "AffineFit",
    "AffineMaps",
    "Architectures",
    "Boundary",
    "Box",
    "Breakpoints",
    "Codes",
    "Comparison",
    "CriticalPoints",
    "Dataset",
    "DecisionSurface",
    "Dense",
    "Fit",
    "Forward",
    "FunctionalDimension",
    "GridCounts",
    "GridRegions",
    "Hyperplanes",
    "Initializer",
    "InscribedCircles",
    "LayerState",
    "Layers",
    "Model",
    "NearestBoundary",
    "NearestOnDecisionBoundary",
    "PathBreakpoints",
    "PlanarComplex",
    "Plane",
    "Polygon",
    "PrincipalAxes",
    "Projection",
    "RegionCounts",
    "RegionEstimate",
    "Separability",
    "Solved",
    "SpatialComplex",
    "Study",
    "Topology",
    "TrainState",
    "Trainer",
    "Trial",
    "WholePlane",
    "XorStudy",
    "activation_words",
    "affine_maps",
    "affine_maps_of_patterns",
    "affine_triples",
    "batch_functional_dimension",
    "boundary_length",
    "box",
    "box_on_plane",
    "breakpoints",
    "check_complex",
    "code_counts",
    "codes",
    "compare_networks",
    "convert",
    "corners",
    "count_grid_regions",
    "count_regions",
    "critical_points",
    "damped_sine",
    "datasets",
    "decision_boundary",
    "decision_surface",
    "disk_with_holes",
    "distance_to_boundary",
    "distance_to_decision_boundary",
    "edge_lengths",
    "enumerate_population",
    "enumerate_regions",
    "estimate_regions",
    "fit",
    "fit_affine",
    "fit_architectures",
    "fit_population",
    "fit_until_solved",
    "forward",
    "from_linen",
    "from_nnx",
    "functional_dimension",
    "gaussian_cloud",
    "grid_lines",
    "grid_points",
    "grid_regions",
    "hanin_rolnick_2019",
    "he_init",
    "hidden_states",
    "hyperplanes",
    "image_lengths",
    "inradius",
    "inscribed_circles",
    "latex_formula",
    "layers_of",
    "lift",
    "line_segments",
    "linear_separability",
    "local_complexity",
    "locate",
    "losses",
    "map_chunks",
    "mean_count_ball",
    "mean_count_one_layer",
    "mean_count_polygon",
    "mean_length_ratio",
    "mesh_grid",
    "mlp",
    "montufar_2014",
    "montufar_2017",
    "on_plane",
    "parity",
    "pca",
    "pca_coordinates",
    "plane_through",
    "plot",
    "polygon",
    "polygon_vertices",
    "polyline_breakpoints",
    "predict_affine",
    "project",
    "r_squared",
    "raghu_2017",
    "random_order",
    "region_density",
    "region_labels",
    "rings",
    "run_study",
    "serra_2018",
    "signed_distances",
    "spiral_data",
    "spirals",
    "split",
    "step_output",
    "study",
    "thresholds",
    "topology",
    "train_spirals",
    "train_xor",
    "trainer",
    "unpack_patterns",
    "whole_plane",
    "xor_statistics",
    "xor_study",
    "xor_table",
    "zaslavsky",
    "zaslavsky_central",
]


_LATER = {
    "jaxgeom.networks.flax_modules": ("from_linen", "from_nnx"),
    "jaxgeom.recipes.spirals.experiment": ("spiral_data", "train_spirals"),
    "jaxgeom.recipes.xor.experiment": ("XorStudy", "train_xor", "xor_statistics", "xor_study", "xor_table"),
    "jaxgeom.study": ("Study", "run_study"),
}
"""Names whose modules are imported when they are first used."""


def __getattr__(name: str) -> Any:
    if name in ("convert", "plot", "study"):
        return importlib.import_module(f"jaxgeom.{name}")
    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'jaxgeom' has no attribute {name!r}")
