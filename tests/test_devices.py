"""Which platform computes: chosen, found, pretended; what accelerators run gives what CPUs run."""

import re
import threading

import jax
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxgeom as jg
from jaxgeom.host.chunks import in_threads
from jaxgeom.host.devices import as_platform, at_arrays, devices, platform, with_float64
from jaxgeom.host.programs import compiler_options
from jaxgeom.training.population import default_chunk_size

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
        with as_platform("tpu"), with_float64():  # which TPUs do not have
            assert (platform(), devices()) == ("cpu", (CPU,))
        with as_platform("rocm"):
            assert platform() == "gpu"
            assert compiler_options() is None
            assert in_threads([platform, devices]) == ["gpu", devices()]
        assert platform() == "cpu"
        assert compiler_options() is not None


@pytest.mark.usefixtures("unchecked")
def test_devices_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"'tpu' were asked for, but this machine has .*cpu"), jg.on_devices("tpu"):
        pass
    with pytest.raises(ValueError, match="must be of one platform"), jg.on_devices([]):
        pass
    with pytest.raises(ValueError, match="'' were asked for"), jg.on_devices(""):
        pass
    for wrong in (jax.devices()[0], None, ["cpu"]):
        with pytest.raises(TypeError, match="must be some of jax"), jg.on_devices(wrong):
            pass
    with pytest.raises(ValueError, match="a platform must be one of cpu, gpu, cuda"), as_platform("cude"):
        pass


@pytest.mark.slow
def test_training_of_accelerators_is_that_of_cpus_to_rounding(runs):
    assert runs.by_engine.all()
    with as_platform("cuda"):
        others = jg.fit_population(KEYS, trained)
    assert not others.by_engine.any()
    assert_allclose(others.train_loss, runs.train_loss, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_counts_of_accelerators_are_those_of_cpus(runs):
    networks, points = jg.layers_of(runs.params), jg.grid_points(jg.box(-1, 1), 9)
    count = jax.jit(lambda layers: jg.count_regions(layers, jg.whole_plane()).count)
    found, seen = count(networks), jg.count_grid_regions(networks, points)
    assert "jaxgeom_count" in count.lower(networks).as_text()
    with as_platform("tpu"):
        assert_array_equal(count(networks), found)
        assert "callback" in count.lower(networks).as_text()
        assert "jaxgeom_count" not in count.lower(networks).as_text()
    with as_platform("rocm"):
        assert_array_equal(jg.count_grid_regions(networks, points), seen)
    with pytest.raises(ValueError, match="lowering platform cuda"):  # which cannot call back to this host
        jax.export.export(count, platforms=["cuda"])(networks)


WIDE = jg.mlp((2, 8, 8, 1), activation="relu")
DATA = jg.parity(2)


def wide(key):
    return jg.fit(key, WIDE, optax.sgd(0.1), jg.losses.squared_error, DATA, num_epochs=1, record=None).params


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (wide, KEYS[0]),
        (lambda x: WIDE.apply(WIDE.init(KEYS[0]), x), jax.numpy.ones((4, 2))),
        (lambda x: jg.hidden_states(WIDE.init(KEYS[0]), x), jax.numpy.ones((4, 2))),
    ],
    ids=["fit", "apply", "hidden_states"],
)
def test_products_are_in_full_precision_unless_the_user_chose_another(function, argument):
    def precisions():
        text = jax.jit(function).trace(argument).lower(lowering_platforms=("cuda",)).as_text()
        found = re.findall(r"precision = \[(\w+), (\w+)\]", text)
        assert found
        assert len(found) == text.count("stablehlo.dot_general")
        return {each for pair in found for each in pair}

    assert precisions() == {"HIGHEST"}
    with jax.default_matmul_precision("tensorfloat32"):
        assert precisions() == {"HIGH"}
    with jax.default_matmul_precision("default"):
        assert precisions() == {"DEFAULT"}


@pytest.mark.parametrize(("sizes", "num"), [((2, 2, 1), 2**16), ((2, 20, 1), 2**16), ((2, 100, 100, 1), 2**12)])
def test_chunks_of_accelerators(sizes, num):
    def run(key):
        return jg.fit(
            key, jg.mlp(sizes), optax.sgd(0.1), jg.losses.squared_error, jg.parity(2), num_epochs=1
        ).train_loss

    with as_platform("gpu"):
        assert default_chunk_size(run, KEYS[0], num=10**6) == num


@pytest.mark.slow
def test_studies_train_the_next_chunk_while_the_host_measures():
    last_is_trained = threading.Event()

    def drawn(params, seed):
        total = sum(jax.numpy.sum(leaf) for leaf in jax.tree.leaves(params))
        jax.debug.callback(lambda seed: last_is_trained.set() if seed == 39 else None, seed)
        return total

    def first(layers):
        waited.append(last_is_trained.wait(timeout=60))
        return np.asarray(layers[0].kernel)[:, 0, 0]

    def study():
        measure = {"total": drawn, "first": jg.study.of_population(first)}
        return jg.run_study(
            {"width": 2, "seed": range(40)}, measure, model=jg.mlp, inputs=2, chunk_size=10, progress=False
        )

    with as_platform("gpu"):
        waited: list[bool] = []
        found = study()
    assert waited == [True] * 4
    waited, expected = [], study()
    assert_array_equal(found["first"], expected["first"])
    assert_allclose(found["total"], expected["total"], rtol=0, atol=1e-6)
