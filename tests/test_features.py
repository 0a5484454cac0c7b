"""Features of points against NumPy, under transformations, and what is refused."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from feature_truth import FEATURES, by_hand

import jaxgeom as jg
from jaxgeom.data.datasets import feature_names, features_of


@pytest.mark.parametrize("dim", FEATURES)
def test_features_are_those_of_numpy(dim: int) -> None:
    x = np.random.default_rng(dim).normal(scale=2, size=(50, dim))
    names = tuple(FEATURES[dim])
    assert feature_names(dim) == names
    found = features_of(x.astype(np.float32), names)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, by_hand(x.astype(np.float32), names), rtol=1e-6, atol=1e-6)
    with jax.enable_x64(True):
        np.testing.assert_allclose(features_of(x, names), by_hand(x, names), rtol=1e-14, atol=1e-14)
    some = names[::-2]
    np.testing.assert_array_equal(features_of(x, some), found[:, ::-2], err_msg="columns are in the order of the names")
    np.testing.assert_array_equal(features_of(x.reshape(5, 10, dim), some), found[:, ::-2].reshape(5, 10, -1))


def test_features_are_parts_of_programs_and_have_derivatives() -> None:
    x, names = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32), feature_names(2)
    compiled = jax.jit(features_of, static_argnums=1)(x, names)
    np.testing.assert_allclose(compiled, by_hand(x, names), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(jax.vmap(lambda point: features_of(point, names))(x), features_of(x, names))
    slopes = jax.vmap(jax.jacfwd(lambda point: features_of(point, names)))(x)
    zero, one, (first, second) = np.zeros(9), np.ones(9), x.T
    by_first = [one, zero, 2 * first, zero, second, np.cos(first), zero]
    by_second = [zero, one, zero, 2 * second, first, zero, np.cos(second)]
    expected = np.stack([np.stack(by_first, axis=1), np.stack(by_second, axis=1)], axis=2)
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-6)
    whole = features_of(np.array([[2, 3]]), ("x1*x2", "x2^2"))
    assert (whole.dtype, whole.tolist()) == (jnp.float32, [[6.0, 9.0]])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("x", "names", "kind", "message"),
    [
        (
            [[1.0, 2]],
            ("x1", "x3"),
            ValueError,
            "points with 2 coordinates must be one of x1, x2, x1^2, .*'x3' was given",
        ),
        ([[1.0]], ("sinx1",), ValueError, "of points with 1 coordinate must .* Did you mean 'sin(x1)'?"),
        ([[1.0, 2]], ("x2*x1",), ValueError, "'x2*x1' was given"),
        ([[1.0, 2]], (3,), ValueError, "but 3 was given"),
        ([[1.0, 2]], "x1", TypeError, "names is 'x1'; allowed: tuples of names"),
        ([[1.0, 2]], 3, TypeError, "names is 3; allowed: tuples of names"),
        ([[1.0, 2]], (), ValueError, "names is (); allowed: one name or more"),
        (1.0, ("x1",), ValueError, "shape of x is (); allowed: (points, coordinates)"),
        (np.zeros((3, 0)), ("x1",), ValueError, "number of coordinates of x is 0; allowed: integers from 1 up"),
        ([["a"]], ("x1",), TypeError, "x must be an array of bool, integers or real floats"),
    ],
)
def test_what_is_no_feature_is_refused(x: Any, names: Any, kind: type, message: str) -> None:
    with pytest.raises(kind, match=re.escape(message).replace(r"\.\*", ".*")):
        features_of(x, names)


def test_dimensions_are_sizes() -> None:
    with pytest.raises(ValueError, match="dim is 0; allowed: integers from 1 up"):
        jg.datasets.feature_names(0)
