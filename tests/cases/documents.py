"""Pages of the documentation taken apart: their blocks in order, and how each is run as its reader would."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cases.command_line import environment
from tests.cases.requirements import ROOT

__all__ = ["PAGES", "Block", "blocks", "run"]

ELSEWHERE = ("notebooks", "reference")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md") if p.parent.name not in ELSEWHERE),
]
"""Pages whose blocks are run. Notebooks are run when the site is built, and the reference is made from docstrings."""

BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
ASIDE = re.compile(r"<!-- not run(?P<page> on this page)?: (?P<reason>[^\n]+) -->\n*\s*$")
FILE = re.compile(r"# ([\w.-]+\.toml)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and why it is not run, if it is not."""

    language: str
    text: str
    aside: str | None = None


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order.

    A comment `<!-- not run: reason -->` right before a block says that it is not run, `<!-- not run on this page: reason -->`
    that none of the page is.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    whole = re.search(r"<!-- not run on this page: ([^\n]+) -->", text)
    found = []
    for match in BLOCK.finditer(text):
        aside = ASIDE.search(text, 0, match.start())
        reason = whole[1] if whole else aside["reason"] if aside else None
        found.append(Block(match["language"], textwrap.dedent(match["text"]), reason))
    return found


def run(page: str, call: Callable[..., int], folder: Path) -> tuple[dict[str, object], int]:
    """Run a page's blocks in order, in the current folder; return the names that they leave and how many were run.

    Python shares one namespace. TOML whose first line names a file is written there. Shell lines that begin with ``uepgpu`` are
    called in this process by `call`, others by bash with that command on its path.
    """
    names: dict[str, object] = {"__name__": "__page__"}
    count = 0
    for block in blocks(page):
        if block.aside is not None or block.language not in ("python", "toml", "sh"):
            continue
        count += 1
        if block.language == "python":
            exec(compile(block.text, page, "exec"), names)
        elif block.language == "toml":
            if name := FILE.match(block.text):
                Path(name[1]).write_text(block.text, encoding="utf-8")
        else:
            for line in block.text.replace("\\\n", " ").splitlines():
                _shell(line, call, folder)
    return names, count


def _shell(line: str, call: Callable[..., int], folder: Path) -> None:
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[0] == "uepgpu" and not re.search(r"[|><&;$]", line):
        code = call(*words[1:])
        assert code == 0, line
        return
    command = folder / "uepgpu"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uepgpu "$@"\n')
    command.chmod(0o755)
    path = environment()
    path["PATH"] = f"{folder}:{path['PATH']}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", line], env=path, check=True, timeout=120)
