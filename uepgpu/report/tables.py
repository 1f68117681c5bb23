"""The tables of a report: parameters, results, why each point stopped, where it was computed."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Sequence
from importlib import metadata

from uepgpu import __version__
from uepgpu.charts import Chart, Panel
from uepgpu.charts.distribution import LEVELS
from uepgpu.report.html import facts, table
from uepgpu.results.curve import Curve
from uepgpu.results.setting import latency_of
from uepgpu.results.summary import blocks
from uepgpu.store.sections import Section
from uepgpu.store.stored import StoredPoint
from uepgpu.theory.launched import describe_launches

__all__ = ["numbers_of", "overview", "parameters", "provenance", "results", "stops"]

ROUNDING = 1e-12
SUMMARY_WIDTH = 170
"""As many deadlines as a printed summary of so many characters has."""


def overview(sections: Sequence[Section]) -> str:
    """Return what the store holds."""
    tallies = {p.tally_id: p for s in sections for p in s.points}
    return facts(
        [
            ("Sweeps", str(len(sections))),
            ("Points", f"{sum(len(s.points) for s in sections):,}"),
            ("Realizations", f"{sum(p.tally.realizations for p in tallies.values()):,}, each counted once"),
            ("Computing time", f"{sum(p.seconds for p in tallies.values()):,.1f} s"),
        ]
    )


def parameters(points: Sequence[StoredPoint]) -> str:
    """Return the table of what was simulated."""
    header = ("series", "partition", "code", "K in classes", "W", "latency", "Ω", "work", "deadlines", "seed", "id")
    return table("Parameters of every point", header, [_parameters(p) for p in points], numbers_from=99)


def _parameters(stored: StoredPoint) -> tuple[str, ...]:
    point = stored.point
    workers, part, times = point.workers, point.part, point.deadlines
    sizes = [int((part.classes == c).sum()) for c in range(1, part.n_classes + 1)]
    span = f"{times[0]:g} to {times[-1]:g} ({len(times)})" if len(times) > 1 else f"{times[0]:g}"
    extra = f"; trajectories of {point.rounds} rounds" if point.rounds is not None else ""
    second = describe_launches(point.code, part, workers)
    extra += f"; {second}" if second else ""
    encoding = f"{point.encoding}{f' ({point.window})' if point.window else ''}"
    return (
        point.series,
        f"{point.partition} ({part.paradigm})",
        f"{point.code!r}, encoded {encoding}",
        f"{part.n_subproducts} = {' + '.join(map(str, sizes))}",
        str(workers.count),
        f"{latency_of(workers)}{extra}",
        f"{workers.resolved_omega(part.n_subproducts):g}{' (fair)' if workers.omega == 'fair' else ''}",
        str(workers.work),
        span,
        str(point.seed),
        stored.short_id,
    )


def results(curves: Sequence[Curve], show: Sequence[float]) -> str:
    """Return the tables of simulated beside exact losses."""
    return "\n".join(
        table(f"Normalized loss: {block.title}", block.header, block.body) for block in blocks(curves, show, SUMMARY_WIDTH)
    )


def stops(points: Sequence[StoredPoint], curves: Sequence[Curve]) -> str:
    """Return the table of how far every point is, and why it stopped."""
    rows = []
    for stored, curve in zip(points, curves, strict=True):
        with_error = (curve.normalized > 0) & (curve.normalized_stderr >= 0)
        relative = max((curve.normalized_stderr[with_error] / curve.normalized[with_error]).tolist(), default=math.nan)
        # Where nothing varies, what is left is rounding.
        relative = 0.0 if relative < ROUNDING else relative
        reason = stored.stop_reason or f"not finished{f': {stored.progress}' if stored.progress else ''}"
        rows.append(
            (
                stored.point.describe(),
                f"{stored.tally.realizations:,}",
                "–" if math.isnan(relative) else f"{relative:.2g}",
                f"{stored.seconds:.3g}",
                "packets received" if stored.tally.domain == "count" else "deadline",
                stored.tally.decoder,
                reason,
            )
        )
    header = ("point", "realizations", "greatest relative error", "seconds", "simulated by", "decoder", "why it stopped")
    return table("Realizations and stop reasons", header, rows, numbers_from=99)


def provenance(section: Section) -> str:
    """Return who computed a sweep, with what."""

    def every(name: str) -> str:
        found = dict.fromkeys(value for p in section.points for value in getattr(p, name) if value)
        return ", ".join(found) or "–"

    options = ", ".join(f"{key} = {value}" for key, value in section.sweep.options.items() if value is not None) or "none"
    return facts(
        [
            ("Begun", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(section.sweep.started))),
            ("Entered by", f"uepgpu {section.sweep.version}"),
            ("Computed by versions", every("versions")),
            ("Backends", every("backends")),
            ("Devices", every("devices")),
            ("Seeds", ", ".join(str(s) for s in dict.fromkeys(p.point.seed for p in section.points))),
            ("Changed on the command line", options),
            ("Points without a finished range", str(section.missing)),
        ]
    )


def writer() -> str:
    """Return what wrote the report."""
    names = ("numpy", "scipy", "xarray", "plotly")
    return f"uepgpu {__version__}, Python {platform.python_version()}, " + ", ".join(f"{n} {metadata.version(n)}" for n in names)


def numbers_of(chart: Chart) -> str:
    """Return every number of a chart as tables, for those who cannot see plots or want to take them along."""
    return "\n".join(_lines(panel) if panel.lines else _boxes(panel) for panel in chart.panels)


def _lines(panel: Panel) -> str:
    rows: list[tuple[str, ...]] = []
    for line in panel.lines:
        exact = [math.nan] * line.x.size if line.exact is None else line.exact.tolist()
        for x, v, low, high, e in zip(line.x, line.value, line.low, line.high, exact, strict=True):
            rows.append((line.label, f"{x:g}", f"{v:.5g}", f"{low:.5g}", f"{high:.5g}", "–" if math.isnan(e) else f"{e:.5g}"))
    return table(f"{panel.title}: {panel.y_label}", ("series", panel.x_label, "value", "95 % low", "95 % high", "exact"), rows)


def _boxes(panel: Panel) -> str:
    rows = [
        (box.label, *(f"{q:.5g}" for q in box.quantiles), f"{box.mean:.5g}", f"{box.low:.5g}", f"{box.high:.5g}")
        for box in panel.boxes
    ]
    header = ("series", *(f"{100 * level:g} %" for level in LEVELS), "mean", "95 % low of it", "95 % high")
    return table(f"{panel.title}: {panel.x_label}", header, rows)
