"""The quick part of the trial of kills."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.kills import Trial, kill_many

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {("mid-run", "SIGKILL"), ("mid-run", "SIGTERM"), ("export", "SIGKILL"), ("combine", "SIGKILL")}
    rows = kill_many(Trial(tmp_path, 3), 4, lambda phase, name: (phase, name) in wanted)
    assert sum(row.tried for row in rows) == 4
    assert not [example for row in rows for example in row.examples]
