"""What one would train a population of small networks with today, written as plainly as a practitioner would.

- ``torch_loop``: PyTorch, one network after another, eager; its optimizers are the fused ones, the fastest.
- ``torch_ensemble``: ``torch.func``, that is ``functional_call`` and ``vmap(grad_and_value)`` on stacked parameters,
  with torch's own optimizers on the stacked tensors (they are elementwise).
- ``flax_loop``: Flax and Optax, one network after another, a jitted step called in a Python loop.
- ``vmap_of_scan``: Flax and Optax, ``jit(vmap(one network's lax.scan over its minibatches))``, all networks in one
  call.
- ``scan_loop``: the same scan without ``vmap``, one network after another, whose products XLA computes
  otherwise.
- ``c_program``: the C program of ``_limit.py``, if there is one and a compiler for it.

A rival takes a :class:`Job` and returns a function that trains when called. It gets the initial parameters and the rows
of all minibatches for nothing, in arrays of its own kind: none of that is timed. The parameters are those that
:func:`jaxgeom.fit` started from, and ``batch_rows`` draws what it draws (both within its time), so that all train the
same networks.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen
from jax import lax

import jaxgeom as jg
from jaxgeom.training.shuffle import random_order

# PyTorch's threads otherwise spin while they wait for each other: on cores that are shared with anything, JAX's threads
# included, that makes two of them twenty times slower than one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
try:
    import torch
except ImportError:
    torch = None
try:
    import _limit
except ImportError:
    _limit = None

Stack: TypeAlias = list[tuple[np.ndarray, np.ndarray]]
"""Parameters of a population, from first layer to last: kernel (members, in, out) and bias (members, out)."""


class Problem(NamedTuple):
    """What is trained on what: an MLP with ReLU."""

    widths: tuple[int, ...]
    """Units from input to output."""
    x: np.ndarray
    y: np.ndarray
    loss: str
    """ "softmax", "binary" or "squared"."""
    optimizer: tuple
    """("sgd", learning rate), ("adam", learning rate) or ("adamw", learning rate, weight decay)."""
    batch: int | None = None
    """Points of a minibatch; None for the full batch."""

    @property
    def steps_per_epoch(self) -> int:
        return 1 if self.batch is None else len(self.x) // self.batch

    @property
    def model(self) -> jg.Model:
        return jg.mlp(self.widths, activation="relu", init="pytorch")


class Job(NamedTuple):
    """So many networks of a problem, so many steps."""

    problem: Problem
    params: Stack
    """Initial parameters."""
    rows: np.ndarray | None
    """Rows of each minibatch, int32 (members, steps, batch); None for the full batch."""
    num_steps: int


Trained: TypeAlias = tuple[Stack, float | None]
"""Parameters at the end, and the seconds it took where the rival has a clock of its own."""
Rival: TypeAlias = Callable[[Job], Callable[[], Trained]]


def batch_rows(keys: jax.Array, num_points: int, batch: int, num_epochs: int) -> np.ndarray:
    """Rows (members, steps, batch) of the minibatches that :func:`jaxgeom.fit` draws from these keys."""
    num_batches = num_points // batch

    def of_epoch(order_key: jax.Array, epoch: jax.Array) -> jax.Array:
        order = random_order(order_key, num_points, epoch)
        return order[: num_batches * batch].reshape(num_batches, batch)

    def of_member(key: jax.Array) -> jax.Array:
        _, order_key = jax.random.split(key)
        return lax.map(partial(of_epoch, order_key), jnp.arange(num_epochs)).reshape(-1, batch)

    return np.asarray(jax.jit(jax.vmap(of_member))(keys), np.int32)


def as_stack(params: Any) -> Stack:
    """From the parameters of a population of jaxgeom's."""
    return [(np.asarray(layer.kernel), np.asarray(layer.bias)) for layer in jg.layers_of(params)]


def make_job(problem: Problem, keys: jax.Array, params: Stack, num_steps: int) -> Job:
    """What :func:`jaxgeom.fit` trains with these keys, from its initial parameters. Steps must be whole epochs."""
    num_epochs = num_steps // problem.steps_per_epoch
    rows = None if problem.batch is None else batch_rows(keys, len(problem.x), problem.batch, num_epochs)
    return Job(problem, params, rows, num_steps)


def cut(job: Job, members: int, num_steps: int) -> Job:
    """The first members and steps of a job."""
    rows = None if job.rows is None else job.rows[:members, :num_steps]
    return Job(job.problem, [(kernel[:members], bias[:members]) for kernel, bias in job.params], rows, num_steps)


# PyTorch


def torch_network(widths: Sequence[int]) -> "torch.nn.Sequential":
    modules: list[torch.nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        modules += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def torch_optimizer(optimizer: tuple, params: Any) -> "torch.optim.Optimizer":
    name, rate, *decay = optimizer
    if name == "sgd":
        return torch.optim.SGD(params, lr=rate, fused=True)
    if name == "adam":
        return torch.optim.Adam(params, lr=rate, fused=True)
    return torch.optim.AdamW(params, lr=rate, weight_decay=decay[0], fused=True)


def torch_loss(loss: str) -> Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]:
    if loss == "softmax":
        return torch.nn.functional.cross_entropy
    if loss == "squared":
        return torch.nn.functional.mse_loss
    return lambda outputs, y: torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], y)


def torch_data(job: Job) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]":
    """Points, targets and the rows of the minibatches."""
    problem = job.problem
    y = torch.tensor(problem.y, dtype=torch.int64 if problem.loss == "softmax" else torch.float32)
    return torch.tensor(problem.x), y, None if job.rows is None else torch.tensor(job.rows, dtype=torch.int64)


def torch_stack(params: Stack) -> "dict[str, torch.Tensor]":
    """What ``torch.func.stack_module_state`` gives for a list of such networks."""
    stacked = {}
    for index, (kernel, bias, *_) in enumerate(params):
        stacked[f"{2 * index}.weight"] = torch.tensor(np.swapaxes(kernel, 1, 2)).contiguous()
        stacked[f"{2 * index}.bias"] = torch.tensor(bias)
    return stacked


def torch_unstack(stacked: "dict[str, torch.Tensor]") -> Stack:
    arrays = [tensor.detach().numpy() for tensor in stacked.values()]
    return [(np.swapaxes(weight, 1, 2), bias) for weight, bias in zip(arrays[::2], arrays[1::2], strict=True)]


def torch_loop(job: Job, *, threads: int) -> Callable[[], Trained]:
    """One network after another, eager."""
    x, y, rows = torch_data(job)
    loss = torch_loss(job.problem.loss)
    start = torch_stack(job.params)
    num = len(job.params[0][0])

    def train_one(member: int) -> torch.nn.Sequential:
        network = torch_network(job.problem.widths)
        network.load_state_dict({name: tensor[member] for name, tensor in start.items()})
        optimizer = torch_optimizer(job.problem.optimizer, network.parameters())
        for step in range(job.num_steps):
            inputs, targets = (x, y) if rows is None else (x[rows[member, step]], y[rows[member, step]])
            optimizer.zero_grad()
            loss(network(inputs), targets).backward()
            optimizer.step()
        return network

    def train() -> Trained:
        torch.set_num_threads(threads)
        trained = [train_one(member).state_dict() for member in range(num)]
        return torch_unstack({name: torch.stack([state[name] for state in trained]) for name in start}), None

    return train


def torch_ensemble(job: Job, *, threads: int) -> Callable[[], Trained]:
    """All networks at once through ``torch.func``, eager."""
    x, y, rows = torch_data(job)
    loss = torch_loss(job.problem.loss)
    start = torch_stack(job.params)
    network = torch_network(job.problem.widths)

    def loss_of(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss(torch.func.functional_call(network, params, (x,)), y)

    in_dims = (0, None, None) if rows is None else (0, 0, 0)
    gradients_and_losses = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=in_dims)

    def train() -> Trained:
        torch.set_num_threads(threads)
        params = {name: tensor.clone() for name, tensor in start.items()}
        optimizer = torch_optimizer(job.problem.optimizer, list(params.values()))
        for step in range(job.num_steps):
            inputs, targets = (x, y) if rows is None else (x[rows[:, step]], y[rows[:, step]])
            gradients, _ = gradients_and_losses(params, inputs, targets)
            for name, tensor in params.items():
                tensor.grad = gradients[name]
            optimizer.step()
        return torch_unstack(params), None

    return train


# Flax and Optax


class PlainMLP(linen.Module):
    features: Sequence[int]

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.features[:-1]:
            x = linen.relu(linen.Dense(width)(x))
        return linen.Dense(self.features[-1])(x)


def optax_optimizer(optimizer: tuple) -> optax.GradientTransformation:
    name, rate, *decay = optimizer
    if name == "sgd":
        return optax.sgd(rate)
    return optax.adam(rate) if name == "adam" else optax.adamw(rate, weight_decay=decay[0])


def mean_loss(loss: str, outputs: jax.Array, y: jax.Array) -> jax.Array:
    if loss == "softmax":
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()
    if loss == "squared":
        return ((outputs - y) ** 2).mean()
    return optax.sigmoid_binary_cross_entropy(outputs[:, 0], y).mean()


def flax_params(params: Stack) -> Any:
    layers = {f"Dense_{i}": {"kernel": jnp.asarray(k), "bias": jnp.asarray(b)} for i, (k, b) in enumerate(params)}
    return {"params": layers}


def flax_stack(params: Any) -> Stack:
    layers = [params["params"][f"Dense_{index}"] for index in range(len(params["params"]))]
    return [(np.asarray(layer["kernel"]), np.asarray(layer["bias"])) for layer in layers]


def flax_step(widths: tuple[int, ...], loss: str, optimizer: tuple) -> tuple[Callable, Callable]:
    """How to start the optimizer, and a step of training."""
    module = PlainMLP(widths[1:])
    transformation = optax_optimizer(optimizer)

    def step(params: Any, opt_state: Any, x: jax.Array, y: jax.Array) -> tuple[Any, Any, jax.Array]:
        value, gradients = jax.value_and_grad(lambda params: mean_loss(loss, module.apply(params, x), y))(params)
        updates, opt_state = transformation.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    return transformation.init, step


@lru_cache(maxsize=64)
def jitted_step(widths: tuple[int, ...], loss: str, optimizer: tuple) -> tuple[Callable, Callable]:
    init, step = flax_step(widths, loss, optimizer)
    return jax.jit(init), jax.jit(step)


def flax_loop(job: Job) -> Callable[[], Trained]:
    """One network after another: a jitted step in a Python loop."""
    problem, rows = job.problem, job.rows
    init, step = jitted_step(problem.widths, problem.loss, problem.optimizer)
    num = len(job.params[0][0])
    starts = [flax_params([(kernel[i], bias[i]) for kernel, bias in job.params]) for i in range(num)]
    full = jnp.asarray(problem.x), jnp.asarray(problem.y)

    def train() -> Trained:
        trained = []
        for member, params in enumerate(starts):
            opt_state = init(params)
            for number in range(job.num_steps):
                batch = None if rows is None else rows[member, number]
                x, y = full if batch is None else (problem.x[batch], problem.y[batch])
                params, opt_state, _ = step(params, opt_state, x, y)
            trained.append(params)
        stacks = [flax_stack(params) for params in trained]
        layers = zip(*stacks, strict=True)
        return [tuple(np.stack(parts) for parts in zip(*layer, strict=True)) for layer in layers], None

    return train


def scan_of_one(job: Job) -> Callable[[Any, Any], Any]:
    """From the parameters of one network and the rows of its minibatches to the parameters after training."""
    problem = job.problem
    init, step = flax_step(problem.widths, problem.loss, problem.optimizer)
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)

    def train_one(params: Any, rows: jax.Array | None) -> Any:
        def body(carry: tuple, batch: jax.Array | None) -> tuple[tuple, jax.Array]:
            inputs, targets = (x, y) if batch is None else (x[batch], y[batch])
            params, opt_state, value = step(*carry, inputs, targets)
            return (params, opt_state), value

        (params, _), _ = lax.scan(body, (params, init(params)), rows, length=job.num_steps)
        return params

    return train_one


def vmap_of_scan(job: Job) -> Callable[[], Trained]:
    """All networks in one program."""
    program = jax.jit(jax.vmap(scan_of_one(job)))
    params, rows = flax_params(job.params), None if job.rows is None else jnp.asarray(job.rows)
    return lambda: (flax_stack(program(params, rows)), None)


def scan_loop(job: Job) -> Callable[[], Trained]:
    """One network after another, each by one call of a program without ``vmap``."""
    program = jax.jit(scan_of_one(job))
    params = flax_params(job.params)
    members = [jax.tree.map(itemgetter(i), params) for i in range(len(job.params[0][0]))]
    rows = [None if job.rows is None else jnp.asarray(job.rows[i]) for i in range(len(members))]

    def train() -> Trained:
        trained = [program(*each) for each in zip(members, rows, strict=True)]
        return flax_stack(jax.tree.map(lambda *leaves: np.stack(leaves), *trained)), None

    return train


# C


def c_program(job: Job) -> Callable[[], Trained]:
    """``_limit.train`` on all cores; it measures itself, apart from packing its arrays."""
    problem = job.problem

    def train() -> Trained:
        options = {"loss": problem.loss, "optimizer": problem.optimizer, "num_steps": job.num_steps, "rows": job.rows}
        params, _, seconds = _limit.train(job.params, problem.x, problem.y, **options)
        return params, seconds

    return train


def rivals(num_cores: int) -> tuple[dict[str, Rival], frozenset[str]]:
    """All rivals that this machine has, by name, and the names of those that take one network after another."""
    found: dict[str, Rival] = {}
    loops = {"Flax loop", "scan loop"}
    if torch is not None:
        for threads in sorted({1, num_cores}):
            suffix = f", {threads} thread{'s' * (threads > 1)}"
            found["PyTorch loop" + suffix] = partial(torch_loop, threads=threads)
            found["torch.func" + suffix] = partial(torch_ensemble, threads=threads)
            loops.add("PyTorch loop" + suffix)
    found |= {"Flax loop": flax_loop, "vmap of scan": vmap_of_scan, "scan loop": scan_loop}
    if _limit is not None and _limit.is_available():
        found["C"] = c_program
    return found, frozenset(loops)


# Checks


def train_losses(problem: Problem, params: Stack) -> np.ndarray:
    """Mean loss of each member over all points."""
    return np.asarray(_losses_of([tuple(layer) for layer in params], problem.x, problem.y, loss=problem.loss))


@partial(jax.jit, static_argnames="loss")
def _losses_of(params: Any, x: jax.Array, y: jax.Array, *, loss: str) -> jax.Array:
    def single(layers: Any) -> jax.Array:
        *hidden, (kernel, bias, *_) = layers
        outputs = x
        for weights, offsets in hidden:
            outputs = jnp.maximum(outputs @ weights + offsets, 0)
        return mean_loss(loss, outputs @ kernel + bias, y)

    return lax.map(single, params, batch_size=64)


def differences(problem: Problem, ours: Stack, theirs: Stack) -> np.ndarray:
    """For each member of the smaller population, how much the losses differ, and the parameters at most: (2, members).

    Losses are means over all points.
    """
    num = len(theirs[0][0])
    params = np.zeros(num)
    for our_layer, their_layer in zip(ours, theirs, strict=True):
        for our_array, their_array in zip(our_layer, their_layer, strict=True):
            difference = np.abs(our_array[:num] - their_array).reshape(num, -1)
            params = np.maximum(params, difference.max(axis=1))
    losses = train_losses(problem, [(kernel[:num], bias[:num]) for kernel, bias in ours])
    return np.stack([np.abs(losses - train_losses(problem, theirs)), params])
