"""``uepgpu spec`` lists, prints and checks specifications, and describes their keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cases.command_line import call
from tests.cases.specifications import SMALL
from uepgpu.specification.load import SPECS, bundled_specs
from uepgpu.specification.reference import page, schema

STUDY = """
kind = "gradient-coding"
iterations = 20
realizations = 3
blocks = 6
deadlines = [1, 5]
workers = { count = 12 }
data.mine = { source = "gaussian", rows = 60, columns = 3, seed = 1 }
[[series]]
scheme = "exact-gradient"
[[series]]
scheme = { name = "ignore-stragglers", fastest = 5 }
"""


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the lines that were printed: name to value."""
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())


def test_bundled_specifications_are_listed_and_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "spec") == 0
    assert tuple(told(capsys)) == bundled_specs()
    for name in bundled_specs():
        assert call(monkeypatch, "spec", name) == 0
        assert capsys.readouterr().out == (SPECS / f"{name}.toml").read_text(encoding="utf-8")


def test_a_check_says_what_a_sweep_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(SMALL.replace("count = 30", "count = [20, 30]"))
    assert call(monkeypatch, "spec", "--check", "mine.toml") == 0
    found = told(capsys)
    assert found["points"].startswith("4, of 4 tallies")
    assert found["series"].startswith("4: EW, W = 20; EW, W = 30")
    assert found["panels"] == "1: rxc, unit work"
    assert found["realizations"] == "at most 12,000"
    assert found["cost"].startswith("at most ")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.toml"]


def test_a_check_says_what_gradient_coding_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)
    assert call(monkeypatch, "spec", "study.toml", "--check") == 0
    found = told(capsys)
    assert (found["points"], found["realizations"], found["iterations"]) == ("2", "6", "20")
    assert found["series"] == "2: exact-gradient; ignore-stragglers (fastest = 5)"


@pytest.mark.parametrize(
    "text, arguments, complaint",
    [
        (SMALL.replace("count", "cuont"), ("mine.toml", "--check"), "unknown key 'cuont' (did you mean 'count'?)"),
        (SMALL + '\n[design]\nfind = ["gama"]\n', ("mine.toml", "--check"), "[design]: find must be one of"),
        ("x = ", ("mine.toml", "--check"), "mine.toml is not valid TOML"),
        ("x = ", ("mine.toml",), "mine.toml is not valid TOML"),
        ("", ("papr",), "(did you mean 'paper'?)"),
        ("", ("--check",), "--check needs a SPEC"),
        ("", ("paper", "--schema"), "--schema is about all specifications"),
        ("", ("--schema", "--reference"), "one of --check, --schema and --reference, got --schema and --reference"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    text: str,
    arguments: tuple[str, ...],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text)
    assert call(monkeypatch, "spec", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert complaint in err


def test_keys_are_described_for_people_and_editors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "spec", "--reference") == 0
    assert capsys.readouterr().out == page()
    assert call(monkeypatch, "spec", "--schema") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(schema())
