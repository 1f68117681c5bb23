"""A sweep specification: from a TOML file, or the name of a bundled one, to the points that it asks for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uepgpu.checks import closest, shown
from uepgpu.codes import Code
from uepgpu.codes.cost import costly_packets, warn_of_stacked
from uepgpu.partition import Partition
from uepgpu.plan import check_rounds
from uepgpu.points.point import Point, Sweep, code_name
from uepgpu.points.stop import MOST_REALIZATIONS, StopRule
from uepgpu.specification import describe
from uepgpu.specification.axes import CODE, MAX_POINTS, PARTITION, WORKERS, Choice, choices
from uepgpu.specification.fields import (
    SpecError,
    TomlTable,
    among,
    as_it_is,
    deadlines,
    number,
    numbers,
    text,
    texts,
    whole,
    whole_between,
)
from uepgpu.specification.fields import seed as read_seed
from uepgpu.specification.keys import names
from uepgpu.specification.optimized import parse_optimized
from uepgpu.specification.series import labelled, named_tables, read_with, refuse_duplicates, series_tables
from uepgpu.specification.sweep_keys import SERIES, STOP, TOP
from uepgpu.specification.workers import WORKER_KEYS, worker_grid

__all__ = ["parse_spec", "read_spec"]

TOP_KEYS, SERIES_KEYS, STOP_KEYS = names(TOP), names(SERIES), names(STOP)
DEFAULT_REALIZATIONS = 100_000


def read_spec(spec: str, *, realizations: int | None = None, seed: int | None = None) -> Sweep:
    """Return the sweep that a file or a bundled name describes, checked to the last point.

    Parameters
    ----------
    spec : str
        Path of a TOML file, or one of :func:`bundled_specs`.
    realizations, seed : int, optional
        Override those of the specification.

    Raises
    ------
    SpecError
        With one line that says which key is wrong, what was given and what is allowed.

    Examples
    --------
    >>> sweep = read_spec("paper", realizations=1000)
    >>> len(sweep.points), sweep.points[0].describe()
    (6, 'NOW (rxc, unit work)')
    """
    overrides = {"realizations": realizations, "seed": seed}
    sweep, written = read_with(spec, lambda data, name, folder: parse_spec(data, name=name, folder=folder, **overrides))
    return replace(sweep, text=written)


def parse_spec(data: dict[str, Any], *, name: str, folder: Path, realizations: int | None = None, seed: int | None = None) -> Sweep:
    """Return the sweep that a parsed specification describes; paths in it are relative to `folder`."""
    top = TomlTable("", data, TOP_KEYS)
    times = top.get("deadlines", deadlines)
    show = top.get("show", deadlines, ())
    among("show", show, times)
    shared = _Shared(
        folder=folder,
        count=realizations,
        top=top,
        seed=top.get("seed", read_seed, 1) if seed is None else seed,
        fixed_seed=seed is not None,
        times=times,
        rounds=top.get("rounds", whole, None),
        gamma=top.get("gamma", numbers, None),
        workers=TomlTable("[workers]", top.get("workers", as_it_is, {}), WORKER_KEYS).data,
        partitions=named_tables(top, "partitions"),
    )
    for part_name in shared.partitions:
        shared.partition(part_name, {})
    points: list[Point] = []
    for table in series_tables(top, SERIES_KEYS):
        for point in _points(shared, table):
            points.append(point)
            if len(points) > MAX_POINTS:
                raise SpecError(
                    f"the grids ask for more than {MAX_POINTS:,} points; make them coarser or use several specifications"
                )
    refuse_duplicates((((*p.panel, p.series), p.describe()) for p in points), "label, partition or workers")
    units = list(dict.fromkeys(p.workers.time_unit for p in points))
    if len(units) > 1:
        raise SpecError(f"[workers]: time_unit must be the same for all series, as they share axes, got {shown(units)}")
    warn_of_stacked(list(shared.costly.items()), max(p.part.n_subproducts for p in points))
    return Sweep(name, top.get("title", text, name), tuple(points), show)


@dataclass(eq=False)
class _Shared:
    """What all series of a specification have in common."""

    folder: Path
    count: int | None
    top: TomlTable
    seed: int
    fixed_seed: bool
    times: tuple[float, ...]
    rounds: int | None
    gamma: list[float] | None
    workers: dict[str, Any]
    partitions: dict[str, Any]
    made: dict[str, Partition] = field(default_factory=dict)
    costly: dict[str, int] = field(default_factory=dict)

    def partition(self, name: str, changes: dict[str, Any]) -> Partition:
        """Return a partition with some keys changed; matrices are read and multiplied once for each."""
        key = f"{name} {json.dumps(changes)}"
        if key not in self.made:
            table = self.partitions[name]
            if changes and isinstance(table, Partition):
                raise SpecError(
                    f"[partitions.{name}] is given as an object, so that {', '.join(changes)} cannot vary: give its keys instead"
                )
            table = table | changes if isinstance(table, dict) else table
            self.made[key] = describe.partition(f"[partitions.{name}]", table, self.folder)
        return self.made[key]


def _points(shared: _Shared, table: TomlTable) -> Iterator[Point]:
    """Yield the points of one series."""
    label, where = labelled(table, "code"), table.where
    top = shared.top
    stop = _stop(shared, table)
    wanted = parse_optimized(f"{where}: optimize", table.get("optimize", as_it_is)) if "optimize" in table else None
    own = TomlTable(f"{where}: workers", table.get("workers", as_it_is, {}), WORKER_KEYS).data
    listed = table.get("partitions", texts, list(shared.partitions))
    grid = top.get("grid", as_it_is, {}), table.get("grid", as_it_is, {})
    zipped = top.get("zip", as_it_is, {}), table.get("zip", as_it_is, {})
    # A series that varies a key in its own way does not vary it in the common way too.
    replaced = {key for tables in (grid[1], zipped[1]) if isinstance(tables, dict) for key in tables}
    common = choices("", *({k: v for k, v in _dict(t).items() if k not in replaced} for t in (grid[0], zipped[0])))
    for first, second in itertools.product(common, choices(f"{where}: ", grid[1], zipped[1])):
        choice = Choice(first.values | second.values, first.suffix + second.suffix)
        place = f"{where} ({choice.shown()})" if choice.values else where
        code = describe.code(f"{place}: code", _code(table, choice), shared.folder, shared.gamma)
        times = choice.values.get("deadlines", table.data.get("deadlines"))
        times = shared.times if times is None else deadlines(f"{place}: deadlines", times)
        among(f"{place}: stop: deadlines", stop.deadlines, times)
        rounds = choice.values.get("rounds", table.data.get("rounds", shared.rounds))
        rounds = None if rounds is None else whole(f"{place}: rounds", rounds)
        seed = read_seed(f"{place}: seed", choice.values["seed"]) if "seed" in choice.values else shared.seed
        seed = shared.seed if shared.fixed_seed else seed
        chosen = choice.of(tuple(WORKERS))
        workers = shared.workers | own | {WORKERS[axis]: value for axis, value in chosen.items()}
        for name in [choice.values["partitions"]] if "partitions" in choice.values else listed:
            if name not in shared.partitions:
                known = f"{', '.join(shared.partitions)}{closest(str(name), shared.partitions)}"
                raise table.error(f"partitions must be names of [partitions.NAME] tables, that is {known}, got {shown(name)}")
            part = shared.partition(name, choice.of(PARTITION))
            for suffix, made in worker_grid(f"{place}: workers" if own or chosen else "[workers]", workers, shared.folder):
                # A series that is named by nothing but what it varies has no comma before that.
                series = f"{label}{choice.suffix}{suffix}".removeprefix(", ") or code_name(code)
                at = f"{place} with partition {name!r}"
                best = code if wanted is None else wanted.best(code, part, made, at)
                point = Point(series, name, best, part, made, times, stop, seed, rounds)
                with describe.located(at):
                    if rounds is not None:
                        check_rounds(rounds, made)
                    law = point.law
                if "work" not in workers and (largest := costly_packets(code, law)) > 1:
                    shared.costly[point.describe()] = largest
                yield point


def _dict(value: Any) -> dict[str, Any]:
    """Return a table, or raise."""
    if not isinstance(value, dict):
        raise SpecError(f"grid and zip must be tables of key = list of values, got {shown(value)}")
    return value


def _code(table: TomlTable, choice: Choice) -> Any:
    """Return the code of a series with the values of a choice put in."""
    changes = choice.of(CODE)
    written = choice.values["code"] if "code" in choice.values else table.get("code", as_it_is)
    if not changes:
        return written
    base = {"name": written} if isinstance(written, str) else written
    if isinstance(base, Code):
        raise table.error(f"code is given as an object, so that {', '.join(changes)} cannot vary: give its name and keys instead")
    return base | changes if isinstance(base, dict) else base


def _stop(shared: _Shared, table: TomlTable) -> StopRule:
    """Return the stop rule of a series: its own keys over those of the whole specification."""
    common = TomlTable("[stop]", shared.top.get("stop", as_it_is, {}), STOP_KEYS)
    own = TomlTable(f"{table.where}: stop", table.get("stop", as_it_is, {}), STOP_KEYS)
    if "realizations" in common and "realizations" in shared.top:
        raise SpecError("realizations is given twice, at the top and in [stop]; leave it in one of them")
    values: dict[str, Any] = {"realizations": shared.top.get("realizations", _realizations, DEFAULT_REALIZATIONS)}
    for part in (common, own):
        for key in part.data:
            values[key] = part.get(key, STOP_READERS.get(key, number))
    if shared.count is not None:
        values["realizations"] = shared.count
    with describe.located(own.where if own.data else "[stop]" if common.data else "stop rule"):
        return StopRule(**values)


_realizations = whole_between(1, MOST_REALIZATIONS.bit_length())
STOP_READERS: dict[str, Any] = {"realizations": _realizations, "failures": whole, "first": whole, "deadlines": deadlines}
