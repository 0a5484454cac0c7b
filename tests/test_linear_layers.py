"""A layer of slope 1 is no layer: what takes layers gives what it gives where that layer is multiplied out."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complexes import complex_in_box, complex_of

import jaxgeom as jg
from jaxgeom.networks.layers import pad_widths
from jaxgeom.recipes.xor import networks as xor_networks

SQUARE = jg.box()
POINTS = np.random.default_rng(0).uniform(-1, 1, (40, 2))


def integers(rng, *widths):
    """Weights in {-2, …, 2} and halves as biases: all products are exact."""
    return tuple(
        jg.Dense(rng.integers(-2, 3, (a, b)).astype(float), rng.integers(-3, 4, b) / 2)
        for a, b in itertools.pairwise(widths)
    )


def linear_inside(dim=2):
    """A network whose second layer is linear, and the same with this layer multiplied into the next one."""
    first, second, third, last = integers(np.random.default_rng(6), dim, 5, 3, 4, 2)
    composed = jg.Dense(second.kernel @ third.kernel, second.bias @ third.kernel + third.bias)
    return (first, second._replace(slope=1.0), third, last), (first, composed, last)


def complex_facts(found):
    order = np.lexsort(found.centroid.T)
    return found.num_faces, found.area[order], found.gradient[order], found.intercept[order], found.degenerate


def spatial_facts(found):
    order = np.lexsort(np.round(found.centroid, 9).T)
    return found.num_faces, found.volume[order], found.gradient[order], found.intercept[order]


def in_space(layers):
    """The network with a third input, and the first output alone, shifted so that it changes sign in the middle."""
    first, *between, last = layers
    third = first.kernel[:1] - 0.5 * first.kernel[1:]
    layers = first._replace(kernel=np.concatenate([first.kernel, third])), *between
    shift = np.asarray(jg.forward((*layers, last), np.full((1, 3), 0.25)).output[0, :1]) - 0.125
    return *layers, jg.Dense(last.kernel[:, :1], last.bias[:1] - shift)


def surface_facts(layers):
    found = jg.decision_surface(layers, jg.box(dim=3))
    return found.area, found.volume, found.euler_characteristic, len(found.patterns)


def line_facts(found):
    return found.count, found.t, found.slope, found.intercept


ENDS = POINTS[:2], POINTS[2:4]
CURVE = np.array([[-1.0, 0.5], [0.75, 0.25], [0.5, -1]])
SIMPLE = jg.parity(2)
TAKES_LAYERS = {
    "activation_words": lambda layers: distinct_words(layers),
    "affine_maps_of_patterns": lambda layers: jg.affine_maps_of_patterns(layers, jg.activation_words(layers, POINTS)),
    "affine_triples": lambda layers: jg.affine_triples(layers, POINTS),
    "breakpoints": lambda layers: [line_facts(jg.breakpoints(layers, *ENDS, capacity=size)) for size in (None, 30)],
    "compare_networks": lambda layers: jg.compare_networks(layers, layers, POINTS).fit.intercept,
    "count_grid_regions": lambda layers: jg.count_grid_regions(layers, jg.grid_points(SQUARE, 25)),
    "count_regions": lambda layers: [
        jg.count_regions(layers, SQUARE, kind=kind, cut_output=cut, min_area=0.01)
        for kind, cut in itertools.product(("activation", "linear", "map"), (False, True))
    ],
    "decision_surface": lambda layers: surface_facts(in_space(read(layers))),
    "distance_to_boundary": lambda layers: jg.distance_to_boundary(layers, POINTS).distance,
    "enumerate_population": lambda layers: [
        complex_facts(c) for c in jg.enumerate_population(jax.tree.map(lambda a: a[None], read(layers)), SQUARE)
    ],
    "enumerate_regions": lambda layers: complex_facts(jg.enumerate_regions(layers, SQUARE)),
    "estimate_regions": lambda layers: jg.estimate_regions(jax.random.key(0), layers, SQUARE)[:2],
    "forward": lambda layers: jg.forward(layers, POINTS).output,
    "grid_regions": lambda layers: jg.grid_regions(layers, POINTS)._replace(patterns=None),
    "hidden_states": lambda layers: jg.hidden_states(layers, POINTS)[-1].activation,
    "hyperplanes": lambda layers: jg.hyperplanes(layers),
    "image_lengths": lambda layers: jg.image_lengths(layers, CURVE)[np.array([0, 1, -2, -1])],
    "layers_of": lambda layers: jg.forward(jg.layers_of(layers), POINTS).output,
    "local_complexity": lambda layers: jg.local_complexity(layers, POINTS, 0.25),
    "locate": lambda layers: same_faces(layers),
    "on_plane": lambda layers: jg.count_regions(
        jg.on_plane(layers, jg.Plane(np.zeros(2), np.eye(2)[::-1].copy())), SQUARE
    ),
    "slice_network": lambda layers: (
        jg.slice_network(layers, jg.Plane(np.zeros(2), np.eye(2)), SQUARE).regions.class_area
    ),
    "polyline_breakpoints": lambda layers: jg.polyline_breakpoints(layers, CURVE)._replace(layer=None),
    "thresholds": lambda layers: jg.count_regions(layers, SQUARE).count,  # of the first layer alone; see below
    "topology": lambda layers: jg.topology(layers, SQUARE)[:4],
    "critical_points": lambda layers: jg.critical_points(first_output(layers), SQUARE)[1:],
    "network_kinds": lambda layers: kind_facts(first_output(layers)),
    "latex_formula": lambda layers: jg.latex_formula(layers).count(r"\max"),
}
# one replaces all activations, the others ask for the parameters of all layers
EXEMPT = {"step_output", "functional_dimension", "batch_functional_dimension", "canonical_form"}
INNER = {
    "in a box": lambda layers: spatial_facts(complex_in_box(read(layers), SQUARE)),
    "pad_widths": lambda layers: jg.forward(pad_widths(read(layers), WIDER[len(layers)]), POINTS).output,
    "slow": lambda layers: complex_facts(complex_of(layers)),
    "traced": lambda layers: jax.jit(lambda layers: jg.count_regions(layers, SQUARE).count)(read(layers)),
    "xor_values": lambda layers: xor_networks.xor_values(read(layers), POINTS),
}
WIDER = {4: (8, 3, 7), 3: (8, 7)}


def read(layers):
    return jg.layers_of(layers)


def first_output(layers):
    *hidden, last = read(layers)
    return (*hidden, jg.Dense(last.kernel[:, :1], last.bias[:1]))


def kind_facts(layers):
    """Of the network, itself again, and its opposite."""
    signs = np.array([1.0, 1.0, -1.0])
    *hidden, last = (jg.Dense(*(np.stack([a] * 3) for a in layer[:2]), layer.slope) for layer in layers)
    last = jg.Dense(last.kernel * signs[:, None, None], last.bias * signs[:, None])
    return jg.network_kinds((*hidden, last), POINTS, SQUARE, symmetries=np.eye(2)[None])[:3]


def distinct_words(layers):
    """Which points share a pattern."""
    words = np.asarray(jg.activation_words(read(layers), jnp.asarray(POINTS)))
    return (
        np.unique(words, axis=1, return_inverse=True)[1].ravel()[:, None]
        == np.unique(words, axis=1, return_inverse=True)[1].ravel()
    )


def same_faces(layers):
    complex_ = jg.enumerate_regions(layers, SQUARE)
    return complex_.centroid[jg.locate(complex_, layers, POINTS)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TAKES_LAYERS, *INNER])
def test_a_layer_of_slope_one_is_no_layer(name, unchecked):
    function = (TAKES_LAYERS | INNER)[name]
    linear, composed = linear_inside()
    found, expected = function(linear), function(composed)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def test_every_public_function_of_layers_is_here():
    takes = set()
    for name in jg.__all__:
        if inspect.isfunction(getattr(jg, name)):
            parameters = inspect.signature(getattr(jg, name)).parameters.values()
            if any(p.name in ("layers", "params") or "Dense" in str(p.annotation) for p in parameters):
                takes.add(name)
    assert takes == set(TAKES_LAYERS) | EXEMPT
