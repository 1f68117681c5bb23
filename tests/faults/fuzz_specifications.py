"""Random specifications. Run: ``python -m tests.faults.fuzz_specifications --count 1000 --seed 1``."""

from __future__ import annotations

import copy
import datetime
import json
import math
import random
import re
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cases.specifications import SMALL
from tests.faults.child import attempt
from tests.faults.folder import STUDY, make_folder
from tests.faults.hostile import TOML_VALUES
from tests.faults.tally import counted, judge, script

__all__ = ["outcomes"]

GRID = """
deadlines = [0, 0.5, 1]
title = "a grid"
show = [0.5]

[workers]
count = [9, 12]
omega = [0.5, "fair"]
latency = { law = "weibull", shape = 0.7, scale = 2.0 }

[stop]
realizations = 200
relative_error = 0.1
first = 100
growth = 1.5

[partitions.measured]
paradigm = "rxc"
a = "A.npy"
b = "B.npy"
rows = 3
cols = 3
classes = "auto"
order = "norm"

[partitions.model]
paradigm = "cxr"
left_variances = [10, 10, 10, 1, 1, 1, 0.1, 0.1, 0.1]
right_variances = [10, 10, 10, 1, 1, 1, 0.1, 0.1, 0.1]
shape = [9, 3, 9]
classes = [3, 3, 3]

[zip]
coefficients = ["generic", "gf2"]
labels = ["a", "b"]

[[series]]
label = "MDS"
code = { name = "mds", encoding = "auto" }

[[series]]
code = { name = "windows", supports = [[0, 1], [1, 2, 3], [4, 5, 6, 7, 8]], probabilities = [0.5, 0.25, 0.25] }
partitions = ["model"]
zip = { omega = [0.5, 1.0] }
"""
BASES = (SMALL, SMALL, GRID, GRID, STUDY)
KEYS = (
    *(
        "label",
        "code",
        "name",
        "gamma",
        "workers",
        "count",
        "latency",
        "law",
        "rate",
        "omega",
        "work",
        "speeds",
        "loss_probability",
    ),
    *(
        "stop",
        "realizations",
        "deadlines",
        "seed",
        "title",
        "show",
        "grid",
        "zip",
        "partitions",
        "classes",
        "shape",
        "kind",
        "encoding",
    ),
    *(
        "window",
        "copies",
        "supports",
        "matrix",
        "samples",
        "a",
        "rows",
        "order",
        "row_levels",
        "failures",
        "seconds",
        "nonsense",
        "x y",
    ),
)


def toml(value: Any) -> str:
    """Return a value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value)
    if isinstance(value, datetime.date | datetime.time | datetime.datetime):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, str) else str(value)


def document(data: dict[str, Any]) -> str:
    """Return a specification as TOML."""
    return "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in data.items())


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of everything in a table."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def mutated(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a specification with one to three values changed, added or left out."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        every = list(places(data))
        if not every:
            return data
        *way, last = rng.choice(every)
        inside: Any = data
        for key in way:
            inside = inside[key]
        what = rng.random()
        if what < 0.7:
            inside[last] = copy.deepcopy(rng.choice(TOML_VALUES))
        elif what < 0.8:
            del inside[last]
        elif what < 0.95 and isinstance(inside, dict):
            inside[rng.choice(KEYS)] = copy.deepcopy(rng.choice(TOML_VALUES))
        elif isinstance(inside, list):
            inside.insert(0, copy.deepcopy(rng.choice(TOML_VALUES)))
    return data


def spoilt(text: str, rng: random.Random) -> bytes:
    """Return a specification with its text damaged."""
    raw = bytearray(text.encode())
    match rng.randrange(7):
        case 0:
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        case 1:
            del raw[rng.randrange(len(raw)) :]
        case 2:
            return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\0")) + bytes(raw)
        case 3:
            return f"x = {'[' * 100_000}\n".encode() + bytes(raw)
        case 4:
            return re.sub(r"= \d+", "= " + "9" * rng.choice((20, 400, 5000)), text, count=rng.randrange(1, 4)).encode()
        case 5:
            return text.replace("\n", "\r\n").encode()
        case _:
            at = rng.randrange(len(raw))
            raw[at:at] = bytes(rng.randrange(256) for _ in range(4))
    return bytes(raw)


def outcomes(count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Yield the outcome of each specification, its text, and what was said."""
    from uepgpu.commands.sweep import SweepOptions, run_sweep

    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        template = make_folder(Path(place) / "template")
        for _ in range(count):
            base = rng.choice(BASES)
            content = spoilt(base, rng) if rng.random() < 0.1 else document(mutated(tomllib.loads(base), rng)).encode()
            (template / "case.toml").write_bytes(content)

            def run() -> int:
                return run_sweep("case.toml", SweepOptions(realizations=50, backend="numpy"))

            found = attempt(run, template, Path(place) / "case", seconds=60)
            yield judge(found), content.decode(errors="replace"), found.err or found.out


if __name__ == "__main__":
    script(lambda folder, given: [counted("random specifications", outcomes(given.count, given.seed))], count=1000, seed=1)
