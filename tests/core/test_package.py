"""Promises of the package as a whole: what importing loads, how much memory a long run takes."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest

from tests.cases.requirements import ROOT


def run_python(code):
    """Run in a fresh interpreter that finds the package where this one does, and return what it prints as JSON."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_loads_no_heavy_module():
    loaded = run_python(
        "import json, sys, uepgpu; uepgpu.Partition; uepgpu.Workers; uepgpu.codes; uepgpu.latency; uepgpu.open_store;"
        "print(json.dumps([m for m in ('numba', 'cupy', 'xarray', 'matplotlib', 'scipy', 'pandas') if m in sys.modules]))"
    )
    assert loaded == []


def test_no_package_is_called_like_a_function():
    """Importing it would put the package in the place of the function."""
    import uepgpu

    modules = {path.stem if path.is_file() else path.name for path in (ROOT / "uepgpu").iterdir()}
    functions = {name for name in uepgpu.__all__ if not inspect.ismodule(getattr(uepgpu, name))}
    assert {"run_sweep", "plot", "write_report", "open_store", "simulate", "multiply"} <= functions
    assert modules & functions == set()


def test_every_public_name_is_there():
    missing = "[name for name in uepgpu.__all__ if getattr(uepgpu, name, None) is None]"
    assert run_python(f"import json, uepgpu; print(json.dumps({missing}))") == []


def test_the_lowest_versions_are_those_of_pyproject():
    """Continuous integration runs with them."""
    done = subprocess.run([sys.executable, ROOT / "tools" / "lowest_versions.py"], capture_output=True, text=True, check=True)
    assert (ROOT / ".ci" / "lowest.txt").read_text(encoding="utf-8") == done.stdout
    assert "cyclopts==4.0\n" in done.stdout


def test_the_citation_names_this_version_and_licence():
    import uepgpu

    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    cited = dict(re.findall(r"^(\w[\w-]*): (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE))
    assert cited["version"] == project["version"] == uepgpu.__version__
    assert cited["license"] == project["license"]
    assert cited["cff-version"] == "1.2.0"


def test_an_unknown_name_is_an_attribute_error():
    import uepgpu

    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        uepgpu.simulat  # noqa: B018


def _public():
    """Yield every public name, and the methods of those that are asked for results."""
    import uepgpu

    for room in (uepgpu, uepgpu.codes, uepgpu.latency, uepgpu.theory):
        for name in room.__all__:
            if not inspect.ismodule(getattr(room, name)):
                yield pytest.param(getattr(room, name), id=f"{room.__name__}.{name}")
    for kind in (uepgpu.Tally, uepgpu.Workers):
        for name, method in vars(kind).items():
            method = getattr(method, "__func__", method)
            if inspect.isfunction(method) and not name.startswith("_"):
                yield pytest.param(method, id=f"{kind.__name__}.{name}")
    for name in ("rxc", "cxr", "model"):
        yield pytest.param(getattr(uepgpu.Partition, name), id=f"Partition.{name}")


@pytest.mark.parametrize("thing", list(_public()))
def test_every_public_name_has_an_example(thing):
    """Examples run as doctests, apart from these tests."""
    assert ">>>" in (inspect.getdoc(thing) or "")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize("deadlines", ["None", "[0.05 * i for i in range(22)]"])
def test_a_hundred_million_realizations_stay_under_500_megabytes(deadlines):
    peak, realizations = run_python(
        f"""
import json, uepgpu as uep
v = (10, 1, 0.1)
part = uep.Partition.model("rxc", left_variances=v, right_variances=v, classes=(3, 3, 3))
code = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25))
workers = uep.Workers(30, omega=1.0, work="unit")
tally = uep.simulate(code, part, workers, deadlines={deadlines}, realizations=100_000_000, seed=1)
# Not ru_maxrss, which starts at the parent's size.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([peak / 1024, tally.realizations]))
"""
    )
    assert realizations == 100_000_000
    assert peak < 500, f"{peak:.0f} MB"
