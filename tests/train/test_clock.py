"""Simulated time: what waiting for all costs, and when an accuracy is reached."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.masks import CODES, LATENCY, scheme
from uepgpu.train.clock import completion_times, product_slots, time_grid
from uepgpu.train.draws import Draws
from uepgpu.train.named import Entry, entries, named_code
from uepgpu.train.results import Series, band, curves_csv, reach, reached_csv, waiting_series


def harmonic(n):
    return sum(1 / i for i in range(1, n + 1))


@pytest.mark.parametrize(
    ("name", "work", "expected"),
    [
        # K = 9 of W = 9: Σ 1/(λ i); with two copies each at half the speed: the same law; 9 of 15 at speed 9/15.
        ("uncoded", "unit", harmonic(9) / 0.5),
        ("repetition", "unit", harmonic(9) / 0.5),
        ("mds", "unit", (harmonic(15) - harmonic(6)) / (0.5 * 9 / 15)),
        ("mds", "true", 3 * (harmonic(15) - harmonic(6)) / (0.5 * 9 / 15)),  # any 3×3 matrix has rank 3
    ],
)
def test_waiting_for_all_takes_the_time_of_order_statistics(name, work, expected):
    code = CODES[name][0]
    s = scheme(name, 1.0, work=work)
    times = completion_times(code, s.partition, s.workers, seed=2, replica=0, slots=[1, 2], steps=20_000)
    assert times.shape == (20_000, 2)
    mean, error = times.mean(), times.std() / math.sqrt(times.size)
    assert abs(mean - expected) <= 4 * error + 0.001 * expected  # 4 standard errors, and the grid of times


def test_waiting_is_for_the_realizations_of_training():
    """With a deadline on the grid of times: what is complete by then is what training has all of."""
    base = scheme("uncoded", 1.0)
    grid = time_grid(base.code, base.partition, base.workers)
    deadline = float(grid[np.searchsorted(grid, 4.0)])
    s = scheme("uncoded", deadline, seed=9)
    times = completion_times(s.code, s.partition, s.workers, seed=9, replica=4, slots=[3], steps=300)[:, 0]
    all_in_time = (Draws(s, replica=4).chunk(3, 0)[:300] == 1).all(axis=1)
    assert np.array_equal(times <= deadline, all_in_time)
    assert 0 < all_in_time.sum() < 300


def test_what_never_ends_is_told():
    s = scheme("now", 1.0)
    with pytest.raises(ValueError, match="does not always decode everything: it cannot be waited for"):
        completion_times(s.code, s.partition, s.workers, seed=1, replica=0, slots=[0], steps=500)
    lossy = uep.Workers(9, latency=LATENCY, loss_probability=0.1, omega="fair")
    with pytest.raises(ValueError, match="waiting for all never ends"):
        time_grid(uep.codes.Uncoded(), s.partition, lossy)


def test_slots_of_a_step():
    assert product_slots(3, front=False) == [1, 2, 3, 4, 5]
    assert product_slots(2, front=True) == [0, 1, 2, 3]


# --- series -----------------------------------------------------------------------------------------------------------


def series(test, deadline=0.5, steps=(0, 10, 20, 30), code="ew"):
    test = np.array(test, dtype=float)
    entry = (
        Entry(code, "rxc", "unit", deadline, scheme("ew", deadline)) if code == "ew" else Entry(code, "any", "any", math.inf, None)
    )
    return Series.of(entry, np.array(steps), test - 0.01, test, test[-1], test[-1] - 0.02)


def test_a_step_costs_its_deadline():
    assert series([[0.1], [0.5], [0.6], [0.7]]).time[:, 0].tolist() == [0.0, 5.0, 10.0, 15.0]


def test_the_time_to_an_accuracy_is_over_those_who_get_there():
    s = series([[0.1, 0.1, 0.1], [0.5, 0.2, 0.1], [0.6, 0.7, 0.2], [0.65, 0.8, 0.3]])
    got = reach(s, 0.6)
    assert (got.reached, got.replicas, got.steps, got.time) == (2, 3, 20.0, 10.0)
    got = reach(s, 0.5)
    assert (got.reached, got.steps, got.time) == (2, 15.0, 7.5)
    assert got.time_high - got.time == pytest.approx(12.706 * 2.5, rel=1e-3)  # Student's t with one degree of freedom
    never = reach(s, 0.9)
    assert never.reached == 0
    assert math.isnan(never.time)


def test_bands_are_students():
    values = np.random.default_rng(1).normal(size=(1000, 8))
    mean, low, high = band(values)
    covered = ((low <= 0) & (high >= 0)).mean()
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 1000)  # 4 standard errors
    assert np.all(np.isnan(band(values[:, :1])[1]))
    assert mean.shape == (1000,)


def test_tables_hold_every_point():
    s = [series([[0.1, 0.1], [0.5, 0.4]], steps=(0, 10)), series([[0.1, 0.1], [0.9, 0.8]], steps=(0, 10), code="centralized")]
    rows = curves_csv(s).splitlines()
    assert rows[0].startswith("code,paradigm,work,deadline,replicas,step,time,train_accuracy,")
    assert len(rows) == 5
    assert rows[2].startswith("ew,rxc,unit,0.5,2,10,5,0.44,")
    assert rows[4].split(",")[:8] == ["centralized", "any", "any", "inf", "2", "10", "", "0.84"]
    rows = reached_csv(s, (0.45, 0.85)).splitlines()
    assert len(rows) == 5
    assert rows[1].split(",")[-6:-1] == ["0.45", "1", "10", "5", ""][-5:]


def test_bands_of_accuracies_stay_among_shares():
    """Two replicas that differ: Student's interval with one degree of freedom is wider than [0, 1]."""
    s = series([[0.1, 0.5], [0.6, 0.9]], steps=(0, 10))
    for text in (curves_csv([s]), reached_csv([s], (0.45,))):
        for row in csv.DictReader(io.StringIO(text)):
            ends = [
                float(v) for k, v in row.items() if k.startswith(("train_", "test_", "final_")) and k.endswith(("_low", "_high"))
            ]
            assert ends
            assert set(ends) == {0.0, 1.0}


def test_waiting_series_are_exact_training_on_another_clock():
    exact = series([[0.1, 0.1], [0.9, 0.8]], steps=(0, 100), code="centralized")
    found = waiting_series(exact, ["rxc", "cxr"], ["unit", "true"], replicas=[0, 1], workers=15, rate=0.5, slots=[1, 2, 3], seed=1)
    labels = [(s.code, s.paradigm, s.work) for s in found]
    assert labels == [
        ("uncoded, wait for all", "any", "any"),
        ("repetition, wait for all", "any", "any"),
        ("mds, wait for all", "any", "unit"),
        ("mds, wait for all", "rxc", "true"),
        ("mds, wait for all", "cxr", "true"),
    ]
    for s in found:
        assert np.array_equal(s.test, exact.test)
        assert s.time[0].tolist() == [0, 0]
    mean = {label: s.time[-1].mean() / 100 for label, s in zip(labels, found, strict=True)}
    assert mean["mds, wait for all", "cxr", "true"] == pytest.approx(9 * mean["mds, wait for all", "any", "unit"], rel=0.01)
    assert mean["uncoded, wait for all", "any", "any"] == pytest.approx(harmonic(9) / 0.5, rel=0.1)


def test_workers_too_few_for_mds_are_not_waited_for():
    exact = series([[0.1], [0.9]], steps=(0, 10), code="centralized")
    for workers, expected in ((8, ["uncoded", "repetition"]), (9, ["uncoded", "repetition", "mds"])):
        found = waiting_series(exact, ["rxc"], ["unit"], replicas=[0], workers=workers, rate=0.5, slots=[1], seed=1)
        assert [s.code for s in found] == [f"{name}, wait for all" for name in expected]


# --- codes by name ----------------------------------------------------------------------------------------------------


def test_named_codes_have_the_workers_of_the_paper():
    counts = {
        n: named_code(n, 9, workers=15, rate=0.5, gamma=(0.45, 0.35, 0.2), work="unit")[1].count
        for n in ("uncoded", "repetition", "now", "ew", "mds", "ew-nested")
    }
    assert counts == {"uncoded": 9, "repetition": 18, "now": 15, "ew": 15, "mds": 15, "ew-nested": 15}


def test_repetition_as_published_loses_a_block_if_any_copy_is_late():
    """docs/mathematics.md §9: .951 lost instead of .607 at p = .221, that is at λΩt = .25."""
    s = [scheme("repetition", 1.0), scheme("uncoded", 1.0)]
    for name, expected in (("repetition", 0.6065), ("repetition-any-late", 0.9511)):
        code, workers = named_code(name, 9, workers=15, rate=0.5, gamma=(1.0,), work="unit")
        part = s[0].partition
        loss = float(uep.theory.loss(code, part, workers, deadlines=[1.0]).normalized_loss[0])
        assert loss == pytest.approx(expected, abs=1e-4)


def rows(**changes):
    options = {"codes": ["centralized", "uncoded", "ew", "ew-factored"], "paradigms": ["rxc", "cxr"], "works": ["unit", "true"]}
    return entries(**options | {"deadlines": [0.5, 1.0], "workers": 15, "rate": 0.5, "gamma": (0.45, 0.35, 0.2)} | changes)


def test_entries_are_not_trained_twice():
    labels = [(e.code, e.paradigm, e.work) for e in rows() if e.deadline in (0.5, math.inf)]
    assert labels == [
        ("centralized", "any", "any"),
        ("uncoded", "rxc", "any"),
        ("ew", "rxc", "unit"),
        ("ew", "rxc", "true"),
        ("ew-factored", "rxc", "any"),
        ("uncoded", "cxr", "any"),
        ("ew", "cxr", "unit"),
        ("ew", "cxr", "true"),
    ]


def test_entries_tell_what_is_wrong():
    for changes, message in (
        ({"codes": ["now", "raptor"]}, "code must be one of"),
        ({"codes": ["now", "now"]}, "code lists 'now' twice"),
        ({"paradigms": ["cxr"], "codes": ["ew-factored"]}, "nothing to train"),
        ({"works": ["half"]}, "work must be one of"),
        ({"deadlines": [1.0, 1.0]}, "deadline lists '1' twice"),
        ({"gamma": (0.5, 0.4)}, "gamma"),
    ):
        with pytest.raises(ValueError, match=message):
            rows(**changes)
