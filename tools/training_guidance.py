"""The table of optimizers, estimators and precisions in docs/training.md, on scikit-learn's handwritten digits.

``python tools/training_guidance.py`` trains a hundred and thirty small networks on one thread (about three minutes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

import uepgpu as uep
from uepgpu.train import coded
from uepgpu.train.data import Dataset, load_dataset
from uepgpu.train.networks import DIGITS

SEEDS = 5
STEPS = 450  # 20 epochs
BATCH = 64
DEADLINE = 0.5
GAMMA = (0.45, 0.35, 0.20)
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD, .02": lambda parameters: torch.optim.SGD(parameters, lr=0.02),
    "SGD, .1": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "Adam, .003": lambda parameters: torch.optim.Adam(parameters, lr=0.003),
}
LAW = uep.latency.Exponential(0.5)
CODES: dict[str, tuple[uep.codes.Code, uep.Workers]] = {
    "uncoded": (uep.codes.Uncoded(), uep.Workers(9, latency=LAW, omega=1.0, work="unit")),
    "EW": (uep.codes.ExpandingWindow(GAMMA), uep.Workers(15, latency=LAW, omega=0.6, work="unit")),
    "NOW factored": (
        uep.codes.NonOverlappingWindow(GAMMA, encoding="factored"),
        uep.Workers(15, latency=LAW, omega=0.6, work="unit"),
    ),
}
"""The same capacity for all: Ω = 9/W."""


def train(
    data: Dataset, optimizer: str, code: str | None, estimator: Any, seed: int, *, compiled: bool = False, bf16: bool = False
) -> float:
    """Train the network of the digits, 64-100-200-10, and return its test accuracy."""
    model: Any = DIGITS.build(seed=1, replica=seed)
    if code is not None:
        chosen, workers = CODES[code]
        coded(model, chosen, workers, DEADLINE, seed=1, replica=seed, estimator=estimator)
    x, y, x_test, y_test = (torch.from_numpy(a) for a in (data.train_x, data.train_y, data.test_x, data.test_y))
    run = torch.compile(model, fullgraph=True) if compiled else model
    steps = OPTIMIZERS[optimizer](model.parameters())
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        batch = torch.randint(len(x), (BATCH,), generator=generator)
        steps.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(run(x[batch]).float(), y[batch])
        loss.backward()
        steps.step()
    with torch.no_grad():
        return float((model(x_test).argmax(1) == y_test).float().mean())


def shown(accuracies: list[float]) -> str:
    """Return mean ± standard deviation over the seeds."""
    return f"{np.mean(accuracies):.3f} ± {np.std(accuracies, ddof=1):.3f}".replace("0.", ".")


def main() -> None:
    """Print the table, and what precisions and compilation change."""
    torch.set_num_threads(1)
    data = load_dataset("digits")

    def row(*names: Any, **options: bool) -> str:
        return shown([train(data, *names, seed, **options) for seed in range(SEEDS)])

    print("| code, estimator |", " | ".join(OPTIMIZERS), "|")
    print("| --- |", " | ".join("---" for _ in OPTIMIZERS), "|")
    print("| exact |", " | ".join(row(optimizer, None, "zero") for optimizer in OPTIMIZERS), "|")
    for code in CODES:
        # A packet of one sub-product tells nothing of others, so "lmmse" is "zero" there.
        for estimator in ("zero", "debiased", "lmmse") if code == "EW" else ("zero", "debiased"):
            print(
                f"| {code}, {estimator} |", " | ".join(row(optimizer, code, estimator) for optimizer in OPTIMIZERS), "|", flush=True
            )
    print(f"\nAdam, EW, zero, bf16: {row('Adam, .003', 'EW', 'zero', bf16=True)}")
    for seed, bf16 in ((0, False), (1, False), (0, True)):
        pair = [train(data, "Adam, .003", "EW", "zero", seed, compiled=compiled, bf16=bf16) for compiled in (False, True)]
        print(f"seed {seed}, bf16 {bf16}: eager {pair[0]:.4f}, compiled {pair[1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
