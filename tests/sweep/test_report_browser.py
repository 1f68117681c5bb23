"""In a browser that may not load anything the report draws every plot, and labels stay text."""

from __future__ import annotations

import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cases.reports import Reader, read_page, write_page
from tests.cases.stores import EW, SPEC, make_store, shared_store
from uepgpu.commands.report import run_report

plotly = pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def page(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(store, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def read(page: Path) -> Reader:
    return read_page(page)


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
def test_every_plot_is_drawn_without_a_network(chromium: str, page: Path, read: Reader, tmp_path: Path, paper: str) -> None:
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
