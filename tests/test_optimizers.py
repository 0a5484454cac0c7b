# ruff: noqa: SIM905
"""Every optimizer of optax: trained as by a plain loop of optax, or refused by an error that says why."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib
from training_truth import EPS

import jaxgeom as jg
from jaxgeom.data.losses import squared_error
from jaxgeom.training.traced import evaluated, with_reciprocals

KEY = jax.random.key(31)
RNG = np.random.default_rng(31)
DATA = jg.Dataset(jnp.asarray(RNG.normal(size=(6, 2)), jnp.float32), jnp.asarray(RNG.normal(size=(6, 1)), jnp.float32))
MODEL = jg.mlp((2, 3, 1), activation="tanh")
ONE_LAYER = jg.mlp((2, 1), activation=())  # half as much to compile
STEPS = 5

RATE = (
    "adabelief adagrad adam adamax adamaxw adamw adan amsgrad fromage lamb lars lion noisy_sgd novograd optimistic_adam"
    " optimistic_adam_v2 optimistic_gradient_descent radam rmsprop rprop sgd sign_sgd signum sm3 yogi"
).split()
CONTRIB_RATE = "acprop ademamix adopt galore madgrad muon simplified_ademamix".split()
PLAIN = "adadelta adafactor polyak_sgd lbfgs".split()
CONTRIB_PLAIN = "cocob dadapt_adamw momo momo_adam prodigy schedule_free_adamw schedule_free_sgd".split()
TRANSFORMS = (
    "add_decayed_weights apply_every centralize identity keep_params_nonnegative normalize_by_update_norm"
    " scale_by_distance_over_gradients scale_by_param_block_norm scale_by_param_block_rms scale_by_stddev"
    " scale_by_trust_ratio set_to_zero zero_nans"
).split()
CONTRIB_TRANSFORMS = ["normalize"]
OF_OPTIMIZERS = (
    "adadelta adam adamax adan amsgrad belief lbfgs lion novograd optimistic_gradient polyak radam rms rss sign sm3"
    " yogi acprop ademamix adopt cocob galore simplified_ademamix rprop madgrad muon backtracking_linesearch"
    " zoom_linesearch"
).split()
"""What optimizers above consist of, each by the name ``scale_by_…``."""
ONLY_KERNELS = partial(jax.tree.map, lambda leaf: leaf.ndim == 2)
OTHERS = {
    "adaptive_grad_clip": lambda: optax.chain(optax.adaptive_grad_clip(0.1), optax.sgd(0.1)),
    "add_noise": lambda: optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(3)), optax.sgd(0.1)),
    "apply_if_finite": lambda: optax.apply_if_finite(optax.adam(0.1), 3),
    "clip": lambda: optax.chain(optax.clip(0.01), optax.sgd(0.1)),
    "clip_by_block_rms": lambda: optax.chain(optax.clip_by_block_rms(0.01), optax.sgd(0.1)),
    "clip_by_global_norm": lambda: optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(0.1)),
    "conditionally_mask": lambda: optax.conditionally_mask(optax.adam(0.1), lambda step, *_, **__: step % 2 == 0),
    "conditionally_transform": lambda: optax.conditionally_transform(optax.adam(0.1), lambda step, *_, **__: step < 3),
    "ema": lambda: optax.chain(optax.ema(0.5), optax.sgd(0.1)),
    "flatten": lambda: optax.flatten(optax.adam(0.1)),
    "inject_hyperparams": lambda: optax.inject_hyperparams(optax.adam)(optax.linear_schedule(0.1, 0.01, 4)),
    "inject_hyperparams of polyak": lambda: optax.inject_hyperparams(optax.polyak_sgd)(max_learning_rate=0.5),
    "linear schedule": lambda: optax.adam(optax.linear_schedule(0.1, 0.01, 4)),
    "masked": lambda: optax.chain(optax.masked(optax.adam(0.1), ONLY_KERNELS), optax.scale(0.5)),
    "multi_transform": lambda: optax.multi_transform({True: optax.adam(0.1), False: optax.sgd(0.1)}, ONLY_KERNELS),
    "MultiSteps": lambda: optax.MultiSteps(optax.adam(0.1), 2),
    "MultiSteps of polyak": lambda: optax.MultiSteps(optax.polyak_sgd(0.5), 2),
    "named_chain": lambda: optax.named_chain(("clip", optax.clip(0.01)), ("rest", optax.sgd(0.1, momentum=0.9))),
    "nesterov": lambda: optax.sgd(0.1, momentum=0.9, nesterov=True),
    "reduce_on_plateau": lambda: optax.chain(optax.adam(0.1), contrib.reduce_on_plateau(patience=1, rtol=0.9)),
    "scale_by_schedule": lambda: optax.scale_by_schedule(lambda step: -0.1 / (step + 1)),
    "trace": lambda: optax.chain(optax.trace(0.9), optax.scale(-0.1)),
    "backtracking": lambda: optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5)),
    "backtracking, kept gradient": lambda: optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5, store_grad=True)
    ),
    "zoom": lambda: optax.chain(optax.sgd(1.0), optax.scale_by_zoom_linesearch(5)),
    "lbfgs without line search": lambda: optax.lbfgs(0.1, linesearch=None),
    "mechanize": lambda: contrib.mechanize(optax.adam(0.1)),
    "sam": lambda: contrib.sam(optax.adam(0.1), optax.sgd(0.05), sync_period=2),
    "sam, opaque": lambda: contrib.sam(optax.adam(0.1), optax.sgd(0.05), sync_period=3, opaque_mode=True),
    "schedule_free": lambda: contrib.schedule_free(optax.sgd(0.1), 0.1),
    "sophia": lambda: contrib.sophia(0.1, update_interval=2),
    "split_real_and_imaginary": lambda: contrib.split_real_and_imaginary(optax.adam(0.1)),
}


def _descent(transform):
    """A transformation of gradients as an optimizer: it has no learning rate of its own."""
    return optax.chain(transform, optax.scale(-0.01))


OPTIMIZERS = (
    {name: partial(getattr(optax, name), 0.01) for name in RATE if hasattr(optax, name)}
    | {f"contrib.{name}": partial(getattr(contrib, name), 0.01) for name in CONTRIB_RATE if hasattr(contrib, name)}
    | {name: getattr(optax, name) for name in PLAIN}
    | {f"contrib.{name}": getattr(contrib, name) for name in CONTRIB_PLAIN if hasattr(contrib, name)}
    | {name: lambda name=name: _descent(getattr(optax, name)()) for name in TRANSFORMS if hasattr(optax, name)}
    | {
        f"contrib.{name}": lambda name=name: _descent(getattr(contrib, name)())
        for name in CONTRIB_TRANSFORMS
        if hasattr(contrib, name)
    }
    | OTHERS
)


MORE = {"sophia": ("obj_fn",), "sam": (), "sam, opaque": ("grad_fn",)}
"""What is passed beside the gradient to optimizers that take neither value nor loss."""


def mean_loss(params, x=DATA.x, y=DATA.y, model=MODEL):
    return jnp.mean((model.apply(params, x) - y) ** 2)


def by_hand(params, optimizer, kind, model=MODEL):
    """The losses before each step, and the parameters at the end, of a plain loop with optax."""
    extra = isinstance(optimizer, optax.GradientTransformationExtraArgs | optax.MultiSteps)

    def step(carry, _):
        params, state = carry
        loss = partial(mean_loss, model=model)
        value, gradient = jax.value_and_grad(loss)(params)
        more = {"value": value, "grad": gradient, "value_fn": loss, "obj_fn": loss}
        more |= {"grad_fn": lambda params, _: jax.grad(loss)(params)}
        more = {name: more[name] for name in MORE.get(kind, ("value", "grad", "value_fn"))}
        updates, state = optimizer.update(gradient, state, params, **(more if extra else {}))
        return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.lax.scan(step, (params, optimizer.init(params)), length=STEPS)
    return values, params


def fitted(key, optimizer, model=MODEL):
    return jg.fit(key, model, optimizer, squared_error, DATA, num_epochs=STEPS, batch_losses=True, record=None)


def both(key, name, model=MODEL):
    optimizer = OPTIMIZERS[name]()
    result = fitted(key, optimizer, model)
    return result, by_hand(result.initial_params, optimizer, name, model)


def assert_equal_runs(result, hand):
    values, params = hand
    assert not np.any(result.diverged)
    np.testing.assert_allclose(result.batch_losses, values, rtol=2e3 * EPS)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e3 * EPS, atol=2e3 * EPS), result.params, params)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_a_plain_loop_of_optax(name):
    assert_equal_runs(*jax.jit(partial(both, name=name, model=ONE_LAYER))(KEY))


NEEDS_VALUE = [
    "polyak_sgd",
    "reduce_on_plateau",
    "contrib.momo",
    "MultiSteps of polyak",
    "inject_hyperparams of polyak",
]
NEEDS_LOSS = ["lbfgs", "backtracking", "sam, opaque"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NEEDS_VALUE, *NEEDS_LOSS, "contrib.muon", "add_noise", "apply_if_finite"])
def test_populations_are_plain_loops_of_optax(name):
    keys = jax.random.split(KEY, 8)
    assert_equal_runs(*jax.jit(jax.vmap(partial(both, name=name)))(keys))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lbfgs", "polyak_sgd"])
def test_minibatches_pass_the_loss_of_the_batch_on(name):
    optimizer = OPTIMIZERS[name]()
    result = jax.jit(
        lambda key: jg.fit(
            key,
            MODEL,
            optimizer,
            squared_error,
            DATA,
            num_epochs=2,
            batch_size=4,
            drop_last=False,
            shuffle=False,
            record=None,
        )
    )(KEY)
    params, state = result.initial_params, optimizer.init(result.initial_params)

    @jax.jit
    def step(params, state, x, y):
        loss = partial(mean_loss, x=x, y=y)
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(params, updates), state

    for rows in (slice(0, 4), slice(4, 6)) * 2:
        params, state = step(params, state, DATA.x[rows], DATA.y[rows])
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e3 * EPS, atol=2e3 * EPS), result.params, params)


@pytest.mark.slow
def test_a_trainer_passes_the_loss_on():
    trainer = jg.trainer(MODEL, optax.lbfgs(), squared_error)
    state = trainer.init(KEY)
    hand = jax.jit(lambda params: by_hand(params, optax.lbfgs(), "lbfgs"))(state.params)
    values = []
    step = jax.jit(trainer.step)
    for _ in range(STEPS):
        state, value = step(state, *DATA)
        values.append(value)
    np.testing.assert_allclose(values, hand[0], rtol=2e3 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["polyak_sgd", "lbfgs", "reduce_on_plateau", "contrib.momo_adam", "sam, opaque"])
def test_optimizers_keep_their_dtypes_in_x64(name):
    with jax.enable_x64(True):
        assert_equal_runs(*jax.jit(partial(both, name=name))(KEY))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        ("adam", TypeError, r"the string 'adam' was given. Use optax.adam\(learning_rate\)"),
        (optax.adam, TypeError, r"the function adam itself was given. Call it, as in optax.adam\("),
        (optax.inject_hyperparams(optax.adam), TypeError, "was given. Call it"),
        (optax.MultiSteps, TypeError, "MultiSteps itself was given. Call it"),
        (None, TypeError, "such as optax.adam.*but None was given"),
        (0.1, TypeError, "but 0.1 was given"),
        (optax.adam("0.01"), ValueError, "Check its arguments: a learning rate is a number"),
        (optax.lookahead(optax.sgd(0.1), 5, 0.5), ValueError, "optax.lookahead.*use its inner optimizer"),
        (contrib.dpsgd(0.1, 1.0, 0.1, 0), ValueError, "gradients of single points|cannot take a step"),
        (
            optax.MultiSteps(optax.polyak_sgd(0.1), 2).gradient_transformation(),
            ValueError,
            "cannot take a step with these parameters",
        ),
        (optax.GradientTransformation(lambda p: {}, lambda g, s, p: (g, {"a": 1})), ValueError, "must keep the struct"),
    ],
    ids=["name", "factory", "injected", "class", "None", "number", "text", "lookahead", "dpsgd", "no value", "state"],
)
def test_what_is_no_optimizer_or_cannot_train_is_refused(optimizer, error, message):
    with pytest.raises(error, match=message):
        fitted(KEY, optimizer)

    def step(key):
        trainer = jg.trainer(MODEL, optimizer, squared_error)
        return trainer.step(trainer.init(key), *DATA)

    with pytest.raises(error, match=message):
        jax.eval_shape(step, KEY)


def test_gradients_of_single_points_are_refused_where_shapes_would_be_broadcast():
    # Kernels and biases of one length look like gradients of so many points.
    data = jg.Dataset(DATA.x, jnp.hstack([DATA.y, DATA.y]))
    with pytest.raises(ValueError, match=r"gradients of single\s+points|cannot take a step"):
        jg.fit(KEY, jg.mlp((2, 2, 2)), contrib.dpsgd(0.1, 1.0, 0.1, 0), squared_error, data, num_epochs=1)


def test_every_optimizer_of_optax_is_tried():
    tried = {name.removeprefix("contrib.").split(",")[0].split(" ")[0] for name in OPTIMIZERS}
    composed = {"chain", "partition", "scale", "scale_by_learning_rate", "selective_transform", "snapshot", "freeze"}
    composed |= {"inject_stateful_hyperparams", "with_extra_args_support", "stateless", "stateless_with_tree_map"}
    composed |= {f"scale_by_{name}" for name in OF_OPTIMIZERS} | {"measure_with_ema", "maybe_update"}
    composed |= {"lookahead", "dpsgd", "differentially_private_aggregate"}
    for room in (optax, contrib):
        for name in dir(room):
            returned = str(getattr(getattr(room, name), "__annotations__", {}).get("return", ""))
            if not name.startswith("_") and not isinstance(getattr(room, name), type) and "Gradient" in returned:
                assert name in tried | composed, f"{room.__name__}.{name}"


def test_arrays_are_multiplied_by_reciprocals():
    """What XLA makes of a quotient by a number is written out, so that it cannot make something else of it; quotients
    of arrays, of numbers and of integers stay."""

    def function(x, y, n):
        return x / y / (x + 2), y / 3.0, n // 2, x / jnp.sum(x)

    arguments = np.float32([0.1, 0.7, 3.3]), np.float32(0.3), np.int32([5, 7])
    closed = jax.make_jaxpr(function)(*arguments)
    changed = with_reciprocals(closed)
    by_number = [e for e in changed.jaxpr.eqns if e.primitive.name == "div" and e.invars[1].aval.shape == ()]
    assert all(equation.invars[0].aval.shape == () for equation in by_number)
    assert any(e.primitive.name == "div" and e.invars[1].aval.shape == (3,) for e in changed.jaxpr.eqns)
    x, y, n = arguments
    one = np.float32(1)
    expected = [x * (one / y) / (x + 2), y / 3, n // 2, x * (one / x.sum())]
    for found, wanted in zip(evaluated(changed, changed.consts, arguments), expected, strict=True):
        np.testing.assert_array_equal(found, wanted.astype(found.dtype))


def test_arrays_are_multiplied_by_reciprocals_where_devices_differ():
    """Inside ``shard_map`` JAX writes more into a trace: which operands differ between devices."""
    three = jnp.float32(3)

    def quotient(x):
        closed = jax.make_jaxpr(lambda x, y: x / y)(x, three)
        return evaluated(with_reciprocals(closed), closed.consts, (x, three))[0]

    x = np.float32([0.1, 0.7, 3.3])
    spec, mesh = jax.sharding.PartitionSpec("n"), jax.make_mesh((1,), ("n",), axis_types=(jax.sharding.AxisType.Auto,))
    found = jax.jit(jax.shard_map(quotient, mesh=mesh, in_specs=spec, out_specs=spec))(x)
    np.testing.assert_array_equal(found, x * (np.float32(1) / np.float32(3)))
