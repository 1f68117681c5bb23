"""Servers that are unequal, lossy, in racks or recorded, and rules of waiting: draws by loops, limits, closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.descents import GAPS, GRADIENT_NORM, PROBLEM, RACK_OF, SCHEMES, SERVERS, TABLE, R, servers, sketched_gradients
from tests.oracles import naive
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding import plan as planning
from uepgpu.latency import Deterministic

RULES = {
    "fastest": gc.ReplicatedSketch(5),
    "until": gc.ReplicatedSketch(until=0.4),
    "factor": gc.StochasticBlocks(factor=3.0),
    "fastest until": gc.ReplicatedSketch(5, until=0.4),
    "all": gc.ReplicatedSketch(6, until=0.7, factor=6.0),
    "groups": gc.FractionalRepetition(3, until=1.5),
    "fixed": gc.ReplicatedSketch(5, sketch="fixed"),
    "cyclic": gc.CyclicCode(3),
    "exact": gc.ExactGradient(),
    "sampled": gc.SampledSketch(7),
}
LOSSY = ("states with losses", "dark racks", "lossy", "lossy in slow racks", "trace shuffled", "trace with losses")
PAIRS = [(pool, rule) for pool in SERVERS for rule in RULES if pool not in LOSSY or getattr(RULES[rule], "until", None) is not None]


# --- draws by loops ---------------------------------------------------------------------------------------------------


def latencies(pool, seed, i, t, work, n):
    """Latencies of the first n servers in iteration t of realization i, from words of the documented layout."""

    def draw(stream, number, each):
        return naive.word(seed, i, stream, 4 * t * -(-each // 4) + number)

    word = [draw(4, r, n) for r in range(n)]
    comes = [(2**32 - 0.5 - v) / 2**32 > pool.loss_probability for v in word]
    load = [work / s for s in pool.speed().tolist()]
    if isinstance(pool.latency, uep.latency.Trace):
        table = np.asarray(pool.latency.latencies)
        row = (i + t) % len(table)
        if pool.latency.replay != "order":
            begin = t
            while pool.latency.replay == "blocks" and begin > 0 and naive.word(seed, i, 7, 2 * begin) >= int(2**32 / 2.5):
                begin -= 1
            row = ((naive.word(seed, i, 7, 2 * begin + 1) * len(table) >> 32) + t - begin) % len(table)
        place = list(range(R))
        if pool.latency.shuffle:
            for k in range(R - 1, 0, -1):
                j = draw(1, k, R) * (k + 1) >> 32
                place[k], place[j] = place[j], place[k]
        return [table[row, place[r]] * load[place[r]] if comes[r] else math.inf for r in range(n)], [0] * n
    found = []
    for r in range(n):
        if pool.states is None:
            rate = pool.laws[pool.law_of()[r]].rate
        else:
            state = None
            for s in range(t + 1):
                row = pool.states.stationary if state is None else pool.states.transition[state]
                state = naive.cell(naive.word(seed, i, 9, 4 * s * -(-n // 4) + r), naive.thresholds(row.tolist()))
            rate = pool.states.laws[state].rate
        if pool.racks is not None and draw(6, pool.racks.of[r], 3) < int(pool.racks.probability * 2**32):
            rate = 0.0 if pool.racks.latency is None else pool.racks.latency.rate
        p = (word[r] + 0.5) / 2**32 / (1 - pool.loss_probability)
        found.append(-math.log1p(-p) / rate * load[r] if comes[r] and rate > 0 else math.inf)
    return found, word


def by_rule(latency, word, place):
    """Who is heard, and when the master stops, from the definition."""
    order = sorted(range(len(latency)), key=lambda r: (latency[r], word[r], r))
    limit = min(place.until, place.factor * latency[order[0]])
    chosen = [r for r in order[: place.wait] if latency[r] <= limit and latency[r] < math.inf]
    return chosen, latency[chosen[-1]] if len(chosen) == place.wait else limit


@pytest.mark.parametrize(("pool", "rule"), PAIRS)
def test_draws_and_rules_follow_the_documented_layout(pool, rule):
    scheme, workers, seed, first = RULES[rule], servers(pool), 2**63 + 11, 2**33 - 1
    call = {"iterations": 3, "seed": seed}
    place = planning.make_plan(PROBLEM, scheme, workers, step=1.0, decay=0.0, start=None, **call).placement
    drawn = [
        gc.draw_sketches(PROBLEM, scheme, workers, realizations=4, first_realization=first, backend=b, **call)
        for b in ("numba", "numpy")
    ]
    assert drawn[0].equals(drawn[1])
    heard = []
    for i in range(4):
        held = None
        for t in range(3):
            latency, word = latencies(workers, seed, first + i, t, place.work, place.n_servers)
            chosen, time = by_rule(latency, word, place)
            if rule == "fixed":
                held = chosen if held is None else held
                chosen, time = held, max(latency[r] for r in held)
            assert float(drawn[0].time[i, t]) == pytest.approx(time, rel=1e-9)
            heard.append(len(chosen))
            if rule == "sampled":  # blocks are drawn, whoever is asked for them
                continue
            copies = [0] * (place.bounds.size - 1)
            for r in chosen:
                copies[int(place.block_of[r])] += 1
            assert drawn[0].copies[i, t].values.tolist() == copies
    if "until" in rule or rule == "factor":
        assert len(set(heard)) > 1  # the rule decides


@pytest.mark.parametrize(("pool", "rule"), [*PAIRS, ("laws and speeds", "gradient norm"), ("trace in order", "gradient norm")])
def test_backends_give_the_same_curves(pool, rule):
    scheme = GRADIENT_NORM if rule == "gradient norm" else RULES[rule]
    call = {"iterations": 6, "realizations": 70, "seed": 3, "step": 0.3, "deadlines": [0.5, 2.0]}
    runs = [gc.descend(PROBLEM, scheme, servers(pool), backend=b, **call) for b in ("numba", "numpy")]
    for name in runs[0].data_vars:
        np.testing.assert_allclose(runs[0][name], runs[1][name], rtol=1e-9, atol=1e-12, err_msg=name)
    threads = gc.descend(PROBLEM, scheme, servers(pool), threads=3, **call)
    assert threads.equals(runs[0])


@pytest.mark.parametrize("name", [*SCHEMES, "gradient-norm"])
def test_latencies_decide_as_words_do_where_servers_are_alike(name, monkeypatch):
    scheme = GRADIENT_NORM if name == "gradient-norm" else SCHEMES[name]
    call = {"iterations": 5, "realizations": 70, "seed": 7}
    found = []
    for alike in (True, False):
        monkeypatch.setattr(planning, "plain", lambda workers, alike=alike: alike)
        run = gc.descend(PROBLEM, scheme, uep.Workers(R, omega=1.0), **call)
        sketch = None if name == "gradient-norm" else gc.draw_sketches(PROBLEM, scheme, uep.Workers(R, omega=1.0), **call)
        found.append((run, sketch))
    (run, sketch), (again, other) = found
    for variable in run.data_vars:
        np.testing.assert_allclose(run[variable], again[variable], rtol=1e-9, atol=1e-12, err_msg=variable)
    if sketch is not None:
        assert np.array_equal(sketch.copies, other.copies)  # integers
        np.testing.assert_allclose(sketch.time, other.time, rtol=1e-12)


def test_one_speed_for_all_is_a_unit_of_time():
    call = {"iterations": 4, "realizations": 30, "seed": 1}
    slow, fast = (gc.draw_sketches(PROBLEM, RULES["fastest"], uep.Workers(R, speeds=[s] * R), **call) for s in (1.0, 4.0))
    assert np.array_equal(slow.copies, fast.copies)
    np.testing.assert_allclose(slow.time, 4 * fast.time, rtol=1e-15)


# --- a descent is a loop ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["until", "factor", "groups"])
def test_weights_are_those_of_the_answers_that_came(rule):
    scheme, workers = RULES[rule], servers("laws and speeds" if rule == "factor" else "lossy")
    problem = gc.Problem(PROBLEM.A, PROBLEM.b, blocks={"until": 8, "factor": R, "groups": 3}[rule])
    draws = gc.draw_sketches(problem, scheme, workers, iterations=5, realizations=1, seed=2)
    run = gc.descend(problem, scheme, workers, iterations=5, realizations=1, seed=2, step=0.5)
    x = np.zeros(4)
    for t in range(5):
        copies = draws.copies[0, t].values
        if rule == "groups":
            weight = (copies > 0).astype(float)
        else:
            replicas = gc.replication_numbers(gc.block_law(problem, "leverage"), R) if rule == "until" else np.ones(R)
            weight = copies * R / (copies.sum() * replicas)
        x = x - 0.5 / problem.curvature * (weight @ problem.block_gradients(x))
        error = np.linalg.norm(x - problem.minimiser) / np.linalg.norm(problem.minimiser)
        assert float(run.error[t + 1]) == pytest.approx(error, rel=1e-9)


def test_no_answer_is_no_step():
    workers = uep.Workers(R, Deterministic(1.0), omega=1.0)
    run = gc.descend(PROBLEM, gc.ReplicatedSketch(until=0.5), workers, iterations=3, realizations=2, seed=1)
    assert run.error.values.tolist() == [1.0] * 4
    assert run.time.values.tolist() == [0.0, 0.5, 1.0, 1.5]
    due = gc.descend(PROBLEM, gc.ReplicatedSketch(until=1.0), workers, iterations=3, realizations=2, seed=1)
    assert float(due.error[3]) < 1.0  # an answer that is due then has come


# --- probabilities ----------------------------------------------------------------------------------------------------


def test_an_answer_by_a_time_is_as_likely_as_the_pool_says():
    n = 20_000
    for name in ("laws and speeds", "slow racks", "dark racks", "lossy in slow racks", "trace with losses"):
        pool = servers(name)
        problem = gc.Problem(PROBLEM.A, PROBLEM.b, blocks=R)
        draws = gc.draw_sketches(problem, gc.IgnoreStragglers(until=0.6), pool, realizations=n, seed=5)
        kinds, kind_of = pool.kinds()
        exact = np.array([pool.arrival(0.6, R, 1, *kinds[k]).item() for k in kind_of])
        share = draws.copies.values[:, 0].mean(axis=0)
        assert np.all(np.abs(share - exact) <= 4 * np.sqrt(exact * (1 - exact) / n)), name


def test_an_estimate_until_a_time_is_unbiased_given_that_somebody_answers():
    x, n, scheme = np.array([0.5, -1.0, 2.0, 0.1]), 40_000, gc.ReplicatedSketch(until=0.2)
    pool = uep.Workers(R, omega=1.0, loss_probability=0.2)
    draws = gc.draw_sketches(PROBLEM, scheme, pool, realizations=n, seed=3)
    answers = draws.copies.values.sum(axis=2)
    estimates = sketched_gradients(PROBLEM, scheme, pool, x, realizations=n, seed=3) * R / np.maximum(answers, 1)
    silent = (1 - pool.arrival(0.2, 8, 1).item()) ** R
    assert abs((answers == 0).mean() - silent) <= 4 * math.sqrt(silent * (1 - silent) / n)
    heard = estimates[answers[:, 0] > 0]
    error = heard.std(axis=0) / math.sqrt(len(heard))
    assert np.all(np.abs(heard.mean(axis=0) - PROBLEM.gradient(x)) <= 4 * error)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_racks_that_are_never_struck_change_no_integer():
    call = {"iterations": 5, "realizations": 60, "seed": 9}
    for rule in ("fastest", "until", "exact"):
        plain, racks = (
            gc.draw_sketches(PROBLEM, RULES[rule], uep.Workers(R, omega=1.0, racks=r), **call)
            for r in (None, uep.Racks(RACK_OF, 0.0))
        )
        assert plain.equals(racks)


def test_one_state_changes_no_integer():
    call = {"iterations": 5, "realizations": 60, "seed": 9}
    for rule in ("fastest", "until", "exact"):
        pools = uep.Workers(R, omega=1.0), uep.Workers(R, omega=1.0, states=uep.Markov([[1.0]], [uep.latency.Exponential(1.0)]))
        plain, one = (gc.draw_sketches(PROBLEM, RULES[rule], pool, **call) for pool in pools)
        assert np.array_equal(plain.copies, one.copies)
        np.testing.assert_allclose(plain.time, one.time, rtol=1e-12)


def test_states_last_from_iteration_to_iteration():
    """Every iteration has the law of independent servers; that of two iterations has the covariance of docs/mathematics.md §4."""
    n, lags = 20_000, (1, 3)
    problem = gc.Problem(PROBLEM.A, PROBLEM.b, blocks=R)
    states = uep.Markov([[0.9, 0.1], [0.3, 0.7]], [uep.latency.Exponential(1.0), uep.latency.Exponential(0.1)])
    pool = uep.Workers(R, omega=1.0, states=states)
    draws = gc.draw_sketches(problem, gc.IgnoreStragglers(until=0.6), pool, iterations=4, realizations=n, seed=6)
    here = draws.copies.values  # 0 or 1
    share = pool.arrival(0.6, R, 1).item()
    assert np.all(np.abs(here.mean(axis=(0, 2)) - share) <= 4 * math.sqrt(share * (1 - share) / (n * R)))
    for lag in lags:
        product = (here[:, 0] - share) * (here[:, lag] - share)
        exact = states.covariance(0.6, lag)
        assert abs(product.mean() - exact) <= 4 * product.std() / math.sqrt(n * R)
        assert exact > 4 * product.std() / math.sqrt(n * R)  # it is there to be seen


def test_racks_of_one_are_losses_in_law_and_racks_of_many_vary_more():
    n, scheme = 20_000, gc.IgnoreStragglers(until=0.6)
    problem = gc.Problem(PROBLEM.A, PROBLEM.b, blocks=R)
    number = {}
    for name, options in {
        "lossy": {"loss_probability": 0.3},
        "one": {"racks": uep.Racks(range(R), 0.3)},
        "four": {"racks": uep.Racks(RACK_OF, 0.3)},
    }.items():
        draws = gc.draw_sketches(problem, scheme, uep.Workers(R, omega=1.0, **options), realizations=n, seed=2)
        number[name] = draws.copies.values.sum(axis=2)[:, 0]
    arrived = 1 - math.exp(-0.6)
    each = 0.7 * arrived
    # Var N = W F(1 - F) + W (g - 1)(1 - p) p F² (docs/mathematics.md §4); the error of a variance is about sqrt(2/n) of it.
    for name, group in (("lossy", 1), ("one", 1), ("four", 4)):
        variance = R * each * (1 - each) + R * (group - 1) * 0.7 * 0.3 * arrived**2
        assert abs(number[name].mean() - R * each) <= 4 * math.sqrt(variance / n)
        assert abs(number[name].var() / variance - 1) <= 4 * math.sqrt(2 / n)


def test_a_trace_in_order_is_replayed_row_by_row():
    trace = uep.latency.Trace(TABLE, replay="order")
    workers = uep.Workers(R, latency=trace, omega=1.0)
    draws = gc.draw_sketches(PROBLEM, gc.ReplicatedSketch(5), workers, iterations=7, realizations=6, seed=1)
    fifth = np.sort(TABLE, axis=1)[:, 4]
    for i in range(6):
        assert draws.time[i].values.tolist() == [fifth[(i + t) % 5] for t in range(7)]
    again = gc.draw_sketches(PROBLEM, gc.ReplicatedSketch(5), workers, iterations=7, realizations=6, seed=2)
    assert again.equals(draws)  # nothing is left to chance


def test_a_trace_in_a_file_is_the_trace_in_memory(tmp_path):
    """float32 in a file, where a gap may be a NaN."""
    table = np.where(np.isinf(GAPS), np.nan, GAPS).astype(np.float32)
    np.save(tmp_path / "trace.npy", table)
    call = {"iterations": 6, "realizations": 9, "seed": 1}
    found = []
    for trace in (uep.latency.Trace.read(tmp_path / "trace.npy"), uep.latency.Trace(table.astype(np.float64))):
        pool = uep.Workers(R, latency=trace, omega=1.0)
        found.append(gc.draw_sketches(PROBLEM, RULES["fastest until"], pool, **call))
        with pytest.raises(ValueError, match="workers must always answer"):
            gc.draw_sketches(PROBLEM, RULES["fastest"], pool, **call)
    assert found[0].equals(found[1])


def test_a_bursty_trace_keeps_its_bursts_and_its_mean():
    """Rows 0..3 are fast, 4..7 slow: in order, slow iterations come together; at random they do not."""
    table = np.array([[1.0] * R] * 4 + [[10.0] * R] * 4) * np.linspace(1.0, 1.1, R)
    means, both = [], []
    for replay in ("order", "random"):
        workers = uep.Workers(R, latency=uep.latency.Trace(table, replay=replay), omega=1.0)
        draws = gc.draw_sketches(PROBLEM, gc.ReplicatedSketch(5), workers, iterations=40, realizations=800, seed=4)
        slow = draws.time.values > 5
        means.append(slow.mean())
        both.append((slow[:, 1:] & slow[:, :-1]).mean())
    assert means[0] == 0.5  # full passes
    assert abs(means[1] - 0.5) <= 4 * 0.5 / math.sqrt(32_000)
    assert both[0] == pytest.approx(3 / 8, abs=0.01)  # three of four slow rows are followed by one; full passes but for the ends
    # Of 31,200 pairs, neighbours share an iteration: twice the variance of independent ones covers it.
    assert abs(both[1] - 0.25) <= 4 * math.sqrt(2 * 0.25 * 0.75 / 31_200)


def test_ranges_put_together_give_the_whole():
    call = {"iterations": 4, "seed": 3}
    for name in ("laws and speeds", "slow racks", "trace in order"):
        whole = gc.draw_sketches(PROBLEM, RULES["until"], servers(name), realizations=9, **call)
        parts = [
            gc.draw_sketches(PROBLEM, RULES["until"], servers(name), realizations=n, first_realization=i, **call)
            for i, n in ((0, 4), (4, 5))
        ]
        assert np.array_equal(np.concatenate([p.copies for p in parts]), whole.copies)
        assert np.array_equal(np.concatenate([p.time for p in parts]), whole.time)


def test_rules_are_part_of_a_scheme():
    assert repr(gc.ReplicatedSketch(5)) == "ReplicatedSketch(fastest=5, law='leverage', every_block=True, sketch='fresh')"
    assert repr(gc.StochasticBlocks(until=0.5, factor=2.0)) == "StochasticBlocks(until=0.5, factor=2.0)"
    assert gc.StochasticBlocks(until=0.5) == gc.StochasticBlocks(until=0.5) != gc.StochasticBlocks(until=0.6)
    assert eval(repr(gc.FractionalRepetition(3, factor=2.0)), vars(gc)) == gc.FractionalRepetition(3, factor=2.0)
