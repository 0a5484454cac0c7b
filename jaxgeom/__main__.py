"""[edge] The command line: ``jaxgeom COMMAND``, or ``python -m jaxgeom COMMAND``."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

# Of each program from the cache XLA says in 2,000 characters that the processor may be another one, which the cache's
# directory rules out. It reads this once, when JAX is imported; 1 is what a parent leaves that has imported JAX.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1").replace("1", "3")

import jax
import matplotlib

import jaxgeom
from jaxgeom.host.names import did_you_mean
from jaxgeom.recipes.cache import VARIABLE, use_cache
from jaxgeom.recipes.detangle import command as detangle
from jaxgeom.recipes.interrupts import interruptible, listing, status_of, undisturbed, what_is_saved
from jaxgeom.recipes.limits import MOST_KEY, check_numbers
from jaxgeom.recipes.movie import command as movie
from jaxgeom.recipes.output import FORMATS, check_formats, what_is_written
from jaxgeom.recipes.reproduce import command as reproduce
from jaxgeom.recipes.rings import command as rings
from jaxgeom.recipes.slice import command as slice_
from jaxgeom.recipes.spirals import command as spirals
from jaxgeom.recipes.stretch import command as stretch
from jaxgeom.recipes.study import command as study
from jaxgeom.recipes.terminal import occupy_descriptors, patient_output
from jaxgeom.recipes.xor import command as xor
from jaxgeom.recipes.zoo import command as zoo

BY_SIGNAL = 128
"""Exit codes above are those of signals, for shells."""

RECIPES = {
    "spirals": spirals,
    "stretch": stretch,
    "detangle": detangle,
    "rings": rings,
    "xor": xor,
    "movie": movie,
}
"""Commands that make pictures for a gallery."""

COMMANDS = RECIPES | {"reproduce": reproduce, "slice": slice_, "study": study, "zoo": zoo}

FORESEEABLE = (ValueError, TypeError, OverflowError, OSError, ImportError, MemoryError, RecursionError)
"""Errors that input, files and machines lead to; they end a command in one line."""


class Parser(argparse.ArgumentParser):
    """Errors in one line, which say what is nearest to a misspelt name."""

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        near = did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2])) if choice else ""
        print(f"error: {message}{'.' * bool(near)}{near} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            message, command = f"unrecognized arguments: {' '.join(unknown)}", options.parser
            name = unknown[0].partition("=")[0]
            near = did_you_mean(name, re.findall(r"--[\w-]+", command.format_help())) if name[:2] == "--" else ""
            command.error(f"{message}{'.' * bool(near)}{near}")
        return options


class Help(argparse.HelpFormatter):
    """Help that names defaults as they would be typed, where there is one to name."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default, text = action.default, action.help
        is_named = default is not None and default is not False and default not in (argparse.SUPPRESS, [])
        if text is None or not is_named or "(default" in text:
            return text
        typed = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
        return f"{text} (default: {typed})"


def main(arguments: Sequence[str] | None = None, *, owns_process: bool = False) -> int:
    """Run a command.

    Args:
        arguments: of the command line; default is those of the process.
        owns_process: whether the process may be ended once it is interrupted, without waiting for its threads.

    Returns:
        The exit status: 0; 1 if all is saved but standard output is full; 2 for an error, 130 after Ctrl-C, 143
        after SIGTERM, and 129 after SIGHUP.
    """
    with patient_output() as (output, _):
        status = _run(_parser().parse_args(arguments), owns_process)
        output.flush()
        if status == 0 and output.failure is not None and not isinstance(output.failure, BrokenPipeError):
            print(f"error: all is saved, but not all could be printed: {_line(output.failure)}", file=sys.stderr)
            return 1
        return status


def entry() -> NoReturn:
    """The program: runs the command of the process's arguments and ends it."""
    occupy_descriptors()
    if "--quick" in sys.argv and sys.argv[1] in RECIPES:
        _compile_fast()
    status = main(owns_process=True)
    if status > BY_SIGNAL:  # threads that compute would be waited for
        os._exit(status)
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    program = "jaxgeom" if Path(sys.argv[0]).stem == "jaxgeom" else "python -m jaxgeom"
    parser = Parser(prog=program, description="Geometry of small neural networks: train populations, count regions.")
    parser.add_argument("--version", action="version", version=f"jaxgeom {jaxgeom.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.DESCRIPTION,
            formatter_class=Help,
        )
        module.add_arguments(command)
        if name not in ("study", "zoo"):
            _add_common_arguments(command, name)
        command.add_argument(
            "--no-cache",
            action="store_true",
            help=f"keep no compiled programs for later ({VARIABLE}=off is the same)",
        )
        command.set_defaults(run=module.run, parser=command, when_interrupted=getattr(module, "WHEN_INTERRUPTED", None))
    return parser


def _add_common_arguments(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument("--out", default=f"out/{name}", metavar="DIR", help="directory for the results")
    command.add_argument("--key", type=int, default=0, help="random seed; the same one gives the same results")
    command.add_argument(
        "--formats", nargs="+", default=["png", "gif"], metavar="FORMAT", help=f"pictures: {', '.join(FORMATS)}"
    )
    command.add_argument("--quick", action="store_true", help="a small version that takes seconds")
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _run(options: argparse.Namespace, owns_process: bool) -> int:
    start = time.perf_counter()
    out = Path(options.out) if options.out else None
    before = listing(out) if out else {}
    saved: Callable[[], str] = lambda: options.when_interrupted or what_is_saved(out or Path(), before)  # noqa: E731
    try:
        with interruptible(out, saved, owns_process=owns_process):
            if owns_process and not options.no_cache:
                use_cache()
            if "formats" in options:
                check_formats(options.formats)
                check_numbers(options, key=(0, MOST_KEY))
                matplotlib.use("agg")  # which draws in any thread, and opens no windows
            written = options.run(options)
            if written:
                print(f"\n{what_is_written(written)} written after {time.perf_counter() - start:.0f} s")
            return 0
    except KeyboardInterrupt as error:
        with undisturbed():
            word, status = status_of(error)
            print(f"\n{word}; {saved()}", file=sys.stderr)
            return status
    except FORESEEABLE as error:
        print(f"error: {_line(error)}", file=sys.stderr)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        print(f"error: {_line(MemoryError())}", file=sys.stderr)
    return 2


def _line(error: BaseException) -> str:
    """What an error says, in one line."""
    if isinstance(error, MemoryError):
        return "the memory of this machine does not suffice; take fewer or smaller networks"
    if isinstance(error, RecursionError):
        return "the input is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {str(error.filename)!r}" if error.filename else "")
    first, *others = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return first + (" " if first.endswith(":") else "; ") * bool(others) + "; ".join(others)


def _compile_fast() -> None:
    """To be called before JAX starts: what runs for moments is compiled without optimization, as XLA_FLAGS can say only
    then. Trainings ask for theirs themselves."""
    flags = ["--xla_backend_optimization_level=0"]
    if jax.__version_info__ < (0, 11):
        flags.append("--xla_cpu_use_fusion_emitters=false")  # unknown later on
    os.environ["XLA_FLAGS"] = " ".join([*flags, os.environ.get("XLA_FLAGS", "")])


if __name__ == "__main__":
    entry()
