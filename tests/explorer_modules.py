"""The modules of the explorer's page in Node, for tests of what they compute."""

import json
import subprocess
from pathlib import Path
from typing import Any

from outside import node

from jaxgeom.plot.explorer.page import SOURCES


def in_node(program: str, page: Path | None = None) -> Any:
    """What a program prints as JSON; it has the page's modules, and, of a page, its ``population``."""
    start = f"const load = (name) => import({json.dumps(Path(str(SOURCES)).as_uri() + '/')} + name + '.mjs');\n"
    if page is not None:
        start += f"""import {{ readFileSync }} from "node:fs";
          const page = readFileSync({json.dumps(str(page))}, "utf8");
          const script = (name) => new RegExp(`id="${{name}}">([^<]*)<`).exec(page)[1];
          const about = JSON.parse(script("about"));
          const {{ unpack }} = await load("bytes"), {{ readPopulation, layersAt }} = await load("population");
          const population = readPopulation(about, await unpack(about.arrays, script("bytes")));\n"""
    done = subprocess.run(
        [node(), "--input-type=module", "-e", start + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
