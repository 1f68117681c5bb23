"""The law of the loss from tallies: against exact theory, against the losses of single realizations, and its intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.cases.paper import CXR, EW, MDS, NOW, PAPER, RXC
from tests.cases.refusals import cases, refused
from tests.cases.tallies import run
from uepgpu import Workers, codes, latency, simulate, theory
from uepgpu.monte_carlo import decode_times
from uepgpu_kernels.job import SUB_BATCHES

TIMES = (0.3, 0.6)
LIMITS = (0.0, 0.01, 0.5)
LEVELS = (0.5, 0.9, 0.99)
N = 40_000
FIXED = codes.ExpandingWindow((0.40, 0.35, 0.25), windows="fixed")
OTHER = Workers(30, latency=latency.Weibull(1.5, 0.8), omega=1.2, work="unit")
DOMAINS = [
    pytest.param({"deadlines": TIMES}, PAPER, {}, id="deadline"),
    pytest.param({}, OTHER, {"workers": OTHER, "deadlines": TIMES}, id="count"),
]


def within_four(estimate, stderr, exact):
    assert np.all(np.abs(estimate - exact) <= 4 * stderr + 1e-12), np.abs(estimate - exact) / np.maximum(stderr, 1e-12)


@pytest.mark.parametrize("how, workers, options", DOMAINS)
@pytest.mark.parametrize("code, part", [(NOW, RXC), (EW, RXC), (NOW, CXR), (MDS, CXR), (FIXED, RXC)])
def test_estimates_lie_within_four_standard_errors_of_the_exact_law(code, part, how, workers, options):
    tally = simulate(code, part, PAPER, realizations=N, seed=11, **how)
    where = {"workers": workers, "deadlines": TIMES}
    exact, found = theory.loss_distribution(code, part, **where), tally.loss_distribution(part, **options)
    np.testing.assert_allclose(found.normalized_loss, exact.normalized_loss, rtol=1e-12, atol=1e-15)
    within_four(found.probability.values, np.maximum(found.stderr.values, 1 / N), exact.probability.values)
    exact, found = theory.exceedance(code, part, x=LIMITS, **where).probability.values, tally.exceedance(part, LIMITS, **options)
    within_four(found.probability.values, np.maximum(found.stderr.values, 1 / N), exact)
    exact, found = theory.loss_sd(code, part, **where).normalized_loss_sd.values, tally.loss_sd(part, **options)
    within_four(found.normalized_loss_sd.values, found.normalized_loss_sd_stderr.values, exact)
    exact = theory.loss_quantile(code, part, q=LEVELS, **where).normalized_loss.values
    found = tally.loss_quantile(part, LEVELS, **options)
    assert np.all(found.normalized_loss_low.values <= exact * (1 + 1e-12))
    assert np.all(exact <= found.normalized_loss_high.values * (1 + 1e-12))
    np.testing.assert_allclose(found.normalized_loss, exact, rtol=1e-12)  # no quantile of these lies at the edge of a step


@pytest.mark.parametrize("options", [{}, {"workers": PAPER, "deadlines": TIMES}], ids=["received", "mixture"])
def test_backends_give_the_same_law(options):
    one, two = (run(realizations=2000, code=NOW, backend=backend) for backend in ("numpy", "numba"))
    for ask in (
        lambda t: t.loss_distribution(RXC, **options),
        lambda t: t.exceedance(RXC, LIMITS, **options),
        lambda t: t.loss_sd(RXC, **options),
        lambda t: t.loss_quantile(RXC, LEVELS, **options),
    ):
        assert ask(one).equals(ask(two))


def test_the_law_is_that_of_the_losses_of_the_realizations():
    tally = run(code=NOW, realizations=700, deadlines=TIMES)
    when = decode_times(NOW, RXC, PAPER, deadlines=TIMES, realizations=700, seed=3)
    losses = np.stack([(when > at) @ RXC.energy for at in range(len(TIMES))]) / RXC.norm2
    np.testing.assert_allclose(tally.loss_sd(RXC).normalized_loss_sd, losses.std(axis=1), rtol=1e-9)
    expected = (losses[:, :, None] > np.array(LIMITS)).mean(axis=1)
    np.testing.assert_allclose(tally.exceedance(RXC, LIMITS).probability, expected, rtol=1e-12)
    law = tally.loss_distribution(RXC)
    for i, value in enumerate(law.normalized_loss.values):
        share = np.isclose(losses, value, rtol=1e-9, atol=1e-12).mean(axis=1)
        np.testing.assert_allclose(law.probability[:, i], share, rtol=1e-12)


def test_outcomes_that_cannot_occur_are_not_listed():
    # Nested windows: class 2 is never decoded without class 1.
    assert run(code=EW, deadlines=TIMES).loss_distribution(RXC).sizes["outcome"] == 4
    assert run(code=NOW, deadlines=TIMES).loss_distribution(RXC).sizes["outcome"] == 8
    assert run(code=MDS, deadlines=TIMES).loss_distribution(RXC).sizes["outcome"] == 2


def test_nothing_observed_is_a_bound_and_certainty_is_none():
    tally = run(code=MDS, realizations=50, deadlines=[3.0])
    found = tally.exceedance(RXC, 0.5)
    assert found.probability.item() == 0
    assert found.high.item() == pytest.approx(1 - 0.025 ** (1 / 50))
    assert tally.loss_sd(RXC).normalized_loss_sd_high.item() > 0.2
    assert tally.loss_quantile(RXC, 0.99).normalized_loss_high.item() == pytest.approx(1.0, rel=1e-12)
    counted = run(code=MDS, realizations=50)  # N < 9 packets of MDS decode nothing, 9 decode all
    for ask in (lambda: counted.exceedance(RXC, 0.5), lambda: counted.loss_distribution(RXC)):
        assert np.all(ask().low == ask().high)
    assert np.all(counted.loss_sd(RXC).loss_sd_high < 1e-6 * RXC.norm2)


# --- coverage ---------------------------------------------------------------------------------------------------------

RUNS = 300
LEAST = 0.925
"""95 % less two standard errors of 300 runs."""


def drawn_tallies(law, n, seed):
    """Tallies of EW at deadlines with patterns drawn from the exact law: ℓ* = 3, 2, 1, 0 in the order of rising loss."""
    first = run(code=EW, realizations=n, deadlines=TIMES)
    rng = np.random.default_rng(seed)
    for _ in range(RUNS):
        patterns = np.zeros_like(first.patterns)
        for batch, size in enumerate(first.sub_batch_sizes):
            for t, p in enumerate(law.probability.values):
                patterns[batch, t, [0b111, 0b011, 0b001, 0]] = rng.multinomial(size, p / p.sum())
        yield replace(first, patterns=patterns)


@pytest.mark.parametrize("n", [25, 300])
def test_intervals_at_deadlines_cover(n):
    law = theory.loss_distribution(EW, RXC, PAPER, deadlines=TIMES)
    exact = (
        theory.exceedance(EW, RXC, PAPER, x=LIMITS, deadlines=TIMES).probability.values,
        theory.loss_quantile(EW, RXC, PAPER, q=LEVELS, deadlines=TIMES).normalized_loss.values,
        theory.loss_sd(EW, RXC, PAPER, deadlines=TIMES).normalized_loss_sd.values,
    )
    held = [np.zeros(e.shape) for e in exact]
    informative = 0
    for tally in drawn_tallies(law, n, seed=17):
        found = [tally.exceedance(RXC, LIMITS), tally.loss_quantile(RXC, LEVELS), tally.loss_sd(RXC)]
        ends = [
            ("low", "high"),
            ("normalized_loss_low", "normalized_loss_high"),
            ("normalized_loss_sd_low", "normalized_loss_sd_high"),
        ]
        for h, e, f, (low, high) in zip(held, exact, found, ends, strict=True):
            h += (f[low].values <= e + 1e-12) & (e - 1e-12 <= f[high].values)
        informative += np.all(found[1].normalized_loss_high.values[1, :2] < 1)
    for h in held:
        assert np.all(h / RUNS >= LEAST), (h / RUNS).round(3).tolist()
    assert n < 300 or informative == RUNS  # the median and the 90 % quantile at t = .6 are far from a total loss


def test_intervals_of_mixtures_cover():
    n, runs = 60, 200
    exact = theory.exceedance(NOW, RXC, PAPER, x=LIMITS, deadlines=TIMES).probability.values
    sd = theory.loss_sd(NOW, RXC, PAPER, deadlines=TIMES).normalized_loss_sd.values
    first = run(code=NOW, realizations=n)
    when = decode_times(NOW, RXC, PAPER, realizations=n * runs, seed=23)
    of_class = np.stack([when[:, RXC.classes == c].max(axis=1) for c in (1, 2, 3)], axis=1)
    decoded = (of_class[:, None, :] <= np.arange(31)[None, :, None]) << np.arange(3)
    held, held_sd = np.zeros(exact.shape), np.zeros(sd.shape)
    for own in decoded.sum(axis=2).reshape(runs, n, 31):
        patterns = np.zeros_like(first.patterns)
        np.add.at(patterns, (np.arange(n)[:, None] % SUB_BATCHES, np.arange(31)[None, :], own), 1)
        tally = replace(first, patterns=patterns)
        found = tally.exceedance(RXC, LIMITS, workers=PAPER, deadlines=TIMES)
        held += (found.low.values <= exact) & (exact <= found.high.values)
        found = tally.loss_sd(RXC, workers=PAPER, deadlines=TIMES)
        held_sd += (found.normalized_loss_sd_low.values <= sd) & (sd <= found.normalized_loss_sd_high.values)
    # 95 % less two standard errors of 200 runs
    assert np.all(held / runs >= 0.92), (held / runs).round(3).tolist()
    assert np.all(held_sd / runs >= 0.92), (held_sd / runs).round(3).tolist()


# --- refusals ---------------------------------------------------------------------------------------------------------

PAIRS = run(code=codes.LT(), part=CXR, workers=Workers(12, work="unit", omega="fair"))
TALLY = run()
BAD = cases(
    patterns={
        "distribution": (
            lambda: PAIRS.loss_distribution(CXR),
            "the distribution of the loss needs a code that decodes class by class",
            "LT",
        ),
        "exceedance": (
            lambda: PAIRS.exceedance(CXR, 0.5),
            "the exceedance of the loss needs a code that decodes class by class",
            "LT",
        ),
        "sd": (lambda: PAIRS.loss_sd(CXR), "the standard deviation of the loss needs a code that decodes class by class", "LT"),
        "quantile": (
            lambda: PAIRS.loss_quantile(CXR, 0.5),
            "the quantile of the loss needs a code that decodes class by class",
            "LT",
        ),
    },
    values={
        "x negative": (lambda: TALLY.exceedance(RXC, -1.0), "x must be finite normalized losses >= 0", "-1.0"),
        "x text": (lambda: TALLY.exceedance(RXC, "much"), "x must hold real numbers", "much"),
        "q": (lambda: TALLY.loss_quantile(RXC, 2), "q must lie in [0, 1]", "2"),
        "part": (lambda: TALLY.loss_sd(None), "part must be a uepgpu.Partition", "None"),
        "deadlines alone": (lambda: TALLY.loss_distribution(RXC, deadlines=[1.0]), "workers and deadlines belong together"),
    },
)


@pytest.mark.parametrize("call, pieces", BAD)
def test_bad_values_are_refused(call, pieces):
    refused(call, pieces)


def test_the_interval_of_the_deviation_allows_for_the_error_of_the_mean():
    # Half of 100 realizations lost everything: the mean square distance from 1/2 is 1/4 whatever the probability of a loss, which
    # may be .4 as well, with a standard deviation of .49.
    first = run(code=MDS, realizations=100, deadlines=[0.35])
    patterns = np.zeros_like(first.patterns)
    half = first.sub_batch_sizes // 2
    half[: 50 - half.sum()] += 1
    patterns[:, 0, 0], patterns[:, 0, 0b111] = half, first.sub_batch_sizes - half
    found = replace(first, patterns=patterns).loss_sd(RXC)
    assert found.normalized_loss_sd.item() == pytest.approx(0.5)
    assert found.normalized_loss_sd_low.item() < 0.4905
