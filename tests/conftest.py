"""Loaded before every test: shapes and types of all annotated functions are checked at run time."""

from collections.abc import Iterator

import jaxtyping
import matplotlib
import pytest

matplotlib.use("Agg")
# An int is a float, as for static type checkers (PEP 484).
jaxtyping.install_import_hook("jaxgeom", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without those checks, which speak up before the library's own error messages can."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
