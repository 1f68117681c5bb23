"""``uepgpu plot`` writes the figure that is asked for, or one line that says why not."""

from __future__ import annotations

import math
import webbrowser
from pathlib import Path

import pytest

from tests.cases.command_line import call
from tests.cases.stores import SPEC, make_store, shared_store
from uepgpu.results.conditions import only_where
from uepgpu.store.sections import read_sections
from uepgpu.store.stored import read_points


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


def test_plot_writes_the_file_that_it_names(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "plot", str(store)) == 0
    assert capsys.readouterr().out == "Figure  mine-loss.png\n"
    assert (tmp_path / "mine-loss.png").read_bytes().startswith(b"\x89PNG")
    options = ("--kind", "workers", "--at", "1,3", "--series", "E*", "--series", "MDS", "-o", "deep/er.SVG")
    assert call(monkeypatch, "plot", str(store), *options) == 0
    assert (tmp_path / "deep" / "er.SVG").read_bytes().startswith(b"<?xml")


WRONG = [
    (("--at", "1"), "--at is for kinds workers, distribution, exceedance, rounds, and for --x: loss shows all, got 1"),
    (("x/table.csv",), "'x/table.csv' is a table: --kind descent draws one of descents, --kind training of trainings"),
    (
        ("--kind", "losses"),
        "workers, probability, decoding, distribution, exceedance, rounds, descent, training, got 'losses' (did you mean 'loss'?)",
    ),
    (("--at", "soon"), "--at must be numbers with commas between, got 'soon'"),
    (("--kind", "workers", "--at", "0.7"), "no point has the deadline 0.7"),
    (("-o", "x.jpg"), "--output must end in .png or .svg or .pdf, got 'x.jpg'"),
    (("-o", "sub.png"), "--output must be a file that can be written: 'sub.png' is a folder"),
    (("-o", "file/x.png"), "'file' is not a folder"),
    (("--series", "neste"), "--series must fit a label, got 'neste' (did you mean 'nested'?)"),
    (("--sweep", "mien"), "has no sweep 'mien' (did you mean 'mine'?), only mine"),
    (("--kind", "distribution", "--series", "nested"), "no code here decodes class by class"),
]


@pytest.mark.parametrize("options, message", WRONG, ids=[m for _, m in WRONG])
def test_wrong_calls_of_plot_end_with_2_and_one_line_and_write_nothing(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "sub.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert call(monkeypatch, "plot", str(store), *options) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["plot", "report", "replay"])
def test_files_that_are_no_store_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.db").write_text("no store\n" * 99)
    for name in ("none.db", "text.db"):
        assert call(monkeypatch, command, name, *(("abc", "0") if command == "replay" else ())) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert name in err
    assert [f.name for f in tmp_path.iterdir()] == ["text.db"]


def test_a_store_of_several_sweeps_wants_one_named_and_a_changed_one_keeps_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tail = SPEC[SPEC.index('[[series]]\nlabel = "nested"') :]
    small = SPEC[: SPEC.index("[[series]]")] + tail
    store = make_store(tmp_path, small)
    make_store(tmp_path, small.replace("seed = 7", "seed = 8"))
    sections = read_sections(store)
    assert [s.title.endswith("(points of an earlier specification)") for s in sections] == [False, True]
    assert [{p.point.seed for p in s.points} for s in sections] == [{8}, {7}]
    make_store(tmp_path, small, name="other")
    # Its points are those of the first specification: both sweeps show them.
    mine, earlier, other = read_sections(store)
    assert [s.sweep.name for s in (mine, earlier, other)] == ["mine", "mine", "other"]
    assert {p.id for p in earlier.points} == {p.id for p in other.points}
    capsys.readouterr()
    assert call(monkeypatch, "plot", "store.db") == 2
    assert "the store has several sweeps, choose one with --sweep: mine, other" in capsys.readouterr().err
    assert call(monkeypatch, "plot", "store.db", "--sweep", "other") == 0


def test_of_more_series_than_looks_the_best_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    head = (
        SPEC[: SPEC.index("[[series]]")].replace("realizations = 3000", "realizations = 10").replace('["unit", "true"]', '"unit"')
    )
    many = "".join(f'[[series]]\nlabel = "S{i}"\ncode = "mds"\nworkers = {{ omega = {(i + 1) / 40} }}\n' for i in range(61))
    make_store(tmp_path, head + many)
    capsys.readouterr()
    assert call(monkeypatch, "plot", "store.db", "-o", "many.svg") == 0
    shown = (tmp_path / "many.svg").read_text()
    assert "<!-- 49 others, without marks -->" in shown
    assert "<!-- S60 -->" in shown  # the fastest workers are best
    assert "<!-- S0 -->" not in shown
    assert call(monkeypatch, "plot", "store.db", "--kind", "distribution") == 2
    message = "61 series in one panel are more than the 60 that can be told apart; choose some with --series"
    assert message in capsys.readouterr().err
    assert call(monkeypatch, "plot", "store.db", "--series", "S1*", "-o", "few.svg") == 0
    assert "others, without marks" not in (tmp_path / "few.svg").read_text()
    # Points that share a tally share its realizations.
    assert len({p.tally_id for p in read_points("store.db")}) == 1
    assert math.isclose(sum(p.tally.realizations for p in read_points("store.db")), 610)


# --- which points, and of which stores -----------------------------------------------------------------------------------


def series_of(svg: Path) -> set[str]:
    """Return which of some labels a figure shows: text of an SVG is in comments."""
    return {label for label in ("MDS", "nested", "uncoded", "MDS [one]", "MDS [two]") if f"<!-- {label} -->" in svg.read_text()}


@pytest.mark.parametrize(
    "conditions, shown",
    [
        (("workers<12",), {"uncoded"}),
        (("workers>=9", "code!=uncoded,mds"), {"nested"}),
        (("workers = 9.0",), {"uncoded"}),
        (("encoding=fac*",), {"nested"}),
        (("gamma=0.4/0.35/*", "gamma_2<=0.35"), {"nested"}),
        (("gamma>0.3",), {"nested"}),  # those without Γ fulfil no condition on it
        (("code=m?s",), {"MDS"}),
    ],
)
def test_conditions_on_axes_choose_points(store: Path, conditions: tuple[str, ...], shown: set[str]) -> None:
    points = only_where("--where", read_sections(store)[0].points, conditions)
    assert {p.point.series for p in points} & {"MDS", "nested", "uncoded"} == shown


@pytest.mark.parametrize(
    "condition, message",
    [
        ("workers>12", "no point fulfils --where 'workers>12'; workers is 12, 9"),
        ("gama=1", "--where must be one of series, code, gamma"),
        ("workers", "--where must be an axis, one of = != < <= > >=, and a value, such as workers>=20, got 'workers'"),
        ("workers>=many", "--where must compare workers with a number by >=, got 'workers>=many'"),
        ("=12", "--where must be an axis"),
    ],
)
def test_wrong_conditions_are_refused_in_one_line(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], condition: str, message: str
) -> None:
    for command in (("plot",), ("best", "--at", "1")):
        assert call(monkeypatch, command[0], str(store), *command[1:], "--where", condition) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err


def test_best_ranks_those_that_fulfil_the_conditions(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "best", str(store), "--at", "1", "--where", "code=mds", "--csv", "-") == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split(",")[3] for row in rows] == ["MDS", "MDS"]


def test_several_stores_are_shown_together_and_equal_labels_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    head, series = SPEC.split("[[series]]", 1)
    mds, rest = '[[series]]\nlabel = "MDS"\ncode = "mds"\n', f"[[series]]{series}"
    uncoded = rest[rest.index('[[series]]\nlabel = "uncoded"') :]
    make_store(tmp_path, head + mds, store="one.db")
    make_store(tmp_path, head.replace('"fair"', "1.0") + mds + uncoded, store="two.db")
    make_store(tmp_path, head + uncoded, store="three.db")
    assert call(monkeypatch, "plot", "one.db", "three.db", "-o", "a.svg") == 0
    assert series_of(Path("a.svg")) == {"MDS", "uncoded"}
    assert call(monkeypatch, "plot", "one.db", "two.db", "-o", "b.svg", "--rename", "MDS [two]", "faster") == 0
    assert series_of(Path("b.svg")) == {"MDS [one]", "uncoded"}
    capsys.readouterr()
    Path("again.db").write_bytes(Path("one.db").read_bytes())
    assert call(monkeypatch, "plot", "one.db", "again.db") == 2
    assert "one and again both hold" in (err := capsys.readouterr().err)
    assert "merge them first, with `uepgpu combine" in err


def test_dots_labels_and_scales_are_those_asked_for(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for dots in ("50", "100"):
        assert call(monkeypatch, "plot", str(store), "--dpi", dots, "--width", "4in", "-o", str(tmp_path / "f.png")) == 0
        content = (tmp_path / "f.png").read_bytes()
        sizes.append(int.from_bytes(content[16:20], "big"))
    assert sizes == [200, 400]
    options = ("--x-label", "seconds", "--y-label", "lost", "--y-scale", "sqrt", "--panel", "1")
    assert call(monkeypatch, "plot", str(store), *options, "-o", str(tmp_path / "f.svg")) == 0
    text = (tmp_path / "f.svg").read_text()
    assert "<!-- seconds -->" in text
    assert "<!-- lost -->" in text


@pytest.mark.parametrize("opens", [True, False])
def test_show_opens_the_file(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], opens: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or opens)
    file = tmp_path / "f.svg"
    assert call(monkeypatch, "plot", str(store), "--show", "-o", str(file)) == (0 if opens else 1)
    assert opened == [file.resolve().as_uri()]
    assert ("--show finds nothing on this machine that opens" in capsys.readouterr().err) is not opens
