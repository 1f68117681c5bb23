"""From a store to a figure in a file, for the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from uepgpu.sweep.charts import KINDS, build_chart
from uepgpu.sweep.charts.kinds import most_series
from uepgpu.sweep.charts.times import preferred
from uepgpu.sweep.fields import closest
from uepgpu.sweep.files import write_file
from uepgpu.sweep.plot.file import FORMATS
from uepgpu.sweep.plot.style import MOST_STYLES
from uepgpu.sweep.sections import Section, only_series, read_sections
from uepgpu.sweep.stored import StoredPoint

__all__ = ["check_file", "parse_times", "run_plot", "too_many"]

MOST_BOXES = 60
"""Codes of a distribution have their labels beside them, and just need room."""


def run_plot(store: str, *, kind: str, output: str | None, sweep: str | None, series: Sequence[str], at: str | None) -> int:
    """Draw one kind of chart from a store, and return the exit code.

    Parameters
    ----------
    store : str
        Its file.
    kind : str
        One of :data:`uepgpu.sweep.charts.KINDS`.
    output : str or None
        File to write; its suffix is the format. None for SWEEP-KIND.png in the current folder.
    sweep : str or None
        Which of the store's sweeps; None where there is one.
    series : sequence of str
        Patterns of labels; empty for all.
    at : str or None
        Deadlines, separated by commas.
    """
    try:
        if kind not in KINDS:
            raise ValueError(f"--kind must be one of {', '.join(KINDS)}, got {kind!r}{closest(kind, KINDS)}")
        times = parse_times(at)
        file = None if output is None else check_file("--output", output, FORMATS)
        section = _one(read_sections(store, sweep=sweep))
        points = only_series(section.points, series)
        file = file or check_file("--output", f"{section.sweep.name}-{kind}.png", FORMATS)
        if reason := too_many(kind, points):
            raise ValueError(f"{reason}; choose some with --series, for example --series {points[0].point.series!r}")
        chart = build_chart(kind, points, section.title, times or preferred(points, section.sweep.show))
    except ValueError as error:
        print(f"uepgpu: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    from uepgpu.sweep.plot import draw_chart, to_bytes

    try:
        write_file(file, to_bytes(draw_chart(chart), file.suffix[1:].lower()))
    except OSError as error:
        print(f"uepgpu: the figure could not be written to {str(file)!r}: {error}", file=sys.stderr)
        return 1
    print(f"Figure  {file}")
    return 0


def parse_times(at: str | None) -> tuple[float, ...]:
    """Return deadlines written as numbers with commas between them."""
    if at is None:
        return ()
    try:
        return tuple(float(t) for t in at.split(","))
    except ValueError:
        raise ValueError(f"--at must be deadlines with commas between them, such as 0.5,1, got {at!r}") from None


def check_file(option: str, name: str, suffixes: Sequence[str]) -> Path:
    """Return the path of a file to write, if it has one of the suffixes and can be made; nothing is created.

    Raises
    ------
    ValueError
        With one line that says what is wrong.
    """
    path = Path(name).expanduser()
    if path.suffix[1:].lower() not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(f'.{s}' for s in suffixes)}, got {name!r}")
    if path.is_dir():
        raise ValueError(f"{option} must be a file, {name!r} is a folder")
    nearest = path.parent
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ValueError(f"{option} must be a file that can be made, got {name!r}: {str(nearest)!r} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"{option} must be a file that can be written, got {name!r}: no permission to write in {str(nearest)!r}")
    return path


def too_many(kind: str, points: Sequence[StoredPoint]) -> str | None:
    """Return why the series of a chart of these points could not be told apart, or None."""
    most, limit = most_series(kind, points), MOST_BOXES if kind == "distribution" else MOST_STYLES
    return f"{most} series in one panel are more than the {limit} that can be told apart" if most > limit else None


def _one(sections: Sequence[Section]) -> Section:
    names = list(dict.fromkeys(s.sweep.name for s in sections))
    if len(names) > 1:
        raise ValueError(f"the store has several sweeps, choose one with --sweep: {', '.join(names)}")
    return sections[0]
