"""The counter of steps goes wherever a layer goes: saved, copied, cast, moved, shared, sharded; or a refusal names uepgpu."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import distributed, nn

import uepgpu as uep
from tests.cases.masks import LATENCY
from uepgpu.train import CodedLinear, coded

WORKERS = uep.Workers(9, latency=LATENCY, omega="fair")


def model(**options):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(12, 15), nn.ReLU(), nn.Linear(15, 10))
    return coded(plain, uep.codes.Uncoded(), WORKERS, 1.0, seed=1, **options)


def gradients(module, passes=1):
    for _ in range(passes):
        module.zero_grad()
        module(torch.ones(18, 12)).square().sum().backward()
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


def steps(module):
    return [layer.step for layer in module.modules() if isinstance(layer, CodedLinear)]


def goes_on_alike(one, other, taken=2):
    """Both have taken so many steps, and take the same next ones, each by itself."""
    assert steps(one) == steps(other) == [taken] * 2
    for _ in range(3):
        mine, theirs = gradients(one), gradients(other)
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
        assert any(g.any() for g in mine)
    gradients(one)
    assert (steps(one), steps(other)) == ([taken + 4] * 2, [taken + 3] * 2)


def through_torch_save(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def through_a_state_dict(module, **options):
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = model()
    other.load_state_dict(torch.load(file, weights_only=True), **options)
    return other


def averaged(module):
    result = torch.optim.swa_utils.AveragedModel(model())
    result.update_parameters(module)
    return result


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "torch.save": through_torch_save,
    "state_dict": through_a_state_dict,
    "assigned state_dict": lambda m: through_a_state_dict(m, assign=True),
    "averaged": averaged,
    "parametrized": lambda m: copy.deepcopy(nn.utils.parametrizations.weight_norm(m[0]) and m),
    "to_empty": lambda m: through_a_state_dict(m).to_empty(device="cpu"),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_go_on_alike_and_by_themselves(how):
    one = model()
    gradients(one, 2)
    other = COPIES[how](one)
    if how in ("averaged", "to_empty"):  # that lose weights, not the counter
        other.load_state_dict({f"module.{k}" if how == "averaged" else k: v for k, v in one.state_dict().items()}, strict=False)
    goes_on_alike(one, other)


@pytest.mark.parametrize(
    "move",
    [
        lambda m: m.half().float(),
        lambda m: m.to(torch.bfloat16).float(),
        lambda m: m.type(torch.float16).float(),  # casts integers too: beyond 2,048 nothing would be counted
        lambda m: m.double().float(),
        lambda m: m.cpu(),
        lambda m: m.share_memory(),
        lambda m: m.requires_grad_(True).train(),
    ],
    ids=["half", "bfloat16", "type", "double", "cpu", "shared", "train"],
)
def test_moves_and_casts_keep_the_counter(move):
    one = model()
    gradients(one)
    for layer in (one[0], one[2]):
        layer.coded_steps.fill_(2**40 - 5)
    move(one)
    assert steps(one) == [2**40 - 5] * 2
    assert {layer.coded_steps.dtype for layer in (one[0], one[2])} == {torch.int64}
    gradients(one)
    assert steps(one) == [2**40 - 4] * 2


def test_layers_made_on_the_meta_device_begin_at_zero():
    with torch.device("meta"):
        one = model()
    assert one[0].coded_steps.is_meta
    one.to_empty(device="cpu")
    assert steps(one) == [0, 0]
    one.load_state_dict({k: v for k, v in model().state_dict().items() if not k.endswith("coded_steps")})
    gradients(one, 2)
    one[0].reset_parameters()
    assert steps(one) == [0, 2]


def test_a_counter_of_another_type_is_refused_by_name():
    """As in a state dict that was cast as a whole."""
    one = model()
    state = {name: tensor.half() for name, tensor in one.state_dict().items()}
    for options in ({}, {"assign": True}, {"strict": False}):
        with pytest.raises(RuntimeError, match=r"uepgpu: 0\.coded_steps must be int64 of shape \(\), got torch\.float16"):
            one.load_state_dict(state, **options)


def test_state_dicts_hold_tensors_alone():
    state = model().state_dict()
    assert sorted(state) == ["0.bias", "0.coded_steps", "0.weight", "2.bias", "2.coded_steps", "2.weight"]
    assert all(isinstance(value, torch.Tensor) for value in state.values())


def test_safetensors_take_a_coded_model(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed: pip install safetensors")
    one, other = model(), model()
    gradients(one, 2)
    safetensors.save_model(one, tmp_path / "model.safetensors")
    safetensors.load_model(other, tmp_path / "model.safetensors")
    goes_on_alike(one, other)


def test_peft_takes_a_coded_model(tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed: pip install peft")
    one = peft.get_peft_model(model(), peft.LoraConfig(target_modules=["0"], modules_to_save=["2"]))
    gradients(one, 3)
    one.save_pretrained(tmp_path)
    other = peft.PeftModel.from_pretrained(model(), tmp_path, is_trainable=True)
    assert max(steps(other)) == max(steps(one)) == 3  # that of the layer that is saved


def test_dataparallel_is_refused_by_name():
    """Where there is one device or none, DataParallel calls the model itself; replicas are made by this method."""
    with pytest.raises(RuntimeError, match=r"uepgpu: torch\.nn\.DataParallel cannot train coded layers.* DistributedDataParallel"):
        model()[0]._replicate_for_data_parallel()


@pytest.fixture
def group(tmp_path):
    distributed.init_process_group("gloo", store=distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield distributed.init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def test_distributed_data_parallel_counts(group):
    one, other = model(), model()
    gradients(one, 2)
    wrapped = nn.parallel.DistributedDataParallel(other)
    gradients(wrapped, 2)
    assert steps(wrapped) == [2, 2]
    goes_on_alike(one, other)


def test_sharded_weights_train(group):
    """FSDP frees the memory of gathered weights, which NumPy must not have pinned."""
    from torch.distributed.fsdp import fully_shard

    one, other = model(), model()
    for module in (one[0], one[2], one):
        fully_shard(module, mesh=group)
    for _ in range(3):
        mine, theirs = gradients(one), gradients(other)
        assert all(torch.equal(a.to_local(), b) for a, b in zip(mine, theirs, strict=True))
    assert steps(one) == [3, 3]
    assert type(one.state_dict()["0.coded_steps"]) is torch.Tensor


def test_weights_that_devices_share_are_refused_by_name(group):
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    one = parallelize_module(model(), group, {"0": ColwiseParallel()})
    with pytest.raises(RuntimeError, match="uepgpu: coded layers multiply plain tensors, got DTensor and DTensor"):
        one(torch.ones(18, 12))
