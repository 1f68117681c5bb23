"""The exact theory against published tables, enumeration, rational arithmetic and invariants."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import brute_force as brute
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uepgpu import Partition, Workers, codes, latency, theory

GAMMA = (0.40, 0.35, 0.25)
VARIANCES = (10, 1, 0.1)
RXC = Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, shape=(300, 900, 300), classes=(3, 3, 3))
BLOCKS = np.repeat(VARIANCES, 3)
CXR = Partition.model("cxr", left_variances=BLOCKS, right_variances=BLOCKS, shape=(900, 100, 900), classes=(3, 3, 3))
PAPER = Workers(30, omega=1.0, work="unit")
NOW, EW, MDS = codes.NonOverlappingWindow(GAMMA), codes.ExpandingWindow(GAMMA), codes.MDS()
LEVEL_PAIR = codes.NonOverlappingWindow(GAMMA, encoding="factored")

# Enumeration adds up to a few 10⁵ products of doubles with fsum: rounding stays far below this.
ENUMERATION = {"rtol": 0, "atol": 1e-12}
# A log-probability at W = 1,000 is a difference of log-factorials near 5,900, whose last place is 9e-13.
TAIL = {"rtol": 1e-11, "atol": 0}


def printed(value, digits):
    """The value to as many significant digits as a table prints."""
    return f"{value:.{digits - 1}e}"


def significant(text):
    """Number of significant digits of a printed number."""
    return len(text.split("e")[0].replace(".", "").lstrip("0"))


def matrices_partition(paradigm, seed=3, **kwargs):
    rng = np.random.default_rng(seed)
    if paradigm == "rxc":
        return Partition.rxc(rng.normal(size=(5, 4)), rng.normal(size=(4, 4)), **kwargs)
    a = rng.normal(size=(5, 8)) + 1.5  # with a mean, so that cross terms matter
    return Partition.cxr(a, rng.normal(size=(8, 4)) - 0.7, **kwargs)


def constant_arrival(f):
    """Workers of whom each has answered with probability f at any deadline."""
    return latency.FromCDF(lambda t: np.full(np.shape(t), f))


# --- the tables of MATH.md ---------------------------------------------------------------------------------------


def test_decoding_probabilities_equal_the_check_values_of_section_3():
    now = [[0.4557, 0.3529, 0.1694], [0.7682, 0.6627, 0.3993], [0.9166, 0.8487, 0.6093], [0.9729, 0.9383, 0.7639]]
    ew = [[0.5061, 0.1053, 0], [1, 0.7359, 0.2737], [1, 0.9290, 0.5651], [1, 0.9858, 0.7538]]
    for part in (RXC, CXR):
        for code, table in ((NOW, now), (EW, ew)):
            result = theory.decoding_probability(code, part, received=[6, 9, 12, 15])
            assert result.probability.dims == ("received", "class")
            np.testing.assert_array_equal(result.probability.values.round(4), table)


@pytest.mark.parametrize(
    "code, part, row",
    [
        (NOW, RXC, [".7689", ".3886", ".1719", "7.50e-2", "3.39e-2", "1.62e-2", "8.27e-3"]),
        (EW, RXC, [".7511", ".2841", "6.20e-2", "9.92e-3", "1.76e-3", "5.49e-4", "2.80e-4"]),
        (NOW, CXR, [".7679", ".3868", ".1702", "7.38e-2", "3.31e-2", "1.57e-2", "7.92e-3"]),
        (EW, CXR, [".7478", ".2790", "5.88e-2", "8.39e-3", "1.03e-3", "1.63e-4", "4.75e-5"]),
        (MDS, RXC, [".9822", ".6300", ".1849", "3.03e-2", "3.39e-3", "2.93e-4", "2.12e-5"]),
        (MDS, CXR, [".9822", ".6300", ".1849", "3.03e-2", "3.39e-3", "2.93e-4", "2.12e-5"]),
    ],
)
def test_losses_equal_the_table_of_section_5(code, part, row):
    result = theory.loss(code, part, PAPER, deadlines=[0.15, 0.30, 0.45, 0.60, 0.75, 0.90, 1.05])
    for value, text in zip(result.normalized_loss.values, row, strict=True):
        assert printed(value, significant(text)) == printed(float(text), significant(text))


def test_losses_equal_the_exact_rows_of_section_6():
    received = [3, 6, 9, 12, 20]
    rows = [
        (NOW, [".937", ".547", ".235", ".0856", "4.0e-3"]),
        (EW, [".938", ".504", "7.7e-3", "2.5e-3", "1.7e-4"]),
        (LEVEL_PAIR, [".652", ".425", ".277", ".181", "5.80e-2"]),
    ]
    for code, row in rows:
        values = theory.loss(code, RXC, received=received).normalized_loss.values
        for value, text in zip(values, row, strict=True):
            assert printed(value, significant(text)) == printed(float(text), significant(text))


@pytest.mark.parametrize(
    "code, count, work, row",
    [
        (EW, 30, "unit", [0.7511, 0.2841, 0.0099]),
        (EW, 30, "true", [0.9462, 0.7674, 0.3575]),
        (MDS, 30, "unit", [0.9822, 0.6300, 0.0303]),
        (codes.Uncoded(), 9, "true", [0.6065, 0.3679, 0.1353]),
        (codes.Repetition(2), 18, "true", [0.6065, 0.3679, 0.1353]),
    ],
)
def test_fair_load_losses_equal_section_6(code, count, work, row):
    values = theory.loss(code, RXC, Workers(count, work=work), deadlines=[0.5, 1, 2]).normalized_loss.values
    np.testing.assert_array_equal(values.round(4), row)


def test_level_pair_has_its_published_formula():
    result = theory.loss(LEVEL_PAIR, RXC, received=range(31))
    share = RXC.energy / RXC.norm2
    gamma = np.asarray(GAMMA)[RXC.classes - 1]
    expected = [(share * (1 - gamma / 3) ** n).sum() for n in range(31)]
    np.testing.assert_allclose(result.normalized_loss, expected, rtol=1e-12)


def test_the_published_cxr_bound_is_m_times_the_exact_loss_of_uncorrelated_blocks():
    result = theory.loss(EW, CXR, PAPER, deadlines=np.arange(22) * 0.05)
    np.testing.assert_allclose(result.loss_bound, 9 * result.loss, rtol=1e-12)
    result = theory.loss(EW, RXC, PAPER, deadlines=np.arange(22) * 0.05)
    np.testing.assert_array_equal(result.loss_bound, result.loss)


# --- enumeration -------------------------------------------------------------------------------------------------

RXC4 = {"rows": 2, "cols": 2, "classes": (1, 2, 1)}
CXR4 = {"blocks": 4, "classes": (1, 2, 1)}
SMALL = [("rxc", RXC4), ("cxr", CXR4)]
DRAWN = [
    NOW,
    EW,
    MDS,
    codes.ExpandingWindow((0.5, 0.0, 0.5)),
    codes.NonOverlappingWindow((0.5, 0.5, 0.0)),
    codes.Windows([[0], [1, 3], [0]], (0.3, 0.5, 0.2), work=(1, 2, 3)),
    codes.Windows([[0, 1, 2, 3], [2], [2, 1], [2]], (0.3, 0.2, 0.3, 0.2), work=(2, 1, 1, 4)),
    codes.Windows([[0, 1], [2, 3]], (0.6, 0.4)),
]
FIXED = [
    codes.NonOverlappingWindow(GAMMA, windows="fixed"),
    codes.ExpandingWindow(GAMMA, windows="fixed"),
    codes.ExpandingWindow((0.2, 0.2, 0.6), windows="fixed"),
]


def check(result, probability, laws, part):
    for i, law in enumerate(laws):
        expected = brute.loss(law, part.gram)
        np.testing.assert_allclose(result.loss[i], expected, rtol=0, atol=1e-12 * max(1.0, float(np.abs(part.gram).sum())))
        np.testing.assert_allclose(result.normalized_loss[i], expected / part.norm2, **ENUMERATION)
        if part.paradigm == "cxr":
            most = part.n_subproducts * part.energy.sum()
            share = float(brute.undecoded(law) @ part.energy) / part.energy.sum()
            np.testing.assert_allclose(result.loss_bound[i] / most, share, **ENUMERATION)
        np.testing.assert_allclose(probability[i], brute.class_decoded(law, part.classes.tolist()), **ENUMERATION)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code", DRAWN, ids=range(len(DRAWN)))
@pytest.mark.parametrize("lossy", [0.0, 0.25])
def test_drawn_windows_by_deadline_equal_enumeration(paradigm, options, code, lossy):
    part = matrices_partition(paradigm, **options)
    workers = Workers(4, latency=latency.Weibull(1.3), loss_probability=lossy)
    times = [0.0, 0.4, 1.7]
    law = code.law(part, 4)
    arrived = [(1 - lossy) * (1 - np.exp(-((t * 1.0 / law.work) ** 1.3))) for t in times]  # Ω = K / W = 1
    laws = [brute.drawn_by_deadline(law.supports, law.probabilities, [a] * 4) for a in arrived]
    result = theory.loss(code, part, workers, deadlines=times)
    check(result, theory.decoding_probability(code, part, workers, deadlines=times).probability, laws, part)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code", DRAWN, ids=range(len(DRAWN)))
def test_drawn_windows_by_received_count_equal_enumeration(paradigm, options, code):
    part = matrices_partition(paradigm, **options)
    law = code.law(part, 5)
    laws = [brute.drawn_by_received(law.supports, law.probabilities, n) for n in range(6)]
    result = theory.loss(code, part, received=range(6))
    check(result, theory.decoding_probability(code, part, received=range(6)).probability, laws, part)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code, count", [(c, 7) for c in FIXED] + [(codes.Uncoded(), 4), (codes.Repetition(2), 8)])
@pytest.mark.parametrize("fast", [None, (1.0, 0.5, 2.0, 1.0, 3.0, 0.2, 1.0, 0.5)])
def test_packets_tied_to_workers_equal_enumeration(paradigm, options, code, count, fast):
    part = matrices_partition(paradigm, **options)
    speeds = None if fast is None else fast[:count]
    workers = Workers(count, latency=latency.ShiftedExponential(2.0, 0.1), omega=0.8, speeds=speeds)
    times = [0.0, 0.5, 2.0]
    law = code.law(part, count)
    rate = 0.8 * workers.speed() / law.work[law.window]
    arrived = [1 - np.exp(-2 * np.maximum(t * rate - 0.1, 0)) for t in times]
    laws = [brute.tied_by_deadline(law.supports, law.window, a) for a in arrived]
    result = theory.loss(code, part, workers, deadlines=times)
    check(result, theory.decoding_probability(code, part, workers, deadlines=times).probability, laws, part)
    laws = [brute.tied_by_received(law.supports, law.window, n) for n in range(count + 1)]
    result = theory.loss(code, part, workers, received=range(count + 1))
    check(result, theory.decoding_probability(code, part, received=range(count + 1)).probability, laws, part)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code", [NOW, MDS, DRAWN[5], DRAWN[7]], ids=range(4))
def test_drawn_disjoint_windows_at_unequal_speeds_equal_enumeration(paradigm, options, code):
    part = matrices_partition(paradigm, **options)
    speeds = (1.0, 0.4, 2.5, 1.0)
    times = [0.0, 0.3, 1.1]
    law = code.law(part, 4)
    arrived = [[1 - np.exp(-t * s / law.work) for s in speeds] for t in times]
    laws = [brute.drawn_by_deadline(law.supports, law.probabilities, a) for a in arrived]
    workers = Workers(4, speeds=speeds)
    result = theory.loss(code, part, workers, deadlines=times)
    check(result, theory.decoding_probability(code, part, workers, deadlines=times).probability, laws, part)


def test_factored_windows_with_a_closed_form_equal_enumeration():
    part = matrices_partition("rxc", rows=2, cols=2, classes=[[1, 2], [2, 3]])
    for code in (LEVEL_PAIR, codes.ExpandingWindow(GAMMA, encoding="factored", window="bounding-box")):
        law = code.law(part, 5)
        laws = [brute.drawn_by_received(law.supports, law.probabilities, n) for n in range(6)]
        result = theory.loss(code, part, received=range(6))
        check(result, theory.decoding_probability(code, part, received=range(6)).probability, laws, part)


def test_gf2_windows_equal_a_list_of_all_matrices():
    part = matrices_partition("cxr", blocks=3, classes=(2, 1))
    code = codes.NonOverlappingWindow((0.6, 0.4), coefficients="gf2")
    value = theory.decoding_probability(code, part, received=range(7)).probability.values
    for n in range(7):
        for column, (k, share) in enumerate(((2, Fraction(0.6)), (1, 1 - Fraction(0.6)))):
            exact = sum(
                brute.comb(n, i) * share**i * (1 - share) ** (n - i) * brute.full_rank_share_gf2(i, k) for i in range(n + 1)
            )
            np.testing.assert_allclose(value[n, column], float(exact), **ENUMERATION)


def test_gf256_approaches_generic_coefficients_from_below():
    generic = theory.decoding_probability(NOW, CXR, PAPER, deadlines=[0.3, 0.9]).probability
    code = codes.NonOverlappingWindow(GAMMA, coefficients="gf256")
    finite = theory.decoding_probability(code, CXR, PAPER, deadlines=[0.3, 0.9]).probability
    assert np.all(finite < generic)
    np.testing.assert_allclose(finite, generic, atol=0.01)
    one = Partition.model("cxr", left_variances=[1], right_variances=[1], classes=(1,))
    value = theory.decoding_probability(codes.MDS(coefficients="gf256"), one, received=range(4)).probability[:, 0]
    np.testing.assert_allclose(value, 1 - 256.0 ** -np.arange(4), rtol=1e-14)


# --- identities --------------------------------------------------------------------------------------------------

LATENCIES = [
    latency.Exponential(0.7),
    latency.ShiftedExponential(2.0, 0.2),
    latency.Weibull(0.6, 1.5),
    latency.Pareto(1.5, 0.2),
    latency.LogNormal(-0.3, 0.8),
    latency.Deterministic(0.9),
    latency.Empirical([0.2, 0.5, 0.6, 1.4, 3.0]),
    latency.FromCDF(lambda t: np.clip(np.asarray(t) / 3, 0, 1)),
]


@pytest.mark.parametrize("law", LATENCIES, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("code, count", [(NOW, 12), (EW, 12), (MDS, 12), (FIXED[0], 12), (FIXED[1], 12), (codes.Repetition(2), 18)])
def test_every_latency_law_mixes_the_received_counts(law, code, count):
    workers = Workers(count, latency=law, work="unit")
    times = np.array([0.0, 0.3, 1.0, 2.5])
    by_count = theory.loss(code, CXR, workers, received=range(count + 1)).loss.values
    f = law.cdf(9 / count * times)
    n = np.arange(count + 1)
    choose = np.array([brute.comb(count, i) for i in n], dtype=float)
    mixed = [(choose * x**n * (1 - x) ** (count - n)) @ by_count for x in f]
    result = theory.loss(code, CXR, workers, deadlines=times).loss
    np.testing.assert_allclose(result, mixed, rtol=0, atol=1e-12 * CXR.norm2)


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("part", [RXC, CXR, matrices_partition("cxr", blocks=5, classes=(2, 3))], ids=["rxc", "cxr", "matrices"])
def test_repetition_of_exponential_workers_under_fair_load_is_uncoded(copies, part):
    times = np.linspace(0, 40, 30)
    k = part.n_subproducts
    uncoded = theory.loss(codes.Uncoded(), part, Workers(k), deadlines=times)
    repeated = theory.loss(codes.Repetition(copies), part, Workers(copies * k), deadlines=times)
    np.testing.assert_allclose(repeated.loss_bound, uncoded.loss_bound, rtol=1e-12)
    np.testing.assert_allclose(repeated.loss, uncoded.loss, rtol=1e-12)


def test_repetition_class_probability_equals_exact_inclusion_exclusion():
    k, r, size = 9, 3, 3
    result = theory.decoding_probability(codes.Repetition(r), CXR, received=range(k * r + 1)).probability
    for n in range(k * r + 1):
        ways = sum((-1) ** j * brute.comb(size, j) * brute.comb(k * r - r * j, n) for j in range(size + 1))
        np.testing.assert_allclose(result[n, 0], float(Fraction(ways, brute.comb(k * r, n))), rtol=1e-12)


def test_mds_and_equal_speeds_are_what_they_seem():
    doubled = theory.loss(EW, RXC, Workers(30, omega=0.5, work="unit", speeds=[2.0] * 30), deadlines=[0.3, 0.9])
    np.testing.assert_array_equal(doubled.loss, theory.loss(EW, RXC, PAPER, deadlines=[0.3, 0.9]).loss)
    result = theory.loss(MDS, CXR, received=range(12))
    np.testing.assert_array_equal(result.normalized_loss, (np.arange(12) < 9).astype(float))


def test_what_no_window_holds_is_never_decoded():
    part = matrices_partition("cxr", **CXR4)
    code = codes.Windows([[0], [0, 1]], (0.5, 0.5))
    probability = theory.decoding_probability(code, part, received=[50]).probability.values[0]
    held = [label for label in (1, 2, 3) if set(np.flatnonzero(part.classes == label)) <= {0, 1}]
    assert all((p > 0.9) == (label in held) for label, p in enumerate(probability, start=1))
    np.testing.assert_allclose(theory.loss(code, part, received=[500]).loss[0], part.gram[2:, 2:].sum(), rtol=1e-12)


def test_certain_and_impossible_events_are_exact():
    probability = theory.decoding_probability(EW, RXC, received=range(10)).probability.values
    assert np.all(probability[:9, 2] == 0)
    assert np.all(probability[:6, 1] == 0)
    assert np.all(probability[:3] == 0)
    assert probability[9, 0] == 1
    for code in (NOW, EW, MDS):
        start = theory.decoding_probability(code, RXC, PAPER, deadlines=[0.0])
        assert np.all(start.probability == 0)
    few = theory.decoding_probability(EW, RXC, Workers(8, omega=1.0), deadlines=[1.0, 1e6]).probability.values
    assert np.all(few[:, 2] == 0)
    everyone = theory.loss(FIXED[1], RXC, Workers(30, latency=latency.Deterministic(1.0), omega=10.0), deadlines=[0.05, 1.0]).loss
    assert everyone.values[1] == 0
    slow = Workers(30, latency=latency.Deterministic(1.0), omega=1.0, work="true")
    windows = theory.decoding_probability(EW, RXC, slow, deadlines=[2.0]).probability.values  # true work 2, 3, 3
    assert np.all(windows[0, 1:] == 0)
    assert windows[0, 0] > 0.99


def test_no_energy_gives_no_normalized_loss():
    part = Partition.cxr(np.zeros((2, 3)), np.zeros((3, 2)), blocks=3, classes=(3,))
    result = theory.loss(MDS, part, received=[0, 3])
    assert result.loss.values.tolist() == [0, 0]
    assert result.normalized_loss.values.tolist() == [0, 0]


# --- tails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sixteenths", [5, 8, 10, 11])
def test_tails_of_mds_at_1000_workers_equal_rational_arithmetic(sixteenths):
    part = Partition.model("cxr", left_variances=np.ones(256), right_variances=np.ones(256), classes=(256,))
    workers = Workers(1000, latency=constant_arrival(sixteenths / 16))
    value = theory.loss(MDS, part, workers, deadlines=[1.0]).normalized_loss[0]
    exact = float(brute.binomial_tail(1000, Fraction(sixteenths, 16), 256))
    np.testing.assert_allclose(value, exact, **TAIL)


@pytest.mark.parametrize("total, sizes", [(1000, (20, 30)), (1000, (100, 156)), (200, (10, 6))])
@pytest.mark.parametrize("quarters", [(4, 8, 4), (8, 2, 6), (3, 12, 1)])
def test_tails_of_nested_windows_equal_rational_arithmetic(total, sizes, quarters):
    gamma = [Fraction(quarters[0], quarters[0] + quarters[1]), Fraction(quarters[1], quarters[0] + quarters[1])]
    f = Fraction(quarters[0] + quarters[1], 16)
    n = sum(sizes)
    variances = np.repeat((4.0, 1.0), sizes)
    part = Partition.model("cxr", left_variances=variances, right_variances=np.ones(n), classes=sizes)
    code = codes.ExpandingWindow([float(g) for g in gamma])
    workers = Workers(total, latency=constant_arrival(float(f)), work="unit")
    q1, q2 = brute.expanding_two(total, [Fraction(quarters[0], 16), Fraction(quarters[1], 16)], Fraction(quarters[2], 16), sizes)
    energy = [float(part.energy[part.classes == label].sum()) for label in (1, 2)]
    result = theory.loss(code, part, workers, deadlines=[1.0])
    np.testing.assert_allclose(result.loss[0], energy[0] * float(q1) + energy[1] * float(q2), **TAIL)
    only = Partition.model("cxr", left_variances=np.repeat((4.0, 0.0), sizes), right_variances=np.ones(n), classes=sizes)
    np.testing.assert_allclose(theory.loss(code, only, workers, deadlines=[1.0]).normalized_loss[0], float(q1), **TAIL)


@pytest.mark.parametrize(
    "total, sizes, cells", [(20, (1, 4, 2, 5), (1, 5, 3, 6)), (60, (3, 2, 6), (7, 1, 7)), (60, (2, 5, 1), (1, 8, 6))]
)
def test_long_chains_equal_rational_arithmetic(total, sizes, cells):
    arrived = Fraction(sum(cells), 16)
    workers = Workers(total, latency=constant_arrival(float(arrived)), work="unit")
    code = codes.ExpandingWindow([x / sum(cells) for x in cells])
    exact = brute.expanding(total, [*cells, 16 - sum(cells)], sizes)
    table = np.repeat(np.arange(len(sizes)) + 1, sizes)[:, None]
    for label, q in enumerate(exact, start=1):
        only = (table[:, 0] == label).astype(float)
        part = Partition.model("cxr", left_variances=only, right_variances=np.ones(only.size), classes=table)
        np.testing.assert_allclose(theory.loss(code, part, workers, deadlines=[1.0]).normalized_loss[0], float(q), **TAIL)


def test_tails_reach_below_1e_30_without_cancellation():
    # The cases above are worth nothing if their losses are not small.
    q1, q2 = brute.expanding_two(1000, [Fraction(1, 4), Fraction(1, 2)], Fraction(1, 4), (100, 156))
    assert 1e-300 < q1 < 1e-30
    assert q2 < 1e-12


@pytest.mark.parametrize("received", [60, 100, 160, 190])
def test_tails_of_fixed_windows_equal_rational_arithmetic(received):
    sizes = (20, 30)
    for zero in (4.0, 0.0), (0.0, 4.0):
        variances = np.repeat(zero, sizes)
        table = np.repeat((1, 2), sizes)[:, None]
        part = Partition.model("cxr", left_variances=variances, right_variances=np.ones(50), classes=table)
        code = codes.ExpandingWindow((0.5, 0.5), windows="fixed")
        exact = brute.expanding_two_fixed((100, 100), received, sizes)[0 if zero[0] else 1]
        value = theory.loss(code, part, Workers(200), received=[received]).normalized_loss[0]
        np.testing.assert_allclose(value, float(exact), **TAIL)


@pytest.mark.parametrize("time", [4.0, 12.0, 30.0])
def test_the_latency_tail_keeps_its_digits(time):
    # 1 - F = exp(-t) is far below the rounding of F.
    result = theory.loss(codes.Uncoded(), RXC, Workers(9), deadlines=[time]).normalized_loss[0]
    np.testing.assert_allclose(result, np.exp(-time), rtol=1e-13)
    one = Partition.model("cxr", left_variances=[1, 1], right_variances=[1, 1], classes=(2,))
    late = np.exp(-time)
    value = theory.loss(MDS, one, Workers(6, omega=1.0, work="unit"), deadlines=[time]).normalized_loss[0]
    np.testing.assert_allclose(value, late**6 + 6 * late**5 * -np.expm1(-time), rtol=1e-12)


# --- invariants --------------------------------------------------------------------------------------------------


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    raw = draw(st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)).filter(any))
    gamma = [x / sum(raw) for x in raw]
    k = sum(sizes)
    paradigm = draw(st.sampled_from(["rxc", "cxr"]))
    left = np.sort(np.array(draw(st.lists(st.floats(0.01, 10), min_size=k, max_size=k))))[::-1]
    right = [1.0] if paradigm == "rxc" else np.ones(k)
    part = Partition.model(paradigm, left_variances=left, right_variances=right, classes=sizes)
    kind = draw(st.sampled_from([codes.NonOverlappingWindow, codes.ExpandingWindow]))
    code = kind(gamma, windows=draw(st.sampled_from(["drawn", "fixed"])))
    workers = Workers(
        draw(st.integers(1, 25)),
        latency=draw(st.sampled_from(LATENCIES)),
        omega=draw(st.sampled_from(["fair", 1.0, 0.2])),
        work=draw(st.sampled_from(["unit", "true"])),
        loss_probability=draw(st.sampled_from([0.0, 0.3])),
    )
    return code, part, workers


@settings(max_examples=120, deadline=None, derandomize=True)
@given(problem=problems())
def test_losses_fall_and_probabilities_rise_within_their_bounds(problem):
    code, part, workers = problem
    for where in ({"deadlines": [0.0, 0.3, 1.0, 3.0, 20.0]}, {"received": range(workers.count + 1)}):
        result = theory.loss(code, part, workers, **where)
        probability = theory.decoding_probability(code, part, workers, **where).probability.values
        # Rounding only: sums of at most a few hundred terms within [0, 1].
        assert np.all(result.normalized_loss.values >= 0)
        assert np.all(result.normalized_loss.values <= 1 + 1e-12)
        assert np.all(np.diff(result.normalized_loss.values) <= 1e-12)
        assert np.all(result.loss_bound.values >= result.loss.values * (1 - 1e-12))
        assert np.all((probability >= 0) & (probability <= 1))
        assert np.all(np.diff(probability, axis=0) >= -1e-12)
        if isinstance(code, codes.ExpandingWindow):
            assert np.all(np.diff(probability, axis=1) <= 1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problem=problems())
def test_losses_weigh_the_class_probabilities(problem):
    code, part, workers = problem
    result = theory.loss(code, part, workers, deadlines=[0.2, 1.0, 4.0])
    p = theory.decoding_probability(code, part, workers, deadlines=[0.2, 1.0, 4.0]).probability.values
    energy = np.bincount(part.classes, part.energy, minlength=part.n_classes + 1)[1:]
    np.testing.assert_allclose(result.loss, (1 - p) @ energy, rtol=1e-11, atol=1e-12 * part.norm2)


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, named",
    [
        (codes.ExpandingWindow(GAMMA, encoding="factored", window="nested"), "nested"),
        (codes.ExpandingWindow(GAMMA, encoding="factored"), "neither disjoint nor nested"),
        (codes.LT(), "LT"),
        (codes.Generator(np.eye(9)), "generator"),
        (codes.Windows([[0, 1], [1, 2]], (0.5, 0.5)), "neither disjoint nor nested"),
        (codes.ExpandingWindow(GAMMA, coefficients="gf2"), "gf2"),
    ],
)
def test_what_has_no_closed_form_is_named(code, named):
    for function in (theory.loss, theory.decoding_probability):
        with pytest.raises(NotImplementedError, match=named) as error:
            function(code, RXC, received=[9])
        assert "uepgpu.simulate" in str(error.value)
        with pytest.raises(NotImplementedError, match=named):
            function(code, RXC, Workers(9), deadlines=[1.0])


def test_finite_field_losses_and_mixed_speeds_are_refused_by_name():
    with pytest.raises(NotImplementedError, match=r"gf256.*uepgpu\.simulate"):
        theory.loss(codes.NonOverlappingWindow(GAMMA, coefficients="gf256"), RXC, received=[9])
    uneven = Workers(3, speeds=(1.0, 2.0, 3.0))
    with pytest.raises(NotImplementedError, match=r"speeds.*uepgpu\.simulate"):
        theory.loss(EW, RXC, uneven, deadlines=[1.0])
    with pytest.raises(NotImplementedError, match=r"speeds.*uepgpu\.simulate"):
        theory.decoding_probability(LEVEL_PAIR, RXC, uneven, deadlines=[1.0])
    assert theory.loss(LEVEL_PAIR, RXC, uneven, deadlines=[1.0]).normalized_loss[0] < 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "exactly one of deadlines and received must be given, got neither"),
        ({"deadlines": [1.0], "received": [1]}, "exactly one .* got both"),
        ({"deadlines": [1.0], "workers": None}, "workers must be given for deadlines"),
        ({"deadlines": [-1.0]}, "deadlines must be finite and >= 0, got .*-1.0"),
        ({"deadlines": [np.nan]}, "deadlines must be finite"),
        ({"deadlines": [2.0, 1.0]}, "deadlines must not decrease"),
        ({"deadlines": []}, "deadlines must be a non-empty"),
        ({"received": [-1]}, r"received must be .* integers >= 0, got \[-1\]"),
        ({"received": [1.5]}, "received must be"),
        ({"received": []}, "received must be a non-empty"),
        ({"received": [[1]]}, "received must be .* one-dimensional"),
        ({"received": [True]}, "received must be"),
        ({"received": ["a"]}, "received must be"),
        ({"received": [19], "code": codes.Repetition(2), "workers": Workers(18)}, "received must be at most .* W = 18 .* got 19"),
        ({"received": [3], "code": codes.Uncoded(), "workers": None}, r"W = K = 9.*max\(received\) = 3: give workers"),
        ({"deadlines": [1.0], "code": codes.Uncoded(), "workers": Workers(8)}, "uncoded scheme needs W = K = 9"),
        ({"received": [3], "code": "EW"}, "code must be one of uepgpu.codes .* got 'EW'"),
        ({"received": [3], "workers": 30}, "workers must be a Workers, got 30"),
        ({"received": [3], "code": codes.NonOverlappingWindow((0.5, 0.5)), "workers": Workers(8)}, "gamma must give"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    given_arguments = {"code": EW, "workers": PAPER, **arguments}
    code, workers = given_arguments.pop("code"), given_arguments.pop("workers")
    for function in (theory.loss, theory.decoding_probability):
        with pytest.raises(ValueError, match=message):
            function(code, RXC, workers, **given_arguments)


def test_drawn_packets_may_outnumber_the_workers():
    beyond = theory.loss(EW, RXC, Workers(5), received=[20]).loss
    np.testing.assert_array_equal(beyond, theory.loss(EW, RXC, received=[20]).loss)


def test_datasets_say_what_they_are():
    result = theory.loss(EW, CXR, PAPER, deadlines=[0.5, 1])
    assert result.loss.dims == ("deadline",)
    assert result.deadline.dtype == np.float64
    assert result.attrs["workers"] == 30
    assert result.attrs["paradigm"] == "cxr"
    assert result.attrs["encoding"] == "stacked"
    assert "ExpandingWindow" in result.attrs["code"]
    result = theory.decoding_probability(codes.Uncoded(), RXC, received=range(10))
    assert result.received.values.tolist() == list(range(10))
    assert result["class"].values.tolist() == [1, 2, 3]


def test_importing_the_package_loads_neither_scipy_nor_xarray():
    code = "import sys, uepgpu; assert not {'scipy', 'xarray', 'uepgpu.theory'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
