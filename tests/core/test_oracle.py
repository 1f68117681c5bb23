"""The engine against tests/naive.py, realization by realization: what was drawn, and what was decoded when."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.cases import problems
from tests.oracles import naive, sums
from uepgpu import codes
from uepgpu.plan import make_plan
from uepgpu_kernels.job import BY_INDEX, BY_TIME, ERLANG, IN_ORDER
from uepgpu_kernels.reference.sample import arrivals, coefficients, subsets

BACKENDS = ("numba", "numpy")
ALL_DECODERS = ("count", "match", "eliminate", "peel")
FIELD = {0: "generic", 1: "gf2", 2: "gf256"}
RANKS = {
    "generic": naive.decoded_by_rank_mod_p,
    "gf2": naive.decoded_by_rank_gf2,
    "gf256": naive.decoded_by_rank_gf256,
    "real": naive.decoded_by_rank_fractions,
}


def drawn(job, realization, given=None):
    """Return the window, support and coefficients of every packet, and [(packet, time)] in order of arrival.

    `given` (W, K) are coefficients as their code has them.
    """
    seed, k = int(job.seed), job.k
    cells = []
    for w in range(job.n_packets):
        struck = job.n_racks > 0 and job.messages == 1 and is_struck(job, realization, w)
        g = job.struck[w] if struck else job.group[w]
        limits = [int(x) for x in job.threshold[g, : job.n_threshold[g]]]
        m = naive.packets_of_a_word(len(limits) + 1) if job.order == BY_INDEX else 1
        word = naive.word(seed, realization, 0, w // m)
        together = naive.cells_together(word, np.diff([0, *limits, 2**32]).tolist()) if m > 1 else (naive.cell(word, limits),)
        cells.append((g, together[w % m]))
    window = [int(job.cell_window[c]) for c in cells]
    if job.order == BY_TIME:
        time = [int(job.cell_time[c]) for c in cells]
        if job.messages > 1:
            time = times_of_messages(job, realization, time)
        elif job.arrival.size:
            n_works, rounds, n = job.arrival.shape
            r = naive.trace_round(seed, realization, rounds, drawn=job.replay != IN_ORDER)
            whose = naive.permutation(seed, realization, n) if job.shuffle else range(n)
            time = [int(job.arrival[v, r, whose[w]]) if v < n_works else job.n_times for w, v in enumerate(time)]
        order = sorted((time[w], w) for w in range(job.n_packets))
        arrived = [(w, t) for t, w in order if t < job.n_times]
    else:
        order = range(job.n_packets) if job.order == BY_INDEX else naive.permutation(seed, realization, job.n_packets)
        arrived = [(w, i + 1) for i, w in enumerate(order)]
    supports, rows = [], []
    for w in range(job.n_packets):
        if job.degree.size:
            support = naive.lt_subset(seed, realization, w, int(job.degree[window[w]]), k)
        else:
            support = set(np.flatnonzero(job.support[window[w]]).tolist())
        if given is not None:
            row = [Fraction(x) if job.field == 0 else int(x) for x in given[w].tolist()]
        else:
            row = [naive.coefficient(seed, realization, w, i, k, FIELD[job.field]) if i in support else 0 for i in range(k)]
        supports.append(support)
        rows.append(row)
    return window, supports, rows, arrived


def is_struck(job, realization, w):
    return naive.rack_is_struck(int(job.seed), realization, int(job.rack[w]), int(job.rack_below))


def times_of_messages(job, realization, codes):
    """Return when packets arrive, given twice their work and 1 more where they are lost."""
    seed, m, n, found = int(job.seed), job.messages, job.n_packets // job.messages, []
    if job.arrival.size:
        r = naive.trace_round(seed, realization, job.arrival.shape[1], drawn=job.replay != IN_ORDER)
        whose = naive.permutation(seed, realization, n) if job.shuffle else range(n)
    for w in range(n):
        works = [code // 2 for code in codes[w * m : w * m + m]]
        if job.arrival.size:
            found += [int(job.arrival[sum(works[: j + 1]) - 1, r, whose[w]]) for j in range(m)]
            continue
        first = job.struck[w] if job.n_racks > 0 and is_struck(job, realization, w) else job.due[w]
        count = job.n_times if job.progress == ERLANG else job.most_work
        limits = [job.threshold[first + c, : job.n_threshold[first + c]].tolist() for c in range(count)]
        drawn = [naive.word(seed, realization, 8, w + n * d) for d in range(job.n_times)]
        by_work = job.progress != ERLANG
        found += naive.messages_by_work(drawn[0], limits, works) if by_work else naive.messages_by_increments(drawn, limits, m)
    return [job.n_times if code % 2 else time for code, time in zip(codes, found, strict=True)]


def times(plan, part, realization, decoder):
    """Return the time index at which each sub-product is decoded."""
    job, law = plan.job, plan.law
    _, supports, rows, arrived = drawn(job, realization, law.generator)
    given_sums = part.paradigm == "cxr" and law.field == "real"
    first, whole = sums.possible_sums(_fractions(law.generator), part.classes.tolist()) if given_sums else ([], [])
    when = [job.n_times] * job.k
    for n in range(len(arrived), 0, -1):  # backwards: the last assignment is the first time
        held = [w for w, _ in arrived[:n]]
        if decoder == "peel":
            decoded = naive.peel_decoded([supports[w] for w in held], job.k)
        elif decoder == "eliminate" and given_sums:
            decoded = sums.in_estimate([rows[w] for w in held], job.k, first, whole)
        elif decoder == "eliminate":
            decoded = RANKS[law.field]([rows[w] for w in held], job.k)
        else:
            decoded = naive.match_decoded([supports[w] for w in held], job.k)
        for i in decoded:
            when[i] = arrived[n - 1][1]
    return when


def _fractions(matrix):
    return [[Fraction(x) for x in row] for row in matrix.tolist()]


def agree(problem, domain, decoder, first, count, seed=17):
    plan = make_plan(problem.code, problem.part, problem.workers, seed=seed, deadlines=problem.times(domain))
    expected = [times(plan, problem.part, first + i, decoder) for i in range(count)]
    for backend in BACKENDS:
        found = problem.decode_times(domain, decoder, first, count, seed, backend)
        assert found.tolist() == expected, backend


SMALL = [c for c in problems.cases() if problems.PROBLEMS[c[0]].part.n_subproducts <= 12]
SMALL = problems.covering([c for c in SMALL if problems.PROBLEMS[c[0]].workers.count <= 30])


@pytest.mark.parametrize("name, domain, decoder", SMALL)
def test_decoded_sets_are_those_of_the_oracle(name, domain, decoder):
    agree(problems.PROBLEMS[name], domain, decoder, 2**32 - 2, 4)


@pytest.mark.parametrize("name", ["K = 64 lt", "K = 64 windows", "K = 100 lt"])
def test_decoded_sets_of_many_sub_products_are_those_of_the_oracle(name):
    # Peeling or, where masks are too narrow, the reference's own supports: elimination by loops would take minutes.
    p = problems.PROBLEMS[name]
    if p.part.n_subproducts <= 64:
        agree(p, "count", "peel", 3, 2)
    job = p.plan("count").job
    window, _, _ = arrivals(job, np.array([7], dtype=np.uint64))
    found = subsets(job, np.array([7], dtype=np.uint64), window)[0]
    _, supports, _, _ = drawn(job, 7)
    assert [set(np.flatnonzero(row).tolist()) for row in found] == supports


supports_of = st.integers(2, 6).flatmap(
    lambda k: st.tuples(st.just(k), st.lists(st.sets(st.integers(0, k - 1), min_size=1), min_size=1, max_size=6))
)


@given(
    supports_of,
    st.lists(st.integers(0, 5), min_size=6, max_size=6),
    st.integers(1, 9),
    st.sampled_from(["generic", "gf2", "gf256"]),
    st.sampled_from(["count", "deadline"]),
    st.sampled_from(ALL_DECODERS),
    st.integers(0, 2**64 - 4),
    st.integers(0, 2**64 - 1),
    st.data(),
)
@settings(deadline=None, max_examples=250)
def test_codes_of_ones_own_are_drawn_and_decoded_as_by_the_oracle(table, share, w, field, domain, decoder, first, seed, data):
    k, supports = table
    share = np.array(share[: len(supports)], dtype=float)
    assume(share.sum() > 0)
    cut = data.draw(st.integers(1, k - 1))
    code = codes.Windows([sorted(s) for s in supports], (share / share.sum()).tolist(), coefficients=field)
    problem = problems.Problem(code, problems.line(cut, k - cut), problems.unit(w, omega=1.0))
    assume(decoder in problem.decoders(domain))
    agree(problem, domain, decoder, first, 2, seed)


@given(st.integers(2, 7), st.integers(1, 9), st.integers(0, 2**64 - 4), st.sampled_from(["match", "eliminate", "peel"]))
@settings(deadline=None, max_examples=60)
def test_luby_codes_are_drawn_and_decoded_as_by_the_oracle(k, w, first, decoder):
    problem = problems.Problem(codes.LT(0.3, 0.2), problems.line(1, k - 1), problems.unit(w))
    agree(problem, "count", decoder, first, 2)


@pytest.mark.parametrize(
    "name",
    ["ew", "now fixed", "lt", "windows gf2", "ew gf256", "uncoded", "generator", "generator gf256", "ew true work", "speeds fixed"],
)
@pytest.mark.parametrize("domain", ["count", "deadline"])
def test_draws_are_those_of_the_oracle(name, domain):
    plan = problems.PROBLEMS[name].plan(domain)
    if plan is None:
        return
    job, first = plan.job, 2**33 - 2
    realizations = np.arange(first, first + 4, dtype=np.uint64)
    window, packet, time = arrivals(job, realizations)
    supports, rows = subsets(job, realizations, window), coefficients(job, realizations, window)
    for i in range(4):
        expected = drawn(job, first + i, plan.law.generator)
        arrived = [(int(p), int(t)) for p, t in zip(packet[i], time[i], strict=True) if t < job.n_times]
        assert (window[i].tolist(), arrived) == (expected[0], expected[3])
        assert [set(np.flatnonzero(s).tolist()) for s in supports[i]] == expected[1]
        if not job.generator.shape[0]:
            assert rows[i].tolist() == expected[2]


@pytest.mark.parametrize("name", ["ew", "now", "nested", "lt", "windows", "ew class 1 never", "ew class 3 never"])
def test_thresholds_are_the_windows_cumulative_probabilities(name):
    plan = problems.PROBLEMS[name].plan("count")
    job, law = plan.job, plan.law
    # Windows in the job's order, with the probabilities that the law gives to equal supports.
    members = law.supports if law.supports is not None else np.arange(law.degrees.size)
    own = job.support.astype(bool) if law.supports is not None else members
    share = [[p for m, p in zip(members, law.probabilities, strict=True) if np.array_equal(m, o)] for o in own]
    width = np.diff([0, *job.threshold[0, : job.n_threshold[0]].tolist(), 2**32])
    found = np.zeros(len(own))
    np.add.at(found, job.cell_window[0, : width.size], width)
    np.testing.assert_allclose(found, [sum(s) * 2**32 for s in share], rtol=0, atol=2 * len(members))


@pytest.mark.parametrize("name", ["ew", "ew true work", "lt true work", "lossy", "speeds", "speeds uncoded", "now fixed"])
def test_cells_have_the_probabilities_of_arrivals(name):
    problem = problems.PROBLEMS[name]
    plan = problem.plan("deadline")
    job, law, workers = plan.job, plan.law, problem.workers
    omega = Fraction(job.k, workers.count) if workers.omega == "fair" else Fraction(workers.omega)
    supports = law.supports if law.supports is not None else np.arange(job.k)[:, None]
    own = job.support if law.supports is not None else np.arange(job.k)[:, None]
    for w in (0, 1, workers.count - 1):
        g = job.group[w]
        width = np.diff([0, *job.threshold[g, : job.n_threshold[g]].tolist(), 2**32])
        found = np.zeros((len(own), job.n_times + 1))
        np.add.at(found, (job.cell_window[g, : width.size], job.cell_time[g, : width.size]), width)
        expected = np.zeros_like(found)
        for s, support in enumerate(supports):
            chance = float(law.window[w] == s) if law.window is not None else law.probabilities[s]
            work = int(law.work[s]) if workers.work == "true" else 1
            speed = 1.0 if workers.speeds is None else workers.speeds[w]
            by = [
                (1 - workers.loss_probability) * float(workers.latency.cdf(np.array(float(omega) * speed * t / work)))
                for t in problem.deadlines
            ]
            at = next(i for i, o in enumerate(own) if np.array_equal(o, support))
            expected[at, :-1] += chance * np.diff([0.0, *by])
        np.testing.assert_allclose(found[:, :-1], expected[:, :-1] * 2**32, rtol=0, atol=4)
