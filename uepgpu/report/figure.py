"""Panels of charts as figures of plotly.js: plain data without colours, which the page chooses for light and dark."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from uepgpu.charts.chart import Box, Chart, Line, Panel
from uepgpu.charts.looks import look

__all__ = ["DASHES", "SYMBOLS", "figure_of"]

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
DASHES = ("solid", "dash", "dashdot")
GUIDE = "dot"
DIGITS = 6
"""Significant digits that are written: far beyond the intervals, and half the size."""


def figure_of(chart: Chart, panel: Panel) -> dict[str, Any]:
    """Return ``data`` and ``layout`` of a panel.

    Every trace has ``meta`` with its series' label and the number of its colour, which the page's script fills in.
    """
    if panel.boxes:
        return {"data": [t for i, b in enumerate(panel.boxes) for t in _box(chart, b, i)], "layout": _box_layout(chart, panel)}
    return {"data": [t for line in panel.lines for t in _line(chart, panel, line)], "layout": _line_layout(chart, panel)}


def _plain(label: str) -> str:
    """Return a label as plotly.js shows it as it is: it takes ``<b>`` and ``<a href=...>`` for markup, and knows entities."""
    return html.escape(label, quote=False)


def _numbers(values: Any) -> list[float | None]:
    """Return numbers for JSON, which knows neither nan nor inf."""
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in np.asarray(values, dtype=np.float64).tolist()]


def _line(chart: Chart, panel: Panel, line: Line) -> list[dict[str, Any]]:
    color, marker, dashes = look(chart.looks[line.label])
    symbol, dash = SYMBOLS[marker], DASHES[dashes]
    drawn = line.drawn(probability=chart.probability)
    # Out of turn a mark is a dot, which can still be pointed at.
    sizes = np.where(chart.turn(panel, line), 7, 2)
    exact = line.exact
    common: dict[str, Any] = {"type": "scatter", "name": _plain(line.label), "meta": {"series": line.label, "color": color}}
    through = np.where(drawn, line.value, np.nan) if exact is None else exact
    if chart.logarithmic:
        through = np.where(through > 0, through, np.nan)
    x, y = chart.path(line, through)
    traces = [
        {
            **common,
            "mode": "lines",
            "x": _numbers(x),
            "y": _numbers(y),
            "line": {"dash": GUIDE if exact is None else dash, "width": 1.6, "shape": "vh" if chart.steps else "linear"},
            "hoverinfo": "skip",
        }
    ]
    if drawn.any():
        value, low, high = line.value[drawn], line.low[drawn], line.high[drawn]
        if chart.logarithmic:
            low = np.maximum(low, chart.value_range()[0] * 1e-3)
        exact_text = ["no closed form"] * int(drawn.sum()) if exact is None else [f"{e:.4g}" for e in exact[drawn]]
        traces.append(
            {
                **common,
                "mode": "markers",
                "x": _numbers(line.x[drawn]),
                "y": _numbers(value),
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": _numbers(np.maximum(high - value, 0)),
                    "arrayminus": _numbers(np.maximum(value - low, 0)),
                    "thickness": 1.2,
                    "width": 2.5,
                },
                "marker": {"symbol": f"{symbol}-open", "size": sizes[drawn].tolist(), "line": {"width": 1.5}},
                "customdata": [[f"{a:.4g}", f"{b:.4g}", e] for a, b, e in zip(line.low[drawn], high, exact_text, strict=True)],
                "hovertemplate": "%{x:.4g}: <b>%{y:.4g}</b><br>95 %: %{customdata[0]} to %{customdata[1]}"
                "<br>exact: %{customdata[2]}<extra>%{fullData.name}</extra>",
            }
        )
    bounds = [(line.upper_bound, line.high, "arrow-bar-down", "nothing observed, at most")]
    if chart.probability:
        bounds.append((line.lower_bound, line.low, "arrow-bar-up", "no failure observed, at least"))
    for where, at, arrow, text in bounds:
        if where.any():
            traces.append(
                {
                    **common,
                    "mode": "markers",
                    "x": _numbers(line.x[where]),
                    "y": _numbers(at[where]),
                    "marker": {"symbol": f"{arrow}-open", "size": (sizes[where] + 2).tolist(), "line": {"width": 1.4}},
                    "hovertemplate": f"%{{x:.4g}}: {text} <b>%{{y:.4g}}</b> (95 %)<extra>%{{fullData.name}}</extra>",
                }
            )
    return traces


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "standoff": 8}, "automargin": True, "showline": True, "zeroline": False, "ticks": "outside"}


def _logarithmic(axis: dict[str, Any], ends: tuple[float, float]) -> dict[str, Any]:
    return axis | {"type": "log", "range": [float(np.log10(e)) for e in ends], "dtick": 1, "exponentformat": "power"}


def _line_layout(chart: Chart, panel: Panel) -> dict[str, Any]:
    ends = chart.value_range()
    y = _axis(panel.y_label)
    y = _logarithmic(y, ends) if chart.logarithmic else y | {"range": list(ends)}
    x = _axis(panel.x_label)
    if chart.log_x:
        x |= {"type": "log"}
    return {"xaxis": x, "yaxis": y, "showlegend": False, "hovermode": "closest"}


def _box(chart: Chart, box: Box, place: int) -> list[dict[str, Any]]:
    color, marker, _ = look(chart.looks[box.label])
    symbol = SYMBOLS[marker]
    zero = _place_of_zero(chart)
    at = [q if q > 0 else zero for q in box.quantiles]
    common: dict[str, Any] = {"type": "scatter", "name": _plain(box.label), "meta": {"series": box.label, "color": color}}
    quantiles = ", ".join(f"{q:.4g}" for q in box.quantiles)
    text = f"5, 25, 50, 75, 95 %: {quantiles}<br>mean {box.mean:.4g} (95 %: {box.low:.4g} to {box.high:.4g})"
    hover = {"hovertemplate": f"{text}<extra>%{{fullData.name}}</extra>"}
    lines = [
        {**common, "mode": "lines", "x": _numbers(ends), "y": [place, place], "line": {"width": width}, "opacity": opacity, **hover}
        for ends, width, opacity in (([at[0], at[4]], 1.5, 1.0), ([at[1], at[3]], 9, 0.55))
    ]
    marks = [(at[2], f"{symbol}-open", 9)] + ([(box.mean, "line-ns-open", 14)] if box.mean > 0 else [])
    return lines + [
        {
            **common,
            "mode": "markers",
            "x": _numbers([x]),
            "y": [place],
            "marker": {"symbol": shape, "size": size, "line": {"width": 2}},
            **hover,
        }
        for x, shape, size in marks
    ]


def _place_of_zero(chart: Chart) -> float:
    """Half a decade to the left of everything, a logarithmic axis has a place for 0."""
    return chart.value_range()[0] * 10**-0.5 if chart.logarithmic else 0.0


def _box_layout(chart: Chart, panel: Panel) -> dict[str, Any]:
    floor, top = chart.value_range()
    x = _axis(panel.x_label)
    if chart.logarithmic:
        zero = _place_of_zero(chart)
        x = _logarithmic(x, (zero * 0.7, top))
        decades = range(round(float(np.log10(floor))), int(np.floor(np.log10(top))) + 1)
        x |= {"tickmode": "array", "tickvals": [zero, *(10.0**d for d in decades)]}
        x |= {"ticktext": ["0", *(f"10<sup>{d}</sup>" for d in decades)]}
    else:
        x |= {"range": [-0.02 * top, top]}
    count = len(panel.boxes)
    y = _axis("") | {
        "tickmode": "array",
        "tickvals": list(range(count)),
        "ticktext": [_plain(b.label) for b in panel.boxes],
        "range": [count - 0.4, -0.6],
    }
    return {"xaxis": x, "yaxis": y, "showlegend": False, "hovermode": "closest"}
