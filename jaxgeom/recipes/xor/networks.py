"""[edge] XOR: single networks, looked at closely, and pairs of networks, compared.

The network that solves XOR by hand; networks that learn it, with snapshots every ten steps; and how far the affine maps
of one network are an affine image of those of another, for two networks and for many pairs.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.analysis.comparison import AffineFit, affine_triples, fit_affine, predict_affine, r_squared
from jaxgeom.data.losses import side_is_right
from jaxgeom.domains import box, corners, grid_points
from jaxgeom.host.chunks import map_chunks
from jaxgeom.host.programs import quickly_compiled
from jaxgeom.host.sizes import size_of_grid_chunks
from jaxgeom.networks.layers import Dense, Layers, layers_of, slope_of
from jaxgeom.recipes.xor.experiment import NUM_STEPS, train_xor
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.regions.grid.batches import in_float64
from jaxgeom.study.measurements import accuracy_on, loss_on
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study, select

SNAPSHOT_EVERY = 10
_BYTES_OF_POINT = 512
"""Of the maps of a pair of networks at a point, and what they are computed from."""
_AGREE = 0.5
"""R² of two networks that have much in common."""
DATA = corners(box())
"""The four points, with the targets of ``parity(2)``."""


@readable
class Pair(NamedTuple):
    """Two networks on a grid of points, and their affine maps sent onto each other."""

    points: Float[np.ndarray, "points 2"]
    """The grid."""
    triples: tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, "points 3"]]
    """Gradient and intercept of network 1 and of network 2 at each point."""
    images: tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, "points 3"]]
    """What the fit of 1 to 2 makes of the first, and that of 2 to 1 of the second."""
    distinct: tuple[Bool[np.ndarray, " points"], Bool[np.ndarray, " points"]]
    """The first point of each distinct affine map, of network 1 and of network 2."""
    r_squared: tuple[float, float]
    """Of both fits, over all points."""
    complexes: tuple[PlanarComplex, PlanarComplex]
    """The exact regions of network 1 and of network 2."""
    sent: tuple[PlanarComplex, PlanarComplex]
    """The regions of network 1 with the images of their affine maps under the fit of 1 to 2; likewise those of 2."""


@readable
class PairScores(NamedTuple):
    """R² of many pairs."""

    widths: tuple[int, int]
    """Hidden units of the first and the second networks."""
    all_points: Float[np.ndarray, " pairs"]
    """R² over the grid, of the map fitted there."""
    data_points: Float[np.ndarray, " pairs"]
    """R² over the grid, of the map fitted at the four data points only."""
    members: Int[np.ndarray, "pairs 2"]
    """Numbers of the two networks in their populations."""


def xor_by_hand() -> Layers:
    """f(x, y) = 2 relu(x + y + 1) - 4 relu(x + y) - 1, whose sign is XOR on {-1, 1}²: it is 1 where x + y = 0, -1 at
    (-1, -1) and -3 at (1, 1)."""
    return (
        Dense(np.ones((2, 2)), np.array([1.0, 0.0])),
        Dense(np.array([[2.0], [-4.0]]), np.array([-1.0])),
    )


def xor_training(study: Study, width: int, seed: int, *, every: int = SNAPSHOT_EVERY) -> Study:
    """One network of :func:`jaxgeom.xor_study` trained once more, with its parameters, loss and accuracy on the way.

    Args:
        study: networks that learned XOR.
        width: hidden units.
        seed: number of the network.
        every: steps between measurements.
    """
    once_more = train_xor(
        width,
        [seed],
        measure={"loss": loss_on(), "accuracy": accuracy_on(is_right=side_is_right)},
        at_steps=range(0, NUM_STEPS + 1, every),
        key=study.settings["description"]["key"],
        max_tries=int(select(study, width=width, seed=seed).variables["tries"]),
    )
    return select(once_more, seed=seed)


def xor_values(layers: Layers, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "*networks points"]:
    """The output at each point, of one network or a population, by NumPy in float64."""
    h = np.asarray(points, np.float64)
    for index, layer in enumerate(layers):
        if index:
            h = np.where(h > 0, h, np.asarray(slope_of(layers[index - 1]))[..., None, :] * h)
        h = h @ np.asarray(layer.kernel, np.float64) + np.asarray(layer.bias)[..., None, :]
    return h[..., 0]


def xor_pair(first: Layers, second: Layers, *, num_grid: int = 101) -> Pair:
    """Compare two networks in both directions, over a grid on [-1, 1]² and the four data points."""
    points = grid_points(box(), num_grid, with_corners=True)
    triples = in_float64(_triples, points=points)
    x, y = (np.asarray(triples(jax.tree.map(lambda array: array[None], layers)))[0] for layers in (first, second))
    with jax.enable_x64(True):
        there, back = (jax.tree.map(np.asarray, _image(*each)) for each in ((x, y), (y, x)))
    scores = float(there[1]), float(back[1])
    complexes = enumerate_regions(first, box()), enumerate_regions(second, box())
    sent = _sent(complexes[0], there[2]), _sent(complexes[1], back[2])
    distinct = _is_distinct(x), _is_distinct(y)
    return Pair(points, (x, y), (there[0], back[0]), distinct, scores, complexes, sent)


@quickly_compiled
def _image(x: Array | np.ndarray, y: Array | np.ndarray) -> tuple[Array, Array, AffineFit]:
    fit = fit_affine(x, y)
    image = predict_affine(fit, x)
    return image, r_squared(y, image), fit


def _sent(complex_: PlanarComplex, fit: AffineFit) -> PlanarComplex:
    """Regions with the images of their affine maps."""
    images = np.column_stack([complex_.gradient[:, 0], complex_.intercept[:, 0]]) @ fit.kernel + fit.intercept
    return complex_._replace(gradient=images[:, None, :2], intercept=images[:, 2:])


def _is_distinct(triples: Float[np.ndarray, "points 3"], atol: float = 1e-3) -> Bool[np.ndarray, " points"]:
    """The rows of which no kept one before is within ``atol``."""
    is_kept = np.zeros(len(triples), bool)
    kept = np.empty((0, 3))
    for row in np.sort(np.unique(triples, axis=0, return_index=True)[1]):
        if not len(kept) or np.square(kept - triples[row]).sum(axis=1).min() >= atol**2:
            kept = np.concatenate([kept, triples[row][None]])
            is_kept[row] = True
    return is_kept


def compare_pairs(first: Layers, second: Layers, *, num_grid: int = 101, progress: bool | str = False) -> PairScores:
    """R² of network i of the first population against network i of the second, for all i at once.

    Args:
        first: a population with one leading axis.
        second: another population of as many networks.
        num_grid: grid points along each axis, on [-1, 1]².
        progress: show a progress bar; a string is its title.
    """
    points = grid_points(box(), num_grid, with_corners=True)
    triples = in_float64(_triples, points=points)
    chunk_size = size_of_grid_chunks(_BYTES_OF_POINT * len(points))

    def scores(pairs: tuple[Layers, Layers]) -> tuple[Array, Array]:
        result: tuple[Array, Array] = in_float64(_scores)(tuple(triples(layers) for layers in pairs))
        return result

    on_grid, at_data = map_chunks(scores, (first, second), chunk_size=chunk_size, progress=progress)
    widths = (first[0].bias.shape[-1], second[0].bias.shape[-1])
    return PairScores(widths, on_grid, at_data, np.repeat(np.arange(len(on_grid))[:, None], 2, axis=1))


def _members(layers: Layers, numbers: Int[np.ndarray, " chosen"]) -> Layers:
    result: Layers = jax.tree.map(lambda array: np.asarray(array)[numbers], layers)
    return result


@jax.jit
def _triples(layers: Layers, *, points: Array) -> Array:
    return jax.vmap(affine_triples, in_axes=(0, None))(layers, points)


def _scores(triples: tuple[Array, Array]) -> tuple[Array, Array]:
    """Apart from the networks, so that pairs of any widths share the program. The last rows are the data points."""
    x, y = triples
    at_data = _fits_of_few(x[:, -len(DATA) :], y[:, -len(DATA) :])
    scores: tuple[Array, Array] = _scores_of_fits(x, y, at_data)
    return scores


@quickly_compiled
def _fits_of_few(x: Array, y: Array) -> AffineFit:
    return jax.vmap(fit_affine)(x, y)


@jax.jit
def _scores_of_fits(x: Array, y: Array, at_data: AffineFit) -> tuple[Array, Array]:
    """R² of the fits over all points, and of these."""

    def one(x: Array, y: Array, at_data: AffineFit) -> tuple[Array, Array]:
        return r_squared(y, predict_affine(fit_affine(x, y), x)), r_squared(y, predict_affine(at_data, x))

    return jax.vmap(one)(x, y, at_data)


def xor_pair_scores(
    study: Study, *, num_pairs: int = 100, num_grid: int = 101, progress: bool = False
) -> list[PairScores]:
    """R² of pairs of networks that solve XOR: of each width with its like, and of each width with the next one.

    Networks with even numbers are compared with those with odd numbers, so that no network is in two pairs of a kind.

    Args:
        study: networks that learned XOR, as :func:`jaxgeom.xor_study` gives them.
        num_pairs: at most so many of each kind.
        num_grid: grid points along each axis.
        progress: show progress bars.
    """
    widths = study.coords["width"].tolist()
    layers = {width: layers_of(networks(study, width=width, step=NUM_STEPS)) for width in widths}
    solved = {width: np.flatnonzero(row) for width, row in zip(widths, study.variables["is_solved"], strict=True)}
    found = []
    for a, b in [(width, width) for width in widths] + list(pairwise(widths)):
        first, second = solved[a][::2][:num_pairs], solved[b][1::2][:num_pairs]
        num = min(len(first), len(second))
        if num:
            one, other = _members(layers[a], first[:num]), _members(layers[b], second[:num])
            title = f"pairs {a} and {b}" if progress else False
            scores = compare_pairs(one, other, num_grid=num_grid, progress=title)
            found.append(scores._replace(members=np.stack([first[:num], second[:num]], axis=1)))
    return found


def chosen_pairs(scores: Sequence[PairScores]) -> dict[str, tuple[PairScores, int]]:
    """Pairs to look at, by name.

    Args:
        scores: as :func:`xor_pair_scores` gives them.

    Returns:
        "similar": of the first width, the median one of those pairs whose R² is above 0.5, or the best one if there are
        none; "dissimilar": of the first width, that with the lowest R²; "widths": the median one of the first kind with
        two different widths; and of every further width the median pair, named after it: "width20", "width100".
    """
    found: dict[str, tuple[PairScores, int]] = {}
    for each in scores:
        order = np.argsort(each.all_points, kind="stable")
        if each.widths[0] != each.widths[1]:
            found.setdefault("widths", (each, int(order[len(order) // 2])))
        elif "similar" in found:
            found[f"width{each.widths[0]}"] = (each, int(order[len(order) // 2]))
        elif len(order) > 1:
            agree = order[each.all_points[order] > _AGREE]
            found["similar"] = (each, int(agree[len(agree) // 2] if len(agree) else order[-1]))
            found["dissimilar"] = (each, int(order[0]))
    return found
