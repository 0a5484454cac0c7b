"""[host] Options with which programs for populations are compiled."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp


@lru_cache(maxsize=1)
def compiler_options() -> dict[str, Any] | None:
    """On CPUs, vectors of 512 bits where the processor has them, which XLA would halve otherwise; and less optimization
    by LLVM and fusions by its older emitters, which saves a third of the compile time and changes nothing for straight
    loops."""
    if jax.default_backend() != "cpu":
        return None
    options = {"xla_cpu_prefer_vector_width": 512, "xla_backend_optimization_level": 1}
    for some in (options | {"xla_cpu_use_fusion_emitters": False}, options):
        try:
            jax.jit(lambda x: x + 1, compiler_options=some).lower(jnp.float32(0)).compile()
        except jax.errors.JaxRuntimeError:  # a version of XLA without one of them
            continue
        return some
    return None
