"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.animate import check_movies, save_animation
from jaxgeom.plot.counts import CountArtists, new_figure, region_counts
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.regions import RegionArtists, plot_boundary, plot_regions
from jaxgeom.plot.style import COLORS, dark, new_axes

__all__ = [
    "COLORS",
    "CountArtists",
    "RegionArtists",
    "check_movies",
    "dark",
    "new_axes",
    "new_figure",
    "plot_boundary",
    "plot_points",
    "plot_regions",
    "region_counts",
    "save_animation",
]
