"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.animate import check_movies, save_animation
from jaxgeom.plot.counts import CountArtists, new_figure, region_counts
from jaxgeom.plot.maps import GridViewArtists, mark_classes, plot_formulas, plot_grid_view, plot_map
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.regions import RegionArtists, plot_boundary, plot_regions
from jaxgeom.plot.style import COLORS, dark, new_axes
from jaxgeom.plot.surfaces import plot_lifted, plot_surface, plot_wireframe
from jaxgeom.plot.triples import plot_triples
from jaxgeom.plot.units import UnitArtists, plot_units

__all__ = [
    "COLORS",
    "CountArtists",
    "GridViewArtists",
    "RegionArtists",
    "UnitArtists",
    "check_movies",
    "dark",
    "mark_classes",
    "new_axes",
    "new_figure",
    "plot_boundary",
    "plot_formulas",
    "plot_grid_view",
    "plot_lifted",
    "plot_map",
    "plot_points",
    "plot_regions",
    "plot_surface",
    "plot_triples",
    "plot_units",
    "plot_wireframe",
    "region_counts",
    "save_animation",
]
