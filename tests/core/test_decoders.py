"""Exact decoders give equal tallies from equal supports; peeling gives less; finite fields follow docs/mathematics.md."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.problems import EW, EXACT, GAMMA, MDS, NOW, PAPER, RXC
from uepgpu import codes, simulate, theory
from uepgpu.backends import BACKENDS
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import CHOICES, DECODERS, decoders, decoding_rule, make_plan
from uepgpu.replay import replay
from uepgpu_kernels import cpu
from uepgpu_kernels.automaton import build_automaton
from uepgpu_kernels.cpu import explore, nests

MILLION = 10**6


def tallies(name, domain, decoders, realizations=MILLION, **options):
    p = problems.PROBLEMS[name]
    common = {"deadlines": p.times(domain), "realizations": realizations, "seed": 12} | options
    return [simulate(p.code, p.part, p.workers, decoder=d, **common) for d in decoders]


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("name", ["now", "ew", "mds", "uncoded", "repetition"])
def test_count_match_and_eliminate_give_equal_tallies(name, domain):
    count, match, eliminate = tallies(name, domain, EXACT)
    assert np.array_equal(count.patterns, match.patterns)
    assert np.array_equal(count.patterns, eliminate.patterns)
    assert count.problem == match.problem


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("name", ["nested", "max-rectangle", "lt", "windows", "eight classes windows", "bounding-box"])
def test_match_and_eliminate_give_equal_tallies(name, domain):
    match, eliminate = tallies(name, domain, EXACT[1:], realizations=100_000)
    assert np.array_equal(match.patterns, eliminate.patterns)
    assert (match.pairs is None) == (eliminate.pairs is None)
    if match.pairs is not None:
        assert match.pairs.sum() > 0
        assert np.array_equal(match.pairs, eliminate.pairs)


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("name", ["now", "ew", "nested", "max-rectangle", "windows", "now class 2 never", "ew fixed"])
def test_the_automaton_decodes_as_the_matching_it_was_built_from(name, domain):
    job = problems.PROBLEMS[name].plan(domain).job
    paths = nests.match_by_paths(job)
    plain = cpu.run(job, paths, "pairs", 5, 20_000, 2)
    walk = nests.match_by_automaton(job, nests.explored(job))
    walked = cpu.run(job, walk, "pairs", 5, 20_000, 2)
    assert all(np.array_equal(a, b) for a, b in zip(plain[:2], walked[:2], strict=True))
    assert np.array_equal(cpu.run(job, walk, "patterns", 5, 20_000, 2).patterns, plain.patterns)
    assert np.array_equal(cpu.decode_times(job, walk, 5, 300), cpu.decode_times(job, paths, 5, 300))


def test_an_automaton_of_too_many_states_is_not_walked():
    assert nests.explored(problems.PROBLEMS["eight classes"].plan("count").job) is None


@pytest.mark.parametrize("domain", ["count", "deadline"])
def test_realizations_that_leave_the_automaton_are_decoded_all_the_same(domain, monkeypatch):
    # No share of leavers is too large here, so that an automaton of a tenth of the states is walked.
    monkeypatch.setattr(explore, "MOST_FALLEN", 1.0)
    job = problems.PROBLEMS["nested"].plan(domain).job
    part = nests.explored(job, 9 * 400)
    assert len(part.following) == 400
    assert np.any(part.following[:-1] == 399)
    for kind in ("pairs", "marginals", "patterns"):
        walked = cpu.run(job, nests.match_by_automaton(job, part), kind, 5, 5000, 2)
        plain = cpu.run(job, nests.match_by_paths(job), kind, 5, 5000, 2)
        assert all(np.array_equal(a, b) for a, b in zip(plain, walked, strict=True) if a is not None)


def test_nested_windows_of_the_paper_have_an_automaton():
    # 4,173 states, and the one that stands for those that are missing: none is.
    automaton = nests.explored(problems.PROBLEMS["nested"].plan("count").job)
    assert automaton.following.shape == (4174, 9)
    assert np.all(automaton.following[:-1] < 4173)
    assert nests.explored(problems.PROBLEMS["K = 64 windows"].plan("count").job) is None


def test_an_automaton_of_too_many_states_is_not_built():
    job = problems.PROBLEMS["max-rectangle"].plan("count").job
    states = len(build_automaton(job.mask).following)
    assert states == 532
    assert build_automaton(job.mask, states) is not None
    assert build_automaton(job.mask, states - 1) is None
    for name in ("nested", "K = 64 windows"):
        assert build_automaton(problems.PROBLEMS[name].plan("count").job.mask) is None


def test_tallies_do_not_depend_on_whether_the_automaton_was_built(monkeypatch):
    (walked,) = tallies("max-rectangle", "deadline", ["match"], 5000)
    asked = []
    monkeypatch.setattr(nests, "explore", lambda *a: asked.append(a))
    (plain,) = tallies("max-rectangle", "deadline", ["match"], 5000)
    assert walked == plain
    assert len(asked) == 1


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("name", ["now", "ew", "nested", "lt", "windows", "uncoded", "repetition", "level-pair", "generator"])
def test_peeling_decodes_a_subset_and_all_of_it_from_packets_of_one(name, domain):
    p = problems.PROBLEMS[name]
    common = {"deadlines": p.times(domain), "realizations": 20_000, "seed": 3}
    peel = decode_times(p.code, p.part, p.workers, decoder="peel", **common)
    best = decode_times(p.code, p.part, p.workers, **common)
    assert np.all(best <= peel)
    degree_one = p.plan(domain).job.support.sum(axis=1).max(initial=0) == 1
    assert np.array_equal(best, peel) == (degree_one or bool(np.all(best == peel)))
    if degree_one:
        assert np.array_equal(best, peel)
    elif name in ("now", "ew", "lt", "windows", "nested"):
        assert not np.array_equal(best, peel)


@pytest.mark.parametrize("field", ["gf2", "gf256"])
@pytest.mark.parametrize("gamma", [GAMMA, (0.5, 0.0, 0.5)])
def test_finite_field_windows_decode_as_often_as_section_3_says(field, gamma):
    code = codes.NonOverlappingWindow(gamma, coefficients=field)
    n = 300_000
    exact = theory.decoding_probability(code, RXC, received=range(31)).probability.values
    found = simulate(code, RXC, PAPER, realizations=n, seed=5).decoding_probability().probability.values
    assert np.all(np.abs(found - exact) <= 4 * np.sqrt(exact * (1 - exact) / n) + 1e-12)
    times = [0.2, 0.5, 1.0]
    exact = theory.decoding_probability(code, RXC, PAPER, deadlines=times).probability.values
    tally = simulate(code, RXC, PAPER, realizations=n, seed=5, deadlines=times)
    found = tally.decoding_probability().probability.values
    assert np.all(np.abs(found - exact) <= 4 * np.sqrt(exact * (1 - exact) / n) + 1e-12)


def test_finite_field_chains_are_no_worse_than_their_published_lower_bound():
    generic = simulate(EW, RXC, PAPER, realizations=50_000, seed=5).decoding_probability().probability.values
    for field, gap in (("gf256", 0.02), ("gf2", 0.6)):
        code = codes.ExpandingWindow(GAMMA, coefficients=field)
        found = simulate(code, RXC, PAPER, realizations=50_000, seed=5).decoding_probability().probability.values
        # A zero coefficient may decode a class early, one packet in 256 or half of them; rank can only be lost otherwise.
        late = generic[:, 2] - found[:, 2]
        assert np.all(late >= -0.01)
        assert late.max() < gap


def test_automatic_decoders_are_the_cheapest_exact_ones():
    expected = {"now": "count", "uncoded": "count", "nested": "match", "lt": "match", "K = 100": "count", "K = 100 lt": "match"}
    expected |= {"now gf2": "eliminate", "windows gf256": "eliminate", "generator": "eliminate"}
    for name, decoder in expected.items():
        p = problems.PROBLEMS[name]
        assert simulate(p.code, p.part, p.workers, realizations=1, seed=1, tally="marginals").decoder == decoder, name


@pytest.mark.parametrize(
    "name, decoder, words",
    [
        ("windows", "count", "chains"),
        ("nested", "count", "chains"),
        ("lt", "count", "chains"),
        ("now gf2", "count", "generic"),
        ("generator", "count", "generic"),
        ("now gf2", "match", "gf2"),
        ("ew gf256", "match", "gf256"),
        ("generator", "match", "generic"),
        ("now gf2", "peel", "gf2"),
        ("windows gf256", "peel", "gf256"),
        ("now", "gauss", "'gauss'"),
    ],
)
def test_decoders_that_are_not_exact_or_not_possible_are_refused(name, decoder, words):
    p = problems.PROBLEMS[name]
    for times in (None, [0.5]):
        with pytest.raises(ValueError, match="decoder") as error:
            simulate(p.code, p.part, p.workers, realizations=1, seed=1, decoder=decoder, deadlines=times)
        assert words in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("decoder", ["eliminate", "match"])
def test_elimination_and_matching_stop_at_1024_sub_products(decoder):
    for k, fits in ((1024, True), (1025, False)):
        part, workers = problems.line(1, k - 1), problems.unit(2)
        if fits:
            tally = simulate(MDS, part, workers, realizations=3, seed=1, decoder=decoder)
            assert tally.realizations == 3
        else:
            with pytest.raises(ValueError, match=r"1024.*1025"):
                simulate(MDS, part, workers, realizations=3, seed=1, decoder=decoder)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_pairs_of_256_sub_products_are_refused_with_their_sizes(backend):
    part = problems.line(6, 50, 200)
    workers = problems.unit(300)
    with pytest.raises(ValueError, match="MiB") as error:
        simulate(codes.LT(), part, workers, realizations=1, seed=1, backend=backend)
    for size in ("K = 256", "32,896", "301", "128 MiB", "marginals"):
        assert size in str(error.value)
    tally = simulate(codes.LT(), part, workers, realizations=1, seed=1, tally="marginals", deadlines=[1.0], backend=backend)
    assert tally.marginals.shape == (32, 1, 256)
    few = simulate(codes.LT(), part, workers, realizations=1, seed=1, deadlines=[1.0], backend=backend)
    assert few.pairs.shape == (32, 1, 32_896)


@pytest.mark.parametrize("name", DECODERS)
def test_every_entry_of_the_table_names_things_that_exist(name):
    entry = DECODERS[name]
    for target in ("reference", "cpu", "cuda", "teller"):
        made = entry.implementation(target)
        module, attribute = getattr(entry, target).split(":")
        assert callable(made)
        assert (made.__module__, made.__name__) == (module, attribute)
    assert set(entry.limits) == set(BACKENDS)
    assert name in CHOICES
    assert (entry.most() is None) == (entry.too_many == "")
    assert decoding_rule(name) == entry.rule


def test_kernels_take_as_many_sub_products_as_the_table_says():
    from uepgpu_kernels.cuda import MOST_ELIMINATED, MOST_SUBPRODUCTS

    most = {name: MOST_ELIMINATED if name == "eliminate" else MOST_SUBPRODUCTS for name in DECODERS}
    assert {name: entry.limits["cuda"] for name, entry in DECODERS.items()} == most


def test_a_decoder_is_added_by_one_entry(monkeypatch):
    # As someone would who follows the table: refusals, limits, backends, tallies and replays all ask the entry.
    slow = replace(DECODERS["match"], limits=dict.fromkeys(BACKENDS, 9), too_many="takes {most}, got {k}", rule="slow")
    monkeypatch.setitem(DECODERS, "slow", slow)
    monkeypatch.setattr(decoders, "CHOICES", (*CHOICES, "slow"))
    common = {"realizations": 50, "seed": 1}
    runs = [simulate(EW, RXC, PAPER, decoder="slow", backend=b, **common) for b in ("numba", "numpy")]
    assert runs[0] == runs[1]
    usual = simulate(EW, RXC, PAPER, decoder="match", **common)
    assert np.array_equal(runs[0].patterns, usual.patterns)
    assert runs[0].problem != usual.problem
    assert replay(EW, RXC, PAPER, decoder="slow", realization=1, seed=1).decoder == "slow"
    with pytest.raises(ValueError, match="decoder='slow' takes 9, got 10"):
        simulate(EW, problems.line(2, 3, 5), PAPER, decoder="slow", **common)
    with pytest.raises(ValueError, match="is exact for generic coefficients only"):
        simulate(codes.MDS(coefficients="gf2"), RXC, PAPER, decoder="slow", **common)


def test_plans_refuse_what_kernels_cannot_number():
    with pytest.raises(ValueError, match="workers"):
        make_plan(NOW, RXC, problems.unit(65_001), seed=1)
    with pytest.raises(ValueError, match="deadlines"):
        make_plan(NOW, RXC, PAPER, seed=1, deadlines=np.arange(65_001))
    with pytest.raises(ValueError, match="tally"):
        simulate(NOW, RXC, PAPER, seed=1, realizations=1, tally="triples")
    # Windows are numbered by 16 bits.
    supports = [[i for i in range(17) if n >> i & 1] for n in range(1, 2**17)]
    many = codes.Windows(supports, np.full(len(supports), 1 / len(supports)))
    with pytest.raises(ValueError, match=r"windows|supports"):
        make_plan(many, problems.line(8, 9), problems.unit(4), seed=1)
