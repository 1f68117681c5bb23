"""Print the constraints that make pip install the lowest versions that pyproject.toml allows: the content of .ci/lowest.txt."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("test",)
"""What continuous integration installs with them."""


def lowest_versions() -> str:
    """Return a line for each requirement of the package and of :data:`EXTRAS`, extras of its own followed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted, seen, found = list(project["dependencies"]), set(), set()
    extras = list(EXTRAS)
    while extras:
        extra = extras.pop()
        if extra not in seen:
            seen.add(extra)
            wanted += project["optional-dependencies"][extra]
        for requirement in project["optional-dependencies"][extra]:
            if own := re.fullmatch(r"uepgpu\[([\w,-]+)\]", requirement):
                extras += [name for name in own[1].split(",") if name not in seen]
    for requirement in wanted:
        if bound := re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement):
            found.add(f"{bound[1]}=={bound[2]}")
    return "".join(f"{line}\n" for line in sorted(found))


if __name__ == "__main__":
    print(lowest_versions(), end="")
