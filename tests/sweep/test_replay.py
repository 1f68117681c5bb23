"""A replayed realization is the one that kernels tally: its draws, what is decoded when, its loss."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import uepgpu as uep
from tests.cases import problems
from tests.oracles import naive
from uepgpu import codes
from uepgpu.replay import Replay, replay

BACKENDS = ("numba", "numpy")
FIRST = 2**32 - 1
"""The second realization has another high counter word."""


def told(problem: problems.Problem, domain: str, decoder: str = "auto", realization: int = 0, seed: int = 3, **more: Any) -> Replay:
    return replay(
        problem.code,
        problem.part,
        problem.workers,
        deadlines=problem.times(domain),
        decoder=decoder,
        realization=realization,
        seed=seed,
        **more,
    )


@pytest.mark.parametrize("name, domain, decoder", problems.covering(problems.cases()))
def test_every_code_domain_and_decoder_is_decoded_as_by_both_backends(name: str, domain: str, decoder: str) -> None:
    problem = problems.PROBLEMS[name]
    k, w = problem.part.n_subproducts, problem.workers.count
    count = 3 if k * w <= 400 else 1
    told_times = [told(problem, domain, decoder, FIRST + i).decode_times().tolist() for i in range(count)]
    for backend in BACKENDS:
        assert told_times == problem.decode_times(domain, decoder, FIRST, count, 3, backend).tolist(), backend


supports_of = st.integers(2, 6).flatmap(
    lambda k: st.tuples(st.just(k), st.lists(st.sets(st.integers(0, k - 1), min_size=1), min_size=1, max_size=6))
)


@given(
    supports_of,
    st.integers(1, 9),
    st.sampled_from(["generic", "gf2", "gf256"]),
    st.sampled_from(["count", "deadline"]),
    st.sampled_from(["count", "match", "eliminate", "peel"]),
    st.integers(0, 2**64 - 2),
    st.integers(0, 2**64 - 1),
)
@settings(deadline=None, max_examples=80)
def test_codes_of_ones_own_are_decoded_as_by_both_backends(table, w, field, domain, decoder, first, seed):  # type: ignore[no-untyped-def]
    k, supports = table
    code = codes.Windows([sorted(s) for s in supports], [1 / len(supports)] * len(supports), coefficients=field)
    problem = problems.Problem(code, problems.line(1, k - 1), problems.unit(w, omega=1.0))
    assume(decoder in problem.decoders(domain))
    expected = told(problem, domain, decoder, first, seed).decode_times().tolist()
    for backend in BACKENDS:
        assert problem.decode_times(domain, decoder, first, 1, seed, backend)[0].tolist() == expected


def test_given_real_coefficients_are_eliminated_exactly() -> None:
    matrix = problems.generator(14, 9) * 0.37
    problem = problems.Problem(codes.Generator(matrix), problems.CXR, problems.unit(14, omega=1.0))
    for domain in ("count", "deadline"):
        found = [told(problem, domain, "eliminate", i) for i in range(20)]
        assert {f.decoder for f in found} == {"eliminate"}
        for backend in BACKENDS:
            expected = problem.decode_times(domain, "eliminate", 0, 20, 3, backend)
            assert [f.decode_times().tolist() for f in found] == expected.tolist()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "ew",
            "now fixed",
            "lt",
            "windows gf2",
            "ew gf256",
            "uncoded",
            "ew true work",
            "speeds fixed",
            "slow racks",
            "trace shuffled",
        ),
        *("messages", "many messages"),
    ],
)
@pytest.mark.parametrize("domain", ["count", "deadline"])
def test_words_and_draws_are_those_of_the_oracle(name: str, domain: str) -> None:
    problem = problems.PROBLEMS[name]
    plan = problem.plan(domain)
    if plan is None:
        return
    found, job = told(problem, domain, realization=FIRST, seed=2**63 + 9), plan.job
    for stream in found.streams:
        for i in (0, 1, len(stream.words) - 1):
            assert stream.words[i] == naive.word(2**63 + 9, FIRST, stream.number, i)
    assert [s.number for s in found.streams] == sorted({0} | _streams(name, domain))
    for w, packet in enumerate(found.packets):
        struck = (
            job.n_racks > 0 and job.messages == 1 and naive.rack_is_struck(2**63 + 9, FIRST, int(job.rack[w]), int(job.rack_below))
        )
        g = job.struck[w] if struck else job.group[w]
        limits = [int(x) for x in job.threshold[g, : job.n_threshold[g]]]
        m = naive.packets_of_a_word(len(limits) + 1) if domain == "count" else 1
        assert packet.word == naive.word(2**63 + 9, FIRST, 0, w // m)
        assert packet.least <= packet.word < packet.end
        for word in (packet.least, packet.word, packet.end - 1):
            cells = naive.cells_together(word, np.diff([0, *limits, 2**32]).tolist()) if m > 1 else (naive.cell(word, limits),)
            assert packet.window == job.cell_window[g, cells[w % m]]
        if job.degree.size:
            assert set(packet.support) == naive.lt_subset(2**63 + 9, FIRST, w, int(job.degree[packet.window]), job.k)
        if packet.coefficients is not None:
            field = {1: "gf2", 2: "gf256"}[job.field]
            expected = [naive.coefficient(2**63 + 9, FIRST, w, i, job.k, field) for i in range(job.k)]
            assert list(packet.coefficients) == [c if i in packet.support else 0 for i, c in enumerate(expected)]
    if domain == "count" and "fixed" in name:
        assert list(found.order) == naive.permutation(2**63 + 9, FIRST, job.n_packets)


def _streams(name: str, domain: str) -> set[int]:
    """Streams besides 0 that the problem draws from."""
    order = {1} if domain == "count" and ("fixed" in name or name in ("uncoded", "trace shuffled")) else set()
    if domain == "deadline":
        order |= {6} if "racks" in name or "many" in name else {1} if "shuffled" in name else set()
        order |= {8} if "messages" in name else set()
    return order | ({2} if "gf" in name else set()) | ({3} if name == "lt" else set())


@pytest.mark.parametrize("name", ["ew", "now cxr true work", "uncoded", "nested", "lt", "speeds fixed", "lossy uncoded"])
@pytest.mark.parametrize("domain", ["count", "deadline"])
def test_losses_and_patterns_of_all_realizations_add_up_to_the_tally(name: str, domain: str) -> None:
    problem = problems.PROBLEMS[name]
    if problem.plan(domain) is None:
        return
    n = 40
    tally = uep.simulate(
        problem.code, problem.part, problem.workers, deadlines=problem.times(domain), realizations=n, seed=3, backend="numpy"
    )
    evaluate = {"evaluate": problem.deadlines} if domain == "count" else {}
    every = [told(problem, domain, realization=i, **evaluate) for i in range(n)]
    assert {r.problem for r in every} == {tally.problem}
    patterns = np.zeros(tally.patterns.shape[1:], dtype=np.int64)
    for realization in every:
        for moment in realization.moments:
            patterns[moment.time, sum(1 << (c - 1) for c in moment.classes)] += 1
    assert np.array_equal(patterns, tally.patterns.sum(axis=0))
    loss = tally.loss(problem.part)["loss"].values
    np.testing.assert_allclose(np.mean([[m.loss for m in r.moments] for r in every], axis=0), loss, rtol=1e-9, atol=1e-9)
    if domain == "count":
        mixed = tally.loss(problem.part, workers=problem.workers, deadlines=problem.deadlines)["normalized_loss"].values
        found = np.mean([[e.normalized_loss for e in r.evaluations] for r in every], axis=0)
        np.testing.assert_allclose(found, mixed, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["ew", "windows", "lt"])
def test_ranks_are_those_of_the_received_packets(name: str) -> None:
    problem = problems.PROBLEMS[name]
    for decoder in problem.decoders("count"):
        found = told(problem, "count", decoder, realization=11)
        supports = [found.packets[w].support for w in found.order]
        for step in found.steps:
            held = supports[: step.position + 1]
            if decoder == "peel":
                assert step.rank is None
                assert {x for s in found.steps[: step.position + 1] for x in s.decoded} == naive.peel_decoded(held, 9)
            else:
                assert step.rank == naive.matching_size(held)
                assert step.gained == (naive.matching_size(held) > naive.matching_size(held[:-1]))


def test_what_a_matching_step_says_is_a_matching() -> None:
    found = told(problems.PROBLEMS["windows"], "count", "match", realization=4)
    before: dict[int, int] = {}
    for step in found.steps:
        pairs = dict(step.action.pairs)
        assert len(set(pairs.values())) == len(pairs) == step.rank
        assert all(x in found.packets[p].support for p, x in pairs.items())
        assert pairs == before | dict(step.action.assignments)
        before = pairs


def test_what_elimination_says_leads_to_the_packet_again() -> None:
    found = told(problems.PROBLEMS["windows"], "count", "eliminate", realization=4)
    rows: dict[int, np.ndarray] = {}
    p = 2**31 - 1
    for step in found.steps:
        done, packet = step.action, np.array(found.packets[step.packet].coefficients, dtype=object)
        rest = packet - sum((f * rows[i] for i, f in done.subtracted), np.zeros(9, dtype=object))
        if done.pivot is None:
            assert not np.any(rest % p)
            continue
        new = np.array(done.row, dtype=object)
        assert not np.any((rest - rest[done.pivot] * new) % p)
        rows = {i: (row - dict(done.cleared).get(i, 0) * new) % p for i, row in rows.items()} | {done.pivot: new}
        units = {i for i, row in rows.items() if np.count_nonzero(row) == 1}
        assert units == {x for s in found.steps[: step.position + 1] for x in s.decoded}


def test_what_does_not_fit_is_refused() -> None:
    problem = problems.PROBLEMS["ew"]
    with pytest.raises(ValueError, match=r"realization must be an integer"):
        told(problem, "count", realization=-1)
    with pytest.raises(ValueError, match=r"realization must be an integer from 0 to 2\*\*64 - 1, got 18446744073709551616"):
        told(problem, "count", realization=2**64)
    with pytest.raises(ValueError, match=r"evaluate is for the count domain"):
        told(problem, "deadline", evaluate=[1.0])
    with pytest.raises(ValueError, match=r"peel"):
        told(problems.PROBLEMS["windows gf2"], "count", "peel")
    with pytest.raises(ValueError, match=r"the count domain does not apply"):
        told(problems.PROBLEMS["ew true work"], "count")


def test_a_replay_is_plain_frozen_data() -> None:
    found = told(problems.PROBLEMS["lt"], "count", "eliminate", evaluate=[0.5])
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.realization = 1  # type: ignore[misc]
    assert json.loads(json.dumps(dataclasses.asdict(found)))["order"] == list(found.order)
    assert found == told(problems.PROBLEMS["lt"], "count", "eliminate", evaluate=[0.5])
