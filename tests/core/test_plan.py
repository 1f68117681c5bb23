"""A plan asks its code for the law of supports once, and takes nothing else for one."""

from __future__ import annotations

import pytest

from tests.cases.problems import EW, PAPER, RXC
from uepgpu import codes, simulate, theory
from uepgpu.plan import make_plan
from uepgpu.points.identity import identify
from uepgpu.sweep.spec import read_spec


@pytest.fixture
def asked(monkeypatch):
    """Return a list that grows by the name of a code whenever its law is asked for."""
    calls = []

    def counting(kind):
        law = kind.law

        def counted(self, partition, n_workers):
            calls.append(kind.__name__)
            return law(self, partition, n_workers)

        monkeypatch.setattr(kind, "law", counted)

    for kind in (codes.ExpandingWindow, codes.NonOverlappingWindow, codes.MDS, codes.Repetition, codes.Uncoded, codes.LT):
        counting(kind)
    return calls


def test_a_point_is_read_identified_and_named_with_its_law_asked_once(asked):
    points = read_spec("fair").points
    for point in points:
        identify(point)
        assert point.encoding
    assert len(points) > 6
    assert len(asked) == len(points)


@pytest.mark.parametrize("deadlines", [None, [0.5]])
def test_simulations_and_theory_ask_once(asked, deadlines):
    simulate(EW, RXC, PAPER, realizations=1, seed=1, deadlines=deadlines, backend="numpy")
    assert asked == ["ExpandingWindow"]
    theory.loss(EW, RXC, PAPER, **({"received": [3]} if deadlines is None else {"deadlines": deadlines}))
    assert asked == ["ExpandingWindow"] * 2


class Wrong:
    def law(self, partition, n_workers):
        return [[0, 1], [2]]


@pytest.mark.parametrize("code, reason", [(Wrong(), "must return a SupportLaw"), (Wrong, "code must be"), (7, "code must be")])
def test_what_is_no_code_or_has_no_law_is_refused(code, reason):
    for ask in (
        lambda: make_plan(code, RXC, PAPER, seed=1),
        lambda: theory.loss(code, RXC, PAPER, deadlines=[0.5]),
        lambda: theory.loss(code, RXC, received=[3]),
    ):
        with pytest.raises(ValueError, match=reason):
            ask()
