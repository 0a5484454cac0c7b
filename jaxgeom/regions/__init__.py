"""Linear regions: exact counts and complexes, decision boundaries, breakpoints along lines, labels and locations.

:mod:`jaxgeom.regions.count` and :mod:`jaxgeom.regions.enumerate` are the doors to the compiled engine; what they call
is in :mod:`jaxgeom.regions.cells`. The same in Python integers, slow and never wrong, is in the files ``exact*.py``.
:mod:`jaxgeom.regions.grid` is the other way to see regions: from a dense grid of points.
"""
