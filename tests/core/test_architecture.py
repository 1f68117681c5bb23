"""The plan of the house: what may import what, what importing loads, how large rooms and files are."""

from __future__ import annotations

import ast

import pytest

from tests.oracles import import_graph
from tests.oracles.import_graph import KERNEL_ROOMS, PACKAGES, ROOMS, ROOT, circles, imports_of, room_graph, room_of, upward

GRAPH = import_graph.import_graph()
MOST_ENTRIES = 32
MOST_LINES = 350


def arrows(source, target):
    """Return the arrows from modules that begin with `source` to those that begin with `target`."""
    return [f"{a} -> {b}" for a, found in GRAPH.items() for b in found if f"{a}.".startswith(source) and f"{b}.".startswith(target)]


def test_every_room_is_listed_in_the_order():
    found = {room_of(module) for module in GRAPH} - PACKAGES.keys()
    listed = {f"uepgpu.{room}" for room in ROOMS} | {f"uepgpu_kernels.{room}" for room in KERNEL_ROOMS}
    assert found - listed == set()


def test_no_arrow_leads_upward():
    assert upward(GRAPH) == []


def test_neither_modules_nor_rooms_import_each_other_in_circles():
    assert circles(GRAPH) == []
    assert circles(room_graph(GRAPH)) == []


def test_kernels_stand_on_their_own():
    assert arrows("uepgpu_kernels.", "uepgpu.") == []
    assert arrows("uepgpu_kernels.cuda.", "uepgpu_kernels.cpu.") == []
    assert arrows("uepgpu_kernels.cpu.", "uepgpu_kernels.cuda.") == []
    assert arrows("uepgpu_kernels.reference.", "uepgpu_kernels.bodies.") == []
    assert arrows("uepgpu_kernels.cpu.", "uepgpu_kernels.bodies.")  # so the names above are right


def test_the_package_has_few_enough_entries_to_be_read():
    entries = [p.name for p in PACKAGES["uepgpu"].iterdir() if p.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


@pytest.mark.parametrize("folder", ["uepgpu", "kernels", "tests", "bench", "tools"])
def test_no_file_is_too_long_to_be_read(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    assert {str(f): n for f in files if (n := f.read_bytes().count(b"\n")) > MOST_LINES} == {}


def test_no_test_imports_another():
    tests = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "tests").rglob("*.py")}
    leaves = {name for name, path in tests.items() if path.name.startswith("test_")}
    found = {name: imports_of(ast.parse(path.read_text()), leaves) for name, path in tests.items()}
    assert {name: targets for name, targets in found.items() if targets} == {}


# --- the graph itself --------------------------------------------------------------------------------------------------

SOURCE = """
import uepgpu.files
from uepgpu import __version__, codes
from uepgpu.plan import make_plan
from . import axis
from .counts import Counts
from ..codes import law
if TYPE_CHECKING:
    from uepgpu.points import Point
def late():
    import importlib
    from uepgpu.store import store
    return importlib.import_module("uepgpu.theory")
"""


def test_imports_are_found_wherever_they_stand():
    known = {"uepgpu", "uepgpu.tally", "uepgpu.tally.axis", "uepgpu.tally.counts"} | {
        f"uepgpu.{name}" for name in ("files", "codes", "codes.law", "plan", "points", "store", "store.store", "theory")
    }
    found = imports_of(ast.parse(SOURCE), known, "uepgpu.tally")
    assert found == known - {"uepgpu", "uepgpu.tally", "uepgpu.store"}
    assert imports_of(ast.parse("from uepgpu import simulate"), known) == {"uepgpu"}


def test_circles_and_arrows_upward_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}, "e": set()}
    assert circles(graph) == [["b", "c"]]
    assert circles({"uepgpu.tally.tally": {"uepgpu.tally.file"}, "uepgpu.tally.file": {"uepgpu.tally.tally"}}) != []
    two = {"uepgpu.plan.plan": {"uepgpu.codes", "uepgpu.tally.tally", "uepgpu"}, "uepgpu.tally.tally": {"uepgpu.plan"}}
    assert upward(two) == ["uepgpu.plan.plan -> uepgpu", "uepgpu.plan.plan -> uepgpu.tally.tally"]
    assert circles(room_graph(two)) == [["uepgpu.plan", "uepgpu.tally"]]
    assert upward({"uepgpu": {"uepgpu.cli"}, "uepgpu.codes.uep": {"uepgpu_kernels.job"}}) == []
    assert upward({"uepgpu_kernels.job": {"uepgpu.checks"}}) == ["uepgpu_kernels.job -> uepgpu.checks"]
