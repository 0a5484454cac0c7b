"""[host] Complexes of stacked networks on boxes of any dimension: by the compiled engine, or in integers without it."""

import math

from jaxgeom.domains import Box
from jaxgeom.engine import library, spaces
from jaxgeom.host.memory import free_memory, in_words
from jaxgeom.networks.layers import Layers
from jaxgeom.regions.cells import by_slopes, finite_member, member_of, warn_once, weights_of
from jaxgeom.regions.exact_space import exact_space
from jaxgeom.regions.space import SpatialComplex, space_of

_MOST_DIMENSIONS = 8


def space_complexes(networks: Layers, box: Box, *, at_surface: bool = False) -> list[SpatialComplex | None]:
    """The complexes of networks on a box of as many dimensions as inputs, None where weights are not finite.

    Args:
        networks: arrays with one leading axis.
        box: the domain.
        at_surface: whether only the cells are needed at which the first unit of the last hidden layer is zero
            somewhere. Without the engine, all are there.

    Raises:
        ValueError: for complexes that take more memory than is free, and in more than 8 dimensions.
    """
    dim, num = len(box.low), len(networks[0].bias)
    if dim > _MOST_DIMENSIONS:
        raise ValueError(
            f"a single region of a box in {dim} dimensions has up to millions of faces, so that regions are enumerated "
            f"in at most {_MOST_DIMENSIONS} dimensions. count_regions takes 10, estimate_regions any number."
        )
    each: list[SpatialComplex | None] = [None] * num
    if not library.is_available():
        warn_once()
        for index in range(num):
            if (network := finite_member(networks, index)) is not None:
                each[index] = space_of(exact_space(network, box), member_of(networks, index))
        return each
    size = bytes_a_cell(dim, sum(layer.bias.shape[-1] for layer in networks[:-1]), networks[-1].bias.shape[-1])
    free = free_memory()
    most = max(1, int(free / size / max(1, num)))
    for members, slopes in by_slopes(networks):
        found = spaces.spaces(weights_of(networks, members), slopes, *box, max_cells=most, at_surface=at_surface)
        for index, cells in zip(members, found, strict=True):
            if isinstance(cells, int):
                raise ValueError(
                    f"there are more than {most:,} regions, of which complexes take more than the {in_words(free)} of "
                    "memory that are free. Take a smaller box, a slice of fewer dimensions (jaxgeom.on_plane), fewer "
                    "networks at once (chunk_size), or max_regions, which stops before the layer that makes more; "
                    "count_regions takes hardly any memory."
                )
            each[index] = None if cells is None else space_of(cells, member_of(networks, index))
    return each


def bytes_a_cell(dim: int, units: int, outputs: int) -> float:
    """About what a complex takes for each of its regions, its making included, by measurement."""
    faces = 2**dim + dim * 2 ** (dim - 1) + math.comb(dim, 2) * 2**dim
    number: float = 120 * faces + 12 * units + 32 * outputs * (dim + 1)
    return number
