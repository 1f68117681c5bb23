"""What ``uepgpu plot`` does: from a store, or the table of a study or of a training, to a figure in a file."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from uepgpu.charts import KINDS, Chart
from uepgpu.charts.arrange import Arrangement, arranged
from uepgpu.charts.curves import CURVES, Asked, curves_chart
from uepgpu.charts.stored import stored_chart
from uepgpu.checks import closest, shown
from uepgpu.commands.options import check_drawing
from uepgpu.commands.outcome import Failure, exits, refusing, writing
from uepgpu.files import check_file
from uepgpu.files.kinds import FIGURES
from uepgpu.results.axes import axis
from uepgpu.store.sections import joined, names_of, only_section, read_sections
from uepgpu.text import file_name

if TYPE_CHECKING:
    from uepgpu.figures.layout import Layout

__all__ = ["run_plot"]


@exits
def run_plot(
    stores: Sequence[str],
    *,
    kind: str,
    output: str | None,
    sweep: str | None,
    series: Sequence[str],
    at: Sequence[float],
    where: Sequence[str] = (),
    x: str | None = None,
    y: str | None = None,
    bound: bool = False,
    arrangement: Arrangement | None = None,
    layout: Layout | None = None,
    style: str | None = None,
    dots_per_inch: int | None = None,
    show: bool = False,
    force: bool = False,
) -> int:
    """Draw one kind of chart from one or several stores, and return the exit code.

    Parameters
    ----------
    stores : sequence of str
        Their files; at least one.
    kind : str
        One of :data:`uepgpu.charts.KINDS`, or of :data:`uepgpu.charts.curves.CURVES`, whose files are no stores.
    output : str or None
        File to write; its suffix is the format. None for SWEEP-KIND.png, or KIND.png, in the current folder.
    sweep : str or None
        Which of the store's sweeps; None where there is one.
    series : sequence of str
        Patterns of labels, in the order of the legend; empty for all.
    at : sequence of float
        Deadlines; empty for those that the specification shows, or a few. Numbers of packets for ``packets`` along an axis.
    where : sequence of str
        Conditions that points fulfil, as :func:`uepgpu.results.conditions.only_where` takes them.
    x, y : str or None
        Axes of the grid: one on the x axis, or both for a heat map.
    bound : bool
        Show the lower bound of the loss too.
    arrangement : Arrangement, optional
        Which panels, names, title and scales; its order is that of `series`.
    layout : Layout, optional
        Of the page.
    style : str, optional
        A style sheet of matplotlib: its name, or a file.
    dots_per_inch : int, optional
        Of a PNG.
    show : bool
        Open the file afterwards, with what this machine opens such files with.
    force : bool
        Replace a file that is no earlier figure.
    """
    with refusing():
        check_drawing()
        if kind not in (kinds := (*KINDS, *CURVES)):
            raise ValueError(f"--kind must be one of {', '.join(kinds)}, got {shown(kind)}{closest(kind, kinds)}")
        check = partial(check_file, "--output", kinds=FIGURES, force=force, inputs=stores)
        file = None if output is None else check(name=output)
        if kind in CURVES:
            if len(stores) > 1:
                raise ValueError(f"--kind {kind} takes one file, got {len(stores)}")
            asked = Asked("--", {"sweep": sweep, "where": where, "at": at, "y": y, "bound": bound})
            chart, name = curves_chart(kind, stores[0], asked, series, x), kind
        else:
            if tables := [store for store in stores if store.lower().endswith(".csv")]:
                ways = "--kind descent draws one of descents, --kind training of trainings"
                raise ValueError(f"{shown(tables[0])} is a table: {ways}")
            chart, name = _of_stores(stores, kind, sweep, series, where, at, (x, y), bound=bound)
        file = file or check(name=f"{name}.png")
        chart = arranged(chart, replace(arrangement or Arrangement(), order=tuple(series)))
        sheet = _sheet(style)
    from matplotlib.style import context

    from uepgpu.figures import draw_chart, to_bytes
    from uepgpu.figures.file import DOTS_PER_INCH

    with writing("the figure", file.path), context(sheet):
        file.write(to_bytes(draw_chart(chart, layout), file.path.suffix[1:].lower(), dots_per_inch or DOTS_PER_INCH))
    print(f"Figure  {file.path}")
    if show and not webbrowser.open(file.path.resolve().as_uri()):
        raise Failure(f"--show finds nothing on this machine that opens {file.path}", code=1)
    return 0


def _of_stores(
    stores: Sequence[str],
    kind: str,
    sweep: str | None,
    series: Sequence[str],
    where: Sequence[str],
    at: Sequence[float],
    along: tuple[str | None, str | None],
    *,
    bound: bool,
) -> tuple[Chart, str]:
    """Return the chart of stores, and what to call its file."""
    x, y = (None if name is None else axis(option, name) for option, name in zip(("--x", "--y"), along, strict=True))
    sections = [only_section(read_sections(store, sweep=sweep)) for store in stores]
    section = joined(dict(zip(names_of(stores), sections, strict=True)))
    chart = stored_chart(kind, section, series=series, where=where, at=at, x=x, y=y, bound=bound, dash="--")
    return chart, "-".join(filter(None, (file_name(section.sweep.name), kind, *along)))


def _sheet(style: str | None) -> Any:
    """Return the settings of a style sheet."""
    if style is None:
        return {}
    from matplotlib import rc_params_from_file
    from matplotlib.style import library

    if style in library:
        return library[style]
    try:
        return rc_params_from_file(style, use_default_template=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"--style must be a style sheet of matplotlib or its name, got {shown(style)}: {error}") from None
