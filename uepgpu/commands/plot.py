"""From a store to a figure in a file, for the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from uepgpu.charts import KINDS, build_chart
from uepgpu.charts.kinds import too_many
from uepgpu.charts.times import preferred
from uepgpu.checks import closest
from uepgpu.figures.file import FORMATS
from uepgpu.files import check_file, write_file
from uepgpu.store.sections import Section, only_series, read_sections

__all__ = ["parse_times", "run_plot"]


def run_plot(store: str, *, kind: str, output: str | None, sweep: str | None, series: Sequence[str], at: str | None) -> int:
    """Draw one kind of chart from a store, and return the exit code.

    Parameters
    ----------
    store : str
        Its file.
    kind : str
        One of :data:`uepgpu.charts.KINDS`.
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
    from uepgpu.figures import draw_chart, to_bytes

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


def _one(sections: Sequence[Section]) -> Section:
    names = list(dict.fromkeys(s.sweep.name for s in sections))
    if len(names) > 1:
        raise ValueError(f"the store has several sweeps, choose one with --sweep: {', '.join(names)}")
    return sections[0]
