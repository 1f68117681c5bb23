"""The quick part of the trial of damaged stores."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.faults.damaged_stores import Trial, flips, pages, report, run, truncations


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("damaged"))


def test_damage_gives_the_same_numbers_or_one_line(trial: Trial) -> None:
    content = trial.content
    counts = run(
        trial,
        {
            "flips": flips(content, 12, 5),
            "pages": itertools.islice(pages(content), 0, None, 5),
            "truncations": truncations(content, 20 * 1024),
        },
    )
    assert not [example for count in counts.values() for example in count.examples], report(counts)
    assert counts["pages"].read["refused in one line"] == 2 * counts["pages"].tried
    assert counts["truncations"].read["refused in one line"] >= 2 * counts["truncations"].tried - 1  # no bytes are a new store


def test_a_damaged_trial_is_noticed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial itself sees other numbers: without the checksums of rows and descriptions a wrong rate is believed."""
    at = trial.content.find(b'"rate":1.0')
    assert at > 0
    content = trial.content[: at + 7] + b"3" + trial.content[at + 8 :]
    counts = run(trial, {"rate": iter([("rate", content)])})
    assert counts["rate"].read["refused in one line"] == 2
    monkeypatch.setattr("uepgpu.store.rows.Rows.verify", lambda rows: None)
    monkeypatch.setattr("uepgpu.store.rows.checked_row", lambda table, values, *, with_checksum: table(*values[:-1]))
    counts = run(trial, {"rate": iter([("rate", content)])})
    assert counts["rate"].read["other numbers"] >= 1
    assert Path(trial.copy).exists()
