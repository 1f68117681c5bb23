"""The quick part of the trial of damaged stores."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.faults.damaged_stores import REFUSED, Trial, flips, pages, run, truncations
from tests.faults.tally import WRONG


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("damaged"))


def test_damage_gives_the_same_numbers_or_one_line(trial: Trial) -> None:
    content = trial.content
    flipped, zeroed, cut = run(
        trial,
        {
            "flips": flips(content, 12, 5),
            "pages": itertools.islice(pages(content), 0, None, 5),
            "truncations": truncations(content, 20 * 1024),
        },
    )
    assert not [*flipped.examples, *zeroed.examples, *cut.examples]
    assert zeroed.outcomes[REFUSED] == 2 * zeroed.tried
    assert cut.outcomes[REFUSED] >= 2 * cut.tried - 1  # no bytes are a new store


def test_a_definition_of_a_table_that_is_no_text_is_damage(trial: Trial) -> None:
    """SQLite then complains in bytes that Python cannot decode."""
    first = trial.content.find(b"CREATE TABLE")
    high = ((f"byte {at}", _flipped(trial.content, at, 7)) for at in range(first, first + 1200, 31))
    (row,) = run(trial, {"high bits": high})
    assert not row.examples
    assert row.outcomes[REFUSED] == 2 * row.tried


def _flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def test_a_damaged_trial_is_noticed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial itself sees other numbers: without the checksums of rows and descriptions a wrong rate is believed."""
    at = trial.content.find(b'"rate":1.0')
    assert at > 0
    content = trial.content[: at + 7] + b"3" + trial.content[at + 8 :]
    (row,) = run(trial, {"rate": iter([("rate", content)])})
    assert row.outcomes[REFUSED] == 2
    monkeypatch.setattr("uepgpu.store.rows.Rows.verify", lambda rows: None)
    monkeypatch.setattr("uepgpu.store.rows.checked_row", lambda table, values, *, with_checksum: table(*values[:-1]))
    (row,) = run(trial, {"rate": iter([("rate", content)])})
    assert row.broken[WRONG] >= 1
    assert Path(trial.copy).exists()
