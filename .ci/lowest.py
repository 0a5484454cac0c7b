"""Prints constraints for pip: every dependency at the lowest version that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *(each for name in extras if name != "bench" for each in extras[name])]:
    found = re.match(r"([\w-]+)>=([\w.]+)", requirement)
    if found:
        print(f"{found[1]}=={found[2]}")
