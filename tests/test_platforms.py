"""Programs for platforms that are not there: every one of ``programs.py`` exported for CUDA, ROCm and TPUs."""

import inspect
import re

import jax
import jax.export
import numpy as np
import pytest
from programs import PROGRAMS
from test_public_functions import ROOMS, functions_of

import jaxgeom as jg

PLATFORMS = ("cuda", "rocm", "tpu")
# Public functions of arrays that are no part of programs, or compute nothing.
EAGER = {
    *("box", "polygon", "whole_plane", "corners", "polygon_vertices", "grid_lines", "grid_points"),  # domains
    *("damped_sine", "parity", "mesh_grid", "line_grid"),  # data without chance, which NumPy makes
    *("plane_through", "lift", "project", "on_plane"),  # slices are NumPy's
    *("boundary_length", "edge_lengths", "inradius", "region_density", "distance_to_decision_boundary"),  # of complexes
    *("check_complex", "check_per_point", "text_log"),
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
    assert traced - shown - EAGER == set()
    assert EAGER <= traced - shown
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
            with pytest.raises((ValueError, NotImplementedError), match="platform|callback"):
                exporting([platform])
        return
    text = exporting([platform for platform in PLATFORMS if platform not in program.but_for]).mlir_module()
    assert ("f64" in text) == program.is_double
    products = re.findall(r"stablehlo\.(?:dot_general|convolution).*", text)
    assert [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line] == []
