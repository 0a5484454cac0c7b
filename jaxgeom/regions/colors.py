"""[host] Colours for the faces of a complex: neighbours differ, and a face keeps its colour while the network moves.

Every unit turns the hue by an angle of its own where it is active, so that the activation pattern alone gives the
colour; angles are neither small nor nearly full turns. Where an odd number of units is active, the colour is darker:
across an edge one unit changes. Colours are light ones of even brightness, in Ottosson's OKLab space (2020), whose
conversion to sRGB is written out here.
"""

import numpy as np
from jaxtyping import Float

from jaxgeom.regions.complex import PlanarComplex

_LINEAR_PART = 0.0031308
"""Below, sRGB is linear (IEC 61966-2-1)."""

LAYER_COLORS = ("#5c4a2e", "#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Colours of the edges that each layer makes, over again after the last: dark brown, since decision boundaries are
black, then Okabe and Ito's."""

CLASS_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#f0e442")
"""Okabe and Ito's colours, told apart by colour-blind readers too."""

MORE_CLASS_COLORS = (
    *("#88ccee", "#cc6677", "#117733", "#ddcc77", "#aa4499"),
    *("#44aa99", "#332288", "#999933", "#882255", "#222222"),
)
"""Tol's muted colours (2021, SRON technical note 09-002) and nearly black, told apart by colour-blind readers too."""

_LIGHTNESS = (0.94, 0.87)
_CHROMA = 0.06
_LMS_OF_LAB = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
)
_RGB_OF_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.707614701],
    ]
)


def class_colors(num_classes: int) -> Float[np.ndarray, "classes 3"]:
    """One colour a class, as sRGB values from 0 to 1: Okabe and Ito's for up to seven classes, Tol's for up to ten, and
    from there on over again."""
    palette = CLASS_COLORS if num_classes <= len(CLASS_COLORS) else MORE_CLASS_COLORS
    names = [palette[index % len(palette)] for index in range(num_classes)]
    return np.array([[int(name[k : k + 2], 16) / 255 for k in (1, 3, 5)] for name in names]).reshape(-1, 3)


def lighter(color: Float[np.ndarray, "*colors 3"]) -> Float[np.ndarray, "*colors 3"]:
    """Colours mixed with as much white, for areas with lines and names on them."""
    return 0.5 + 0.5 * color


def face_colors(complex_: PlanarComplex, seed: int = 0) -> Float[np.ndarray, "faces 3"]:
    """A light colour for each face, as sRGB values from 0 to 1.

    Args:
        complex_: as :func:`jaxgeom.enumerate_regions` gives it.
        seed: another one gives other colours.
    """
    turns = np.random.default_rng(seed).uniform(0.2, 0.8, complex_.patterns.shape[1])
    angle = 2 * np.pi * (complex_.patterns @ turns)
    lightness = np.take(_LIGHTNESS, complex_.patterns.sum(axis=1) % 2)
    lab = np.stack([lightness, _CHROMA * np.cos(angle), _CHROMA * np.sin(angle)], axis=1)
    return srgb_of_oklab(lab)


def srgb_of_oklab(lab: Float[np.ndarray, "*colors 3"]) -> Float[np.ndarray, "*colors 3"]:
    """sRGB values from 0 to 1 of colours in Ottosson's OKLab space: lightness, green to red, blue to yellow."""
    linear = np.clip((lab @ _LMS_OF_LAB.T) ** 3 @ _RGB_OF_LMS.T, 0.0, 1.0)
    result: Float[np.ndarray, "*colors 3"] = np.clip(
        np.where(linear <= _LINEAR_PART, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055), 0.0, 1.0
    )
    return result
