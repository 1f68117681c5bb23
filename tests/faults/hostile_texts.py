"""Stores whose labels, titles, names and options are markup, commands of terminals, formulas and paths.

``python -m tests.faults.hostile_texts --stores 40 --pages 4``: every reader shows them as text, and some reports are opened in a
headless Chromium, where nothing of them may be a link, an element or a script.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import re
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.faults.damaged_stores import call
from tests.faults.tally import OTHER, OVERWRITTEN, RAISED, Row, script
from uepgpu.points.point import Sweep
from uepgpu.store.store import Store
from uepgpu.store.stored import read_points
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local
from uepgpu.sweep.run import identify_all
from uepgpu.sweep.spec import read_spec

PIECES = (
    *('<a href="https://evil.example/">x</a>', "<b>bold</b>", '<img src="x" onerror="alert(1)">', "<script>alert(1)</script>"),
    *(
        "</script><script>alert(1)</script>",
        "javascript:alert(1)",
        "<svg onload=alert(1)>",
        "&lt;i&gt;",
        "<br>",
        "%{x} <extra>y</extra>",
    ),
    *("\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\r\nforged: line", "\u202e", "\u2028", "\x00", "\x08\x08"),
    *("=1+1", "@SUM(A1)", "+1", "-2+3", "\t=1", '=HYPERLINK("https://evil.example/")', "'", '"', "--", "-rf"),
    *(
        "../../escaped",
        "~",
        "~root/x",
        "/tmp/escaped",
        "..",
        "CON",
        "$\\frac{1}{2}$",
        "$",
        "\\",
        "{label}",
        "%s",
        "日本語",
        "ẞ" * 200,
    ),
)
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--virtual-time-budget=20000",
    "--proxy-server=127.0.0.1:9",
)


def text(chance: random.Random) -> str:
    """Return one to three pieces."""
    return "".join(chance.choices(PIECES, k=chance.choice((1, 1, 2, 3))))


def make(path: Path, chance: random.Random) -> None:
    """Make a store with such texts, which no specification would have let in."""
    points = read_spec("paper", realizations=50, seed=1).points[:3]
    named = [replace(point, series=f"{text(chance)}{i}", partition=text(chance)) for i, point in enumerate(points)]
    sweep = Sweep(text(chance), text(chance), tuple(named), (), text(chance))
    with Store(path) as writing:
        Collection(writing, sweep, identify_all(named), {text(chance): text(chance)}).run(Local("numpy"))


def unprintable(said: str) -> list[str]:
    """Return the characters of what was printed that a terminal would obey."""
    return [c for c in said if c != "\n" and (unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in DIRECTIONS)]


def read(folder: Path, row: Row) -> Path | None:
    """Read a store with every command; return the report if there is one."""
    row.tried += 1
    place = folder / "a" / "b"
    before = {f for f in folder.rglob("*") if f.is_file()}
    identifier = read_points(place / "s.db")[0].short_id
    for words in (
        ("plot", "s.db", "--kind", "loss", "--series", "=*,*"),
        ("plot", "s.db", "--kind", "probability"),
        ("export", "s.db", "--csv", "x.csv"),
        ("report", "s.db", "-o", "x.html"),
        ("report", "s.db"),
        ("replay", "s.db", identifier, "7"),
        ("replay", "s.db", text(random.Random(row.tried)).replace("\0", ""), "7"),
        ("combine", "s.db", "-o", "c.db"),
    ):
        code, out, err = call(*words)
        if code == -1 or "Traceback" in err:
            row.bad(RAISED, " ".join(words), err)
        elif bad := unprintable(out + err):
            row.bad(OTHER, f"{' '.join(words)}: printed {bad[0]!r}", out + err)
        elif code not in (0, 2) or (code == 2 and err.count("\n") != 1):
            row.bad(OTHER, f"{' '.join(words)}: exit code {code}", err)
        else:
            row.outcomes["text in what is printed"] += 1
    made = {f for f in folder.rglob("*") if f.is_file()} - before
    if any(f.parent != place or f.name.startswith((".", "-", "~")) for f in made):
        row.bad(OVERWRITTEN, f"wrote {sorted(map(str, made))}")
    if (place / "x.csv").exists():
        with (place / "x.csv").open(encoding="utf-8", newline="") as file:
            cells = [cell for line in csv.reader(file) for cell in line]
        if formulas := [c for c in cells if c.startswith(FORMULAS) and not re.fullmatch(r"[+-]?[\d.]+(e[+-]\d+)?|[+-]inf", c)]:
            row.bad(OTHER, f"a cell {formulas[0]!r}")
        else:
            row.outcomes["no formula in a table"] += 1
    page = place / "x.html"
    if not page.exists():
        return None
    markup = page.read_text(encoding="utf-8")
    markup = markup[: markup.index('<script type="application/json"')]
    if re.search(r"<img|<svg onload|<script>alert|href=\"https://evil|\x1b", markup):
        row.bad(OTHER, "markup in a report")
    else:
        row.outcomes["no markup in a report"] += 1
    return page


def browse(browser: str, page: Path, row: Row) -> None:
    """Open a report, and look at the elements that it has become."""
    row.tried += 1
    with tempfile.TemporaryDirectory() as profile:
        words = [browser, *FLAGS, f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom", page.as_uri()]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=180, check=True)
    dom = re.sub(r"<script.*?</script>|<style.*?</style>", "", done.stdout, flags=re.S)
    live = re.findall(
        r"<a [^>]*(?:evil|javascript:)[^>]*>|<img[^>]*onerror[^>]*>|<svg[^>]*onload[^>]*>|<[a-z]+ [^>]*javascript:", dom
    )
    if live or 'data-drawn="' not in dom or "data-errors" in dom[: dom.index("<body")]:
        row.bad(OTHER, f"live: {live[:2]}", done.stderr[-500:])
    else:
        row.outcomes["no live link, no element, no script"] += 1


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    chance, row = random.Random(given.seed), Row("hostile texts in a store")
    opened = Row("hostile texts in a report, in headless Chromium")
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        opened.figures = "no Chromium here"
    for i in range(given.stores):
        place = folder / f"case{i}"
        (place / "a" / "b").mkdir(parents=True)
        make(place / "a" / "b" / "s.db", chance)
        os.chdir(place / "a" / "b")
        page = read(place, row)
        if browser is not None and page is not None and i < given.pages:
            browse(browser, page, opened)
        os.chdir(folder)
        shutil.rmtree(place)
    yield row
    yield opened


if __name__ == "__main__":
    script(rows, stores=40, pages=4, seed=1)
