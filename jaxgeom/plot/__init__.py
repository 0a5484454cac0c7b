"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.counts import CountArtists, new_figure, region_counts
from jaxgeom.plot.regions import RegionArtists, plot_boundary, plot_regions

__all__ = ["CountArtists", "RegionArtists", "new_figure", "plot_boundary", "plot_regions", "region_counts"]
