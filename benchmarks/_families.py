"""Networks with two inputs for the agreement study: random, trained, quantised, degenerate, and at extreme scales."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from exact_regions import population

import jaxgeom as jg
from jaxgeom.data.losses import side_is_right, squared_error

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import engine_families as change

SQUARE = jg.box(-1, 1)
INTEGERS = np.array([-1, -0.5, 0, 0.5, 1])

Network = list[tuple[Any, Any]]  # kernel (in, out) and bias of every layer; the last one is the affine output
Change = Callable[[np.random.Generator, Network], Network]


class Drawn(NamedTuple):
    """Networks of one shape, and where to count them."""

    layers: jg.Layers
    """With one leading axis."""
    domain: jg.domains.Box
    activation: str | Sequence[str] = "relu"
    """Of the hidden layers: "relu", or for each of them "relu" or "linear"."""
    suits_doubles: bool = True
    """Whether a program without exact arithmetic can count them; else rationals are the only truth."""


Draw = Callable[[int], Drawn]


def stacked(networks: list[Network]) -> jg.Layers:
    """Networks of one shape as a population."""
    return tuple(
        jg.Dense(np.stack([layer[0] for layer in layers]), np.stack([layer[1] for layer in layers]))
        for layers in zip(*networks, strict=True)
    )


def with_output(hidden: Network) -> Network:
    """One output that does not matter."""
    return [*hidden, (np.ones((len(hidden[-1][1]), 1)), np.zeros(1))]


def layers_of_values(rng: np.random.Generator, widths: tuple[int, ...], values: np.ndarray | None = None) -> Network:
    def draw(*shape: int) -> np.ndarray:
        return rng.uniform(-1, 1, shape) if values is None else rng.choice(values, shape)

    return [(draw(a, b), draw(b)) for a, b in zip((2, *widths), widths, strict=False)]


# Random, trained, quantised


def random(*widths: int) -> Draw:
    return lambda num: Drawn(population(widths, num, seed=1), SQUARE)


def deep(*widths: int, size: float = 1.0) -> Draw:
    """Half of them drawn as by PyTorch, half with He's larger weights, on a square of this half-width."""

    def draw(num: int) -> Drawn:
        rng = np.random.default_rng([2, *widths])
        networks = [change.network(rng, *widths, gain=1.0 if index % 2 else 6**0.5) for index in range(num)]
        return Drawn(stacked(networks), jg.box(-size, size))

    return draw


def integers(*widths: int) -> Draw:
    def draw(num: int) -> Drawn:
        rng = np.random.default_rng(widths)
        return Drawn(stacked([with_output(layers_of_values(rng, widths, INTEGERS)) for _ in range(num)]), SQUARE)

    return draw


def trained(*widths: int) -> Draw:
    """Networks that solve XOR, by the recipe of the XOR study."""

    def trial(key: jax.Array) -> jg.Trial:
        model, data = jg.mlp((2, *widths, 1)), jg.parity(2)
        result = jg.fit(key, model, optax.sgd(0.1), squared_error, data, num_epochs=100, record=None)
        is_right = jnp.all(side_is_right(model.apply(result.params, data.x), data.y))
        return jg.Trial(result.params, result.initial_params, is_right & ~result.diverged, result.diverged)

    def draw(num: int) -> Drawn:
        solved = jg.fit_until_solved(jax.random.split(jax.random.key(0), num), trial, max_tries=100)
        return Drawn(jax.tree.map(np.asarray, jg.layers_of(solved.params)), SQUARE)

    return draw


def quantised(original: Draw) -> Draw:
    """The same networks with weights of 8 bits a layer: in turn on a grid of powers of two, where sums do not round,
    and of 1/127 of the largest weight in float32, as in practice."""

    def rounded(array: np.ndarray, largest: float, *, is_short: bool) -> np.ndarray:
        step = 2.0 ** np.ceil(np.log2(largest / 127)) if is_short else np.float32(largest / 127)
        return np.asarray(np.round(array / step).astype(np.float32) * np.float32(step), np.float64)

    def draw(num: int) -> Drawn:
        drawn = original(num)
        layers = []
        for kernel, bias, *_ in drawn.layers:
            largest = [max(np.abs(k).max(), np.abs(b).max()) for k, b in zip(kernel, bias, strict=True)]
            arrays = [
                np.stack([rounded(a, largest[i], is_short=i % 2 == 0) for i, a in enumerate(array)])
                for array in (kernel, bias)
            ]
            layers.append(jg.Dense(*arrays))
        return drawn._replace(layers=tuple(layers))

    return draw


# Degenerate by construction


def dead(rng: np.random.Generator, layers: Network) -> Network:
    return [(k, np.where(rng.random(len(b)) < 0.4, rng.choice([-9, 9], len(b)), b)) for k, b in layers]


def twins(rng: np.random.Generator, layers: Network) -> Network:
    for kernel, bias in layers:
        half = len(bias) // 2
        kernel[:, half:], bias[half:] = kernel[:, : len(bias) - half], bias[: len(bias) - half]
    return layers


def opposites(rng: np.random.Generator, layers: Network) -> Network:
    return [
        (np.concatenate([k[:, ::2], -k[:, ::2]], axis=1)[:, : len(b)], np.concatenate([b[::2], -b[::2]])[: len(b)])
        for k, b in layers
    ]


def no_biases(rng: np.random.Generator, layers: Network) -> Network:
    return [(kernel, 0 * bias) for kernel, bias in layers]


def lattice(rng: np.random.Generator, layers: Network) -> Network:
    directions = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])
    first = len(layers[0][1])
    lines = (directions[rng.integers(0, 4, first)].T, rng.integers(-4, 5, first) / 4)
    return [lines, *((np.round(4 * kernel) / 4, np.round(4 * bias) / 4) for kernel, bias in layers[1:])]


def special(*widths: int) -> Draw:
    """Random networks that are made degenerate in one of five ways, in turn."""
    changes = (dead, twins, opposites, no_biases, lattice)

    def draw(num: int) -> Drawn:
        rng = np.random.default_rng([1, *widths])
        hidden = [changes[index % 5](rng, layers_of_values(rng, widths)) for index in range(num)]
        return Drawn(stacked(list(map(with_output, hidden))), SQUARE)

    return draw


def tents(num: int) -> Drawn:
    """Up to eight tents, x -> 1 - |2 x - 1|, one after the other: 2^n strips."""
    first = (np.array([[2.0, 4.0], [0.0, 0.0]]), np.array([0.0, -2.0]))
    again = (np.array([[2.0, 4.0], [-2.0, -4.0]]), np.array([0.0, -2.0]))
    idle = (np.zeros((2, 2)), np.zeros(2))
    return Drawn(
        stacked([with_output([first] + [again] * n + [idle] * (7 - n)) for n in np.arange(num) % 8]), jg.box(0, 1)
    )


def changed(how: Change, *widths: int, gain: float = 2.0, suits_doubles: bool = True) -> Draw:
    """Random networks, changed in a way that hurts."""

    def draw(num: int) -> Drawn:
        networks = []
        for index in range(num):
            rng = change.seeded(3, index, *widths)
            networks.append(how(rng, change.network(rng, *widths, gain=gain)))
        return Drawn(stacked(networks), SQUARE, suits_doubles=suits_doubles)

    return draw


def far_multiples(rng: np.random.Generator, layers: Network) -> Network:
    """Units that are multiples of others, at scales up to 2^±100: by powers of two, so that nothing rounds, and not."""
    changed_layers = []
    for kernel, bias in layers[:-1]:
        kernel, bias = kernel.copy(), bias.copy()
        for unit in range(1, len(bias), 2):
            factor = rng.choice([1.0, -1.0, 3.0, -5.0, 0.1]) * 2.0 ** rng.choice([0, 3, -40, 100, -100])
            kernel[:, unit], bias[unit] = factor * kernel[:, unit - 1], factor * bias[unit - 1]
        changed_layers.append((kernel, bias))
    return [*changed_layers, layers[-1]]


def on_quarters(rng: np.random.Generator, layers: Network) -> Network:
    """Weights and biases that are multiples of 1/4, every other network; of narrow layers, so that kinks coincide."""
    if rng.random() < 0.3:
        return layers
    return [(np.round(4 * kernel) / 4, np.round(4 * bias) / 4) for kernel, bias in layers]


def min_max(num_functions: int, *, is_linear: bool) -> Draw:
    """Maxima of minima of affine functions, pair by pair: min(a, b) = a - relu(a - b), and a = relu(a) - relu(-a).

    Sums are linear layers of their own, or multiplied into the next layer, where they are exact: every kernel but the
    first and the last is one of small integers.
    """

    def network(rng: np.random.Generator) -> Network:
        coefficients = np.round(16 * rng.uniform(-1, 1, (3, num_functions))) / 16
        layers: Network = [(coefficients[:2], coefficients[2])]  # the functions, then those of each level
        width, is_minimum = num_functions, True
        while width > 1:
            pairs = width // 2
            into, out = np.zeros((width, 3 * pairs)), np.zeros((3 * pairs, pairs))
            sign = 1 if is_minimum else -1
            for pair in range(pairs):
                a, b = 2 * pair, 2 * pair + 1
                into[a, 3 * pair : 3 * pair + 3], into[b, 3 * pair + 2] = [1, -1, sign], -sign
                out[3 * pair : 3 * pair + 3, pair] = [1, -1, -sign]
            layers += [(into, np.zeros(3 * pairs)), (out, np.zeros(pairs))]
            width, is_minimum = pairs, width > num_functions // 4
        if is_linear:
            return layers
        folded = [
            (kernel @ after, bias @ after)
            for (kernel, bias), (after, _) in zip(layers[:-1:2], layers[1::2], strict=True)
        ]
        return [*folded, layers[-1]]

    def draw(num: int) -> Drawn:
        rng = np.random.default_rng([4, num_functions])
        networks = [network(rng) for _ in range(num)]
        activation = ("linear", "relu") * (len(networks[0]) // 2) if is_linear else "relu"
        return Drawn(stacked(networks), jg.box(-2, 2), activation, not is_linear)

    return draw


# Scales


def scaled(rng: np.random.Generator, layers: Network) -> Network:
    """Layers at 10^±300 in turn, so that products overflow and underflow. Biases are at the scale of the values that
    they are added to; or 17 orders below or above these, where the one or the other is next to nothing, not nothing."""
    exponent = int(rng.choice([-300, -160, 160, 300]))
    nudge = rng.choice([1.0, 1e-17, 1e17])
    found, of_values = [], 0
    for index, (kernel, bias) in enumerate(layers):
        own = exponent * (-1) ** index
        of_values += own  # and -300, 0, -300, …
        found.append((10.0**own * kernel, 10.0**of_values * bias * (nudge if of_values == 0 else 1)))
    return found


def vanishing(rng: np.random.Generator, layers: Network) -> Network:
    """Layers that make values smaller than float64 holds: ten of float32 at 1e-36, or fewer at 1e-170. Biases follow as
    far as they can."""
    size = rng.choice([1e-36, 1e-170]) if len(layers) < 6 else 1e-36
    found, value = [], 1.0
    for kernel, bias in layers:
        value *= size
        kernel, bias = size * kernel, bias * (value if value > 1e-310 else 0.0)
        if size == 1e-36:
            kernel, bias = (np.float32(array).astype(np.float64) for array in (kernel, bias))
        found.append((kernel, bias))
    return found
