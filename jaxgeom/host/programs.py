"""[host] Programs for populations, and the options with which they are compiled."""

from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from jaxgeom._reprs import readable
from jaxgeom.host.devices import devices, platform
from jaxgeom.host.precision import full_precision

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*static: int) -> Callable[[Function], Function]:
    """A decorator for a function that becomes one program, whose arguments at these places are Python values.

    Operation by operation, its first call would compile each of them by itself, which takes several times as long.
    """
    return cast(Callable[[Function], Function], partial(jax.jit, static_argnums=static))


def quickly_compiled(function: Function) -> Function:
    """The function as a program that is compiled without optimization, for what would run shorter than it compiles."""

    @lru_cache(maxsize=4)
    def on(_platform: str) -> Callable[..., Any]:
        options = compiler_options()
        return jax.jit(function, compiler_options=None if options is None else options | _UNOPTIMIZED)

    @wraps(function)
    def call(*given: Any) -> Any:
        return on(platform())(*given)

    return cast(Function, call)


_UNOPTIMIZED = {"xla_backend_optimization_level": 0}


@readable
class Program(NamedTuple):
    """A function of a population, compiled once for all devices that compute, which get equal parts of it."""

    on: Callable[[tuple[Any, ...], str], Callable[..., PyTree]]
    """``on(devices, platform)``: the compiled function of the shared arguments and the population."""
    shared: tuple[Any, ...] = ()
    """Arguments that are the same for all networks."""

    def __call__(self, population: PyTree) -> PyTree:
        """Results for arguments with a leading axis (networks), as many as the devices have equal parts of."""
        return self.on(devices(), platform())(*self.shared, population)

    def given(self, *shared: Any) -> "Program":
        """The program with these shared arguments."""
        return self._replace(shared=shared)


def for_population(function: Callable[..., PyTree], *, num_shared: int = 0, fast_compile: bool = False) -> Program:
    """The program that computes ``function`` of one network for many.

    Each of several devices runs the function on its part (``shard_map``), so that XLA does not look for other ways to
    divide the work, which would add in another order. Its bits are the same for any number of devices, as far as XLA
    simplifies the same program alike where it compiles for one device and for several: quotients of quotients, which it
    does not, are avoided in training (:func:`jaxgeom.training.traced.with_reciprocals`).

    Args:
        function: pure, of arguments that are arrays or pytrees of such.
        num_shared: how many of them, the first ones, are the same for all networks.
        fast_compile: compile without optimization.
    """

    @full_precision()
    def of_many(*given: Any) -> PyTree:
        *shared, population = given
        return jax.vmap(function, (*(None,) * num_shared, *(0,) * len(population)))(*shared, *population)

    @lru_cache(maxsize=8)
    def on(devices: tuple[Any, ...], _platform: str) -> Callable[..., PyTree]:
        options = compiler_options()
        if fast_compile and options is not None:
            options = options | _UNOPTIMIZED
        if len(devices) == 1:
            return jax.jit(of_many, compiler_options=options)
        return _spread(of_many, devices, num_shared, options)

    return Program(on)


@lru_cache(maxsize=32)
def of_chunks(function: Callable[[PyTree], PyTree]) -> Program:
    """The program of a function that takes a population already, compiled by ``jax.jit``, for several devices."""

    @lru_cache(maxsize=8)
    def on(devices: tuple[Any, ...], _platform: str) -> Callable[..., PyTree]:
        return function if len(devices) == 1 else _spread(function, devices, 0, None)

    return Program(on)


def _spread(
    function: Callable[..., PyTree], devices: tuple[Any, ...], num_shared: int, options: dict[str, Any] | None
) -> Callable[..., PyTree]:
    """The function of shared arguments and a population as one program for several devices."""
    mesh = Mesh(np.array(devices), ("networks",))
    places = [NamedSharding(mesh, spec) for spec in (PartitionSpec(), PartitionSpec("networks"))]
    shardings = (*places[:1] * num_shared, places[1])
    return jax.jit(partial(_in_parts, function, mesh), in_shardings=shardings, compiler_options=options)


def _in_parts(of_many: Callable[..., PyTree], mesh: Mesh, *given: Any) -> PyTree:
    """The function of shared arguments and a population, of equal parts of which each device of the mesh computes one.

    What a part takes is traced first, as if there were one device, since tracing within a mesh adds operations that
    the engine does not know.
    """
    from jax.extend.core import jaxpr_as_fun  # imports Pallas, and takes half as long to import as all of jaxgeom

    *shared, population = given

    def part(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((leaf.shape[0] // mesh.size, *leaf.shape[1:]), leaf.dtype)

    closed, results = jax.make_jaxpr(of_many, return_shape=True)(*shared, jax.tree.map(part, population))

    def of_part(*given: Any) -> PyTree:
        return jax.tree.unflatten(jax.tree.structure(results), jaxpr_as_fun(closed)(*jax.tree.leaves(given)))

    specs = (*(PartitionSpec(),) * len(shared), PartitionSpec(*mesh.axis_names))
    return jax.shard_map(of_part, mesh=mesh, in_specs=specs, out_specs=specs[-1], check_vma=False)(*given)


def compiler_options() -> dict[str, Any] | None:
    """Options for the platform that computes; None for those that XLA has by itself, as on accelerators."""
    return _options_of_cpus() if platform() == "cpu" else None


@lru_cache(maxsize=1)
def _options_of_cpus() -> dict[str, Any] | None:
    """Vectors of 512 bits where the processor has them, which XLA would halve otherwise; and less optimization
    by LLVM and fusions by its older emitters, which saves a third of the compile time and changes nothing for straight
    loops."""
    options = {"xla_cpu_prefer_vector_width": 512, "xla_backend_optimization_level": 1}
    for some in (options | {"xla_cpu_use_fusion_emitters": False}, options):
        try:
            jax.jit(lambda x: x, compiler_options=some).lower(jax.ShapeDtypeStruct((), jnp.float32)).compile()
        except jax.errors.JaxRuntimeError:  # a version of XLA without one of them
            continue
        return some
    return None
