"""[edge] Studies as xarray datasets, and as NetCDF files, which need the extra "labels"."""

import io
import json
import os
from typing import TYPE_CHECKING, Any

from jaxgeom.study.result import Study

if TYPE_CHECKING:
    import xarray

_SETTINGS = "settings"


def to_xarray(study: Study) -> "xarray.Dataset":
    """The study as an xarray dataset: variables with their units and meaning, settings as JSON in an attribute.

    Raises:
        ImportError: without xarray.
    """
    xarray = _imported("xarray")
    return xarray.Dataset(
        {
            name: (
                study.dims[name],
                array,
                {"units": study.attrs[name]["units"], "long_name": study.attrs[name]["meaning"]},
            )
            for name, array in study.variables.items()
        },
        coords=dict(study.coords),
        attrs={_SETTINGS: json.dumps(study.settings)},
    )


def from_xarray(dataset: "xarray.Dataset") -> Study:
    """The study that :func:`to_xarray` was given."""
    return Study(
        {name: variable.values for name, variable in dataset.data_vars.items()},
        {name: tuple(variable.dims) for name, variable in dataset.data_vars.items()},
        {name: coord.values for name, coord in dataset.coords.items()},
        {
            name: {"units": variable.attrs.get("units", "1"), "meaning": variable.attrs.get("long_name", "")}
            for name, variable in dataset.data_vars.items()
        },
        json.loads(dataset.attrs[_SETTINGS]),
    )


def to_netcdf(study: Study) -> bytes:
    """The content of a NetCDF 4 file."""
    _imported("h5netcdf")
    buffer = io.BytesIO()
    to_xarray(study).to_netcdf(buffer, engine="h5netcdf")
    return buffer.getvalue()


def from_netcdf(path: str | os.PathLike[str]) -> Study:
    """Read such a file."""
    _imported("h5netcdf")
    with _imported("xarray").open_dataset(path, engine="h5netcdf") as dataset:
        return from_xarray(dataset.load())


def _imported(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'{name} is not installed: pip install "jaxgeom[labels]"') from error
