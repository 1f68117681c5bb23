"""Examples of the README, of docs/design.md, docs/stragglers.md and docs/cost-models.md run as they stand."""

from __future__ import annotations

import re

import pytest

from tests.cases.requirements import ROOT
from uepgpu.specification.fields import SpecError
from uepgpu.specification.wanted import FINDS, parse_wanted


def blocks(name, language):
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(
    "name, least", [("README.md", 2), ("docs/design.md", 5), ("docs/stragglers.md", 3), ("docs/cost-models.md", 1)]
)
def test_examples_run(name, least, monkeypatch, capsys):
    monkeypatch.setattr("uepgpu.design.rectangles.ROUNDS", (4000,) * 6)
    examples = blocks(name, "python")
    assert len(examples) >= least
    names: dict = {}
    for example in examples:
        exec(compile(example, name, "exec"), names)
    out = capsys.readouterr().out
    assert out
    if name == "docs/cost-models.md":
        assert out == blocks(name, "text")[0]
    if name == "docs/stragglers.md":
        for number in ("0.3753 0.0265", "0.3837 0.0637", "1.133 18.588", "0.649 2.084", "0.25  0.314"):
            assert number in out
    if name == "docs/design.md":
        assert 1 < names["windows"].objective / names["limit"] < 10
        assert 0.6 < names["traced"].gamma[0] < 1  # .385 if workers were independent
        assert names["robust"].objective < 2.3
        assert names["rarely"].objective < names["rarely"].baseline


def test_examples_of_tasks_are_short():
    for example in blocks("docs/design.md", "python"):
        assert len([line for line in example.splitlines() if line.strip()]) <= 5


def test_the_documented_keys_are_read():
    import tomllib

    (table,) = blocks("docs/design.md", "toml")
    wanted = parse_wanted(tomllib.loads(table))
    assert wanted.find == FINDS
    assert (wanted.objective, wanted.across, wanted.realizations) == ("loss", "minimax", 200_000)
    with pytest.raises(SpecError):
        parse_wanted({"design": {"finds": []}})
