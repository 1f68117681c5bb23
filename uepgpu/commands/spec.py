"""What ``uepgpu spec`` does: specifications are listed, printed and checked, and their keys described."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uepgpu.commands.dry_run import plan_sweep
from uepgpu.commands.options import SweepOptions
from uepgpu.commands.outcome import Failure, exits, refusing
from uepgpu.commands.progress import duration
from uepgpu.console import Table, show
from uepgpu.specification.load import bundled_specs, load_spec

if TYPE_CHECKING:
    from uepgpu.gradient_coding.study import StudyPoint

__all__ = ["run_spec"]

NOWHERE = Path("nowhere", "store.db")
"""A store that does not exist: a check knows of no results."""
MOST_SHOWN = 8


@exits
def run_spec(spec: str | None, *, check: bool, schema: bool, reference: bool) -> int:
    """Do it, and return the exit code.

    Parameters
    ----------
    spec : str or None
        Bundled name or TOML file; None lists the bundled ones.
    check, schema, reference : bool
        What is printed instead of the text; one of them at most.
    """
    asked = [name for name, wanted in (("--check", check), ("--schema", schema), ("--reference", reference)) if wanted]
    if len(asked) > 1:
        raise Failure(f"spec takes one of --check, --schema and --reference, got {' and '.join(asked)}")
    if schema or reference:
        if spec is not None:
            raise Failure(f"{asked[0]} is about all specifications, so it takes no SPEC")
        from uepgpu.specification import reference as made

        print(made.schema() if schema else made.page(), end="\n" if schema else "")
        return 0
    if spec is None:
        if check:
            raise Failure("--check needs a SPEC: a TOML file or a bundled name")
        show([Table([(name, str(load_spec(name)[2].get("title", name))) for name in bundled_specs()], text=(0, 1))])
        return 0
    with refusing():
        _, written, data = load_spec(spec)
        if check:
            _check_study(spec) if data.get("kind") == "gradient-coding" else _check_sweep(spec, data)
    if not check:
        print(written, end="" if written.endswith("\n") else "\n")
    return 0


def _listed(values: Iterable[Any]) -> str:
    """Return different values in the order in which they come, the first of many."""
    found = list(dict.fromkeys(map(str, values)))
    more = f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    return f"{len(found)}: {'; '.join(found[:MOST_SHOWN])}{more}"


def _seconds(seconds: float) -> str:
    return "1 s" if seconds < 1 else duration(seconds)


def _check_sweep(spec: str, data: dict[str, Any]) -> None:
    from uepgpu.specification.wanted import parse_wanted
    from uepgpu.sweep.run import identify_all
    from uepgpu.sweep.spec import read_spec

    sweep = read_spec(spec)
    parse_wanted(data)
    planned = plan_sweep(sweep, identify_all(sweep.points), NOWHERE, SweepOptions())
    most: dict[str, int] = {}
    cost: dict[str, float] = {}
    for p in planned:
        most[p.tally] = max(most.get(p.tally, 0), p.most)
        cost[p.tally] = max(cost.get(p.tally, 0.0), p.seconds)
    times = [t for p in sweep.points for t in p.deadlines]
    rows = [
        ("title", sweep.title),
        ("points", f"{len(planned)}, of {len(most)} tallies (points of one tally share its realizations)"),
        ("series", _listed(p.series for p in sweep.points)),
        ("panels", _listed(f"{p.partition}, {p.workers.work} work" for p in sweep.points)),
        ("deadlines", f"{max(len(p.deadlines) for p in sweep.points)}, from {min(times):g} to {max(times):g}"),
        ("realizations", f"at most {sum(most.values()):,}"),
        ("cost", f"at most {_seconds(sum(cost.values()))} on this machine, compilation left out"),
    ]
    show([Table(rows, text=(0, 1))])


def _check_study(spec: str) -> None:
    from uepgpu.specification.study import read_study

    study = read_study(spec)
    points = study.points
    seconds = sum(_cost(point) for point in points)
    rows = [
        ("title", study.title),
        ("points", f"{len(points)}"),
        ("series", _listed(p.series for p in points)),
        ("data", _listed(p.data for p in points)),
        ("iterations", f"{points[0].iterations:,}"),
        ("realizations", f"{sum(p.realizations for p in points):,}"),
        ("cost", f"about {_seconds(seconds)} on this machine, compilation left out"),
    ]
    show([Table(rows, text=(0, 1))])


def _cost(point: StudyPoint) -> float:
    """Return about how many seconds a point takes, by running one realization of it."""
    from uepgpu.gradient_coding.descent import descend

    def once() -> float:
        began = time.perf_counter()
        options: dict[str, Any] = {"step": point.step, "decay": point.decay, "deadlines": point.deadlines}
        descend(point.problem, point.scheme, point.workers, iterations=point.iterations, realizations=1, seed=point.seed, **options)
        return time.perf_counter() - began

    once()  # compiles
    return once() * point.realizations
