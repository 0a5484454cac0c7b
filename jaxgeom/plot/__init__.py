"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.animate import check_movies, save_animation
from jaxgeom.plot.counts import CountArtists, new_figure, region_counts
from jaxgeom.plot.hidden import plot_cube_plane, plot_hidden, plot_hidden_triples
from jaxgeom.plot.lines import FitArtists, HyperplaneArtists, plot_fit, plot_hyperplanes
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.regions import RegionArtists, plot_boundary, plot_regions
from jaxgeom.plot.sandwich import Dots, dots_of, sandwich
from jaxgeom.plot.stages import Morph, morph_stages, plot_stages
from jaxgeom.plot.style import COLORS, dark, new_axes
from jaxgeom.plot.training import CurveArtists, LossArtists, exponential_smoothing, plot_curves, plot_loss
from jaxgeom.plot.warp import plot_warped_grid

__all__ = [
    "COLORS",
    "CountArtists",
    "CurveArtists",
    "Dots",
    "FitArtists",
    "HyperplaneArtists",
    "LossArtists",
    "Morph",
    "RegionArtists",
    "check_movies",
    "dark",
    "dots_of",
    "exponential_smoothing",
    "morph_stages",
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
    "plot_stages",
    "plot_warped_grid",
    "region_counts",
    "sandwich",
    "save_animation",
]
