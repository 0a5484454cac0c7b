"""The two algorithms below the grid: distinct columns of words, and "first come, first kept", against literal loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from test_regions_grid import sequential_rule

from jaxgeom.regions.grid import distinct_patterns
from jaxgeom.regions.grid.distinct_maps import first_kept

# first_occurrence


def occurrences(words):
    """NumPy's answer: the first of the equal columns, for each column."""
    _, first, inverse = np.unique(words, axis=1, return_index=True, return_inverse=True)
    return first[inverse.ravel()]


def word_tables():
    rng = np.random.default_rng(5)
    return {
        "random": rng.integers(0, 2**32, (3, 300), dtype=np.uint32),
        "few": rng.integers(0, 2, (3, 300), dtype=np.uint32) * np.uint32(2**31),
        "all equal": np.full((3, 300), 0xFFFFFFFF, np.uint32),
        "all different in one bit": np.stack([np.zeros(300), np.arange(300), np.zeros(300)]).astype(np.uint32),
        "last word tells": np.stack([np.ones(300), np.ones(300), np.arange(300) // 2]).astype(np.uint32),
        "there and back": np.stack([np.r_[:150, 149:-1:-1]] * 3).astype(np.uint32),
        "zeros first": np.stack([np.r_[np.zeros(299), 1]] * 3).astype(np.uint32),
    }


def test_first_occurrence_is_numpys():
    found = jax.jit(jax.vmap(distinct_patterns.first_occurrence))(np.stack(list(word_tables().values())))
    for words, first in zip(word_tables().values(), found, strict=True):
        np.testing.assert_array_equal(first, occurrences(words))


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (40, 1), (0, 7), (1, 5000), (64, 1000)])
def test_first_occurrence_of_any_shape(shape):
    rng = np.random.default_rng(6)
    words = rng.integers(0, 2**32, shape, dtype=np.uint32)
    words = words[:, rng.integers(0, max(1, shape[1] // 2), shape[1])]
    expected = occurrences(words) if shape[0] else np.zeros(shape[1])
    found = jax.jit(distinct_patterns.first_occurrence)(words)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("values", [1, 2, 5])
def test_first_occurrence_whatever_the_hash(monkeypatch, values):
    # a bad hash for the first rounds: all columns collide, and the true one only later if at all
    good = distinct_patterns._mixed

    def bad(words, salt):
        return jnp.where(salt < 40, good(words, salt) % values, good(words, salt))

    monkeypatch.setattr(distinct_patterns, "_mixed", bad)
    tables = np.stack(list(word_tables().values()))
    found = jax.jit(jax.vmap(lambda words: distinct_patterns.first_occurrence(words)))(tables)
    for words, first in zip(tables, found, strict=True):
        np.testing.assert_array_equal(first, occurrences(words))


def test_first_occurrence_with_a_constant_hash(monkeypatch):
    monkeypatch.setattr(distinct_patterns, "_mixed", lambda words, salt: jnp.zeros(words.shape[1], jnp.uint32))
    words = word_tables()["there and back"]
    np.testing.assert_array_equal(
        jax.jit(lambda words: distinct_patterns.first_occurrence(words))(words), occurrences(words)
    )


# first_kept


def row_sets(dim):
    """Sets of 64 rows with their tolerance, from easy to adversarial; distances are never within rounding of it."""
    rng = np.random.default_rng(dim)
    line, other = np.zeros((2, dim))
    line[0], other[-1] = 1, 1
    steps = np.arange(64)[:, None]
    chain = 0.9 * steps * line
    exact = steps * line
    return {
        "random": (rng.uniform(0, 3, (64, dim)), 0.5),
        "clusters": (rng.integers(0, 3, (64, dim)) + rng.normal(0, 1e-4, (64, dim)), 1e-3),
        "all equal": (np.full((64, dim), 0.3), 1e-3),
        "all far": (rng.permutation(64)[:, None] * np.ones(dim), 0.5),
        "chain": (chain, 1.0),
        "chain, other axis": (0.9 * steps * other - 7, 1.0),
        "chain backwards": (chain[::-1], 1.0),
        "chain shuffled": (rng.permutation(chain), 1.0),
        "two chains": (np.concatenate([chain[:32], chain[:32] + 0.45 * line]), 1.0),
        "exactly atol apart": (exact, 1.0),
        "exactly atol apart, shuffled": (rng.permutation(exact), 1.0),
        "just nearer than atol": (exact, np.nextafter(1.0, 2)),
        "half of atol apart": (rng.permutation(exact / 2), 1.0),
        "huge": (rng.choice([-1e12, 1e12, 1e12 + 1, 0], (64, dim)), 1.5),
        "huge, tiny tolerance": (rng.choice([-1e12, 1e12, 1e12 + 1, 0], (64, dim)), 1e-3),
        "beyond all bins": (rng.choice([-1e300, 1e300, 1e299, 3], (64, dim)), 1e-3),
        "tiny": (rng.integers(0, 9, (64, dim)) * 1e-9, 1.5e-9),
        "tolerance of everything": (rng.uniform(0, 3, (64, dim)), 1e9),
        "negative": (-rng.uniform(0, 3, (64, dim)), 0.25),
    }


def rule(rows, valid, atol):
    """The literal rule among the valid rows."""
    index = np.flatnonzero(valid)
    kept = np.zeros(len(rows), bool)
    with np.errstate(over="ignore"):
        kept[index[reference.sequential_distinct_maps(rows[index], atol)]] = True
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_first_kept_is_the_literal_rule(dim):
    sets = row_sets(dim)
    rows = np.stack([rows for rows, _ in sets.values()])
    atols = np.array([atol for _, atol in sets.values()])
    rng = np.random.default_rng(0)
    masks = [np.ones((len(rows), 64), bool), rng.random((len(rows), 64)) < 0.5, np.zeros((len(rows), 64), bool)]
    with jax.enable_x64(True):
        kept = jax.jit(jax.vmap(jax.vmap(first_kept), (None, 0, None)))(rows, np.stack(masks), atols)
    for name, set_index in zip(sets, range(len(rows)), strict=True):
        for mask_index, valid in enumerate(masks):
            expected = rule(rows[set_index], valid[set_index], atols[set_index])
            np.testing.assert_array_equal(kept[mask_index, set_index], expected, err_msg=name)


quick_first_kept = jax.jit(first_kept)


@pytest.mark.parametrize(
    ("rows", "atol", "expected"),
    [
        # distances 5, 13 and 25 in whole numbers: not nearer than the tolerance, so kept
        ([[0, 0], [3, 4], [8, 16], [15, -9], [15.5, -9]], 5.0, [1, 1, 1, 1, 0]),
        ([[0, 0], [3, 4], [8, 16], [15, -9], [15.5, -9]], 13.0, [1, 0, 1, 1, 0]),
        # equal rows, where the square of the tolerance underflows
        ([[0, 1], [0, 1], [0, 2], [0, 2], [0, 1]], 1e-100, [1, 0, 1, 0, 0]),
        ([[0, 1], [0, 1], [0, 2], [0, 2], [0, 1]], 1e-150, [1, 0, 1, 0, 0]),
        ([[1, 2]], 1e-3, [1]),
    ],
)
def test_first_kept_by_hand(rows, atol, expected):
    with jax.enable_x64(True):
        for valid in (np.ones(len(rows), bool), np.zeros(len(rows), bool)):
            kept = quick_first_kept(np.asarray(rows, np.float64), valid, atol)
            np.testing.assert_array_equal(kept, expected * valid)


def test_first_kept_of_thousands_of_rows():
    rng = np.random.default_rng(8)
    chain = np.stack([0.9e-3 * np.arange(1500), np.zeros(1500), np.ones(1500)], axis=1)
    sets = [
        rng.uniform(0, 0.04, (1500, 3)),
        rng.uniform(0, 1, (1500, 3)),
        chain,
        rng.permutation(chain),
        np.full((1500, 3), 7.0),
        rng.integers(0, 6, (1500, 3)) + rng.normal(0, 3e-4, (1500, 3)),
    ]
    valid = np.arange(1500) % 10 > 0
    with jax.enable_x64(True):
        kept = jax.jit(jax.vmap(first_kept, (0, None, None)))(np.stack(sets), valid, 1e-3)
    for rows, found in zip(sets, kept, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(found), np.flatnonzero(valid)[sequential_rule(rows[valid])])
    assert sequential_rule(sets[0][:500]) == reference.sequential_distinct_maps(sets[0][:500])
