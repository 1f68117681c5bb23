"""The results of a study as CSV and as printed text."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence

from uepgpu.files import table_kind
from uepgpu.gradient_coding.study import Convergence, Study
from uepgpu.text import write_table

__all__ = ["COLUMNS", "NOTE", "TABLE", "rows", "summary", "to_csv"]

NOTE = "Error ‖x − x*‖ / ‖x*‖ ± standard error, after iterations t and at times T of the latency law."
QUANTITIES = ("time", "error", "residual", "gradient_error")
COLUMNS = (
    "series",
    "data",
    "scheme",
    "loss",
    "ridge",
    "blocks",
    "workers",
    "step",
    "decay",
    "axis",
    "iteration",
    *(f"{name}{end}" for name in QUANTITIES for end in ("", "_stderr")),
    "realizations",
    "diverged",
    "seed",
    "backend",
    "rows",
    "columns",
    "latency",
    "omega",
    "work",
    "time_unit",
)
"""Columns of ``table.csv``. Rows of axis ``iteration`` have means at an iterate; rows of axis ``deadline`` the mean error of the
latest iterate at a deadline, empty where some realization has run out of iterations. ``residual`` is the mean loss for
logistic loss."""

TABLE = table_kind(COLUMNS)

Value = str | int | float


def rows(curves: Sequence[Convergence]) -> Iterator[dict[str, Value]]:
    """Yield a row per curve and iteration, then one per deadline, with the keys of :data:`COLUMNS`."""
    for curve in curves:
        point, run = curve.point, curve.run
        shared: dict[str, Value] = {
            "series": point.series,
            "data": point.data,
            "scheme": run.attrs["scheme"],
            "loss": point.problem.loss,
            "ridge": point.problem.ridge,
            "blocks": point.problem.blocks,
            "workers": point.workers.count,
            "step": point.step,
            "decay": point.decay,
            "realizations": run.attrs["realizations"],
            "diverged": run.attrs["diverged"],
            "seed": run.attrs["seed"],
            "backend": run.attrs["backend"],
            "rows": point.problem.shape[0],
            "columns": point.problem.shape[1],
            "latency": point.workers.describe_latency(),
            "omega": f"{point.workers.resolved_omega(point.problem.blocks):g}",
            "work": point.workers.work,
            "time_unit": point.workers.time_unit or "",
        }
        for t in range(run.sizes["iteration"]):
            measured = {f"{name}{end}": float(run[f"{name}{end}"][t]) for name in QUANTITIES for end in ("", "_stderr")}
            yield shared | {"axis": "iteration", "iteration": t} | {k: _known(v) for k, v in measured.items()}
        for d, time in enumerate(point.deadlines):
            error, spread = float(run.error_at_deadline[d]), float(run.error_at_deadline_stderr[d])
            yield shared | {"axis": "deadline", "time": time, "error": _known(error), "error_stderr": _known(spread)}


def _known(value: float) -> Value:
    return "" if math.isnan(value) else value


def to_csv(curves: Sequence[Convergence]) -> str:
    """Return the table as CSV; floats keep all their digits, and no label is a formula."""
    text = io.StringIO()
    write_table(text, COLUMNS, rows(curves))
    return text.getvalue()


def _shown(value: float, spread: float) -> str:
    if math.isnan(value):
        return "–"
    if not math.isfinite(value) or value > 1e3:
        return "diverges"
    return f"{value:.3g} ± {spread:.1g}" if spread > 1e-6 * value else f"{value:.3g}"


def summary(study: Study, curves: Sequence[Convergence]) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Yield the title, the header and the rows of a table per data set: errors at some iterations, then at some times."""
    for name in dict.fromkeys(c.point.data for c in curves):
        members = [c for c in curves if c.point.data == name]
        iterations = study.show_iterations or (members[0].point.iterations,)
        times = study.show or (members[0].point.deadlines[-1],)
        unit = f" {members[0].point.workers.time_unit or ''}".rstrip()
        mean = f"time/iteration{unit and f' [{unit[1:]}]'}"
        header = ("series", *(f"t = {t}" for t in iterations), *(f"T = {t:g}{unit}" for t in times), mean, "diverged")
        at = [members[0].point.deadlines.index(t) for t in times]
        rows = []
        for curve in members:
            run = curve.run
            rows.append(
                (
                    curve.point.series,
                    *(_shown(float(run.error[t]), float(run.error_stderr[t])) for t in iterations),
                    *(_shown(float(run.error_at_deadline[i]), float(run.error_at_deadline_stderr[i])) for i in at),
                    f"{float(run.time[-1]) / curve.point.iterations:.3g}",
                    f"{run.attrs['diverged']}/{run.attrs['realizations']}",
                )
            )
        problem = members[0].point.problem
        yield f"{name}: A {problem.shape[0]} × {problem.shape[1]}, {problem.blocks} blocks, {problem.loss}", header, rows
