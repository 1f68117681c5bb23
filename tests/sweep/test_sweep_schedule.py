"""Where the next range goes, how one process waits for another, and what people see of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import uepgpu as uep
from uepgpu.commands.compilation import watched_compilation
from uepgpu.commands.progress import LINE_SECONDS, Display, duration
from uepgpu.points.point import Sweep
from uepgpu.store.store import Claim, Store
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local
from uepgpu.sweep.ranges import Ran, Range, _pilot, run_range
from uepgpu.sweep.run import identify_all
from uepgpu.sweep.spec import parse_spec

RXC = {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}


def sweep(**changes: Any) -> Sweep:
    data = {
        "deadlines": [0.5, 1.0],
        "gamma": [0.40, 0.35, 0.25],
        "workers": {"count": 12, "omega": "fair", "work": "unit"},
        "partitions": {"rxc": RXC},
        "series": [{"label": name, "code": name} for name in ("ew", "now", "mds")],
    }
    return parse_spec(data | changes, name="mine", folder=Path())


class Small(Local):
    """Runs ranges of 1000, and notes where each went."""

    def __init__(self, slots: int = 1) -> None:
        super().__init__("numpy")
        self.slots = slots
        self.went: list[tuple[int, int, int]] = []
        self.running: list[tuple[Claim, Any, Range]] = []

    def submit(self, claim: Claim, work: Any, span: Range, progress: Callable[[int], None]) -> None:
        self.went.append((claim.tally, claim.start, claim.stop))
        self.running.append((claim, work, span))

    def collect(self, timeout: float) -> list[tuple[Claim, Ran]]:
        # The latest first, as on a cluster whose workers differ.
        claim, work, span = self.running.pop()
        stop = span.stop if span.size else min(span.start + 1000, span.stop)
        ran = run_range(work, Range(span.start, stop, 1), backend="numpy")
        return [(claim, Ran(ran.tally, 1000, ran.provenance))]


def collection(store: Store, made: Sweep) -> Collection:
    return Collection(store, made, identify_all(made.points))


def test_points_advance_together() -> None:
    with Store(":memory:") as store:
        runner, made = Small(), collection(store, sweep(realizations=4000))
        made.run(runner)
    assert [tally for tally, _, _ in runner.went] == [1, 2, 3] * 4


def test_ranges_go_where_the_stop_rule_is_furthest_from_met() -> None:
    # Losses of NOW and EW vary; the second wants four times the precision of the first.
    series = [
        {"label": "loose", "code": "ew", "stop": {"relative_error": 0.008}},
        {"label": "tight", "code": "now", "stop": {"relative_error": 0.002}},
    ]
    stop = {"realizations": 200_000, "first": 1000, "growth": 1.5}
    with Store(":memory:") as store:
        runner, made = Small(), collection(store, sweep(series=series, stop=stop))
        made.run(runner)
        assert all(s.stopped for s in made.status)
        loose, tight = (made.tally(i) for i in (0, 1))
    assert loose is not None
    assert tight is not None
    assert tight.realizations > 8 * loose.realizations
    last_of_loose = max(i for i, (tally, _, _) in enumerate(runner.went) if tally == 1)
    # By the time the loose one is done, the tight one has had most of the ranges, and still leads to the end.
    assert [t for t, _, _ in runner.went[:last_of_loose]].count(2) > [t for t, _, _ in runner.went[:last_of_loose]].count(1)


@pytest.mark.parametrize("slots", [1, 4])
def test_nothing_beyond_a_checkpoint_is_begun_before_the_rule_has_spoken(slots: int) -> None:
    stop = {"realizations": 50_000, "relative_error": 0.004, "first": 3000, "growth": 2}
    with Store(":memory:") as store:
        made = collection(store, sweep(stop=stop, series=[{"label": "now", "code": "now"}]))
        runner = Small(slots)
        made.run(runner)
        tally, verdict = made.tally(0), made.status[0].verdict
    assert verdict is not None
    assert tally is not None
    assert tally.ranges == ((0, verdict.realizations),)
    checkpoints = list(made.sweep.points[0].stop.checkpoints())
    assert verdict.realizations in checkpoints[1:]
    for _, start, end in runner.went:
        assert not any(start < c < end for c in checkpoints)


def test_any_number_of_slots_ends_with_the_same_counts() -> None:
    stop = {"realizations": 50_000, "relative_error": 0.01, "first": 2500, "growth": 1.6}
    found = []
    for slots in (1, 2, 7):
        with Store(":memory:") as store:
            made = collection(store, sweep(stop=stop))
            made.run(Small(slots))
            found.append([made.tally(i) for i in range(3)])
    assert found[0] == found[1] == found[2]


def test_the_first_piece_of_a_pilot_is_no_measure_as_it_may_hold_a_compilation() -> None:
    point = sweep(realizations=10**6).points[0]
    now, pieces = [0.0], []

    def run(first: int, count: int) -> uep.Tally:
        # Five seconds of compilation, then 4096 realizations in .3 s.
        now[0] += count / 4096 * 0.3 + (5.0 if not pieces else 0.0)
        pieces.append((first, count))
        options = {"realizations": count, "first_realization": first, "seed": 1, "backend": "numpy"}
        return uep.simulate(point.code, point.part, point.workers, **options)

    tally, size = _pilot(run, Range(1000, 10**6, None), clock=lambda: now[0])
    assert pieces == [(1000, 4096), (5096, 4096)]
    assert tally.ranges == ((1000, 9192),)
    assert size == 2**14  # 4096 / .3 = 13,653 a second

    now, pieces = [0.0], []
    # A range that ends with its first piece has nothing else to go by.
    tally, size = _pilot(run, Range(0, 500, None), clock=lambda: now[0])
    assert (pieces, tally.ranges, size) == ([(0, 500)], ((0, 500),), 2**10)


def test_stopping_finishes_what_runs() -> None:
    with Store(":memory:") as store:
        runner, made = Small(3), collection(store, sweep(realizations=40_000))
        made.run(runner, stopping=lambda: len(runner.went) >= 7)
        assert not runner.running
        assert not made.finished
        assert sum(stop - start for _, start, stop in runner.went) >= made.added == store.realizations() > 0


def test_points_of_one_tally_that_want_different_precision_share_it() -> None:
    series = [
        {"label": "a", "code": "ew", "stop": {"realizations": 3000}},
        {"label": "b", "code": "ew", "stop": {"realizations": 5000}},
    ]
    with Store(":memory:") as store:
        made = collection(store, sweep(series=series, workers={"count": 12, "work": "unit"}))
        runner = Small()
        made.run(runner)
        assert store.realizations() == 5000
        assert [s.verdict.realizations for s in made.status if s.verdict] == [3000, 5000]


def test_a_line_a_minute_when_piped() -> None:
    with Store(":memory:") as store:
        made, stream = collection(store, sweep(realizations=4000)), io.StringIO()
        display = Display(made, stream)
        made.run(Small(), progress=display.advance, tick=display.tick)
        assert stream.getvalue() == ""
        display._last_line -= LINE_SECONDS
        display.tick()
        display.tick()
        assert stream.getvalue().count("\n") == 1
        assert stream.getvalue().startswith("3 of 3 points done, ")
        assert stream.getvalue().endswith(", done\n")


def test_the_live_table_keeps_figures_where_labels_are_long() -> None:
    from rich.console import Console

    series = [{"label": "a label that goes on " * 8, "code": "now"}]
    with Store(":memory:") as store:
        stop = {"realizations": 10**9, "relative_error": 1e-3, "first": 1000}
        made = collection(store, sweep(series=series, stop=stop))
        runner = Small()
        made.run(runner, stopping=lambda: len(runner.went) > 2)
        stream = io.StringIO()
        Console(file=stream, width=100).print(Display(made, stream).table(30))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert any("…" in line and " 2,000 " in line and "relative error 0.0" in line for line in lines), lines


def table_lines(display: Display, height: int, width: int = 100) -> list[str]:
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width).print(display.table(height))
    return stream.getvalue().splitlines()


def test_the_live_table_lists_the_points_that_are_furthest_from_done_and_fills_the_window() -> None:
    series = [{"label": f"point {i:02d}", "code": "now", "stop": {"realizations": 1000 * (i + 1)}} for i in range(20)]
    with Store(":memory:") as store:
        made = collection(store, sweep(series=series, workers={"count": 12, "work": "unit"}))
        for status in made.status:
            status.realizations = 1000  # so that the last is furthest
        lines = table_lines(Display(made, io.StringIO()), 12)
        assert len(lines) <= 12
        assert [line[1:9] for line in lines if line.startswith(" point")] == [f"point {i:02d}" for i in range(19, 12, -1)]
        assert len([line for line in table_lines(Display(made, io.StringIO()), 50) if line.startswith(" point")]) == 20


def test_labels_get_the_room_of_a_stop_rule_that_has_not_been_asked() -> None:
    series = [{"label": "a label of sixty characters that is shown whole, if possible", "code": "now"}]
    with Store(":memory:") as store:
        made = collection(store, sweep(series=series, realizations=5000))
        lines = table_lines(Display(made, io.StringIO()), 20)
        assert any("shown whole, if possible" in line for line in lines), lines
        assert not any("stop rule" in line for line in lines)


def test_a_display_says_what_is_waited_for() -> None:
    with Store(":memory:") as store:
        made, now = collection(store, sweep(realizations=4000)), [True]
        display = Display(made, io.StringIO(), lambda: now[0])
        assert display.line() == "0 of 3 points done, compiling kernels, which is done once"
        now[0] = False
        assert display.line() == "0 of 3 points done, starting"
        display.advance(made.sweep.points[0], 100)
        assert display.line().startswith("0 of 3 points done, 100 realizations added, ")
        now[0] = True  # another kernel
        assert display.waiting
        assert "compiling kernels" in display.line()


def test_compilation_is_seen_while_it_lasts() -> None:
    import numba

    with watched_compilation() as compiling:
        seen = []

        @numba.extending.overload(_told)
        def implementation():  # type: ignore[no-untyped-def]
            seen.append(compiling())
            return lambda: 1

        assert not compiling()
        assert numba.njit(lambda: _told())() == 1
        assert not compiling()
    assert seen
    assert all(seen)


def _told() -> int:
    """Stands for a function that is looked at in compilation."""
    raise NotImplementedError


def test_times_as_people_say_them() -> None:
    assert [duration(s) for s in (0.2, 119, 121, 3599, 3600, 86400 * 3)] == [
        "0 s",
        "119 s",
        "2 min",
        "59 min",
        "1 h 00 min",
        "3 d 0 h",
    ]
