"""Coded layers under torch.func, vmap and torch.compile: the gradients of eager steps, or a refusal that names uepgpu."""

from __future__ import annotations

import gc
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, stack_module_state, vmap

import uepgpu as uep
from tests.cases.masks import LATENCY
from uepgpu.train import coded

WORKERS = uep.Workers(9, latency=LATENCY, omega="fair")
X = torch.randn(18, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
OPTIONS = [{}, {"paradigm": "cxr"}, {"estimator": "lmmse"}, {"importance": "step"}, {"faithful": True}, {"threshold": 0.5}]


def plain(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 15), nn.ReLU(), nn.Linear(15, 10)).to(dtype)


def model(deadline=math.inf, dtype=torch.float64, **options):
    return coded(plain(dtype), uep.codes.Uncoded(), WORKERS, deadline, seed=1, **options)


def steps(module):
    return [module[0].step, module[2].step]


def loss_of(module):
    return lambda parameters, x: functional_call(module, parameters, (x,)).square().sum()


def gradients(module, x=X):
    module.zero_grad()
    module(x).square().sum().backward()
    return {name: p.grad.clone() for name, p in module.named_parameters()}


def same(one, other, tolerance=1e-12):
    assert one.keys() == other.keys()
    assert any(g.abs().max() > 0.1 for g in other.values())
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=tolerance)


# --- torch.func -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_functional_gradients_are_those_of_backward(options):
    mine, eager = model(1.0, **options), model(1.0, **options)
    for step in range(4):
        same(grad(loss_of(mine))(dict(mine.named_parameters()), X), gradients(eager))
        assert steps(mine) == steps(eager) == [step + 1] * 2


def test_per_sample_gradients_take_a_step_a_sample():
    """In order: they are the gradients of batches of one, one after another."""
    mine, eager = model(2.0, paradigm="cxr"), model(2.0, paradigm="cxr")
    found = vmap(grad(loss_of(mine)), in_dims=(None, 0))(dict(mine.named_parameters()), X)
    each = [gradients(eager, x) for x in X]
    same(found, {name: torch.stack([g[name] for g in each]) for name in found})
    assert steps(mine) == steps(eager) == [18, 18]


def test_per_sample_gradients_are_pytorchs_where_everything_is_decoded():
    one, other = model(), plain()
    found, expected = (vmap(grad(loss_of(m)), in_dims=(None, 0))(dict(m.named_parameters()), X) for m in (one, other))
    same(found, expected)


def test_backward_passes_of_a_mapped_model():
    one, other = model(), plain()
    for m in (one, other):
        vmap(m, in_dims=1)(X.T).square().sum().backward()
    same({n: p.grad for n, p in one.named_parameters()}, {n: p.grad for n, p in other.named_parameters()})
    assert torch.allclose(jacrev(one)(X[0]), jacrev(other)(X[0]))
    assert steps(one) == [28, 28]  # a step for each of 18 samples, then for each of 10 outputs


def test_members_of_an_ensemble_have_counters_of_their_own():
    members = [model(1.0) for _ in range(3)]
    for layer in (members[1][0], members[1][2]):
        layer.coded_steps.fill_(5)
    parameters, buffers = stack_module_state(members)

    def loss(parameters, buffers, x):
        return functional_call(members[0], (parameters, buffers), (x,)).square().sum()

    found = vmap(grad(loss), in_dims=(0, 0, None))(parameters, buffers, X)
    for number, member in enumerate(members):
        same({name: g[number] for name, g in found.items()}, gradients(member))
    assert {name: held.tolist() for name, held in buffers.items()} == {"0.coded_steps": [1, 6, 1], "2.coded_steps": [1, 6, 1]}


# --- graphs -----------------------------------------------------------------------------------------------------------

# PyTorch's own, while it traces any function of autograd or derivative in forward mode.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_compiled_graphs_take_the_same_steps(options):
    torch.compiler.reset()
    mine, eager = model(1.0, **options), model(1.0, **options)
    compiled = torch.compile(mine, fullgraph=True, backend="aot_eager")
    for _ in range(3):
        eager.zero_grad()
        mine.zero_grad()
        for module in (eager, compiled):
            (module(X).square().sum() + module(X + 1).sum()).backward()  # two forward passes before a backward pass
        same(*({name: p.grad for name, p in m.named_parameters()} for m in (mine, eager)))
        assert steps(mine) == steps(eager)
    assert steps(mine) == [6, 6]


def test_compiled_graphs_under_autocast_and_with_frozen_weights():
    torch.compiler.reset()
    mine, eager = model(1.0, torch.float32), model(1.0, torch.float32)
    for m, module in ((mine, torch.compile(mine, fullgraph=True, backend="aot_eager")), (eager, eager)):
        m[2].weight.requires_grad_(False)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = module(X.float())
        y.float().square().sum().backward()
    assert mine[2].weight.grad is None
    for name in ("0.weight", "0.bias", "2.bias"):
        assert torch.equal(mine.get_parameter(name).grad, eager.get_parameter(name).grad)
    assert mine[0].weight.grad.dtype == torch.float32
    assert mine[0].weight.grad.any()


def test_a_layer_used_twice_in_a_graph_takes_two_steps():
    torch.compiler.reset()
    torch.manual_seed(0)
    square = coded(nn.Sequential(nn.Linear(12, 12)).double(), uep.codes.Uncoded(), WORKERS, 1.0, seed=1)
    torch.compile(lambda x: square(square(x)) + square(x) + square(x), fullgraph=True, backend="aot_eager")(X).sum().backward()
    assert square[0].step == 4


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_second_and_forward_mode_derivatives_are_refused_by_name():
    mine = model(1.0)
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mine(x).square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match=r"uepgpu has no second derivatives of coded layers.* layers=\{name: None\}"):
        gradient.square().sum().backward()
    with pytest.raises(NotImplementedError, match="uepgpu has no second derivatives"):
        grad(lambda z: grad(lambda y: mine(y).square().sum())(z).sum())(X[0])
    for transform in (jacfwd, hessian):
        with pytest.raises(NotImplementedError, match="uepgpu codes backward products: a coded layer has no forward-mode"):
            transform(lambda z: mine(z).square().sum())(X[0])


def test_graphs_that_would_be_exact_are_refused_or_said():
    with pytest.raises(RuntimeError, match=r"uepgpu: a graph of torch\.fx\.symbolic_trace would leave the products"):
        torch.fx.symbolic_trace(model(0.0))
    with pytest.warns(UserWarning, match="uepgpu: exported graphs leave the products of coded layers exact"):
        torch.export.export(model(0.0), (X,))


def test_a_graph_whose_model_is_gone_says_so():
    traced = torch.jit.trace(model(0.0), X)
    gc.collect()
    assert torch.allclose(traced(X), plain()(X))
    with pytest.raises(RuntimeError, match="uepgpu: the coded layer behind this graph is gone"):
        traced(X).sum().backward()
