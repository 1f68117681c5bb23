"""The table of docs/reliability.md is that of its record, which breaks no promise; and a quick part of the scripts that fill it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import damaged_files, disks, hostile_texts, outputs
from tests.faults.__main__ import PARTS
from tests.faults.folder import make_folder
from tests.faults.table import DOCUMENT, added, read_record, table, with_table
from tests.faults.tally import PROMISES, WRONG, Row, script

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="limits processes as Linux does"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
LEAST = {
    "one bit of a store flipped": 1000,
    "random specifications": 1000,
    "random calls of the library": 1000,
    "random command lines": 500,
}


def test_the_table_is_that_of_the_record() -> None:
    record = read_record()
    assert list(record) == [name for name in PARTS if name in record]
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_table(text, record) == text


def test_the_record_breaks_no_promise_and_is_of_enough_trials() -> None:
    rows = [row for section in read_record().values() for row in section["rows"]]
    assert sum((Counter(row["broken"]) for row in rows), Counter[str]()).total() == 0
    tried = {row["fault"]: row["tried"] for row in rows}
    assert all(tried[fault] >= least for fault, least in LEAST.items())
    assert sum(row["tried"] for row in read_record()["kills"]["rows"]) >= 60
    assert all(row["outcomes"] or row["figures"] for row in rows)


def test_a_broken_promise_is_in_the_table_and_in_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trial(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
        row = Row("a fault", given.count)
        row.outcomes["refused"] += 1
        row.bad(WRONG, "3 instead of 1")
        yield row

    monkeypatch.setattr(sys, "argv", ["mine", "--count", "2", "--json", str(tmp_path / "rows.json")])
    with pytest.raises(SystemExit) as ended:
        script(trial, count=1)
    assert ended.value.code == 1
    assert "a fault: wrong numbers: 3 instead of 1" in capsys.readouterr().out
    found = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["tried"], row["broken"]) for row in added([found, found])["rows"]] == [(4, {WRONG: 2})]
    text = table({"mine": found})
    assert f"2 trials: 1 {', 0 '.join(PROMISES)}." in text
    assert "| a fault | 2 | 1 refused, 1 **wrong numbers** | 1 | `mine` |" in text


@pytest.mark.parametrize(
    "trial",
    {
        "damaged files": lambda folder: damaged_files.rows(folder, argparse.Namespace(times=25, seed=3)),
        "hostile texts": lambda folder: hostile_texts.rows(folder, argparse.Namespace(stores=1, pages=0, seed=5)),
        "a text in the way": lambda folder: [outputs.in_the_way(folder, make_folder(folder / "t"), *_text())],
        "quotas": lambda folder: [disks.quotas_of_outputs(folder, make_folder(folder / "t"), 1)],
    }.values(),
    ids=["damaged files", "hostile texts", "a text in the way", "quotas"],
)
def test_a_few_trials_break_no_promise(
    trial: Callable[[Path], Iterator[Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = list(trial(tmp_path))
    assert not [example for row in rows for example in row.examples]
    assert sum(row.tried for row in rows) > 0


def _text() -> tuple[str, Callable[[Path], object]]:
    return "a text", outputs.IN_THE_WAY["a text"]
