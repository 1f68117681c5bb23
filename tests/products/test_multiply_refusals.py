"""Bad arguments of a coded product, matrices that are no matrices, and arithmetic that overflows."""

from __future__ import annotations

import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.products import EW, GAMMA, SIZES, factors, partition
from tests.cases.refusals import CXR, RXC, cases, refused
from uepgpu.backends import available
from uepgpu.products.mds_generator import mds_generator

PART = partition("rxc", *factors())
CODE = EW(GAMMA)
WORKERS = uep.Workers(30)


def multiply(part=PART, code=CODE, workers=WORKERS, **options):
    return uep.multiply(part, code, workers, **({"deadline": 0.5, "realizations": 3, "seed": 1} | options))


def lesser(name, value):
    """A matrix with one bad entry."""
    A, B = factors()
    bad = {"A": A, "B": B}
    bad[name] = bad[name].astype(np.result_type(bad[name], value))
    bad[name][2, 3] = value
    return bad["A"], bad["B"]


@pytest.mark.parametrize(
    ("call", "pieces"),
    cases(
        deadline={
            "negative": (lambda: multiply(deadline=-0.5), "deadline", ">= 0", "-0.5"),
            "nan": (lambda: multiply(deadline=math.nan), "deadline", ">= 0", "nan"),
            "minus infinity": (lambda: multiply(deadline=-math.inf), "deadline", ">= 0", "-inf"),
            "text": (lambda: multiply(deadline="soon"), "deadline", "number", "'soon'"),
            "several": (lambda: multiply(deadline=[0.5, 1.0]), "deadline", "number", "[0.5, 1.0]"),
        },
        noise={
            "without faithful": (lambda: multiply(noise=0.1), "noise", "faithful=True", "0.1"),
            "negative": (lambda: multiply(noise=-0.1, faithful=True), "noise", ">= 0", "-0.1"),
            "infinite": (lambda: multiply(noise=math.inf, faithful=True), "noise", "finite", "inf"),
        },
        choice={
            "decoder": (lambda: multiply(decoder="match"), "decoder", "'linear', 'peel', 'lmmse'", "'match'"),
            "dtype": (lambda: multiply(dtype="int8"), "dtype", "'float16'", "'int8'"),
            "keep": (lambda: multiply(keep="all"), "keep", "'product'", "'all'"),
            "prior": (lambda: multiply(prior="flat"), "prior", "'energy'", "'flat'"),
            "output": (lambda: multiply(output="disk"), "output", "'device'", "'disk'"),
            "device without one": (lambda: multiply(output="device", backend="numpy"), "output='device'", "cuda", "'numpy'"),
            "backend": (lambda: multiply(backend="rocm"), "backend", "'numba'", "'rocm'"),
        },
        number={
            "no realizations": (lambda: multiply(realizations=0), "realizations", ">= 1", "0"),
            "half a realization": (lambda: multiply(realizations=0.5), "realizations", "integer", "0.5"),
            "before the first": (lambda: multiply(first_realization=-1), "first_realization", ">= 0", "-1"),
            "beyond the last": (lambda: multiply(first_realization=2**64 - 2), "first_realization", "2^64", "3"),
            "seed": (lambda: multiply(seed=-1), "seed", "from 0 to", "-1"),
            "threads": (lambda: multiply(threads=0), "threads", "from 1 to", "0"),
            "memory": (lambda: multiply(max_memory=0), "max_memory", ">= 1", "0"),
        },
        problem={
            "model rxc": (lambda: multiply(part=RXC), "part has no matrices", "Partition.rxc"),
            "model cxr": (lambda: multiply(part=CXR), "part has no matrices", "Partition.cxr"),
            "the order of simulate": (
                lambda: uep.multiply(CODE, PART, WORKERS, deadline=1.0, seed=1),
                "part",
                "order is part, code",
            ),
            "no workers": (lambda: multiply(workers=30), "workers", "uepgpu.Workers", "30"),
            "no code": (lambda: multiply(code="ew"), "code", "'ew'"),
            "gf2": (lambda: multiply(code=EW(GAMMA, coefficients="gf2")), "'gf2'", "real matrices", "'generic'"),
            "gf256": (lambda: multiply(code=uep.codes.MDS(coefficients="gf256")), "'gf256'", "'generic'"),
            "uncoded": (lambda: multiply(code=uep.codes.Uncoded()), "W = K = 9", "W = 30"),
        },
        memory={
            "products": (
                lambda: multiply(keep="product", realizations=1000, max_memory=10**6),
                "keep='product'",
                "1000 realizations",
                "max_memory",
                "keep='loss'",
            ),
        },
        matrices={
            "nan in A": (lambda: partition("rxc", *lesser("A", math.nan)), "A must be finite", "nan at [2, 3]"),
            "inf in B": (lambda: partition("cxr", *lesser("B", -math.inf)), "B must be finite", "-inf at [2, 3]"),
            "complex A": (lambda: partition("rxc", *lesser("A", 1j)), "A must be real", "complex128"),
            "complex B": (lambda: partition("cxr", *lesser("B", 1j)), "B must be real", "complex128"),
            "shapes": (lambda: partition("rxc", np.ones((4, 5)), np.ones((4, 5))), "(4, 5)", "do not multiply"),
            "a vector": (lambda: partition("rxc", np.ones(4), np.ones((4, 5))), "A", "two-dimensional", "(4,)"),
            "overflow": (lambda: partition("rxc", np.full((9, 9), 1e200), np.full((9, 9), 1e200)), "A and B", "finite energies"),
            "underflow": (lambda: partition("rxc", np.full((9, 9), 1e-90), np.full((9, 9), 1e-90)), "A and B", "energies", "1e-90"),
            "underflow of a model": (
                lambda: uep.Partition.model("rxc", left_variances=[0, 1e-200], right_variances=[1e-200], classes=(2,)),
                "left_variances",
                "energies",
                "1e-100",
            ),
            "underflow cxr": (lambda: partition("cxr", np.full((9, 9), 1e-200), np.ones((9, 9))), "A and B", "energies", "1e-200"),
        },
    ),
)
def test_bad_arguments_are_refused_in_one_line(call, pieces):
    refused(call, pieces)


def test_a_backend_that_cannot_run_says_why():
    if available()["cuda"] is None:
        assert multiply(backend="cuda").backend == "cuda"
    else:
        with pytest.raises(
            uep.BackendUnavailable, match=r"backend 'cuda' cannot run: .*(pip install|no CUDA device answers|cannot be used)"
        ):
            multiply(backend="cuda")


# --- more sub-products than packets -----------------------------------------------------------------------------------


def test_an_mds_generator_needs_as_many_packets_as_subproducts():
    with pytest.raises(ValueError, match="at least K = 9 packets, got 8"):
        mds_generator(8, 9)


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("faithful", [False, True])
def test_mds_with_fewer_workers_than_subproducts_decodes_nothing_but_can_be_estimated(paradigm, faithful):
    part, few = partition(paradigm, *factors()), uep.Workers(8)
    options = {"part": part, "code": uep.codes.MDS(), "workers": few, "deadline": math.inf, "faithful": faithful}
    nothing = multiply(**options)
    assert not nothing.decoded.any()
    assert np.allclose(nothing.loss, part.norm2)
    assert not nothing.flagged.any()
    assert np.all(multiply(**options, decoder="lmmse").loss < 0.9 * part.norm2)


# --- zeros ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", ["linear", "peel", "lmmse"])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_zero_matrices_give_zero(decoder, paradigm, backend):
    part = partition(paradigm, np.zeros((31, 23)), np.zeros((23, 37)))
    for options in ({}, {"faithful": True, "noise": 0.5}, {"dtype": "float16"}):
        result = multiply(part=part, decoder=decoder, backend=backend, keep="product", **options)
        assert not result.product.any()
        assert not result.loss.any()
        assert not result.normalized_loss.any()
        assert not result.flagged.any()


@pytest.mark.parametrize("prior", ["gram", "energy"])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_blocks_of_zeros_do_not_disturb_an_estimate(paradigm, prior):
    A, B = factors()
    A[:12] = 0.0
    A[:, 15:] = 0.0
    part = partition(paradigm, A, B)
    assert (part.energy == 0).any()
    all_of_it = multiply(part=part, deadline=math.inf, decoder="lmmse", prior=prior, keep="product")
    assert np.all(np.linalg.norm(all_of_it.product - A @ B, axis=(1, 2)) < 1e-10 * np.linalg.norm(A @ B))
    assert not all_of_it.flagged.any()


def test_nothing_has_arrived_at_deadline_zero():
    for decoder in ("linear", "peel", "lmmse"):
        for faithful in (False, True):
            result = multiply(deadline=0, decoder=decoder, faithful=faithful, keep="product")
            assert not result.arrived.any()
            assert not result.product.any()
            assert np.allclose(result.loss, PART.norm2)
            assert not result.flagged.any()


# --- low precision ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("faithful", [False, True])
def test_float16_overflow_is_flagged_and_finite(paradigm, faithful):
    A, B = factors()
    part = partition(paradigm, A * 3e2, B * 3e2)
    result = multiply(part=part, deadline=math.inf, dtype="float16", faithful=faithful, keep="product")
    assert result.flagged.all()
    assert np.isfinite(result.product).all()
    assert np.isfinite(result.loss).all()
    assert not multiply(part=part, deadline=math.inf, faithful=faithful).flagged.any()


@pytest.mark.parametrize("faithful", [False, True])
def test_factors_beyond_float32_are_flagged(faithful):
    A, B = factors()
    part = partition("rxc", A * 1e60, B)
    result = multiply(part=part, deadline=math.inf, dtype="float32", faithful=faithful)
    assert result.flagged.all()
    assert np.isfinite(result.loss).all()


@pytest.mark.parametrize("decoder", ["linear", "peel", "lmmse"])
@pytest.mark.parametrize("faithful", [False, True])
def test_what_underflows_is_flagged(faithful, decoder):
    """Products of 1e-8 are below the smallest step of float16: everything is decoded, and nothing is left."""
    eye = np.eye(30)
    part = uep.Partition.rxc(1e-4 * eye, 1e-4 * eye, rows=3, cols=3, classes=SIZES)
    for backend in ("numba", "numpy"):
        call = {"part": part, "deadline": math.inf, "faithful": faithful, "decoder": decoder, "backend": backend}
        lost = multiply(**call, code=uep.codes.MDS(), dtype="float16")
        assert lost.decoded.all() == (decoder != "peel")
        assert lost.flagged.all()
        assert lost.normalized_loss == pytest.approx(1.0)
        for dtype in ("float32", "float64"):
            assert not multiply(**call, code=uep.codes.MDS(), dtype=dtype).flagged.any()


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize(("left", "right"), [(1e-25, 1e-25), (1e-44, 1e20), (1e20, 1e-44), (1e-34, 1e-10)])
def test_subnormal_factors_and_payloads_are_flagged(left, right, paradigm):
    A, B = factors()
    call = {"part": partition(paradigm, A * left, B * right), "code": uep.codes.MDS(), "deadline": math.inf, "dtype": "float32"}
    assert multiply(**call, faithful=True).flagged.all()
    # Without the workers' factors their size does not matter.
    assert multiply(**call).flagged.all() == (left * right < 1e-38)
    call["part"] = partition(paradigm, A * math.sqrt(left * right) * 1e20, B * math.sqrt(left * right))
    assert not multiply(**call, faithful=True).flagged.any()


@pytest.mark.parametrize("faithful", [False, True])
def test_entries_that_underflow_beside_large_ones_are_no_matter(faithful):
    A, B = factors()
    A[:, ::2] *= 1e-9
    B[::2] *= 1e-9
    part = partition("rxc", A / np.abs(A).max(), B / np.abs(B).max())
    result = multiply(part=part, code=uep.codes.MDS(), deadline=math.inf, dtype="float16", faithful=faithful)
    assert not result.flagged.any()
    assert np.all(result.normalized_loss < 1e-3)


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_errors_follow_the_precision_of_the_workers(paradigm, faithful):
    part = uep.Partition.rxc(*factors(), classes=SIZES) if paradigm == "rxc" else partition(paradigm, *factors())
    error = {}
    for dtype in ("float64", "float32", "float16"):
        result = multiply(
            part=part, code=uep.codes.MDS(), deadline=math.inf, dtype=dtype, faithful=faithful, realizations=1, keep="product"
        )
        assert not result.flagged.any()
        error[dtype] = math.sqrt(result.normalized_loss[0])
        assert error[dtype] < 20 * float(np.finfo(dtype).eps)  # a well-conditioned generator costs a few roundings
    assert error["float64"] < error["float32"] < error["float16"]
    assert error["float16"] > 1e-5


def test_noise_of_a_known_size_comes_out_at_that_size():
    part, workers = partition("rxc", *factors(30, 23, 36), order=None), uep.Workers(9)
    for noise in (0.01, 0.1):
        result = multiply(part, uep.codes.Uncoded(), workers, deadline=math.inf, faithful=True, noise=noise, realizations=200)
        # Uncoded payloads are the tiles: relative noise s on each gives relative loss s².
        assert result.normalized_loss.mean() == pytest.approx(noise**2, rel=0.05)
