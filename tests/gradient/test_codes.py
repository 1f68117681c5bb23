"""Exact gradient codes: every pattern of up to s stragglers gives the exact gradient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import uepgpu as uep
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding.exact_codes import patterns_array

GRADIENTS = np.random.default_rng(7).standard_t(2, size=(8, 5))


def patterns(n, s):
    """All sets of answers that lack at most s of n servers."""
    every = []
    for m in range(s + 1):
        for late in itertools.combinations(range(n), m):
            every.append(np.isin(np.arange(n), late, invert=True))
    return np.array(every)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("construction", ["circulant", "random"])
def test_cyclic_codes_recover_the_gradient_from_every_pattern(construction, backend):
    checked = 0
    for n in range(1, 9):
        for s in range(n):
            if construction == "circulant" and (n - s) % 2 == 0:
                continue
            code = gc.cyclic_code(n, s, construction=construction)
            support = (np.arange(n)[None, :] - np.arange(n)[:, None]) % n <= s
            assert np.all(code.matrix[~support] == 0)
            assert code.stragglers == s
            answered = patterns(n, s)
            a = code.decoding_weights(answered, backend=backend)
            assert np.all(a[~answered] == 0)
            sent = code.matrix @ GRADIENTS[:n]
            whole = GRADIENTS[:n].sum(axis=0)
            assert np.abs(a @ sent - whole).max() <= 1e-10 * np.linalg.norm(whole)
            checked += len(answered)
    assert checked == {"circulant": 1024, "random": 1793}[construction]


def test_weights_are_those_of_least_squares_where_they_are_unique():
    code = gc.cyclic_code(7, 2)
    answered = patterns(7, 2)
    exact = answered[(~answered).sum(axis=1) == 2]
    for row, a in zip(exact, code.decoding_weights(exact), strict=True):
        expected = np.linalg.lstsq(code.matrix[row].T, np.ones(7))[0]
        np.testing.assert_allclose(a[row], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n", range(1, 9))
def test_fractional_repetition_has_an_answer_of_every_group_in_every_pattern(n):
    for s in range(n):
        if n % (s + 1):
            with pytest.raises(ValueError, match=rf"stragglers \+ 1 = {s + 1} must divide .* got {n} servers"):
                gc.fractional_groups(n, s)
            continue
        group = gc.fractional_groups(n, s)
        assert np.bincount(group).tolist() == [s + 1] * (n // (s + 1))
        for answered in patterns(n, s):
            assert set(group[answered]) == set(range(n // (s + 1)))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("scheme", [gc.FractionalRepetition(3), gc.CyclicCode(3), gc.CyclicCode(2), gc.CyclicCode(0)], ids=repr)
def test_coded_descent_is_gradient_descent_whoever_is_late(scheme, backend):
    table = gc.multivariate_t(rows=48, columns=3, degrees=3.0, seed=1)
    problem = gc.Problem(table.A, table.b, blocks=4)
    run = gc.descend(problem, scheme, uep.Workers(8), iterations=40, realizations=200, seed=1, backend=backend)
    x, steps = np.zeros(3), 1 / problem.curvature
    for t in range(41):
        expected = np.linalg.norm(x - problem.minimiser) / np.linalg.norm(problem.minimiser)
        assert float(run.error[t]) == pytest.approx(expected, rel=1e-9)
        assert float(run.error_stderr[t]) <= 1e-10
        x = x - steps * problem.gradient(x)
    assert float(run.gradient_error[:-1].max()) <= 1e-10


def test_codes_refuse_what_they_cannot_do():
    code = gc.cyclic_code(6, 1)
    for call, message in (
        (lambda: code.decoding_weights([True, True, False, False, True, True]), "at most 1 stragglers.*got 2"),
        (lambda: code.decoding_weights([True] * 5), r"shape \(patterns, 6\)"),
        (lambda: gc.cyclic_code(6, 6), "stragglers must be fewer than the servers, got 6 of 6"),
        (lambda: gc.cyclic_code(6, 2, construction="circulant"), "needs n - s odd, got n = 6, s = 2"),
        (lambda: gc.cyclic_code(60, 15, construction="circulant"), "60 servers that tolerates 15 .* too ill-conditioned"),
        (lambda: gc.cyclic_code(6, -1), "stragglers must be an integer >= 0, got -1"),
        (lambda: patterns_array(np.ones((2, 2, 2)), 2, 1), r"got \(2, 2, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(("n", "s"), [(30, 5), (60, 9), (60, 15), (100, 20)])
def test_larger_codes_decode_neighbours_and_random_patterns(n, s):
    code = gc.cyclic_code(n, s)
    late = [(np.arange(n) - i) % n < s for i in range(n)] + [np.random.default_rng(i).permutation(n) < s for i in range(300)]
    for backend in ("numba", "numpy"):
        weights = code.decoding_weights(~np.array(late), backend=backend)
        assert code.decoding_error(weights).max() <= 1e-6  # what a code is refused for
        assert np.all(weights[late] == 0)
    # Where circulant codes are too ill-conditioned, "auto" takes another.
    assert (np.ptp(np.diagonal(code.matrix)) == 0) == (s < 15)
