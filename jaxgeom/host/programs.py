"""[host] Programs for populations, and the options with which they are compiled."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jaxgeom.host.devices import platform

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*static: int) -> Callable[[Function], Function]:
    """A decorator for a function that becomes one program, whose arguments at these places are Python values.

    Operation by operation, its first call would compile each of them by itself, which takes several times as long.
    """
    return cast(Callable[[Function], Function], partial(jax.jit, static_argnums=static))


def for_population(
    function: Callable[..., PyTree], *, num_shared: int = 0, fast_compile: bool = False
) -> Callable[..., PyTree]:
    """The program that computes ``function`` of one network for many, with a version for each platform it is called on.

    Args:
        function: pure, of arguments that are arrays or pytrees of such.
        num_shared: how many of them, the first ones, are the same for all networks.
        fast_compile: compile without optimization.

    Returns:
        A function of the shared arguments and a tuple of the others with a leading axis (networks).
    """

    def of_many(*given: Any) -> PyTree:
        *shared, population = given
        return jax.vmap(function, (*(None,) * num_shared, *(0,) * len(population)))(*shared, *population)

    @lru_cache(maxsize=8)
    def on(_platform: str) -> Callable[..., PyTree]:
        options = compiler_options()
        if fast_compile and options is not None:
            options = options | {"xla_backend_optimization_level": 0}
        return jax.jit(of_many, compiler_options=options)

    return lambda *given: on(platform())(*given)


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
