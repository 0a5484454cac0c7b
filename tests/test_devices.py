"""Which platform computes: chosen, found, pretended; what accelerators run gives what CPUs run."""

import jax
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxgeom as jg
from jaxgeom.host.chunks import in_threads
from jaxgeom.host.devices import as_platform, at_arrays, devices, platform
from jaxgeom.host.programs import compiler_options

KEYS = jax.random.split(jax.random.key(0), 20)
CPU = jax.local_devices(backend="cpu")[0]


def trained(key):
    model = jg.mlp((2, 5, 1), activation="relu")
    return jg.fit(key, model, optax.sgd(0.1), jg.losses.squared_error, jg.parity(2), num_epochs=20, record=10)


@pytest.fixture(scope="module")
def runs():
    return jg.fit_population(KEYS, trained)


def test_who_decides_the_platform():
    everywhere = tuple(jax.local_devices())
    assert devices() == everywhere
    with jax.default_device("cpu"):
        assert devices() == (CPU,)
    with at_arrays(np.zeros(2), jax.numpy.zeros(2)):  # which are nowhere in particular
        assert devices() == everywhere
    with at_arrays(jax.device_put(KEYS, CPU)):
        assert devices() == (CPU,)
    with jg.on_devices("cpu"), at_arrays(jax.device_put(KEYS, everywhere[0])):
        assert devices() == tuple(jax.local_devices(backend="cpu"))
        with as_platform("rocm"):
            assert platform() == "gpu"
            assert compiler_options() is None
            assert in_threads([platform, devices]) == ["gpu", devices()]
        assert platform() == "cpu"
        assert compiler_options() is not None


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"'tpu' were asked for, but this machine has .*cpu"), jg.on_devices("tpu"):
        pass
    with pytest.raises(ValueError, match="must be of one platform"), jg.on_devices([]):
        pass
    with pytest.raises(ValueError, match="a platform is one of cpu, gpu, cuda"), as_platform("cude"):
        pass


def test_training_of_accelerators_is_that_of_cpus_to_rounding(runs):
    assert runs.by_engine.all()
    with as_platform("cuda"):
        others = jg.fit_population(KEYS, trained)
    assert not others.by_engine.any()
    assert_allclose(others.train_loss, runs.train_loss, rtol=0, atol=1e-6)


def test_counts_of_accelerators_are_those_of_cpus(runs):
    networks, points = jg.layers_of(runs.params), jg.grid_points(jg.box(-1, 1), 9)
    count = jax.jit(lambda layers: jg.count_regions(layers, jg.whole_plane()).count)
    found, seen = count(networks), jg.count_grid_regions(networks, points)
    assert "jaxgeom_count" in count.lower(networks).as_text()
    with as_platform("tpu"):
        assert_array_equal(count(networks), found)
        assert "callback" in count.lower(networks).as_text()
        assert "jaxgeom_count" not in count.lower(networks).as_text()
        assert_array_equal(jg.count_grid_regions(networks, points), seen)
