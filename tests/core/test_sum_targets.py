"""Sums of sub-products that packets give without their terms: which count, when they are decoded, what becomes of the rest."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import uepgpu as uep
from tests.cases.problems import CXR, EW, MIXED, NOW, PROBLEMS, RXC, TABLE, Problem, generator, line, tiles, unit
from tests.cases.refusals import refused
from tests.cases.sweeps import collect, sweep
from tests.oracles import naive, sums
from uepgpu import codes
from uepgpu.commands.replay import check, replay_stored
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import make_plan
from uepgpu.replay import replay
from uepgpu.store.stored import read_points

BACKENDS = ("numba", "numpy")


def table(classes):
    """A model of summands of falling energy with these classes, one for each."""
    k = len(classes)
    return uep.Partition.model(
        "cxr", left_variances=np.linspace(10, 1, k), right_variances=np.ones(k), classes=np.array(classes)[:, None]
    )


def targets(rows, part):
    """The sums that a problem has, as sets."""
    plan = make_plan(codes.Generator(rows), part, unit(len(rows)), seed=1)
    return {frozenset(np.flatnonzero(row).tolist()) for row in plan.sums}


def row(k, *terms):
    return [1 if i in terms else 0 for i in range(k)]


# --- the whole product, and a first sum ------------------------------------------------------------------------------


def test_a_packet_that_combines_more_gives_more_early():
    """One worker returns X_1, another X_1 + X_2 at twice the work: exact losses with the sum, and for tiles without it."""
    deadline, n = 0.6, 100_000
    first, both = 1 - math.exp(-deadline), 1 - math.exp(-deadline / 2)
    neither = (1 - first) * (1 - both)
    exact = {"cxr": neither + 0.1 * first * (1 - both), "rxc": 1 - first * both - 0.9 * first * (1 - both)}
    assert exact["cxr"] == pytest.approx(0.4400, abs=5e-5)
    assert exact["rxc"] == pytest.approx(0.5822, abs=5e-5)
    for paradigm, loss in exact.items():
        variances = {"left_variances": [0.9, 0.1], "right_variances": [1, 1] if paradigm == "cxr" else [1]}
        part = uep.Partition.model(paradigm, **variances, classes=(1, 1))
        code = codes.Generator([[1, 0], [1, 1]], work=[1, 2])
        tally = uep.simulate(code, part, uep.Workers(2, omega=1.0), deadlines=[deadline], realizations=n, seed=1)
        found = tally.loss(part)
        assert abs(float(found.normalized_loss[0]) - loss) <= 4 * float(found.normalized_loss_stderr[0])
        assert float(found.normalized_loss_stderr[0]) < 0.002


# --- which sums count ------------------------------------------------------------------------------------------------


def test_sums_of_first_sub_products_and_of_classes_count_where_packets_can_give_them():
    part = table([2, 1, 2, 3, 1, 3, 3])  # in order: 1 4, 0 2, 3 5 6
    first, second, third = {1, 4}, {0, 2}, {3, 5, 6}
    whole = row(7, *range(7))
    assert targets([whole], part) == {frozenset(range(7))}
    assert targets([row(7, *first), row(7, *third)], part) == {frozenset(first), frozenset(third)}
    assert targets([row(7, 0, 1), row(7, 3)], part) == set()
    # A class is given by a difference, and so is what comes before it.
    assert targets([whole, row(7, *third)], part) == {frozenset(range(7)), frozenset(third), frozenset(first | second)}
    # Alone, never: by more than one term or with weights.
    assert targets([row(7, 1), row(7, 4)], part) == set()
    assert targets([[0, 1, 0, 0, 2, 0, 0]], part) == set()


def test_of_a_class_and_a_sum_that_ends_inside_it_one_counts():
    part = table([1, 2, 2, 3, 3])
    inside, third = row(5, 0, 1, 2, 3), row(5, 3, 4)
    # Together they give neither X_0 + … + X_4 nor X_4, so that taking both would lose X_4 when the longer sum arrives.
    assert targets([inside, third], part) == {frozenset({0, 1, 2, 3})}
    assert targets([[2 * x for x in inside], third], part) == {frozenset({0, 1, 2, 3})}
    apart = [[1, 1, 1, 4, 3], [0, 0, 0, 1, 1], [0, 0, 0, 3, 3.0]]  # the first less three times the second
    assert targets(apart, part) == {frozenset({3, 4})}
    assert targets([apart[0], [0, 0, 0, 3, 3.1], [0, 0, 0, 7, 9]], part) == {
        frozenset({0, 1, 2}),
        frozenset(range(5)),
        frozenset({3, 4}),
    }


def test_neither_tiles_nor_fields_nor_generic_coefficients_have_sums():
    matrix = generator(14, 9)
    plans = [
        make_plan(codes.Generator(matrix), RXC, unit(14), seed=1),
        make_plan(codes.Generator(matrix != 0, field="gf2"), CXR, unit(14), seed=1),
        make_plan(codes.Generator(matrix % 256, field="gf256"), CXR, unit(14), seed=1),
        make_plan(codes.Generator(np.diag(np.arange(1, 10))), CXR, unit(9), seed=1),
        *(make_plan(code, CXR, unit(18), seed=1) for code in (NOW, EW, codes.LT(), codes.Repetition(2))),
    ]
    assert [len(plan.sums) for plan in plans] == [0] * len(plans)
    # Over GF(2) and GF(256) X + X is 0: a packet of ones is no part of a real product.
    ones = codes.Generator([[1, 1, 1]] * 4, field="gf2")
    assert decode_times(ones, line(3), unit(4), realizations=1, seed=1).tolist() == [[5, 5, 5]]


def test_problems_without_sums_keep_their_identifiers():
    expected = {
        "4b77413e4e24933d100054a29dfbfc72b72698f370a53f337dab3eccf075ebfa": (NOW, 30, {}),
        "490a024db521a294b80d480516415ca6034fa3b74b02c20e4b2db3413c42f3d9": (PROBLEMS["generator gf2"].code, 14, {}),
        "dd0f302475c3afff52e3e9530f20a5ea89429f006737a61aace9d5b45316242c": (PROBLEMS["generator gf256"].code, 14, {}),
        "76da660bac3c214b4d9deab9b28b87fe8598a9d69e7a67a2faa7ebef99cee91b": (
            codes.Generator(generator(14, 9)),
            14,
            {"decoder": "peel"},
        ),
        "f22134a4664afde60896b7cc88e8b22182138e1c6ac6cc8fd68762394247efe7": (codes.Generator(np.diag(np.arange(1.0, 10))), 9, {}),
    }
    for identifier, (code, n, options) in expected.items():
        tally = uep.simulate(code, CXR, unit(n, omega=1.0), realizations=1, seed=3, backend="numpy", **options)
        assert tally.problem == identifier
    # Sums depend on classes as well as coefficients, and so does the identifier.
    ones = [make_plan(codes.Generator(np.tri(9)), part, unit(9), seed=3) for part in (CXR, MIXED)]
    assert len({plan.digest("eliminate") for plan in ones}) == 2


def test_generic_real_coefficients_decode_no_sum_alone():
    """The same packets of summands and of tiles: with sums and without."""
    rng = np.random.default_rng(6)
    dense, sparse = rng.normal(size=(12, 9)), rng.normal(size=(14, 9)) * (rng.random((14, 9)) < 0.4)
    sparse[np.arange(14), rng.integers(9, size=14)] = 1.7
    for matrix in (dense, sparse):
        code, n = codes.Generator(matrix), len(matrix)
        assert len(make_plan(code, CXR, unit(n), seed=1).sums) > 3
        for deadlines in (None, [0.3, 0.9]):
            call = {"realizations": 2_000, "seed": 2, "deadlines": deadlines}
            twins = [decode_times(code, part, unit(n, omega=1.0), **call) for part in (line(3, 3, 3), tiles(3, 3, 3))]
            assert np.array_equal(*twins)
            assert twins[0].min() <= (9 if deadlines is None else 1)


# --- when they are decoded -------------------------------------------------------------------------------------------


@st.composite
def described(draw):
    """Classes in any order, and packets that are sums, their multiples, sums of sums, single terms and plain integers."""
    k = draw(st.integers(2, 12))
    labels = draw(st.lists(st.integers(1, min(4, k)), min_size=k, max_size=k))
    renamed = {label: i + 1 for i, label in enumerate(sorted(set(labels)))}
    classes = [renamed[label] for label in labels]
    order = np.argsort(classes, kind="stable")
    pieces = [np.isin(np.arange(k), order[:j]) * 1 for j in range(1, k + 1)]
    pieces += [(np.array(classes) == c) * 1 for c in set(classes)] + list(np.eye(k, dtype=int))
    piece = st.sampled_from(range(len(pieces)))
    mixed = st.lists(st.tuples(piece, st.sampled_from([-2, -1, 1, 1, 1, 3])), min_size=1, max_size=3)
    rows = [sum(factor * pieces[p] for p, factor in chosen) for chosen in draw(st.lists(mixed, min_size=1, max_size=10))]
    rows = [r if r.any() else pieces[0] for r in rows]
    return classes, np.array(rows, dtype=float)


def held_after(rows, order, classes):
    """What estimates from the first n packets in an order hold, n = 0, 1, …, by definition."""
    exact = [[Fraction(x) for x in r] for r in rows.tolist()]
    first, whole = sums.possible_sums(exact, classes)
    return [sums.in_estimate([exact[w] for w in order[:n]], len(classes), first, whole) for n in range(len(rows) + 1)]


@given(described(), st.integers(0, 2**64 - 4), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=120)
def test_every_backend_decodes_what_the_definition_says(problem, first, random):
    classes, rows = problem
    part, n, k = table(classes), len(rows), len(classes)
    call = {"realizations": 2, "seed": 5, "first_realization": first}
    found = [decode_times(codes.Generator(rows), part, unit(n), backend=b, **call) for b in BACKENDS]
    assert np.array_equal(*found)
    for i in range(2):
        order = naive.permutation(5, first + i, n)
        held = held_after(rows, order, classes)
        expected = [next((at for at, terms in enumerate(held) if x in terms), n + 1) for x in range(k)]
        assert found[0][i].tolist() == expected
        # What fewer packets gave is never lost.
        assert all(before <= after for before, after in itertools.pairwise(held))


def test_a_replay_tells_which_sum_was_decoded():
    rows, part = [[0, 1, 1], [3, 3, 3], [0, 0, 1]], table([1, 2, 2])
    possible = [{1, 2}, {0, 1, 2}]
    for i in range(12):
        told = replay(codes.Generator(rows), part, unit(3), realization=i, seed=2)
        for n, step in enumerate(told.steps):
            before, now = ([rows[w] for w in told.order[: n + m]] for m in (0, 1))
            fresh = [s for s in possible if sums.gives(now, s, 3) and not sums.gives(before, s, 3)]
            alone = naive.decoded_by_rank_fractions(now, 3)
            assert {frozenset(s) for s in step.action.sums} == {frozenset(s) for s in fresh if not s <= alone}
    problem = PROBLEMS["generator sums"]
    told = [replay(problem.code, problem.part, problem.workers, realization=i, seed=3) for i in range(9)]
    assert [one.decode_times().tolist() for one in told] == problem.decode_times("count", "eliminate", 0, 9, 3, "numba").tolist()
    assert any("gives the sum X1 + X3" in step.action.describe() for one in told for step in one.steps)


# --- tallies ---------------------------------------------------------------------------------------------------------


def test_a_tally_of_sums_serves_no_tiles(tmp_path):
    problem = PROBLEMS["generator sums"]
    tally = uep.simulate(problem.code, MIXED, problem.workers, realizations=50, seed=9)
    rxc = uep.Partition.model("rxc", left_variances=(3, 2, 1), right_variances=(3, 2, 1), classes=TABLE.reshape(3, 3))
    tally.save(tmp_path / "sums.npz")
    for counted in (
        tally,
        uep.Tally.load(tmp_path / "sums.npz"),
        tally + uep.simulate(problem.code, MIXED, problem.workers, realizations=50, seed=9, first_realization=50),
    ):
        refused(lambda counted=counted: counted.loss(rxc), ("sums", "cxr", "rxc", "simulate"))
    other = uep.simulate(problem.code, rxc, problem.workers, realizations=50, seed=9)
    assert other.problem != tally.problem
    assert other.loss(MIXED).loss.values[-1] >= 0


def test_a_problem_of_sums_serves_both_kinds_of_tally():
    problem = Problem(PROBLEMS["generator sums"].code, MIXED, unit(14, omega=1.0))
    pairs, marginals = (
        uep.simulate(problem.code, MIXED, problem.workers, realizations=500, seed=3, tally=kind) for kind in ("pairs", "marginals")
    )
    assert np.array_equal(pairs.patterns, marginals.patterns)
    k = np.arange(9)
    assert np.array_equal(pairs.pairs[..., k * (k + 3) // 2], marginals.marginals)


def test_stores_keep_that_sums_were_counted(tmp_path):
    model = {"left_variances": [3, 2, 1], "classes": [1, 2]}
    partitions = {
        "cxr": {"paradigm": "cxr", "right_variances": [1, 1, 1], **model},
        "rxc": {"paradigm": "rxc", "right_variances": [1], **model},
    }
    series = [{"label": "whole", "code": {"name": "generator", "matrix": [[1, 1, 1]] * 4}}]
    workers = {"count": 4, "omega": 1.0, "work": "unit"}
    collect(tmp_path / "store.db", sweep(realizations=64, workers=workers, partitions=partitions, series=series, gamma=[0.5, 0.5]))
    stored = {p.point.part.paradigm: p for p in read_points(tmp_path / "store.db")}
    assert {paradigm: p.tally.sums for paradigm, p in stored.items()} == {"cxr": True, "rxc": False}
    for p in stored.values():
        loss = p.tally.loss(p.point.part).normalized_loss.values
        assert loss.tolist() == ([1, 0, 0, 0, 0] if p.tally.sums else [1] * 5)
        assert check(p, replay_stored(p, 5)) == ""
