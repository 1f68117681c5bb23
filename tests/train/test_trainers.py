"""The recipes of docs/training.md for Lightning and Accelerate train as a loop of one's own does, and log the simulated time.

They run where these are installed; UEPGPU_REQUIRE_TRAINERS=1 makes them fail elsewhere.
"""

from __future__ import annotations

import copy
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import uepgpu as uep
from tests.cases.documents import blocks
from tests.cases.requirements import missing
from uepgpu.train import coded, simulated_time

BATCH, SAMPLES, DEADLINE = 64, 1400, 0.5
STEPS = -(-SAMPLES // BATCH)


@pytest.fixture
def names() -> dict[str, Any]:
    """What the page has made before its recipes: data, a coded model, functions."""
    torch.manual_seed(3)
    x, y = torch.rand(SAMPLES, 16), torch.arange(SAMPLES) % 10
    x[torch.arange(SAMPLES), y] += 1.0  # which makes the classes easy to tell apart
    model = torch.nn.Sequential(torch.nn.Linear(16, 20), torch.nn.ReLU(), torch.nn.Linear(20, 10))
    code, workers = uep.codes.ExpandingWindow((0.45, 0.35, 0.20)), uep.Workers(15, work="unit")
    coded(model, code, workers, deadline=DEADLINE, seed=1)
    return {"torch": torch, "x": x, "y": y, "model": model, "simulated_time": simulated_time, "__name__": "__page__"}


def recipe(module: str) -> str:
    (text,) = (b.text for b in blocks("docs/training.md") if b.language == "python" and f"import {module}\n" in b.text)
    return text


def trained_by_hand(names: dict[str, Any]) -> list[torch.Tensor]:
    model = copy.deepcopy(names["model"])
    adam = torch.optim.Adam(model.parameters(), lr=0.003)
    for first in range(0, SAMPLES, BATCH):
        adam.zero_grad()
        x, y = names["x"][first : first + BATCH], names["y"][first : first + BATCH]
        torch.nn.functional.cross_entropy(model(x), y).backward()
        adam.step()
    assert simulated_time(model) == STEPS * DEADLINE
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize("module", ["lightning", "accelerate"])
def test_a_trainer_trains_as_a_loop_does(
    module: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec(module) is None:
        missing(f"{module} is not installed", "UEPGPU_REQUIRE_TRAINERS")
    monkeypatch.chdir(tmp_path)  # Lightning writes its logs and checkpoints there
    expected = trained_by_hand(names)
    before = [p.detach().clone() for p in names["model"].parameters()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what others warn of
        exec(compile(recipe(module), "docs/training.md", "exec"), names)
    for found, wanted, start in zip(names["model"].parameters(), expected, before, strict=True):
        assert torch.equal(found, wanted)
        assert not torch.equal(found, start)
    assert simulated_time(names["model"]) == STEPS * DEADLINE
    if module == "lightning":
        assert float(names["trainer"].callback_metrics["simulated_time"]) == STEPS * DEADLINE


def test_a_plain_model_has_no_simulated_time() -> None:
    with pytest.raises(ValueError, match="model has no coded layers"):
        simulated_time(torch.nn.Linear(3, 3))


def test_the_layer_that_waited_longest_counts(names: dict[str, Any]) -> None:
    model = names["model"]
    assert simulated_time(model) == 0.0
    model[2](torch.ones(2, 20)).sum().backward()
    model[2](torch.ones(2, 20)).sum().backward()
    model(torch.ones(2, 16)).sum().backward()
    assert [model[0].step, model[2].step] == [1, 3]
    assert simulated_time(torch.nn.ModuleDict({"inner": model})) == 3 * DEADLINE
