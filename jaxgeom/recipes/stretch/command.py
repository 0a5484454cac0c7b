"""[edge] ``python -m jaxgeom stretch``."""

import argparse
import math
from pathlib import Path

import jax

from jaxgeom.recipes.limits import check_numbers
from jaxgeom.recipes.output import check_writable
from jaxgeom.recipes.stretch import experiment as stretch
from jaxgeom.recipes.stretch import pictures as stretch_pictures

SUMMARY = "where points go, stage by stage, from 2-D to 3-D and back, and from 1-D to 2-D and back"
DESCRIPTION = (
    "Follow a mesh and a Gaussian cloud through networks 2-3-2 and 2-3-3-2, which share their weights, and points on a "
    "line through 1-2-1. Prints what each step does; writes stretch.json (weights, numbers of each step), stretch.npz "
    "(all points at all stages), and for each case a figure of all stages and an animation that leads from stage to "
    "stage."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inputs", nargs="+", default=list(stretch.INPUTS), metavar="KIND", help="mesh, cloud")
    parser.add_argument(
        "--activations", nargs="+", default=["tanh", "relu"], metavar="NAME", help="tanh, relu, or any other"
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        default=["manual"],
        metavar="HOW",
        help="of the first layer: manual, random (as on the line always)",
    )
    parser.add_argument("--hidden", type=int, default=3, help="hidden units of the networks in the plane")
    parser.add_argument("--scale", type=float, default=stretch.SCALE, help="of the first layer by hand")
    parser.add_argument("--bias", action="store_true", help="random biases, as steps of their own")


def run(options: argparse.Namespace) -> list[Path]:
    """Compute all cases, draw and save them."""
    check_numbers(options, hidden=(1, 1000))
    if not math.isfinite(options.scale):
        raise ValueError(f"scale must be a finite number, but {options.scale} was given.")
    check_writable(options.out)
    settings = {
        "inputs": options.inputs[:1] if options.quick else options.inputs,
        "activations": options.activations,
        "weights": options.weights,
        "hidden": options.hidden,
        "scale": options.scale,
        "bias": options.bias,
        "key": options.key,
        "frames_per_step": 3 if options.quick else 16,
    }
    cases = list(
        stretch_pictures.stretch_cases(
            jax.random.key(options.key),
            kinds=settings["inputs"],
            activations=options.activations,
            weights=options.weights,
            hidden=options.hidden,
            scale=options.scale,
            use_bias=options.bias,
        )
    )
    written = stretch_pictures.save_stretch(
        cases,
        options.out,
        settings,
        formats=options.formats,
        frames_per_step=settings["frames_per_step"],
        progress=not options.quiet,
    )
    for case in cases:
        print(f"\n{case.title}\n{step_table(stretch.step_facts(case.networks[-1], case.x))}")
    return written


def step_table(facts: list[stretch.StepFacts]) -> str:
    """What each step does, as a table in plain text."""
    lines = [f"    {'step':<14} {'largest coordinate':>18}   {'pressed flat':>12}   lengths grow by"]
    for fact in facts:
        flat = "" if fact.flat is None else f"{fact.flat:.1%}"
        growth = "" if fact.stretch is None else ", ".join(f"{value:.3g}" for value in fact.stretch)
        lines.append(f"    {fact.step:<14} {fact.extent:>18.3g}   {flat:>12}   {growth}".rstrip())
    return "\n".join(lines)
