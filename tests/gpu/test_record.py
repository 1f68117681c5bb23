"""The record of a GPU: whatever a section does, the record ends in time, tells of it, and leaves no process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.gpu import equality
from bench.gpu.notes import Notes
from bench.gpu.page import page
from bench.gpu.problems import HOT, PROBLEMS, digest, equality_cases
from bench.gpu.processes import run
from bench.gpu.sections import SECTIONS
from tests.cases import record_sections
from tests.cases.record_sections import CRASHES, ENDS, LAST, RAISES, hanging
from tests.cases.requirements import ROOT

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}


def gone(pid):
    """Return whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    assert true()


def of(rows, section):
    return [row for row in rows if row["section"] == section]


def test_a_section_that_raises_crashes_or_hangs_is_a_row_and_the_others_go_on(tmp_path):
    seen = []
    sections = {"hangs": hanging(2.0), "raises": RAISES, "crashes": CRASHES, "ends": ENDS, "last": LAST}
    rows = run(sections, tmp_path, backend="numpy", budget=120, at_once=3, rewrite=lambda found: seen.append(len(found)))
    wanted = [("a step", False), ("after it", True), ("the whole section", False)]
    assert [(r["what"], r["ok"]) for r in of(rows, "raises")] == wanted
    assert of(rows, "raises")[0]["error"] == "ValueError: of the step"
    assert "in raises" in of(rows, "raises")[0]["traceback"]
    (crashed,) = of(rows, "crashes")
    assert not crashed["ok"]
    assert "exit code 3: last words" in crashed["error"]
    began, killed = of(rows, "hangs")
    assert began["what"] == "began"
    assert killed["ok"] is False
    assert "out of time" in killed["error"]
    wait_until(lambda: gone(began["child"]))
    for name, shard in (("ends", 4), ("last", 5)):
        assert [(r["what"], r["ok"]) for r in of(rows, name)] == [("a figure", None), ("a check", True)]
        assert of(rows, name)[0]["shard"] == shard
    assert min(r["at"] for r in of(rows, "last")) >= max(r["at"] for r in rows if r["section"] not in ("last",) and "at" in r)
    assert seen == sorted(set(seen))
    assert seen[-1] == len(rows)


def test_the_budget_ends_what_runs_and_starts_no_more(tmp_path):
    sections = {"hangs": hanging(60.0), "ends": ENDS}
    began = time.monotonic()
    rows = run(sections, tmp_path, backend="numpy", budget=2.0, at_once=1, rewrite=len)
    assert time.monotonic() - began < 30  # of 60 that the section may take
    assert "out of time" in of(rows, "hangs")[-1]["error"]
    (not_started,) = of(rows, "ends")
    assert not_started["ok"] is False
    assert "the budget was spent" in not_started["error"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_record_that_is_interrupted_ends_its_sections(tmp_path, number):
    code = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has children in the background ignore it
from pathlib import Path
from bench.gpu import __main__ as command
from tests.cases.record_sections import hanging
command.SECTIONS.clear()
command.SECTIONS["hangs"] = hanging(600.0)
sys.argv[1:] = ["--out", sys.argv[1], "--backend", "numpy", "--only", "hangs"]
sys.exit(command.main())
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=ENVIRONMENT, cwd=ROOT, stderr=subprocess.DEVNULL)
    record = tmp_path / "record.json"
    try:
        wait_until(lambda: record.exists() and json.loads(record.read_text()))
        process.send_signal(number)
        assert process.wait(20) != 0
    finally:
        process.kill()
        process.wait()
    (began,) = json.loads(record.read_text())
    wait_until(lambda: gone(began["child"]))


def test_one_command_writes_the_page_and_the_rows(tmp_path):
    command = [sys.executable, "-m", "bench.gpu", "--out", str(tmp_path), "--backend", "numpy", "--only", "env"]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "record.json").read_text())
    assert {"section": "environment", "what": "the backend answers", "ok": True}.items() <= rows[-1].items()
    text = (tmp_path / "record").with_suffix(".md").read_text()
    assert "1 checks passed, 0 failed." in text
    assert "## Environment" in text
    assert "numpy " in text
    assert sorted(x.name for x in tmp_path.iterdir()) == ["record.json", f"record{'.md'}", "rows"]


SHORT = ("environment", "launches", "multiply", "gradient", "rates0")
"""Sections that are quick with a pretended device: events, queued launches, dense work, draws of gradient coding."""


def test_sections_of_a_device_run_with_one_that_is_pretended(numba_cuda, tmp_path):
    command = [
        sys.executable,
        "-m",
        "bench.gpu",
        "--out",
        str(tmp_path),
        "--pretended",
        "--budget",
        "200",
        "--only",
        ",".join(SHORT),
    ]
    hurried = ENVIRONMENT | {"UEPGPU_PRETENDED_CODE": "0"}
    done = subprocess.run(command, env=hurried, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of a pretended device" in done.stdout
    rows = json.loads((tmp_path / "record.json").read_text())
    assert {row["section"] for row in rows} == set(SHORT)
    assert all(row["pretended"] for row in rows)
    checks = [row["what"] for row in rows if row["ok"]]
    assert checks[0] == "the backend answers"
    schemes = ("ReplicatedSketch", "CyclicCode", "StochasticBlocks")
    assert checks[-6:] == [what for name in schemes for what in (f"{name}: draws", name)]
    assert len(checks) == 10
    (device,) = (row for row in rows if row["what"] == "device")
    assert "PRETENDED" in device["name"]
    (rate,) = of(rows, "rates0")
    assert rate["kernel_rate"] > 0
    (_, _, queued) = of(rows, "launches")
    assert queued["queue_microseconds"] <= queued["to_the_end_microseconds"]
    text = (tmp_path / "record").with_suffix(".md").read_text()
    assert text.startswith("# uepgpu on a pretended device, no GPU\n\n**The device was pretended. No figure here is of a GPU")
    assert "## Rates, pretended" in text
    assert [p.read_text() for p in (tmp_path / "rows").glob("*.errors") if p.read_text()] == []


def test_the_page_begins_with_what_failed():
    rows = [
        {"section": "hot", "what": "count", "ok": None, "rate": 2.5e10, "clocks": None},
        {"section": "rates0", "what": "MDS", "ok": None, "rate": 1.0, "clocks": "a | b"},
        {"section": "long", "what": "agree", "ok": False, "error": "different\nintegers"},
        {"section": "selftest", "what": "it", "ok": True, "text": "line\nline"},
    ]
    text = page(SECTIONS, rows, "Head.")
    lines = text.splitlines()
    assert lines[:5] == ["# uepgpu on a GPU", "", "Head.", "", "1 checks passed, 1 failed."]
    assert lines.index("| long | agree | different integers |") < lines.index("## Rates")
    assert "| count |  | 2.5e+10 |  |" in lines
    assert "| MDS |  | 1 | a \\| b |" in lines
    assert "```\nline\nline\n```" in text
    assert "## Products\n\nNot run." in text


def test_digests_are_those_of_the_draws_as_they_are():
    cases = {label: (problem, n, first) for label, problem, n, first in equality_cases()}
    stored = equality.read_digests()
    assert list(stored) == list(cases)
    names = [*HOT, "repetition", "MDS, 22 deadlines", "W = 256", "K = 64, LT, match"]
    for label, (problem, n, first) in cases.items():
        if label.rpartition(": ")[0] in names:
            assert digest(problem.simulate(n, "numpy", first)) == stored[label], f"{label}: python -m bench.gpu --make-digests"


def test_a_wrong_tally_is_a_failure_and_a_stale_digest_is_told(tmp_path, monkeypatch):
    notes = Notes("equality0", "numba", tmp_path, 0.0, 1.0)
    right = equality.read_digests()
    stale = next(iter(right))
    monkeypatch.setattr(equality, "read_digests", lambda: right | {stale: "0"})
    monkeypatch.setattr(equality, "SHARDS", len(PROBLEMS))
    equality.equality(notes, 0)
    wrong = lambda tally: "wrong" if tally.backend == "numba" else digest(tally)  # noqa: E731
    monkeypatch.setattr(equality, "digest", wrong)
    equality.equality(notes, 0)
    rows = [json.loads(line) for line in notes.file.read_text().splitlines()]
    assert [(row["ok"], row["as_prepared"]) for row in rows] == [(True, False), (True, True), (False, False), (False, False)]


def test_every_section_is_a_function_that_takes_notes():
    import importlib

    for section in (*SECTIONS.values(), ENDS):
        module, _, function = section.target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    assert [name for name, section in SECTIONS.items() if section.alone] == ["memory"]
    assert record_sections.ENDS.shard == 4
