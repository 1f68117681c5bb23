"""The import graph of the project, drawn from its sources; ``python -m tests.oracles.import_graph`` prints it.

An arrow is an import wherever it stands: at the top, in a function, under TYPE_CHECKING. ``from package import name`` is an
arrow to the submodule if there is one of that name, else to the package. Importing a submodule also runs the packages above
it; those are no arrows, since a package imports what it offers from its own submodules.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {"uepgpu": ROOT / "uepgpu", "uepgpu_kernels": ROOT / "kernels" / "uepgpu_kernels"}

ROOMS = (
    *(
        "checks",
        "text",
        "files",
        "console",
        "partition",
        "latency",
        "workers",
        "codes",
        "plan",
        "theory",
        "backends",
        "tally",
        "monte_carlo",
    ),
    *("products", "design", "gradient_coding", "train", "replay", "specification", "points", "store", "sweep", "results"),
    *("charts", "figures", "report", "machine", "commands", "cli"),
)
"""Rooms of uepgpu in the order in which they may import: each those listed before it."""

KERNEL_ROOMS = (
    *("streams", "joint", "job", "descent_job", "automaton", "steps", "network", "transitions", "sealed"),
    *("bodies", "dense", "reference", "cpu", "cuda"),
)
"""Rooms of uepgpu_kernels, likewise: host data and functions, then what uses them."""

Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Return every module of the two packages by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


def imports_of(tree: ast.AST, known: Iterable[str], package: str = "") -> set[str]:
    """Return the names of the `known` modules that a source imports; `package` is what its relative imports start from.

    ``from uepgpu import __version__`` is no arrow: the number is there before anything else.
    """
    names, known = set(), set(known)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            wanted = [alias.name for alias in node.names if (base, alias.name) != ("uepgpu", "__version__")]
            names |= {f"{base}.{name}" if f"{base}.{name}" in known else base for name in wanted}
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                names.add(target.value)
    return names & known


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def import_graph() -> Graph:
    """Return which modules each module imports."""
    found = modules()
    graph: Graph = {}
    for name, path in found.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        graph[name] = imports_of(ast.parse(path.read_text()), found, package) - {name}
    return graph


def room_of(module: str) -> str:
    """Return the room of a module, ``"uepgpu"`` or ``"uepgpu_kernels"`` for what stands in none."""
    package, _, rest = module.partition(".")
    return f"{package}.{rest.split('.')[0]}" if rest and rest != "__main__" else package


def room_graph(graph: Mapping[str, set[str]]) -> Graph:
    """Return which rooms each room imports."""
    rooms: Graph = {room_of(module): set() for module in graph}
    for module, targets in graph.items():
        rooms[room_of(module)] |= {room_of(t) for t in targets}
    return {room: targets - {room} for room, targets in rooms.items()}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the sets of nodes that reach each other, of two and more, each sorted; the root package, which offers the
    names of its rooms, is left out."""
    reached = {node: set(targets) for node, targets in graph.items()}
    for middle in reached:  # Warshall
        for node in reached:
            if middle in reached[node]:
                reached[node] |= reached[middle]
    groups = {frozenset([a, *(b for b in reached[a] if a in reached.get(b, ()))]) for a in reached if a in reached[a]}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def order() -> dict[str, int]:
    """Return the place of every room; kernels are below all of uepgpu."""
    rooms = [*(f"uepgpu_kernels.{room}" for room in KERNEL_ROOMS), *(f"uepgpu.{room}" for room in ROOMS)]
    return {room: place for place, room in enumerate(rooms)}


def upward(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the arrows ``module -> module`` that lead to a room listed behind the module's own, or to the root package.

    Arrows out of the root package, which offers what is in the rooms, are left out.
    """
    place = order()
    found = []
    for module, targets in graph.items():
        here = room_of(module)
        for target in targets:
            there = room_of(target)
            if here in ("uepgpu", there) or not {here, there} <= place.keys() | {"uepgpu"}:
                continue  # rooms that are not listed have no place
            if there == "uepgpu" or place[there] > place[here]:
                found.append(f"{module} -> {target}")
    return sorted(found)


def import_seconds() -> float:
    """Return how long ``import uepgpu`` takes in a fresh interpreter: the shortest of five, so that files are in the cache."""
    code = f"import sys; sys.path[:0] = {[str(p.parent) for p in PACKAGES.values()]!r}; import time; t = time.perf_counter(); "
    code += "import uepgpu; print(time.perf_counter() - t)"
    run = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(5)]
    return min(map(float, run))


def main() -> None:
    """Print every room with what it imports, then what is wrong."""
    began = time.perf_counter()
    graph = import_graph()
    rooms = room_graph(graph)
    for package in PACKAGES:
        listed = [r for r in order() if r.partition(".")[0] == package]
        for room in [package, *listed]:
            if room in rooms:
                print(f"{room} -> {', '.join(sorted(rooms[room], key=lambda r: (order().get(r, -1), r))) or 'nothing'}")
        print()
    for what, found in (
        ("circles of modules", circles(graph)),
        ("circles of rooms", circles(rooms)),
        ("rooms that are not listed", sorted(rooms.keys() - order().keys() - PACKAGES.keys())),
        ("arrows upward", upward(graph)),
    ):
        print(f"{what}: {len(found)}")
        for item in found:
            print(f"  {item}")
    modules_and_arrows = f"{len(graph)} modules, {sum(map(len, graph.values()))} arrows"
    print(f"{modules_and_arrows}, drawn in {time.perf_counter() - began:.1f} s; import uepgpu takes {import_seconds():.3f} s")


if __name__ == "__main__":
    main()
