"""[host] Kernels of layers of which most weights are zero, as those of convolutions, for whole populations too."""

import math
import sys
from typing import Any

import numpy as np

from jaxgeom.host.given import as_array

_MOST_DENSE = 2**28
"""Weights up to which a kernel may become a dense array."""


class SparseKernel:
    """A kernel, shape (in, out), of which only the weights that are not zero are stored; or one for each network.

    What takes layers takes ``scipy.sparse.csr_array`` for kernels and keeps them as this. ``np.asarray`` makes a dense
    array, as long as that has at most 2^28 weights.
    """

    __array_ufunc__ = None  # so that NumPy leaves ``x @ kernel`` to this class

    def __init__(self, matrices: Any, *, is_population: bool = False) -> None:
        each = tuple(matrices) if is_population else (matrices,)
        self.matrices = tuple(_checked(matrix) for matrix in each)
        self.is_population = is_population

    @property
    def shape(self) -> tuple[int, ...]:
        """(in, out), or (networks, in, out)."""
        return (*(len(self.matrices),) * self.is_population, *self.matrices[0].shape)

    @property
    def ndim(self) -> int:
        """2, or 3 with a leading axis."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Weights that are stored."""
        return sum(matrix.nnz for matrix in self.matrices)

    @property
    def dtype(self) -> np.dtype:
        """float64."""
        return np.dtype(np.float64)

    def __getitem__(self, index: Any) -> "SparseKernel":
        if index is None and not self.is_population:
            return SparseKernel(self.matrices, is_population=True)
        if self.is_population and isinstance(index, int | np.integer):
            return SparseKernel(self.matrices[index])
        if self.is_population and isinstance(index, slice):
            return SparseKernel(self.matrices[index], is_population=True)
        if self.is_population and isinstance(index, range | np.ndarray):
            return SparseKernel([self.matrices[i] for i in index], is_population=True)
        raise TypeError(f"a sparse kernel takes one index, that of a network, but {index!r} was given.")

    def __rmatmul__(self, x: Any) -> np.ndarray:
        """``x @ kernel`` in float64, for one network."""
        (matrix,) = self.matrices
        return np.asarray(np.asarray(x, np.float64) @ matrix)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if math.prod(self.shape) > _MOST_DENSE:
            raise ValueError(
                f"a sparse kernel of shape {self.shape} is too large for a dense array. count_regions, "
                "enumerate_regions and forward take it as it is, on a slice with two inputs (jaxgeom.on_plane)."
            )
        dense = [matrix.toarray() for matrix in self.matrices]
        return np.asarray(np.stack(dense) if self.is_population else dense[0], dtype)

    def __repr__(self) -> str:
        return f"SparseKernel({'×'.join(map(str, self.shape))}, {self.size:,} weights)"


def is_sparse(value: Any) -> bool:
    """Whether a kernel is sparse: one of SciPy's arrays or matrices, or a :class:`SparseKernel`."""
    if isinstance(value, SparseKernel):
        return True
    loaded = sys.modules.get("scipy.sparse")  # without which nothing is one of its arrays
    return loaded is not None and bool(loaded.issparse(value))


def as_sparse(value: Any) -> SparseKernel:
    """A sparse kernel, given as SciPy has it."""
    return value if isinstance(value, SparseKernel) else SparseKernel(value)


def stored(kernel: Any) -> list[np.ndarray]:
    """The weights that are not zero, of each network."""
    return [matrix.data for matrix in as_sparse(kernel).matrices]


def on_host(array: Any) -> Any:
    """The array as NumPy's, or a sparse kernel as it is."""
    return array if array is None or isinstance(array, SparseKernel) else np.asarray(array)


def _checked(matrix: Any) -> Any:
    """In the one form that the engine reads: rows, columns ascending, each weight once, none of them zero."""
    import scipy.sparse  # when first needed: it takes as long as a large count

    found = scipy.sparse.csr_array(matrix)
    data = np.asarray(as_array(found.data, "the weights of a sparse kernel"), np.float64)
    found = scipy.sparse.csr_array((data, found.indices, found.indptr), found.shape)
    if not found.has_canonical_format or (found.data == 0).any():
        found = found.copy()
        found.sum_duplicates()
        found.eliminate_zeros()
    return found
