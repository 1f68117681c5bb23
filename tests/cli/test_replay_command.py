"""``uepgpu replay`` prints a stored realization in full, for people and machines, and says if a kernel differs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cases.command_line import call
from tests.cases.stores import EW, shared_store
from uepgpu.commands.replay import check, replay_stored, shown_tables
from uepgpu.console import show
from uepgpu.plan import DECODERS
from uepgpu.replay.tables import compact
from uepgpu.store.stored import StoredPoint, read_points


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def points(store: Path) -> list[StoredPoint]:
    return read_points(store)


def test_every_stored_point_is_replayed_as_the_kernel_decodes_it(points: list[StoredPoint]) -> None:
    assert {p.tally.domain for p in points} == {"count", "deadline"}
    for stored in points:
        for realization in (0, 2999, 2**63):
            assert check(stored, replay_stored(stored, realization)) == ""


def test_replays_of_stored_realizations_add_up_to_the_stored_loss(points: list[StoredPoint]) -> None:
    for stored in points:
        if stored.point.series != EW:
            continue
        tally = stored.tally
        assert tally.ranges == ((0, 3000),)
        # The first thirty, against a fresh tally of them: the store adds up by itself.
        told = [replay_stored(stored, i) for i in range(30)]
        if tally.domain == "count":
            found = np.mean([[e.normalized_loss for e in r.evaluations] for r in told], axis=0)
        else:
            found = np.mean([[m.normalized_loss for m in r.moments] for r in told], axis=0)
        assert found.shape == (5,)
        assert found[0] == 1
        assert np.all(np.diff(found) <= 0)


def test_the_text_has_every_part_and_every_number(
    store: Path, points: list[StoredPoint], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stored in points:
        assert call(monkeypatch, "replay", str(store), stored.short_id, "17") == 0
        out, err = capsys.readouterr()
        assert err == ""
        told = replay_stored(stored, 17)
        for title in ("Windows", "Stream 0: words drawn", "Packets, one a worker", "What is decoded and lost"):
            assert title in out
        assert f"Decoding by {DECODERS[told.decoder].title}, packet by packet" in out
        assert all(f"{word:08x}" in out for stream in told.streams for word in stream.words)
        assert all(step.action.describe() in out for step in told.steps)
        assert all(f"{m.normalized_loss:.6g}" in out for m in told.moments)
        assert "counted in the store" in out
        assert "decodes every sub-product at the same time" in out
        assert "\x1b" not in out


def test_json_holds_everything(
    store: Path, points: list[StoredPoint], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = next(p for p in points if p.point.series == "nested")
    assert call(monkeypatch, "replay", str(store), stored.id, "4_000", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    told = replay_stored(stored, 4000)
    assert data["point"]["id"] == stored.id
    assert data["point"]["stored"] is False
    assert data["point"]["kernel_agrees"] is True
    assert data["decoded_at"] == list(told.decoded_at)
    assert [s["action"]["kind"] for s in data["steps"]] == ["matched"] * 12
    assert data["streams"][0]["words"] == list(told.streams[0].words)
    assert [m["loss"] for m in data["moments"]] == [m.loss for m in told.moments]


def test_points_are_found_by_label_too(
    store: Path, points: list[StoredPoint], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "replay", str(store), f"{EW} (rxc, true work)", "0") == 0
    assert "by deadline" in capsys.readouterr().out
    for arguments, message in (
        ((EW, "0"), f"POINT {EW!r} is the label of 2 points; give one's id: "),
        (("zz", "0"), "POINT must be a point's label or the beginning of its id, got 'zz', no such; there are "),
        (("", "0"), "got '', no such"),
        ((points[0].id, "-1"), "REALIZATION must be an integer from 0 to 2**64 - 1, got -1"),
        ((points[0].id, str(2**64)), "REALIZATION must be an integer from 0 to 2**64 - 1"),
        ((points[0].id, "one"), "REALIZATION must be an integer from 0 to 2**64 - 1, got 'one'"),
    ):
        assert call(monkeypatch, "replay", str(store), *arguments) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err


def test_a_kernel_that_decodes_otherwise_is_reported(
    store: Path, points: list[StoredPoint], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import uepgpu.monte_carlo

    real = uepgpu.monte_carlo.decode_times

    def wrong(*arguments: object, **options: object) -> object:
        found = real(*arguments, **options)  # type: ignore[arg-type]
        found[0, 2] += 1
        return found

    monkeypatch.setattr(uepgpu.monte_carlo, "decode_times", wrong)
    assert call(monkeypatch, "replay", str(store), points[0].id, "5") == 1
    out, err = capsys.readouterr()
    assert "differs: X2 at " in out
    assert err.startswith("uepgpu: the kernel decodes this realization otherwise: X2 at ")


def test_a_terminal_gets_tables(points: list[StoredPoint]) -> None:
    from rich.console import Console

    told = replay_stored(points[0], 3)
    screen = io.StringIO()
    show(shown_tables(told), Console(file=screen, force_terminal=True, width=120))
    shown = screen.getvalue()
    assert "\x1b" in shown
    assert "Packets, one a worker" in shown
    assert f"{told.packets[-1].word:08x}" in shown


def test_runs_of_numbers_are_written_short() -> None:
    assert compact([0, 1, 2, 5, 7, 8]) == "0-2 5 7 8"
    assert compact([]) == "–"
