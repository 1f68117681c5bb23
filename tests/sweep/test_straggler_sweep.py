"""From a specification with workers that differ and misbehave to a store, its table, its report and a replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cases.command_line import call
from tests.cases.stores import make_store
from uepgpu import theory
from uepgpu.store.stored import read_points

SPEC = """
title = "stragglers"
realizations = 2000
seed = 7
deadlines = [0.3, 0.6, 2]
gamma = [0.40, 0.35, 0.25]

[workers]
count = 12
omega = 1.0
work = "unit"

[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]

[[series]]
label = "two laws"
code = "ew"
workers = { latency = { each = ["exponential", { law = "pareto", shape = 2.0, scale = 0.2 }], counts = [8, 4] } }

[[series]]
label = "stages"
code = "ew"
workers = { latency = { law = "staged", compute = "exponential", send = { law = "weibull", shape = 2.0, scale = 0.1 } } }

[[series]]
label = "backup"
code = "ew"
workers = { backup = { name = "backup", after = 0.5 } }

[[series]]
label = "racks"
code = "ew"
workers = { racks = { of = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], probability = 0.1 } }

[[series]]
label = "trace"
code = "ew"
workers = { latency = { law = "trace", latencies = "trace.csv", round = "step", worker = "node", latency = "seconds" } }

[[series]]
label = "linear messages"
code = "ew"
workers = { messages = 2, omega = 0.5 }

[[series]]
label = "erlang messages"
code = "ew"
workers = { messages = 2, omega = 0.5, progress = "erlang" }

[[series]]
label = "uncoded messages"
code = "uncoded"
workers = { messages = 3, count = 3, racks = { of = [0, 1, 0], probability = 0.1 } }
"""

MESSAGES = {f"{p} messages": f"Exponential(rate=1.0), 2 messages each ({p})" for p in ("linear", "erlang")}
MESSAGES["uncoded messages"] = "Exponential(rate=1.0), 3 messages each (linear)"
"""Series whose workers return several messages, and what is said of them."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stragglers")
    rng = np.random.default_rng(3)
    rows = [f"{r},{w},{rng.exponential():.4f}" for r in range(5) for w in range(12)]
    (folder / "trace.csv").write_text("\n".join(["step,node,seconds", *rows]))
    return make_store(folder, SPEC)


def test_points_come_back_and_agree_with_theory(store: Path) -> None:
    points = read_points(str(store))
    assert [p.point.series for p in points] == ["two laws", "stages", "backup", "racks", "trace", *MESSAGES]
    assert len({p.tally_id for p in points[:5]}) == 1, "they differ in arrivals only, and share their realizations"
    assert points[5].tally_id == points[6].tally_id != points[0].tally_id, "more packets, whose arrivals do not matter"
    assert [p.tally.domain for p in points] == ["count"] * 7 + ["deadline"]
    for stored in points[:7]:
        point, tally = stored.point, stored.tally
        exact = theory.loss(point.code, point.part, point.workers, deadlines=point.deadlines).loss.values
        found = tally.loss(point.part, workers=point.workers, deadlines=point.deadlines)
        assert np.all(np.abs(found.loss.values - exact) <= 4 * found.loss_stderr.values)
    assert points[4].point.workers.latency.n_rounds == 5
    *_, own = points  # the j-th tile of a worker is lost if its rack is dark, or it is late for j times its time
    pool = own.point.workers
    assert (pool.messages, pool.racks.of, own.tally.n_packets) == (3, (0, 1, 0), 9)
    energy, times = own.point.part.energy, np.array(own.point.deadlines)
    expected = sum(energy[k] * (1 + 0.9 * np.expm1(-times / (k % 3 + 1))) for k in range(9))
    found = own.tally.loss(own.point.part)
    assert np.all(np.abs(found.loss.values - expected) <= 4 * found.loss_stderr.values)


def test_replays_reports_and_exports_say_what_workers_do(store: Path, monkeypatch, capsys, tmp_path) -> None:
    said = {
        "two laws": "8 × Exponential(rate=1.0), 4 × Pareto",
        "stages": "Staged(",
        "racks": "3 racks, each dark with probability 0.1",
    }
    said |= {"backup": "Backup(after=0.5): 19.28 packets launched", "trace": "Trace(5 rounds of 12 workers"}
    for stored in read_points(str(store)):
        assert call(monkeypatch, "replay", str(store), stored.short_id, "5") == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "the NumPy kernel decodes every sub-product at the same time" in shown
        assert (said | MESSAGES)[stored.point.series] in shown
    page = tmp_path / "report.html"
    assert call(monkeypatch, "report", str(store), "--output", str(page)) == 0
    text = page.read_text(encoding="utf-8")
    for words in (*said.values(), *MESSAGES.values()):
        assert words.replace("'", "&#x27;") in text
    drawn = ("--kind", "packets", "--x", "omega", "--output", str(tmp_path / "packets.svg"))
    assert call(monkeypatch, "plot", str(store), *drawn, "--at", "10,24") == 0, "24 packets of 12 workers"
    assert call(monkeypatch, "plot", str(store), *drawn, "--at", "25") == 2
    table = tmp_path / "out.csv"
    assert call(monkeypatch, "export", str(store), "--csv", str(table)) == 0
    exported = table.read_text(encoding="utf-8")
    assert "Trace(5 rounds of 12 workers" in exported
    assert all(words in exported for words in MESSAGES.values())
