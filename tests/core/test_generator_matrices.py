"""Given coefficients: of which field they are, and that what they decode is decided exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uepgpu as uep
from tests.cases.problems import CXR, RXC, generator, line, tiles, unit
from tests.cases.refusals import refused
from uepgpu import codes
from uepgpu.codes.supports import PRIME, residues
from uepgpu.monte_carlo import decode_times

BACKENDS = ("numba", "numpy")
CYCLE = [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
"""Rank 3 over the reals, 2 over GF(2)."""


def all_received(code, part, **options):
    """Whether each sub-product is decoded when everything has arrived, one array for all backends."""
    n = len(code.matrix)
    runs = [decode_times(code, part, unit(n), realizations=3, seed=1, backend=b, **options) <= n for b in BACKENDS]
    assert np.array_equal(*runs)
    assert np.all(runs[0] == runs[0][0])
    return runs[0][0].tolist()


# --- fields -----------------------------------------------------------------------------------------------------------


def test_a_matrix_is_of_the_field_that_it_is_said_to_be_of():
    part = line(1, 2)
    assert all_received(codes.Generator(CYCLE), part) == [True] * 3
    assert all_received(codes.Generator(CYCLE, field="gf2"), part) == [False] * 3
    # Over GF(256) 1 + 1 = 0 too; another coefficient lifts the rank.
    assert all_received(codes.Generator(CYCLE, field="gf256"), part) == [False] * 3
    assert all_received(codes.Generator([[1, 1, 0], [0, 1, 1], [2, 0, 1]], field="gf256"), part) == [True] * 3
    # 2·0x8d = 1 modulo 0x11b, so that these rows are the same packet.
    assert all_received(codes.Generator([[1, 0x8D], [2, 1]], field="gf256"), line(2)) == [False] * 2


def test_peeling_looks_at_given_supports_whatever_their_field():
    code = codes.Generator([[1, 1, 0], [0, 1, 1], [0, 0, 1]], field="gf2")
    assert all_received(code, line(1, 2), decoder="peel") == [True] * 3


def test_neither_theory_nor_products_take_them_for_drawn_ones():
    code, part = codes.Generator(np.eye(9), field="gf256"), uep.Partition.cxr(np.eye(9), np.eye(9), blocks=9)
    with pytest.raises(NotImplementedError, match="given generator matrix"):
        uep.theory.loss(code, RXC, uep.Workers(9, omega="fair"), deadlines=[1.0])
    for call in (
        lambda: uep.multiply(part, code, uep.Workers(9, omega="fair"), deadline=1.0, seed=1),
        lambda: uep.condition(code, part, uep.Workers(9, omega="fair"), seed=1),
    ):
        with pytest.raises(ValueError, match=r"field='gf256' cannot multiply real matrices: use 'real'$"):
            call()


def foreign(order, polynomial, name="GF"):
    """A class of arrays over a field, as `galois` has them."""
    return type(name, (np.ndarray,), {"order": order, "irreducible_poly": polynomial})


def over(kind, rows):
    return np.array(rows, dtype=np.uint8).view(kind)


def test_an_array_of_another_library_is_taken_for_what_it_is():
    two, bytes_ = foreign(2, 3), foreign(256, 0x11B)
    for matrix in (over(two, CYCLE), list(over(two, CYCLE))):
        code = codes.Generator(matrix)
        assert code.field == "gf2"
        assert type(code.matrix) is np.ndarray
        assert all_received(code, line(1, 2)) == [False] * 3
    assert codes.Generator(over(bytes_, [[1, 0x8D], [2, 1]])).field == "gf256"
    assert codes.Generator(over(two, CYCLE), field="gf2").field == "gf2"


@pytest.mark.parametrize(
    ("make", "pieces"),
    [
        (lambda: codes.Generator(over(foreign(256, 0x11D), [[1, 2]])), ("matrix", "0x11b", "0x11d")),
        (lambda: codes.Generator(over(foreign(7, 12, "GF(7)"), [[1, 2]])), ("matrix", "GF(2) or GF(256)", "order 7")),
        (lambda: codes.Generator(over(foreign(2, 3), [[1, 0]]), field="gf256"), ("field='gf256'", "GF(2)")),
        (lambda: uep.Partition.cxr(over(foreign(2, 3), CYCLE), np.eye(3), blocks=3), ("A must hold real numbers", "GF")),
        (lambda: codes.Windows([[0]], over(foreign(2, 3), [1])), ("probabilities", "real numbers", "GF")),
        (lambda: uep.Workers(2, speeds=over(foreign(2, 3), [1, 1]), omega="fair"), ("speeds", "GF")),
    ],
)
def test_what_would_become_integers_is_refused_in_one_line(make, pieces):
    refused(make, pieces)


def test_arrays_of_galois():
    galois = pytest.importorskip("galois")
    for matrix in (galois.GF(2)(CYCLE), list(galois.GF(2)(CYCLE)), [list(row) for row in galois.GF(2)(CYCLE)]):
        assert all_received(codes.Generator(matrix), line(1, 2)) == [False] * 3
    ours = galois.GF(2**8, irreducible_poly="x^8 + x^4 + x^3 + x + 1")
    matrix = ours.Random((12, 9), seed=1)
    ranks = [np.linalg.matrix_rank(matrix[:n]) for n in range(13)]
    when = decode_times(codes.Generator(matrix), RXC, unit(12), realizations=20, seed=1, backend="numpy")
    assert when.min() >= next(n for n, r in enumerate(ranks) if r == 9) - 3
    with pytest.raises(ValueError, match="0x11d"):
        codes.Generator(galois.GF(2**8)([[1, 2]]))
    with pytest.raises(ValueError, match="order 31"):
        codes.Generator(galois.GF(31)([[1, 2]]))
    with pytest.raises(ValueError, match="A must hold real numbers"):
        uep.Partition.rxc(galois.GF(2)(CYCLE), np.eye(3))


# --- exact decisions --------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_residues_are_those_of_the_rational_numbers_that_floats_are(x, y):
    def modulo(value):
        return value.numerator * pow(value.denominator, -1, PRIME) % PRIME

    found = [int(r) for r in residues(np.array([x, y]))]
    assert found == [modulo(Fraction(x)), modulo(Fraction(y))]
    assert sum(found) % PRIME == modulo(Fraction(x) + Fraction(y))
    assert found[0] * found[1] % PRIME == modulo(Fraction(x) * Fraction(y))


def test_the_same_code_in_other_units_decodes_the_same():
    """Vandermonde rows at 1..14 less 7, and at a seventh of that: the same integers on every backend.

    X_9 and X_10 are left out: sums of products of whole points that are zero by chance decode them from 11 packets, and powers
    of sevenths are rounded, so that theirs are not zero.
    """
    points = np.arange(1, 15) - 7.0
    problems = [(codes.Generator(np.vander(x, 12, increasing=True)), tiles(1, 1, 10)) for x in (points, points / 7)]
    call = {"deadlines": [2.0], "seed": 1}
    workers = uep.Workers(14, omega=1.0, work="unit")
    when = [
        decode_times(*problem, workers, realizations=2_000, backend=backend, **call) for problem in problems for backend in BACKENDS
    ]
    assert np.array_equal(when[0], when[1])
    assert np.array_equal(when[2], when[3])
    assert np.array_equal(when[0][:, :9], when[2][:, :9])
    for problem in problems:
        tally = uep.simulate(*problem, workers, realizations=50_000, tally="marginals", **call)
        decoded = 1 - tally.marginals[:, 0].sum(axis=0) / 50_000
        np.testing.assert_allclose(decoded[:3], [0.92644, 0.70468, 0.70798], rtol=0, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_scales_of_packets_and_sub_products_decide_nothing(backend):
    rng = np.random.default_rng(2)
    matrix = generator(14, 9) / 7
    rows, columns = 2.0 ** rng.integers(-300, 300, size=(14, 1)), 2.0 ** rng.integers(-300, 300, size=9)
    call = {"realizations": 300, "seed": 5, "backend": backend}
    whole = decode_times(codes.Generator(generator(14, 9)), RXC, unit(14), **call)
    for given_ in (matrix, rows * matrix, matrix * columns, rows * matrix * columns):
        assert np.array_equal(decode_times(codes.Generator(given_), RXC, unit(14), **call), whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_badly_conditioned_code_decodes_from_as_many_packets_as_there_are_unknowns(backend):
    """An absolute tolerance calls 40 equispaced powers decoded in half of all realizations with every packet received."""
    powers = np.vander(np.linspace(-1, 1, 40), 20, increasing=True)
    when = decode_times(codes.Generator(powers), tiles(20), unit(40), realizations=200, seed=1, backend=backend)
    assert np.all(when.max(axis=1) == 20)


def test_problems_of_whole_numbers_keep_their_identifiers():
    identifiers = {
        1.0: (
            "61a51ef64b2c00a97e30b026afcb6f10c905f4d45b49f4a6448eb1e56ee08dec",
            "dc2fb09d889b87e1e7d6a96894da13836ee58880e55ee011a75b60e47586f302",
        ),
        2.0**70: (
            "9f0b6e4f4f85bc9ce32533575f6fe2583aaecda8032ba69fa20787bb26564fea",
            "d7a15c8ddd7873f9c9850d2df6e49f376b54a79f4f8a3995b3b60dbd2568ea2a",
        ),
    }
    for scale, expected in identifiers.items():
        for deadlines, identifier in zip((None, [0.3, 0.8]), expected, strict=True):
            tally = uep.simulate(
                codes.Generator(generator(14, 9) * scale),
                RXC,
                unit(14, omega=1.0),
                deadlines=deadlines,
                realizations=10,
                seed=3,
                backend="numpy",
            )
            assert tally.problem == identifier


# --- what floating point makes of them --------------------------------------------------------------------------------


def test_the_condition_report_says_where_floating_point_fails():
    powers, normal = np.vander(np.linspace(-1, 1, 40), 20, increasing=True), np.random.default_rng(1).normal(size=(40, 20))
    call = {"realizations": 200, "seed": 1}
    for backend in BACKENDS:
        bad, good = (
            uep.condition(codes.Generator(m), tiles(20), unit(40), received=20, backend=backend, **call) for m in (powers, normal)
        )
        assert bad.decodable == good.decodable == 200
        assert good.ill_conditioned == 0
        assert 10 < bad.ill_conditioned < 190
        assert bad.condition[-1] > 1e11 > good.condition[-1]
        few = uep.condition(codes.Generator(powers), tiles(20), unit(40), received=19, backend=backend, **call)
        assert few.decodable == few.ill_conditioned == 0
        assert np.isnan(few.condition).all()
    half = uep.condition(codes.Generator(normal), tiles(20), unit(40), received=20, dtype="float16", **call)
    assert half.ill_conditioned > 100


def test_condition_numbers_are_those_of_the_received_rows():
    matrix = np.random.default_rng(3).normal(size=(12, 9)) * 10.0 ** np.arange(-6, 6)[:, None]
    report = uep.condition(codes.Generator(matrix), CXR, unit(12), received=12, realizations=5, seed=1)
    rows = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    expected = np.linalg.norm(rows) * np.linalg.norm(np.linalg.pinv(rows))
    np.testing.assert_allclose(report.condition, expected, rtol=1e-9)


def test_a_product_counts_what_floating_point_cannot_decode():
    rng = np.random.default_rng(4)
    part = uep.Partition.rxc(rng.normal(size=(20, 6)), rng.normal(size=(6, 20)), rows=4, cols=5, classes=(20,))
    code, workers = codes.Generator(np.vander(np.linspace(-1, 1, 40), 20, increasing=True)), unit(40, omega=1.0)
    result = uep.multiply(part, code, workers, deadline=0.8, realizations=400, seed=1)
    report = uep.condition(code, part, workers, deadline=0.8, realizations=400, seed=1)
    assert result.decoded.all(axis=1).sum() == report.decodable > 50
    assert result.ill_conditioned.sum() == report.ill_conditioned > 0
    assert float(result.summary().ill_conditioned) == result.ill_conditioned.mean()
    assert np.all(result.flagged >= result.ill_conditioned)
    sound = result.decoded.all(axis=1) & ~result.ill_conditioned
    assert np.all(result.normalized_loss[sound] < 1e-6)


@pytest.mark.parametrize(
    ("options", "pieces"),
    [
        ({"received": 0}, ("received", ">= 1", "0")),
        ({"received": 13}, ("received", "12 workers", "13")),
        ({"received": 3, "deadline": 1.0}, ("received", "deadline", "exclude")),
        ({"deadline": -1.0}, ("deadline", ">= 0")),
        ({"dtype": "int8"}, ("dtype", "'float16'", "'int8'")),
    ],
)
def test_a_report_refuses_what_it_cannot_mean(options, pieces):
    refused(lambda: uep.condition(codes.MDS(), RXC, unit(12), seed=1, **options), pieces)
