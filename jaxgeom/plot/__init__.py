"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.animate import check_movies, save_animation
from jaxgeom.plot.counts import CountArtists, new_figure, region_counts
from jaxgeom.plot.decision import plot_decision
from jaxgeom.plot.distributions import DistributionArtists, plot_distribution
from jaxgeom.plot.hidden import plot_cube_plane, plot_hidden, plot_hidden_triples
from jaxgeom.plot.kinds import plot_kinds
from jaxgeom.plot.lines import FitArtists, HyperplaneArtists, plot_fit, plot_hyperplanes
from jaxgeom.plot.live import live_view
from jaxgeom.plot.maps import GridViewArtists, mark_classes, plot_formulas, plot_grid_view, plot_map
from jaxgeom.plot.multiples import MultiplesArtists, plot_multiples
from jaxgeom.plot.phases import PhaseArtists, plot_phases
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.regions import RegionArtists, plot_boundary, plot_edges, plot_regions
from jaxgeom.plot.sandwich import Dots, dots_of, sandwich, sandwich_order
from jaxgeom.plot.sheet import plot_sheet, position_colors
from jaxgeom.plot.sides import MapArtists, azimuth_of, plot_decision_map, plot_graph
from jaxgeom.plot.slices import SliceArtists, plot_slice
from jaxgeom.plot.stages import Morph, morph_stages, plot_stages
from jaxgeom.plot.style import COLORS, dark, new_axes
from jaxgeom.plot.surfaces import plot_decision_surface, plot_lifted, plot_surface, plot_wireframe
from jaxgeom.plot.training import CurveArtists, LossArtists, exponential_smoothing, plot_curves, plot_loss
from jaxgeom.plot.triples import plot_gradient_density, plot_triples
from jaxgeom.plot.units import UnitArtists, plot_units
from jaxgeom.plot.warp import plot_warped_grid
from jaxgeom.plot.weights import plot_weights

__all__ = [
    "COLORS",
    "CountArtists",
    "CurveArtists",
    "DistributionArtists",
    "Dots",
    "FitArtists",
    "GridViewArtists",
    "HyperplaneArtists",
    "LossArtists",
    "MapArtists",
    "Morph",
    "MultiplesArtists",
    "PhaseArtists",
    "RegionArtists",
    "SliceArtists",
    "UnitArtists",
    "azimuth_of",
    "check_movies",
    "dark",
    "dots_of",
    "exponential_smoothing",
    "live_view",
    "mark_classes",
    "morph_stages",
    "new_axes",
    "new_figure",
    "plot_boundary",
    "plot_cube_plane",
    "plot_curves",
    "plot_decision",
    "plot_decision_map",
    "plot_decision_surface",
    "plot_distribution",
    "plot_edges",
    "plot_fit",
    "plot_formulas",
    "plot_gradient_density",
    "plot_graph",
    "plot_grid_view",
    "plot_hidden",
    "plot_hidden_triples",
    "plot_hyperplanes",
    "plot_kinds",
    "plot_lifted",
    "plot_loss",
    "plot_map",
    "plot_multiples",
    "plot_phases",
    "plot_points",
    "plot_regions",
    "plot_sheet",
    "plot_slice",
    "plot_stages",
    "plot_surface",
    "plot_triples",
    "plot_units",
    "plot_warped_grid",
    "plot_weights",
    "plot_wireframe",
    "position_colors",
    "region_counts",
    "sandwich",
    "sandwich_order",
    "save_animation",
]


def __dir__() -> list[str]:
    return __all__
