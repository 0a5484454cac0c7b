"""[edge] Colours of signs: blue below zero and orange above, in pictures of outputs, decisions and units.

The orange is lighter than the blue, at equal distance from zero, so that a picture of one sign alone tells which one it
is: to readers who do not see red and green apart, and in print without colours.
"""

from matplotlib.colors import Colormap, LinearSegmentedColormap

BELOW, ABOVE = "#1c6aa3", "#f2994e"
"""Far from zero."""
_JUST_BELOW, _JUST_ABOVE, _MIDDLE = "#b5d3e9", "#fcead9", "#f6f6f3"


def side_colormap() -> Colormap:
    """Blue below the middle and orange above it, stronger further out, with a jump where the decision changes."""
    stops = [(0.0, BELOW), (0.5, _JUST_BELOW), (0.5, _JUST_ABOVE), (1.0, ABOVE)]
    return LinearSegmentedColormap.from_list("sides", stops, N=512)


def value_colormap(strength: float = 1.0) -> Colormap:
    """Blue below the middle and orange above it, pale in the middle, without a jump.

    Args:
        strength: from 0 to 1, how near the ends are to their colours; less lets dark lines stand out.
    """
    whole = LinearSegmentedColormap.from_list("values", [BELOW, _MIDDLE, ABOVE], N=512)
    ends = [0.5 - 0.5 * strength, 0.5, 0.5 + 0.5 * strength]
    return LinearSegmentedColormap.from_list("values", whole(ends), N=512)
