"""The report is one file that loads nothing, says everything, and draws every plot in a browser without a network."""

from __future__ import annotations

import builtins
import html
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu
from tests.cases.command_line import call
from tests.cases.reports import Reader, read_page, write_page
from tests.cases.stores import EW, SPEC, make_store, shared_store
from uepgpu.charts import KINDS, build_chart
from uepgpu.report.figure import figure_of
from uepgpu.store.sections import Section, read_sections

plotly = pytest.importorskip("plotly")

SINGLE = [kind for kind in KINDS if kind != "rounds"]
"""Kinds that points of single rounds have."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def section(store: Path) -> Section:
    return read_sections(store)[0]


@pytest.fixture(scope="module")
def page(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(store, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def read(page: Path) -> Reader:
    return read_page(page)


# --- what is in the file ------------------------------------------------------------------------------------------


def test_nothing_in_the_page_points_outside(read: Reader) -> None:
    for tag, attributes in read.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a["content"] for t, a in read.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    # plotly.js knows addresses of maps, which the policy forbids it to ask; nothing of ours has one.
    ours = [s for s in read.scripts if len(s) < 1_000_000]
    assert len(ours) == len(read.scripts) - 1
    assert not any(re.search(r"https?://|@import|url\(", s) for s in ours)


def test_every_point_is_there_with_parameters_stop_reason_and_provenance(read: Reader, section: Section) -> None:
    text = " ".join(read.text)
    for stored in section.points:
        assert stored.short_id in text
        assert stored.point.series in text
        assert stored.stop_reason
        assert stored.stop_reason in text
        assert repr(stored.point.code) in text
        assert repr(stored.point.workers.latency) in text
    assert section.sweep.text in "".join(read.text)
    assert section.title in text
    for value in (*section.points[0].backends, *section.points[0].devices, *section.points[0].versions, uepgpu.__version__):
        assert value in text
    headings = [html.unescape(h) for h in ("Results", "Parameters", "Provenance", "Realizations and stop reasons")]
    assert all(h in text for h in headings)


def test_labels_are_text_whatever_is_in_them(page: Path, read: Reader) -> None:
    content = page.read_text(encoding="utf-8")
    assert EW not in content
    assert not any(tag == "b" for tag, _ in read.elements)
    figures = json.loads(next(s for s in read.scripts if s.startswith("{")))
    assert html.escape(EW, quote=False) in {trace["name"] for figure in figures.values() for trace in figure["data"]}


def test_the_page_can_be_read_without_seeing_it(read: Reader) -> None:
    elements = read.elements
    assert ("html", {"lang": "en"}) in elements
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption")
    assert tags.count("h1") == tags.count("main") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert all(a.get("scope") for tag, a in elements if tag == "th")
    plots = [a for _, a in elements if a.get("class") == "plot"]
    assert plots
    assert all(a.get("role") == "img" and a.get("aria-label") for a in plots)
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids))
    boxes = [a for tag, a in elements if tag == "input"]
    assert all(a["type"] == "checkbox" and a["data-section"] for a in boxes)
    assert tags.count("label") == len(boxes)


def luminance(color: str) -> float:
    """Return the relative luminance of #rgb or #rrggbb, as WCAG defines it."""
    digits = color[1:] if len(color) == 7 else "".join(2 * c for c in color[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_and_series_stand_out_in_light_dark_and_print(read: Reader) -> None:
    css = next(s for s in read.scripts if "prefers-color-scheme: dark" in s and "{" in s and "--paper" in s and "@media" in s)
    papers = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    assert len(papers) == 3
    for block in papers:
        colors = {name: luminance(value) for name, value in re.findall(r"--(\w+): (#\w+);", block)}
        light, dark = colors["paper"] > 0.5, colors["paper"]

        def contrast(name: str, colors: dict[str, float] = colors, dark: float = dark) -> float:
            high, low = max(colors[name], dark), min(colors[name], dark)
            return (high + 0.05) / (low + 0.05)

        assert contrast("ink") >= 7
        assert min(contrast("soft"), contrast("link")) >= 4.5
        # On white, orange and sky blue are pale in every palette for the colour-blind; marks and dashes tell them apart as well.
        assert min(contrast(f"c{i}") for i in range(7)) >= (2 if light else 4.5)


@pytest.mark.parametrize("kind", SINGLE)
def test_plots_hold_the_numbers_of_the_chart_and_are_valid_plotly(section: Section, kind: str) -> None:
    from plotly.graph_objects import Figure

    chart = build_chart(kind, section.points, "", (1.0,) if kind in ("workers", "distribution") else ())
    for panel in chart.panels:
        figure = figure_of(chart, panel)
        Figure(figure)  # raises for what plotly does not know
        json.dumps(figure, allow_nan=False)
        for line in panel.lines:
            traces = [t for t in figure["data"] if t["name"] == html.escape(line.label, quote=False)]
            drawn = line.drawn(probability=chart.probability)
            marks = [t for t in traces if t["mode"] == "markers" and "error_y" in t]
            assert len(marks) == int(drawn.any())
            for trace in marks:
                np.testing.assert_allclose(trace["y"], line.value[drawn], rtol=1e-5)
                high = np.add(trace["y"], trace["error_y"]["array"])
                np.testing.assert_allclose(high, line.high[drawn], rtol=1e-4, atol=1e-12)
            bounds = [t for t in traces if t["mode"] == "markers" and "error_y" not in t and "down" in t["marker"]["symbol"]]
            assert sum(len(t["y"]) for t in bounds) == int(line.upper_bound.sum())
            if line.exact is not None:
                curve = next(t for t in traces if t["mode"] == "lines")["y"]
                shown = [(v, e) for v, e in zip(curve, chart.path(line, line.exact)[1], strict=True) if v is not None]
                np.testing.assert_allclose(*zip(*shown, strict=True), rtol=1e-5)


# --- the command --------------------------------------------------------------------------------------------------


def test_a_report_without_plotly_says_what_to_install(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "report", str(store)) == 2
    err = capsys.readouterr().err
    assert 'pip install "uepgpu[report]"' in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls_of_report_end_with_2_and_write_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for options, message in (
        (("-o", "x.pdf"), "--output must end in .html, got 'x.pdf'"),
        (("--at", "0.7"), "no point has the deadline 0.7"),
        (("--series", "none"), "--series must fit a label, got 'none'"),
        (("--sweep", "none"), "has no sweep 'none'"),
    ):
        assert call(monkeypatch, "report", str(store), *options) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_shown_is_said_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    head = SPEC[: SPEC.index("[[series]]")].replace('["unit", "true"]', '"true"')
    make_store(tmp_path, head + '[[series]]\nlabel = "EW"\ncode = "ew"\n')
    assert call(monkeypatch, "report", "store.db") == 0
    text = (tmp_path / "store.html").read_text(encoding="utf-8")
    assert "Not shown: no point was simulated by the number of packets received" in text
    assert "Not shown: no series has two numbers of workers" in text


def test_a_report_is_the_same_twice(store: Path, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "report", str(store), "-o", str(tmp_path / "again.html")) == 0
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
