"""[edge] Rings: what hidden units do, and why three of them are needed to tell a disk from the ring around it.

Networks 2-W-1 with sigmoid units, W = 1, 2, 3 and 5, learn the two classes: full batches, Adam with learning rate
1e-3, binary cross-entropy of the logit, 10,000 epochs, many seeds of each width as one population. Every unit draws a
line through the plane; its sides are the point's code. Two lines cannot fence in the disk, three can: they make seven
regions, and the one in the middle belongs to the disk alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import Params
from jaxgeom.analysis.embeddings import code_counts, code_numbers, codes, hyperplanes
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.data.datasets import Dataset, rings
from jaxgeom.data.losses import binary_cross_entropy, side_is_right
from jaxgeom.domains import Box, box
from jaxgeom.networks.layers import Dense, Layers, named_layers
from jaxgeom.recipes.sweep import train_widths
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.count import count_regions
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study

RING_WIDTHS = (1, 2, 3, 5)
RING_NAMES = ("disk", "ring")
"""The classes 0 and 1."""
FAR = 1e4
PUBLISHED_STEP = 9000
PUBLISHED_LOSSES = {1: 0.525, 2: 0.236, 3: 0.043, 5: 0.006}
"""Losses that the notebook behind this study reports after 9,000 epochs, for one network of each width."""


@readable
class Occupancy(NamedTuple):
    """Regions that the first layer's lines cut, and how many of them hold points."""

    num_regions: Int[np.ndarray, "widths seeds"]
    """Regions within ±10,000, where all lines have crossed that are not nearly parallel; exact."""
    num_occupied: Int[np.ndarray, "widths seeds"]
    """Regions with points of the data."""
    num_mixed: Int[np.ndarray, "widths seeds"]
    """Regions with points of both classes."""


@readable
class RegionTable(NamedTuple):
    """The regions of one network's first layer in a domain, and the points in them; one entry a region."""

    complex_: PlanarComplex
    """The regions themselves."""
    codes: list[str]
    """One digit a unit, in their order: 1 on the side where it is on."""
    counts: Int[np.ndarray, "faces classes"]
    """Points of each class."""


def ring_data(key: int = 0) -> Dataset:
    """A disk and a ring around it, 1,000 points each, by the seed of the study."""
    return rings(jax.random.fold_in(jax.random.key(key), 0))


def train_rings(
    widths: Sequence[int] = RING_WIDTHS,
    num_seeds: int = 100,
    *,
    key: int = 0,
    num_epochs: int = 10_000,
    activation: str = "sigmoid",
    progress: bool | str = False,
) -> Study:
    """Networks of several widths trained on the rings, many seeds of each.

    Args:
        widths: hidden units.
        num_seeds: networks of each width.
        key: decides the data, those of :func:`ring_data`, and the networks.
        num_epochs: full-batch steps.
        activation: of the hidden units, by name.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for no widths, repeated widths, or numbers below one.
    """
    return train_widths(
        ring_data(key),
        widths,
        num_seeds,
        key=key,
        loss=binary_cross_entropy,
        is_right=side_is_right,
        learning_rate=1e-3,
        num_epochs=num_epochs,
        activation=activation,
        progress=progress,
    )


def first_layer(params: Params) -> Layers:
    """The network that the lines of the first layer make by themselves, whatever the activations: for
    :func:`jaxgeom.count_regions` and :func:`jaxgeom.enumerate_regions`."""
    _, _, layer = named_layers(params)[0]
    kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    ones = np.ones((*bias.shape, 1), kernel.dtype)
    return Dense(kernel, bias), Dense(ones, np.zeros((*bias.shape[:-1], 1), kernel.dtype))


def occupancy(study: Study, data: Dataset) -> Occupancy:
    """Numbers of the regions of every network, and of those in which points of one or of both classes live.

    Args:
        study: networks with two inputs and at most 16 hidden units.
        data: points and labels 0 and 1.
    """
    params = networks(study, step=study.coords["step"][-1])
    num_units, leading = int(study.coords["width"].max()), study.is_finished.shape
    params = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), params)

    def of_one(params: Params) -> Int[Array, "codes classes"]:
        return code_counts(codes(hyperplanes(params), data.x).number, data.y, num_units, 2)

    counts = np.asarray(jax.jit(jax.vmap(of_one))(params))
    regions = count_regions(first_layer(params), box(-FAR, FAR)).count
    columns = (regions, (counts > 0).any(axis=2).sum(axis=1), (counts > 0).all(axis=2).sum(axis=1))
    return Occupancy(*(column.reshape(leading) for column in columns))


def region_table(params: Params, data: Dataset, domain: Box) -> RegionTable:
    """The regions of one network's first layer in a domain, their codes, and the points of each class in them."""
    complex_ = enumerate_regions(first_layer(params), domain)
    found = np.asarray(jax.jit(lambda params, x: codes(hyperplanes(params), x).number)(params, data.x))
    labels = np.asarray(data.y)
    counts = [
        [int(np.sum((found == number) & (labels == label))) for label in (0, 1)]
        for number in np.asarray(code_numbers(complex_.patterns)).tolist()
    ]
    names = ["".join("01"[int(bit)] for bit in pattern) for pattern in complex_.patterns]
    return RegionTable(complex_, names, np.array(counts).reshape(-1, 2))


def occupancy_table(found: Occupancy, study: Study) -> str:
    """A table in plain text: medians over the networks of each width, and how many of them separate the classes, with a
    95 % interval."""
    lines = [f"{'width':>6} {'regions':>8} {'occupied':>10} {'by both':>8} {'all points right, 95 %':>23}"]
    for row, width in enumerate(study.coords["width"].tolist()):
        regions, lived, mixed = (np.median(column[row]) for column in found)
        is_right = study.variables["accuracy"][row, :, -1] == 1
        share, low, high = (100 * end for end in fraction_interval(int(is_right.sum()), len(is_right)))
        right = f"{share:.0f} % ({low:.0f}–{high:.0f})"
        lines.append(f"{width:>6} {regions:>8.0f} {lived:>10.0f} {mixed:>8.0f} {right:>23}")
    return "\n".join(lines)
