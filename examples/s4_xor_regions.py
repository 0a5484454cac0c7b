"""How many linear regions do networks have that solve XOR? Many seeds of three widths, then one network by hand."""

import argparse

import jax

import jaxgeom as jg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="networks of each width, at least 2")
    seeds = parser.parse_args().seeds

    study = jg.xor_study(widths=(2, 20, 100), num_seeds=seeds, progress=True)
    print(jg.xor_table(study))

    # The first network of width 20: its regions on the grid, and counted exactly.
    first = jg.study.select(study, width=20, seed=0)
    layers = jg.layers_of(jg.study.networks(study, width=20, seed=0, step=100))
    domain = jg.box(-1, 1)
    seen = jg.grid_regions(layers, jg.grid_points(domain, 101, with_corners=True))
    exact = jg.count_regions(layers, domain)
    print(f"\nA network of width 20 that solves XOR at try {first['tries']}. On the grid of 101 × 101 points:")
    print(f"    {int(seen.num_patterns)} activation patterns, {int(seen.num_maps)} distinct affine maps.")
    print(f"Exactly, between the points as well: {int(exact.count)} regions.")

    # Cells come with their maps: here is the one around the origin, the middle point of the grid.
    cell = int(seen.cell_of_point[101 * 101 // 2])
    gradient, intercept = seen.gradient[cell, 0], seen.intercept[cell, 0]
    print(f"Around the origin it is f(x, y) = {gradient[0]:.3f} x {gradient[1]:+.3f} y {intercept:+.3f}.")

    # Two networks of width 2 compared: how far are the affine maps of one an affine image of the other's?
    one, other = (jg.layers_of(jg.study.networks(study, width=2, seed=seed, step=100)) for seed in range(2))
    for layers in (one, other):
        print(jg.latex_formula(layers))
    compared = jax.jit(jg.compare_networks)(one, other, jg.grid_points(domain))
    print(f"R² of the fit of their affine maps: {compared.r_squared:.3f}")


if __name__ == "__main__":
    main()
