"""Random calls of the exact engine, and by how many bytes the process grows: ``python memory_program.py CALLS``.

A fifth of the calls comes first, so that what is allocated once is there. Every thirtieth call is not the count of one
network, but of the other functions, in turn.
"""

import gc
import os
import sys
from pathlib import Path

import jax
import numpy as np
from engine_families import lattice, multiples, network, no_biases, quantised, twins

import jaxgeom as jg

BOX, SQUARE = jg.box(-1, 1), jg.polygon([(-1, -1), (1, -1), (0.5, 1)])
WIDTHS = (1,), (2,), (4,), (3, 3), (6, 2), (2, 2, 2), (4, 4, 4, 4)
CHANGES = multiples, twins, quantised, lattice, no_biases


def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def drawn(rng, number):
    layers = network(rng, *WIDTHS[number % len(WIDTHS)])
    if number % 3 == 0:
        layers = CHANGES[number // 3 % len(CHANGES)](rng, layers)
    return tuple(jg.Dense(kernel, bias) for kernel, bias in layers)


def population(layers):
    return tuple(jg.Dense(np.stack([kernel] * 5), np.stack([bias] * 5)) for kernel, bias, *_ in layers)


def raised(layers):
    """The same of three inputs, the third the sum of the others."""
    (kernel, bias, *_), *rest = layers
    return (jg.Dense(np.concatenate([kernel, kernel.sum(0, keepdims=True)]), bias), *rest)


traced = jax.jit(lambda layers: jg.count_regions(layers, BOX).count)
OTHERS = (
    lambda layers: jg.count_regions(population(layers), BOX),
    lambda layers: jg.count_regions(layers, SQUARE, kind="linear"),
    lambda layers: jg.count_regions(layers, BOX, min_area=0.01),
    lambda layers: jg.count_regions(layers, jg.whole_plane()),
    lambda layers: jg.enumerate_regions(layers, BOX),
    lambda layers: jg.enumerate_regions(layers, jg.whole_plane()),
    lambda layers: jg.breakpoints(layers, np.float64([-1, -1]), np.float64([1, 0.5])),
    lambda layers: jg.decision_boundary(jg.enumerate_regions(layers, BOX)),
    lambda layers: jg.enumerate_regions(raised(layers), jg.box([-1] * 3, [1] * 3)),
    lambda layers: traced(layers).block_until_ready(),
)


def main(calls):
    rng = np.random.default_rng(7)
    for number in range(calls + calls // 5):
        if number == calls // 5:
            before = resident()
        layers = drawn(rng, number)
        if number % 30:
            jg.count_regions(layers, BOX)
        else:
            OTHERS[number // 30 % len(OTHERS)](layers)
    print(resident() - before)


if __name__ == "__main__":
    main(int(sys.argv[1]))
