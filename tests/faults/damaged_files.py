"""Damage to the files that are read besides stores: matrices, tallies, what a training keeps, data sets, tables.

``python -m tests.faults.damaged_files --times 400``: bits flipped, ends cut off, bytes put in. A reader returns, or it raises a
``ValueError`` of one line; where the format has a checksum it returns nothing but what was written.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import uepgpu as uep
from tests.faults.tally import OTHER, RAISED, WRONG, Row, script
from uepgpu import gradient_coding

Reader = Callable[[], Any]
ROWS = np.random.default_rng(1).normal(size=(12, 9))


def _matrix(file: Path) -> Reader:
    return lambda: uep.Partition.rxc(file, np.ones((9, 15)), rows=3, cols=3, classes=(3, 3, 3)).gram.tolist()


def files(folder: Path) -> Iterator[tuple[str, Path, Reader, bool]]:
    """Yield what each file is, where it is, what reads it, and whether its format has a checksum."""
    np.save(folder / "A.npy", ROWS)
    yield "a matrix (.npy)", folder / "A.npy", _matrix(folder / "A.npy"), False
    np.savez_compressed(folder / "A.npz", ROWS)
    yield "a matrix (.npz)", folder / "A.npz", _matrix(folder / "A.npz"), True
    part = uep.Partition.model("rxc", left_variances=(10, 1, 0.1), right_variances=(10, 1, 0.1), classes=(3, 3, 3))
    pool = uep.Workers(12, omega=1.0, work="unit")
    uep.simulate(uep.codes.MDS(), part, pool, realizations=50, seed=1, backend="numpy").save(folder / "t.npz")
    yield "a tally", folder / "t.npz", lambda: uep.Tally.load(folder / "t.npz"), True
    (folder / "t.csv").write_text("x,y,z\n" + "".join(f"{i},{i * i % 7},{i % 3}\n" for i in range(20)))
    yield "a table (.csv)", folder / "t.csv", lambda: gradient_coding.read_table(folder / "t.csv").A.tolist(), False
    if importlib.util.find_spec("torch") is None:
        return
    from tests.cases.datasets import cifar_batches, write_cifar, write_mnist
    from uepgpu.train.checkpoint import Checkpoints, held_description
    from uepgpu.train.data import load_dataset

    kept = Checkpoints(folder / "run", {"a": 1})
    kept.begin()
    kept.keep(0, {"weight0": ROWS, "step": np.array(3)})
    state = folder / "run" / "stacks" / "0000-state.npz"
    yield "the state of a training", state, lambda: {k: v.tolist() for k, v in (kept.state(0) or {}).items()}, True
    yield "the description of a training", folder / "run" / "run.json", lambda: held_description(folder / "run"), False
    for name, packed in (("mnist", False), ("mnist.gz", True)):
        (folder / name).mkdir()
        write_mnist(folder / name, packed=packed)
        (labels,) = (folder / name).glob("train-labels*")
        yield f"labels of MNIST{' (.gz)' * packed}", labels, _loader(load_dataset, "mnist", folder / name), packed
    write_cifar(folder / "cifar", cifar_batches(), "pickle")
    (batch,) = (folder / "cifar").rglob("data_batch_2")
    yield "a batch of CIFAR-10 (pickle)", batch, _loader(load_dataset, "cifar10", folder / "cifar"), False


def _loader(load: Callable[..., Any], name: str, folder: Path) -> Reader:
    return lambda: load(name, folder).digest()


def spoilt(content: bytes, chance: random.Random) -> bytes:
    """Return a file with a bit flipped, its end cut off, some bytes replaced or put in, or a run of zeros."""
    raw, at = bytearray(content), chance.randrange(len(content))
    if chance.random() < 0.5:
        at = min(at, chance.randrange(256))  # headers say most
    match chance.randrange(6):
        case 0 | 1:
            raw[at] ^= 1 << chance.randrange(8)
        case 2:
            del raw[at:]
        case 3:
            raw[at : at + 4] = chance.randbytes(4)
        case 4:
            raw[at:at] = chance.randbytes(chance.choice((1, 7, 4096)))
        case _:
            raw[at : at + 16] = bytes(16)
    return bytes(raw)


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each kind of file."""
    chance = random.Random(given.seed)
    for what, file, read, checked in files(folder):
        row, content, whole = Row(f"{what}, damaged"), file.read_bytes(), read()
        for _ in range(given.times):
            row.tried += 1
            damaged = spoilt(content, chance)
            file.write_bytes(damaged)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    found = read()
            except (ValueError, FileNotFoundError) as error:
                if "\n" in str(error) or len(str(error)) > 400:
                    row.bad(OTHER, "not one line", str(error))
                else:
                    row.outcomes["refused in one line"] += 1
            except Exception:
                row.bad(RAISED, repr(damaged[:60]), traceback.format_exc())
            else:
                if checked and found != whole:
                    row.bad(WRONG, "other numbers in spite of a checksum", repr(damaged[:60]))
                else:
                    row.outcomes["same content" if found == whole else "read as it is, the format has no checksum"] += 1
        file.write_bytes(content)
        yield row


if __name__ == "__main__":
    script(rows, times=400, seed=1)
