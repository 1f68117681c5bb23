"""Print the tables of docs/multiplication.md: what best linear estimates gain over zero-filling. Run python tools/lmmse_gain.py."""

from __future__ import annotations

import numpy as np

import uepgpu as uep
from uepgpu.sweep.spec import read_spec

REALIZATIONS, SEED = 1_000, 1
DEADLINES = {"paper": (0.15, 0.3, 0.45, 0.6, 0.75, 0.9), "fair": (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)}
VARIANCES = np.array([10, 1, 0.1])


def drawn(paradigm: str) -> uep.Partition:
    """Draw matrices from the model of both specifications, 180 x 180: the losses depend on the Gram matrix alone."""
    rng = np.random.default_rng(SEED)
    A, B = rng.normal(size=(2, 180, 180))
    scale = np.sqrt(np.repeat(VARIANCES, 60))
    if paradigm == "rxc":
        return uep.Partition.rxc(A * scale[:, None], B * scale, rows=3, cols=3, classes=(3, 3, 3), order=None)
    return uep.Partition.cxr(A * scale, B * scale[:, None], blocks=9, classes=(3, 3, 3), order=None)


def main() -> None:
    """Print one table per specification: zero-filled loss, and that of the estimates as a share of it."""
    parts = {paradigm: drawn(paradigm) for paradigm in ("rxc", "cxr")}
    for name, deadlines in DEADLINES.items():
        print(f"\n| `{name}` | " + " | ".join(f"t = {t:g}" for t in deadlines) + " |")
        print("| --- " * (len(deadlines) + 1) + "|")
        for point in read_spec(name, realizations=None, seed=None).points:
            cells = []
            for t in deadlines:
                call = {"deadline": t, "realizations": REALIZATIONS, "seed": SEED}
                part = parts[point.part.paradigm]
                zero = uep.multiply(part, point.code, point.workers, **call).normalized_loss.mean()
                best = [
                    uep.multiply(part, point.code, point.workers, decoder="lmmse", prior=prior, **call).normalized_loss.mean()
                    for prior in ("gram", "energy")
                ]
                share = "/".join(f"{100 * b / zero:.0f} %" if zero > 1e-12 else "-" for b in best)
                cells.append(f"{zero:.2g}: {share}")
            print(f"| {point.part.paradigm}, {point.series}, {point.workers.work} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
