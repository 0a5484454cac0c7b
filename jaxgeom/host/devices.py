"""[host] Which platform computes, and on which of its devices: the one place that asks.

The first of these that says something decides:

1. :func:`as_platform`, for programs that are made as for another platform;
2. :func:`on_devices`, the user's choice;
3. the devices that arrays were put on (``jax.device_put``), where there are arrays;
4. ``jax.default_device``;
5. JAX's own choice, all devices of this process.

Under tracing, arrays are nowhere yet: what differs from platform to platform there is an operation with a lowering for
each (``jax.lax.platform_dependent``, :mod:`jaxgeom.training.primitive`), which asks :func:`pretended` at most.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, cast

import jax

from jaxgeom.host.names import check_name
from jaxgeom.host.packages import warn_if_excluded

warn_if_excluded("jax", jax.__version__)  # here, since all that computes imports this file

_PLATFORMS = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu", "rocm": "gpu", "tpu": "tpu"}
"""Names of platforms, and what JAX calls their devices."""


class _Choice(NamedTuple):
    """What was chosen in this thread."""

    devices: tuple[Any, ...] = ()
    """Devices that compute; empty where none were chosen."""
    pretended: str | None = None
    """The platform that programs are made for, whatever computes."""
    is_shared: bool = False
    """Whether populations are shared out among all processes."""


_chosen = jax.make_user_context(_Choice())  # belongs to a thread, and to the key of every program that JAX keeps


@contextmanager
def on_devices(devices: Sequence[jax.Device] | str) -> Iterator[None]:
    """A context in which these devices compute: populations are spread over them, all else is on the first.

    Args:
        devices: some of ``jax.local_devices()``, the name of a platform such as "cpu" for all that it has, or
            ``jax.devices()``: then all processes of ``jax.distributed`` share each population, and all of them have to
            make the same calls.

    Raises:
        TypeError: for anything else.
        ValueError: for no devices, those of several platforms or of some other processes, or a platform that is not
            there.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> def run(key):
        ...     model, data = jg.mlp((2, 4, 1), activation="relu"), jg.parity(2)
        ...     return jg.fit(key, model, optax.sgd(0.1), jg.losses.squared_error, data, num_epochs=10)
        >>> with jg.on_devices("cpu"):  # also where there is an accelerator
        ...     runs = jg.fit_population(jax.random.split(jax.random.key(0), 3), run)
        >>> runs.train_loss.shape
        (3, 11)
    """
    is_list = isinstance(devices, Sequence) and all(isinstance(device, jax.Device) for device in devices)
    if not isinstance(devices, str) and not is_list:
        raise TypeError(f"devices must be some of jax.local_devices() or the name of a platform, but got {devices!r}.")
    found = _of_platform(devices) if isinstance(devices, str) else tuple(devices)
    platforms = sorted({device.platform for device in found})
    if len(platforms) != 1:
        raise ValueError(
            f"devices must be of one platform, but those of {platforms} were given. Choose some of jax.local_devices()."
        )
    own = tuple(device for device in found if device.process_index == jax.process_index())
    owners = {device.process_index for device in found}
    if not own or len(owners) not in (1, jax.process_count()):
        raise ValueError(
            f"devices must be those of this process or of all of them, but those of the processes {sorted(owners)} "
            "were given. Choose some of jax.local_devices(), or jax.devices()."
        )
    with chosen_as(choice()._replace(devices=own, is_shared=len(owners) > 1)), jax.default_device(own[0]):
        yield


def alone() -> AbstractContextManager[None]:
    """A context in which this process computes for itself, whatever others do."""
    return chosen_as(choice()._replace(is_shared=False))


def sharing() -> tuple[int, int]:
    """Number of this process among those that share populations, and how many these are."""
    return (jax.process_index(), jax.process_count()) if choice().is_shared else (0, 1)


@contextmanager
def as_platform(name: str) -> Iterator[None]:
    """A context in which programs are made as for a platform, which need not be there; the present devices compute.

    So what accelerators run can be tried on a CPU, and lowered or exported for them anywhere. JAX keeps programs that
    were traced in it apart from others.

    Args:
        name: "cpu", "cuda", "rocm", "gpu" (either of these two) or "tpu".
    """
    check_name("a platform", name, _PLATFORMS)
    with chosen_as(choice()._replace(pretended=_PLATFORMS[name])):
        yield


def at_arrays(*arrays: Any) -> AbstractContextManager[None]:
    """:func:`on_devices` with those that arrays were put on, unless others were chosen or the arrays are nowhere."""
    found = () if choice().devices else _of_arrays(arrays)
    return on_devices(found) if found else nullcontext()


@contextmanager
def with_float64() -> Iterator[None]:
    """A context in which what computes has float64: TPUs, which emulate it with fewer bits and a smaller range, leave
    it to the host's CPU."""
    if platform() != "tpu":
        yield
        return
    with chosen_as(choice()._replace(pretended=None)), on_devices("cpu"):
        yield


def platform() -> str:
    """The platform that computes, by the name of its devices: "cpu", "gpu" or "tpu"."""
    return pretended() or str(devices()[0].platform)


def pretended() -> str | None:
    """The platform of :func:`as_platform`; None outside of it."""
    return choice().pretended


def devices() -> tuple[Any, ...]:
    """The devices that compute."""
    if choice().devices:
        return choice().devices
    default = getattr(jax.config, "jax_default_device", None)
    if default is None:
        return tuple(jax.local_devices())
    return (jax.local_devices(backend=default)[0] if isinstance(default, str) else default,)


def populations_on() -> tuple[Any, ...]:
    """The devices that populations are spread over: all that compute. CPUs are one device, whatever JAX calls them:
    one of them has all cores, and every other would compile, or add, for itself."""
    return devices()[:1] if platform() == "cpu" else devices()


def choice() -> _Choice:
    """What was chosen in this thread, for :func:`chosen_as` in another one."""
    found: _Choice = _chosen.value
    return found


def chosen_as(choice: _Choice) -> AbstractContextManager[None]:
    """A context with what was chosen in another thread."""
    return cast(AbstractContextManager[None], _chosen(choice))


def _of_platform(name: str) -> tuple[Any, ...]:
    try:
        if not name:  # which JAX takes for its own choice
            raise RuntimeError("a platform has a name")
        return tuple(jax.local_devices(backend=name))
    except RuntimeError as error:
        there = sorted({device.platform for device in jax.local_devices()} | {"cpu"})
        raise ValueError(
            f"devices of the platform {name!r} were asked for, but this machine has {', '.join(there)}. Choose one of "
            "these, or some of jax.local_devices()."
        ) from error


def _of_arrays(arrays: Any) -> tuple[Any, ...]:
    """The local devices that arrays were put on, in order."""
    placed = [leaf for leaf in jax.tree.leaves(arrays) if isinstance(leaf, jax.Array)]
    placed = [leaf for leaf in placed if not isinstance(leaf, jax.core.Tracer) and leaf.committed]
    found = {device for leaf in placed for device in leaf.sharding.addressable_devices}
    return tuple(sorted(found, key=lambda device: device.id))
