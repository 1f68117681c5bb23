"""What ``uepgpu plot`` does: from a store to a figure in a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from uepgpu.charts import KINDS, build_chart
from uepgpu.charts.kinds import too_many
from uepgpu.charts.times import preferred
from uepgpu.checks import closest, shown
from uepgpu.commands.options import check_drawing
from uepgpu.commands.outcome import exits, refusing, writing
from uepgpu.files import check_file
from uepgpu.files.kinds import FIGURES
from uepgpu.store.sections import only_section, only_series, read_sections
from uepgpu.text import file_name

__all__ = ["run_plot"]


@exits
def run_plot(
    store: str,
    *,
    kind: str,
    output: str | None,
    sweep: str | None,
    series: Sequence[str],
    at: Sequence[float],
    force: bool = False,
) -> int:
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
    at : sequence of float
        Deadlines; empty for those that the specification shows, or a few.
    force : bool
        Replace a file that is no earlier figure.
    """
    with refusing():
        check_drawing()
        if kind not in KINDS:
            raise ValueError(f"--kind must be one of {', '.join(KINDS)}, got {shown(kind)}{closest(kind, KINDS)}")
        check = partial(check_file, "--output", kinds=FIGURES, force=force, inputs=(store,))
        file = None if output is None else check(name=output)
        section = only_section(read_sections(store, sweep=sweep))
        points = only_series(section.points, series)
        file = file or check(name=f"{file_name(section.sweep.name)}-{kind}.png")
        if reason := too_many(kind, points):
            raise ValueError(f"{reason}; choose some with --series, for example --series {shown(points[0].point.series)}")
        chart = build_chart(kind, points, section.title, tuple(at) or preferred(points, section.sweep.show))
    from uepgpu.figures import draw_chart, to_bytes

    with writing("the figure", file.path):
        file.write(to_bytes(draw_chart(chart), file.path.suffix[1:].lower()))
    print(f"Figure  {file.path}")
    return 0
