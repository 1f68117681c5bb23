"""Random streams: one table, which the documentation prints and every draw imports."""

from __future__ import annotations

import ast

import pytest

from tests.cases.requirements import ROOT
from uepgpu_kernels import streams

DRAWS = {"words": 2, "fill_words": 3, "draw_block": 5, "block_of": 3, "draw_four": 5, "_normal": 2}
"""Functions that draw from a stream, and the place of the stream among their arguments."""
SOURCES = sorted(p for folder in ("uepgpu", "kernels") for p in (ROOT / folder).rglob("*.py"))


def numbers_in(source):
    """Return lines that call a draw with a number in place of a name from the table."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = DRAWS.get(name, len(node.args))
            if place < len(node.args) and any(isinstance(x, ast.Constant) for x in ast.walk(node.args[place])):
                found.append(node.lineno)
    return found


def test_no_file_but_the_table_has_a_stream_number():
    assert numbers_in("words(seed, realizations, 3, 0, n)\nfill_words(out, seed, r, np.uint64(4), 0, 1)") == [1, 2]
    calls = dict.fromkeys(DRAWS, 0)
    for path in SOURCES:
        source = path.read_text()
        assert numbers_in(source) == [], path
        for name in calls:
            calls[name] += f"{name}(" in source
        if path.name != "streams.py":
            assert "_STREAM =" not in source, path
    assert all(calls.values()), calls


def test_documentation_prints_the_table():
    text = (ROOT / "docs" / "mathematics.md").read_text()
    assert text.index("## 10") < text.index("<!-- streams -->")
    assert text.split("<!-- streams -->")[1].split("<!-- /streams -->")[0].strip() == streams.streams_markdown()


def test_streams_of_one_kind_of_study_are_told_apart():
    keys = [(s.study, int(s.number)) for s in streams.STREAMS]
    assert len(set(keys)) == len(keys)
    assert len({s.name for s in streams.STREAMS}) == len(streams.STREAMS)
    assert streams.purpose_of(1).startswith("one word a place")
    with pytest.raises(StopIteration):
        streams.purpose_of(5)


def test_numbers_of_layout_2_stay_as_they_are():
    # Stored realizations were drawn from these: another number is another layout.
    assert streams.LAYOUT == 2
    assert {s.name: int(s.number) for s in streams.STREAMS} == {
        "packets": 0,
        "order": 1,
        "coefficients": 2,
        "supports": 3,
        "factors": 4,
        "racks": 6,
        "traces": 7,
        "messages": 8,
        "servers": 4,
        "blocks": 5,
        "server order": 1,
        "server racks": 6,
        "server traces": 7,
        "server states": 9,
        "worker states": 9,
    }
