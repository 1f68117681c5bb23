"""Coverage of 95 % intervals over 1,000 repeated runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.problems import EW, LEVEL_PAIR, MDS, NOW, PAPER, RXC
from uepgpu import Partition, codes, simulate, theory
from uepgpu.monte_carlo import decode_times
from uepgpu.tally.intervals import batch_stderr, clopper_pearson, t_factor

RUNS = 1000
LEAST = 0.93
TIMES = (0.15, 0.30, 0.45, 0.60, 0.75, 0.90, 1.05)


def correlated(gram, classes):
    """Return a partition with a Gram matrix of one's own."""
    gram = np.asarray(gram, dtype=float)
    return Partition("cxr", (len(gram),), np.asarray(classes), gram)


RHO = 0.95
STRONG = correlated(np.diag([6.0] * 3 + [3.0] * 3 + [1.0] * 3) + 0.9 * np.ones((9, 9)), [1] * 3 + [2] * 3 + [3] * 3)
CANCEL = correlated(np.kron([[1, -RHO, 0], [-RHO, 1, 0], [0, 0, 0.3]], np.full((3, 3), 0.4)), [1] * 3 + [2] * 3 + [3] * 3)


def runs(code, part, workers, n, deadlines=None, seed=0):
    """Return RUNS tallies of n realizations each: what simulate gives for consecutive ranges, counted all at once."""
    first = simulate(code, part, workers, deadlines=deadlines, realizations=n, seed=seed)
    when = decode_times(code, part, workers, deadlines=deadlines, realizations=RUNS * n, seed=seed)
    times = first.patterns.shape[1]
    class_when = np.stack([when[:, part.classes == c].max(axis=1) for c in range(1, part.n_classes + 1)], axis=1)
    i, j = np.tril_indices(part.n_subproducts)
    pair_when = None if first.pairs is None else np.minimum(when[:, i], when[:, j])
    for run in range(RUNS):
        own = slice(run * n, (run + 1) * n)
        batch = np.arange(run * n, (run + 1) * n) % 32
        patterns = np.zeros_like(first.patterns)
        for t in range(times):
            pattern = ((class_when[own] <= t) << np.arange(part.n_classes)).sum(axis=1)
            np.add.at(patterns, (batch, t, pattern), 1)
        pairs = None
        if pair_when is not None:
            earliest = np.zeros((32, times + 1, i.size), dtype=np.int64)
            np.add.at(earliest, (batch[:, None], pair_when[own], np.arange(i.size)), 1)
            pairs = np.cumsum(earliest[:, ::-1], axis=1)[:, -2::-1]
        made = replace(first, patterns=patterns, pairs=pairs, ranges=((run * n, (run + 1) * n),))
        if run == 0:
            assert made == first
        yield made


def coverage(tallies, exact, ask, name, low, high):
    """Return the share of runs whose interval holds the exact value, shape of `exact`."""
    held = np.zeros(exact.shape)
    for tally in tallies:
        found = ask(tally)
        assert np.all(found[low].values <= found[high].values)
        slack = 1e-9 * np.abs(exact) + 1e-15
        held += (found[low].values <= exact + slack) & (exact - slack <= found[high].values)
    return held / RUNS


def loss_coverage(code, part, workers, n, deadlines=None, mixed=None, exact=None, seed=0):
    where = {"deadlines": deadlines} if deadlines is not None else {"received": range(workers.count + 1)}
    if mixed is not None:
        where = {"deadlines": mixed}
    if exact is None:
        exact = theory.loss(code, part, workers, **where).loss.values
    options = {} if mixed is None else {"workers": workers, "deadlines": mixed}
    return coverage(
        runs(code, part, workers, n, deadlines, seed),
        np.asarray(exact),
        lambda tally: tally.loss(part, **options),
        "loss",
        "loss_low",
        "loss_high",
    )


def report(record, found):
    record("least_coverage", float(found.min()))
    record("coverages", np.round(found.ravel(), 3).tolist())
    print(f"coverage {found.min():.3f} .. {found.max():.3f}: {np.round(found.ravel(), 3).tolist()}")
    assert np.all(found >= LEAST), np.round(found, 3).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 40, 500])
@pytest.mark.parametrize("code", [NOW, EW, MDS], ids=["now", "ew", "mds"])
@pytest.mark.parametrize("part", [RXC, STRONG], ids=["rxc", "cross terms"])
def test_loss_intervals_at_deadlines_cover(code, part, n, record_property):
    report(record_property, loss_coverage(code, part, PAPER, n, deadlines=TIMES))


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 64, 400])
@pytest.mark.parametrize("code, part", [(NOW, RXC), (EW, STRONG), (NOW, STRONG), (MDS, RXC)], ids=["now", "ew x", "now x", "mds"])
def test_loss_intervals_of_count_domain_mixtures_cover(code, part, n, record_property):
    report(record_property, loss_coverage(code, part, PAPER, n, mixed=TIMES))


@pytest.mark.slow
@pytest.mark.parametrize("deadlines, mixed", [(TIMES, None), (None, TIMES)], ids=["deadlines", "mixture"])
@pytest.mark.parametrize("code", [NOW, EW], ids=["now", "ew"])
def test_loss_intervals_cover_where_strong_terms_cancel(code, deadlines, mixed, record_property):
    # Losing both of two nearly opposite classes costs little, losing one of them much: what is rare decides.
    report(record_property, loss_coverage(code, CANCEL, PAPER, 400, deadlines, mixed))


@pytest.mark.slow
def test_loss_intervals_cover_where_a_rare_single_loss_decides(record_property):
    part = correlated([[1, -0.999], [-0.999, 1]], [1, 2])
    code = codes.ExpandingWindow((0.002, 0.998))
    workers = problems.unit(4, omega=1.0)
    report(record_property, loss_coverage(code, part, workers, 1000, deadlines=(0.3, 0.5, 0.8)))


@pytest.mark.slow
@pytest.mark.parametrize("deadlines, mixed", [((0.3, 0.9, 1.5), None), (None, (0.3, 0.9, 1.5))], ids=["deadlines", "mixture"])
def test_loss_intervals_of_codes_that_split_classes_cover(deadlines, mixed, record_property):
    for n in (40, 500):
        report(record_property, loss_coverage(LEVEL_PAIR, RXC, PAPER, n, deadlines, mixed))


@pytest.mark.slow
def test_loss_intervals_of_codes_that_split_classes_cover_with_cross_terms(record_property):
    workers = problems.unit(14, omega=1.0)
    times = (0.4, 1.0, 2.0)
    for part in (STRONG, CANCEL):
        large = simulate(codes.LT(), part, workers, realizations=2_000_000, seed=99)
        exact = large.loss(part, workers=workers, deadlines=times).loss.values
        report(record_property, loss_coverage(codes.LT(), part, workers, 300, mixed=times, exact=exact))
        report(record_property, loss_coverage(codes.LT(), part, workers, 300, deadlines=times, exact=exact))


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 50, 500])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("code", [NOW, EW], ids=["now", "ew"])
def test_intervals_of_decoding_probabilities_cover(code, mixed, n, record_property):
    exact = theory.decoding_probability(code, RXC, PAPER, deadlines=TIMES).probability.values
    options = {"workers": PAPER, "deadlines": TIMES} if mixed else {}
    tallies = runs(code, RXC, PAPER, n, None if mixed else TIMES)
    found = coverage(tallies, exact, lambda tally: tally.decoding_probability(**options), "probability", "low", "high")
    report(record_property, found)


def test_clopper_pearson_bounds_are_exact_binomial_tails():
    from scipy.stats import binom

    for trials, failures in ((1, 0), (1, 1), (10, 3), (1000, 1), (10**6, 37)):
        low, high = (float(x) for x in clopper_pearson(np.array(float(failures)), trials, 0.05))
        if failures:
            assert binom.sf(failures - 1, trials, low) == pytest.approx(0.025, rel=1e-9)
        else:
            assert low == 0.0
        if failures < trials:
            assert binom.cdf(failures, trials, high) == pytest.approx(0.025, rel=1e-9)
        else:
            assert high == 1.0


def test_standard_errors_are_those_of_batch_means_and_of_the_sample():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(32, 10))
    stderr, freedom = batch_stderr(values.sum(axis=1), np.full(32, 10.0))
    assert stderr == pytest.approx(values.mean(axis=1).std(ddof=1) / np.sqrt(32), rel=1e-12)
    assert freedom == 31
    assert float(t_factor(31.0)) == pytest.approx(2.0395, abs=1e-4)
    tally = simulate(NOW, RXC, PAPER, deadlines=[0.4], realizations=777, seed=2)
    when = decode_times(NOW, RXC, PAPER, deadlines=[0.4], realizations=777, seed=2)
    loss = (when > 0) @ RXC.energy
    found = tally.loss(RXC)
    assert float(found.loss[0]) == pytest.approx(loss.mean(), rel=1e-12)
    assert float(found.loss_stderr[0]) == pytest.approx(loss.std(ddof=1) / np.sqrt(777), rel=1e-12)
    # The batch means of a skewed loss in 32 batches tell its error to about one part in eight.
    pairs = simulate(NOW, RXC, PAPER, deadlines=[0.4], realizations=777, seed=2, tally="pairs").loss(RXC)
    assert float(pairs.loss[0]) == pytest.approx(loss.mean(), rel=1e-12)
    assert float(pairs.loss_stderr[0]) == pytest.approx(float(found.loss_stderr[0]), rel=0.5)
