"""Prints constraints for pip: the newest versions of all that `.ci/run` installs, as pip resolves them today.

Run by Python 3.11, the lowest that jaxgeom supports, for which every version here exists:
``python3.11 .ci/lock.py > .ci/lock.txt``.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

PLATFORMS = ("nvidia-", "triton", "cuda-")  # what PyTorch takes on some machines only
command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--report", "-"]
command += ["-e", ".[test,bench,docs,frameworks]"]
report = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE, text=True).stdout
found = {each["metadata"]["name"]: each["metadata"]["version"] for each in json.loads(report)["install"]}
for name, version in sorted((re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found.items()):
    if name != "jaxgeom" and not name.startswith(PLATFORMS):
        print(f"{name}=={version.partition('+')[0]}")  # whichever build of it
