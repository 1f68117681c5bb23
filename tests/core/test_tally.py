"""Tallies add, survive files, and give the losses that the realizations had."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import problems
from tests.cases.problems import EW, NOW, PAPER, RXC
from uepgpu import Partition, Tally, Workers, codes, latency, simulate
from uepgpu.monte_carlo import decode_times

TIMES = (0.1, 0.4, 0.8)


def run(first=0, realizations=100, code=EW, part=RXC, workers=PAPER, seed=3, **options):
    return simulate(code, part, workers, realizations=realizations, seed=seed, first_realization=first, **options)


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


# --- adding ----------------------------------------------------------------------------------------------------------


def test_addition_is_commutative_and_associative_and_keeps_its_operands():
    a, b, c = run(0, 50), run(50, 33), run(1000, 17)
    before = [t.patterns.copy() for t in (a, b, c)]
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == (c + a) + b
    assert (a + b + c).ranges == ((0, 83), (1000, 1017))
    assert (a + b + c).realizations == 100
    assert all(np.array_equal(t.patterns, x) for t, x in zip((a, b, c), before, strict=True))
    assert a + b != a
    assert a + b == run(0, 83)
    assert (run(0, 50, backend="numpy") + b).backend == "numba+numpy"


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=2, max_size=4))
@settings(deadline=None, max_examples=40)
def test_addition_refuses_exactly_what_overlaps(ranges):
    taken, total = set(), None
    for first, count in ranges:
        own, tally = set(range(first, first + count)), run(first, count, threads=1)
        if taken & own:
            with pytest.raises(ValueError, match=r"overlap: realizations \d+\.\.\d+ are in both"):
                total + tally
            continue
        taken |= own
        total = tally if total is None else total + tally
    assert {i for a, b in total.ranges for i in range(a, b)} == taken


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"seed": 4}, "seed is 3 in one and 4"),
        ({"deadlines": TIMES}, "domain"),
        ({"workers": problems.unit(29)}, "n_packets"),
        ({"code": NOW}, "code"),
        ({"code": codes.ExpandingWindow((0.41, 0.34, 0.25))}, "code"),
        ({"decoder": "eliminate"}, "decoder"),
        ({"part": problems.line(2, 3, 4)}, "classes"),
        ({"tally": "pairs"}, "pairs"),
        ({"tally": "marginals"}, "marginals"),
    ],
)
def test_addition_refuses_other_problems_and_says_what_differs(options, reason):
    with pytest.raises(ValueError, match="do not add") as error:
        run(0, 10) + run(10, 10, **options)
    assert reason in str(error.value)


def test_addition_tells_deadlines_latencies_and_work_apart():
    one = run(0, 10, deadlines=TIMES)
    for options in (
        {"deadlines": (0.1, 0.4, 0.9)},
        {"deadlines": TIMES, "workers": problems.unit(30, omega=1.0, latency=latency.Weibull(0.5))},
        {"deadlines": TIMES, "workers": problems.unit(30, omega=1.0, loss_probability=0.1)},
        {"deadlines": TIMES, "workers": Workers(30, omega=1.0)},
        {"deadlines": TIMES, "workers": problems.unit(30, omega=1.0, speeds=problems.SLOW_HALF)},
    ):
        with pytest.raises(ValueError, match="do not add"):
            one + run(10, 10, **options)
    with pytest.raises(TypeError):
        one + 1
    # In the count domain work decides what a packet costs afterwards, so packets of different work are no one tally.
    free, factored = (run(first, 10, code=codes.MDS(encoding=e)) for first, e in ((0, "free"), (10, "factored")))
    with pytest.raises(ValueError, match="packet_work is 3 in one and 1 in the other"):
        free + factored
    # In the count domain latencies decide nothing, and counting decodes as matching does.
    assert (run(0, 10) + run(10, 10, workers=problems.unit(30, latency=latency.Weibull(0.5)))).realizations == 20
    assert run(0, 10) + run(10, 10, decoder="match") == run(0, 20)


def test_a_tally_does_not_follow_the_callers_array():
    times = np.array(TIMES)
    tally = run(deadlines=times)
    times[:] = 7.0
    assert tally.deadlines.tolist() == list(TIMES)


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"deadlines": TIMES, "tally": "pairs"}, {"tally": "marginals"}], ids=str)
def test_files_hold_all_of_a_tally(tmp_path, options):
    tally = run(2**63, 20, seed=2**64 - 1, **options) + run(2**64 - 20, 20, seed=2**64 - 1, **options)
    path = tmp_path / "tally"
    tally.save(path)
    assert [f.name for f in tmp_path.iterdir()] == ["tally"]
    loaded = Tally.load(str(path))
    assert loaded == tally
    for name in ("problem", "code", "decoder", "backend", "domain", "seed", "n_packets", "tied", "packet_work", "class_wise"):
        assert getattr(loaded, name) == getattr(tally, name)
    assert loaded.ranges == tally.ranges
    assert loaded + run(0, 5, seed=2**64 - 1, **options) == tally + run(0, 5, seed=2**64 - 1, **options)
    for name, values in tally.loss(RXC).items():
        np.testing.assert_array_equal(values, loaded.loss(RXC)[name])


def _npz(path, header, **arrays):
    with path.open("wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)


def test_files_that_are_no_tallies_are_refused(tmp_path):
    path = tmp_path / "t.npz"
    with pytest.raises(FileNotFoundError):
        Tally.load(path)
    run().save(path)
    whole = path.read_bytes()
    with np.load(path) as file:
        header, arrays = json.loads(str(file["header"])), {n: file[n] for n in file.files if n != "header"}

    def refused():
        with pytest.raises(ValueError, match=r"t\.npz") as error:
            Tally.load(path)
        assert "\n" not in str(error.value)

    for broken in (b"", b"nonsense", whole[:100], whole[: len(whole) // 2], whole[:-30], whole[:400] + b"x" * 40 + whole[440:]):
        path.write_bytes(broken)
        refused()
    np.savez(path, a=np.arange(3))
    refused()
    for other in (
        {"format": 2},
        header | {"format": 1},
        header | {"stranger": 1},
        [1],
        {k: v for k, v in header.items() if k != "seed"},
        header | {"seed": 3.0},
        header | {"ranges": [[10, 0]]},
        header | {"ranges": [[-1, 9]]},
        header | {"ranges": [[0, 10], [0, 0]]},
        header | {"ranges": [[1, 11]]},  # of other sub-batches
        header | {"domain": "deadline"},
    ):
        _npz(path, other, **arrays)
        refused()
    for missing in ("patterns", "classes"):
        _npz(path, header, **{n: a for n, a in arrays.items() if n != missing})
        refused()
    moved = arrays["patterns"].copy()
    moved[0, :, 0] += 1
    moved[0, :, 7] -= 1  # the sum stays
    for patterns in (arrays["patterns"][:, :5], moved):
        _npz(path, header, **arrays | {"patterns": patterns})
        refused()
    _npz(path, header, **arrays | {"classes": np.where(arrays["classes"] == 2, 1, arrays["classes"])})
    refused()


def test_files_keep_their_format(tmp_path):
    """What is written here is what every version has written since format 2."""
    part, patterns = problems.line(1, 1), np.zeros((32, 3, 4), dtype=np.int64)
    patterns[5] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    header = {
        "format": 2,
        "problem": "ab12",
        "code": "MDS()",
        "decoder": "count",
        "backend": "numba",
        "domain": "count",
        "seed": 7,
        "n_packets": 2,
        "tied": False,
        "packet_work": None,
        "paradigm": "rxc",
        "class_wise": True,
        "ranges": [[37, 38]],
        "seconds": 0.5,
    }
    _npz(tmp_path / "before.npz", header, patterns=patterns, classes=np.array([1, 2]))
    loaded = Tally.load(tmp_path / "before.npz")
    assert loaded.loss(part).loss.values.tolist() == [part.norm2, part.energy[1], 0.0]
    loaded.save(tmp_path / "after.npz")
    with np.load(tmp_path / "after.npz") as file:
        assert json.loads(str(file["header"])) == header
        assert sorted(file.files) == ["classes", "header", "patterns"]


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"ranges": ()}, "ranges must be ascending and disjoint"),
        ({"ranges": ((0, 50), (40, 90))}, "ranges must be ascending and disjoint"),
        ({"ranges": ((0, 99),)}, "do not add up to the realizations"),
        ({"seed": 2**64}, "seed must be an integer from 0 to"),
        ({"domain": "time"}, "domain must be 'count', or 'deadline'"),
        ({"domain": "deadline"}, "those are missing"),
        ({"deadlines": np.array(TIMES)}, "those are there"),
        ({"n_packets": 29}, r"patterns must be int64 of shape \(32, 30, 8\)"),
        ({"classes": np.array([1, 1, 1, 2, 2, 2, 4, 4, 4])}, "classes must be 1..L without gaps"),
        ({"class_wise": False}, "it must hold patterns and either pairs or marginals"),
        ({"marginals": np.zeros((32, 31, 9), dtype=np.int64)}, "it must hold patterns alone"),
        ({"patterns": np.full((32, 31, 8), -1)}, "patterns must not be negative"),
        ({"patterns": np.zeros((32, 31, 8))}, "patterns must be int64"),
    ],
)
def test_counts_that_contradict_themselves_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        replace(run(), **changes)


def test_counts_are_read_only():
    tally = run()
    for array in (tally.patterns, tally.classes, (tally + run(100)).patterns):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_saving_fails_without_leaving_anything(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        run().save(tmp_path / "nowhere" / "t.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        run().save(tmp_path / "folder")
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]


# --- what follows from it, against losses of realizations ------------------------------------------------------------

NAMES = ["now", "ew fixed", "nested", "lt", "windows gf2", "generator", "level-pair", "uncoded", "windows"]


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("paradigm", ["cxr", "rxc"])
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
        tally.loss(other, workers=Workers(30), **times)
    with pytest.raises(ValueError, match="is of rxc packets"):
        tally.loss_quantile(other, 0.5, workers=Workers(30), **times)
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
    for workers in (problems.unit(30, speeds=problems.SLOW_HALF), problems.unit(31)):
        with pytest.raises(ValueError, match="workers"):
            counted.loss(RXC, workers=workers, deadlines=TIMES)
    with pytest.raises(ValueError, match="true work"):
        counted.loss(RXC, workers=Workers(30), deadlines=TIMES)
    for bad in ([-1.0], [float("nan")], [1.0, 0.5], []):
        with pytest.raises(ValueError, match="deadlines"):
            counted.loss(RXC, workers=PAPER, deadlines=bad)
