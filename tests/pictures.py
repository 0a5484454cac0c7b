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
    """Those of a figure that was just written as a PNG, perhaps with other dots an inch than its own."""
    figure.draw_without_rendering()
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    return ink_on_border(pixels, np.array(to_rgb(figure.get_facecolor())) * 255) + overlapping_texts(figure)


def ink_on_border(pixels: np.ndarray, background: np.ndarray) -> list[str]:
    """Sides of a picture whose outermost pixels are not all background."""
    sides = {"left": pixels[:, :1], "right": pixels[:, -1:], "top": pixels[:1], "bottom": pixels[-1:]}
    found = {name: int((np.abs(side - background).max(axis=-1) > _INK).sum()) for name, side in sides.items()}
    return [f"{number} pixels of ink on the {name} border" for name, number in found.items() if number]


def overlapping_texts(figure: Figure) -> list[str]:
    """Pairs of texts that overlap, tick labels among them, slanted ones too, after the figure was drawn."""
    texts = [text for text in _texts(figure) if text.get_text().strip()]
    boxes = [_slanted_box(text) for text in texts]
    found = []
    for (text, box), (other, other_box) in combinations(zip(texts, boxes, strict=True), 2):
        shares = _share_inside(box, other_box), _share_inside(other_box, box)
        if max(shares) > _SHARED:
            found.append(f"{text.get_text()!r} and {other.get_text()!r} overlap")
    return found


def _slanted_box(text: Text) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle of the box around a text, half its length and height, and both of its directions."""
    around, angle = text.get_window_extent(), text.get_rotation()
    text.set_rotation(0)
    upright = text.get_window_extent()
    text.set_rotation(angle)
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    middle = np.array([around.x0 + around.x1, around.y0 + around.y1]) / 2
    return middle, np.array([upright.width, upright.height]) / 2, np.array([along, [-along[1], along[0]]])


def _share_inside(box: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> float:
    """The part of a box that is inside of another, by evenly spaced points."""
    (middle, half, directions), (other_middle, other_half, other_directions) = box, other
    if np.hypot(*(middle - other_middle)) > np.hypot(*half) + np.hypot(*other_half):
        return 0.0
    places = (np.stack(np.meshgrid(np.arange(24), np.arange(12)), axis=-1).reshape(-1, 2) + 0.5) / (12, 6) - 1
    points = middle + (places * half) @ directions
    return float(np.mean((np.abs((points - other_middle) @ other_directions.T) < other_half).all(axis=1)))


def _texts(figure: Figure) -> list[Text]:
    """All visible texts; of ticks, those that are within limits."""
    of_ticks, hidden = set(), set()
    shown = []
    for ax in figure.axes:
        axes = [axis for axis in (ax.xaxis, ax.yaxis, getattr(ax, "zaxis", None)) if axis is not None]
        for axis in axes:
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            of_ticks |= {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
            if not ax.axison:
                hidden |= {id(axis.label), id(axis.offsetText)}
            if ax.axison and axis.get_visible():
                inside = axis._update_ticks()
                shown += [label for tick in inside for label in (tick.label1, tick.label2) if label.get_visible()]
    others = [text for text in figure.findobj(Text) if id(text) not in of_ticks | hidden and _is_visible(text)]
    return shown + others


def _is_visible(text: Text) -> bool:
    return text.get_visible() and (text.axes is None or text.axes.get_visible())
