"""[host] What a study will do, before it starts: its manifest, and which members are computed and saved together."""

import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxgeom.host.sizes import LANES, fitting, round_up, size_of_chunks
from jaxgeom.study import store
from jaxgeom.study.check import DIVERGED, OF_TRIES, check_description, check_kinds
from jaxgeom.study.demand import check_data, check_network, check_results, least_bytes
from jaxgeom.study.describe import Found, described, differences
from jaxgeom.study.layout import Group, Layout, groups_of, label_of, layout_of, with_splits
from jaxgeom.study.measurements import Measurement, as_measurement
from jaxgeom.study.program import (
    Recipe,
    check_networks_fit,
    check_steps,
    data_bytes,
    named_arguments,
    num_bytes,
    outline,
    recipe_of,
)
from jaxgeom.study.versions import PYTHON, versions

_CHUNK_BYTES = 2**27
"""Results of a chunk's programs, snapshots included."""
_SAVED_TOGETHER, _MOST_TOGETHER = 512, 8192
"""Networks of a chunk, unless one program computes more of them at once; and the most that it does."""
JAX_SETTINGS = ("enable_x64", "default_matmul_precision", "default_prng_impl", "threefry_partitionable")
"""Settings of JAX that decide the numbers."""


class Chunk(NamedTuple):
    """Members that are saved together."""

    number: int
    group: int
    rows: slice
    """Which members of the group."""


class Prepared(NamedTuple):
    """What a call describes, checked, before anything is computed or read."""

    recipe: Recipe
    layout: Layout
    groups: list[Group]
    description: dict[str, Any]
    """As JSON, by which a study is known."""
    versions: dict[str, str]
    unknown: list[str]
    """Sentences on what cannot be described."""
    chunk_size: int | None


def prepared(
    axes: Mapping[str, Any],
    measure: Mapping[str, Measurement | Callable[..., Any]],
    *,
    model: Any,
    data: Any,
    test: Any,
    optimizer: Any,
    loss: Any,
    num_epochs: int | None,
    batch_size: int | None,
    at_steps: Sequence[int],
    inputs: int | None,
    outputs: int | None,
    key: int,
    static: Sequence[str],
    until: Callable[..., Any] | None,
    max_tries: int,
    out: Any,
    chunk_size: int | None,
) -> Prepared:
    """What a call of :func:`jaxgeom.run_study` with these arguments describes.

    Raises:
        ValueError: for descriptions that make no sense.
        TypeError: for arguments of another kind than described.
    """
    check_kinds(measure, at_steps, num_epochs, batch_size, inputs, outputs, key, chunk_size, until, max_tries)
    taken = named_arguments(model) if callable(model) else {}
    axes, test = with_splits(axes, test)
    layout = layout_of(axes, static, has_architecture="features" in taken)
    recipe = Recipe(
        model,
        data,
        test,
        optimizer,
        loss,
        num_epochs,
        batch_size,
        tuple(map(operator.index, at_steps)),
        inputs,
        outputs,
        operator.index(key),
        {name: as_measurement(item) for name, item in measure.items()},
        until,
        max_tries,
    )
    check_description(recipe, layout, out)
    found = Found(set(), [])
    without = ("until", "max_tries") if until is None else ()
    description = {
        "axes": {name: described_axis(layout, name, found) for name in layout.values},
        "settings": described(layout.fixed, found),
        **{name: described(value, found) for name, value in recipe._asdict().items() if name not in without},
        "static": sorted(static),
        "chunk_size": chunk_size,
        "jax": {name: getattr(jax.config, f"jax_{name}") for name in JAX_SETTINGS},
    }
    groups = groups_of(layout, is_padded="widths" in taken)
    return Prepared(recipe, layout, groups, description, versions(found.packages), found.unknown, chunk_size)


def new_manifest(study: Prepared) -> dict[str, Any]:
    """All that is fixed when a study begins, sizes of batches and chunks included."""
    recipe, layout, groups, chunk_size = study.recipe, study.layout, study.groups, study.chunk_size
    sizes = [_sizes(recipe_of(recipe, group), layout, group, chunk_size) for group in groups]
    variables: dict[str, dict[str, Any]] = {
        name: {"dims": item.dims, "units": item.units, "meaning": item.meaning, "has_steps": True}
        for name, item in recipe.measure.items()
    }
    for name, item in recipe.measure.items():
        for detail, (units, meaning) in (item.details or {}).items():
            variables[f"{name}_{detail}"] = variables[name] | {"units": units, "meaning": meaning}
    meaning = "training step that met NaN or infinity, after which a network stays as it was; -1 if none"
    variables[DIVERGED] = {"dims": (), "units": "steps", "meaning": meaning, "has_steps": False}
    if recipe.until is not None:
        variables |= {name: about | {"dims": (), "has_steps": False} for name, about in OF_TRIES.items()}
    found: dict[str, Any] = {
        "format": store.FORMAT,
        "description": study.description,
        "versions": study.versions,
        "coords": {n: v.tolist() for n, v in layout.coords.items()} | {"step": list(recipe.at_steps)},
        "variables": {name: {**about, "dims": list(about["dims"])} for name, about in variables.items()},
        "sizes": sizes,
        "num_chunks": len(chunks_of(groups, sizes)),
    }
    return found | {
        "digest": store.manifest_digest(found),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _sizes(recipe: Recipe, layout: Layout, group: Group, chunk_size: int | None) -> list[int]:
    """Networks that a device computes at once, and networks of a chunk.

    Raises:
        ValueError: for networks or results that there is no memory for, and two variables of one name.
    """
    check_data("the data of one network", data_bytes(recipe, group))
    check_steps(recipe, group)
    least = least_bytes(group.hidden or ())  # known before the network is looked at, which takes time for wide ones
    check_network(group.hidden or (), least, least * len(recipe.at_steps))
    shapes = outline(recipe, group)
    taken = [name for name in shapes["measured"] if name in layout.values or name in ("step", DIVERGED, *OF_TRIES)]
    if taken:
        raise ValueError(
            f"a measurement gives the variable {taken[0]!r}, which is the name of an axis; choose another."
        )
    bytes_each = max(1, num_bytes(shapes))
    check_network(group.hidden or (), num_bytes(shapes.get("params", ())), bytes_each)
    if "params" in shapes:
        check_networks_fit(recipe, shapes["params"])
    check_results(layout.num_members, num_bytes(shapes["measured"]))
    batch = size_of_chunks(None, bytes_each, most_bytes=_CHUNK_BYTES)
    batch = min(batch, _MOST_TOGETHER, round_up(len(group.members), LANES), chunk_size or batch)
    return [batch, chunk_size or max(batch, fitting(bytes_each, _CHUNK_BYTES, _SAVED_TOGETHER) // batch * batch)]


def chunks_of(groups: Sequence[Group], sizes: Sequence[Sequence[int]]) -> list[Chunk]:
    found: list[Chunk] = []
    for index, (group, (_, chunk)) in enumerate(zip(groups, sizes, strict=True)):
        for start in range(0, len(group.members), chunk):
            found.append(Chunk(len(found), index, slice(start, min(start + chunk, len(group.members)))))
    return found


def checked(manifest: dict[str, Any], study: Prepared, directory: Path, any_versions: bool) -> dict[str, Any]:
    """The manifest with the present versions among them; raises a ValueError for that of another study."""
    there, here = manifest["versions"], study.versions
    is_other_python = _minor(there[PYTHON]) != _minor(here[PYTHON])
    differ = differences(manifest["description"], described(study.description), by_source=is_other_python)
    others = differences(there, here, "versions")
    if differ:
        listed = "\n  ".join([*differ, *others])
        raise ValueError(
            f"{str(directory)!r} holds another study; give this one another directory. They differ in:\n  {listed}"
        )
    if others and not any_versions:
        listed = "\n  ".join(others)
        raise ValueError(
            f"the study in {str(directory)!r} was begun with other versions, so that the numbers may differ in the "
            "last digits. Go on all the same with any_versions=True (--any-versions on the command line, any_versions "
            f"= true in a file), or give this study another directory. They differ in:\n  {listed}"
        )
    if not others:
        return manifest
    warnings.warn(f"going on with a study that was begun with other versions: {'; '.join(others)}", stacklevel=3)
    return manifest | {"other_versions": [*(v for v in manifest.get("other_versions", []) if v != here), here]}


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def described_axis(layout: Layout, name: str, found: Found) -> Any:
    coordinate = layout.coords[name]
    is_text = coordinate.tolist() == list(map(label_of, layout.values[name]))
    is_text = is_text and all(isinstance(item, str | tuple | list) for item in layout.values[name])
    if is_text or coordinate.dtype.kind != "U":
        return coordinate.tolist()
    return {str(label): described(value, found) for label, value in zip(coordinate, layout.values[name], strict=True)}
