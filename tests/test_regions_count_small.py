"""The short way from one small network to its count: the numbers and errors of the long way, and nothing stale."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgeom import Dense, box, count_regions, polygon, whole_plane


def both_ways(layers, domain, **options):
    """Count and flag, or the error, of the short way of single networks and of the long way through a population."""
    try:
        one = count_regions(layers, domain, **options)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    many = count_regions(tuple(Dense(layer[0][None], layer[1][None]) for layer in layers), domain, **options)
    assert one.count.shape == one.degenerate.shape == ()
    assert (one.count.dtype, one.degenerate.dtype) == (np.int64, bool)
    assert (int(one.count), bool(one.degenerate)) == (int(many.count[0]), bool(many.degenerate[0]))
    return int(one.count), bool(one.degenerate)


@pytest.mark.parametrize("widths", [(), (1,), (7,), (5, 4), (3, 3, 3, 3, 3)])
@pytest.mark.parametrize("domain", [box(), box(-1e-3, 1e200), polygon([[0, 0], [2, 1], [0, 3]]), whole_plane()])
def test_short_way_of_small_networks(unchecked, widths, domain):
    """However the numbers of one network lie in memory, it has the regions that it has in a population."""
    rng = np.random.default_rng(len(widths))
    shapes = list(pairwise((2, *widths, 1)))
    layers = tuple(Dense(*(rng.normal(size=s).astype(np.float32) for s in ((a, b), (b,)))) for a, b in shapes)
    expected = both_ways(layers, domain)
    doubles = tuple(Dense(k.astype(np.float64), b.astype(np.float64)) for k, b, _ in layers)
    mixed = tuple(Dense(k, b.astype(np.float64)) for k, b, _ in layers)
    strided = tuple(Dense(np.asfortranarray(k), np.repeat(b, 2)[::2]) for k, b, _ in layers)
    swapped = tuple(Dense(k.astype(">f4"), b.astype(">f8")) for k, b, _ in layers)
    pairs = [(k, b) for k, b, _ in layers]
    on_device = jax.tree.map(jnp.asarray, layers)
    with jax.enable_x64(True):
        in_float64 = jax.tree.map(jnp.asarray, doubles)
    for same in (doubles, mixed, strided, swapped, pairs, list(layers), on_device, in_float64):
        assert both_ways(same, domain) == expected


def test_short_way_leaves_keys_and_tracers_to_the_long_way(unchecked):
    keys = jax.random.split(jax.random.key(0), (2, 3))
    with pytest.raises(TypeError, match="random keys"):
        count_regions((Dense(keys, keys[0]), Dense(np.ones((3, 1)), np.zeros(1))), box())
    layers = (Dense(np.eye(2, dtype=np.float32), np.zeros(2, np.float32)), Dense(np.ones((2, 1)), np.zeros(1)))
    assert int(jax.jit(lambda layers: count_regions(layers, box()).count)(layers)) == 4


def test_short_way_sees_exact_zeros_and_new_numbers():
    square, corner = box(), Dense(np.eye(2), np.array([-1.0, 0.0]))
    layers = (corner, Dense(np.ones((2, 1)), np.zeros(1)))
    assert both_ways(layers, square) == (2, True)  # a line along a side of the square
    corner.bias[0] = 0.5
    assert both_ways(layers, square) == (4, False)
    square.low[0] = 0.0  # nothing is remembered but numbers
    assert both_ways(layers, square) == (2, False)
    square.low[0] = 2.0
    with pytest.raises(ValueError, match="low must lie below high"):
        count_regions(layers, square)
    corner.bias[0] = np.nan
    with pytest.raises(ValueError, match="layer 0 of the network has NaN"):
        count_regions(layers, box())


@pytest.mark.parametrize(
    ("kernels", "biases", "message"),
    [
        ([(3, 4), (4, 1)], [(4,), (1,)], "two inputs are needed"),
        ([(2, 4), (3, 1)], [(4,), (1,)], "layer 1 takes 3 inputs"),
        ([(2, 4), (4, 1)], [(3,), (1,)], r"layer 0 has a kernel of shape \(2, 4\)"),
        ([(2,), (4, 1)], [(4,), (1,)], r"layer 0 has a kernel of shape \(2,\)"),
        ([(2, 4), (4, 1)], [(4,), ()], r"layer 1 has a kernel"),
    ],
)
def test_short_way_leaves_errors_to_the_long_way(kernels, biases, message):
    layers = tuple(Dense(np.ones(kernel), np.ones(bias)) for kernel, bias in zip(kernels, biases, strict=True))
    with pytest.raises(ValueError, match=message):
        count_regions(layers, box())
