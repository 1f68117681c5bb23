"""Short trainings on the digits."""

from __future__ import annotations

from uepgpu.train.course import Settings
from uepgpu.train.data import load_dataset

DATA = load_dataset("digits")


def settings(**changes):
    return Settings(**{"rate": 0.1, "batch": 64, "epochs": 20, "seed": 1, "evaluate_every": 50, "test_samples": 360} | changes)
