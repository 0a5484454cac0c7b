"""Distinct affine maps under a tolerance: the rule "first come, first kept".

A map is kept iff no map kept before it is closer than ``atol`` (Euclidean distance of the flattened rows). Read
as written this is a sequential double loop over all maps. Most maps, however, have no other one near them: they
are kept, and exclude no other. So the rows with a neighbour are found first, all at once, and the rule is then
followed among those alone, one kept row after the other. The result equals the sequential one exactly.

Neighbours are found by sorting the rows along their widest coordinate in bins of width ``atol``. Two rows that are
near stand in the same bin or in bins side by side, that is, few places apart; so each row is compared with the one
s places ahead, for s = 1, 2, … until no bin is within reach.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Float, Int64

_FAR = 1 << 62


def first_kept(
    rows: Float[Array, "rows values"], valid: Bool[Array, " rows"], atol: float | Float[Array, ""]
) -> Bool[Array, " rows"]:
    """Which rows the rule keeps.

    Args:
        rows: one flattened affine map a row, in order of arrival, float64 (x64 must be enabled).
        valid: rows that take part.
        atol: two rows closer than this count as the same.

    Returns:
        True where a row is kept; False where it is dropped or not valid.
    """
    num = rows.shape[0]
    if not rows.shape[1]:  # networks without outputs: all maps are one
        return valid & (jnp.cumsum(valid, dtype=jnp.int32) == 1)
    columns = rows.T
    atol_squared = jnp.asarray(atol, rows.dtype) ** 2
    index_bits = max(1, (num - 1).bit_length())
    # One integer holds bin and row index: sorting keys alone is several times faster than keys with values.
    key = jnp.sort((_bins(columns, valid, atol, 1 << (60 - index_bits)) << index_bits) | jnp.arange(num))
    order = (key & ((1 << index_bits) - 1)).astype(jnp.int32)
    has_neighbour = jnp.zeros(num, bool)
    has_neighbour = has_neighbour.at[order].set(
        _has_neighbour(key >> index_bits, columns[:, order], atol_squared), unique_indices=True
    )

    def follow(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        is_kept, is_open = carry
        leader = lax.argmax(is_open, 0, jnp.int32)
        is_leader = jnp.arange(num) == leader
        is_dropped = _squared_distance(columns, columns[:, leader, None]) < atol_squared
        return is_kept | is_leader, is_open & ~is_dropped & ~is_leader

    crowded = valid & has_neighbour
    kept_of_crowded, _ = lax.while_loop(lambda carry: jnp.any(carry[1]), follow, (jnp.zeros_like(crowded), crowded))
    return kept_of_crowded | (valid & ~has_neighbour)


@custom_vmap
def _has_neighbour(
    bins: Int64[Array, " rows"], columns: Float[Array, "values rows"], atol_squared: Float[Array, ""]
) -> Bool[Array, " rows"]:
    """Which of the rows, sorted by bin, have another one near them."""
    return _has_neighbour_in_batch(bins[None], columns[:, None], atol_squared)[0]


@_has_neighbour.def_vmap
def _has_neighbour_under_vmap(
    axis_size: int, in_batched: list[bool], bins: Array, columns: Array, atol_squared: Array
) -> tuple[Array, bool]:
    """One loop for the whole batch, so that the distance s stays a scalar and slices stay slices."""
    with jax.enable_x64(True):  # batching may happen outside of the caller's
        bins = bins if in_batched[0] else jnp.broadcast_to(bins, (axis_size, *bins.shape))
        columns = columns if in_batched[1] else jnp.broadcast_to(columns, (axis_size, *columns.shape))
        atol_squared = atol_squared[:, None] if in_batched[2] else atol_squared
        return _has_neighbour_in_batch(bins, jnp.swapaxes(columns, 0, 1), atol_squared), True


def _has_neighbour_in_batch(
    bins: Int64[Array, "batch rows"], columns: Float[Array, "values batch rows"], atol_squared: Array
) -> Bool[Array, "batch rows"]:
    batch, num = bins.shape
    bins_ahead = jnp.concatenate([bins, jnp.full((batch, num), _FAR)], axis=1)
    columns_ahead = jnp.concatenate([columns, jnp.zeros_like(columns)], axis=2)

    def compare(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        step, found, _ = carry
        is_within_reach = lax.dynamic_slice_in_dim(bins_ahead, step, num, 1) - bins <= 1
        other = lax.dynamic_slice_in_dim(columns_ahead, step, num, 2)
        is_near = is_within_reach & (_squared_distance(columns, other) < atol_squared)
        found = found.at[:, :num].set(found[:, :num] | is_near)
        behind = lax.dynamic_slice_in_dim(found, step, num, 1) | is_near
        return step + 1, lax.dynamic_update_slice_in_dim(found, behind, step, 1), jnp.any(is_within_reach)

    start = (jnp.int32(1), jnp.zeros((batch, 2 * num), bool), jnp.asarray(True))
    return lax.while_loop(lambda carry: carry[2] & (carry[0] < num), compare, start)[1][:, :num]


def _bins(columns: Float[Array, "values rows"], valid: Bool[Array, " rows"], atol: float | Array, last: int) -> Array:
    """The bin of each row along its widest coordinate; rows that do not take part are alone in theirs."""
    low = jnp.min(jnp.where(valid, columns, jnp.inf), axis=1)
    high = jnp.max(jnp.where(valid, columns, -jnp.inf), axis=1)
    spread = high - low
    # Booleans, since argmax of float64 cannot be lowered inside a jit that was entered with x64 disabled.
    widest = lax.argmax(spread >= jnp.max(spread), 0, jnp.int32)
    position = columns[widest] / atol
    bins = jnp.floor(jnp.clip(position, -last, last)).astype(jnp.int64)
    return jnp.where(valid, bins, last + 2 + 2 * jnp.arange(columns.shape[1]))


def _squared_distance(a: Float[Array, "values *rows"], b: Float[Array, "values #*rows"]) -> Float[Array, " *rows"]:
    terms = [(x - y) ** 2 for x, y in zip(a, b, strict=True)]
    result: Float[Array, " *rows"] = sum(terms[1:], terms[0])
    return result
