"""The explorer's colours, as readers see them who do not tell red and green apart, and in print without colours."""

import json
from itertools import combinations

import numpy as np
import pytest
from test_explorer_kinds import in_node

# Linear sRGB of what the others see, as seen without one of the cones: by Viénot, Brettel & Mollon (1999), and by
# Machado, Oliveira & Fernandes (2009).
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deuteranopia": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
    "protanopia, 2009": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia, 2009": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia, 2009": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1, 1.08883])
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def colors() -> dict:
    program = """const { CLASSES, lookOf, channels, classTint } = await load("colors");
      const { shareColor, shareInk } = await load("phase"), { thresholdColor } = await load("line");
      const numbers = (text) => (text.startsWith("#") ? channels(text) : text.match(/\\d+/g).map(Number));
      const each = (value) => (Array.isArray(value) ? value.map(each) : numbers(value));
      const looks = Object.fromEntries(THEMES.map((theme) => {
        const { paper, ink, faint, strong, side, weak, layers, points, boundary, picked, chosen } = lookOf(theme);
        const thresholds = [0, 1, 2].map((layer) => thresholdColor(lookOf(theme), layer));
        const tints = CLASSES.map((_, number) => classTint(lookOf(theme), number, 0.4));
        const single = [paper, ink, faint, boundary, picked].map((color) => [color]);
        return [theme, each([...single, strong, side, weak, layers, points, tints, chosen, thresholds])];
      }));
      const shares = Array.from({ length: 21 }, (_, i) => numbers(shareColor(i / 20)));
      const inks = Array.from({ length: 21 }, (_, i) => numbers(shareInk(i / 20)));
      console.log(JSON.stringify({ classes: each(CLASSES), looks, shares, inks }));"""
    found = in_node(f"const THEMES = {json.dumps(THEMES)};\n" + program)
    names = ("paper", "ink", "faint", "boundary", "picked", "strong", "side", "weak", "layers", "points", "tints")
    names += ("chosen", "thresholds")
    looks = {theme: dict(zip(names, look, strict=True)) for theme, look in found["looks"].items()}
    return {"classes": found["classes"], "shares": found["shares"], "inks": found["inks"], **looks}


def linear(color: list[int]) -> np.ndarray:
    share = np.array(color) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """CIELAB, whose distances are about those that eyes see: 2.3 is just noticed."""
    xyz = TO_XYZ @ np.clip(light, 0, 1) / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def least_distance(some: list[list[int]], kind: str) -> float:
    seen = [lab(SEEN[kind] @ linear(color)) for color in some]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


def contrast(first: list[int], second: list[int]) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(color)) for color in (first, second))
    return (high + 0.05) / (low + 0.05)


def test_what_is_seen_is_simulated_rightly() -> None:
    for kind in SEEN:
        np.testing.assert_allclose(SEEN[kind] @ np.ones(3), 1, atol=2e-6)  # greys stay
    np.testing.assert_allclose(lab(linear([255, 255, 255])), [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(lab(linear([255, 0, 0])), [53.24, 80.09, 67.20], atol=0.05)
    red, green = [200, 60, 0], [100, 110, 0]
    blue, teal = [0, 90, 200], [0, 130, 120]
    for kind in SEEN:
        if "deuter" in kind:
            assert least_distance([red, green], "all cones") > 2 * least_distance([red, green], kind)
        if "prot" in kind:  # red is dark
            assert lab(SEEN[kind] @ linear([255, 0, 0]))[0] < lab(linear([255, 0, 0]))[0] - 10
        if "trit" in kind:
            assert least_distance([blue, teal], "all cones") > 2 * least_distance([blue, teal], kind)


@pytest.mark.parametrize("kind", SEEN)
def test_colours_are_told_apart_by_all_readers(kind: str, colors: dict) -> None:
    assert least_distance(colors["classes"], kind) > 15
    assert least_distance(colors["shares"][::5], kind) > 15
    for theme in THEMES:
        look = colors[theme]
        assert least_distance(look["layers"], kind) > 15, theme
        assert least_distance(look["strong"], kind) > 60, theme
        assert least_distance(look["side"], kind) > 50, theme
        assert least_distance(look["weak"], kind) > 12, theme
        assert least_distance([*look["picked"], *look["layers"]], kind) > 15, theme
        assert least_distance([*look["boundary"], *look["layers"]], kind) > 15, theme
        assert least_distance(look["points"], kind) > 15, theme
        assert least_distance(look["tints"][:3], kind) > 15, theme
        assert least_distance(look["chosen"], kind) > 15, theme
        for mark in (*look["picked"], look["chosen"][0]):
            for sign in (*look["strong"], *look["side"]):
                assert least_distance([mark, sign], kind) > 15, theme
        for sign in look["strong"]:
            assert least_distance([look["chosen"][1], sign], kind) > 15, theme  # which is dashed, too
        for target in look["strong"]:
            for threshold in look["thresholds"]:
                assert least_distance([threshold, target], kind) > 12, theme


@pytest.mark.parametrize("theme", THEMES)
def test_sides_are_told_apart_without_colours_and_lines_are_seen(theme: str, colors: dict) -> None:
    look = colors[theme]
    (paper,), (faint,) = look["paper"], look["faint"]
    for name in ("strong", "side"):
        low, high = sorted(lab(linear(color))[0] for color in look[name])
        assert high - low > 14, name
    for color in (*look["strong"], *look["layers"], *look["boundary"], *look["picked"], *look["chosen"], faint):
        assert contrast(color, paper) > 3
    tints = np.sort([lab(linear(color))[0] for color in look["tints"][:3]])
    assert np.diff(tints).min() > 7
    for color, tint in zip(look["points"], look["tints"], strict=True):  # points lie on the tint of their class
        assert theme == "light" or contrast(color, tint) > 2.4
    assert contrast(look["ink"][0], paper) > 12
    lightness = [lab(linear(color))[0] for color in colors["shares"]]
    assert np.all(np.diff(lightness) < -1)
    assert lightness[0] - lightness[-1] > 55


def test_numbers_are_read_on_all_shades(colors: dict) -> None:
    for shade, ink in zip(colors["shares"], colors["inks"], strict=True):
        assert contrast(shade, ink) > 4.5
