"""Ids follow from what the kernel sees and from the evaluation, and from nothing else; descriptions survive being text."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import uepgpu as uep
from uepgpu.latency import Empirical, Exponential, FromCDF, ShiftedExponential, Staged, Weibull
from uepgpu.points.identity import identify
from uepgpu.points.notation import read_code, read_partition, read_workers, write_code, write_partition, write_workers
from uepgpu.points.point import Point
from uepgpu.points.stop import StopRule
from uepgpu.sweep.spec import read_spec

V = (10, 1, 0.1)
PART = uep.Partition.model("rxc", left_variances=V, right_variances=V, shape=(300, 900, 300), classes=(3, 3, 3))
EW = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
WORKERS = uep.Workers(12, Exponential(1.0), 1.0, "unit")
POINT = Point("EW", "rxc", EW, PART, WORKERS, (0.5, 1.0), StopRule(1000), 7)


def changed(**changes: Any) -> Point:
    return dataclasses.replace(POINT, **changes)


def workers(**changes: Any) -> uep.Workers:
    return dataclasses.replace(WORKERS, **changes)


SAME_POINT = {
    "label": changed(series="other"),
    "name of the partition": changed(partition="other"),
    "stop rule": changed(stop=StopRule(5, failures=3)),
    "omega written as an equal number": changed(workers=workers(omega=1.0)),
}
SAME_TALLY = {
    "deadlines": changed(deadlines=(0.1, 0.2, 0.3)),
    "latency law": changed(workers=workers(latency=Weibull(0.7))),
    "omega": changed(workers=workers(omega="fair")),
    "loss probability": changed(workers=workers(loss_probability=0.1)),
    "matrices": changed(part=dataclasses.replace(PART, gram=PART.gram * 2)),
}
OTHER_TALLY = {
    "seed": changed(seed=8),
    "number of workers": changed(workers=workers(count=13)),
    "window probabilities": changed(code=uep.codes.ExpandingWindow((0.40, 0.34, 0.26))),
    "windows": changed(code=uep.codes.NonOverlappingWindow((0.40, 0.35, 0.25))),
    "coefficients": changed(code=uep.codes.ExpandingWindow((0.40, 0.35, 0.25), coefficients="gf2")),
    "fixed windows": changed(code=uep.codes.ExpandingWindow((0.40, 0.35, 0.25), windows="fixed")),
    "classes": changed(part=uep.Partition.model("rxc", left_variances=V, right_variances=V, classes=(2, 3, 4))),
    "the deadline domain": changed(workers=workers(work="true")),
}

GOLDEN = [
    ("547344bcfa6f2e10", "84ce8466304fc357"),
    ("85f96d8ce9773f61", "38dd74fa6711c7a9"),
    ("cbf562e117e086a9", "d630951c43ebc528"),
    ("ee69fa1384564e36", "614159756a7d7d84"),
    ("e14030628fdc5d80", "0c00528bbf78bf8c"),
    ("8c90c4a9b998a4ec", "58dd943c6173595c"),
]


@pytest.mark.parametrize("what", SAME_POINT)
def test_what_is_in_neither_id(what: str) -> None:
    assert identify(SAME_POINT[what]).point == identify(POINT).point
    assert identify(SAME_POINT[what]).tally == identify(POINT).tally


@pytest.mark.parametrize("what", SAME_TALLY)
def test_what_only_evaluates_a_tally(what: str) -> None:
    assert identify(SAME_TALLY[what]).tally == identify(POINT).tally
    assert identify(SAME_TALLY[what]).point != identify(POINT).point


@pytest.mark.parametrize("what", OTHER_TALLY)
def test_what_the_kernel_sees(what: str) -> None:
    assert identify(OTHER_TALLY[what]).tally != identify(POINT).tally
    assert identify(OTHER_TALLY[what]).point != identify(POINT).point


def test_in_the_deadline_domain_laws_and_deadlines_count_through_their_thresholds() -> None:
    base = changed(workers=workers(work="true", latency=Exponential(1.0)))
    scaled = changed(workers=workers(work="true", latency=Exponential(2.0)), deadlines=(0.25, 0.5))
    assert identify(scaled).tally == identify(base).tally
    assert identify(scaled).point != identify(base).point
    finer = dataclasses.replace(base, deadlines=(0.5, 0.75, 1.0))
    assert identify(finer).tally != identify(base).tally


def test_codes_that_draw_alike_share_a_tally_and_not_a_point() -> None:
    free, factored = (changed(code=uep.codes.MDS(encoding=e), workers=workers(work="true")) for e in ("free", "factored"))
    assert identify(free).tally == identify(factored).tally  # packets are alike: in work 3 they come later
    assert identify(free).point != identify(factored).point


def test_equal_tally_ids_mean_equal_counts() -> None:
    for other in SAME_TALLY.values():
        a, b = (uep.simulate(p.code, p.part, p.workers, realizations=500, seed=p.seed, backend="numpy") for p in (POINT, other))
        assert np.array_equal(a.patterns, b.patterns)


def test_ids_are_those_of_the_first_release() -> None:
    # Stores outlive versions: an id may change only when the numbers do.
    ids = [identify(p) for p in read_spec("paper").points]
    assert [(i.tally[:16], i.point[:16]) for i in ids] == GOLDEN


# --- text ---------------------------------------------------------------------------------------------------------

CODES = [
    EW,
    uep.codes.NonOverlappingWindow((0.1, 0.2, 0.7), encoding="factored", window="level-pair"),
    uep.codes.ExpandingWindow((1 / 3, 1 / 3, 1 / 3), encoding="factored", window="nested", gamma_b=(0.5, 0.3, 0.2)),
    uep.codes.MDS(coefficients="gf256"),
    uep.codes.Repetition((4, 2, 2, 1, 1, 1, 1, 0, 0)),
    uep.codes.LT(0.1, 0.5),
    uep.codes.Windows([[0], [0, 1, 2]], [0.5, 0.5], [1, 2]),
    uep.codes.Windows(np.eye(9, dtype=bool), np.full(9, 1 / 9)),
    uep.codes.Generator(np.arange(1, 109).reshape(12, 9)),
    uep.codes.Generator(np.linspace(0.1, 1, 108).reshape(12, 9), work=2),
]


@pytest.mark.parametrize("code", CODES, ids=lambda code: type(code).__name__)
def test_codes_come_back_from_text(code: uep.codes.Code) -> None:
    again = read_code(write_code(code))
    assert write_code(again) == write_code(code)
    assert identify(changed(code=again)).tally == identify(changed(code=code)).tally


@given(
    rate=st.floats(1e-3, 1e3),
    shift=st.floats(0, 10),
    omega=st.one_of(st.just("fair"), st.floats(1e-3, 1e3)),
    speeds=st.none() | st.lists(st.floats(0.1, 10), min_size=4, max_size=4),
    samples=st.lists(st.floats(0, 1e6), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_workers_come_back_from_text_to_the_bit(
    rate: float, shift: float, omega: Any, speeds: list[float] | None, samples: list[float]
) -> None:
    for law in (ShiftedExponential(rate, shift), Empirical(samples)):
        before = uep.Workers(4, law, omega, "true", 0.25, speeds)
        after = read_workers(write_workers(before))
        assert write_workers(after) == write_workers(before)
        times = np.linspace(0, 20, 50)
        assert np.array_equal(after.arrival(times, 9, 2.0), before.arrival(times, 9, 2.0))


def test_laws_of_every_worker_come_back_from_text() -> None:
    before = uep.Workers(
        4, [Exponential(0.1), Empirical([1.0, 2.0]), Exponential(0.1), Empirical([1.0, 2.0])], work="unit", omega="fair"
    )
    after = read_workers(write_workers(before))
    assert write_workers(after) == write_workers(before)
    assert after.latency == before.latency
    assert len(after.laws) == 2
    assert '"latency":{"law":"exponential","rate":1.0}' in write_workers(WORKERS)


def test_partitions_come_back_from_text_to_the_bit() -> None:
    rng = np.random.default_rng(4)
    A, B = rng.normal(size=(7, 9)), rng.normal(size=(9, 8))
    parts = [PART, uep.Partition.rxc(A, B, classes=(3, 3, 3), row_levels=(1, 2)), uep.Partition.cxr(A, B, blocks=5, classes=(2, 3))]
    for before in parts:
        after = read_partition(write_partition(before))
        assert after.matrices is None
        assert (after.paradigm, after.shape) == (before.paradigm, before.shape)
        for name in ("classes", "gram", "row_level", "col_level"):
            left, right = getattr(before, name), getattr(after, name)
            assert (left is None and right is None) or (np.array_equal(left, right) and left.dtype == right.dtype)


def test_laws_that_are_functions_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match=r"a store keeps the laws exponential, .* got FromCDF"):
        identify(changed(workers=workers(latency=FromCDF(lambda t: np.clip(t, 0, 1)))))
    with pytest.raises(ValueError, match=r"a store keeps the laws exponential, .* got FromCDF"):
        identify(changed(workers=workers(latency=Staged(Exponential(), FromCDF(lambda t: np.clip(t, 0, 1))))))
