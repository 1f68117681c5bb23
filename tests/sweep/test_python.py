"""Sweeps, stores, figures and reports from Python: the same integers as the command line, and errors in words of Python."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.stores import SPEC, shared_store
from uepgpu import console
from uepgpu import gradient_coding as gc
from uepgpu.charts import KINDS
from uepgpu.results.conditions import only_where
from uepgpu.specification.load import load_spec

GAMMA = (0.40, 0.35, 0.25)
VARIANCES = [10, 1, 0.1]
TILES = {"paradigm": "rxc", "left_variances": VARIANCES, "right_variances": VARIANCES, "classes": [3, 3, 3]}
PROBLEM = gc.Problem(np.vander(np.arange(12.0), 3), np.arange(12.0), 4)
PART = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, classes=(3, 3, 3))
LAW = uep.latency.Weibull(0.7)
KEYS: dict[str, Any] = {
    "realizations": 2000,
    "seed": 7,
    "deadlines": [0.3, 1.0],
    "workers": {"count": 12, "latency": {"law": "weibull", "shape": 0.7}},
    "partitions": {"tiles": TILES},
    "series": [{"label": "EW", "code": {"name": "ew", "gamma": list(GAMMA)}}, {"code": "mds"}],
}
OBJECTS = KEYS | {
    "deadlines": np.array([0.3, 1.0]),
    "workers": {"count": 12, "latency": LAW},
    "partitions": {"tiles": PART},
    "series": ({"label": "EW", "code": uep.codes.ExpandingWindow(GAMMA)}, {"code": uep.codes.MDS()}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def results() -> uep.Results:
    return uep.run_sweep(KEYS, backend="numpy")


def test_a_sweep_counts_what_simulate_counts(results: uep.Results) -> None:
    workers = uep.Workers(12, LAW)
    for found, code in zip(results, (uep.codes.ExpandingWindow(GAMMA), uep.codes.MDS()), strict=True):
        domain = {} if found.tally.domain == "count" else {"deadlines": [0.3, 1.0]}
        tally = uep.simulate(code, PART, workers, realizations=2000, seed=7, backend="numpy", **domain)
        assert found.tally == tally
    assert list(results.tallies) == [p.id for p in results]
    assert [p.point.series for p in results] == ["EW", "mds"]


def test_objects_and_keys_describe_the_same_points(results: uep.Results) -> None:
    found = uep.run_sweep(OBJECTS, backend="numpy")
    assert found.tallies == results.tallies
    assert [p.point.series for p in found] == ["EW", "mds"]
    assert "ExpandingWindow" in found.sections[0].sweep.text


def test_a_dict_a_file_and_the_command_line_are_one_sweep(store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SPEC, encoding="utf-8")
    data = load_spec(str(tmp_path / "mine.toml"))[2]
    from_file = uep.run_sweep(tmp_path / "mine.toml", backend="numpy")
    assert from_file.tallies == uep.run_sweep(data, backend="numpy").tallies == uep.open_store(store).tallies


def test_a_store_keeps_what_was_finished(tmp_path: Path, results: uep.Results) -> None:
    path = tmp_path / "deep" / "store.db"
    first = uep.run_sweep(KEYS, store=path, realizations=1000, backend="numpy")
    assert [p.tally.realizations for p in first] == [1000, 1000]
    longer = uep.run_sweep(KEYS, store=path, backend="numpy")
    assert longer.tallies == results.tallies
    assert [p.tally.ranges for p in longer] == [((0, 2000),)] * 2
    later = uep.run_sweep(KEYS | {"deadlines": [0.5]}, store=path, backend="numpy")
    assert [p.point.deadlines for p in later] == [(0.5,)] * 2
    renamed = [{**s, "label": f"{i}"} for i, s in enumerate(KEYS["series"])]
    assert [p.point.series for p in uep.run_sweep(KEYS | {"series": renamed}, store=path, backend="numpy")] == ["0", "1"]
    again = uep.run_sweep(KEYS, store=path, backend="numpy")
    assert (again.tallies, [p.point.series for p in again]) == (longer.tallies, ["EW", "mds"])
    other = uep.run_sweep(KEYS, store=path, name="other", seed=8, backend="numpy")
    assert len(other) == 2
    assert set(other.tallies).isdisjoint(longer.tallies)
    twin = uep.run_sweep(KEYS, store=path, name="twin", backend="numpy")
    assert (twin.tallies, twin.sections[0].sweep.name) == (longer.tallies, "twin")
    assert uep.run_sweep(KEYS, store=path, backend="numpy").sections[0].sweep.name == "sweep"
    both = uep.open_store(path)
    assert [s.sweep.name for s in both.sections] == ["sweep", "sweep", "other", "twin"]
    assert uep.open_store(path, sweep="other").tallies == other.tallies
    with pytest.raises(ValueError, match=r"choose one by sweep=: sweep, other"):
        uep.plot(path)
    assert uep.plot(path, sweep="other").axes


def test_points_are_found_by_label_and_id(results: uep.Results, store: Path) -> None:
    assert results["EW"] is results[0]
    assert results[results[1].id[:12]] is results[1]
    assert results[-1] is results[1]
    with pytest.raises(KeyError, match="no point has the label or id 'EV'; there are EW, mds"):
        results["EV"]
    with pytest.raises(KeyError, match="2 points are called 'MDS', choose one by its id"):
        uep.open_store(store)["MDS"]
    with pytest.raises(IndexError):
        results[2]


def test_the_dataset_has_the_losses_of_the_tallies(results: uep.Results) -> None:
    found = results.dataset()
    for i, stored in enumerate(results):
        point = stored.point
        options = {"workers": point.workers, "deadlines": point.deadlines} if stored.tally.domain == "count" else {}
        assert found.loss.values[i].tolist() == stored.tally.loss(point.part, **options).loss.values.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_figure_is_drawn(kind: str, store: Path) -> None:
    if kind == "workers":
        grid = KEYS | {"workers": {"count": [12, 20], "work": "unit"}}
        figure = uep.plot(uep.run_sweep(grid, backend="numpy"), kind)
    elif kind == "rounds":
        states = {"transition": [[0.9, 0.1], [0.3, 0.7]], "laws": ["exponential", {"law": "exponential", "rate": 0.1}]}
        trajectories = OBJECTS | {"rounds": 4, "workers": {"count": 12, "states": states}}
        figure = uep.plot(uep.run_sweep(trajectories, backend="numpy"), kind)
    else:
        figure = uep.plot(store, kind, title="mine & yours", series="MDS")
        assert figure.get_suptitle() == "mine & yours"
    assert any(axes.lines or axes.collections for axes in figure.axes)


def test_axes_of_a_grid_are_drawn_along() -> None:
    grid = KEYS | {"grid": {"omega": [0.5, 1.0], "workers": [12, 20]}}
    found = uep.run_sweep(grid, backend="numpy")
    assert len(found) == 8
    assert {axes.get_xlabel() for axes in uep.plot(found, x="omega", at=1.0).axes} == {"load normalisation Ω"}
    assert uep.plot(found, x="omega", y="workers", at=[1.0], series="EW*").axes


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ({"kind": "los"}, "kind must be one of"),
        ({"x": "gama"}, "x must be one of .* 'gama'"),
        ({"y": "omega"}, "y makes a heat map of losses, which needs x and kind loss"),
        ({"kind": "packets", "bound": True}, "^bound is for losses"),
        ({"series": "NOW"}, "^series must fit a label, got 'NOW'"),
        ({"at": [0.31]}, "no point has the deadline 0.31"),
        ({"where": 3}, "^where must be a text or a sequence of texts, got 3"),
        ({"where": ["workers>=12", 3]}, "^where must be a text or a sequence of texts, got "),
        ({"series": 3}, "^series must be a text or a sequence of texts, got 3"),
        ({"at": "soon"}, "at must hold real numbers"),
        ({"sweep": "x"}, "sweep must be one of mine, got 'x'"),
    ],
)
def test_errors_of_figures_are_in_words_of_python(arguments: dict[str, Any], complaint: str, store: Path) -> None:
    arguments = {"kind": "exceedance"} | arguments if "at" in arguments else arguments
    with pytest.raises(ValueError, match=complaint) as caught:
        uep.plot(store, **arguments)
    assert "--" not in str(caught.value)


def test_the_bound_is_drawn_where_it_is_asked_for(results: uep.Results) -> None:
    without, with_it = (
        {text.get_text() for legend in uep.plot(results, bound=b).legends for text in legend.get_texts()} for b in (False, True)
    )
    assert with_it - without == {"lower bound"}


def test_deadlines_of_figures_and_reports_are_chosen(store: Path, tmp_path: Path) -> None:
    titles = {axes.get_title() for axes in uep.plot(store, "exceedance", at=[0.3, 3.0]).axes}
    assert {title.partition(":")[0].rpartition(" ")[2] for title in titles if "t = " in title} <= {"0.3", "3"}
    assert any("t = 0.3" in title for title in titles)
    assert not any("t = 1" in title for title in titles)
    pytest.importorskip("plotly")
    page = uep.write_report(store, tmp_path / "mine.html", at=[9.0]).read_text(encoding="utf-8")
    assert "t = 9" in page
    with pytest.raises(ValueError, match=r"no point has the deadline 0\.31"):
        uep.write_report(store, tmp_path / "mine.html", at=0.31)


def test_a_report_is_written_and_replaces_reports_only(results: uep.Results, store: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    path = uep.write_report(results, tmp_path / "mine.html")
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "Report of sweep" in page
    assert uep.write_report(store, path) == path
    assert "Report of store.db" in path.read_text(encoding="utf-8")
    (tmp_path / "other.html").write_text("<p>mine</p>")
    with pytest.raises(ValueError, match=r"path .*other.html"):
        uep.write_report(results, tmp_path / "other.html")
    assert uep.write_report(results, tmp_path / "other.html", force=True)


def changed(**keys: Any) -> dict[str, Any]:
    return OBJECTS | keys


@pytest.mark.parametrize(
    "spec, arguments, complaint",
    [
        (3, {}, "spec must be a bundled name, a TOML file or a dict, got 3"),
        ("papr", {}, r"did you mean 'paper'\?"),
        ("gradient-coding", {}, "use run_study"),
        (changed(kind="gradient-coding"), {}, "use run_study"),
        (changed(deadline=[1.0]), {}, r"unknown key 'deadline' \(did you mean 'deadlines'\?\)"),
        (changed(partitions={"tiles": 3}), {}, r"\[partitions.tiles\] must be a table"),
        (changed(grid={"classes": [[3, 3, 3]]}), {}, "is given as an object, so that classes cannot vary"),
        (changed(grid={"gamma": [GAMMA]}), {}, "code is given as an object, so that gamma cannot vary"),
        (changed(series=[{"code": uep.codes.MDS}]), {}, "must be a table"),
        (changed(workers={"count": 12, "latency": uep.latency.Weibull}), {}, "must be a table"),
        (changed(workers={"count": 12, "latency": uep.latency.FromCDF(np.tanh)}), {}, "a store keeps the laws"),
        (KEYS, {"realizations": 0}, "realizations must be an integer"),
        (KEYS, {"seed": -1}, "seed must be an integer from 0"),
        (KEYS, {"store": "."}, "'.'"),
        (KEYS, {"dask": "nowhere"}, "^dask must be tcp://HOST:PORT"),
        (KEYS, {"progress": "yes"}, "^progress must be True, False or a function, got 'yes'"),
    ],
)
def test_what_cannot_be_run_is_refused(spec: Any, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        uep.run_sweep(spec, backend="numpy", **arguments)


def test_a_backend_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="backend"):
        uep.run_sweep(KEYS, store=tmp_path / "x" / "store.db", backend="abacus")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="no store"):
        uep.open_store(tmp_path / "none.db")


def test_an_interrupted_sweep_keeps_its_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uepgpu.results import running

    def interrupted(*arguments: Any, **options: Any) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def shown() -> Any:
            def advance(count: int, description: str) -> None:
                if description.startswith("mds"):
                    raise KeyboardInterrupt

            yield advance

        return shown()

    monkeypatch.setattr(running, "shown_progress", interrupted)
    path = tmp_path / "store.db"
    with pytest.raises(KeyboardInterrupt):
        uep.run_sweep(KEYS, store=path, backend="numpy")
    monkeypatch.undo()
    assert len(uep.open_store(path)) >= 1
    assert uep.run_sweep(KEYS, store=path, backend="numpy").tallies == uep.run_sweep(KEYS, backend="numpy").tallies


def test_a_notebook_is_known_by_its_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not console.in_notebook()
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert console.in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not console.in_notebook()


def test_notebooks_show_tables(results: uep.Results) -> None:
    workers = uep.Workers(12, LAW, loss_probability=0.1)
    shown = {
        "results": (results, ["EW (tiles, true work)", "2,000 realizations", "2,000 of 2,000 realizations"]),
        "partition": (PART, ["sub-products K", "(3, 3, 3)"]),
        "workers": (workers, ["Weibull(shape=0.7", "loss_probability", "0.1"]),
        "code": (uep.codes.ExpandingWindow(GAMMA), ["EW-UEP", "(0.4, 0.35, 0.25)"]),
        "law": (LAW, ["Weibull", "0.7"]),
        "tally": (results[0].tally, ["2,000", "numpy"]),
        "scheme": (gc.ReplicatedSketch(3), ["ReplicatedSketch", "fastest", "leverage", "no decoding"]),
        "other scheme": (gc.CyclicCode(2), ["CyclicCode", "stragglers"]),
        "problem": (PROBLEM, ["12 × 3", "least-squares"]),
        "table": (gc.Table("mine", PROBLEM.A, PROBLEM.b), ["mine", "12 × 3"]),
    }
    for name, (thing, pieces) in shown.items():
        html = thing._repr_html_()
        assert html.count("<table") == html.count("</table>") == 1, name
        assert all(piece in html for piece in pieces), (name, html)
    assert "speeds" not in workers._repr_html_()
    assert "until" not in gc.ReplicatedSketch(3)._repr_html_()
    assert "<b>bold</b>" not in uep.Results("<b>bold</b>", results.sections)._repr_html_()


def test_what_holds_arrays_says_their_shapes() -> None:
    assert repr(PROBLEM) == "Problem(A 12 × 3, 4 blocks, least-squares)"
    assert repr(gc.Table("mine", PROBLEM.A, PROBLEM.b)) == "Table('mine', 12 × 3)"
    real = uep.Partition.rxc(np.ones((6, 4)), np.ones((4, 3)), classes=(3, 3, 3))
    workers = uep.Workers(30, uep.latency.Deterministic(0.1))
    result = uep.multiply(real, uep.codes.MDS(), workers, deadline=1.0, realizations=50, seed=1, keep="product", backend="numpy")
    expected = "50 realizations of 30 packets, 9 sub-products, normalized loss 0, 0 flagged, backend='numpy', product 50 × 6 × 3"
    assert re.sub("loss [0-9.e-]+", "loss 0", repr(result)) == f"ProductResult({expected})"


def test_a_function_of_ones_own_sees_the_progress_and_can_end_a_sweep(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    results = uep.run_sweep(KEYS, backend="numpy", progress=lambda point, count: seen.append((point.series, count)))
    for found in results:
        assert sum(count for series, count in seen if series == found.point.series) == 2000

    class Enough(Exception):
        pass

    def end(point: Any, count: int) -> None:
        if point.series == "mds":
            raise Enough

    file = tmp_path / "kept.db"
    with pytest.raises(Enough):
        uep.run_sweep(KEYS, store=file, backend="numpy", progress=end)
    assert [p.point.series for p in uep.open_store(file)] == ["EW"]
    assert uep.run_sweep(KEYS, store=file, backend="numpy").tallies == results.tallies


def test_commands_that_errors_quote_keep_their_options(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name the file that `uepgpu sweep --store` wrote"):
        uep.plot(tmp_path / "none.db")


def test_conditions_take_places_as_they_are_named() -> None:
    series = [{"label": label, "code": "mds"} for label in ("MDS", "MDS, as [recorded]", "as [recorded]")]
    keys = KEYS | {"realizations": 100, "series": series, "grid": {"omega": [1 / 3, 1.0]}}
    results = list(uep.run_sweep(keys, backend="numpy"))

    def places(*conditions: str) -> list[tuple[str, str]]:
        return [(s.point.series, f"{s.point.workers.omega:g}") for s in only_where("where", results, conditions)]

    name = "MDS, as [recorded], Ω = 1.0"
    assert places(f"series={name}") == [(name, "1")]
    assert len(places(f"series!={name}")) == 5
    assert {omega for _, omega in places("omega=0.333333")} == {"0.333333"}
    assert {omega for _, omega in places("omega!=0.333333")} == {"1"}
    assert len(places("omega=0.333333,1")) == 6
