"""[host] Differences of outputs at the vertices of complexes, of any size: floats and exponents of powers of two.

Signs at vertices are the engine's, whatever the size. Positions follow from sizes, which may be larger or smaller than
float64 holds: then the engine is asked again for the outputs times a power of two, by linear layers behind the network.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.domains import ProjectiveDomain
from jaxgeom.networks.layers import Dense, Layers
from jaxgeom.regions.cells import complexes
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.count import with_differences

_LEAST, _MOST = 2.0**-900, 2.0**1000
"""Differences of a size between these are known to all digits, and none beside them is too small for float64 to matter.
"""
_POWERS = (1900, -1900, 3800, -3800)
"""Of two, that outputs are multiplied with where float64 does not hold them."""
_POWER_OF_A_LAYER = 950


@readable
class Differences(NamedTuple):
    """How much larger outputs of a network are than others, ``value * 2.0**exponent``."""

    value: Float[np.ndarray, "vertices pairs"]
    """The first output of each pair minus the second one, zero exactly where they are equal. Of one output, zero is the
    first."""
    exponent: Int[np.ndarray, "vertices pairs"]
    """Zero but where float64 does not hold the difference."""


def differences_of(
    networks: Layers | None, given: list[PlanarComplex], start: ProjectiveDomain | None
) -> tuple[list[tuple[int, int]], list[Differences]]:
    """The pairs of outputs, and their differences for each network.

    Args:
        networks: with one leading axis; None if they are not known, for one output.
        given: their complexes.
        start: their domain.

    Raises:
        ValueError: if the complexes are not those of the networks.
    """
    pairs, sign = [(0, 1)], -1.0
    if given[0].outputs.shape[1] > 1:
        assert networks is not None
        sign = 1.0
        networks, pairs = with_differences(networks)
        values = _outputs(networks, given, start)
    else:
        values = [-each.outputs for each in given]
    found = [Differences(value, np.zeros(value.shape, np.int32)) for value in values]
    for power in _POWERS:
        lost = np.array([index for index, each in enumerate(found) if _is_lost(each.value).any()], np.int64)
        if not len(lost) or networks is None:
            break
        some, of = jax.tree.map(lambda array, lost=lost: array[lost], networks), [given[index] for index in lost]
        for index, again in zip(lost.tolist(), _outputs(_multiplied(some, sign, power), of, start), strict=True):
            value, exponent = found[index]
            is_better = _is_lost(value) & (again != 0) & ~_is_lost(again)
            found[index] = Differences(np.where(is_better, again, value), np.where(is_better, -power, exponent))
    for value, exponent in found:
        exponent[value == 0] = exponent.min(initial=0)  # zeros make no other number small
    return pairs, found


def _outputs(networks: Layers, given: list[PlanarComplex], start: ProjectiveDomain | None) -> list[np.ndarray]:
    """The outputs of networks that have the same hidden units that cut, at the vertices of the given complexes."""
    assert start is not None
    found = [each for each in complexes(networks, start) if each is not None]
    if len(found) != len(given) or not all(
        np.array_equal(own.face_vertices, each.face_vertices) for own, each in zip(found, given, strict=True)
    ):
        raise ValueError(ANOTHER)
    return [each.outputs for each in found]


ANOTHER = (
    "this complex is not the one of its network on its domain, face by face, as this installation finds it. Take it "
    "from enumerate_regions once more."
)


def _is_lost(value: Float[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Where float64 does not hold differences so well that positions follow from them."""
    size = np.abs(value)
    is_lost: Bool[np.ndarray, "*shape"] = (size > _MOST) | ((size < _LEAST) & (size > 0))
    return is_lost


def _multiplied(networks: Layers, sign: float, power: int) -> Layers:
    """The networks whose outputs are those of the given ones times a sign and a power of two, without rounding."""
    *hidden, last = networks
    leading, num = last.bias.shape[:-1], last.bias.shape[-1]
    factor = 2.0 ** (_POWER_OF_A_LAYER if power > 0 else -_POWER_OF_A_LAYER)
    for _ in range(abs(power) // _POWER_OF_A_LAYER):
        hidden.append(last._replace(slope=np.ones((*leading, num))))
        kernel = np.broadcast_to(sign * factor * np.eye(num), (*leading, num, num))
        last, sign = Dense(kernel, np.zeros((*leading, num))), 1.0
    return (*hidden, last)
