"""Stacks train as their members would one after another, and as PyTorch does where everything is decoded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.cases.masks import scheme
from uepgpu.train import Member, Scheme, Stack, coded
from uepgpu.train.draws import CHUNK, Draws, StackDraws
from uepgpu.train.networks import CIFAR10, MNIST, NETWORKS, Network

SMALL = Network((20,), (20, 15, 12, 10))
IMAGES = Network((2, 8, 8), (27, 14, 10), convolutions=((4, 1), (3, 0)))


def samples(network, members, batch, steps, seed=3):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        x = torch.from_numpy(rng.normal(size=(members, batch, *network.shape)))
        yield x, torch.from_numpy(rng.integers(0, 10, size=(members, batch)))


def one_after_another(network, members, batches, seed, rate):
    """Train each member by itself with the drop-in layer, PyTorch's autograd and PyTorch's optimizer."""
    batches = list(batches)
    found = []
    for r, member in enumerate(members):
        model = network.build(seed=seed, replica=member.replica).double()
        s = member.scheme
        if s is not None:
            options = {k: getattr(s, k) for k in ("paradigm", "order", "importance", "estimator", "p_min", "threshold", "faithful")}
            coded(model, s.code, s.workers, s.deadline, seed=s.seed, replica=member.replica, **options)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[r]), y[r]).backward()
            optimizer.step()
        found.append([p.detach().numpy().copy() for p in model.parameters()])
    return found


def doubled(stack):
    """In float64, so that rounding does not decide which of two nearly equal slices falls into which block."""
    stack.weights, stack.biases = ([t.double() for t in held] for held in (stack.weights, stack.biases))
    if stack.front is not None:
        stack.front.parameters = [p.detach().double().requires_grad_() for p in stack.front.parameters]
    return stack


def parameters(stack, r):
    front = [] if stack.front is None else [p.detach().chunk(len(stack.members))[r] for p in stack.front.parameters]
    dense = [t for w, b in zip(stack.weights, stack.biases, strict=True) for t in (w[r], b[r, 0])]
    return [p.numpy().copy() for p in (*front, *dense)]


def check(network, members, steps=4, batch=18, rate=0.1, tolerance=1e-8):
    stack = doubled(Stack(network, members, seed=11, rate=rate))
    begin = parameters(stack, 0)
    for x, y in samples(network, len(members), batch, steps):
        stack.train(x, y)
    expected = one_after_another(network, members, samples(network, len(members), batch, steps), 11, rate)
    for r in range(len(members)):
        for mine, theirs in zip(parameters(stack, r), expected[r], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(begin, parameters(stack, 0), strict=True))
    return stack


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"order": None},
        {"order": "mean_abs"},
        {"estimator": "debiased"},
        {"threshold": 0.01},
        {"importance": "step"},
        {"estimator": "lmmse"},
        {"faithful": True},
    ],
    ids=lambda o: "-".join(map(str, o.values())) or "plain",
)
def test_a_stack_trains_as_its_members_one_after_another(paradigm, options):
    if not options:
        codes = ["ew", "now", "uncoded", "mds", "repetition", *(["ew-factored"] if paradigm == "rxc" else [])]
    else:
        codes = ["ew", "now"]
    members = [Member(scheme(c, 2.0, paradigm=paradigm, seed=i, **options), replica=i % 3) for i, c in enumerate(codes)]
    # Estimates mix tiles by the places of slices. From the third step on a neuron is dead: rounding alone gives its slice a place.
    check(SMALL, [*members, Member(None, 5)], steps=2 if options.get("estimator") == "lmmse" else 4)


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_convolutions_in_front_train_along(paradigm):
    check(IMAGES, [Member(scheme("ew", 2.0, paradigm=paradigm), r) for r in range(3)] + [Member(None, 0)])


def test_exact_members_train_as_pytorch_does():
    check(MNIST, [Member(None, 0), Member(None, 1)], rate=0.01, steps=2)


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_devices_that_mask_instead_train_alike(paradigm, monkeypatch):
    from uepgpu.train import replicas

    members = [Member(scheme(c, 2.0, paradigm=paradigm, blocks=b), 0) for c, b in (("ew", None), ("uncoded", None))]
    compiled = check(SMALL, members)
    monkeypatch.setattr(replicas, "fits", lambda *tensors: False)
    masked = check(SMALL, members)
    for mine, theirs in zip(parameters(compiled, 0), parameters(masked, 0), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-9)


def test_tables_that_are_not_symmetric_are_flipped_for_weight_gradients(monkeypatch):
    from uepgpu.train import replicas

    base = scheme("ew", 2.0)
    table = [[1, 1, 2, 2], [2, 3, 3, 3]]
    s = Scheme(base.code, base.workers, 2.0, blocks=(2, 4), classes=table)
    draw = list(samples(SMALL, 1, 18, 3))
    model = SMALL.build(seed=11, replica=0).double()
    coded(model, s.code, s.workers, 2.0, seed=s.seed, blocks=(2, 4), classes=table)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in draw:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[0]), y[0]).backward()
        optimizer.step()
    for compiled in (True, False):
        with monkeypatch.context() as patch:
            if not compiled:
                patch.setattr(replicas, "fits", lambda *tensors: False)
            stack = doubled(Stack(SMALL, [Member(s)], seed=11, rate=0.1))
            for x, y in draw:
                stack.train(x, y)
            np.testing.assert_allclose(stack.weights[0][0], model[0].weight.detach(), rtol=0, atol=1e-9)


def test_members_do_not_depend_on_the_stack_they_are_in():
    members = [Member(scheme("ew", 1.0, seed=4), r) for r in range(4)]
    batches = list(samples(SMALL, 4, 18, 5))
    together = doubled(Stack(SMALL, members, seed=1, rate=0.1))
    alone = doubled(Stack(SMALL, members[2:3], seed=1, rate=0.1))
    for x, y in batches:
        together.train(x, y)
        alone.train(x[2:3], y[2:3])
    for mine, theirs in zip(parameters(together, 2), parameters(alone, 0), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-9)


def test_a_state_goes_on_as_if_uninterrupted():
    for network in (SMALL, IMAGES):
        members = [Member(scheme("ew", 1.0), r) for r in range(3)]
        batches = list(samples(network, 3, 18, 6))
        whole, half = (Stack(network, members, seed=1, rate=0.1) for _ in range(2))
        for x, y in batches:
            whole.train(x.float(), y)
        for x, y in batches[:3]:
            half.train(x.float(), y)
        again = Stack(network, members, seed=99, rate=0.1)
        again.restore(half.state())
        for x, y in batches[3:]:
            again.train(x.float(), y)
        for r in range(3):
            for mine, theirs in zip(parameters(again, r), parameters(whole, r), strict=True):
                assert np.array_equal(mine, theirs)


def test_what_a_stack_must_share_is_told():
    a, b = scheme("ew", 1.0), scheme("ew", 1.0, paradigm="cxr")
    with pytest.raises(ValueError, match="must share paradigm, got 'rxc' and 'cxr'"):
        Stack(SMALL, [Member(a), Member(b)], seed=1, rate=0.1)
    with pytest.raises(ValueError, match="at least one"):
        Stack(SMALL, [], seed=1, rate=0.1)


def test_networks_are_those_of_the_paper():
    shapes = {name: [tuple(p.shape) for p in n.build(seed=0, replica=0).parameters()] for name, n in NETWORKS.items()}
    assert shapes["mnist"] == [(100, 784), (100,), (200, 100), (200,), (10, 200), (10,)]
    assert shapes["cifar10"] == [
        (32, 3, 3, 3),
        (32,),
        (32, 32, 3, 3),
        (32,),
        (512, 7200),
        (512,),
        (256, 512),
        (256,),
        (10, 256),
        (10,),
    ]
    assert CIFAR10.build(seed=0, replica=0)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    before = torch.random.get_rng_state()
    one, other = (MNIST.build(seed=1, replica=r)[0].weight for r in (0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)  # nobody else's random numbers are touched
    assert not torch.equal(one, other)
    assert torch.equal(one, MNIST.build(seed=1, replica=0)[0].weight)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_initial_weights_are_those_published(name):
    """N(0, 2/(inputs + outputs)) and zero biases, in a model for coded() as in a stack; within 4 standard errors."""
    network = NETWORKS[name]
    model = network.build(seed=1, replica=2)
    for layer in model:
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            size = layer.weight[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
            w = layer.weight.detach().double() * np.sqrt(size * sum(layer.weight.shape[:2]) / 2)
            n = w.numel()
            assert abs(float(w.mean())) < 4 / np.sqrt(n)
            assert abs(float((w**2).mean()) - 1) < 4 * np.sqrt(2 / n)
            assert abs(float((w**4).mean()) - 3) < 4 * np.sqrt(96 / n)  # normal, not uniform: 1.8
            assert not layer.bias.any()
    stack = Stack(network, [Member(None, 1), Member(None, 2)], seed=1, rate=0.1)
    for weight, bias, layer in zip(
        stack.weights, stack.biases, (layer for layer in model if isinstance(layer, nn.Linear)), strict=True
    ):
        assert torch.equal(weight[1], layer.weight)
        assert not bias.any()


def test_pytorchs_initial_weights_can_be_had():
    torch.manual_seed(5)
    bound = 1 / np.sqrt(784)
    weight = replace(MNIST, init="pytorch").build(seed=1, replica=0)[0].weight.detach()
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    with pytest.raises(ValueError, match="init must be one of 'glorot-normal', 'pytorch', got 'zeros'"):
        Network((20,), (20, 10), init="zeros")


class Transfers(TorchDispatchMode):
    """Counts the copies between the host and a device, for which PyTorch's own without memory stands."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        held = [x for x in (*args, result) if isinstance(x, torch.Tensor) and x.ndim]
        if len({x.device for x in held}) > 1:
            self.sizes.append(held[0].numel())
        return result


@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
@pytest.mark.parametrize("network", [SMALL, IMAGES])
def test_steps_on_a_device_wait_for_nothing_and_send_factors_many_at_once(network, paradigm):
    # Whatever reads a tensor of the device named "meta" raises: it has no values.
    stack = Stack(network, [Member(scheme("ew", 1.0, paradigm=paradigm), r) for r in range(3)], seed=1, rate=0.1, device="meta")
    x, y = torch.empty(3, 18, *network.shape, device="meta"), torch.empty(3, 18, dtype=torch.int64, device="meta")
    stack.train(x, y)  # labels of blocks, which later steps have, are sent too
    for step, products in ((1, 0), (CHUNK, 2 * len(stack.weights) - (stack.front is None))):
        stack.step = step
        with Transfers() as transfers:
            for _ in range(3):
                correct = stack.train(x, y)
        assert correct.shape == (3,)
        assert transfers.sizes == [CHUNK * 3 * 9] * products


def test_factors_sent_to_a_device_are_those_of_the_host():
    draws = StackDraws([Draws(scheme("ew", 1.0), r) for r in range(2)], 9)
    for dtype, held in ((torch.float64, torch.float64), (torch.float32, torch.float32), (torch.bfloat16, torch.float32)):
        for slot, step in ((0, 3), (1, 3), (0, CHUNK + 3), (0, 4)):
            found = draws.factors(slot, step, torch.empty(0, dtype=dtype))
            assert found.dtype == held
            np.testing.assert_allclose(found.numpy(), draws.weights(slot, step), rtol=1e-7)
