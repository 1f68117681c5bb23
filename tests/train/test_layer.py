"""The drop-in layer: what it replaces, what it leaves, what it refuses."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import uepgpu as uep
from tests.cases.masks import CODES, LATENCY
from uepgpu.train import CodedLinear, Member, Stack, coded
from uepgpu.train.blocks import slice_order
from uepgpu.train.networks import Network

CODE, COUNT = CODES["ew"]
WORKERS = uep.Workers(COUNT, latency=LATENCY, work="unit", omega="fair")


class Residual(nn.Module):
    """A layer that is used twice in a pass, one that is shared, and sequences of vectors."""

    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleDict({"a": nn.Linear(12, 12), "b": nn.Linear(12, 10)})

    def forward(self, x):
        return self.inner["b"](self.inner["a"](self.inner["a"](x).relu()) + x)


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 15), nn.ReLU(), nn.Linear(15, 12), nn.ReLU(), nn.Linear(12, 10))


def train(model, steps, optimizer=None):
    rng = np.random.default_rng(5)
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        x = torch.from_numpy(rng.normal(size=(18, 12)).astype(np.float32))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.from_numpy(rng.integers(0, 10, size=18))).backward()
        optimizer.step()
    return [p.detach().numpy().copy() for p in model.parameters()]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_parameters_names_and_outputs_stay():
    model = small()
    x = torch.ones(4, 12)
    before = dict(model.named_parameters()), model(x)
    assert coded(model, CODE, WORKERS, 1.0, seed=1) is model
    assert {name: id(p) for name, p in model.named_parameters()} == {name: id(p) for name, p in before[0].items()}
    assert torch.equal(model(x), before[1])
    assert isinstance(model[0], nn.Linear)
    assert "ExpandingWindow" in repr(model)


def test_every_step_is_fresh_and_every_run_the_same():
    code, count = CODES["uncoded"]
    model = nn.Sequential(nn.Linear(12, 10))
    coded(model, code, uep.Workers(count, latency=LATENCY, omega="fair"), 1.0, seed=1)
    x = torch.ones(18, 12)
    seen = []
    for _ in range(20):
        model.zero_grad()
        model(x).sum().backward()
        seen.append(model[0].weight.grad.numpy().tobytes())
    assert len(set(seen)) > 10

    def run(**options):
        return train(coded(small(), CODE, WORKERS, 1.0, **options), 5)

    assert equal(run(seed=1), run(seed=1))
    assert not equal(run(seed=1), run(seed=2))
    assert not equal(run(seed=1), run(seed=1, replica=1))


def test_a_state_dict_goes_on_with_the_same_realizations():
    whole = coded(small(), CODE, WORKERS, 1.0, seed=1)
    half = coded(small(), CODE, WORKERS, 1.0, seed=1)
    rng_whole = train(whole, 3)
    assert equal(rng_whole, train(half, 3))
    file = io.BytesIO()
    torch.save(half.state_dict(), file)
    file.seek(0)
    again = coded(small(), CODE, WORKERS, 1.0, seed=1)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert again[0].step == 3
    assert equal(train(whole, 3), train(again, 3))


@pytest.mark.parametrize("options", [{}, {"paradigm": "cxr"}, {"estimator": "lmmse"}, {"faithful": True}, {"importance": "step"}])
def test_autocast_gives_pytorchs_gradients_where_everything_is_decoded(options):
    """To the rounding of bfloat16, 2^-8 a product."""
    exact, mine = small(), coded(small(), CODES["uncoded"][0], uep.Workers(9, omega="fair"), math.inf, seed=1, **options)
    partly = coded(small(), CODES["uncoded"][0], uep.Workers(9, latency=LATENCY, omega="fair"), 2.0, seed=1, **options)
    x = torch.randn(18, 12, generator=torch.Generator().manual_seed(1))
    for model in (exact, mine, partly):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = model(x)
        assert y.dtype == torch.bfloat16
        y.float().square().sum().backward()
    for a, b in zip(mine.parameters(), exact.parameters(), strict=True):
        assert a.grad.dtype == torch.float32
        np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=2**-5 * float(b.grad.abs().max()))
    assert partly[0].weight.grad.abs().max() > 0


def test_slices_are_sorted_in_half_precision_as_in_single():
    """Squares of loss-scaled gradients are beyond what float16 holds."""
    matrix = torch.linspace(1000, 2000, 8).half()[:, None].expand(8, 4)
    assert slice_order("norm", (matrix, -1)).tolist() == list(range(7, -1, -1))


@pytest.mark.parametrize("options", [{}, {"importance": "step"}])
def test_a_model_saved_whole_goes_on_with_the_same_realizations(options):
    model = coded(small(), CODE, WORKERS, 1.0, seed=1, replica=3, **options)
    for _ in range(2):
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        again = torch.load(file, weights_only=False)
        assert again[0].step == model[0].step
        assert equal(train(model, 2), train(again, 2))


def test_weights_of_plain_and_coded_models_load_into_each_other():
    torch.manual_seed(7)
    plain, mine = nn.Sequential(nn.Linear(12, 10)), coded(nn.Sequential(nn.Linear(12, 10)), CODE, WORKERS, 1.0, seed=1)
    train(mine, 2)
    mine.load_state_dict(plain.state_dict())
    assert equal([p.detach() for p in mine.parameters()], [p.detach() for p in plain.parameters()])
    assert mine[0].step == 2  # a plain state says nothing about it
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0.bias"'):
        mine.load_state_dict({"0.weight": plain[0].weight})
    train(mine, 2)
    plain.load_state_dict({name: t for name, t in mine.state_dict().items() if not name.endswith("coded_steps")})
    assert torch.equal(plain[0].weight, mine[0].weight)


def test_layers_take_options_of_their_own():
    layers = {"0": {"paradigm": "cxr", "blocks": 4, "classes": (1, 1, 2)}, "2": None, "4": {"deadline": 2.0, "estimator": "lmmse"}}
    model = coded(small(), CODE, WORKERS, 1.0, seed=1, layers=layers)
    assert (model[0].draws.scheme.paradigm, model[0].draws.scheme.shape) == ("cxr", (4,))
    assert type(model[2]) is nn.Linear
    assert (model[4].draws.scheme.deadline, model[4].layer) == (2.0, 2)  # numbered as if all were coded
    train(model, 2)
    back = coded(
        small(),
        CODE,
        WORKERS,
        1.0,
        seed=1,
        paradigm="cxr",
        blocks=5,
        classes=(1, 1, 3),
        layers={"0": {"paradigm": "rxc", "classes": (1, 2, 6)}},
    )
    assert back[0].draws.scheme.shape == (3, 3)


def test_layers_used_twice_and_inputs_of_more_dimensions():
    model = coded(Residual(), CODE, WORKERS, 2.0, seed=1, replica=2)
    x = torch.randn(4, 6, 12, generator=torch.Generator().manual_seed(1), requires_grad=True)
    model(x).square().sum().backward()
    assert x.grad.shape == x.shape
    assert (model.inner["a"].step, model.inner["b"].step) == (2, 1)  # each use is a product of its own


def test_batches_smaller_than_the_blocks():
    for paradigm in ("rxc", "cxr"):
        model = coded(small(), CODES["uncoded"][0], uep.Workers(9, latency=LATENCY, omega="fair"), 1e9, seed=1, paradigm=paradigm)
        exact = small()
        for n in (1, 2):
            x = torch.randn(n, 12, generator=torch.Generator().manual_seed(1))
            for m in (model, exact):
                m.zero_grad()
                m(x).square().sum().backward()
            for a, b in zip(model.parameters(), exact.parameters(), strict=True):
                np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("paradigm", "got"), [("rxc", "2x12 slices for 3x3 blocks"), ("cxr", "2 slices for 9 blocks")])
def test_batches_too_small_to_be_cut_are_told(paradigm, got):
    model = coded(nn.Sequential(nn.Linear(12, 10)), CODE, WORKERS, 1.0, seed=1, paradigm=paradigm, faithful=True)
    model(torch.ones(9, 12)).sum().backward()
    x = torch.ones(2, 12, requires_grad=paradigm == "rxc")
    with pytest.raises(ValueError, match=f"faithful=True needs at least as many slices as blocks, got {got}"):
        model(x).sum().backward()


def test_frozen_weights_and_missing_biases():
    model = nn.Sequential(nn.Linear(12, 12, bias=False), nn.Linear(12, 10))
    model[1].weight.requires_grad_(False)
    coded(model, CODE, WORKERS, 2.0, seed=1)
    model(torch.ones(9, 12)).sum().backward()
    assert model[1].weight.grad is None
    assert model[0].weight.grad.shape == (12, 12)


def test_a_layer_is_coded_wherever_it_is_registered():
    """Nothing is decoded at deadline 0, in whatever place the layer is used."""
    shared = nn.Linear(12, 12, bias=False)
    for model in (nn.Sequential(shared, nn.ReLU(), shared), nn.Linear(12, 12, bias=False)):
        coded(model, CODE, WORKERS, 0.0, seed=1)(torch.ones(9, 12)).sum().backward()
        assert all(isinstance(m, CodedLinear) for m in model.modules() if isinstance(m, nn.Linear))
        assert not any(p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("change", ["spectral_norm", "prune"])
def test_hooks_and_parameters_that_others_put_on_a_layer_stay(change):
    def changed():
        torch.manual_seed(0)
        layer = nn.Linear(12, 10)
        return nn.utils.spectral_norm(layer) if change == "spectral_norm" else prune.l1_unstructured(layer, "weight", 0.5)

    exact, mine = nn.Sequential(changed()), nn.Sequential(changed())
    seen = []
    mine[0].register_forward_hook(lambda module, *_: seen.append(module.step))
    coded(mine, CODES["uncoded"][0], uep.Workers(9, omega="fair"), math.inf, seed=1)
    x = torch.randn(9, 12)
    for model in (exact, mine):
        model(x).square().sum().backward()
    assert seen == [0]
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in exact.named_parameters()]
    for a, b in zip(mine.parameters(), exact.parameters(), strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=1e-4)


def test_small_gradients_are_left_out():
    code, count = CODES["uncoded"]
    layer = nn.Sequential(nn.Linear(12, 10))
    coded(layer, code, uep.Workers(count, omega="fair"), 1e9, seed=1, threshold=1.0)
    x, delta = torch.randn(9, 12), torch.linspace(-2, 2, 90).view(9, 10)
    layer(x).backward(delta)
    kept = torch.where(delta.abs() < 1.0, 0.0, delta)
    np.testing.assert_allclose(layer[0].weight.grad, kept.T @ x, atol=1e-5)
    np.testing.assert_allclose(layer[0].bias.grad, kept.sum(0), atol=1e-5)


def test_products_that_stay_exact_are_named_once():
    """The packed weight of attention is no nn.Linear; convolutions, embeddings and normalization multiply by no dense matrix."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.TransformerEncoderLayer(12, 2, 24)
            self.front = nn.Sequential(nn.Conv1d(2, 2, 3), nn.Embedding(5, 4), nn.LayerNorm((3, 4)))
            self.recurrent = nn.GRU(4, 3, bias=False)

    options = {"inner.self_attn.out_proj": None}
    with pytest.warns(UserWarning, match="stay exact") as caught:
        model = coded(Block(), CODE, WORKERS, 1.0, seed=1, layers=options)
    (message,) = (str(w.message) for w in caught)
    assert "inner.self_attn (MultiheadAttention: in_proj_weight), recurrent (GRU: weight_ih_l0, weight_hh_l0)." in message
    assert "front" not in message
    assert isinstance(model.inner.linear1, CodedLinear)
    coded(Block(), CODE, WORKERS, 1.0, seed=1, layers=options | {"inner.self_attn": None, "recurrent": None})
    with pytest.raises(ValueError, match=r"layers names 'recurrent', which is no nn\.Linear"):
        coded(Block(), CODE, WORKERS, 1.0, seed=1, layers=options | {"recurrent": {"deadline": 2.0}})


def test_there_may_be_any_number_of_layers():
    """Layers beyond 127 have the seed of their own that the layout says; those before keep their realizations."""
    model = coded(nn.Sequential(*(nn.Linear(3, 3) for _ in range(131))), CODE, WORKERS, 1.0, seed=2**64 - 1)
    assert [model[i].draws.scheme.seed for i in (0, 127)] == [2**64 - 1] * 2
    assert [model[i].draws.scheme.seed for i in (128, 130)] == [0x9E3779B97F4A7C14] * 2
    assert model[130].layer == 130
    model(torch.ones(9, 3)).sum().backward()
    assert {layer.step for layer in model} == {1}
    with pytest.raises(ValueError, match="at most 128 dense layers in a stack"):
        Stack(Network((3,), (3,) * 130), [Member(model[0].draws.scheme)], seed=1, rate=0.1)


def test_what_cannot_be_coded_is_told():
    def refused(message, model=None, **options):
        with pytest.raises(ValueError, match=message):
            coded(small() if model is None else model, CODE, WORKERS, 1.0, **{"seed": 1} | options)

    refused("no nn.Linear layer", nn.Sequential(nn.ReLU()))
    patched = small()
    patched[2].forward = patched[2].forward
    refused("layer '2' has a forward of its own", patched)
    assert type(patched[0]) is nn.Linear  # nothing is changed by halves
    refused("layers names '1', which is no nn.Linear of the model", layers={"1": None})
    refused(r"layers\['0'\] sets 'seed'", layers={"0": {"seed": 3}})
    refused("layer '0' is coded already", coded(small(), CODE, WORKERS, 1.0, seed=1))
    refused("replica must be an integer >= 0, got 1.5", replica=1.5)
    refused(r"layers must map names of layers to options or None, got \['0'\]", layers=["0"])
    refused(r"layers\['0'\] must be a mapping of options, or None to leave the layer exact, got 'none'", layers={"0": "none"})
    refused("model must be a torch.nn.Module, got 5", model=5)
    refused("replica must be in 0..65535", replica=2**16)
    refused("NonDynamicallyQuantizableLinear", nn.MultiheadAttention(12, 2))
    attention = coded(nn.MultiheadAttention(12, 2), CODE, WORKERS, 1.0, seed=1, layers={"out_proj": None, "": None})
    assert not any(isinstance(m, CodedLinear) for m in attention.modules())
    refused("classes must be sizes", classes=(1, 2))
