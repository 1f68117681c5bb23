"""The report is one file that loads nothing, says everything, and draws every plot in a browser without a network."""

from __future__ import annotations

import builtins
import html
import http.server
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu
from tests.cases.stores import EW, SPEC, make_store, shared_store
from uepgpu.charts import KINDS, build_chart
from uepgpu.cli import main
from uepgpu.commands.report import run_report
from uepgpu.report.figure import figure_of
from uepgpu.store.sections import Section, read_sections

plotly = pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def section(store: Path) -> Section:
    return read_sections(store)[0]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["uepgpu", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture(scope="module")
def page(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, "report", str(store), "-o", str(file)) == 0
    return file


class _Reader(HTMLParser):
    """Collects the text outside scripts and styles, elements with their attributes, and scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in = tag
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._in:
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in:
            self.scripts[-1] += data
        else:
            self.text.append(data)


@pytest.fixture(scope="module")
def read(page: Path) -> _Reader:
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


# --- what is in the file ------------------------------------------------------------------------------------------


def test_nothing_in_the_page_points_outside(read: _Reader) -> None:
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


def test_every_point_is_there_with_parameters_stop_reason_and_provenance(read: _Reader, section: Section) -> None:
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


def test_labels_are_text_whatever_is_in_them(page: Path, read: _Reader) -> None:
    content = page.read_text(encoding="utf-8")
    assert EW not in content
    assert not any(tag == "b" for tag, _ in read.elements)
    figures = json.loads(next(s for s in read.scripts if s.startswith("{")))
    assert EW in {trace["name"] for figure in figures.values() for trace in figure["data"]}


def test_the_page_can_be_read_without_seeing_it(read: _Reader) -> None:
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


def test_text_and_series_stand_out_in_light_dark_and_print(read: _Reader) -> None:
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


@pytest.mark.parametrize("kind", KINDS)
def test_plots_hold_the_numbers_of_the_chart_and_are_valid_plotly(section: Section, kind: str) -> None:
    from plotly.graph_objects import Figure

    chart = build_chart(kind, section.points, "", (1.0,) if kind in ("workers", "distribution") else ())
    for panel in chart.panels:
        figure = figure_of(chart, panel)
        Figure(figure)  # raises for what plotly does not know
        json.dumps(figure, allow_nan=False)
        for line in panel.lines:
            traces = [t for t in figure["data"] if t["name"] == line.label]
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
                shown = [(v, e) for v, e in zip(curve, line.exact, strict=True) if v is not None]
                np.testing.assert_allclose(*zip(*shown, strict=True), rtol=1e-5)


# --- in a browser -------------------------------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-pings",
    "--enable-logging=stderr",
    "--virtual-time-budget=30000",
)
NO_NETWORK = ("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>")


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        message = "no Chromium here: on Debian, apt-get install chromium"
        if os.environ.get("UEPGPU_REQUIRE_CHROMIUM"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def browse(chromium: str, page: Path, tmp_path: Path, *flags: str) -> tuple[str, list[str]]:
    """Return the page's elements once it has settled, and what its console said."""
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [chromium, *FLAGS, profile, *flags, "--dump-dom", page.as_uri()],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


CLICKS = """<script>
const waiting = setInterval(() => {
  const root = document.documentElement;
  if (!root.dataset.drawn) return;
  clearInterval(waiting);
  const box = document.querySelector('input[data-section="s0-loss"]');
  const lines = () => document.querySelectorAll("#s0-loss-0 g.trace").length;
  const seen = [lines()];
  box.click();
  const again = () => { seen.push(lines()); root.dataset.seen = seen; };
  setTimeout(() => { seen.push(lines()); box.click(); setTimeout(again, 300); }, 300);
}, 50);
</script>"""


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_every_plot_is_drawn_without_a_network(chromium: str, page: Path, read: _Reader, tmp_path: Path, paper: str) -> None:
    figures = json.loads(next(s for s in read.scripts if s.startswith("{")))
    copy = tmp_path / "clicked.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", CLICKS + "</body>"), encoding="utf-8")
    flags = ("--blink-settings=preferredColorScheme=0",) if paper == "dark" else ()
    dom, console = browse(chromium, copy, tmp_path, *NO_NETWORK, *flags)
    assert console == []
    root = re.search(r"<html[^>]*>", dom)
    assert root is not None
    assert f'data-drawn="{len(figures)}"' in root[0]
    assert "data-errors" not in root[0]
    traces = re.findall(r'<g class="trace scatter', dom)
    assert len(traces) == sum(len(f["data"]) for f in figures.values())
    # Every mark and interval is a path of its own.
    marks = sum(len(t["x"]) for f in figures.values() for t in f["data"] if t["mode"] == "markers")
    assert len(re.findall(r'<path class="point[ "]', dom)) == marks
    intervals = sum(len(t["x"]) for f in figures.values() for t in f["data"] if "error_y" in t)
    assert len(re.findall(r'<path class="yerror"', dom)) == intervals
    # MDS has the second colour of the style sheet for this paper; the first is its box that was clicked off and on.
    color = {"light": "rgb(213, 94, 0)", "dark": "rgb(255, 136, 72)"}[paper]
    assert color in " ".join(re.findall(r'<path class="js-line"[^>]*>', dom))
    shown = len(figures["s0-loss-0"]["data"])
    first = sum(t["meta"]["series"] == EW for t in figures["s0-loss-0"]["data"])
    assert f'data-seen="{shown},{shown - first},{shown}"' in root[0]


def test_labels_are_text_in_every_plot(chromium: str, tmp_path: Path) -> None:
    labels = ('<a href="https://evil.example/">click</a>', "<b>bold</b><br>x", "&lt;i&gt; %{x} <extra>y</extra>")
    head = SPEC[: SPEC.index("[[series]]")].replace('["unit", "true"]', '"unit"')
    series = [f"[[series]]\nlabel = '{label}'\ncode = '{code}'\n" for label, code in zip(labels, ("ew", "mds", "now"), strict=True)]
    store = make_store(tmp_path, head + "\n".join(series))
    assert run_report(str(store), output=str(tmp_path / "r.html"), sweep=None, series=(), at=()) == 0
    dom, console = browse(chromium, tmp_path / "r.html", tmp_path, *NO_NETWORK)
    assert console == []
    assert "data-errors" not in dom[: dom.index("<head>")]
    plots = dom[dom.index('<main id="main">') : dom.index("<footer>")]
    assert not re.search(r"<a [^>]*evil", plots)
    assert "font-weight: bold" not in re.sub(r"<style.*?</style>", "", plots, flags=re.S)
    # The axis of the distribution shows the labels, letter for letter.
    ticks = [html.unescape(t) for t in re.findall(r'<g class="ytick"><text[^>]*>(.*?)</text>', plots)]
    assert set(labels) <= set(ticks), ticks


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """A server that notes what it is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_whatever_would_load_or_fail_is_stopped_and_seen(
    chromium: str, page: Path, tmp_path: Path, outside: tuple[str, list[str]]
) -> None:
    address, asked = outside
    content = page.read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt.html"
    script = f"<script>fetch('{address}/fetched').catch(() => 0); setTimeout(() => {{ throw Error('mine'); }}, 9)</script>"
    spoilt.write_text(content.replace("</body>", f'<img src="{address}/image.png" alt="">{script}</body>'), encoding="utf-8")
    dom, console = browse(chromium, spoilt, tmp_path)
    root = re.search(r"<html[^>]*>", dom)
    assert root is not None
    assert all(word in root[0] for word in ("image.png", "fetched", "mine"))
    assert console
    assert asked == []
    # The server answers those who may ask it, so that its silence above means something.
    free = tmp_path / "free.html"
    free.write_text(f'<!DOCTYPE html><title>free</title><img src="{address}/image.png" alt="">', encoding="utf-8")
    browse(chromium, free, tmp_path / "free")
    assert "/image.png" in asked


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
