"""[edge] Studies as xarray datasets, and as NetCDF files, which need the extra "labels"."""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgeom.host.packages import optional
from jaxgeom.study.result import Study

if TYPE_CHECKING:
    import xarray

_SETTINGS = "settings"
_FINISHED = "is_finished"


def to_xarray(study: Study) -> "xarray.Dataset":
    """The study as an xarray dataset: variables with their units and meaning, settings as JSON in an attribute, and
    which networks are finished as a coordinate ``is_finished`` along the axes.

    Raises:
        ImportError: without xarray.
    """
    xarray = optional("xarray", "labels")
    return xarray.Dataset(
        {
            name: (
                study.dims[name],
                array,
                {"units": study.attrs[name]["units"], "long_name": study.attrs[name]["meaning"]},
            )
            for name, array in study.variables.items()
        },
        coords={**study.coords, _FINISHED: (study.axes, study.is_finished)},
        attrs={_SETTINGS: json.dumps(study.settings)},
    )


def from_xarray(dataset: "xarray.Dataset") -> Study:
    """The study that :func:`to_xarray` was given.

    Raises:
        ValueError: for a dataset that is no study.
    """
    if _SETTINGS not in dataset.attrs:
        raise ValueError(
            f"this dataset is no study: it has no attribute {_SETTINGS!r}, which jaxgeom.study.to_xarray sets."
        )
    coords = {name: coord.values for name, coord in dataset.coords.items() if name != _FINISHED}
    sizes = [len(values) for name, values in coords.items() if name != "step"]
    return Study(
        {name: variable.values for name, variable in dataset.data_vars.items()},
        {name: tuple(variable.dims) for name, variable in dataset.data_vars.items()},
        coords,
        {
            name: {"units": variable.attrs.get("units", "1"), "meaning": variable.attrs.get("long_name", "")}
            for name, variable in dataset.data_vars.items()
        },
        json.loads(dataset.attrs[_SETTINGS]),
        np.asarray(dataset.coords[_FINISHED].values, bool) if _FINISHED in dataset.coords else np.ones(sizes, bool),
    )


def to_netcdf(study: Study) -> bytes:
    """The content of a NetCDF 4 file."""
    optional("h5netcdf", "labels")
    with tempfile.TemporaryDirectory() as folder:  # older versions of xarray close a buffer that they write to
        path = Path(folder, "study.nc")
        to_xarray(study).to_netcdf(path, engine="h5netcdf")
        return path.read_bytes()


def from_netcdf(path: str | os.PathLike[str]) -> Study:
    """Read such a file.

    Raises:
        ValueError: if it is damaged, or no study.
        OSError: if it cannot be read.
    """
    optional("h5netcdf", "labels")
    xarray = optional("xarray", "labels")
    with open(path, "rb"):
        pass  # which has to say first whether there is such a file at all
    try:
        with xarray.open_dataset(path, engine="h5netcdf") as dataset:
            return from_xarray(dataset.load())
    except Exception as error:
        raise ValueError(f"{str(path)!r} is damaged, or no study that jaxgeom.study.save wrote ({error}).") from error
