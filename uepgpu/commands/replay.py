"""What ``uepgpu replay`` does: a stored point's realization decoded step by step and printed."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from uepgpu.checks import shown
from uepgpu.commands.outcome import exits, refusing
from uepgpu.console import Table, say, show
from uepgpu.replay.realization import replay, trajectory
from uepgpu.replay.tables import TextTable, compact, rounds_table, tables
from uepgpu.replay.told import Replay
from uepgpu.results.summary import choose_deadlines
from uepgpu.theory.launched import describe_launches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from uepgpu.store.stored import StoredPoint

__all__ = ["check", "replay_stored", "run_replay", "shown_tables", "to_json"]

MOST_TOLD = 1000
"""Rounds of a trajectory that are told, a line each."""
MOST_DEADLINES = 4
"""Deadlines of those lines."""
MOST_NAMED = 8
"""Points that an error lists."""
COUNTING = "Packets and sub-products X0, X1, … are counted from 0, classes from 1."


@exits
def run_replay(store: str, point: str, realization: int, *, number: int | None = None, as_json: bool) -> int:
    """Print a replay, and return the exit code.

    Parameters
    ----------
    store : str
        Its file.
    point : str
        The beginning of an id, or a label.
    realization : int
        0..2^64-1.
    number : int or None
        Of a point with rounds: the round to tell in full; None for all, a line each.
    as_json : bool
    """
    from uepgpu.store.stored import iterate_points

    with refusing():
        stored = choose(iterate_points(store), point)
        _check_round(stored, number)
        whole = stored.point.rounds is not None and number is None
        told = trajectory_stored(stored, realization) if whole else (replay_stored(stored, realization, number),)
    differs = ", ".join(filter(None, (check(stored, one) for one in told)))
    facts = Table(_facts(stored, told[0], differs), text=(0, 1))
    if as_json:
        print(to_json(stored, told if whole else told[0], differs))
    elif whole:
        times = stored.point.deadlines
        show([facts, COUNTING, _shown(rounds_table(told, choose_deadlines(times, (), MOST_DEADLINES)))])
    else:
        show([facts, COUNTING, *shown_tables(told[0])])
    if differs:
        say(f"the kernel decodes this realization otherwise: {differs}. Please report it")
        return 1
    return 0


def _check_round(stored: StoredPoint, number: int | None) -> None:
    """Raise ``ValueError`` unless the point has the round that is asked for."""
    rounds = stored.point.rounds
    if number is not None and rounds is None:
        raise ValueError(f"--round is for points with rounds, and {stored.point.describe()} has single rounds")
    if number is not None and rounds is not None and not 0 <= number < rounds:
        raise ValueError(f"--round must be from 0 to {rounds - 1}, got {shown(number)}")
    if number is None and rounds is not None and rounds > MOST_TOLD:
        raise ValueError(f"at most {MOST_TOLD:,} rounds of a trajectory are told at once, got {rounds:,}: choose one by --round")


def choose(points: Iterable[StoredPoint], name: str) -> StoredPoint:
    """Return the point of that label, or description, or beginning of an id; only those that fit are held in memory.

    Raises
    ------
    ValueError
        If there is none, or several.
    """
    called: dict[str, StoredPoint] = {}
    begins: dict[str, StoredPoint] = {}
    first: list[str] = []
    for p in points:
        if name in (p.point.series, p.point.describe()):
            called[p.id] = p
        if name and p.id.startswith(name.lower()):
            begins[p.id] = p
        if len(first) < MOST_NAMED:
            first.append(f"{p.short_id} {p.point.describe()}")
    found = called or begins
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        what = "is the label" if called else "is the beginning of the ids"
        some = ", ".join(f"{p.short_id} {p.point.describe()}" for p in list(found.values())[:MOST_NAMED])
        raise ValueError(f"POINT {shown(name)} {what} of {len(found)} points; give one's id: {some}")
    raise ValueError(
        f"POINT must be a point's label or the beginning of its id, got {shown(name)}, no such; there are {', '.join(first)}"
    )


def replay_stored(stored: StoredPoint, realization: int, number: int | None = None) -> Replay:
    """Replay a realization of a stored point, as its tally counts it; of trajectories round `number`."""
    point = stored.point
    evaluate = point.deadlines if stored.tally.domain == "count" else None
    options = _options(stored, realization)
    return replay(point.code, point.part, point.workers, round=number, evaluate=evaluate, **options)


def trajectory_stored(stored: StoredPoint, realization: int) -> tuple[Replay, ...]:
    """Replay every round of a trajectory of a stored point."""
    point = stored.point
    assert point.rounds is not None
    return trajectory(point.code, point.part, point.workers, rounds=point.rounds, **_options(stored, realization))


def _options(stored: StoredPoint, realization: int) -> dict[str, Any]:
    tally = stored.tally
    deadlines = None if tally.domain == "count" else stored.point.deadlines
    return {"realization": realization, "seed": tally.seed, "decoder": tally.decoder, "deadlines": deadlines}


def check(stored: StoredPoint, told: Replay) -> str:
    """Return in what a kernel differs from the replay; empty if in nothing.

    The NumPy kernel is asked: it needs no compilation and is written apart from the replay and from the other kernels.
    """
    from uepgpu.monte_carlo import decode_times

    point = stored.point
    kernel = decode_times(
        point.code,
        point.part,
        point.workers,
        deadlines=told.deadlines,
        realizations=1,
        first_realization=told.realization,
        seed=told.seed,
        backend="numpy",
        decoder=told.decoder,
        round=told.round,
    )[0]
    ours = told.decode_times()
    where = "" if told.round is None else f"round {told.round}: "
    wrong = [f"{where}X{k} at {kernel[k]} instead of {ours[k]}" for k in range(told.n_subproducts) if kernel[k] != ours[k]]
    tally = stored.tally if told.round is None else list(stored.tally)[told.round]  # type: ignore[arg-type]
    if told.problem != tally.problem:
        wrong.append(f"{where}the tally is of problem {tally.problem}, the replay of {told.problem}")
    return ", ".join(wrong)


def to_json(stored: StoredPoint, told: Replay | Sequence[Replay], differs: str) -> str:
    """Return everything as JSON, of several rounds by round; packets and sub-products counted from 0, classes from 1."""
    one = told if isinstance(told, Replay) else told[0]
    where = {
        "id": stored.id,
        "sweep": stored.sweep,
        "series": stored.point.series,
        "partition": stored.point.partition,
        "stored": _is_stored(stored, one),
        "kernel_agrees": not differs,
    }
    rest = _plain(told) if isinstance(told, Replay) else {"rounds": [_plain(each) for each in told]}
    return json.dumps({"point": where, **rest}, indent=1)


def _plain(told: Replay) -> dict[str, Any]:
    data = dataclasses.asdict(told)
    for step, plain in zip(told.steps, data["steps"], strict=True):
        plain["action"] = {"kind": type(step.action).__name__.lower(), **plain["action"]}
    if told.round is None:
        for name in ("round", "states", "next_states"):
            del data[name]
    return data


def _is_stored(stored: StoredPoint, told: Replay) -> bool:
    return any(start <= told.realization < stop for start, stop in stored.tally.ranges)


def _facts(stored: StoredPoint, told: Replay, differs: str) -> list[tuple[str, str]]:
    point = stored.point
    of_class = {c: [k for k, mine in enumerate(told.subproduct_class) if mine == c] for c in sorted(set(told.subproduct_class))}
    classes = [f"{c}: {compact(members)}" for c, members in of_class.items()]
    held = "counted in the store" if _is_stored(stored, told) else "not (yet) counted in the store"
    return [
        ("realization", f"{told.realization} of seed {told.seed}, {held}"),
        *([] if point.rounds is None else [("rounds", f"{point.rounds} of every trajectory")]),
        ("point", f"{stored.short_id}  {point.describe()}, sweep {stored.sweep}"),
        ("code", " ".join(told.code.split())),
        ("partition", f"{point.part.paradigm}, K = {told.n_subproducts} sub-products; classes {'; '.join(classes)}"),
        ("workers", _workers(stored)),
        ("simulated", f"by {'packets received' if told.domain == 'count' else 'deadline'}; coefficients: {told.field}"),
        ("problem", told.problem),
        ("kernel", f"differs: {differs}" if differs else "the NumPy kernel decodes every sub-product at the same time"),
    ]


def _workers(stored: StoredPoint) -> str:
    w = stored.point.workers
    omega = w.resolved_omega(stored.point.part.n_subproducts)
    more = f", loss probability {w.loss_probability:g}" if w.loss_probability else ""
    speeds = set(w.speed().tolist())
    more += "" if w.speeds is None else ", of unequal speed" if len(speeds) > 1 else f", of speed {w.speeds[0]:g}"
    more += f", {w.racks.describe()}" if w.racks is not None else ""
    second = describe_launches(stored.point.code, stored.point.part, w)
    more += f", {second}" if second else ""
    return f"W = {w.count}, {w.describe_latency()}, Ω = {omega:g}, {w.work} work{more}"


def shown_tables(told: Replay) -> list[Table]:
    """Return everything that happens in a realization as tables to print."""
    return [_shown(t) for t in tables(told)]


def _shown(t: TextTable) -> Table:
    return Table(t.rows, t.header, t.title, t.note, range(len(t.header) - t.left, len(t.header)))
