"""What ``uepgpu design`` does: from a specification to what should be done instead, as tables, a CSV file and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from uepgpu.commands.compilation import watched_compilation
from uepgpu.commands.options import check_backend, check_drawing
from uepgpu.commands.outcome import UNWRITTEN, Failure, exits, refusing
from uepgpu.console import Table, progress, show
from uepgpu.files import check_folder
from uepgpu.files.kinds import PNG
from uepgpu.results.answers import ANSWERS
from uepgpu.results.setting import in_unit

if TYPE_CHECKING:
    from uepgpu.results.answers import Answer, Answers

__all__ = ["run_design"]

FILES = {"design.csv": ANSWERS, "design.png": PNG}
NOTE = "{objective} at deadline t, and in brackets how many times the lower bound it is. Below, what was found for it."
MOST_SHOWN = 5
FOUND = ("gamma", "across", "fixed", "repetition", "windows")


@exits
def run_design(
    spec: str, *, out: str | None, realizations: int | None, seed: int | None, backend: str = "auto", force: bool = False
) -> int:
    """Design what a specification describes, and return the exit code.

    Parameters
    ----------
    spec : str
        TOML file or bundled name.
    out : str or None
        Folder of the results; None for ``uepgpu-NAME`` in the current folder.
    realizations, seed : int or None
        Override those of the specification; realizations are those of tuned windows.
    backend : str
        What simulates tuned windows.
    force : bool
        Replace files in the folder of the results that are no earlier results.
    """
    from dataclasses import replace

    from uepgpu.checks import integer
    from uepgpu.design.rectangles import REALIZATIONS
    from uepgpu.results.answers import answers_of, steps_of, to_csv
    from uepgpu.specification.series import read_with
    from uepgpu.specification.wanted import parse_wanted
    from uepgpu.sweep.spec import parse_spec

    with refusing():
        (sweep, wanted), _ = read_with(
            spec, lambda data, name, folder: (parse_spec(data, name=name, folder=folder, seed=seed), parse_wanted(data))
        )
        if realizations is not None:
            wanted = replace(wanted, realizations=integer("--realizations", realizations, *REALIZATIONS))
        folder = check_folder("--out", out or f"uepgpu-{sweep.name}", FILES, force=force, inputs=(spec,))
        check_drawing()
        check_backend(backend)
    with (
        refusing(),
        watched_compilation(here=backend != "numpy" and "windows" in wanted.find) as compiling,
        progress("designs", steps_of(sweep, wanted), compiling) as advance,
    ):
        found = answers_of(sweep, wanted, seed=sweep.points[0].seed, backend=backend, advance=advance)
    if not found.curves:
        raise Failure(f"nothing can be designed here: {found.left_out[0]}")
    from uepgpu.charts.answers import answers_chart
    from uepgpu.figures import draw_chart, to_png
    from uepgpu.results.setting import describe_setting

    try:
        folder.write("design.csv", to_csv(found.curves, wanted.objective).encode())
        folder.write("design.png", to_png(draw_chart(answers_chart(found.curves, sweep.title, wanted.objective))))
    except OSError as error:
        raise Failure(f"the results could not be written to {str(folder.path)!r}: {error}", UNWRITTEN) from error
    show(
        [
            describe_setting(sweep.points),
            NOTE.format(objective=LABELS[wanted.objective]),
            *_tables(found, sweep.show),
            *(f"Left out: {r}" for r in found.left_out),
        ]
    )
    table, figure = (output.path for output in folder.outputs.values())
    print(f"\nTable   {table}\nFigure  {figure}")
    return 0


LABELS = {
    "loss": "Normalized loss",
    "quantile": "Quantile of the normalized loss",
    "exceedance": "Probability that the normalized loss exceeds x",
    "debiased": "Normalized variance of unbiased estimates",
}


def _tables(found: Answers, show_at: Sequence[float]) -> list[Table]:
    """Return two tables a panel: what is reached, and by what."""
    tables = []
    for panel in dict.fromkeys(a.panel for a in found.curves):
        members = [a for a in found.curves if a.panel == panel]
        times = _chosen(members, show_at)
        header = tuple(in_unit(f"t = {t:g}", members[0].point.workers) for t in times)
        title = f"{panel[0]}, {panel[1]} work"
        tables.append(Table([(a.label, *(_value(a, t) for t in times)) for a in members], (title, *header)))
        rows = [(a.label, *(_found(a, t) for t in times)) for a in members if a.what in FOUND]
        if rows:
            tables.append(Table(rows, ("found", *header)))
    return tables


def _chosen(members: Sequence[Answer], show_at: Sequence[float]) -> list[float]:
    times = sorted({float(t) for a in members for t in a.deadlines})
    wanted = [t for t in times if t in show_at] or [t for t in times if t > 0] or times
    step = max(1, -(-len(wanted) // MOST_SHOWN))
    return wanted[step - 1 :: step] if len(wanted) > MOST_SHOWN else wanted


def _at(answer: Answer, t: float) -> int | None:
    places = np.flatnonzero(answer.deadlines == t)
    return int(places[0]) if places.size else None


def _value(answer: Answer, t: float) -> str:
    d = _at(answer, t)
    if d is None:
        return "–"
    text = f"{answer.value[d]:.3g}"
    bound = answer.bound[d]
    return text if answer.what == "bound" or not bound > 0 else f"{text} ({answer.value[d] / bound:.3g})"


def _found(answer: Answer, t: float) -> str:
    from uepgpu.results.answers import found_text

    d = _at(answer, t)
    return "–" if d is None else found_text(answer, d)
