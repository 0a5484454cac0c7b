"""jaxgeom: populations of small neural networks in JAX, and the geometry of what they compute.

Train thousands of networks at once (:func:`mlp`, :func:`fit`, :func:`fit_population`), count the linear regions that
ReLU networks cut their input space into (:func:`count_regions`, :func:`grid_regions`), and draw them
(``jaxgeom.plot``). This file is the table of contents; a name's module is imported when the name is first used
(PEP 562). Type checkers read the same from ``__init__.pyi``.
"""

import importlib
from typing import Any

import jaxgeom.host.forks  # noqa: F401  it hears of forks from now on, and imports nothing

__version__ = "0.2.0"

_MODULES = {
    "convert": "jaxgeom.convert",
    "datasets": "jaxgeom.data.datasets",
    "losses": "jaxgeom.data.losses",
    "plot": "jaxgeom.plot",
    "study": "jaxgeom.study",
}
"""Modules that are public as attributes of the package."""

_NAMES = {
    "jaxgeom.analysis.comparison": (
        "AffineFit",
        "Comparison",
        "affine_triples",
        "compare_networks",
        "fit_affine",
        "predict_affine",
        "r_squared",
    ),
    "jaxgeom.analysis.critical": ("CriticalPoints", "critical_points"),
    "jaxgeom.analysis.embeddings": (
        "Codes",
        "Hyperplanes",
        "PrincipalAxes",
        "Separability",
        "code_counts",
        "codes",
        "hyperplanes",
        "linear_separability",
        "pca",
        "pca_coordinates",
        "signed_distances",
        "step_output",
        "thresholds",
    ),
    "jaxgeom.analysis.estimate": ("RegionEstimate", "estimate_regions"),
    "jaxgeom.analysis.formula": ("latex_formula",),
    "jaxgeom.analysis.fractions": ("FractionInterval", "fraction_interval"),
    "jaxgeom.analysis.functional_dimension": (
        "FunctionalDimension",
        "batch_functional_dimension",
        "functional_dimension",
    ),
    "jaxgeom.analysis.kinds": ("Kinds", "network_kinds"),
    "jaxgeom.analysis.measures": (
        "NearestBoundary",
        "NearestOnDecisionBoundary",
        "boundary_length",
        "distance_to_boundary",
        "distance_to_decision_boundary",
        "edge_lengths",
        "image_lengths",
        "inradius",
        "local_complexity",
        "region_density",
    ),
    "jaxgeom.analysis.slices": ("Slice", "slice_network", "slice_topology"),
    "jaxgeom.analysis.surfaces": ("DecisionSurface", "decision_surface"),
    "jaxgeom.analysis.topology": ("Topology", "topology"),
    "jaxgeom.data.columns": ("Columns", "columns_of"),
    "jaxgeom.data.datasets": (
        "Dataset",
        "damped_sine",
        "disk_with_holes",
        "line_segments",
        "parity",
        "rings",
        "spirals",
        "split",
    ),
    "jaxgeom.data.grids": ("gaussian_cloud", "mesh_grid"),
    "jaxgeom.domains": (
        "Box",
        "Polygon",
        "WholePlane",
        "box",
        "corners",
        "grid_lines",
        "grid_points",
        "polygon",
        "polygon_vertices",
        "whole_plane",
    ),
    "jaxgeom.host.chunks": ("map_chunks",),
    "jaxgeom.host.devices": ("on_devices",),
    "jaxgeom.networks.affine": (
        "AffineMaps",
        "activation_words",
        "affine_maps",
        "affine_maps_of_patterns",
        "unpack_patterns",
    ),
    "jaxgeom.networks.canonical": ("canonical_form",),
    "jaxgeom.networks.flax_modules": ("from_linen", "from_nnx"),
    "jaxgeom.networks.layers": ("Dense", "Forward", "Layers", "forward", "layers_of"),
    "jaxgeom.networks.models": ("Initializer", "LayerState", "Model", "he_init", "hidden_states", "mlp"),
    "jaxgeom.networks.plane_domains": ("box_on_plane", "hull_on_plane"),
    "jaxgeom.networks.planes": (
        "DataPlanes",
        "plane_along_inputs",
        "plane_along_principal_axes",
        "plane_through_class_means",
        "planes_through_data",
        "random_planes",
    ),
    "jaxgeom.networks.readers.chain": ("UnitSources", "unit_name"),
    "jaxgeom.networks.readers.imported": ("Imported",),
    "jaxgeom.networks.readers.equinox_modules": ("from_equinox",),
    "jaxgeom.networks.readers.flax_networks": ("from_flax",),
    "jaxgeom.networks.readers.jax_functions": ("from_function",),
    "jaxgeom.networks.readers.keras_models": ("from_keras",),
    "jaxgeom.networks.readers.nnet_files": ("from_nnet",),
    "jaxgeom.networks.readers.sklearn_models": ("from_sklearn",),
    "jaxgeom.networks.readers.onnx_models": ("from_onnx",),
    "jaxgeom.networks.readers.safetensors_files": ("from_safetensors",),
    "jaxgeom.networks.readers.torch_modules": ("from_torch",),
    "jaxgeom.networks.slices": ("Plane", "Projection", "lift", "on_plane", "plane_through", "project"),
    "jaxgeom.networks.writers.onnx_graphs": ("to_onnx",),
    "jaxgeom.networks.writers.safetensors_files": ("to_safetensors",),
    "jaxgeom.networks.writers.torch_sequences": ("to_torch",),
    "jaxgeom.plot.explorer.page": ("Explorer", "explore"),
    "jaxgeom.recipes.spirals.experiment": ("spiral_data", "train_spirals"),
    "jaxgeom.recipes.xor.experiment": ("train_xor", "xor_statistics", "xor_study", "xor_table"),
    "jaxgeom.regions.boundary": ("Boundary", "decision_boundary"),
    "jaxgeom.regions.breakpoints": ("breakpoints",),
    "jaxgeom.regions.certificates": ("check_complex",),
    "jaxgeom.regions.complex": ("PlanarComplex",),
    "jaxgeom.regions.count": ("RegionCounts", "count_regions"),
    "jaxgeom.regions.decision_regions": ("DecisionRegions", "decision_regions"),
    "jaxgeom.regions.enumerate": ("enumerate_population", "enumerate_regions"),
    "jaxgeom.regions.grid.count": ("GridCounts", "count_grid_regions"),
    "jaxgeom.regions.grid.regions": ("GridRegions", "grid_regions"),
    "jaxgeom.regions.inscribed": ("InscribedCircles", "inscribed_circles"),
    "jaxgeom.regions.labels": ("region_labels",),
    "jaxgeom.regions.lines": ("Breakpoints",),
    "jaxgeom.regions.locate": ("locate",),
    "jaxgeom.regions.polylines": ("PathBreakpoints", "polyline_breakpoints"),
    "jaxgeom.regions.space": ("SpatialComplex",),
    "jaxgeom.study.result": ("Study",),
    "jaxgeom.study.run": ("run_study",),
    "jaxgeom.study.zoo": ("zoo",),
    "jaxgeom.study.zoo_reader": ("Zoo", "open_zoo"),
    "jaxgeom.theory": (
        "hanin_rolnick_2019",
        "mean_count_ball",
        "mean_count_one_layer",
        "mean_count_polygon",
        "mean_length_ratio",
        "montufar_2014",
        "montufar_2017",
        "raghu_2017",
        "serra_2018",
        "zaslavsky",
        "zaslavsky_central",
    ),
    "jaxgeom.training.fit": ("Fit", "Trainer", "fit", "trainer"),
    "jaxgeom.host.watch": ("Progress", "Watch"),
    "jaxgeom.training.watch": ("text_log",),
    "jaxgeom.training.loop": ("TrainState",),
    "jaxgeom.training.population": (
        "Architectures",
        "Solved",
        "Trial",
        "fit_architectures",
        "fit_population",
        "fit_until_solved",
    ),
    "jaxgeom.training.shuffle": ("random_order",),
}
"""Public names, by the module that holds them."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted([*_MODULES, *_HOMES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = importlib.import_module(_MODULES[name])
    elif name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'jaxgeom' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
