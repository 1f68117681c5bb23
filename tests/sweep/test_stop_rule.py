"""Stop rules: where they look, what stops them, what they say, and that speed has no say in it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uepgpu as uep
from uepgpu.points.identity import identify
from uepgpu.points.point import Point
from uepgpu.points.stop import MOST_REALIZATIONS, StopRule, failures_seen

V = (10, 1, 0.1)
PART = uep.Partition.model("rxc", left_variances=V, right_variances=V, classes=(3, 3, 3))
EW = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
WORKERS = uep.Workers(30, omega=1.0, work="unit")
TIMES = (0.0, 0.3, 0.6)


def tally(n: int, work: str = "unit", times: tuple[float, ...] = TIMES) -> uep.Tally:
    workers = uep.Workers(30, omega=1.0, work=work)  # type: ignore[arg-type]
    return uep.simulate(EW, PART, workers, deadlines=None if work == "unit" else times, realizations=n, seed=3, backend="numpy")


def judge(rule: StopRule, n: int = 2000, *, seconds: float = 1.0, work: str = "unit") -> Any:
    workers = uep.Workers(30, omega=1.0, work=work)  # type: ignore[arg-type]
    return rule.judge(tally(n, work), PART, workers, TIMES, seconds)


@given(first=st.integers(2, 10**6), growth=st.floats(1.01, 10), most=st.integers(1, 10**8))
def test_checkpoints_ascend_to_the_last_realization(first: int, growth: float, most: int) -> None:
    found = list(itertools.islice(StopRule(most, seconds=1, first=first, growth=growth).checkpoints(), 5000))
    assert all(a < b for a, b in itertools.pairwise(found))
    assert found[-1] == most
    assert found[0] == min(first, most)


def test_realizations_alone_are_looked_at_once() -> None:
    assert list(StopRule(10**12).checkpoints()) == [10**12]
    rule = StopRule(100, relative_error=0.1, first=10, growth=2)
    assert [rule.next_checkpoint(n) for n in (0, 10, 39, 40, 99, 100)] == [10, 20, 40, 80, 100, None]


def test_each_criterion_stops_and_says_so() -> None:
    options = {"workers": WORKERS, "deadlines": TIMES}
    loss = tally(2000).loss(PART, **options)
    # Every class fails and succeeds often here, so that the interval is Student's.
    half = (loss.normalized_loss_high - loss.normalized_loss_low) / 2
    assert np.allclose(half[1:] / loss.normalized_loss_stderr[1:], 2.0395, rtol=1e-4)
    relative = float((half / 1.96 / loss.normalized_loss).values[1:].max())
    width = float((loss.normalized_loss_high - loss.normalized_loss_low).values[1:].max())
    seen = float(failures_seen(tally(2000), options)[1:].min())
    exceeds = tally(2000).exceedance(PART, 0.01, **options)
    chance = float((exceeds.high - exceeds.low).values[1:].max())
    cases = [
        ({"realizations": 2000}, {"realizations": 2001}, "2,000 of 2,000 realizations"),
        ({"relative_error": relative * 1.001}, {"relative_error": relative * 0.999}, f"relative error {relative:.3g} (wanted"),
        ({"interval_width": width * 1.001}, {"interval_width": width * 0.999}, f"interval width {width:.3g} (wanted"),
        ({"failures": int(seen)}, {"failures": int(seen) + 1}, f"{seen:,.0f} of {int(seen):,} failures"),
        ({"seconds": 0.999}, {"seconds": 1.001}, "1 of 0.999 s"),
        (
            {"exceeding": 0.01, "exceedance_width": chance * 1.001},
            {"exceeding": 0.01, "exceedance_width": chance * 0.999},
            f"interval of Pr[loss > 0.01] {chance:.3g} wide (wanted",
        ),
    ]
    for enough, short, reason in cases:
        verdict = judge(StopRule(**({"realizations": 10**6} | enough)))
        assert verdict.stopped
        assert verdict.reason.startswith(reason)
        assert verdict.fraction == 1
        verdict = judge(StopRule(**({"realizations": 10**6} | short)))
        assert not verdict.stopped
        assert 0.95 < verdict.fraction < 1


def test_whichever_comes_first_and_every_reason_is_told() -> None:
    verdict = judge(StopRule(2000, relative_error=0.5, failures=10**6))
    assert verdict.stopped
    assert verdict.reason.startswith("2,000 of 2,000 realizations; relative error ")


def test_deadlines_that_matter_are_those_that_are_named() -> None:
    error = {t: float(judge(StopRule(10**9, relative_error=1e-4, deadlines=(t,))).reason.split()[2]) for t in TIMES[1:]}
    assert error[0.3] < error[0.6]
    assert judge(StopRule(10**6, relative_error=(error[0.3] + error[0.6]) / 2, deadlines=(0.3,))).stopped
    assert not judge(StopRule(10**6, relative_error=(error[0.3] + error[0.6]) / 2)).stopped


def test_deadlines_before_anything_can_arrive_do_not_matter() -> None:
    # At t = 0 the interval never becomes narrow: nothing has ever been decoded.
    assert judge(StopRule(10**6, interval_width=0.05)).stopped


def test_nothing_observed_is_no_precision_and_a_bound() -> None:
    # By t = 60 every packet has arrived, and any nine decode everything.
    late, code = (60.0,), uep.codes.MDS()
    counts = uep.simulate(code, PART, WORKERS, deadlines=late, realizations=500, seed=3, backend="numpy")
    for rule in (StopRule(10**6, relative_error=0.5), StopRule(10**6, failures=1), StopRule(10**6, interval_width=1e-3)):
        verdict = rule.judge(counts, PART, WORKERS, late, 1.0)
        assert not verdict.stopped
    loss = counts.loss(PART)
    assert float(loss.normalized_loss[0]) == float(loss.normalized_loss_low[0]) == 0.0
    assert float(loss.normalized_loss_high[0]) > 1e-3


ONE_EACH = uep.Partition.model("cxr", left_variances=V, right_variances=V, classes=(1, 1, 1))
TWELVE = uep.Workers(12, omega=1.0, work="unit")
LATE = (100.0,)
"""By then every packet has arrived."""


def late_tally(code: Any, n: int, seed: int) -> uep.Tally:
    return uep.simulate(code, ONE_EACH, TWELVE, realizations=n, seed=seed, backend="numpy")


def undecoded(counts: uep.Tally) -> Any:
    """Realizations in which each class was lost when everything had arrived."""
    lost = 1 - (np.arange(8)[:, None] >> np.arange(3) & 1)
    return counts.patterns.sum(axis=0)[-1] @ lost


def test_a_class_not_seen_failing_is_no_precision_where_it_may_decide() -> None:
    # Class 2 fails in 1.7e-4 of all realizations, and that is half the loss.
    code, rule = uep.codes.ExpandingWindow((0.4, 0.3, 0.3)), StopRule(MOST_REALIZATIONS, relative_error=0.1)
    exact = float(uep.theory.loss(code, ONE_EACH, TWELVE, deadlines=LATE).normalized_loss[0])
    blind = 0
    for seed in range(10):
        counts = late_tally(code, 10_000, seed)
        loss = counts.loss(ONE_EACH, workers=TWELVE, deadlines=LATE)
        blind += float(loss.normalized_loss_stderr[0]) <= 0.1 * float(loss.normalized_loss[0])
        verdict = rule.judge(counts, ONE_EACH, TWELVE, LATE, 1.0)
        assert not verdict.stopped
        assert float(verdict.reason.split()[2]) >= abs(exact / float(loss.normalized_loss[0]) - 1) / 1.96
    # The standard error alone would have stopped some of them.
    assert blind > 0


def test_a_class_not_seen_failing_does_no_harm_where_it_cannot_decide() -> None:
    # Class 3 fails in 2e-5 of all realizations, and is 1e-4 of the product; class 1 fails in 7 %.
    code = uep.codes.NonOverlappingWindow((0.2, 0.2, 0.6))
    counts = late_tally(code, 10_000, 1)
    assert undecoded(counts)[2] == 0
    assert undecoded(counts)[0] > 30
    verdict = StopRule(10**9, relative_error=0.1).judge(counts, ONE_EACH, TWELVE, LATE, 1.0)
    assert verdict.stopped


def test_failures_count_realizations_that_lost_something() -> None:
    counts = tally(2000, "true")
    lost = (counts.patterns.sum(axis=0)[:, :-1]).sum(axis=1)
    assert np.array_equal(failures_seen(counts, {}), lost)


def test_rules_come_back_from_text_and_are_told_apart() -> None:
    rule = StopRule(10**9, 0.01, 0.1, 100, 60.0, (0.3, 0.6), 1000, 2.0)
    assert StopRule.from_json(rule.to_json()) == rule
    assert StopRule(5).to_json() != StopRule(6).to_json()


@pytest.mark.parametrize(
    "values, message",
    [
        ({"realizations": 0}, "realizations must be an integer >= 1, got 0"),
        ({"realizations": MOST_REALIZATIONS + 1}, "realizations must be at most 2"),
        ({"realizations": 5, "relative_error": 0}, "relative_error must be a finite number > 0, got 0"),
        ({"realizations": 5, "interval_width": -1}, "interval_width must be a finite number > 0, got -1"),
        ({"realizations": 5, "seconds": float("nan")}, "seconds must be a finite number > 0, got nan"),
        ({"realizations": 5, "failures": 0.5}, "failures must be an integer >= 1, got 0.5"),
        ({"realizations": 5, "first": 1}, "first must be an integer >= 2, got 1"),
        ({"realizations": 5, "growth": 1.0}, "growth must be at least 1.01, got 1.0"),
        ({"realizations": 5, "deadlines": (float("inf"),)}, "deadlines must be a finite number, got inf"),
    ],
)
def test_wrong_rules_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        StopRule(**values)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("speeds", [(4.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 4.0), (0.25, 1.0, 2.0, 4.0)])
def test_deadlines_matter_from_the_first_that_the_fastest_worker_can_meet(speeds: tuple[float, ...]) -> None:
    # Nothing arrives before .25 (speed 4); a worker of speed 1 answers at 1 at the earliest.
    workers = uep.Workers(4, uep.latency.ShiftedExponential(1.0, 1.0), 1.0, "unit", speeds=speeds)
    times = (0.1, 0.2, 0.3, 0.6, 1.5)
    part = uep.Partition.model("rxc", left_variances=(10, 1), right_variances=(10, 1), classes=(2, 2))
    seen = uep.simulate(uep.codes.Uncoded(), part, workers, deadlines=times, realizations=2000, seed=1, backend="numpy")
    lost = seen.loss(part).normalized_loss.values
    chosen = StopRule(10, failures=1)._chosen(part, workers, times)
    assert chosen.tolist() == np.flatnonzero(lost < 1).tolist() == [2, 3, 4]


def test_a_rule_on_exceedance_keeps_the_ids_of_the_others_and_its_own() -> None:
    plain, asking = StopRule(100, relative_error=0.1), StopRule(100, exceeding=0.01, exceedance_width=0.1)
    assert "exceed" not in plain.to_json()
    for rule in (plain, asking):
        assert StopRule.from_json(rule.to_json()) == rule
    assert asking.id != StopRule(100, exceeding=0.02, exceedance_width=0.1).id
    assert not asking.fixed


def test_a_rule_on_exceedance_needs_both_keys_and_a_law_of_the_loss() -> None:
    with pytest.raises(ValueError, match=r"exceeding and exceedance_width belong together.*got 0\.01 and None"):
        StopRule(100, exceeding=0.01)
    with pytest.raises(ValueError, match="exceedance_width must be a finite number > 0, got 0"):
        StopRule(100, exceeding=0.01, exceedance_width=0)
    with pytest.raises(ValueError, match="exceeding must be a finite number >= 0, got -1"):
        StopRule(100, exceeding=-1, exceedance_width=0.1)
    rule = StopRule(100, exceeding=0.01, exceedance_width=0.1)
    point = Point("LT", "rxc", uep.codes.LT(), PART, WORKERS, TIMES, rule, 1)
    with pytest.raises(ValueError, match="exceedance_width needs a code that decodes class by class"):
        identify(point)
    assert identify(replace(point, code=EW)).kind == "patterns"
