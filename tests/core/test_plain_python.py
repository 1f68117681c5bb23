"""The Numba target run by Python itself, and the on-disk cache of its kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.requirements import ROOT
from uepgpu import simulate
from uepgpu_kernels.cpu.compile import _OwnFiles

CHOSEN = [
    ("ew", "deadline", "count"),
    ("ew class 3 never", "count", "count"),  # interpreted, a read past an array's end raises; compiled, it goes unseen
    ("now class 2 never", "deadline", "count"),
    ("ew class 3 never", "deadline", "match"),
    ("uncoded", "count", "count"),
    ("max-rectangle", "deadline", "match"),
    ("nested", "count", "match"),
    ("lt", "count", "match"),
    ("windows", "deadline", "eliminate"),
    ("windows gf2", "count", "eliminate"),
    ("ew gf256", "deadline", "eliminate"),
    ("generator", "count", "eliminate"),
    ("lt true work", "deadline", "peel"),
]

SCRIPT = """
import sys
from tests.cases import problems
from tests.cases.requirements import ROOT
from uepgpu import simulate
for name, domain, decoder in {chosen!r}:
    p = problems.PROBLEMS[name]
    tally = simulate(p.code, p.part, p.workers, deadlines=p.times(domain), realizations={n}, seed=5, decoder=decoder,
                     backend="numba", threads=1, tally="pairs", first_realization=2**63 - 7)
    tally.save(f"{{sys.argv[1]}}/{{name}}, {{domain}}")
"""


def python(script, *arguments, kernels=ROOT / "kernels", **environment):
    path = os.pathsep.join(map(str, (kernels, ROOT)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_interpreted_kernels_give_the_compiled_tallies_without_a_warning(tmp_path):
    from uepgpu import Tally

    python(SCRIPT.format(chosen=CHOSEN, n=40), tmp_path, NUMBA_DISABLE_JIT="1")
    for name, domain, decoder in CHOSEN:
        p = problems.PROBLEMS[name]
        compiled = simulate(
            p.code,
            p.part,
            p.workers,
            deadlines=p.times(domain),
            realizations=40,
            seed=5,
            decoder=decoder,
            backend="numba",
            tally="pairs",
            first_realization=2**63 - 7,
        )
        assert Tally.load(tmp_path / f"{name}, {domain}") == compiled, name


PRINT = """
import numpy as np
from tests.cases import problems
from tests.cases.requirements import ROOT
from uepgpu import simulate
p = problems.PROBLEMS[{name!r}]
tally = simulate(p.code, p.part, p.workers, realizations=500, seed=5, backend="numba", decoder={decoder!r})
print(tally.patterns.sum(axis=0).tolist())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "file, old, new, name, decoder",
    [
        ("philox.py", "0xD2511F53", "0xD2511F55", "ew", "count"),
        ("peel.py", "grew = is_power_of_two(unknown)", "grew = False", "lt", "peel"),
    ],
)
def test_compiled_kernels_on_disk_follow_the_source_of_every_body(tmp_path, file, old, new, name, decoder):
    kernels = tmp_path / "kernels"
    shutil.copytree(ROOT / "kernels", kernels, ignore=shutil.ignore_patterns("__pycache__"))
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "kernels": kernels}
    script = PRINT.format(name=name, decoder=decoder)
    first = python(script, **cache)
    stored = set((tmp_path / "cache").rglob("*.nbc"))
    assert stored
    assert python(script, **cache) == first
    assert set((tmp_path / "cache").rglob("*.nbc")) == stored, "a second process compiled again"
    body = kernels / "uepgpu_kernels" / "bodies" / file
    source = body.read_text()
    assert old in source
    body.write_text(source.replace(old, new))
    changed = python(script, **cache)
    assert changed != first, "a stale kernel ran"
    body.write_text(source)
    assert python(script, **cache) == first
    p = problems.PROBLEMS[name]
    tally = simulate(p.code, p.part, p.workers, realizations=500, seed=5, backend="numpy", decoder=decoder)
    assert str(tally.patterns.sum(axis=0).tolist()) == first.strip()
    assert np.all(tally.patterns >= 0)


def test_processes_that_compile_at_once_do_not_mix_up_their_kernels(tmp_path, monkeypatch):
    first, second = (_OwnFiles(str(tmp_path), "kernel", "stamp") for _ in range(2))
    with monkeypatch.context() as patched:
        patched.setattr(_OwnFiles, "_load_index", lambda self: {})  # both looked before either wrote
        first.save("uint8", "code for uint8")
        second.save("uint16", "code for uint16")
    assert first.load("uint16") == "code for uint16"
    assert first.load("uint8") in (None, "code for uint8")
