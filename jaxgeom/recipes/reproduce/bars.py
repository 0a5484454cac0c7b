"""[edge] Bars of shares of networks with their 95 % intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

_TOGETHER = 0.8
"""Width of all bars of one shape."""
_HATCHES = ("", "//")


def draw_shares(
    ax: Axes, shares: Mapping[str, Float[np.ndarray, "3 shapes"]], shapes: Sequence[str], what: str
) -> None:
    """Percents as bars, for each of some shapes of networks, side by side where several things are shared.

    Args:
        ax: where to draw.
        shares: by what they are shares of, which is their label: shares and both ends of their intervals. At most two;
            one alone has no legend.
        shapes: names of the shapes.
        what: of the axis of percents.
    """
    width = _TOGETHER / len(shares)
    look: dict[str, Any] = {"edgecolor": "white", "error_kw": {"ecolor": "0.3", "capsize": 2}}
    for place, ((label, intervals), hatch) in enumerate(zip(shares.items(), _HATCHES[: len(shares)], strict=True)):
        share, low, high = 100 * intervals
        center = np.arange(len(shapes)) + width * (place - (len(shares) - 1) / 2)
        ax.bar(center, share, width, label=label, hatch=hatch, yerr=(share - low, high - share), **look)
    ax.set_xticks(range(len(shapes)), list(shapes))
    ax.set(ylabel=f"{what} (%), with 95 % intervals")
    if len(shares) > 1:
        ax.legend(fontsize="small", loc="upper left")
