"""Under the simulator every kernel tallies the integers of the NumPy backend."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.descents import SCHEMES

SCRIPT = Path(__file__).with_name("simulated.py")

NINE = [
    ("ew", "now cxr true work"),
    ("mds", "ew fixed"),
    ("level-pair", "max-rectangle"),
    ("uncoded", "speeds fixed", "lossy uncoded", "ew class 3 never"),
    ("lt", "windows gf2"),
    ("windows", "windows gf256"),
    ("generator", "generator sums", "speeds"),
    ("racks", "slow racks fixed", "racks uncoded"),
    ("trace", "trace true work"),
    ("trace shuffled", "trace uncoded"),
    ("messages", "messages uncoded", "many messages"),
]
OTHERS = [
    ("one sub-product", "one packet", "two sub-products"),
    ("eight classes", "eight classes now"),
    ("K = 33", "K = 33 windows"),
    ("K = 64",),
    ("K = 64 lt", "K = 64 windows"),
    ("W = 254", "W = 256"),
    ("sixty racks",),
    ("trace of sixty",),
]
LAUNCHED = [("ew",), ("ew fixed", "lt"), ("one sub-product", "generator")]


def simulated(todo, count, names):
    arguments = [sys.executable, str(SCRIPT), todo, str(count), *names]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("todo, count", [("tallies", 67)])
@pytest.mark.parametrize("names", NINE, ids=lambda names: names[0])
def test_simulated_tallies_are_those_of_numpy(numba_cuda, todo, count, names):
    result = simulated(todo, count, names)
    assert result["differ"] == []
    assert result["ran"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize("todo, count", [("tallies", 33)])
@pytest.mark.parametrize("names", OTHERS, ids=lambda names: names[0])
def test_simulated_tallies_of_any_size_are_those_of_numpy(numba_cuda, todo, count, names):
    result = simulated(todo, count, names)
    assert result["differ"] == []
    assert result["ran"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize("todo, count", [("launches", 67)])
@pytest.mark.parametrize("names", LAUNCHED, ids=lambda names: names[0])
def test_tallies_do_not_depend_on_launch_geometry_splits_or_devices(numba_cuda, todo, count, names):
    result = simulated(todo, count, names)
    assert result["differ"] == []
    assert result["ran"] >= 24


def test_draws_of_gradient_coding_are_those_of_numpy(numba_cuda):
    result = simulated("descents", 7, list(SCHEMES))
    assert result["differ"] == []
    assert result["ran"] == 6 * len(SCHEMES)
