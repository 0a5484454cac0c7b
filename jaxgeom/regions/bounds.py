"""What theory says about numbers of regions."""

from math import comb


def zaslavsky(num_hyperplanes: int, dim: int) -> int:
    """Cells of a generic arrangement of hyperplanes in R^dim, the most that one hidden layer can make.

    Σ_{k ≤ dim} C(n, k); Zaslavsky 1975.

    Raises:
        ValueError: for negative arguments.
    """
    if num_hyperplanes < 0 or dim < 0:
        raise ValueError(f"both numbers must be at least 0, but {num_hyperplanes} and {dim} were given.")
    return sum(comb(num_hyperplanes, k) for k in range(dim + 1))


def mean_count_one_layer(width: int) -> float:
    """Expected regions in [-1, 1]² of a network 2-width-… with one hidden layer at PyTorch's initialisation.

    1 + 5W/6 + W(W-1)/6. Each unit's line crosses the square with probability 5/6. Two lines meet inside it with
    probability 1/3: the minors of two rows with independent, equally distributed entries are exchangeable, and the
    lines meet inside iff the third minor is the largest in size.

    Raises:
        ValueError: for a negative width.
    """
    if width < 0:
        raise ValueError(f"width must be at least 0, but {width} was given.")
    return 1 + 5 * width / 6 + width * (width - 1) / 6
