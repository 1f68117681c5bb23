"""Tallies are the same integers on every backend, and Philox is the published one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from tests.oracles import naive
from uepgpu import codes, simulate
from uepgpu import gradient_coding as gc
from uepgpu.backends import BACKENDS, BackendUnavailable, find_place, get_backend, registry
from uepgpu.backends.cuda import CudaBackend
from uepgpu.commands.bench import run_bench
from uepgpu.commands.info import run_info
from uepgpu.commands.sweep import SweepOptions, run_sweep
from uepgpu.gradient_coding.engines import find_engine
from uepgpu.machine.benchmark import uep30
from uepgpu.machine.selftest import run_selftest
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import DECODERS
from uepgpu_kernels.bodies.philox import philox4x32
from uepgpu_kernels.reference.sample import philox, words

MASK = 2**32 - 1
VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK,) * 4, (MASK,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
EDGES = [(0, 0), (2**64 - 1, 0), (7, 2**32), (2**63 + 5, 2**64 - 1000), (0x0123456789ABCDEF, 2**33 - 20)]
FIRST = 2**32 - 333  # the range passes 2^32, and begins at no multiple of 32


def both(name, domain, decoder, **options):
    p = problems.PROBLEMS[name]
    common = {"realizations": p.realizations, "seed": 2**64 - 3, "first_realization": FIRST, "decoder": decoder} | options
    return [simulate(p.code, p.part, p.workers, deadlines=p.times(domain), backend=b, **common) for b in ("numba", "numpy")]


# --- Philox ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counter, key, expected", VECTORS)
def test_philox_of_both_targets_gives_the_published_vectors(counter, key, expected):
    compiled = philox4x32(*(np.uint64(x) for x in (*counter, *key)))
    assert tuple(int(w) for w in compiled) == expected
    assert tuple(int(w) for w in philox(counter, key)) == expected


@pytest.mark.parametrize("seed, realization", EDGES)
def test_words_of_the_reference_are_those_of_the_oracle(seed, realization):
    for stream in range(4):
        found = words(seed, np.array([realization], dtype=np.uint64), stream, 0, 11)
        assert found.tolist() == [[naive.word(seed, realization, stream, i) for i in range(11)]]


# --- numpy and numba -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, domain, decoder", problems.covering(problems.cases()))
def test_numpy_and_numba_tally_the_same_integers(name, domain, decoder):
    if name == "K = 100 gf256" and domain == "deadline":
        pytest.skip("slow in NumPy, and the count domain covers it")
    few = problems.PROBLEMS[name].part.n_subproducts <= 33
    compiled, vectorized = both(name, domain, decoder, **({} if few else {"tally": "marginals"}))
    assert np.array_equal(compiled.patterns, vectorized.patterns)
    assert compiled == vectorized
    assert compiled.problem == vectorized.problem


@pytest.mark.parametrize("domain", ["count", "deadline"])
@pytest.mark.parametrize("name", ["ew", "max-rectangle", "lt", "uncoded", "generator", "windows gf2", "eight classes windows"])
def test_pairs_and_marginals_are_the_same_integers(name, domain):
    for decoder, tally in itertools.product(problems.PROBLEMS[name].decoders(domain), ("pairs", "marginals")):
        compiled, vectorized = both(name, domain, decoder, tally=tally, realizations=300)
        assert getattr(compiled, tally).sum() > 0
        assert compiled == vectorized


@pytest.mark.parametrize("name", ["ew", "ew fixed", "uncoded", "lt", "nested", "windows gf256", "generator"])
@pytest.mark.parametrize("domain", ["count", "deadline"])
def test_the_last_realization_numbers_are_served(name, domain):
    last = {"first_realization": 2**64 - 50, "realizations": 50}
    compiled, vectorized = both(name, domain, "auto", **last)
    assert compiled == vectorized
    assert compiled.realizations == 50
    with pytest.raises(ValueError, match="first_realization"):
        both(name, domain, "auto", first_realization=2**64 - 49, realizations=50)


@pytest.mark.parametrize("name", ["ew", "max-rectangle", "lt", "uncoded"])
def test_decode_times_refuse_realizations_beyond_the_last_number(name):
    p = problems.PROBLEMS[name]
    for backend in ("numba", "numpy"):
        with pytest.raises(ValueError, match="first_realization"):
            decode_times(p.code, p.part, p.workers, realizations=50, seed=1, first_realization=2**64 - 49, backend=backend)


@pytest.mark.parametrize("first", [2**32 + 1, 2**63, 2**64 - 1000])
def test_realization_numbers_are_not_cut_to_32_bits(first):
    p = problems.PROBLEMS["ew"]
    for backend in ("numba", "numpy"):
        found = decode_times(p.code, p.part, p.workers, realizations=40, seed=5, first_realization=first, backend=backend)
        small = decode_times(p.code, p.part, p.workers, realizations=40, seed=5, first_realization=first % 2**32, backend=backend)
        assert not np.array_equal(found, small)


@pytest.mark.parametrize("seed", [0, 2**32, 2**63, 2**64 - 1])
def test_seeds_of_64_bits_are_told_apart(seed):
    p = problems.PROBLEMS["max-rectangle"]
    runs = [simulate(p.code, p.part, p.workers, realizations=200, seed=seed, backend=b) for b in ("numba", "numpy")]
    other = simulate(p.code, p.part, p.workers, realizations=200, seed=seed ^ (1 << 33))
    assert runs[0] == runs[1]
    assert not np.array_equal(runs[0].patterns, other.patterns)
    for bad in (-1, 2**64):
        with pytest.raises(ValueError, match="seed"):
            simulate(p.code, p.part, p.workers, realizations=1, seed=bad)


def test_tens_of_thousands_of_cells_are_looked_up_right():
    # Three windows at 30,000 deadlines make more cells than 16 bits can number.
    times = np.linspace(0, 1, 30_000)
    runs = [
        decode_times(problems.EW, problems.RXC, problems.unit(20, omega=1.0), deadlines=times, realizations=40, seed=1, backend=b)
        for b in ("numba", "numpy")
    ]
    assert np.array_equal(*runs)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_generators_with_entries_of_any_size_decode(backend):
    powers = np.vander(np.arange(2.0, 20.0), 9, increasing=True)  # up to 1.7e10: any nine rows are independent
    for matrix, part in ((powers, problems.CXR), (np.array([[0.5, 0.25], [1e11, 0.0], [3e-9, 1e-9]]), problems.line(1, 1))):
        n, k = matrix.shape
        when = decode_times(codes.Generator(matrix), part, problems.unit(n), realizations=200, seed=4, backend=backend)
        assert when.max() == (k if k == 9 else 2)
        assert when.min() == (k if k == 9 else 1)


def test_decode_times_are_what_is_tallied():
    for name, domain, decoder in problems.covering(
        [c for c in problems.cases() if problems.PROBLEMS[c[0]].part.n_subproducts <= 9]
    ):
        p = problems.PROBLEMS[name]
        options = {"realizations": 70, "seed": 4, "first_realization": 5, "decoder": decoder, "deadlines": p.times(domain)}
        tally = simulate(p.code, p.part, p.workers, tally="marginals", **options)
        when = decode_times(p.code, p.part, p.workers, **options)
        undecoded = when[:, None, :] > np.arange(tally.patterns.shape[1])[:, None]
        for b in range(32):
            mine = undecoded[(np.arange(70) + 5) % 32 == b]
            assert np.array_equal(tally.marginals[b], mine.sum(axis=0)), (name, domain, decoder)
            for c in range(p.part.n_classes):
                members = p.part.classes == c + 1
                decoded = (~mine[:, :, members]).all(axis=2).sum(axis=0)
                bit = (np.arange(tally.patterns.shape[2]) >> c) & 1
                assert np.array_equal(tally.patterns[b] @ bit, decoded), (name, domain, decoder)


# --- which backend ---------------------------------------------------------------------------------------------------


@dataclass
class Pretended:
    """A backend that can run, or not."""

    name: str
    reason: str | None = None

    def unavailable(self):
        return self.reason


def pretend(monkeypatch, **reasons):
    made = {name: Pretended(name, reasons.get(name)) for name in BACKENDS}
    monkeypatch.setattr(registry, "BACKENDS", made)


def test_auto_is_the_first_backend_that_can_run_and_takes_the_problem(monkeypatch):
    pretend(monkeypatch)
    assert get_backend().name == "cuda"
    for decoder in DECODERS:
        assert get_backend("auto", 64, decoder=decoder).name == "cuda"
    assert get_backend("auto", 65, decoder="match").name == "numba"
    assert [get_backend("auto", k, decoder="eliminate").name for k in (256, 257)] == ["cuda", "numba"]
    assert get_backend("auto", 1000, decoder="count").name == "numba"
    assert get_backend("auto", without=("cuda",)).name == "numba"
    pretend(monkeypatch, cuda="no driver")
    assert get_backend().name == "numba"
    pretend(monkeypatch, cuda="no driver", numba="not installed")
    assert get_backend().name == "numpy"


def test_auto_asks_no_device_for_few_realizations(monkeypatch):
    pretend(monkeypatch)
    assert get_backend("auto", realizations=registry.WORTH_A_DEVICE).name == "cuda"
    assert get_backend("auto", realizations=registry.WORTH_A_DEVICE - 1).name == "numba"
    assert get_backend("cuda", realizations=1).name == "cuda"
    asked = []
    monkeypatch.setattr(Pretended, "unavailable", lambda self: asked.append(self.name))
    assert get_backend("auto", realizations=1000).name == "numba"
    assert asked == ["numba"]


@pytest.mark.parametrize("few, devices, ran", [(False, None, "cuda"), (True, None, "numba"), (True, "all", "cuda")])
def test_the_tally_names_what_auto_chose_by_size(monkeypatch, few, devices, ran):
    pretend(monkeypatch)
    monkeypatch.setattr(Pretended, "sampler", lambda self, *rest: registry.NumpyBackend().sampler(*rest), raising=False)
    monkeypatch.setattr(registry, "WORTH_A_DEVICE", 51 if few else 50)
    problem = problems.PROBLEMS["ew"]
    tally = simulate(problem.code, problem.part, problem.workers, realizations=50, seed=1, devices=devices)
    assert tally.backend == ran


def choosers():
    """Give every function of the library that takes a backend's name, by name."""
    p = problems.PROBLEMS["ew"]
    drawn = {"realizations": 1, "seed": 1}
    rng = np.random.default_rng(1)
    part = uep.Partition.rxc(rng.random((9, 4)), rng.random((4, 9)), rows=3, cols=3, classes=(3, 3, 3))
    least, sketch = gc.Problem(rng.random((12, 2)), rng.random(12), blocks=3), gc.ReplicatedSketch(fastest=2)
    return {
        "get_backend": get_backend,
        "find_place": find_place,
        "find_engine": find_engine,
        "simulate": lambda b: simulate(p.code, p.part, p.workers, backend=b, **drawn),
        "decode_times": lambda b: decode_times(p.code, p.part, p.workers, backend=b, **drawn),
        "multiply": lambda b: uep.multiply(part, p.code, p.workers, deadline=1.0, backend=b, **drawn),
        "descend": lambda b: gc.descend(least, sketch, problems.unit(4), iterations=1, backend=b, **drawn),
        "draw_sketches": lambda b: gc.draw_sketches(least, sketch, problems.unit(4), backend=b, **drawn),
        "sweep": lambda b: run_sweep("paper", SweepOptions(backend=b, dry_run=True)),
        "study": lambda b: run_sweep("gradient-coding", SweepOptions(backend=b)),
        "selftest": lambda b: next(run_selftest(b)),
        "uep30": lambda b: next(uep30(b)),
        "bench": lambda b: run_bench(b, quick=True, threads=None, json_path=None),
        "info": lambda b: run_info(b, selftest=True),
    }


def test_a_patch_of_one_backend_object_cannot_stay_behind_and_hide_the_class():
    for backend in BACKENDS.values():
        with pytest.raises(AttributeError):
            backend.unavailable = lambda: "a patch, undone, leaves a bound method here"


@pytest.mark.parametrize("name", list(choosers()))
def test_a_wrong_or_missing_backend_gets_the_same_message_everywhere(name, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    chooser = choosers()[name]

    def said(backend):
        try:
            code = chooser(backend)
        except (ValueError, BackendUnavailable) as error:
            return type(error).__name__, str(error)
        assert code == 2
        return "said", capsys.readouterr().err.removeprefix("uepgpu: ").strip()

    wrong = "backend must be one of 'auto', 'cuda', 'numba', 'numpy', got 'nunpy' (did you mean 'numpy'?)"
    assert said("nunpy") in (("ValueError", wrong), ("said", wrong))
    monkeypatch.setattr(CudaBackend, "unavailable", lambda self: "there is no driver")
    missing = "backend 'cuda' cannot run: there is no driver"
    assert said("cuda") in (("BackendUnavailable", missing), ("said", missing))
    assert list(tmp_path.iterdir()) == []
