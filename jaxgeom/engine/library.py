"""The compiled engine, loaded: exact counts of networks in the plane, and breakpoints along lines.

The only module that knows the library's C interface (``engine.h``) and registers it with JAX. Networks are tuples of
layers as float32 or float64 arrays with one leading axis; nothing is copied on the way but what is not contiguous.
"""

import atexit
import ctypes
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int64, UInt8, UInt32

from jaxgeom.engine.arguments import Network, domain_of, pointer
from jaxgeom.engine.compile import SUFFIX, digest
from jaxgeom.host.devices import pretended
from jaxgeom.host.signals import answer, deferred, meaning_of_interrupt
from jaxgeom.host.sparse import SparseKernel

_NO_MEMORY = -4
"""What the engine's count of a single network returns where memory is not enough."""
_FEW = 8
"""So many networks or fewer leave most of the widest vectors empty."""

_HANDLER = "jaxgeom_count"
_QUESTION = ctypes.CFUNCTYPE(ctypes.c_int)(meaning_of_interrupt)
"""What long counts in programs of JAX ask when Ctrl-C was pressed (``interrupts.h``)."""
LONG = 2_000_000  # networks x units², about 30 ms: work that Ctrl-C should be able to end


class Lines(NamedTuple):
    """Breakpoints of networks along lines x(t) = start + t (stop - start), as wide as the most of them."""

    counts: Int64[np.ndarray, " lines"]
    """Numbers of breakpoints; -1 for networks or lines with NaN or infinity."""
    degenerate: Bool[np.ndarray, " lines"]
    """Whether an exact zero was met."""
    t: Float[np.ndarray, "lines most"]
    """Where they are, in increasing order; infinity after the last one."""
    layers: Int[np.ndarray, "lines most"]
    """The first layer that bends there; -1 after the last one."""
    units: Int[np.ndarray, "lines most"]
    """The first unit of that layer that bends there; -1 after the last one."""
    slope: Float[np.ndarray, "lines pieces out"]
    """Of the outputs with respect to t, on each piece."""
    intercept: Float[np.ndarray, "lines pieces out"]
    """The outputs are slope t + intercept."""
    ends: UInt8[np.ndarray, "lines 2 units"]
    """1 for the units that are active on the first and on the last piece; none unless these were asked for."""


def is_available() -> bool:
    """Whether the compiled library is there."""
    return _library() is not None


def count(
    arrays: Sequence[Array | np.ndarray | SparseKernel],
    slopes: Float[np.ndarray, " units"],
    corners: Float[np.ndarray, "corners 3"],
    cycles: Sequence[Sequence[int]],
    *,
    threads: int = 0,
) -> tuple[Int64[np.ndarray, " networks"], Bool[np.ndarray, " networks"]]:
    """Numbers of regions of a population on a domain, and whether an exact zero was met.

    Args:
        arrays: kernels (networks, in, out) and biases (networks, out) in turn, those of the affine output last.
        slopes: for all hidden units, what a pre-activation that is not positive is multiplied by.
        corners: homogeneous corners of the domain's faces.
        cycles: the corners of each face, counter-clockwise.
        threads: 0 for all cores. The results are the same for any number.

    Returns:
        Counts, -1 for networks with NaN or infinite weights; and flags.

    Raises:
        MemoryError: if there is not enough memory.
    """
    network = Network(arrays, slopes, corners, cycles)
    counts, degenerate = np.zeros(network.num, np.int64), np.zeros(network.num, bool)
    results = pointer(counts), pointer(degenerate)

    def call(stop: Any) -> int:
        number: int = loaded().jaxgeom_count(network.num, *network.arguments, threads, *results, stop)
        return number

    if interruptible(call, network.num * network.num_units**2 > LONG) == 1:
        raise MemoryError("not enough memory to count the regions of this population.")
    return counts, degenerate


class OneNetwork(ctypes.Structure):
    """What ``jaxgeom_count_one`` of engine.h counts: a network of this shape, on a domain."""

    _fields_ = (
        ("widths", ctypes.c_void_p),
        ("slopes", ctypes.c_void_p),
        ("corners", ctypes.c_void_p),
        ("face_offsets", ctypes.c_void_p),
        ("face_corners", ctypes.c_void_p),
        ("depth", ctypes.c_int),
        ("is_float32", ctypes.c_int),
        ("num_corners", ctypes.c_int),
        ("num_faces", ctypes.c_int),
        ("is_plane", ctypes.c_int),
    )
    alive: Any
    """The arrays that it points to."""
    address: int
    """Where it is."""
    count: Callable[[int, bytes], int]
    """The function of the library that counts it."""


def one_network(
    widths: tuple[int, ...],
    is_float32: bool,
    corners: Float[np.ndarray, "corners 3"],
    cycles: Sequence[Sequence[int]],
) -> OneNetwork:
    """What :func:`count_one` counts, but for the numbers of the network: ReLU layers and an affine output.

    Args:
        widths: 2, then the units of each layer, the outputs last.
        is_float32: the type of the numbers, or else float64.
        corners: homogeneous points (x, y, w) of the domain.
        cycles: for each face of the domain, the numbers of its corners in order.
    """
    num_corners, *places, is_plane = domain_of(corners.tobytes(), tuple(map(tuple, cycles)))
    arrays: list[Any] = [(ctypes.c_int64 * len(widths))(*widths), (ctypes.c_double * sum(widths[1:-1]))()]
    arrays += [places[0], *places[2:]]
    depth = len(widths) - 2
    network = OneNetwork(
        *[ctypes.addressof(array) for array in arrays], depth, is_float32, num_corners, places[1], is_plane
    )
    network.alive = arrays
    network.address, network.count = ctypes.addressof(network), loaded().jaxgeom_count_one
    return network


def count_one(network: OneNetwork, numbers: bytes) -> tuple[int, bool]:
    """:func:`count` for one ReLU network, in a third of the time if it is tiny.

    Args:
        network: its shape, and the domain.
        numbers: kernels and biases in turn, one after the other.

    Raises:
        MemoryError: if there is not enough memory.

    Returns:
        The count, -1 if weights are NaN or infinite, and the flag.
    """
    found = network.count(network.address, numbers)
    if found == _NO_MEMORY:
        raise MemoryError("not enough memory to count the regions of this network.")
    return found >> 1, found > 0 and bool(found & 1)


def lines(
    arrays: Sequence[Array | np.ndarray | SparseKernel],
    slopes: Float[np.ndarray, " units"],
    start: Float[np.ndarray, "sets lines in"],
    stop: Float[np.ndarray, "sets lines in"],
    *,
    is_infinite: bool = False,
    has_ends: bool = False,
    threads: int = 0,
) -> Lines:
    """Breakpoints of a population along lines, those of the first network, then of the next.

    Args:
        arrays: kernels (networks, in, out) and biases (networks, out) in turn, those of the affine output last.
        slopes: for all hidden units, what a pre-activation that is not positive is multiplied by.
        start: a point of each line; one set for all networks, or one for each.
        stop: another point of each line.
        is_infinite: whether lines go on beyond their two points.
        has_ends: whether the patterns at both ends are wanted as well.
        threads: 0 for all cores. The results are the same for any number.

    Raises:
        MemoryError: if there is not enough memory.
    """
    network, library = Network(arrays, slopes), loaded()
    num_sets, num_lines, _ = start.shape
    start, stop = (np.ascontiguousarray(points, np.float64) for points in (start, stop))
    options = int(num_sets > 1), int(is_infinite), int(has_ends), threads
    given = *network.arguments, num_lines, pointer(start), pointer(stop), *options

    def call(stop: Any) -> int | None:
        number: int | None = library.jaxgeom_lines(network.num, *given, stop)
        return number

    num, num_outputs = network.num * num_lines, np.shape(arrays[-1])[-1]
    handle = interruptible(call, num * max(1, network.num_units) ** 2 > LONG)
    if handle is None:
        raise MemoryError("not enough memory for the breakpoints of this population.")
    try:
        most = library.jaxgeom_lines_most(handle)
        found = Lines(
            np.empty(num, np.int64),
            np.empty(num, bool),
            np.empty((num, most)),
            np.empty((num, most), np.int32),
            np.empty((num, most), np.int32),
            np.empty((num, most + 1, num_outputs)),
            np.empty((num, most + 1, num_outputs)),
            np.empty((num, 2, network.num_units if has_ends else 0), np.uint8),
        )
        library.jaxgeom_lines_copy(handle, most, num_outputs, *map(pointer, found))
        return found
    finally:
        library.jaxgeom_lines_free(handle)


def traced_count(
    arrays: Sequence[Array | np.ndarray | SparseKernel],
    slopes: Float[np.ndarray, " units"],
    corners: Float[np.ndarray, "corners 3"],
    cycles: Sequence[Sequence[int]],
    otherwise: Callable[..., tuple[np.ndarray, np.ndarray]],
    integer: Any,
) -> tuple[Int[Array, "*networks"], Bool[Array, "*networks"]]:
    """:func:`count` inside programs that JAX compiles, under any of its transformations.

    On CPUs the program calls the engine itself; elsewhere, or where the engine was built without JAX's headers, it
    calls back to the host.

    Args:
        arrays: kernels and biases in turn, with any leading axes; float32 or float64.
        slopes: for all hidden units, what a pre-activation that is not positive is multiplied by.
        corners: homogeneous points (x, y, w) of the domain.
        cycles: for each face of the domain, the numbers of its corners in order.
        otherwise: the same count on the host, from NumPy arrays with the same leading axes.
        integer: dtype of the counts, int32 or int64.
    """
    leading = jnp.shape(arrays[1])[:-1]
    shapes = jax.ShapeDtypeStruct(leading, integer), jax.ShapeDtypeStruct(leading, np.bool_)
    constants = [jax.lax.stop_gradient(jnp.asarray(array)) for array in arrays]

    def on_host(*arrays: Array) -> tuple[Array, Array]:
        def call(*arrays: Array) -> tuple[np.ndarray, np.ndarray]:
            counts, degenerate = otherwise(*map(np.asarray, arrays))
            return counts.astype(integer), degenerate

        result: tuple[Array, Array] = jax.pure_callback(call, shapes, *arrays, vmap_method="broadcast_all")
        return result

    if not _is_registered() or pretended() not in (None, "cpu"):
        return on_host(*constants)
    widths = np.array([2, *(jnp.shape(bias)[-1] for bias in arrays[1::2])], np.int64)
    offsets = np.cumsum([0, *map(len, cycles)])
    attributes = {
        "widths": widths,
        "slopes": np.asarray(slopes, np.float64),
        "corners": np.asarray(corners, np.float64).ravel(),
        "face_offsets": offsets.astype(np.int64),
        "face_corners": np.concatenate([np.asarray(cycle, np.int64) for cycle in cycles]),
    }

    def in_program(*arrays: Array) -> tuple[Array, Array]:
        counts, degenerate = jax.ffi.ffi_call(_HANDLER, shapes, vmap_method="broadcast_all")(*arrays, **attributes)
        return counts, degenerate

    counts, degenerate = jax.lax.platform_dependent(*constants, cpu=in_program, default=on_host)
    return counts, degenerate


def interruptible(call: Callable[[Any], Any], is_long: bool) -> Any:
    """The call's result. Long calls run beside the main thread, which can so be interrupted, and then end early."""
    if not is_long or threading.current_thread() is not threading.main_thread():
        return call(None)
    stop = ctypes.c_int(0)
    results: list[Any] = []
    worker = threading.Thread(target=lambda: results.append(call(ctypes.byref(stop))), daemon=True)
    worker.start()
    try:
        with deferred():
            while worker.is_alive():
                worker.join(0.5)
                answer()
    except BaseException:
        stop.value = 1
        worker.join()
        raise
    return results[0]


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The library for this processor; None where the engine is not built."""
    libraries = _libraries("", opened)
    return libraries[list(libraries)[-1]] if libraries else None


def _libraries(purpose: str, open_: Callable[[Path], ctypes.CDLL]) -> dict[str, ctypes.CDLL]:
    """The libraries that run on this processor, by their sets of instructions, the widest vectors last."""
    found: dict[str, ctypes.CDLL] = {}
    for level, name in enumerate(("baseline", "avx2", "avx512")):
        path = _path_of(f"{purpose}{name}")
        if not path.exists() or (found and found["baseline"].jaxgeom_instructions() < level):
            break
        found[name] = open_(path)
        if not _is_of_sources(found[name]):
            raise ImportError(
                f"{path.name} was compiled from other sources than those beside it. Compile the engine again: "
                f"pip install -e . (or python {path.with_name('compile.py')})."
            )
    return found


def _is_of_sources(library: ctypes.CDLL) -> bool:
    """Whether a library was compiled from the sources beside it: another one may take its arguments otherwise."""
    try:
        mark = (ctypes.c_char * 64).in_dll(library, "jaxgeom_sources").value
    except ValueError:  # DLLs of Windows show functions alone: if it is there, it is somewhere in the file
        mark = Path(library._name).read_bytes()
    return _digest().encode() in mark


@functools.cache
def _digest() -> str:
    return digest()


def _path_of(name: str) -> Path:
    return Path(__file__).with_name(f"libjaxgeom_{name}{SUFFIX}")


class Machine(NamedTuple):
    """The vector machine of training (``machine.h``): numbers of its operations, by name."""

    operations: dict[str, int]
    """Of vectors."""
    shared: dict[str, int]
    """Of single numbers."""


@functools.cache
def trainers(is_double: bool = False) -> dict[str, ctypes.CDLL]:
    """The libraries that train on this processor, in single or in double precision, by their sets of instructions, the
    widest vectors last; all but the first give the same bits."""
    return _libraries("training_double_" if is_double else "training_", _opened_trainer)


def _opened_trainer(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.jaxgeom_machine_operations.restype = library.jaxgeom_machine_shared.restype = ctypes.c_char_p
    library.jaxgeom_machine_apply.argtypes = [ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * 3]
    program = library.jaxgeom_machine_program
    program.restype = ctypes.c_char_p
    program.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
        *[ctypes.c_void_p] * 2,
        ctypes.c_int,
        ctypes.c_void_p,
    ]
    program.argtypes += [ctypes.c_int]
    return library


@functools.cache
def machine() -> Machine | None:
    """The vector machine of training; None where the engine is not built."""
    if not trainers():
        return None
    library = trainers()["baseline"]
    names = library.jaxgeom_machine_operations(), library.jaxgeom_machine_shared()
    return Machine(*({name: number for number, name in enumerate(text.decode().split())} for text in names))


def train_target(num_networks: int, batch_size: int, *, is_double: bool) -> str:
    """The name by which programs of JAX call the training of so many networks on CPUs, with so many points a step.

    Few of both leave most of the widest vectors empty, which are slower then than narrower ones.
    """
    is_wide = max(num_networks, batch_size) > _FEW
    names = [name for name in trainers(is_double) if name != "avx512" or is_wide]
    return _registered_trainer(names[-1], is_double)


@functools.cache
def _registered_trainer(name: str, is_double: bool) -> str:
    target = f"jaxgeom_train_{'double_' * is_double}{name}"
    handler = trainers(is_double)[name].jaxgeom_train_handler
    jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(handler), platform="cpu")
    return target


@functools.cache
def _registered_words() -> str:
    libraries = trainers()
    handler = libraries[list(libraries)[-1]].jaxgeom_words_handler
    jax.ffi.register_ffi_target("jaxgeom_words", jax.ffi.pycapsule(handler), platform="cpu")
    return "jaxgeom_words"


def words(
    key: UInt32[Array, " two"], *, shape: tuple[int, ...], is_by_place: bool, is_folded: bool
) -> UInt32[Array, "..."]:
    """Random words of JAX's Threefry, inside a program for CPUs.

    Args:
        key: two words.
        shape: of the result.
        is_by_place: whether word number i is made of i alone, or of how many there are, too.
        is_folded: whether the two words that a count gives are folded to one, or the result has both, along its last
            axis. Without ``is_by_place``, every count gives one.
    """
    call = jax.ffi.ffi_call(_registered_words(), jax.ShapeDtypeStruct(shape, np.uint32), vmap_method="broadcast_all")
    drawn: Array = call(key, how=np.array([is_by_place, is_folded], np.int64))
    return drawn


def opened(path: Path | str) -> ctypes.CDLL:
    """The library of this file, with the types of ``engine.h``."""
    library = ctypes.CDLL(str(path))
    integer, long, address = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
    population: list[Any] = [long, integer, *[address] * 5, integer, address, integer, address, address, integer]
    library.jaxgeom_count.argtypes = [*population, integer, address, address, address]
    library.jaxgeom_count_one.argtypes = [address, address]
    library.jaxgeom_count_one.restype = long
    library.jaxgeom_cells.argtypes = [*population, integer, address, address]
    library.jaxgeom_free.argtypes, library.jaxgeom_free.restype = [address], None
    library.jaxgeom_lines.argtypes = [*population[:7], long, address, address, *[integer] * 4, address]
    library.jaxgeom_lines.restype = address
    library.jaxgeom_lines_most.argtypes, library.jaxgeom_lines_most.restype = [address], long
    library.jaxgeom_lines_copy.argtypes = [address, long, long, *[address] * 8]
    library.jaxgeom_lines_free.argtypes = [address]
    library.jaxgeom_count_in_box.argtypes = [*population[:7], address, address, integer, address, address, address]
    library.jaxgeom_spaces.argtypes = [*population[:7], address, address, long, integer, integer, address]
    library.jaxgeom_spaces.restype = address
    library.jaxgeom_spaces_sizes.argtypes = [address, long, address]
    library.jaxgeom_spaces_copy.argtypes = [address, long, *[address] * 15]
    library.jaxgeom_spaces_free.argtypes = [address]
    return library


def loaded() -> ctypes.CDLL:
    """The library for this processor, which is there."""
    library = _library()
    assert library is not None
    return library


@functools.cache
def _is_registered() -> bool:
    """Whether programs of JAX can call the engine, after having made it known to them."""
    library = _library()
    if library is None or not hasattr(library, "jaxgeom_count_handler"):
        return False
    jax.ffi.register_ffi_target(_HANDLER, jax.ffi.pycapsule(library.jaxgeom_count_handler), platform="cpu")
    library.jaxgeom_asks.argtypes, library.jaxgeom_asks.restype = [ctypes.c_void_p], None
    library.jaxgeom_asks(_QUESTION)
    atexit.register(library.jaxgeom_asks, None)  # before Python cannot be asked any more
    return True
