"""[edge] A launch file for Slurm: a job array of which each task computes one shard of a study."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxgeom.host.files import whole_file

NAME = "study.sbatch"


def write_launch_file(file: Path, out: Path, num: int, options: Sequence[str] = (), flags: Sequence[str] = ()) -> Path:
    """Write ``study.sbatch`` into the directory of a study.

    A task that is killed, put back into the queue or submitted again goes on from the chunks that are there.

    Args:
        file: the study, in TOML.
        out: directory of the study, which all nodes must share.
        num: shards, one a task.
        options: further options of sbatch, such as ``--time=2:00:00``.
        flags: of the study command, such as ``--any-versions``.

    Raises:
        ValueError: for what is no option, and a path that a line of Slurm cannot hold.
    """
    for option in options:
        if not option.startswith("--") or not option.isprintable():
            raise ValueError(f"options of sbatch begin with two strokes, as --time=2:00:00, but {option!r} was given.")
    path = out.resolve() / NAME
    if any(character in str(path) for character in '"\n%\\'):
        raise ValueError(f"Slurm does not take quotes, backslashes and % in paths, but {str(path)!r} was given.")
    command = [sys.executable, "-m", "jaxgeom", "study", str(file.resolve()), "--out", str(out.resolve())]
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={_word(file.stem)}",
        f"#SBATCH --array=0-{num - 1}",
        f'#SBATCH --output="{out.resolve()}/slurm-%a.out"',
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        *(f"#SBATCH {option}" for option in options),
        "",
        f"# Each task computes one of {num} shards, and saves every chunk of it at once. A task that was killed or put",
        "# back into the queue goes on from there, and so does the whole array when it is submitted again.",
        f"cd {shlex.quote(str(Path.cwd()))} || exit",
        f'exec {shlex.join(command)} --shard "$SLURM_ARRAY_TASK_ID/{num}" {shlex.join(["--quiet", *flags])}',
    ]
    with whole_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _word(text: str) -> str:
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in text)
