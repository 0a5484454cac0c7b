"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.bands import BandArtists, plot_bands
from jaxgeom.plot.counts import CountArtists, new_figure, region_counts
from jaxgeom.plot.regions import RegionArtists, plot_boundary, plot_regions

__all__ = [
    "BandArtists",
    "CountArtists",
    "RegionArtists",
    "new_figure",
    "plot_bands",
    "plot_boundary",
    "plot_regions",
    "region_counts",
]
