"""Examples of the README, of docs/design.md and of docs/stragglers.md run as they stand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.cases.requirements import ROOT
from uepgpu.specification.fields import SpecError
from uepgpu.specification.load import SPECS
from uepgpu.specification.wanted import FINDS, parse_wanted
from uepgpu.sweep.spec import parse_spec, read_spec


def blocks(name, language):
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("name, least", [("README.md", 2), ("docs/design.md", 5), ("docs/stragglers.md", 5)])
def test_examples_run(name, least, monkeypatch, capsys):
    monkeypatch.setattr("uepgpu.design.rectangles.ROUNDS", (4000,) * 6)
    examples = blocks(name, "python")
    assert len(examples) >= least
    names: dict = {}
    for example in examples:
        exec(compile(example, name, "exec"), names)
    out = capsys.readouterr().out
    assert out
    if name == "docs/stragglers.md":
        for number in ("0.3753 0.0265", "0.3837 0.0637", "1.133 18.588", "0.649 2.084", "0.25  0.314"):
            assert number in out
        # Of the study: independent draws, racks and recorded rounds of one law of latency; descents over them.
        for number in (
            "independent [2.514e-01 5.420e-02 6.000e-03 1.000e-04]",
            "recorded rounds [0.6034 0.5257 0.3812 0.0773]",
            "207 41.9 [210.",
        ):
            assert number in out
        at = [workers.arrival(5.0, 9, 1).item() for name, workers in names["alike"].items() if name != "recorded rounds"]
        assert np.allclose(at, (names["latencies"] <= 5.0).mean(), rtol=1e-12)
    if name == "docs/design.md":
        assert 1 < names["windows"].objective / names["limit"] < 10
        assert 0.6 < names["traced"].gamma[0] < 1  # .385 if workers were independent
        assert names["robust"].objective < 2.3
        assert names["rarely"].objective < names["rarely"].baseline


def test_examples_of_tasks_are_short():
    for example in blocks("docs/design.md", "python"):
        assert len([line for line in example.splitlines() if line.strip()]) <= 5


def test_a_recording_takes_one_specification(tmp_path):
    import tomllib

    (written,) = blocks("docs/stragglers.md", "toml")
    (tmp_path / "mine.csv").write_bytes((SPECS / "stragglers.csv").read_bytes())
    sweep = parse_spec(tomllib.loads(written), name="mine", folder=tmp_path)
    bundled = read_spec("stragglers")
    for mine, theirs in zip(sweep.points, bundled.points[:2], strict=True):
        assert (mine.series, mine.code, mine.workers, mine.deadlines) == (
            theirs.series,
            theirs.code,
            theirs.workers,
            theirs.deadlines,
        )
    trace = bundled.points[0].workers.latency
    assert trace.latencies.shape == (200, 30)


def test_the_documented_keys_are_read():
    import tomllib

    (table,) = blocks("docs/design.md", "toml")
    wanted = parse_wanted(tomllib.loads(table))
    assert wanted.find == FINDS
    assert (wanted.objective, wanted.across, wanted.realizations) == ("loss", "minimax", 200_000)
    with pytest.raises(SpecError):
        parse_wanted({"design": {"finds": []}})
