"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.animate import check_movies, save_animation
from jaxgeom.plot.counts import CountArtists, new_figure, region_counts
from jaxgeom.plot.hidden import plot_cube_plane, plot_hidden, plot_hidden_triples
from jaxgeom.plot.lines import FitArtists, HyperplaneArtists, plot_fit, plot_hyperplanes
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.regions import RegionArtists, plot_boundary, plot_regions
from jaxgeom.plot.style import COLORS, dark, new_axes
from jaxgeom.plot.training import CurveArtists, LossArtists, exponential_smoothing, plot_curves, plot_loss

__all__ = [
    "COLORS",
    "CountArtists",
    "CurveArtists",
    "FitArtists",
    "HyperplaneArtists",
    "LossArtists",
    "RegionArtists",
    "check_movies",
    "dark",
    "exponential_smoothing",
    "new_axes",
    "new_figure",
    "plot_boundary",
    "plot_cube_plane",
    "plot_curves",
    "plot_fit",
    "plot_hidden",
    "plot_hidden_triples",
    "plot_hyperplanes",
    "plot_loss",
    "plot_points",
    "plot_regions",
    "region_counts",
    "save_animation",
]
