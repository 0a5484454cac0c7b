"""[edge] Pictures of arrays, one file a subject: ``plot.x(arrays, *, ax=None, **style)`` draws and returns artists.

Nothing here computes what another room should compute, shows a window, or changes matplotlib's global style.
"""

from jaxgeom.plot.counts import CountArtists, new_figure, region_counts

__all__ = ["CountArtists", "new_figure", "region_counts"]
