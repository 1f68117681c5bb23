"""What follows from tallies is what the losses of the realizations say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.problems import EW, PAPER, RXC
from tests.cases.tallies import TIMES, run
from uepgpu import Partition, Workers, codes, simulate
from uepgpu.monte_carlo import decode_times


def correlated(paradigm="cxr", seed=4):
    """Return a partition of real matrices whose blocks point in nearly the same or opposite directions."""
    rng = np.random.default_rng(seed)
    if paradigm == "rxc":
        return Partition.rxc(rng.normal(size=(7, 6)), rng.normal(size=(6, 8)), rows=3, cols=3, classes=(3, 3, 3))
    sign = rng.choice([-1.0, 1.0], size=(1, 18))
    a = np.ones((5, 18)) * sign * np.linspace(3, 1, 18) + 0.05 * rng.normal(size=(5, 18))
    return Partition.cxr(a, np.ones((18, 4)) + 0.05 * rng.normal(size=(18, 4)), blocks=9, classes=(3, 3, 3))


def as_tally(name, domain, n=400, **options):
    p = problems.PROBLEMS[name]
    common = {"deadlines": p.times(domain), "realizations": n, "seed": 21}
    tally = simulate(p.code, p.part, p.workers, **common, **options)
    return tally, decode_times(p.code, p.part, p.workers, **common)


# --- what follows from it, against losses of realizations ------------------------------------------------------------

NAMES = ["now", "ew fixed", "nested", "lt", "windows gf2", "generator floats", "level-pair", "uncoded", "windows"]

OF_SUMMANDS = ["generator", "generator sums"]
"""Tallies that count sums."""


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("paradigm, name", [(p, n) for p in ("cxr", "rxc") for n in NAMES] + [("cxr", n) for n in OF_SUMMANDS])
def test_mean_losses_are_means_of_the_realizations_losses(name, domain, paradigm):
    own = problems.PROBLEMS[name].part
    part = replace(correlated(paradigm), classes=own.classes)
    tally, when = as_tally(name, domain)
    found = tally.loss(part)
    for at in range(tally.patterns.shape[1]):
        u = (when > at).astype(float)
        losses = np.einsum("ri,ij,rj->r", u, part.gram, u)
        scale = np.abs(part.gram).sum()
        assert float(found.loss[at]) == pytest.approx(losses.mean(), rel=1e-9, abs=1e-12 * scale)
        assert float(found.normalized_loss[at]) == pytest.approx(losses.mean() / part.norm2, rel=1e-9, abs=1e-12 * scale)
    chance = tally.subproduct_probability().probability.values
    np.testing.assert_allclose(chance, (when[:, None, :] <= np.arange(len(chance))[:, None]).mean(axis=0), atol=1e-12)


def test_losses_are_those_of_the_matrices_themselves():
    part = correlated()
    left, right = part.matrices.left, part.matrices.right
    tally, when = as_tally("lt", "deadline", 60)
    blocks = [left[:, 2 * m : 2 * m + 2] @ right[2 * m : 2 * m + 2] for m in range(9)]
    part = replace(part, classes=problems.PROBLEMS["lt"].part.classes)
    for at in range(5):
        lost = [np.sum(sum((blocks[m] for m in range(9) if w[m] > at), np.zeros((5, 4))) ** 2) for w in when]
        assert float(tally.loss(part).loss[at]) == pytest.approx(np.mean(lost), rel=1e-9)


@pytest.mark.parametrize("name", ["now", "ew", "ew fixed", "mds"])
def test_quantiles_are_those_of_the_realizations_losses(name):
    part = replace(correlated(), classes=problems.PROBLEMS[name].part.classes)
    tally, when = as_tally(name, "deadline", 401)
    levels = [0.0, 0.05, 0.5, 0.9, 1.0]
    found = tally.loss_quantile(part, levels).loss.values
    for at in range(len(found)):
        u = (when > at).astype(float)
        losses = np.einsum("ri,ij,rj->r", u, part.gram, u)
        expected = np.quantile(losses, levels, method="inverted_cdf")
        np.testing.assert_allclose(found[at], expected, rtol=1e-9, atol=1e-9 * part.norm2)
    assert float(tally.loss_quantile(part, 0.5).loss[0, 0]) == found[0, 2]
    for bad in (-0.1, 1.1, float("nan"), [0.5, 2]):
        with pytest.raises(ValueError, match="q must"):
            tally.loss_quantile(part, bad)


def test_quantiles_of_mixtures_weigh_the_counts():
    counted = run(realizations=3000)
    found = counted.loss_quantile(RXC, [0.1, 0.5, 0.99], workers=PAPER, deadlines=[0.6]).normalized_loss.values[0]
    when = decode_times(EW, RXC, PAPER, realizations=3000, seed=3)
    from scipy.stats import binom

    weight = binom.pmf(np.arange(31), 30, 1 - np.exp(-0.6))
    losses = np.stack([(when > n) @ RXC.energy for n in range(31)]) / RXC.norm2
    order = np.argsort(losses.ravel())
    share = np.cumsum(np.repeat(weight / 3000, 3000)[order])
    expected = [losses.ravel()[order][np.searchsorted(share, q)] for q in (0.1, 0.5, 0.99)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_quantiles_and_other_classes_are_refused():
    tally, _ = as_tally("lt", "count", 10)
    with pytest.raises(ValueError, match="class by class"):
        tally.loss_quantile(problems.CXR, 0.5)
    for other in (problems.line(2, 3, 4), problems.line(9), problems.line(3, 3, 4)):
        for result in (lambda p: run().loss(p), lambda p: run().loss_quantile(p, 0.5)):
            with pytest.raises(ValueError, match="classes"):
                result(other)
    marginals = run(part=problems.CXR, tally="marginals")
    with pytest.raises(ValueError, match="pairs"):
        marginals.loss(correlated())
    plain = run(part=correlated("rxc"), tally="marginals").loss(correlated("rxc"))
    np.testing.assert_allclose(plain.loss, run(part=correlated("rxc")).loss(correlated("rxc")).loss, rtol=1e-12)


def test_true_work_is_that_of_the_paradigm_that_was_simulated():
    tally = run(code=codes.MDS(), part=RXC)
    nine = (1.0,) * 9
    other = Partition.model("cxr", left_variances=nine, right_variances=nine, classes=RXC.classes[:, None])
    times = {"deadlines": [1.0, 2.0]}
    with pytest.raises(ValueError, match="is of rxc packets, whose true work is not that of cxr packets"):
        tally.loss(other, workers=Workers(30, omega="fair"), **times)
    with pytest.raises(ValueError, match="is of rxc packets"):
        tally.loss_quantile(other, 0.5, workers=Workers(30, omega="fair"), **times)
    # At unit work a packet is a packet.
    unit = tally.loss(other, workers=problems.unit(30), **times)
    assert unit.equals(run(code=codes.MDS(), part=other).loss(other, workers=problems.unit(30), **times))


def test_workers_and_deadlines_are_for_the_count_domain_and_belong_together():
    timed = run(deadlines=TIMES)
    for result in (timed.decoding_probability, lambda **o: timed.loss(RXC, **o)):
        with pytest.raises(ValueError, match="count-domain"):
            result(workers=PAPER, deadlines=TIMES)
    counted = run()
    for options in ({"workers": PAPER}, {"deadlines": TIMES}):
        with pytest.raises(ValueError, match="belong together"):
            counted.loss(RXC, **options)
    with pytest.raises(ValueError, match="workers"):
        counted.loss(RXC, workers=problems.unit(31), deadlines=TIMES)
    tied = run(code=codes.ExpandingWindow(problems.GAMMA, windows="fixed"))
    with pytest.raises(ValueError, match="workers differ in speed or law, and packets are tied to them: what arrives first"):
        tied.loss(RXC, workers=problems.unit(30, speeds=problems.SLOW_HALF), deadlines=TIMES)
    with pytest.raises(ValueError, match="true work"):
        counted.loss(RXC, workers=Workers(30, omega="fair"), deadlines=TIMES)
    for bad in ([-1.0], [float("nan")], [1.0, 0.5], []):
        with pytest.raises(ValueError, match="deadlines"):
            counted.loss(RXC, workers=PAPER, deadlines=bad)
