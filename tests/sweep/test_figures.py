"""Figures show what the store holds: estimates with intervals, bounds instead of zeros, exact curves; in files of any format."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.stores import EW, SPEC, make_store, shared_store
from uepgpu.charts import KINDS, Chart, NothingToShow, Panel, build_chart
from uepgpu.charts.looks import MOST_LOOKS
from uepgpu.charts.times import preferred
from uepgpu.figures import draw_chart, to_bytes
from uepgpu.figures.style import style
from uepgpu.store.sections import only_series, read_sections
from uepgpu.store.stored import StoredPoint
from uepgpu.sweep.run import Result, run_points
from uepgpu.sweep.spec import read_spec

SINGLE = [kind for kind in KINDS if kind != "rounds"]
"""Kinds that points of single rounds have."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def points(store: Path) -> tuple[StoredPoint, ...]:
    return read_sections(store)[0].points


def point_of(points: tuple[StoredPoint, ...], series: str, work: str) -> StoredPoint:
    return next(p for p in points if p.point.series == series and p.point.workers.work == work)


def panel_of(chart: Chart, text: str) -> Panel:
    return next(p for p in chart.panels if text in p.title)


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["loss", "distribution"])  # one painter draws lines, one boxes
def test_words_with_dollar_signs_are_words(points: tuple[StoredPoint, ...], kind: str) -> None:
    # A broken formula, one that is whole, and prices.
    changed, words = [], (r"$\frac{$", "$x_1$", "$5 or $10")
    for p, word in zip(points, itertools.cycle(words), strict=False):
        changed.append(replace(p, point=replace(p.point, series=f"{p.point.series} {word}", partition=word)))
    shown = to_bytes(draw_chart(build_chart(kind, tuple(changed), "$x_1$")), "svg")
    assert b"<!-- $x_1$ -->" in shown
    # As a formula its x would be italic.
    assert b"Oblique" not in shown


# --- what charts say ----------------------------------------------------------------------------------------------


def test_a_store_gives_every_kind_with_labelled_axes_and_units(points: tuple[StoredPoint, ...]) -> None:
    for kind in SINGLE:
        chart = build_chart(kind, points, "title")
        assert chart.panels
        for panel in chart.panels:
            assert panel.lines or panel.boxes
            assert all(line.label in chart.looks for line in panel.lines)
            text = panel.x_label + panel.y_label
            assert any(unit in text for unit in ("unit of time", "packets received", "number of workers", "‖C‖²"))
        # A series looks the same in every figure.
        every = build_chart("loss", points, "").looks
        assert all(every[label] == number for label, number in chart.looks.items() if label in every)


def test_lines_are_the_tallies_losses_and_the_exact_ones(points: tuple[StoredPoint, ...]) -> None:
    for kind, where in (("loss", "deadline"), ("packets", "received")):
        chart = build_chart(kind, points, "")
        ew = point_of(points, EW, "unit")
        line = next(line for line in panel_of(chart, "unit work").lines if line.label == EW)
        options: dict[str, Any] = {"workers": ew.point.workers, "deadlines": ew.point.deadlines} if where == "deadline" else {}
        found = ew.tally.loss(ew.point.part, **options)
        for name, values in (("loss", line.value), ("loss_low", line.low), ("loss_high", line.high)):
            assert np.array_equal(values, found[f"normalized_{name}"].values)
        exact = {"workers": ew.point.workers, "deadlines": ew.point.deadlines} if where == "deadline" else {"received": range(13)}
        theory = uep.theory.loss(ew.point.code, ew.point.part, exact.pop("workers", ew.point.workers), **exact)  # type: ignore[arg-type]
        assert line.exact is not None
        assert np.array_equal(line.exact, theory["normalized_loss"].values)
        assert next(line for line in panel_of(chart, "unit work").lines if line.label == "nested").exact is None


def test_one_point_gives_the_line_of_smaller_numbers_of_workers(points: tuple[StoredPoint, ...]) -> None:
    chart = build_chart("workers", points, "", (1.0,))
    lines = {line.label: line for line in panel_of(chart, "unit work").lines}
    ew = point_of(points, EW, "unit")
    assert lines[EW].x.tolist() == list(range(1, 13))
    for w, value, high, exact in zip(lines[EW].x, lines[EW].value, lines[EW].high, lines[EW].exact, strict=True):  # type: ignore[arg-type]
        workers = replace(ew.point.workers, count=int(w))
        fresh = uep.simulate(ew.point.code, ew.point.part, workers, realizations=3000, seed=7, backend="numpy")
        own = fresh.loss(ew.point.part, workers=workers, deadlines=[1.0])
        # The same packets: a tally of 12 workers holds those of w.
        assert value == pytest.approx(float(own["normalized_loss"].values[0]), rel=1e-9)
        # Four standard errors, from the half-width of the interval.
        assert abs(value - exact) <= 4 * (high - value) / 1.96 + 1e-12
    assert lines["uncoded"].x.tolist() == [9]
    true_work = {line.label: line.x.tolist() for line in panel_of(chart, "true work").lines}
    assert true_work[EW] == [12]


def test_probabilities_are_the_tallies_by_class(points: tuple[StoredPoint, ...]) -> None:
    chart = build_chart("probability", points, "")
    ew = point_of(points, EW, "true")
    found = ew.tally.decoding_probability()
    for c in range(3):
        panel = next(p for p in chart.panels if p.title.startswith(f"class {c + 1}") and "true work" in p.title)
        line = next(line for line in panel.lines if line.label == EW)
        assert np.array_equal(line.value, found["probability"].values[:, c])
        assert line.exact is not None
    assert chart.value_range() == (-0.03, 1.03)


def test_quantiles_are_the_tallies_and_codes_without_are_named(points: tuple[StoredPoint, ...]) -> None:
    chart = build_chart("distribution", points, "", (1.0,))
    ew = point_of(points, EW, "true")
    box = next(b for b in panel_of(chart, "true work").boxes if b.label == EW)
    row = list(ew.point.deadlines).index(1.0)
    expected = ew.tally.loss_quantile(ew.point.part, (0.05, 0.25, 0.5, 0.75, 0.95))["normalized_loss"].values[row]
    assert box.quantiles == tuple(expected)
    assert "nested" in chart.notes[1]
    assert "uncoded" in chart.notes[1]


def test_exceedances_are_steps_of_the_tallies_and_of_theory(points: tuple[StoredPoint, ...]) -> None:
    chart = build_chart("exceedance", points, "", (1.0,))
    assert chart.steps
    assert chart.log_x
    assert "nested" in chart.notes[1]
    for work in ("unit", "true"):
        ew = point_of(points, EW, work)
        line = next(line for line in panel_of(chart, f"{work} work").lines if line.label == EW)
        options: dict[str, Any] = {"workers": ew.point.workers, "deadlines": [1.0]} if work == "unit" else {}
        row = 0 if work == "unit" else list(ew.point.deadlines).index(1.0)
        losses = ew.tally.loss_distribution(ew.point.part, **options).normalized_loss.values
        assert line.x.tolist() == losses[1:].tolist()
        for end, value, exact in zip(line.x, line.value, line.exact, strict=True):  # type: ignore[arg-type]
            below = end * 0.999999  # the step holds up to its end
            own = ew.tally.exceedance(ew.point.part, below, **options).probability.values[row, 0]
            assert value == pytest.approx(own, rel=1e-12)  # events of one tally, added up side by side or alone
            expected = uep.theory.exceedance(ew.point.code, ew.point.part, ew.point.workers, x=below, deadlines=[1.0])
            assert exact == pytest.approx(expected.probability.item(), rel=1e-12)
    x, y = chart.path(line, line.value)
    assert x[0] == chart.left < x[1]
    assert y[0] == y[1]
    with pytest.raises(NothingToShow, match="no code here decodes class by class"):
        build_chart("exceedance", only_series(points, ["nested"]), "")


def test_a_part_that_is_never_decoded_is_a_step_at_its_loss() -> None:
    part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    point = replace(read_spec("paper", realizations=20).points[0], part=part, code=uep.codes.ExpandingWindow((1.0, 0.0)))
    tally = uep.simulate(point.code, part, point.workers, realizations=50, seed=1, backend="numpy")
    line = build_chart("exceedance", [Result(point, tally)], "", (0.3,)).panels[0].lines[0]
    assert line.x.tolist() == pytest.approx([1 / 3, 1.0])
    assert line.value[0] == 1.0
    assert line.value[1] < 1.0


@pytest.fixture(scope="module")
def unseen() -> list[Result]:
    """The paper's codes with so few realizations, of a seed chosen for it, that late losses are never seen."""
    points = read_spec("paper", realizations=20, seed=5).points
    return run_points([p for p in points if p.partition == "rxc"], backend="numpy").results


def test_nothing_observed_is_an_upper_bound_and_certainty_is_none(points: tuple[StoredPoint, ...], unseen: list[Result]) -> None:
    lines = {line.label: line for line in build_chart("packets", unseen, "").panels[0].lines}
    late = lines["EW"].upper_bound
    assert late[-1]
    assert not late[0]
    assert not lines["EW"].drawn(probability=False)[late].any()
    assert np.all(lines["EW"].high[late] > 0)
    # Nine packets of MDS decode everything: that is no observation, and nothing to draw.
    assert not lines["MDS"].upper_bound.any()
    assert not lines["MDS"].drawn(probability=False)[9:].any()
    assert np.all(lines["MDS"].high[9:] == 0)
    probability = build_chart("probability", points, "")
    line = next(line for line in panel_of(probability, "class 2: row-times-column (rxc), true work").lines if line.label == EW)
    assert line.upper_bound[0]
    assert not line.drawn(probability=True)[0]


def test_axes_are_logarithmic_where_the_data_call_for_it(points: tuple[StoredPoint, ...]) -> None:
    assert build_chart("loss", points, "").logarithmic
    assert not build_chart("probability", points, "").logarithmic
    assert not build_chart("workers", only_series(points, ["uncoded", "MDS"]), "", (0.3,)).logarithmic
    assert not build_chart("loss", points, "").log_x
    later = [replace(p, point=replace(p.point, deadlines=(0.01, 0.1, 1.0, 10.0))) for p in points if p.tally.domain == "count"]
    assert build_chart("loss", later, "").log_x


def test_a_pattern_that_is_a_label_means_that_label(points: tuple[StoredPoint, ...]) -> None:
    labels = ("EW [0.1]", "EW 0", "EW 1", "EW*", "EW ?")
    named = [replace(points[0], point=replace(points[0].point, series=label)) for label in labels]

    def chosen(*patterns: str) -> list[str]:
        return [p.point.series for p in only_series(named, patterns)]

    assert chosen("EW [0.1]") == ["EW [0.1]"]
    assert chosen("EW*") == ["EW*"]
    assert chosen("EW ?") == ["EW ?"]
    assert chosen("E*") == list(labels)
    assert chosen("EW [0-1]", "EW*") == ["EW 0", "EW 1", "EW*"]


def test_a_few_deadlines_are_those_that_the_sweep_shows(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = read_sections(store)[0]
    assert preferred(section.points, section.sweep.show) == (0.3, 1.0)
    assert preferred(section.points, (0.3, 0.7)) == (0.3,)
    times: list[Any] = []

    def note(kind: str, points: Any, title: str, at: Any, *axes: Any, **options: Any) -> Chart:
        times.append(at)
        return build_chart(kind, points, title, at, *axes, **options)

    monkeypatch.setattr("uepgpu.charts.stored.build_chart", note)
    for options in ((), ("--at", "9")):
        file = str(tmp_path / "x.svg")
        assert call(monkeypatch, "plot", str(store), "--kind", "workers", "--series", "MDS", *options, "-o", file) == 0
    assert times == [(0.3, 1.0), (9.0,)]


def test_numbers_of_workers_far_apart_get_a_logarithmic_axis_with_even_steps(tmp_path: Path) -> None:
    head = SPEC[: SPEC.index("[[series]]")].replace("count = 12", "count = [3, 90]").replace('["unit", "true"]', '"unit"')
    store = make_store(tmp_path, head + '[[series]]\nlabel = "M"\ncode = "mds"\n')
    chart = build_chart("workers", read_sections(store)[0].points, "", (1.0,))
    assert chart.log_x
    (line,) = chart.panels[0].lines
    assert line.label == "M"
    assert {3, 90} <= set(line.x)
    assert np.all(line.x[1:] / line.x[:-1] <= 2)


def test_points_of_other_deadlines_are_named(points: tuple[StoredPoint, ...]) -> None:
    ew = point_of(points, EW, "true")
    tally = replace(ew.tally, deadlines=np.array([0.0, 0.3, 2.0, 3.0, 9.0]))
    other = replace(ew, point=replace(ew.point, series="other", deadlines=(0.0, 0.3, 2.0, 3.0, 9.0)), tally=tally)
    for kind in ("workers", "distribution"):
        chart = build_chart(kind, [*points, other], "", (0.3, 1.0))
        assert "Left out where they have no such deadline: rxc, true work: other." in chart.notes
        shown = {p.title[:7]: {x.label for x in (*p.lines, *p.boxes)} for p in chart.panels if "true work" in p.title}
        assert "other" in shown["t = 0.3"]
        assert "other" not in shown["t = 1: "]


def test_kinds_with_nothing_to_show_say_why(points: tuple[StoredPoint, ...]) -> None:
    by_deadline = tuple(p for p in points if p.tally.domain == "deadline")
    with pytest.raises(NothingToShow, match="no point was simulated by the number of packets received"):
        build_chart("packets", by_deadline, "")
    with pytest.raises(NothingToShow, match="no series has two numbers of workers"):
        build_chart("workers", by_deadline, "")
    with pytest.raises(NothingToShow, match="no code here decodes class by class"):
        build_chart("distribution", only_series(points, ["nested", "uncoded"]), "")
    with pytest.raises(ValueError, match=r"no point has the deadline 0.7; there are 0, 0.3, 1, 3, 9"):
        build_chart("workers", points, "", (0.7,))


# --- what is drawn ------------------------------------------------------------------------------------------------


def test_bounds_are_arrows_at_their_height_and_no_mark_stands_at_zero(unseen: list[Result]) -> None:
    chart = build_chart("packets", unseen, "")
    figure = draw_chart(chart)
    axes = next(a for a in figure.axes if a.get_visible() and "unit work" in a.get_title())
    bars = [line for line in axes.lines if line.get_gid() == "bound EW"]
    ew = next(line for line in panel_of(chart, "unit work").lines if line.label == "EW")
    drawn = np.concatenate([np.asarray(b.get_ydata(), dtype=float) for b in bars])
    assert drawn.size
    assert set(drawn) <= set(ew.high[ew.upper_bound])
    for line in axes.lines:
        y = np.asarray(line.get_ydata(), dtype=float)
        assert not np.any(y[~np.isnan(y)] <= 0), "a logarithmic axis has no place for 0"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "arrow down: nothing observed, 95 % upper bound" in legend
    assert axes.get_yscale() == "log"


def test_every_mark_of_a_short_line_is_drawn(points: tuple[StoredPoint, ...]) -> None:
    chart = build_chart("workers", points, "")
    for panel in chart.panels:
        for line in panel.lines:
            assert chart.turn(panel, line).any()
            assert line.x.size > 3 or chart.turn(panel, line).all()


def test_series_differ_in_colour_or_line_and_neighbours_in_every_way() -> None:
    looks = [style(i) for i in range(MOST_LOOKS)]
    assert len({(s.color, s.marker) for s in looks}) == len({(s.color, s.line) for s in looks}) == MOST_LOOKS
    for one, other in itertools.pairwise(looks):
        assert one.color != other.color
        assert one.marker != other.marker


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_stand_out_from_their_paper() -> None:
    for i in range(7):
        # 2:1 against white, for lines that markers and dashes tell apart as well.
        assert 1.05 / (_luminance(style(i).color) + 0.05) > 2


@pytest.fixture(scope="module")
def few(points: tuple[StoredPoint, ...]) -> tuple[StoredPoint, ...]:
    """Points of one panel."""
    return tuple(p for p in only_series(points, [EW, "MDS"]) if p.point.workers.work == "unit")


def test_files_of_every_format_are_what_their_suffix_says_and_the_same_twice(few: tuple[StoredPoint, ...]) -> None:
    chart = build_chart("loss", few, "title")
    for form, start in {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}.items():
        content = to_bytes(draw_chart(chart), form)
        assert content.startswith(start)
        assert content == to_bytes(draw_chart(chart), form)


@pytest.mark.parametrize("kind", SINGLE)
def test_every_kind_is_drawn_with_its_labels(few: tuple[StoredPoint, ...], kind: str) -> None:
    chart = build_chart(kind, few, "title", (1.0,) if kind in ("workers", "distribution") else ())
    figure = draw_chart(chart)
    assert to_bytes(figure, "svg").startswith(b"<?xml")
    shown = [a for a in figure.axes if a.get_visible()]
    assert [a.get_xlabel() for a in shown] == [p.x_label for p in chart.panels]
    assert all(a.lines for a in shown)
    names = {t.get_text() for t in figure.legends[0].get_texts()} | {t.get_text() for a in shown for t in a.get_yticklabels()}
    assert set(chart.looks) <= names
