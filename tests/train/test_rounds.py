"""Steps of training as rounds: rows of a trace and struck racks, the same for all products of a step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import uepgpu as uep
from tests.cases.masks import CODES, GAMMA, LATENCY
from tests.oracles import naive
from uepgpu.monte_carlo import decode_times
from uepgpu.train import Member, Scheme, coded
from uepgpu.train.draws import CHUNK, Draws, realization_number
from uepgpu.train.networks import Network
from uepgpu.train.probability import subproduct_probability
from uepgpu.train.product import coded_product
from uepgpu.train.replicas import Stack

SEED = 2**40 + 3
TABLE = np.random.default_rng(8).exponential(size=(7, 9))
TABLE[2, 3] = np.inf
SPEEDS = [1.0, 2.0, 0.5] * 3
OF = [5, 5, 5, 2, 2, 2, 7, 7, 7]


def uncoded(deadline=0.8, **options):
    """Worker w returns sub-product w, so that who is in time is what is decoded."""
    return Scheme(uep.codes.Uncoded(), uep.Workers(9, omega=1.0, work="unit", **options), deadline, seed=SEED)


def decoded(scheme, slots=(0, 1, 5), steps=range(20), replica=0):
    draws = Draws(scheme, replica)
    return np.array([[draws.decoded(slot, step) for slot in slots] for step in steps])


@pytest.mark.parametrize("replica", [0, 3])
@pytest.mark.parametrize("replay", ["order", "random"])
def test_all_products_of_a_step_meet_the_row_of_the_step(replay, replica):
    found = decoded(uncoded(latency=uep.latency.Trace(TABLE, replay=replay), speeds=SPEEDS), replica=replica)
    rows = []
    for step in range(20):
        word = naive.word(SEED, realization_number(replica, step, 0), 7, 1)
        rows.append((replica + step) % 7 if replay == "order" else word * 7 >> 32)
        for mine in found[step]:
            assert mine.tolist() == [TABLE[rows[-1], w] / SPEEDS[w] <= 0.8 for w in range(9)]
    assert len(set(rows)) > 3


@pytest.mark.parametrize("block", [1.0, 3.0, 700.0])
def test_blocks_begin_where_words_say(block):
    scheme = uncoded(latency=uep.latency.Trace(TABLE, "blocks", block=block))
    draws = Draws(scheme)
    chunks = np.concatenate([draws.chunk(1, number) for number in range(2)]) != 0

    def word(step, number):
        return naive.word(SEED, realization_number(0, step, 0), 7, number)

    for step in (0, 1, 2, 5, 9, 30, 31, CHUNK - 1, CHUNK, CHUNK + 4, 2 * CHUNK - 1):
        begin = step
        while begin > 0 and word(begin, 0) >= int(2**32 / block):
            begin -= 1
        row = ((word(begin, 1) * 7 >> 32) + step - begin) % 7
        expected = [TABLE[row, w] <= 0.8 for w in range(9)]
        assert draws.decoded(0, step).tolist() == expected
        assert chunks[step].tolist() == expected


def test_a_trace_in_a_file_is_the_trace_in_memory(tmp_path):
    table = np.where(np.isinf(TABLE), np.nan, TABLE).astype(np.float32)
    np.save(tmp_path / "trace.npy", table)
    pair = uep.latency.Trace.read(tmp_path / "trace.npy"), uep.latency.Trace(table.astype(np.float64))
    a, b = (decoded(uncoded(latency=trace)) for trace in pair)
    assert np.array_equal(a, b)
    assert a.any()


def test_an_answer_due_at_the_deadline_has_met_it():
    table = np.array([[2.1 / 3, 5.0, 5.0] * 3])  # 0.7·3 is not 2.1 in float64
    found = decoded(uncoded(deadline=0.7, latency=uep.latency.Trace(table)), steps=[0])
    assert found[0, 0].tolist() == [True, False, False] * 3
    assert not decoded(uncoded(deadline=0.7 * (1 - 1e-12), latency=uep.latency.Trace(table)), steps=[0]).any()


def test_shuffled_rows_are_given_to_workers_at_random():
    found = decoded(uncoded(latency=uep.latency.Trace(TABLE, replay="order", shuffle=True), speeds=SPEEDS))
    for step in range(20):
        place = list(range(9))
        for i in range(8, 0, -1):
            j = naive.word(SEED, realization_number(0, step, 0), 1, i) * (i + 1) >> 32
            place[i], place[j] = place[j], place[i]
        assert found[step, 0].tolist() == [TABLE[step % 7, place[w]] / SPEEDS[place[w]] <= 0.8 for w in range(9)]


@pytest.mark.parametrize("slow", [None, uep.latency.Exponential(0.2)])
def test_a_rack_is_struck_for_a_whole_step(slow):
    pool = {"latency": LATENCY, "loss_probability": 0.1}
    plain, late = decoded(uncoded(**pool)), decoded(uncoded(latency=uep.latency.Exponential(0.2), loss_probability=0.1))
    found = decoded(uncoded(**pool, racks=uep.Racks(OF, 0.4, slow)))
    hits = 0
    for step in range(20):
        # Racks in the order of their names.
        struck = [naive.word(SEED, realization_number(0, step, 0), 6, c) < int(0.4 * 2**32) for c in range(3)]
        hit = np.repeat([struck[1], struck[0], struck[2]], 3)
        hits += int(hit.sum())
        expected = np.where(hit, late[step] & (slow is not None), plain[step])
        assert np.array_equal(found[step], expected)
    assert 0 < hits < 180


def chain(*rates):
    return uep.Markov([[0.8, 0.2, 0.0], [0.3, 0.4, 0.3], [0.5, 0.0, 0.5]], [uep.latency.Exponential(rate) for rate in rates])


@pytest.mark.parametrize("replica", [0, 3])
def test_workers_pass_through_their_states_by_a_step_each(replica):
    states = chain(2.0, 0.5, 0.1)
    found = decoded(uncoded(states=states), replica=replica)
    by_law = [decoded(uncoded(latency=law), replica=replica) for law in states.laws]
    first = realization_number(replica, 0, 0)
    visited = set()
    for w in range(9):
        state = None
        for step in range(20):
            row = states.stationary if state is None else states.transition[state]
            state = naive.cell(naive.word(SEED, first, 9, 12 * step + w), naive.thresholds(row.tolist()))
            visited.add(state)
            assert np.array_equal(found[step, :, w], by_law[state][step, :, w])
    assert visited == {0, 1, 2}


def test_states_are_the_same_in_whatever_order_steps_are_asked_for():
    scheme = uncoded(states=chain(2.0, 0.5, 0.1))
    draws = Draws(scheme)
    chunks = np.concatenate([draws.chunk(1, number) for number in range(3)]) != 0
    for step in (5, 2 * CHUNK + 1, 4, CHUNK, CHUNK - 1, 0):
        assert np.array_equal(draws.decoded(1, step), chunks[step])
        assert np.array_equal(Draws(scheme).decoded(1, step), chunks[step])


def test_one_state_changes_no_integer():
    one = uep.Markov([[1.0]], [LATENCY])
    assert np.array_equal(decoded(uncoded(latency=LATENCY)), decoded(uncoded(states=one)))


def test_several_messages_are_refused():
    with pytest.raises(ValueError, match="workers must return one packet each for training, got messages=2"):
        decoded(uncoded(latency=LATENCY, messages=2))


def test_racks_that_are_never_struck_change_no_integer():
    assert np.array_equal(decoded(uncoded(latency=LATENCY)), decoded(uncoded(latency=LATENCY, racks=uep.Racks(OF, 0.0))))


@pytest.mark.parametrize("pool", ["racks", "trace"])
def test_chunks_are_the_steps_one_by_one(pool):
    options = {"racks": {"latency": LATENCY, "racks": uep.Racks([w // 5 for w in range(15)], 0.3)}}
    options["trace"] = {
        "latency": uep.latency.Trace(np.repeat(np.random.default_rng(3).exponential(2, (20, 15)), 3, axis=0), replay="order")
    }
    workers = uep.Workers(15, **options[pool])  # true work: 1, 3 and 6, so that a latency reaches some windows only
    draws = Draws(Scheme(uep.codes.ExpandingWindow(GAMMA, encoding="stacked"), workers, 2.0, "cxr", seed=SEED), replica=2)
    rows = draws.chunk(1, 1)
    assert rows.shape == (CHUNK, 9)
    for step in (0, 1, 2, 3, 100, CHUNK - 1):
        assert np.array_equal(rows[step] != 0, draws.decoded(1, CHUNK + step))


@pytest.mark.parametrize("name", ["now", "ew", "mds"])
def test_steps_decode_as_often_as_the_closed_form_says(name):
    code, count = CODES[name]
    trace = uep.latency.Trace(np.random.default_rng(4).exponential(2, size=(64, count)), replay="order")
    racks = uep.Racks([w // 5 for w in range(count)], 0.3)
    for options in ({"latency": trace}, {"latency": LATENCY, "racks": racks}):
        scheme = Scheme(code, uep.Workers(count, work="unit", **options), 2.0, "cxr", seed=5)
        draws = Draws(scheme)
        rows = np.concatenate([draws.chunk(slot, number) for number in range(2) for slot in (0, 1)])
        exact = subproduct_probability(scheme)
        # Two products share each of 1,024 rounds: at most the errors of 1,024 independent ones.
        error = np.sqrt(exact * (1 - exact) / 1024)
        assert np.all(np.abs((rows != 0).mean(axis=0) - exact) <= 4 * error + 1e-12)


def test_debiasing_divides_by_the_probability_over_all_rounds():
    trace = uep.latency.Trace(TABLE[:, [w % 9 for w in range(15)]], replay="order")
    scheme = Scheme(CODES["ew"][0], uep.Workers(15, latency=trace, work="unit"), 1.0, estimator="debiased", p_min=0.01)
    p = [
        uep.theory.decoding_probability(scheme.code, scheme.partition, scheme.workers, deadlines=[1.0]).probability[0, c]
        for c in range(3)
    ]
    scale = Draws(scheme).scale
    by_class = scheme.partition.classes
    for c in range(3):
        expected = 1 / float(p[c]) if p[c] >= 0.01 else 1.0
        np.testing.assert_allclose(scale[by_class == c + 1], expected, rtol=1e-9)


FAST_THEN_SLOW = np.repeat([[0.1] * 9, [9.0] * 9], [2, 3], axis=0)


@pytest.mark.parametrize(
    "options",
    [{}, {"faithful": True}, {"estimator": "lmmse"}, {"importance": "step"}, {"paradigm": "cxr", "order": None}],
    ids=repr,
)
def test_bursts_persist_in_a_model(options):
    """Two steps of exact gradients, three without any, and so on."""
    torch.manual_seed(1)
    plain = nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 10)).double()
    workers = uep.Workers(9, latency=uep.latency.Trace(FAST_THEN_SLOW, replay="order"), omega=1.0, work="unit")
    x, y = torch.randn(16, 12, dtype=torch.float64), torch.randint(0, 10, (16,))
    nn.functional.cross_entropy(plain(x), y).backward()
    exact = [p.grad.clone() for p in plain.parameters()]
    model = coded(plain, uep.codes.Uncoded(), workers, 1.0, seed=1, **options)
    for step in range(11):
        model.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        for mine, theirs in zip(model.parameters(), exact, strict=True):
            if mine.ndim == 2 and step % 5 >= 2:
                assert not mine.grad.any()
            elif mine.ndim == 2:
                np.testing.assert_allclose(mine.grad, theirs, atol=1e-12)


def test_replicas_of_a_stack_begin_at_rows_of_their_own():
    workers = uep.Workers(9, latency=uep.latency.Trace(FAST_THEN_SLOW, replay="order"), omega=1.0, work="unit")
    members = [Member(Scheme(uep.codes.Uncoded(), workers, 1.0), replica) for replica in (0, 1, 4)]
    stack = Stack(Network((20,), (20, 12, 10)), members, seed=1, rate=0.1)
    x, y = torch.rand(3, 16, 20), torch.randint(0, 10, (3, 16))
    moved = []
    for _ in range(6):
        before = [w.clone() for w in stack.weights]
        stack.train(x, y)
        moved.append(
            [all((after[r] != start[r]).any() for after, start in zip(stack.weights, before, strict=True)) for r in range(3)]
        )
    fast = [True, True, False, False, False]
    assert moved == [[fast[(replica + step) % 5] for replica in (0, 1, 4)] for step in range(6)]


def test_a_draw_is_the_same_whatever_was_drawn_before():
    scheme = uncoded(latency=uep.latency.Trace(TABLE))
    one, other = Draws(scheme), Draws(scheme)
    other.chunk(3, 2)
    a, b = torch.rand(9, 12, dtype=torch.float64), torch.rand(12, 9, dtype=torch.float64)
    for step in (5, CHUNK + 1, 4):
        assert torch.equal(coded_product(a, b, one, 1, step), coded_product(a, b, other, 1, step))


@pytest.mark.parametrize(
    "options",
    [
        {"latency": LATENCY, "racks": uep.Racks(OF, 0.4, uep.latency.Exponential(0.2))},
        {"latency": uep.latency.Trace(TABLE), "speeds": SPEEDS, "loss_probability": 0.1},
        {"latency": uep.latency.Trace(TABLE, shuffle=True), "speeds": SPEEDS},
    ],
    ids=["racks", "trace", "shuffled trace"],
)
@pytest.mark.parametrize(
    "code", [uep.codes.Uncoded(), uep.codes.ExpandingWindow(GAMMA, encoding="stacked")], ids=["uncoded", "stacked"]
)
def test_rounds_are_those_that_the_simulator_draws(code, options):
    """For the first product of a step, whose realization says which round the step meets."""
    scheme = Scheme(code, uep.Workers(9, **options), 1.5, "cxr", seed=SEED)
    draws = Draws(scheme, 2)
    times = decode_times(
        code,
        scheme.partition,
        scheme.workers,
        deadlines=[1.5],
        realizations=60,
        seed=SEED,
        first_realization=realization_number(2, 0, 0),
    )
    found = np.array([draws.decoded(0, step) for step in range(60)])
    assert np.array_equal(found, times < 1)
    assert 0 < found.mean() < 1


def test_debiasing_simulates_where_there_is_no_closed_form():
    """Uncoded packets in racks: each is there with its own probability."""
    racks = uep.Racks(OF, 0.4)
    scheme = Scheme(uep.codes.Uncoded(), uep.Workers(9, latency=LATENCY, racks=racks), 2.0, estimator="debiased")
    exact = 0.6 * (1 - math.exp(-1.0))
    # The error of a probability from 2^21 realizations is below 0.00035.
    assert np.all(np.abs(1 / Draws(scheme).scale - exact) <= 4 * 0.00035)
