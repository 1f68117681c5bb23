"""The folder in which cases run: matrices, a store, specifications, and files that are not what their names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cases.specifications import SMALL
from uepgpu.commands.sweep import SweepOptions, run_sweep

__all__ = ["make_folder"]

STUDY = """
kind = "gradient-coding"
iterations = 5
realizations = 5
seed = 3
blocks = 6
step = 0.8
deadlines = { start = 0, stop = 6, step = 2 }
show = [4]
show_iterations = [5]

[workers]
count = 12
omega = 1.0

[data.heavy]
source = "multivariate-t"
rows = 60
columns = 3
degrees = 1.5
seed = 1

[data.mine]
source = "file"
path = "A.npy"
loss = "least-squares"
ridge = 0.5

[[series]]
label = "leverage"
scheme = { name = "replicated-sketch", fastest = 5 }

[[series]]
label = "exact"
scheme = "exact-gradient"
"""


def make_folder(folder: Path) -> Path:
    """Fill a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    A, B = rng.normal(size=(12, 9)), rng.normal(size=(9, 15))
    np.save(folder / "A.npy", A)
    np.save(folder / "B.npy", B)
    np.save(folder / "nan.npy", np.where(A > 1, np.nan, A))
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(folder / "both.npz", left=A, right=B)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 12), }\n"
    (folder / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    (folder / "folder").mkdir()
    for name in ("text.txt", "text.npy", "text.db"):
        (folder / name).write_text("a diary\n")
    for name in ("empty", "empty.npy"):
        (folder / name).write_bytes(b"")
    (folder / "link.npy").symlink_to("A.npy")
    (folder / "loop").symlink_to("loop")
    (folder / "spec.toml").write_text(SMALL)
    (folder / "study.toml").write_text(STUDY)
    options = SweepOptions(out=str(folder / "out"), store=str(folder / "store.db"), backend="numpy", realizations=500)
    assert run_sweep(str(folder / "spec.toml"), options) == 0
    return folder
