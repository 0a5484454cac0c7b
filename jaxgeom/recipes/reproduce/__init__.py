"""[edge] Published results, measured anew: ``python -m jaxgeom reproduce NAME``, or ``all`` of them.

Each function takes a random seed and whether to be quick, and returns a
:class:`jaxgeom.recipes.reproduce.claims.Claim`: the published figures beside the measured ones with their errors, and
whether they agree.
"""

from collections.abc import Callable

from jaxgeom.recipes.reproduce.claims import Claim, Row
from jaxgeom.recipes.reproduce.complexity import complexity
from jaxgeom.recipes.reproduce.counting import bounds, buck, definitions, disc
from jaxgeom.recipes.reproduce.curves import length, sawtooth
from jaxgeom.recipes.reproduce.degrees import degrees
from jaxgeom.recipes.reproduce.dimensions import dimensions
from jaxgeom.recipes.reproduce.enclosures import enclosures
from jaxgeom.recipes.reproduce.hanin_rolnick import lines, planes
from jaxgeom.recipes.reproduce.maxout import maxout
from jaxgeom.recipes.reproduce.narrow import narrow
from jaxgeom.recipes.reproduce.sampling import sampling
from jaxgeom.recipes.reproduce.xor_minima import xor_minima

CLAIMS: dict[str, Callable[[int, bool], Claim]] = {
    "buck": buck,
    "disc": disc,
    "bounds": bounds,
    "definitions": definitions,
    "maxout": maxout,
    "degrees": degrees,
    "length": length,
    "sawtooth": sawtooth,
    "local-complexity": complexity,
    "xor-minima": xor_minima,
    "narrow": narrow,
    "enclosures": enclosures,
    "functional-dimension": dimensions,
    "sampling": sampling,
    "hanin-rolnick-planes": planes,
    "hanin-rolnick-lines": lines,
}
"""The results by name."""

__all__ = ["CLAIMS", "Claim", "Row"]
