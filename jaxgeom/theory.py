"""What theory says about numbers of regions: bounds for every network of a shape, means at initialisation.

Upper bounds hold for the activation regions (full-dimensional cells with one activation pattern of the hidden units)
of a ReLU network on all of R^dim, and so for those inside any domain, and for linear regions, of which there are at
most as many. For one shape they order as

    serra_2018 <= montufar_2017 <= raghu_2017 <= 2^units.

Lower bounds say what the best weights reach. Means are over random weights. A shape is the number of inputs and the
widths of the hidden layers; the output layer never cuts. What is an integer is an exact one, of any size.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np
from jaxtyping import Float

from jaxgeom.domains import Box, Polygon, polygon_vertices
from jaxgeom.host.given import check_numbers, check_positive


def zaslavsky(num_hyperplanes: int, dim: int) -> int:
    """Cells of a generic arrangement of hyperplanes in R^dim, the most that one hidden layer can make.

    Σ_{k ≤ dim} C(n, k); Zaslavsky 1975.

    Raises:
        ValueError: for negative arguments.

    Example:
        >>> import jaxgeom as jg
        >>> jg.zaslavsky(3, 2)  # three lines in the plane
        7
    """
    check_numbers(num_hyperplanes=num_hyperplanes, dim=dim)
    if num_hyperplanes < 0 or dim < 0:
        raise ValueError(f"both numbers must be at least 0, but {num_hyperplanes} and {dim} were given.")
    return sum(comb(num_hyperplanes, k) for k in range(dim + 1))


def zaslavsky_central(num_hyperplanes: int, dim: int) -> int:
    """Cells of a generic arrangement of hyperplanes through one point of R^dim: one hidden layer without biases.

    2 Σ_{k < dim} C(n - 1, k), and 1 without hyperplanes; Schläfli 1901, Cover 1965. Flax's and He's initialisations
    have zero biases: with probability one this is the number of activation regions of their first layer, on R^dim
    and on every domain with the origin inside.

    Raises:
        ValueError: for a negative number of hyperplanes, or ``dim`` below 1.

    Example:
        >>> import jaxgeom as jg
        >>> jg.zaslavsky_central(3, 2)  # three lines through one point
        6
    """
    check_numbers(num_hyperplanes=num_hyperplanes, dim=dim)
    if num_hyperplanes < 0 or dim < 1:
        raise ValueError(
            f"num_hyperplanes must be at least 0 and dim at least 1, but {num_hyperplanes} and {dim} were given."
        )
    return 2 * zaslavsky(num_hyperplanes - 1, dim - 1) if num_hyperplanes else 1


def montufar_2014(widths: Sequence[int], dim: int) -> int:
    """Lower bound on the most linear regions that a network of this shape can have in R^dim.

    (Π_{l < L} ⌊n_l / dim⌋^dim) · Σ_{k ≤ dim} C(n_L, k) for hidden widths n_1, …, n_L; Montúfar, Pascanu, Cho &
    Bengio 2014, "On the number of linear regions of deep neural networks". Each layer but the last folds the input
    onto itself, ⌊n_l / dim⌋ times along every coordinate. There are weights with at least so many linear regions;
    random and trained networks have far fewer.

    Args:
        widths: of the hidden layers, each at least ``dim``.
        dim: number of inputs.

    Raises:
        ValueError: for a shape that is none, or widths below ``dim``.

    Example:
        >>> import jaxgeom as jg
        >>> jg.montufar_2014((4, 4), 2)
        44
    """
    widths = _checked_shape(widths, dim)
    if widths and min(widths) < dim:
        raise ValueError(
            f"this bound needs hidden layers of at least dim = {dim} units, but the widths {widths} were given. "
            f"Use dim = {min(widths)}: a network may ignore some of its inputs."
        )
    number: int = math.prod((n // dim) ** dim for n in widths[:-1]) * (zaslavsky(widths[-1], dim) if widths else 1)
    return number


def raghu_2017(widths: Sequence[int], dim: int) -> int:
    """Upper bound on the activation regions of a network of this shape in R^dim: a product of Zaslavsky's.

    Π_l Σ_{k ≤ dim} C(n_l, k). Every layer cuts each region of the layers before it by n_l hyperplanes at most; the
    argument behind the O(width^(dim · depth)) of Raghu, Poole, Kleinberg, Ganguli & Sohl-Dickstein 2017, "On the
    expressive power of deep neural networks".

    Args:
        widths: of the hidden layers.
        dim: number of inputs.

    Raises:
        ValueError: for a shape that is none.

    Example:
        >>> import jaxgeom as jg
        >>> jg.raghu_2017((4, 4), 2)
        121
    """
    return math.prod(zaslavsky(n, dim) for n in _checked_shape(widths, dim))


def montufar_2017(widths: Sequence[int], dim: int) -> int:
    """Upper bound on the activation regions of a network of this shape in R^dim, which sees narrow layers.

    Π_l Σ_{k ≤ d_l} C(n_l, k) with d_l = min(dim, n_1, …, n_{l-1}), the most dimensions that can reach layer l;
    Montúfar 2017, "Notes on the number of linear regions of deep neural networks".

    Args:
        widths: of the hidden layers.
        dim: number of inputs.

    Raises:
        ValueError: for a shape that is none.

    Example:
        >>> import jaxgeom as jg
        >>> jg.montufar_2017((1, 4), 2), jg.raghu_2017((1, 4), 2)  # one unit hands on one dimension
        (10, 22)
    """
    widths = _checked_shape(widths, dim)
    return math.prod(zaslavsky(n, min([dim, *widths[:index]])) for index, n in enumerate(widths))


def serra_2018(widths: Sequence[int], dim: int) -> int:
    """Upper bound on the activation regions of a network of this shape in R^dim, the tightest of the three.

    Σ Π_l C(n_l, j_l) over all (j_1, …, j_L) with 0 ≤ j_l ≤ min(dim, n_1 - j_1, …, n_{l-1} - j_{l-1}, n_l); Serra,
    Tjandraatmadja & Ramalingam 2018, "Bounding and counting linear regions of deep neural networks", Theorem 1.
    Regions with few active units in one layer have an image of few dimensions, which the next layers cannot cut much.
    For dim = 1 and widths of at least 3 there are networks with so many. The sum is taken layer by layer, in about
    L · dim · width steps.

    Args:
        widths: of the hidden layers.
        dim: number of inputs.

    Raises:
        ValueError: for a shape that is none.

    Example:
        >>> import jaxgeom as jg
        >>> jg.serra_2018((3, 6), 3), jg.montufar_2017((3, 6), 3), jg.raghu_2017((3, 6), 3)
        (130, 336, 336)
    """
    widths = _checked_shape(widths, dim)
    ways = {dim: 1}  # the regions so far, by the dimensions that are left of them
    for n in widths:
        following: dict[int, int] = {}
        for left, number in ways.items():
            for j in range(min(left, n) + 1):
                then = min(left, n - j)
                following[then] = following.get(then, 0) + number * comb(n, j)
        ways = following
    return sum(ways.values())


def hanin_rolnick_2019(num_units: int, dim: int) -> Fraction:
    """The size of the mean number of activation regions of a random network, whatever its depth: N^dim / dim!.

    Hanin & Rolnick 2019, "Deep ReLU networks have surprisingly few activation patterns": at initialisation the mean
    number of activation regions that meet a cube, per volume, is at most (T N)^dim / dim! for N ≥ dim hidden units in
    all, with a constant T that depends on the sizes of biases and gradients, and not on depth. This is that number
    with T = 1, and what Zaslavsky's count approaches for one wide layer: a yardstick, no bound. Experiments in the
    paper found means near it: about N²/2 in the plane.

    Args:
        num_units: hidden units of all layers.
        dim: number of inputs.

    Returns:
        An exact fraction; ``float(…)`` makes a number of it.

    Raises:
        ValueError: for negative arguments.

    Example:
        >>> import jaxgeom as jg
        >>> jg.hanin_rolnick_2019(20, 2)
        Fraction(200, 1)
    """
    check_numbers(num_units=num_units, dim=dim)
    if num_units < 0 or dim < 0:
        raise ValueError(f"both numbers must be at least 0, but {num_units} and {dim} were given.")
    return Fraction(num_units**dim, math.factorial(dim))


def mean_count_one_layer(width: int) -> float:
    """Expected regions in [-1, 1]² of a network 2-width-… with one hidden layer at PyTorch's initialisation.

    1 + 5W/6 + W(W-1)/6. Each unit's line crosses the square with probability 5/6. Two lines meet inside it with
    probability 1/3: the minors of two rows with independent, equally distributed entries are exchangeable, and the
    lines meet inside iff the third minor is the largest in size.

    Raises:
        ValueError: for a negative width.

    Example:
        >>> import jaxgeom as jg
        >>> round(jg.mean_count_one_layer(10), 2)
        24.33
    """
    check_numbers(width=width)
    if width < 0:
        raise ValueError(f"width must be at least 0, but {width} was given.")
    return 1 + 5 * width / 6 + width * (width - 1) / 6


def mean_count_polygon(width: int, domain: Box | Polygon, bias_scale: float = 1.0) -> float:
    """Expected activation regions of one hidden layer with normal weights and biases, on a box or convex polygon.

    1 + W p₁ + C(W, 2) p₂, where p₁ is the probability that a unit's line crosses the domain and p₂ that two lines
    meet inside. Seen from the origin of R³, the domain at height σ (the bias scale) is a convex polygon on the
    sphere, with perimeter ℓ and solid angle Ω. Normal weights have no preferred direction: a unit's line crosses the
    domain iff a uniformly random great circle crosses that polygon, p₁ = ℓ / 2π (Crofton), and two lines meet inside
    iff a uniformly random axis runs through it, p₂ = Ω / 2π.

    Args:
        width: units W of the hidden layer.
        domain: two-dimensional.
        bias_scale: standard deviation of the biases over that of the weights. For two inputs it is the
            ``bias_scale`` of :func:`jaxgeom.he_init`. Without biases see :func:`zaslavsky_central`.

    Raises:
        ValueError: for a negative width, a scale that is not positive, or a domain that is not two-dimensional.
        TypeError: for anything that is not a box or polygon.

    Example:
        >>> import jaxgeom as jg
        >>> round(jg.mean_count_polygon(10, jg.box(-1, 1), bias_scale=0.5), 1)
        36.9
    """
    _check_mean(width, bias_scale=bias_scale)
    points = polygon_vertices(domain)
    points = np.concatenate([points, points.mean(axis=0, keepdims=True)])
    rays = np.concatenate([points, np.full((len(points), 1), bias_scale)], axis=1)
    *rays, center = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    sides = list(zip(rays, rays[1:] + rays[:1], strict=True))
    perimeter = sum(_angle(p, q) for p, q in sides)
    solid_angle = sum(_solid_angle(center, p, q) for p, q in sides)
    return 1 + (width * perimeter + comb(width, 2) * solid_angle) / (2 * math.pi)


def mean_count_ball(width: int, dim: int, radius: float = 1.0, bias_scale: float = 1.0) -> float:
    """Expected activation regions of one hidden layer with normal weights and biases, in a ball around the origin.

    Σ_{k ≤ dim} C(W, k) p_k, where p_k is the probability that k hyperplanes meet inside the ball. Lifted to
    R^{dim + 1} they meet in a uniformly random subspace of dimension dim + 1 - k, and the ball at height σ (the bias
    scale) spans a circular cone. The squared cosine of the angle between subspace and axis is a beta variable, hence

        p_k = P(Beta(k/2, (dim + 1 - k)/2) ≤ R² / (R² + σ²)).

    For dim = 2: 1 + W R/√(R²+σ²) + C(W, 2) (1 - σ/√(R²+σ²)).

    Args:
        width: units W of the hidden layer.
        dim: number of inputs.
        radius: R.
        bias_scale: standard deviation of the biases over that of the weights.

    Raises:
        ValueError: for a negative width, ``dim`` below 1, or a radius or scale that is not positive.

    Example:
        >>> import jaxgeom as jg
        >>> round(jg.mean_count_ball(10, 2, radius=1.0, bias_scale=1.0), 1)
        21.3
    """
    _check_mean(width, radius=radius, bias_scale=bias_scale)
    check_positive("dim", dim)
    hypotenuse = math.hypot(radius, bias_scale)
    sine, cosine = radius / hypotenuse, bias_scale / hypotenuse
    terms = [comb(width, k) * _beta_below(sine**2, cosine**2, k / 2, (dim + 1 - k) / 2) for k in range(1, dim + 1)]
    return 1 + sum(terms)


def mean_length_ratio(widths: Sequence[int], dim: int) -> float:
    """Expected factor by which the length of a curve changes on its way through hidden layers at He's initialisation.

    Π_l √(2 / n_{l-1}) E χ(B_l) with n_0 = dim, where B_l ~ Bin(n_l, ½) is the number of active units and χ(k) the
    length of a standard normal vector in R^k, of mean √2 Γ((k+1)/2) / Γ(k/2); Hanin, Jeong & Rolnick 2022, "Deep ReLU
    networks preserve expected length". Exact for independent normal weights of variance 2/fan_in and independent
    biases of any symmetric distribution, zero included: then a unit is active or not independently of how much it
    stretches. For n inputs and d layers of n units it is c_n^d, with c_2 = .712…, c_16 = .960… and c_64 = .990….

    Args:
        widths: of the layers that the curve has gone through, ReLU included.
        dim: number of inputs.

    Raises:
        ValueError: for a shape that is none.

    Example:
        >>> import jaxgeom as jg
        >>> round(jg.mean_length_ratio((16,), 16), 3), round(jg.mean_length_ratio((16, 16), 16), 3)
        (0.96, 0.922)
    """
    widths = _checked_shape(widths, dim)
    ratio = 1.0
    for before, n in zip([dim, *widths], widths, strict=False):
        ratio *= math.sqrt(2 / before) * sum(comb(n, k) / 2**n * _mean_chi(k) for k in range(1, n + 1))
    return ratio


def _checked_shape(widths: Sequence[int], dim: int) -> list[int]:
    if not np.iterable(widths) or np.iterable(dim):
        raise TypeError(f"the widths of the hidden layers and then dim are needed, but {widths} and {dim} were given.")
    check_numbers(dim=dim)
    for width in widths:
        check_numbers(width=width)
    if dim < 1 or any(n < 1 for n in widths):
        raise ValueError(f"dim and all widths must be at least 1, but {dim} and {list(widths)} were given.")
    return list(widths)


def _check_mean(width: int, **positive: float) -> None:
    check_numbers(width=width, **positive)
    if width < 0:
        raise ValueError(f"width must be at least 0, but {width} was given.")
    for name, value in positive.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, but {value} was given.")


def _angle(p: Float[np.ndarray, " 3"], q: Float[np.ndarray, " 3"]) -> float:
    """Between two unit vectors; accurate for small ones too."""
    return math.atan2(float(np.linalg.norm(np.cross(p, q))), float(p @ q))


def _solid_angle(p: Float[np.ndarray, " 3"], q: Float[np.ndarray, " 3"], r: Float[np.ndarray, " 3"]) -> float:
    """Of the cone over three unit vectors (van Oosterom & Strackee 1983)."""
    return 2 * math.atan2(abs(float(p @ np.cross(q, r))), float(1 + p @ q + q @ r + r @ p))


def _mean_chi(k: int) -> float:
    """Mean length of a standard normal vector in R^k."""
    return math.sqrt(2) * math.exp(math.lgamma((k + 1) / 2) - math.lgamma(k / 2))


def _beta_below(x: float, rest: float, a: float, b: float) -> float:
    """P(Beta(a, b) ≤ x) with ``rest`` = 1 - x, by a series of positive terms on the smaller side of the mean."""
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_below_series(rest, x, b, a)
    return _beta_below_series(x, rest, a, b)


def _beta_below_series(x: float, rest: float, a: float, b: float) -> float:
    if x == 0:
        return 0.0
    total = term = 1.0
    index = 0
    while term > 1e-17 * total:
        term *= x * (a + b + index) / (a + 1 + index)
        total += term
        index += 1
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return total * math.exp(a * math.log(x) + b * math.log(rest) - log_beta) / a
