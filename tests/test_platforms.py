"""Programs for platforms that are not there: every one of ``programs.py`` exported for CUDA, ROCm and TPUs."""

import contextlib
import inspect
import re

import jax
import jax.export
import numpy as np
import optax
import pytest
from programs import KEYS, LOSSES, NET, PROGRAMS, XOR, fit
from test_public_functions import ROOMS, functions_of

import jaxgeom as jg
from jaxgeom.host.devices import as_platform

EPS = float(np.finfo(np.float32).eps)
PLATFORMS = ("cuda", "rocm", "tpu")
# Public functions of arrays that are no part of programs, or compute nothing.
EAGER = {
    *("box", "polygon", "whole_plane", "corners", "polygon_vertices", "grid_lines", "grid_points"),  # domains
    *("damped_sine", "parity", "mesh_grid", "line_grid"),  # data without chance, which NumPy makes
    "feature_names",  # texts
    *("plane_through", "lift", "project", "on_plane"),  # slices are NumPy's
    *("boundary_length", "edge_lengths", "inradius", "region_density", "distance_to_decision_boundary"),  # of complexes
    *("check_complex", "text_log"),
    "compare_networks",  # checks its numbers; fit_affine and r_squared are its programs
    "from_nnx",
}


def shapes(arguments):
    def shape(array):
        return jax.ShapeDtypeStruct(array.shape, jax.dtypes.canonicalize_dtype(array.dtype))

    return jax.tree.map(shape, arguments)


def test_the_table_has_every_public_function():
    rooms = [room for room in ROOMS if room in (jg, jg.datasets, jg.losses)]
    public = {name: function for room in rooms for name, function in functions_of(room).items()}
    traced = {name for name, function in public.items() if not is_of_host(function)}
    shown = {word for row in PROGRAMS for word in row.split()}
    assert traced - shown - EAGER == set(), (
        "each needs a row in programs.py, or a place in EAGER if it computes nothing"
    )
    assert traced - shown >= EAGER
    assert len(traced & shown) > 45


def is_of_host(function):
    module = inspect.getmodule(function)
    return module.__name__ == "jaxgeom.theory" or (module.__doc__ or "").startswith(("[host]", "[edge]"))


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize("row", PROGRAMS)
def test_exported(row):
    program = PROGRAMS[row]
    exporting = lambda platforms: jax.export.export(jax.jit(program.function), platforms=platforms)(  # noqa: E731
        *shapes(program.arguments)
    )
    if program.calls_host:
        for platform in PLATFORMS:
            with pytest.raises((ValueError, NotImplementedError), match=r"platform|callback"):
                exporting([platform])
        return
    text = exporting([platform for platform in PLATFORMS if platform not in program.but_for]).mlir_module()
    assert ("f64" in text) == program.is_double
    products = re.findall(r"stablehlo\.(?:dot_general|convolution).*", text)
    assert [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line] == []


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")
@pytest.mark.parametrize("platforms", [("cuda", "rocm"), ("tpu",)], ids=" ".join)
def test_the_persistent_kernel_is_exported(platforms, monkeypatch):
    """One call of Pallas, which has no guarantee that later versions of XLA understand it."""
    with contextlib.suppress(ImportError):  # newer versions of Pallas ask the present device what it is
        from jax._src.pallas.triton import gpu_info

        h100 = gpu_info.get_gpu_info_from_version(gpu_info.GpuVersion.H100)
        monkeypatch.setattr(gpu_info, "get_gpu_info", lambda: h100)
    run = fit(NET, optax.sgd(0.1), LOSSES.squared_error, XOR, num_epochs=5, persistent=True)
    unsafe = [jax.export.DisabledSafetyCheck.custom_call("__gpu$xla.gpu.triton")]
    exported = jax.export.export(jax.jit(jax.vmap(run)), platforms=platforms, disabled_checks=unsafe)
    text = exported(*shapes((KEYS,))).mlir_module()
    call = "tpu_custom_call" if platforms == ("tpu",) else "__gpu$xla.gpu.triton"
    assert text.count(f"stablehlo.custom_call @{call}(") == len(platforms)
    assert "f64" not in text


# What accelerators run, on the CPU: training without the engine (tests/test_devices.py has counts).


def assert_close(found, expected, **tolerance):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.mark.slow
def test_training_by_the_engine_and_as_on_accelerators():
    program = PROGRAMS["fit everything recorded"]
    expected = jax.jit(program.function)(*program.arguments)
    with as_platform("cuda"):
        found = jax.jit(program.function)(*program.arguments)
    assert (expected.by_engine.all(), found.by_engine.any()) == (True, False)
    # Sums of 10 products and of 12 points, at most 8 steps, numbers below 8.
    assert_close(found._replace(by_engine=None), expected._replace(by_engine=None), rtol=0, atol=8 * 8 * 22 * EPS)


@pytest.mark.slow
def test_studies_with_retries_as_on_accelerators():
    def study():
        return jg.run_study(
            {"width": [2, 3], "seed": [0, 1, 2], "learning_rate": [0.1]},
            {"loss": jg.study.loss_on(), "regions": jg.study.exact_regions(jg.box(-1, 1))},
            data=jg.parity(2),
            model=lambda features, widths: jg.mlp(features, widths=widths),
            optimizer=lambda learning_rate: optax.sgd(learning_rate),
            loss=jg.losses.squared_error,
            num_epochs=20,
            until=jg.study.all_right(is_right=jg.losses.is_right),
            max_tries=3,
            progress=False,
        )

    expected = study()
    with as_platform("tpu"):
        found = study()
    assert found.variables.keys() == expected.variables.keys()
    for name, array in expected.variables.items():
        assert_close(found.variables[name], array, rtol=0, atol=20 * 8 * 8 * EPS if name == "loss" else 0)
    assert len(np.unique(expected.variables["tries"])) > 1
