"""[host] How many networks a chunk has, and sizes rounded up, so that few programs are compiled.

Three things bound a chunk. *Memory*: its results, or what is held while they are computed. *Work*: a chunk should take
long beside the fifth of a millisecond that it costs to start one, and no longer than needed, since progress is shown
and an interruption answered between chunks. *The processor*: XLA's programs for CPUs run mostly on one core and pass
over all networks of a chunk at every step, so these should stay in cache, and all cores should have a chunk; the
training engine shares a chunk among all cores and takes a vector of networks through the whole run, so that cache and
cores are no concern, and its chunks follow one another. Accelerators pass over all networks at every step as well, by
kernels that take some microseconds to start: chunks are as large as stays in their caches.
"""

from jaxgeom.host.chunks import num_cores, num_devices
from jaxgeom.host.devices import platform

MOST_RESULTS = 2**30
"""Bytes of the results of a chunk."""
LANES = 16
"""Networks in the widest vectors; chunks are multiples of it."""
ENGINE_WORK = 2**30
"""Multiply-adds forward (parameters times points times steps) of a chunk of the training engine: on two cores a tenth
of a second, of which starting a chunk is not a hundredth."""
_OF_CORE = 64
"""Networks of a chunk of XLA's on a CPU. On two cores, 1,000 networks for XOR (widths 2, 20, 100) took 16, 30 and 48 ms
in chunks of 16; 6, 16 and 45 in chunks of 64; 7, 20 and 62 in chunks of 96; and 5, 16 and 88 in chunks of 512."""
_OF_ACCELERATOR = 2**12
"""Networks of a chunk that trains on an accelerator. Compiled for an H100, not yet run: 2-10-10-3 with batches of 32
takes 31 kernels a step and moves 44 kB a network in chunks of 4,096, 33 and 45 kB in those of 65,536; the estimate is
60 and 67 million model-steps a second (``benchmarks/results/compiled.json``)."""
_MOST_OF_ACCELERATOR = 2**16
_STEP_OF_ACCELERATOR = 2**24
"""Multiply-adds forward of a step of a chunk of small networks, whose kernels take longer to start than to run: by
estimate, 2-20-1 with four points takes a step in 20 µs for 4,096 networks, and in 100 for 65,536."""
_GRID, _GRID_OF_ACCELERATOR = 2**26, 2**30
"""Bytes of what a chunk holds while it looks at the points of a grid."""
_GRIDS_AT_ONCE = 16


def round_up(size: int, multiple: int) -> int:
    """The next multiple."""
    return -(-size // multiple) * multiple


def power_of_two(size: int) -> int:
    """The next power of two; 1 for sizes below."""
    return 1 << max(0, size - 1).bit_length()


def fitting(bytes_each: int, most_bytes: int, most: int = 2**31) -> int:
    """Networks that there is memory for, one at least and ``most`` at most."""
    return min(max(most_bytes // max(1, bytes_each), 1), most)


def size_of_grid_chunks(bytes_each: int) -> int:
    """Networks of a chunk of a program that holds so many bytes for each at the points of a grid."""
    if platform() == "cpu":
        return fitting(bytes_each, _GRID, _GRIDS_AT_ONCE)
    return fitting(bytes_each, _GRID_OF_ACCELERATOR)


def size_of_chunks(
    num: int | None,
    bytes_each: int,
    *,
    engine_work: int = 0,
    step_work: int = 0,
    most_bytes: int = MOST_RESULTS,
) -> int:
    """Networks of a chunk of a program that trains or measures a population.

    Args:
        num: networks of the population, of which all cores or accelerators get a share; None for any number of them,
            and a size that does not depend on the number of cores or devices.
        bytes_each: of the results of a network.
        engine_work: multiply-adds of the training of a network, if the engine does it.
        step_work: those of one step, if known.
        most_bytes: of the results of a chunk.
    """
    is_cpu = platform() == "cpu"
    wanted = _OF_CORE
    if not is_cpu:
        small = power_of_two(_STEP_OF_ACCELERATOR // step_work) if step_work else 0
        wanted = min(max(_OF_ACCELERATOR, small), _MOST_OF_ACCELERATOR)
    if engine_work:
        unit = LANES * num_cores()
        wanted = round_up(ENGINE_WORK // engine_work + 1, unit)
        if num is not None:  # of equal sizes: the last one is filled up
            wanted = round_up(-(-num // -(-num // wanted)), unit)
    elif num is not None:
        shares = num_cores() if is_cpu else num_devices()
        wanted = min(wanted, round_up(num, LANES * shares) // shares)
    return fitting(bytes_each, most_bytes, wanted)
