"""Figures for papers: widths, type, panels, names, scales and ends of axes, as arguments and as options."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.stores import shared_store
from uepgpu import theory
from uepgpu.charts import KINDS, Chart, build_chart
from uepgpu.charts.arrange import Arrangement, arranged
from uepgpu.figures import draw_chart, to_bytes
from uepgpu.figures.layout import Layout, inches, layout_of
from uepgpu.store.sections import read_sections
from uepgpu.store.stored import StoredPoint

SINGLE = [kind for kind in KINDS if kind != "rounds"]
"""Kinds that points of single rounds have."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def points(store: Path) -> tuple[StoredPoint, ...]:
    return read_sections(store)[0].points


@pytest.fixture(scope="module")
def loss(points: tuple[StoredPoint, ...]) -> Chart:
    return build_chart("loss", points, "A title that is long enough to need more than one line in a narrow column of a journal")


def texts(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


# --- layout -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SINGLE)
@pytest.mark.parametrize("width, columns", [("column", 1), ("page", 2)])
def test_whatever_is_written_fits_the_width(points: tuple[StoredPoint, ...], kind: str, width: str, columns: int) -> None:
    chart = build_chart(kind, points, "Codes", (1.0,) if kind in ("workers", "distribution", "exceedance") else ())
    figure = draw_chart(chart, Layout(width=inches("width", width)))
    figure.draw_without_rendering()
    assert figure.get_figwidth() == inches("width", width)
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert len(visible) == len(chart.panels)
    spec = visible[0].get_subplotspec()
    assert spec is not None
    assert spec.get_gridspec().ncols <= columns + (width == "page")
    # Ticks outside an axis's ends are never drawn, and have no place.
    unseen = {tick for axes in visible for axis in (axes.xaxis, axes.yaxis) for tick in axis.get_ticklabels(which="both")}
    notes = [text for text in figure.texts if text.get_text().startswith("W = ")]
    assert len(notes) == 1
    for legend in figure.legends:
        assert not notes[0].get_window_extent().overlaps(legend.get_window_extent())
    for axes in visible:
        assert not notes[0].get_window_extent().overlaps(axes.get_tightbbox())
        assert not any(legend.get_window_extent().overlaps(axes.get_tightbbox()) for legend in figure.legends)
    for axes in visible:  # labels beside an axis and titles do not run into each other
        for other in visible:
            assert other is axes or not axes.get_tightbbox().overlaps(other.get_tightbbox())
        assert axes.get_window_extent().height >= 0.4 * axes.get_window_extent().width or kind == "distribution"
        title = figure._suptitle  # type: ignore[attr-defined]  # matplotlib has no other way to ask for it
        assert not title.get_window_extent().overlaps(axes.get_tightbbox())
    for text in texts(figure):
        if text in unseen:
            continue
        box = text.get_window_extent()
        assert box.x0 >= -2, text.get_text()
        assert box.x1 <= figure.bbox.width + 2, text.get_text()


def test_text_has_the_size_that_is_asked_for(loss: Chart) -> None:
    for layout, size in ((Layout(font=7.5), 7.5), (Layout(width=3.5), 8.0), (Layout(width=7.16, font=10), 10.0)):
        figure = draw_chart(loss, layout)
        named = [t for axes in figure.axes for t in (axes.title, axes.xaxis.label, axes.yaxis.label)]
        named += [*figure.legends[0].get_texts(), *(t for axes in figure.axes for t in axes.get_xticklabels())]
        assert {t.get_fontsize() for t in named} == {size}
    assert {t.get_fontsize() for t in draw_chart(loss).legends[0].get_texts()} == {8.0}
    assert draw_chart(loss, Layout(height=2.5)).get_figheight() == 2.5


def test_axes_end_where_they_are_told(loss: Chart) -> None:
    figure = draw_chart(loss, Layout(x_limits=(0.5, 2.0), y_limits=(1e-2, 1.0)))
    for axes in figure.axes:
        assert axes.get_xlim() == (0.5, 2.0)
        assert axes.get_ylim() == (1e-2, 1.0)


def test_a_pdf_has_its_fonts_as_text(loss: Chart) -> None:
    content = to_bytes(draw_chart(loss, Layout(width=3.5)), "pdf")
    streams = b"".join(zlib.decompress(s) for s in re.findall(rb"FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL))
    assert b"/Type3" not in content + streams
    assert b"/CIDFontType2" in content + streams
    (box,) = re.findall(rb"/MediaBox \[ ?0 0 ([0-9.]+)", content + streams)
    assert float(box) == pytest.approx(3.5 * 72)


@pytest.mark.parametrize(
    "text, value",
    [("88mm", 88 / 25.4), ("8.8 cm", 8.8 / 2.54), ("3.5in", 3.5), ("252pt", 3.5), ("4", 4.0), (5, 5.0), ("page", 7.16)],
)
def test_lengths_have_units(text: Any, value: float) -> None:
    assert inches("width", text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "name, wrong", [("width", "wide"), ("width", "0.5in"), ("width", "88km"), ("height", "page"), ("height", True)]
)
def test_other_lengths_are_refused(name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be .*length from 1 to 60 inches"):
        inches(name, wrong)


def test_wrong_fonts_and_ends_are_refused() -> None:
    for arguments, message in [
        ((None, None, 2.0, None, None), "font must be from 3 to 72 points, got 2.0"),
        ((None, None, None, (1.0, 1.0), None), "x_limits must be two numbers, the lower one first"),
        ((None, None, None, None, (1.0, float("inf"))), "y_limits must be two numbers"),
        ((None, None, None, None, (1.0, 2.0, 3.0)), "y_limits must be two numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            layout_of(*arguments)


# --- arrangement ------------------------------------------------------------------------------------------------------


def test_panels_names_and_order_are_those_asked_for(loss: Chart) -> None:
    labels = list(loss.looks)
    last = labels[-1]
    found = arranged(loss, Arrangement(panels=(2, 1), order=(last, "*"), names={last: "the last"}, title=""))
    assert found.panels[0].title == loss.panels[1].title
    assert list(found.looks) == ["the last", *labels[:-1]]
    assert found.title == ""
    # A series keeps its looks, and its line its values.
    assert found.looks["the last"] == loss.looks[last]
    for panel, same in zip(found.panels, (loss.panels[1], loss.panels[0]), strict=True):
        for line, old in zip(panel.lines, same.lines, strict=True):
            assert line.label == ("the last" if old.label == last else old.label)
            assert line.value is old.value
    legend = [t.get_text() for t in draw_chart(found).legends[0].get_texts()]
    assert legend[: len(labels)] == ["the last", *labels[:-1]]
    assert arranged(loss, Arrangement()).looks == loss.looks


def test_scales_are_those_asked_for(loss: Chart, points: tuple[StoredPoint, ...]) -> None:
    figure = draw_chart(arranged(loss, Arrangement(x_scale="log", y_scale="linear")))
    assert {(a.get_xscale(), a.get_yscale()) for a in figure.axes} == {("log", "linear")}
    chances = build_chart("probability", points, "")
    figure = draw_chart(arranged(chances, Arrangement(y_scale="log")))
    for axes in (a for a in figure.axes if a.get_visible()):
        assert axes.get_yscale() == "log"
        assert 0 < axes.get_ylim()[0] < 1 < axes.get_ylim()[1]


def test_what_cannot_be_arranged_is_refused(loss: Chart, points: tuple[StoredPoint, ...]) -> None:
    labels = list(loss.looks)
    boxes = build_chart("distribution", points, "", (1.0,))
    for chart, wanted, message in [
        (loss, Arrangement(panels=(0,)), "panel must be from 1 to"),
        (loss, Arrangement(panels=(99,)), "got 99"),
        (loss, Arrangement(names={"nobody": "x"}), "no series 'nobody' to rename; there are"),
        (loss, Arrangement(names={labels[0]: labels[1]}), "two series would have one name"),
        (boxes, Arrangement(y_scale="log"), "an axis without numbers has no scale"),
    ]:
        with pytest.raises(ValueError, match=message):
            arranged(chart, wanted)
    assert not arranged(boxes, Arrangement(x_scale="linear")).logarithmic


# --- decoding probability against packets -----------------------------------------------------------------------------


def test_decoding_against_packets_is_the_tally_and_the_exact_law(points: tuple[StoredPoint, ...]) -> None:
    counted = [p for p in points if p.tally.domain == "count"]
    chart = build_chart("decoding", points, "")
    lines = {(panel.title, line.label): line for panel in chart.panels for line in panel.lines}
    assert len(lines) == sum(p.point.part.n_classes for p in counted)
    for p in counted:
        chance = p.tally.decoding_probability()
        for c in range(p.point.part.n_classes):
            (line,) = [
                line
                for (title, label), line in lines.items()
                if label == p.point.series
                and title.startswith(f"class {c + 1}: ")
                and p.point.partition in title
                and f"{p.point.workers.work} work" in title
            ]
            assert np.array_equal(line.value, chance.probability.values[:, c])
            assert np.array_equal(line.high, chance.high.values[:, c])
            assert np.array_equal(line.x, np.arange(p.tally.n_packets + 1))
            if line.exact is not None:
                exact = theory.decoding_probability(p.point.code, p.point.part, p.point.workers, received=[3, 9]).probability
                assert np.allclose(line.exact[[3, 9]], exact.values[:, c], rtol=0, atol=1e-12)
    assert any(line.exact is not None for line in lines.values())


# --- commands and Python ----------------------------------------------------------------------------------------------


def test_a_figure_for_a_paper_by_one_command(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--width", "88mm", "--font", "8", "--panel", "1", "--no-title", "--y-limits", "1e-3,1", "--x-scale", "linear")
    options += ("--series", "MDS", "--series", "E*", "--rename", "MDS", "maximum distance separable", "--style", "grayscale")
    assert call(monkeypatch, "plot", str(store), *options, "-o", "a.svg") == 0
    assert call(monkeypatch, "plot", str(store), *options, "-o", "b.svg") == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    written = (tmp_path / "a.svg").read_text()
    width = float(re.findall(r'width="([0-9.]+)pt"', written)[0])
    assert width == pytest.approx(88 / 25.4 * 72, abs=0.01)
    assert "<!-- maximum distance separable -->" in written
    assert written.index("<!-- maximum distance separable -->") < written.index("<!-- EW")
    (tmp_path / "mine.mplstyle").write_text("axes.facecolor: 123456\n")
    assert call(monkeypatch, "plot", str(store), "--style", "mine.mplstyle", "-o", "c.svg") == 0
    assert "#123456" in (tmp_path / "c.svg").read_text()


@pytest.mark.parametrize(
    "options, message",
    [
        (
            ("--width", "wide"),
            "--width must be column, page or a length from 1 to 60 inches such as 88mm, 8.8cm or 3.5in, got 'wide'",
        ),
        (("--font", "1"), "--font must be from 3 to 72 points, got 1.0"),
        (("--x-limits", "1"), "--x-limits must be two numbers, the lower one first"),
        (("--y-limits", "a,b"), "--y-limits must be numbers with commas between, got 'a,b'"),
        (("--panel", "7"), "panel must be from 1 to"),
        (("--rename", "nobody", "x"), "no series 'nobody' to rename"),
        (("--style", "none.mplstyle"), "--style must be a style sheet of matplotlib or its name, got 'none.mplstyle'"),
    ],
)
def test_wrong_options_end_with_one_line(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "plot", str(store), *options) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_arguments_are_the_options(store: Path, loss: Chart) -> None:
    label = next(iter(loss.looks))
    figure = uep.plot(
        store, width="column", height="60mm", font=7, panels=[1], names={label: "first"}, title="", y_limits=(1e-4, 1)
    )
    assert (figure.get_figwidth(), figure.get_figheight()) == (3.5, pytest.approx(60 / 25.4))
    assert len(figure.axes) == 1
    assert figure.axes[0].get_ylim() == (1e-4, 1)
    assert "first" in {t.get_text() for t in figure.legends[0].get_texts()}
    for wrong, message in [
        ({"width": "wide"}, "^width must be"),
        ({"panels": [9]}, "^panel must be from 1 to"),
        ({"x_scale": "cubic"}, "^x_scale must be one of 'linear', 'sqrt', 'log'"),
    ]:
        with pytest.raises(ValueError, match=message):
            uep.plot(store, **wrong)


def test_coinciding_lines_are_marked_in_turn(loss: Chart) -> None:
    panel = loss.panels[0]
    twice = replace(panel, lines=(panel.lines[0], replace(panel.lines[0], label=panel.lines[1].label)))
    first, second = (loss.turn(twice, line) for line in twice.lines)
    both = first & second
    assert not both.any() or first.all()  # few marks stand all; many take turns


# --- into axes of one's own ---------------------------------------------------------------------------------------------


def test_a_panel_is_drawn_into_axes_of_ones_own(store: Path) -> None:
    figure = Figure(figsize=(8, 3))
    left, right = figure.subplots(1, 2)
    assert uep.plot(store, panels=[1], series=["MDS", "nested"], ax=left, y_scale="sqrt", x_label="t") is figure
    assert not right.has_data()
    assert left.get_xlabel() == "t"
    assert left.get_yscale() == "function"
    assert figure.texts == []
    alone = uep.plot(store, panels=[1], series=["MDS", "nested"])
    legend = left.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == [t.get_text() for t in alone.legends[0].get_texts()]
    for mine, its in zip(left.lines, alone.axes[0].lines, strict=True):
        np.testing.assert_array_equal(mine.get_xydata(), its.get_xydata())
    uep.plot(store, "distribution", panels=[1], series=["MDS"], at=[1.0], ax=right)
    assert right.get_legend() is not None


def test_what_axes_of_ones_own_cannot_take_is_refused(store: Path) -> None:
    axes = Figure().subplots()
    with pytest.raises(ValueError, match="ax takes one panel, this figure has 2: choose one by panels="):
        uep.plot(store, ax=axes)
    with pytest.raises(ValueError, match="width and height are those of a new figure"):
        uep.plot(store, panels=[1], ax=axes, width="column")


def test_results_of_several_sweeps_are_one_figure(store: Path) -> None:
    one = uep.run_sweep("paper", realizations=100, backend="numpy")
    two = uep.run_sweep("paper", realizations=100, seed=8, backend="numpy")
    figure = uep.plot([one, two, store], series=["MDS *", "uncoded"], where="work=unit", title="")
    labels = [t.get_text() for t in figure.legends[0].get_texts()][:4]
    assert labels == ["MDS [paper 1]", "MDS [paper 2]", "MDS [store 3]", "uncoded"]
    with pytest.raises(ValueError, match="results must be at least one, got an empty sequence"):
        uep.plot([])
    with pytest.raises(ValueError, match="both hold"):
        uep.plot([one, one])


def test_a_notebook_shows_a_figure_though_nothing_loaded_pyplot(store: Path) -> None:
    figure = uep.plot(store, panels=[1])
    shown: bytes = figure._repr_png_()  # type: ignore[attr-defined]  # what IPython asks for
    assert shown == to_bytes(figure, "png")


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show(loss: Chart) -> None:
    assert min(line.x.min() for line in loss.lines) == 0
    figure = draw_chart(arranged(loss, Arrangement(x_scale="log")))
    assert all((line.get_xdata() > 0).all() for axes in figure.axes for line in axes.lines)  # type: ignore[operator]
    with pytest.raises(ValueError, match="x_limits must be positive on a logarithmic axis, got"):
        layout_of(None, None, None, (0.0, 1.0), None, ("log", None))


def test_arguments_of_another_type_are_refused_or_meant(store: Path) -> None:
    assert len(uep.plot(store, panels=1).axes) == 1
    with pytest.raises(ValueError, match="font must be from 3 to 72 points, got '8'"):
        uep.plot(store, font="8")  # type: ignore[arg-type]
