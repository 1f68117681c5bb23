"""The page: one file with everything in it, which a policy of its own forbids to load anything."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from uepgpu.charts import KINDS, Chart, NothingToShow, build_chart
from uepgpu.charts.kinds import HEADINGS, too_many
from uepgpu.charts.loss import chart_of_curves
from uepgpu.charts.times import preferred
from uepgpu.report import tables
from uepgpu.report.figure import figure_of
from uepgpu.report.html import details, escape, json_script
from uepgpu.report.swatch import swatch
from uepgpu.results.curve import Curve, curve_of
from uepgpu.results.setting import describe_setting
from uepgpu.results.summary import NOTE
from uepgpu.store.sections import Section

__all__ = ["build_page"]

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'"
)
"""Nothing comes from anywhere; images are those that the plots' own download button makes."""

KEYS = {
    "lines": "Line: exact. Mark: simulated, with its 95 % interval. Dotted: no closed form, through the marks. "
    "Arrow: nothing (or no failure) was observed; it stands at the 95 % bound and points to where the truth is.",
    "boxes": "Thin: 5 % to 95 % of realizations. Thick: 25 % to 75 %. Mark: median. Upright bar: mean.",
}


def build_page(store: str, sections: Sequence[Section], plotly_js: str, at: Sequence[float] = ()) -> str:
    """Return the HTML of a report.

    Parameters
    ----------
    store : str
        What the store is called.
    sections : sequence of Section
    plotly_js : str
        The source of plotly.js.
    at : sequence of float
        Deadlines that charts at a few of them show.

    Raises
    ------
    ValueError
        If `at` is none of a sweep's deadlines.
    """
    figures: dict[str, Any] = {}
    parts = [_section(section, number, figures, at) for number, section in enumerate(sections)]
    contents = "".join(f'<li><a href="#s{n}">{escape(s.title)}</a></li>' for n, s in enumerate(sections))
    here = files("uepgpu.report")
    # A script element ends at the first closing tag in it; plotly.js has none, and this keeps it so.
    source = plotly_js.replace("</script", "<\\/script")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>uepgpu report: {escape(store)}</title>
<style>
{here.joinpath("page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header>
<h1>Report of {escape(store)}</h1>
{tables.overview(sections)}
{f'<nav aria-label="Sweeps"><ul>{contents}</ul></nav>' if len(sections) > 1 else ""}
</header>
<div id="trouble" role="alert" hidden>Something in this page failed:</div>
<noscript><p role="alert">The plots need JavaScript. Every number of theirs is in the tables below each of them.</p></noscript>
<main id="main">
{"".join(parts)}
</main>
<footer><p class="note">Written by {escape(tables.writer())}.</p></footer>
{json_script("figures", figures)}
<script>{source}</script>
<script>{here.joinpath("page.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def _section(section: Section, number: int, figures: dict[str, Any], at: Sequence[float]) -> str:
    curves = [curve_of(p) for p in section.points]
    kinds = [kind for kind in KINDS if kind != "rounds" or any(p.point.rounds for p in section.points)]
    charts = [_chart(kind, section, curves, f"s{number}-{kind}", figures, at) for kind in kinds]
    return f"""<section id="s{number}" aria-labelledby="h{number}">
<h2 id="h{number}">{escape(section.title)}</h2>
<h3>Results</h3>
<p class="note">{escape(describe_setting([p.point for p in section.points]))}</p>
<p class="note">{escape(NOTE)}</p>
{tables.results(curves, section.sweep.show)}
{"".join(charts)}
<h3>Realizations and stop reasons</h3>
{tables.stops(section.points, curves)}
<h3>Parameters</h3>
{tables.parameters(section.points)}
<h3>Provenance</h3>
{tables.provenance(section)}
{details("The specification", f"<pre>{escape(section.sweep.text)}</pre>", printed=True) if section.sweep.text else ""}
</section>
"""


def _chart(kind: str, section: Section, curves: Sequence[Curve], name: str, figures: dict[str, Any], at: Sequence[float]) -> str:
    heading = f"<h3>{escape(HEADINGS[kind])}</h3>"
    if crowded := too_many(kind, section.points):
        return f'{heading}<p class="note">Not shown: {escape(crowded)}; write a report of some of them with --series.</p>'
    try:
        if kind == "loss":
            chart = chart_of_curves(curves, section.title, bound=True)
        else:
            chart = build_chart(kind, section.points, section.title, at or preferred(section.points, section.sweep.show))
    except NothingToShow as reason:
        return f'{heading}<p class="note">Not shown: {escape(reason)}.</p>'
    boxes = any(p.boxes for p in chart.panels)
    setting = describe_setting([p.point for p in section.points])  # which stands above the tables
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in chart.notes if note != setting)
    return f"""{heading}
<p class="key">{escape(KEYS["boxes" if boxes else "lines"])}</p>
{_legend(chart, name)}
{notes}<div class="panels{" wide" if boxes else ""}" style="--columns: {max(map(len, chart.rows))}">
{"".join(_panels(chart, name, figures))}</div>
<div class="numbers">{details("All numbers of these plots", tables.numbers_of(chart))}</div>
"""


def _legend(chart: Chart, name: str) -> str:
    """Return boxes that show and hide series, with what these look like."""
    entries = "".join(
        f'<label class="series"><input type="checkbox" checked data-section="{name}" data-series="{escape(label)}">'
        f"{swatch(number, dotted=label in chart.without_exact)} {escape(label)}</label>"
        for label, number in chart.looks.items()
    )
    return f"<fieldset><legend>Series</legend>{entries}</fieldset>"


def _panels(chart: Chart, name: str, figures: dict[str, Any]) -> list[str]:
    result = []
    for number, panel in enumerate(chart.panels):
        key = f"{name}-{number}"
        figures[key] = figure_of(chart, panel)
        count = len(panel.lines) + len(panel.boxes)
        axis = f"{panel.y_label} against {panel.x_label}" if panel.lines else panel.x_label
        label = f"Plot of {count} series, {panel.title}: {axis}. Its numbers are in a table below."
        result.append(
            f'<figure><figcaption>{escape(panel.title)}</figcaption><div class="plot" id="{key}" data-section="{name}" '
            f'role="img" aria-label="{escape(label)}"></div></figure>\n'
        )
    return result
