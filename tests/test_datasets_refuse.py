"""What datasets refuse, and that it is refused at once."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from jaxgeom import datasets
from jaxgeom.data.datasets import Dataset

KEY = jax.random.key(7)
DATASET = Dataset(jnp.zeros((10, 2)), jnp.zeros(10, jnp.int32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(datasets.spirals, KEY, num_per_class=0), "num_per_class is 0; allowed: integers from 1 up"),
        (partial(datasets.spirals, KEY, num_classes=-1), "num_classes is -1; allowed: integers from 1 up"),
        (partial(datasets.spirals, KEY, noise=-0.1), "noise is -0.1; allowed: finite numbers from 0 up"),
        (partial(datasets.spirals, KEY, noise=float("nan")), "noise is nan; allowed: finite"),
        (
            partial(datasets.spirals, KEY, radius=(-1.0, 1.0)),
            r"radius\[0\] is -1.0; allowed: finite .* from 0 up",
        ),
        (
            partial(datasets.rings, KEY, outer=(3.0, float("inf"))),
            r"outer\[1\] is inf; allowed: finite numbers",
        ),
        (
            partial(datasets.disk_with_holes, KEY, num_holes=0),
            "num_holes is 0; .* 1 up. Class 1 needs a hole",
        ),
        (
            partial(datasets.disk_with_holes, KEY, radius=0.0),
            "radius is 0.0; allowed: finite numbers above 0",
        ),
        (
            partial(datasets.disk_with_holes, KEY, hole_radius=0.17),
            "hole_radius is 0.17; .* / 6 = 0.16.*smaller",
        ),
        (
            partial(datasets.disk_with_holes, KEY, positive_radius=0.11),
            "up to hole_radius = 0.1. Class 1 must",
        ),
        (
            partial(datasets.disk_with_holes, KEY, num_holes=20),
            "below 0.082.*, where 19 holes .* touch. Use fewer",
        ),
        (partial(datasets.line_segments, KEY, length=0.0), "length is 0.0; allowed: finite numbers above 0"),
        (partial(datasets.parity, 0), "dim is 0; allowed: integers from 1 up"),
        (partial(datasets.parity, 21), "dim is 21; allowed: 1 to 20. Draw"),
        (
            partial(datasets.damped_sine, low=1.0, high=1.0),
            r"\(1.0, 1.0\); allowed: .* low < high. Swap or widen",
        ),
        (partial(datasets.damped_sine, high=float("inf")), r"\(low, high\) is \(-10.0, inf\); allowed: finite"),
        (partial(datasets.mesh_grid, step=0.0), "step is 0.0; allowed: finite numbers above 0"),
        (partial(datasets.mesh_grid, step=float("nan")), "step is nan; allowed: finite numbers above 0"),
        (partial(datasets.line_grid, num_points=1), "num_points is 1; allowed: integers from 2 up"),
        (partial(datasets.gaussian_cloud, KEY, dim=0), "dim is 0; allowed: integers from 1 up"),
        (partial(datasets.moons, KEY, num_points=1), "num_points is 1; allowed: integers from 2 up"),
        (partial(datasets.circles, KEY, factor=1.0), "factor is 1.0; allowed: numbers from 0 up and below 1"),
        (partial(datasets.blobs, KEY, cluster_std=-1.0), "cluster_std is -1.0; allowed: finite numbers from 0 up"),
        (partial(datasets.checkerboard, KEY, num_cells=0), "num_cells is 0; allowed: integers from 1 up"),
        (
            partial(datasets.split, KEY, DATASET, train_fraction=1.5),
            "train_fraction is 1.5; allowed: between 0 and 1",
        ),
        (
            partial(datasets.split, KEY, DATASET, train_fraction=0.01),
            "of 10 points some .* Change it or add points",
        ),
        (
            partial(datasets.split, KEY, Dataset(DATASET.x, DATASET.y[1:])),
            r"\(10, 9\); allowed: equal numbers",
        ),
    ],
)
def test_wrong_values_raise_at_once(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            partial(datasets.spirals, KEY, num_per_class=2.5),
            "num_per_class is 2.5; allowed: integers .* Python integers",
        ),
        (partial(datasets.spirals, KEY, num_classes=True), "num_classes is True; allowed: integers from 1 up"),
        (partial(datasets.spirals, KEY, noise="much"), "noise is 'much'; allowed: numbers and array scalars"),
        (partial(datasets.spirals, KEY, noise=jnp.ones(2)), r"noise is .*; allowed: numbers .* Map with jax.vmap"),
        (partial(datasets.rings, KEY, inner=1.0), r"inner is 1.0; allowed: pairs of radii, as in \(0.2, 1.0\)"),
        (partial(datasets.parity, "two"), "dim is 'two'; allowed: integers from 1 up"),
        (partial(datasets.mesh_grid, low="left"), "str"),
        (partial(datasets.spirals, 0), "key"),
        (partial(datasets.split, jnp.ones(2), DATASET), "key"),
    ],
)
def test_wrong_kinds_raise_at_once(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.usefixtures("unchecked")
def test_traced_sizes_and_many_keys_are_refused():
    with pytest.raises(TypeError, match=r"num_per_class is .* under jit bind them with functools.partial"):
        jax.jit(lambda num: datasets.rings(KEY, num_per_class=num))(3)
    with pytest.raises(TypeError, match="traced"):
        jax.jit(lambda step: datasets.mesh_grid(step=step))(0.1)
    with pytest.raises(ValueError, match=r"one random key.*jax\.vmap"):
        datasets.rings(jax.random.split(KEY, 3))


def test_disk_limits_forgive_rounding_and_one_hole_is_enough():
    jax.eval_shape(partial(datasets.disk_with_holes, radius=0.3, hole_radius=0.05, positive_radius=0.05), KEY)
    for center in (True, False):
        jax.eval_shape(partial(datasets.disk_with_holes, num_holes=1, hole_radius=1 / 6, center=center), KEY)
