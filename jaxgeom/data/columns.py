"""[host] Data sets as named columns, which print as a table and which data-frame libraries read."""

import html
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from jaxgeom._typing import MATRIX, PLANE
from jaxgeom.host.given import check_flags, check_positive

MOST_ROWS = 10
"""Rows of a table that is printed; of longer ones the first and the last half of so many."""


class Columns(dict[str, np.ndarray]):
    """Columns of a table: NumPy arrays of one length by name, a dictionary.

    ``pandas.DataFrame(columns)`` and ``polars.DataFrame(columns)`` take it as it is. Printed, and in notebooks, it is a
    table of the first and the last rows.
    """

    @property
    def num_rows(self) -> int:
        """Length of the columns."""
        return len(next(iter(self.values()), ()))

    def head(self, num: int = 5) -> "Columns":
        """The first rows: columns of at most ``num`` numbers.

        Raises:
            ValueError: for ``num`` below one.
        """
        check_positive("num", num)
        return Columns({name: column[:num] for name, column in self.items()})

    def _cells(self) -> list[list[str]]:
        """Texts of the table, row by row, names first; an ellipsis where rows are left out."""
        num, half = self.num_rows, MOST_ROWS // 2
        rows = list(range(num)) if num <= MOST_ROWS else [*range(half), *range(num - half, num)]
        cells = [["", *self], *([str(row), *(_text(column[row]) for column in self.values())] for row in rows)]
        if num > MOST_ROWS:
            cells.insert(half + 1, ["…"] * (1 + len(self)))
        return cells

    def _size(self) -> str:
        return f"{self.num_rows:,} rows, {len(self)} columns"

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
        return "\n".join([*lines, self._size()])

    def _repr_html_(self) -> str:
        names, *rows = self._cells()
        look = 'style="text-align: right; padding: 0 0.6em"'
        head = "".join(f"<th {look}>{html.escape(name)}</th>" for name in names)
        lines = ["".join(f"<td {look}>{text}</td>" for text in row[1:]) for row in rows]
        body = "".join(f"<tr><th {look}>{row[0]}</th>{line}</tr>" for row, line in zip(rows, lines, strict=True))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{self._size()}</p>"


def columns_of(
    data: Any,
    *,
    polar: bool = False,
    centers: Float[Any, "holes 2"] | None = None,
    segments: Any = None,
) -> Columns:
    """A data set as named columns: ``x1``, ``x2``, … and ``label``, or ``y`` for targets of a regression.

    Args:
        data: a :class:`jaxgeom.Dataset`, any other pair of points and targets, or points (points, dim) alone.
        polar: columns ``r`` and ``theta`` as well: distance from the origin of the plane, and angle from the first
            axis, from 0 to 2π.
        centers: of the holes of :func:`jaxgeom.disk_with_holes`, as :func:`jaxgeom.datasets.hole_centers` gives them: a
            column ``hole`` as well, the nearest one of points of class 1 and -1 for those of class 0, and ``r`` and
            ``theta`` about the centre of that hole, or else about the origin.
        segments: those of :func:`jaxgeom.line_segments`, as :func:`jaxgeom.datasets.segments_of` gives them for the
            same key: columns ``segment``, ``start_x1`` and ``start_x2`` as well.

    Raises:
        ValueError: for points that are not (points, dim), polar coordinates of other than two, or centres and segments
            that do not belong to the data.

    Example:
        >>> import jax, jaxgeom as jg
        >>> jg.columns_of(jg.parity(2))
           x1  x2   y
        0  -1  -1  -1
        1  -1   1   1
        2   1  -1   1
        3   1   1  -1
        4 rows, 3 columns
        >>> list(jg.columns_of(jg.rings(jax.random.key(0)), polar=True).head(2))
        ['r', 'theta', 'x1', 'x2', 'label']
    """
    check_flags(polar=polar)
    points, targets = data if isinstance(data, tuple) else (data, None)
    x = np.asarray(points)
    if x.ndim != MATRIX:
        raise ValueError(f"points have shape (points, dim), but {x.shape} was given.")
    columns = _of_targets(x, targets)
    found: dict[str, np.ndarray] = {}
    if segments is not None:
        found |= _of_segments(x, columns, segments)
    about = np.zeros(PLANE, np.float64)
    if centers is not None:
        found["hole"] = hole = _nearest(x, columns, np.asarray(centers, np.float64))
        about = np.where(hole[:, None] >= 0, np.asarray(centers, np.float64)[hole], 0.0)
    if polar or centers is not None:
        found |= _polar(x, about)
    return Columns(found | {f"x{place + 1}": x[:, place] for place in range(x.shape[1])} | columns)


def _of_targets(x: np.ndarray, targets: Any) -> dict[str, np.ndarray]:
    if targets is None:
        return {}
    y = np.asarray(targets)
    if len(y) != len(x) or y.ndim not in (1, MATRIX):
        raise ValueError(f"{len(x)} points need as many targets, but their shape is {y.shape}.")
    if not np.issubdtype(y.dtype, np.floating):
        return {"label": y.reshape(len(x), -1)[:, 0]} if y.size == len(x) else _numbered("label", y)
    return {"y": y.reshape(-1)} if y.size == len(x) else _numbered("y", y)


def _numbered(name: str, values: Shaped[np.ndarray, "points columns"]) -> dict[str, np.ndarray]:
    return {f"{name}{place + 1}": column for place, column in enumerate(values.T)}


def _of_segments(x: np.ndarray, columns: Mapping[str, np.ndarray], segments: Any) -> dict[str, np.ndarray]:
    start, labels = np.asarray(segments.start), np.asarray(segments.y)
    each, rest = divmod(len(x), len(start))
    belongs = "label" in columns and np.array_equal(np.repeat(labels, each), columns["label"])
    if x.shape[1] != PLANE or rest or not belongs:
        raise ValueError(
            f"{len(start)} segments do not belong to {len(x)} points with these labels. Give segments_of the key and "
            "the settings of line_segments."
        )
    number = np.repeat(np.arange(len(start)), each)
    return {"segment": number, "start_x1": start[number, 0], "start_x2": start[number, 1]}


def _nearest(x: np.ndarray, columns: Mapping[str, np.ndarray], centers: np.ndarray) -> np.ndarray:
    if "label" not in columns or x.shape[1] != PLANE or centers.ndim != MATRIX or centers.shape[1] != PLANE:
        raise ValueError(
            f"holes have centres (holes, 2) in a plane of labelled points, but centres {centers.shape} were given for "
            f"points {x.shape} with columns {', '.join(columns) or 'of their own alone'}."
        )
    nearest = ((x[:, None].astype(np.float64) - centers) ** 2).sum(axis=2).argmin(axis=1)
    return np.where(columns["label"] == 1, nearest, -1)


def _polar(x: np.ndarray, about: np.ndarray) -> dict[str, np.ndarray]:
    if x.shape[1] != PLANE:
        raise ValueError(f"polar coordinates are those of the plane, but points have {x.shape[1]} coordinates.")
    dx, dy = (x.astype(np.float64) - about).T
    return {"r": np.hypot(dx, dy), "theta": np.mod(np.arctan2(dy, dx), 2 * np.pi)}


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
