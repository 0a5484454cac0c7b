"""Products of matrices in full precision, on all platforms, unless the user says otherwise.

Left to itself, XLA rounds the factors of float32 products: to TF32 (11 bits) on GPUs, to bfloat16 (8 bits) on TPUs.
Then networks would be trained and looked at whose outputs are right to three digits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def full_precision() -> Iterator[None]:
    """A context, or decorator, in which products are traced with precision "highest".

    Where the user has set ``jax.default_matmul_precision``, to whatever value ("default" is XLA's own choice), that
    stays. It is read from JAX's configuration when the program is traced.
    """
    if getattr(jax.config, "jax_default_matmul_precision", None) is not None:
        yield
        return
    with jax.default_matmul_precision("highest"):
        yield
