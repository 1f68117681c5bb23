"""A small store that tests of figures, reports and replays share: codes with and without closed forms, both domains."""

from __future__ import annotations

from pathlib import Path

import pytest

from uepgpu.commands.sweep import SweepOptions, run_sweep

SPEC = """
title = "EW & <others> at \\"W\\" = 12"
realizations = 3000
seed = 7
deadlines = [0, 0.3, 1, 3, 9]
show = [0.3, 1]
gamma = [0.40, 0.35, 0.25]

[workers]
count = 12
omega = "fair"
work = ["unit", "true"]

[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]

[[series]]
label = "EW </script><b>bold</b>"
code = "ew"

[[series]]
label = "MDS"
code = "mds"

[[series]]
label = "nested"
code = { name = "ew", encoding = "factored", window = "nested" }

[[series]]
label = "uncoded"
code = "uncoded"
workers = { count = 9 }
"""
EW = "EW </script><b>bold</b>"


def make_store(folder: Path, spec: str = SPEC, name: str = "mine", store: str = "store.db") -> Path:
    """Run a specification into a store of that folder, and return it."""
    (folder / f"{name}.toml").write_text(spec, encoding="utf-8")
    options = SweepOptions(out=str(folder / "out"), store=str(folder / store), backend="numpy")
    assert run_sweep(str(folder / f"{name}.toml"), options) == 0
    return folder / store


def shared_store(factory: pytest.TempPathFactory) -> Path:
    """Return the store of :data:`SPEC`, made by whichever test of this run comes first; it must not be changed."""
    folder = factory.getbasetemp() / "shared-store"
    if not folder.exists():
        folder.mkdir()
        make_store(folder)
    return folder / "store.db"
