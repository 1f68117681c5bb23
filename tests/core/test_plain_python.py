"""The Numba target run by Python itself, and the on-disk cache of its kernels."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.requirements import ROOT
from uepgpu import simulate
from uepgpu_kernels.cpu import cache as cached
from uepgpu_kernels.cpu.cache import SealedFiles, Unsafe, private_folder

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
        ("peel.py", "if not is_power_of_two(fresh):", "if fresh != ZERO:", "K = 64 lt", "peel"),
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
    first, second = (SealedFiles(tmp_path, "kernel") for _ in range(2))
    with monkeypatch.context() as patched:
        patched.setattr(SealedFiles, "_load_index", lambda self: {})  # both looked before either wrote
        first.save("uint8", "code for uint8")
        second.save("uint16", "code for uint16")
    assert first.load("uint16") == "code for uint16"
    assert first.load("uint8") in (None, "code for uint8")


# --- a cache that is in trouble --------------------------------------------------------------------------------------

FACTORY = """
import os
import numpy as np
from uepgpu_kernels.cpu.compile import entry, stage

def make(n):
    @stage
    def step(out):  # too long to become a part of what calls it
        for i in range(out.shape[0]):
LINES
    def nest(out):
        step(out)
        step(out[1:])

    return entry(nest, f"nest, {n}")

for n in map(int, os.environ["NUMBERS"].split()):
    out = np.ones(2, dtype=np.int64)
    make(n)(out)
    print(out.tolist())
"""
LINES = "".join(f"            out[i] = out[i] // {d} + n if out[i] % {d} > 1 else out[i] + n\n" for d in range(3, 40))


def test_kernels_of_one_factory_that_processes_have_compiled_apart_are_told_apart(tmp_path):
    script = tmp_path / "factory.py"
    script.write_text(FACTORY.replace("LINES", LINES))
    run = f"import runpy; runpy.run_path({str(script)!r})"
    two, three, both = (python(run, NUMBERS=n, NUMBA_CACHE_DIR=str(tmp_path / "cache")) for n in ("2", "3", "2 3"))
    assert two != three
    assert both == two + three


TINY = """
import errno, os, sys, warnings
import numpy as np
{before}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from uepgpu_kernels.cpu.compile import entry
    def double(x):
        for i in range(x.shape[0]):
            x[i] *= 2
    def add(x):
        for i in range(x.shape[0]):
            x[i] += 1
    for function in (double, add):
        x = np.arange(3)
        entry(function, function.__name__)(x)
        print(x.tolist())
for warning in said:
    print(warning.category.__name__, warning.message)
"""
ANSWERS = ["[0, 2, 4]", "[1, 2, 3]"]


def compiled(tmp_path, before=""):
    """Compile two kernels in a process of its own, with the cache in `tmp_path`; return the lines of warnings."""
    script = tmp_path / "tiny.py"
    script.write_text(TINY.format(before=before))
    run = f"import runpy; runpy.run_path({str(script)!r})"
    lines = python(run, NUMBA_CACHE_DIR=str(tmp_path / "cache")).splitlines()
    assert lines[:2] == ANSWERS
    return lines[2:]


def stored(tmp_path, pattern):
    return sorted((tmp_path / "cache").rglob(pattern))


FULL = "os.replace = lambda *names: (_ for _ in ()).throw(OSError(errno.ENOSPC, 'No space left on device'))"


def test_a_full_disk_costs_compilation_and_is_said_once(tmp_path):
    assert compiled(tmp_path) == []  # the folder is there
    for path in stored(tmp_path, "*.*"):
        if path.is_file():
            path.unlink()
    (said,) = compiled(tmp_path, FULL)
    assert "RuntimeWarning compiled kernels cannot be stored" in said
    assert "No space left on device" in said
    assert [p for p in stored(tmp_path, "*.*") if p.is_file()] == []


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="needs root to mount a full disk")
def test_a_disk_that_is_really_full_does_not_end_the_program(tmp_path):
    disk = tmp_path / "cache"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("may not mount here")
    try:
        assert compiled(tmp_path) == []
        for path in stored(tmp_path, "*.*"):
            if path.is_file():
                path.unlink()
        filling = os.open(disk / "filling", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(filling, b"x" * 4096):
                pass
        os.close(filling)
        (said,) = compiled(tmp_path)
        assert "No space left on device" in said
    finally:
        subprocess.run(["umount", str(disk)], check=True)


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x80\x04garbage"),
    "unreadable": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize(
    "pattern, damage, warnings",
    [
        ("*.index", "truncated", ["a compiled kernel on disk cannot be used"]),
        ("*.index", "garbage", ["a compiled kernel on disk cannot be used"]),
        # A folder in the place of an index cannot be mended.
        ("*.index", "unreadable", ["a compiled kernel on disk cannot be used", "compiled kernels cannot be stored"]),
        ("*.nbc", "truncated", ["a compiled kernel on disk cannot be used"]),
        ("*.nbc", "empty", ["a compiled kernel on disk cannot be used"]),
        ("*.nbc", "unreadable", []),  # as one that was removed: written anew under another name
    ],
)
def test_a_damaged_entry_is_compiled_anew_and_said_once(tmp_path, pattern, damage, warnings):
    assert compiled(tmp_path) == []
    paths = stored(tmp_path, pattern)
    assert len(paths) == 2
    for path in paths:
        DAMAGE[damage](path)
    said = compiled(tmp_path)
    assert [line.removeprefix("RuntimeWarning ").split(",")[0] for line in said] == warnings
    if len(warnings) < 2:
        assert compiled(tmp_path) == []


def test_the_code_of_another_kernel_is_not_run(tmp_path):
    compiled(tmp_path)
    double, add = sorted(stored(tmp_path, "*.nbc"), key=lambda path: "double" not in path.name)
    assert "double" in double.name
    add.write_bytes(double.read_bytes())  # whole, and under a name that the index knows
    (said,) = compiled(tmp_path)
    assert "is not what was written there" in said


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users are POSIX's")
def test_what_other_users_may_write_is_not_run(tmp_path):
    assert compiled(tmp_path) == []
    (folder,) = {path.parent for path in stored(tmp_path, "*.index")}
    assert folder.stat().st_mode & 0o777 == 0o700
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    folder.chmod(0o777)
    (said,) = compiled(tmp_path)
    assert "there is no folder for compiled kernels" in said
    assert "may be written by other users" in said
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    folder.chmod(0o700)
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o620)
    (said,) = compiled(tmp_path)
    assert "may be written by other users" in said
    assert compiled(tmp_path) == []  # replaced by files of its own


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users are POSIX's")
def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    folder = private_folder(tmp_path)
    files = SealedFiles(folder, "kernel")
    files.save("key", "code")
    assert private_folder(tmp_path) == folder
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(Unsafe, match="belongs to another user"):
        private_folder(tmp_path)
    with pytest.raises(Unsafe, match="belongs to another user"):
        files.load("key")
    monkeypatch.undo()
    assert files.load("key") == "code"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / cached.FOLDER).symlink_to(folder)
    with pytest.raises(Unsafe, match="is a link"):
        private_folder(elsewhere)


def test_files_of_another_numba_are_no_trouble(tmp_path, monkeypatch):
    files = SealedFiles(tmp_path, "kernel")
    monkeypatch.setattr(cached, "HEADER", b"uepgpu kernel 1, numba 0.1\n")
    files.save("key", "old code")
    monkeypatch.undo()
    assert files.load("key") is None
    files.save("key", "code")
    assert files.load("key") == "code"


def test_no_folder_to_write_to_is_said_once(tmp_path):
    nowhere = "import numba.core.caching as c; c.CacheImpl._locator_classes = []"
    (said,) = compiled(tmp_path, nowhere)
    assert said.startswith("RuntimeWarning there is no folder for compiled kernels, so kernels are compiled")
