"""[edge] Curves on their way through networks: their lengths do not grow, and sawtooths do not survive noise."""

from itertools import pairwise

import jax
import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes

from jaxgeom.analysis.measures import image_lengths
from jaxgeom.domains import polygon
from jaxgeom.networks.layers import Dense, Layers
from jaxgeom.recipes.reproduce.claims import Claim, exact, mean, within
from jaxgeom.regions.count import count_regions
from jaxgeom.theory import mean_length_ratio

WIDE = 64
"""Widths from this on have a quarter of the networks."""

_FACTORS = {2: 0.712271, 16: 0.960212, 64: 0.990190}
"""c_n of one layer of n units."""
_NOISY = {0.01: 1058.0, 0.05: 506.0, 0.1: 189.0, 0.2: 27.5}
_TEETH = 10
_RADIUS = 1e-6
"""Of a circle so small that hardly a network bends within it: chords across a kink would be too short."""


def length(key: int, quick: bool) -> Claim:
    """Expected lengths of curves after layers at He's initialisation: c_n for each layer, which is below one."""
    rng = np.random.default_rng(key)
    depth, rows, drawn = 5, [], {}
    angle = np.linspace(0, 2 * np.pi, 201)
    for width, factor in _FACTORS.items():
        seeds = (400 if quick else 4000) // (1 if width < WIDE else 4)
        shapes = [*pairwise((width,) * (depth + 1)), (width, 1)]
        layers = tuple(Dense(rng.normal(size=(seeds, a, b)) * np.sqrt(2 / a), np.zeros((seeds, b))) for a, b in shapes)
        circle = np.zeros((len(angle), width))
        circle[:, :2] = [1, 0] + _RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        with jax.enable_x64(True):
            lengths = np.asarray(jax.jit(jax.vmap(lambda network, curve=circle: image_lengths(network, curve)))(layers))
        ratios = lengths[:, 1 : depth + 1] / lengths[:, :1]
        rows.append(mean(f"one layer of {width}: c_{width}", factor, ratios[:, 0]))
        expected = mean_length_ratio((width,) * depth, width)
        rows.append(mean(f"{depth} layers of {width}: c_{width}^{depth}", factor**depth, ratios[:, -1]))
        drawn[width] = (ratios.mean(axis=0), ratios.std(axis=0) / np.sqrt(seeds), expected)

    def draw(ax: Axes) -> None:
        layers = np.arange(1, depth + 1)
        for place, (width, (average, error, _)) in enumerate(drawn.items()):
            ax.errorbar(layers, average, 2 * error, fmt="os^"[place % 3], color=f"C{place}", label=f"width {width}")
            ax.plot(layers, _FACTORS[width] ** layers, color=f"C{place}")
        ax.plot([], [], color="0.4", label="closed form")
        ax.set(
            xlabel="layers", ylabel="length of the image / length, ± 2 standard errors", ylim=(0, 1.1), xticks=layers
        )
        ax.legend(fontsize="small")

    return Claim(
        "Lengths of curves do not grow",
        "Hanin, Jeong & Rolnick (2022), Deep ReLU networks preserve expected length",
        rows,
        "A small circle of 200 chords through networks without biases. Lines are the closed form.",
        draw,
    )


def sawtooth(key: int, quick: bool) -> Claim:
    """Composed tent maps have 2^L pieces, and few of them survive noise in the weights."""
    rng = np.random.default_rng(key)
    rows = [exact(f"pieces of {depth} tent maps", 2**depth, int(_num_pieces(tent(depth)))) for depth in (1, 2, 5)]
    seeds = 40 if quick else 400
    counts = {}
    for noise, published in _NOISY.items():
        counts[noise] = _num_pieces(_noisy(rng, tent(_TEETH), noise, seeds))
        allowed = max(0.1 * published, 3 * counts[noise].std() / np.sqrt(seeds))
        rows.append(within(f"pieces of {_TEETH}, noise {noise}", published, float(counts[noise].mean()), allowed))

    def draw(ax: Axes) -> None:
        boxes = ax.boxplot(list(counts.values()), tick_labels=[f"{noise:g}" for noise in counts])
        boxes["medians"][0].set_label(f"median of {seeds} networks")
        ax.axhline(2**_TEETH, color="black", linestyle="--", label=f"{2**_TEETH:,}, without noise")
        ax.set(xlabel="standard deviation of the noise", ylabel="pieces on [0, 1]", yscale="log")
        ax.legend(fontsize="small")

    return Claim(
        "Sawtooths collapse under noise",
        "Telgarsky (2015); Hanin & Rolnick (2019), arXiv:1901.09021",
        rows,
        "Normal noise in every weight and bias of ten composed tent maps, each written as 2 relu(x) - 4 relu(x - 1/2); "
        "other ways to write them as layers give other figures. Pieces are those of the function: units switch within "
        "them, too, so that there are more activation patterns. Means within 10 %, or within three standard errors of "
        "ours, count as agreement.",
        draw,
    )


def tent(depth: int) -> Layers:
    """The tent map on [0, 1], composed with itself."""
    inner = np.array([[2.0, 2.0], [-4.0, -4.0]])
    bias = np.array([0.0, -0.5])
    return (Dense(np.ones((1, 2)), bias), *[Dense(inner, bias)] * (depth - 1), Dense(inner[:, :1], np.zeros(1)))


def _noisy(rng: np.random.Generator, layers: Layers, noise: float, seeds: int) -> Layers:
    result: Layers = jax.tree.map(lambda array: array + noise * rng.normal(size=(seeds, *array.shape)), layers)
    return result


def _num_pieces(layers: Layers) -> Int[np.ndarray, "*networks"]:
    """Pieces of functions on [0, 1]: linear regions of a square in which nothing depends on the second coordinate."""
    first = layers[0]
    flat = np.concatenate([first.kernel, np.zeros_like(first.kernel)], axis=-2)
    square = polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    return count_regions((first._replace(kernel=flat), *layers[1:]), square, kind="linear").count
