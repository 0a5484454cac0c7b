"""Faults of pictures, measured: ink on the border, where something is cut off, and texts on top of each other."""

from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

_INK = 40
"""Differences from the background in one colour, of 255, that are ink."""
_SHARED = 0.12
"""Of the smaller one of two boxes around texts, the part on which they may overlap: boxes are larger than letters."""


def faults_of_file(figure: Figure, path: Path) -> list[str]:
    """Those of a figure that was just written as a PNG."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    return ink_on_border(pixels, np.array(to_rgb(figure.get_facecolor())) * 255) + overlapping_texts(figure)


def ink_on_border(pixels: np.ndarray, background: np.ndarray) -> list[str]:
    """Sides of a picture whose outermost pixels are not all background."""
    sides = {"left": pixels[:, :1], "right": pixels[:, -1:], "top": pixels[:1], "bottom": pixels[-1:]}
    found = {name: int((np.abs(side - background).max(axis=-1) > _INK).sum()) for name, side in sides.items()}
    return [f"{number} pixels of ink on the {name} border" for name, number in found.items() if number]


def overlapping_texts(figure: Figure) -> list[str]:
    """Pairs of upright texts that overlap, tick labels among them, after the figure was drawn."""
    texts = [text for text in _texts(figure) if text.get_text().strip() and text.get_rotation() % 90 == 0]
    boxes = [text.get_window_extent() for text in texts]
    found = []
    for (text, box), (other, other_box) in combinations(zip(texts, boxes, strict=True), 2):
        width = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        height = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        smaller = min(box.width * box.height, other_box.width * other_box.height)
        if width > 0 and height > 0 and width * height > _SHARED * smaller:
            found.append(f"{text.get_text()!r} and {other.get_text()!r} overlap")
    return found


def _texts(figure: Figure) -> list[Text]:
    """All visible texts; of ticks, those that are within limits."""
    of_ticks = set()
    shown = []
    for ax in figure.axes:
        axes = [axis for axis in (ax.xaxis, ax.yaxis, getattr(ax, "zaxis", None)) if axis is not None]
        for axis in axes:
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            of_ticks |= {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
            if ax.axison and axis.get_visible():
                inside = axis._update_ticks()
                shown += [label for tick in inside for label in (tick.label1, tick.label2) if label.get_visible()]
    others = [text for text in figure.findobj(Text) if id(text) not in of_ticks and _is_visible(text)]
    return shown + others


def _is_visible(text: Text) -> bool:
    ax = text.axes
    if ax is None:
        return text.get_visible()
    is_label = text in (ax.xaxis.label, ax.yaxis.label, ax.xaxis.offsetText, ax.yaxis.offsetText)
    return text.get_visible() and ax.get_visible() and (ax.axison or not is_label)
