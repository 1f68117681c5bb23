"""The best Γ: published settings to their digits, exact derivatives, and no grid that finds better."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import CXR, EW, GAMMA, NOW, PAPER, RXC
from uepgpu.design.arrivals import arrivals_of
from uepgpu.design.decoding import decoding_of
from uepgpu.design.expectation import ByCounts, ByRecursion, compositions
from uepgpu.design.objective import Debiased, Linear
from uepgpu.theory.received import received_law

TIMES = (0.15, 0.30, 0.45, 0.60)
TRUE = uep.Workers(30, omega=1.0)
TABLE = {  # loss at Γ₀ and at the best Γ, and its Γ_1, at every time; Γ_2 = 1 - Γ_1
    ("rxc", "NOW", "unit"): ".76889 .21267 1, .38864 .033835 1, .17187 .018614 .7417, .074971 .0073357 .6586",
    ("rxc", "EW", "unit"): ".75105 .21267 1, .28409 .033835 1, .061953 .012455 .5769, .0099174 .0025838 .3852",
    ("rxc", "NOW", "true"): ".94616 .63943 1, .77136 .21267 1, .56731 .067408 1, .39409 .033835 1",
    ("rxc", "EW", "true"): ".94624 .63943 1, .76741 .21267 1, .54933 .067408 1, .35745 .033835 1",
    ("cxr", "NOW", "unit"): ".76787 .19969 1, .38679 .017909 1, .17023 .0092190 .8144, .073797 .0033697 .6990",
    ("cxr", "EW", "unit"): ".74783 .19969 1, .27902 .017909 1, .058780 .0077102 .7038, .0083947 .00087122 .4637",
    ("cxr", "NOW", "true"): ".97971 .82327 1, .89564 .45196 1, .76787 .19969 1, .62845 .081079 1",
    ("cxr", "EW", "true"): ".97984 .82327 1, .89603 .45196 1, .76753 .19969 1, .62546 .081079 1",
}


def digits(value, expected):
    """Equal in the five digits that are written."""
    assert f"{value:.5g}" == f"{expected:.5g}"


@pytest.mark.parametrize("paradigm, name, work", TABLE, ids=lambda x: x)
def test_the_best_gamma_of_the_papers_setting(paradigm, name, work):
    part, code = {"rxc": RXC, "cxr": CXR}[paradigm], {"NOW": NOW, "EW": EW}[name]
    workers = PAPER if work == "unit" else TRUE
    for t, row in zip(TIMES, TABLE[paradigm, name, work].split(", "), strict=True):
        baseline, best, first = map(float, row.split())
        design = uep.design.gamma(code, part, workers, deadlines=t)
        digits(design.baseline, baseline)
        digits(design.objective, best)
        assert design.gamma == pytest.approx((first, 1 - first, 0), abs=6e-5)
        assert design.objective == pytest.approx(uep.theory.loss(design.code, part, workers, deadlines=t).normalized_loss.item())
        assert design.exact
        assert float(design.tried.objective[0]) == pytest.approx(design.objective)


def test_several_deadlines():
    times = np.arange(1, 22) * 0.05
    mean = uep.design.gamma(EW, RXC, PAPER, deadlines=times)
    assert (round(mean.baseline, 4), round(mean.objective, 4), mean.gamma) == (0.2067, 0.0988, (1, 0, 0))
    for code, part, before, after, first in (
        (EW, RXC, 0.01779, 0.01426, 0.503),
        (EW, CXR, 0.01136, 0.00434, 0.456),
        (NOW, RXC, None, 0.02065, 0.657),
    ):
        best = uep.design.gamma(code, part, PAPER, deadlines=times, across="geometric")
        assert before is None or round(best.baseline, 5) == before
        assert round(best.objective, 5) == after
        assert best.gamma == pytest.approx((first, 1 - first, 0), abs=6e-4)
    heavy = uep.design.gamma(EW, RXC, PAPER, deadlines=(0.3, 0.6), weights=(0, 5))
    assert heavy.objective == pytest.approx(0.0025838, abs=5e-8)


@pytest.mark.parametrize("part, first, ratio, baseline", [(RXC, 0.670, 2.232, 8.396), (CXR, 0.718, 3.148, 15.58)])
def test_minimax_regret(part, first, ratio, baseline):
    best = uep.design.gamma(EW, part, PAPER, deadlines=TIMES, across="minimax")
    assert best.objective == pytest.approx(ratio, abs=6e-4)
    assert best.baseline == pytest.approx(baseline, abs=5e-3)
    assert best.gamma == pytest.approx((first, 1 - first, 0), abs=6e-4)
    losses = uep.theory.loss(best.code, part, PAPER, deadlines=TIMES).normalized_loss.values
    alone = [uep.design.gamma(EW, part, PAPER, deadlines=t).objective for t in TIMES]
    assert max(losses / alone) == pytest.approx(best.objective, rel=1e-9)


def test_estimates_without_bias():
    expected = {
        (NOW, 0.3): (0.63815, 0.19725, (0.656, 0.234, 0.110)),
        (EW, 0.3): (0.41269, 0.23366, (0.584, 0.276, 0.141)),
        (NOW, 0.6): (0.08132, 0.01937, (0.586, 0.284, 0.130)),
        (EW, 0.6): (0.01048, 0.00869, (0.409, 0.425, 0.166)),
    }
    for (code, t), (before, after, gamma) in expected.items():
        best = uep.design.gamma(code, RXC, PAPER, deadlines=t, objective="debiased")
        assert (round(best.baseline, 5), round(best.objective, 5)) == (before, after)
        assert best.gamma == pytest.approx(gamma, abs=6e-4)
        decoded = uep.theory.decoding_probability(best.code, RXC, PAPER, deadlines=t).probability.values[0]
        share = np.bincount(RXC.classes - 1, RXC.energy) / RXC.norm2
        assert best.objective == pytest.approx(float(share @ (1 / decoded - 1)))


def test_variance_of_debiased_estimates_with_cross_terms():
    rng = np.random.default_rng(5)
    part = uep.Partition.cxr(rng.normal(size=(4, 12)), rng.normal(size=(12, 3)), blocks=6, classes=(1, 2, 3))
    decoding = decoding_of(NOW, part, 12)
    chances = ByCounts(decoding, arrivals_of(uep.Workers(12, omega="fair"), [2.0], None, decoding.work, 6))
    law = chances.law(np.array([GAMMA]))[0, 0]
    decoded = 1.0 - decoding.undecoded[:, :3]
    scaled = decoded / (law @ decoded)  # the unbiased estimate is Σ scaled_u X_u
    gram = part.class_gram / part.norm2
    expected = law @ np.einsum("ou,uv,ov->o", scaled - 1, gram, scaled - 1)
    assert Debiased(decoding).values(law) == pytest.approx(expected, rel=1e-10)
    slope = Debiased(decoding).gradient(law[None], chances.gradient(np.array(GAMMA)))[0]
    for along in ([1, -1, 0], [0, 1, -1]):
        points = np.array(GAMMA) + 1e-3 * np.outer((-2, -1, 1, 2), along)
        difference = Debiased(decoding).values(chances.law(points))[:, 0] @ [1, -8, 8, -1] / 12e-3
        assert slope @ along == pytest.approx(difference, rel=1e-7)


def test_probabilities_and_quantiles_of_the_loss():
    share = uep.design.gamma(EW, RXC, PAPER, deadlines=0.3, objective="exceedance", x=0.01)
    assert share.baseline == pytest.approx(0.56243, abs=6e-6)
    half = uep.design.gamma(EW, RXC, PAPER, deadlines=0.3, objective="quantile", q=0.5)
    assert half.baseline == pytest.approx(0.02605, abs=6e-6)
    assert half.objective == pytest.approx(0.0017044, abs=6e-8)  # not 0: at best Pr[all decoded] = .3
    most = uep.design.gamma(EW, RXC, PAPER, deadlines=0.3, objective="quantile", q=0.9)
    assert (most.baseline, round(most.objective, 5)) == (1.0, 0.02605)
    tails = decoding_of(EW, RXC, 30).loss
    for design, level in ((half, 0.5), (most, 0.9)):
        lower = design.objective * (1 - 1e-9) - 1e-12  # below it no Γ gets that far
        for gamma in compositions(20, 3) / 20:
            code = uep.codes.ExpandingWindow(gamma.tolist())
            decoded = uep.theory.decoding_probability(code, RXC, PAPER, deadlines=0.3).probability.values[0]
            law = np.diff(1 - np.append(1, decoded), append=1.0)
            assert law[tails <= lower].sum() < level


# --- derivatives -------------------------------------------------------------------------------------------------------


def test_derivatives_of_the_papers_setting():
    decoding = decoding_of(EW, RXC, 30)
    arrivals = arrivals_of(PAPER, [0.3], None, decoding.work, 9)
    for engine in (ByCounts(decoding, arrivals), ByRecursion(decoding, arrivals)):
        gradient = decoding.loss @ engine.gradient(np.array(GAMMA))[0]
        assert gradient == pytest.approx([-1.390466, -0.676273, -0.220704], abs=6e-7)
        hessian = np.einsum("o,oab->ab", decoding.loss, engine.hessian(np.array(GAMMA))[0])
        rows = [[4.94628, 2.38021, 0.71855], [2.38021, -0.84983, -0.14950], [0.71855, -0.14950, -1.57022]]
        assert hessian == pytest.approx(np.array(rows), abs=6e-6)
        # dL/dt = Σ_l (Γ_l / F_l) (∂L/∂Γ_l) dF_l/dt
        assert gradient @ GAMMA / (1 - np.exp(-0.3)) * np.exp(-0.3) == pytest.approx(-2.424, abs=6e-7)


def problems(n, seed):
    """Yield random codes with partitions, workers and a deadline."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        levels = int(rng.integers(2, 4))
        sizes = rng.integers(1, 4, levels)
        energies = np.sort(rng.lognormal(sigma=2.0, size=sizes.sum()))[::-1]
        part = uep.Partition.model("cxr", left_variances=energies, right_variances=np.ones(sizes.sum()), classes=sizes.tolist())
        kind = (uep.codes.ExpandingWindow, uep.codes.NonOverlappingWindow)[int(rng.integers(2))]
        code = kind(rng.dirichlet(np.ones(levels)).tolist())
        work = ("unit", "true")[int(rng.integers(2))]
        workers = uep.Workers(int(rng.integers(5, 26)), omega=1.0, work=work, loss_probability=float(rng.choice([0.0, 0.1])))
        yield code, part, workers, float(rng.choice([0.2, 0.5, 1.0, 2.0]))


@pytest.mark.parametrize("engine", [ByCounts, ByRecursion])
def test_derivatives_equal_differences(engine):
    step = 1e-3
    for code, part, workers, t in problems(12, seed=3):
        decoding = decoding_of(code, part, workers.count)
        chances = engine(decoding, arrivals_of(workers, [t], None, decoding.work, part.n_subproducts))
        gamma = np.asarray(code.gamma) * 0.8 + 0.2 / len(code.gamma)
        for objective in (Linear(decoding.loss), Debiased(decoding)):
            law = chances.law(gamma[None])[0]
            if not np.isfinite(objective.values(law)).all():
                continue  # fewer workers than a class needs: never decoded
            slope = objective.gradient(law, chances.gradient(gamma))[0]
            for other in range(1, gamma.size):
                along = np.zeros(gamma.size)
                along[[0, other]] = 1.0, -1.0
                # Five points: the error is step^4 / 30 times the fifth derivative.
                points = np.array([gamma + m * step * along for m in (-2, -1, 1, 2)])
                difference = objective.values(chances.law(points))[:, 0] @ [1, -8, 8, -1] / (12 * step)
                assert slope @ along == pytest.approx(difference, rel=1e-7, abs=1e-7)
        curvature = np.einsum("o,oab->ab", decoding.loss, chances.hessian(gamma)[0])
        moved = [decoding.loss @ chances.gradient(gamma + m * step * along)[0] for m in (-2, -1, 1, 2)]
        assert along @ curvature @ along == pytest.approx(
            np.array([1, -8, 8, -1]) @ np.array(moved) @ along / (12 * step), rel=1e-7, abs=1e-7
        )


def test_two_ways_to_the_probabilities_agree():
    for code, part, workers, t in problems(20, seed=4):
        decoding = decoding_of(code, part, workers.count)
        arrivals = arrivals_of(workers, [t, 2 * t], None, decoding.work, part.n_subproducts)
        gammas = np.array([code.gamma, np.eye(len(code.gamma))[0]])
        laws = [engine(decoding, arrivals).law(gammas) for engine in (ByCounts, ByRecursion)]
        np.testing.assert_allclose(*laws, rtol=1e-10, atol=1e-14)


def test_a_law_of_the_number_of_packets_replaces_workers_of_equal_work():
    from scipy.stats import binom

    counts = binom.pmf(np.arange(31), 30, -np.expm1(-np.array([[0.3], [0.6]])))
    for engine in (ByCounts, ByRecursion):
        decoding = decoding_of(EW, RXC, 30)
        one = engine(decoding, arrivals_of(PAPER, [0.3, 0.6], None, decoding.work, 9))
        other = engine(decoding, arrivals_of(None, None, counts, decoding.work, 9))
        np.testing.assert_allclose(one.law(np.array([GAMMA])), other.law(np.array([GAMMA])), rtol=1e-10)
        centred = [e.gradient(np.array(GAMMA)) @ [1, -1, 0] for e in (one, other)]
        np.testing.assert_allclose(*centred, rtol=1e-9, atol=1e-12)
    assert uep.design.gamma(EW, RXC, received=counts[1]).objective == pytest.approx(0.0025838, abs=5e-8)


def test_workers_that_are_not_independent_are_their_law_of_the_number_of_packets():
    racks = dataclasses.replace(PAPER, racks=uep.Racks(of=np.arange(30) // 5, probability=0.1))
    best = uep.design.gamma(EW, RXC, racks, deadlines=0.6)
    same = uep.design.gamma(EW, RXC, received=received_law(racks, np.array([0.6]), 9, 1))
    assert (*best.gamma, best.objective) == pytest.approx((*same.gamma, same.objective))
    assert best.baseline == pytest.approx(0.04130, abs=5e-6)
    assert best.objective == pytest.approx(uep.theory.loss(best.code, RXC, racks, deadlines=0.6).normalized_loss.item())
    assert best.objective < 0.26 * best.baseline
    trace = uep.latency.Trace(np.random.default_rng(5).exponential(size=(40, 30)), replay="random")
    traced = uep.design.gamma(EW, RXC, dataclasses.replace(PAPER, latency=trace), deadlines=0.6)
    assert traced.objective <= traced.baseline


# --- optimality --------------------------------------------------------------------------------------------------------


def test_no_grid_finds_better():
    for code, part, workers, t in problems(100, seed=8):
        best = uep.design.gamma(code, part, workers, deadlines=t)
        decoding = decoding_of(code, part, workers.count)
        chances = ByCounts(decoding, arrivals_of(workers, [t], None, decoding.work, part.n_subproducts))
        steps = 60 if len(code.gamma) == 3 else 1000
        grid = chances.law(compositions(steps, len(code.gamma)) / steps)[:, 0] @ decoding.loss
        assert best.objective <= grid.min() * (1 + 1e-6)
        assert best.objective <= best.baseline


def test_more_windows_than_counts_can_be_listed():
    part = uep.Partition.model("cxr", left_variances=[32, 16, 8, 4, 2, 1], right_variances=[1] * 6, classes=(1,) * 6)
    workers = uep.Workers(40, omega=1.0, work="unit")
    for kind in (uep.codes.ExpandingWindow, uep.codes.NonOverlappingWindow):
        best = uep.design.gamma(kind((1 / 6,) * 6), part, workers, deadlines=0.2)
        assert best.objective == pytest.approx(uep.theory.loss(best.code, part, workers, deadlines=0.2).normalized_loss.item())
        if kind is uep.codes.NonOverlappingWindow:  # windows of one sub-product: the convex problem of repetition
            shares = np.asarray(best.gamma)
            marginal = part.energy * (1 - shares * -np.expm1(-0.2)) ** 39
            assert np.ptp(marginal[shares > 1e-6]) < 1e-4 * marginal.max()


def test_where_nothing_can_arrive_the_given_gamma_stays():
    best = uep.design.gamma(EW, RXC, PAPER, deadlines=0.0)
    assert (best.gamma, best.objective, best.baseline) == (GAMMA, 1.0, 1.0)
