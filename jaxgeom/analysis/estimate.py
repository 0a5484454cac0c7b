"""[host] Estimated numbers of activation regions on boxes of any dimension, with standard errors and certain bounds."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int64
from tqdm.auto import tqdm

from jaxgeom._reprs import readable
from jaxgeom._typing import Keys, RandomKey
from jaxgeom.analysis.cell_tree import Walk, walk
from jaxgeom.analysis.polytopes import Cells, cube_of
from jaxgeom.analysis.upper_bounds import rounded_up, upper_bound
from jaxgeom.domains import Box, checked_box
from jaxgeom.host.given import as_float64, check_progress
from jaxgeom.host.inputs import as_key, as_keys
from jaxgeom.networks.layers import Activation, Layers, check_finite, check_layers, slope_of, with_activation
from jaxgeom.regions.cells import check_inputs, with_one_axis

LEAST_REPLICATES = 10
"""Fewer replicates say too little about their spread, from which the standard error is computed."""

TOLERANCE = 1e-9
"""How deep a region must reach beyond the zero set of a unit that it is cut off by, in half widths of the box."""
_EPS = np.finfo(np.float64).eps
_TINY = 1e-300


@readable
class RegionEstimate(NamedTuple):
    """Estimated numbers of activation regions; shapes are the leading axes of the layers."""

    estimate: Float[np.ndarray, "*networks"]
    """Unbiased estimate of the number of regions; NaN where a member of a population is not finite."""
    standard_error: Float[np.ndarray, "*networks"]
    """Its standard error: of the mean of independent replicates. Zero where all regions were visited."""
    lower: Int64[np.ndarray, "*networks"]
    """Regions that certainly exist: those that were seen, with signs that hold in spite of rounding. -1 where not
    finite."""
    upper: Float[np.ndarray, "*networks"]
    """Upper bound for these weights, rounded up. NaN where not finite."""
    is_complete: Bool[np.ndarray, "*networks"]
    """Whether all regions were visited, so that the estimate is a count."""
    num_programs: Int64[np.ndarray, "*networks"]
    """Linear programs that were solved."""


def estimate_regions(
    key: RandomKey | Keys,
    layers: Layers,
    domain: Box,
    *,
    num_samples: int = 1000,
    num_replicates: int = 40,
    activation: Activation | None = None,
    progress: bool | str = False,
) -> RegionEstimate:
    """Unbiased estimates of the numbers of activation regions of networks on a box of any dimension.

    A region is a full-dimensional cell of the box with one activation pattern of the hidden units; the sign of the
    output does not cut. Knuth 1975, "Estimating the efficiency of backtrack programs": the regions are the leaves of a
    tree that branches at each unit that cuts a cell, and a random walk down the tree, in which each step counts for
    all branches, has as many leaves on average as the tree. Here ``num_samples`` cells go down together, in
    ``num_replicates`` independent replicates; up to so many cells, nothing is left out, and the numbers are counts.

    The error falls with 1/√num_samples, and ``estimate ± 1.96 · standard_error`` covers the number in about 95 % of
    all networks. Whether a unit cuts a cell is decided by linear programs in float64: parts of cells that reach less
    than 1e-9 half widths of the box beyond the unit's zero set are left out, as are those that have no interior. The
    bounds ``lower`` and ``upper`` are certain in spite of all rounding.

    Cost: for each unit and each of the cells a linear program of 10 to 30 µs in 3 to 5 dimensions, and 2 ms for 784
    inputs and some 20 units, in memory of 8 · num_samples · units · min(inputs, first width) bytes or so.

    Args:
        key: a random key. For a population one key, from which each member gets its own by its place
            (``jax.random.fold_in``), or one key for each member. The same key and weights give the same bits whatever
            the other members are.
        layers: one network, or a population with any leading axes, one after the other.
        domain: where to count, for instance ``jaxgeom.box(0, 1, dim=784)``.
        num_samples: cells in all replicates together.
        num_replicates: how many times to estimate; their spread is the standard error.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        progress: show a progress bar over all units; a string is its title.

    Raises:
        TypeError: for anything that is not a key, a network, or a box.
        ValueError: for inputs of another dimension than the box, a single network with NaN or infinite weights,
            fewer than 10 replicates, or fewer than 2 samples for each of them.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((10, 12, 12, 1), activation="relu").init(jax.random.key(0)))
        >>> found = jg.estimate_regions(jax.random.key(1), network, jg.box(-1, 1, dim=10), num_samples=400)
        >>> bool(found.lower < found.estimate < found.upper)
        True
    """
    check_progress(progress)
    domain = checked_box(domain)
    _check_numbers(num_samples, num_replicates)
    if any(isinstance(array, jax.core.Tracer) for array in jax.tree.leaves(layers)):
        raise TypeError("estimate_regions takes arrays, but the layers are traced. Call it outside of jit and vmap.")
    layers = check_inputs(check_layers(with_activation(layers, activation)), domain)
    leading = np.shape(layers[0].bias)[:-1]
    if not leading:
        check_finite(layers)
    num = math.prod(leading)
    seeds = _seeds(key, leading)
    flat = jax.tree.map(as_float64, with_one_axis(layers))
    num_units = sum(layer.bias.shape[-1] for layer in flat[:-1])
    rows: list[tuple[Any, ...]] = []
    title = progress if isinstance(progress, str) else None
    with tqdm(total=num * num_units, unit="unit", desc=title, disable=not progress) as bar:
        for member in range(num):
            network = jax.tree.map(lambda array, member=member: array[member], flat)
            if not all(np.isfinite(array).all() for array in jax.tree.leaves(network)):
                rows.append((np.nan, np.nan, -1, np.nan, False, 0))
                bar.update(num_units)
                continue
            random = np.random.default_rng(seeds[member])
            found = _walk(network, domain, random, num_samples, num_replicates, bar.update)
            spread = 0.0 if found.is_complete else found.totals.std(ddof=1) / math.sqrt(num_replicates)
            upper = rounded_up(upper_bound(network, domain))
            rows.append((found.totals.mean(), spread, found.num_seen, upper, found.is_complete, found.num_programs))
    columns = zip(*rows, strict=True) if rows else [()] * 6
    dtypes = (np.float64, np.float64, np.int64, np.float64, bool, np.int64)
    arrays = (np.array(column, dtype).reshape(leading) for column, dtype in zip(columns, dtypes, strict=True))
    return RegionEstimate(*arrays)


def _check_numbers(num_samples: int, num_replicates: int) -> None:
    if num_replicates < LEAST_REPLICATES:
        raise ValueError(
            f"num_replicates must be at least 10, but {num_replicates} was given: the standard error is their spread."
        )
    if num_samples < 2 * num_replicates:
        raise ValueError(
            f"num_samples must be at least 2 for each replicate, but {num_samples} and num_replicates = "
            f"{num_replicates} were given. Take more samples."
        )


def _seeds(key: RandomKey | Keys, leading: tuple[int, ...]) -> list[list[int]]:
    """Seeds of NumPy's generators, one for each member."""
    num = math.prod(leading)
    if np.ndim(key) == 0 or (np.ndim(key) == 1 and getattr(key, "dtype", None) == np.uint32):
        one = as_key(key)
        keys: Keys = jax.vmap(jax.random.fold_in, (None, 0))(one, np.arange(num)) if leading else one[None]
    else:
        keys = as_keys(key)
        if len(leading) != 1 or len(keys) != num:
            raise ValueError(
                f"one key, or one for each network is needed, but {len(keys)} keys were given for layers with the "
                f"leading axes {leading}. Split a key: jax.random.split(key, {num})."
            )
    result: list[list[int]] = np.asarray(jax.random.key_data(keys)).astype(int).tolist()
    return result


def _walk(
    network: Layers,
    domain: Box,
    random: np.random.Generator,
    num_samples: int,
    num_replicates: int,
    tick: Callable[[], object],
) -> Walk:
    return walk(
        cube_of(network, domain),
        len(domain.low),
        random,
        num_cells=num_samples,
        num_replicates=num_replicates,
        tolerance=TOLERANCE,
        num_certain=lambda cells: _num_certain(network, domain, cells),
        tick=tick,
    )


def _num_certain(layers: Layers, domain: Box, cells: Cells) -> int:
    """How many of some cells certainly contain a region that no other one of them contains.

    Two cells lie on different sides of a unit that cut one of their ancestors. If all units that cut a cell's
    ancestors certainly have the right strict signs at its point, then so it is for the regions around the points.
    """
    x = np.clip((domain.low / 2 + domain.high / 2) + (domain.high / 2 - domain.low / 2) * cells.point, *domain)
    value, error = x, np.zeros_like(x)
    is_certain, start = np.ones(len(x), bool), 0
    with np.errstate(all="ignore"):
        for layer in layers[:-1]:
            kernel, bias = np.abs(layer.kernel), np.abs(layer.bias)
            terms = np.abs(value) @ kernel + bias
            error = 1.01 * (error @ kernel + (len(kernel) + 2) * _EPS * terms) + _TINY
            value = value @ layer.kernel + layer.bias
            stop = start + len(bias)
            is_right = np.where(cells.pattern[:, start:stop], value > error, value < -error)
            is_certain &= (is_right | ~cells.is_cut[:, start:stop]).all(axis=1)
            slope, start = np.asarray(slope_of(layer)), stop
            # Where a sign is not certain, both pieces are possible: the error grows with the steeper one.
            steep = np.maximum(1.0, np.abs(slope))
            after = np.where(value > 0, value, slope * value)
            error = np.where(value > error, error, np.where(value < -error, np.abs(slope) * error, steep * error))
            error, value = error + _EPS * np.abs(after), after
    return int(is_certain.sum())
