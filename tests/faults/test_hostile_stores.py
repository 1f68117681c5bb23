"""What a store holds is not trusted: its texts are text everywhere, and its names are no paths."""

from __future__ import annotations

import csv
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from uepgpu.charts import KINDS, NothingToShow, build_chart
from uepgpu.cli import main
from uepgpu.points.point import Sweep
from uepgpu.report.figure import figure_of
from uepgpu.store import tables
from uepgpu.store.errors import StoreError
from uepgpu.store.sections import read_sections
from uepgpu.store.store import Store
from uepgpu.store.stored import read_points, read_sweeps
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local
from uepgpu.sweep.run import identify_all
from uepgpu.sweep.spec import read_spec

LABELS = (
    '<a href="https://evil.example/">EW</a><b>x</b>',
    '=HYPERLINK("https://evil.example/")',
    "-1+1\x1b]0;owned\x07\x1b[2J",
    "@sum\r\nforged: line\u202e",
    "+$\\frac{1}{2}$",
)
NAMES = ("../../escaped", "~", "/tmp/escaped", "~root/x", "..", "a\x1b[31mb", "-rf")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with these labels, which no specification would have let in."""
    path = tmp_path_factory.mktemp("hostile") / "s.db"
    points = read_spec("paper", realizations=200, seed=1).points[:3]
    named = [replace(points[i % 3], series=label, partition=f"{i}\x1b[5m") for i, label in enumerate(LABELS)]
    sweep = Sweep(NAMES[0], '<img src="x" onerror="alert(1)">\x1b[2J', tuple(named), (), 'title = "\x1b[2J"\n')
    with Store(path) as writing:
        collection = Collection(writing, sweep, identify_all(named), {"\x1b[2J": "\x07"})
        collection.run(Local("numpy"))
    return path


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["uepgpu", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, out, err


def test_what_is_read_can_be_printed(store: Path) -> None:
    (sweep,) = read_sweeps(store)
    texts = [sweep.name, sweep.title, *sweep.options, *map(str, sweep.options.values())]
    for stored in read_points(store):
        texts += [stored.point.series, stored.point.partition, stored.sweep, stored.stop_reason, stored.point.describe()]
    for text in texts:
        assert text.isprintable()
        assert "\u202e" not in text
    assert [c for c in sweep.text if not c.isprintable()] == ["\n"]
    assert any("\\x1b]0;owned\\x07" in text for text in texts)


def test_cells_are_no_formulas(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(monkeypatch, capsys, "export", store, "--csv", tmp_path / "x.csv")
    assert (code, err) == (0, "")
    assert out.isascii()
    assert "\x1b" not in out
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name, cell in row.items():
            assert not cell.startswith(("=", "@", "\t", "\r"))
            assert not cell.startswith(("+", "-")) or cell == str(float(cell)), name
    labels = {row["series"] for row in rows}
    assert '\'=HYPERLINK("https://evil.example/")' in labels
    assert LABELS[0] in labels


def test_plots_take_no_label_for_markup(store: Path) -> None:
    (section,) = read_sections(store)
    seen = 0
    for kind in KINDS:
        try:
            chart = build_chart(kind, section.points, section.title)
        except NothingToShow:
            continue
        for panel in chart.panels:
            figure = figure_of(chart, panel)
            shown = [trace["name"] for trace in figure["data"]] + figure["layout"]["yaxis"].get("ticktext", [])
            assert not any("<" in name or ">" in name for name in shown), shown
            seen += len(shown)
            # The script of the page looks series up by the label itself.
            assert {trace["meta"]["series"] for trace in figure["data"]} <= {p.point.series for p in section.points}
    assert seen > 20


def test_a_report_has_no_label_as_markup(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly")
    code, _, err = call(monkeypatch, capsys, "report", store, "-o", tmp_path / "r.html")
    assert (code, err) == (0, "")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = page[: page.index('<script type="application/json"')]
    assert "\x1b" not in page
    assert "<img" not in page
    assert 'href="https' not in page


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_sweep_is_no_path(
    store: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    copy = folder / "s.db"
    copy.write_bytes(store.read_bytes())
    with Store(copy) as writing, writing._transaction():
        (sweep,) = writing._rows.select(tables.Sweep)
        writing._rows.replace(sweep, name=name)
    monkeypatch.chdir(folder)
    before = {f for f in tmp_path.rglob("*") if f.is_file()}
    code, out, err = call(monkeypatch, capsys, "plot", "s.db", "--kind", "loss", "--series", "=*")
    assert (code, err) == (0, "")
    (made,) = {f for f in tmp_path.rglob("*") if f.is_file()} - before
    assert made.parent == folder
    assert made.name.endswith("-loss.png")
    assert not made.name.startswith((".", "-", "~"))
    assert "\x1b" not in out


HOSTILE_PIECES = {
    "an unknown code": ("code", '{"name":"worm"}'),
    "no JSON": ("code", "import os"),
    "a list": ("workers", "[1, 2]"),
    "another type": ("deadlines", '"soon"'),
    "a pickle": ("part", '{"gram": {"dtype": "|O", "shape": [1], "base64": "gASVAAAAAA=="}}'),
    "an enormous array": ("part", '{"gram": {"dtype": "<f8", "shape": [1000000000000], "base64": "AAAA"}}'),
    "no frame": ("frame", "{}"),
}


@pytest.mark.parametrize("what", HOSTILE_PIECES)
def test_a_description_that_makes_no_sense_is_refused_in_one_line(
    store: Path, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    column, text = HOSTILE_PIECES[what]
    copy = tmp_path / "s.db"
    copy.write_bytes(store.read_bytes())
    with Store(copy) as writing, writing._transaction():
        rows = writing._rows
        key = rows.insert(tables.Piece, hashlib.sha256(text.encode()).digest(), text)
        rows.replace(next(rows.select(tables.Point)), **{column: key})
    with pytest.raises(StoreError, match=r"holds a description that uepgpu .* cannot read"):
        read_points(copy)
    for arguments in (("export", copy, "--csv", tmp_path / "x.csv"), ("plot", copy, "-o", tmp_path / "x.png")):
        code, out, err = call(monkeypatch, capsys, *arguments)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert len(err) < 600
    assert call(monkeypatch, capsys, "combine", copy, "-o", tmp_path / "new.db")[0] == 0


def test_options_that_are_none_are_refused(store: Path, tmp_path: Path) -> None:
    for changes in ({"options": "[]"}, {"show": '["x"]'}, {"show": "{}"}, {"options": "not JSON"}):
        copy = tmp_path / "s.db"
        copy.write_bytes(store.read_bytes())
        with Store(copy) as writing, writing._transaction():
            writing._rows.replace(next(writing._rows.select(tables.Sweep)), **changes)
        if changes == {"show": "{}"}:
            assert read_sweeps(copy)[0].show == ()
            continue
        with pytest.raises(StoreError, match="cannot read"):
            read_sweeps(copy)
