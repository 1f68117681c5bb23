"""What second tries cost: the number of packets that are launched."""

from __future__ import annotations

import numpy as np

from uepgpu.checks import instance
from uepgpu.codes import Code
from uepgpu.codes.law import packets_law
from uepgpu.partition import Partition
from uepgpu.workers import Workers

__all__ = ["describe_launches", "launched_packets"]


def launched_packets(code: Code, part: Partition, workers: Workers) -> float:
    """Return how many packets workers launch on average, second tries included: without those one per message.

    Parameters
    ----------
    code, part, workers
        As for :func:`loss`.

    Raises
    ------
    ValueError
        If they do not fit each other.

    Examples
    --------
    >>> import uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> law = uep.latency.Pareto(1.5, 0.2)
    >>> workers = uep.Workers(30, law, omega=1.0, work="unit", backup=uep.Backup(after=0.3))
    >>> round(uep.theory.launched_packets(uep.codes.MDS(), part, workers), 2)  # 30 (1 + S(.3))
    46.33

    References
    ----------
    docs/mathematics.md §4.
    """
    instance("part", part, Partition)
    instance("workers", workers, Workers)
    law = packets_law(code, part, workers)
    kinds, number = workers.kinds()
    copies = np.stack([workers.launched(law.n_subproducts, law.work, *kind) for kind in kinds])[number]  # (W, windows)
    if law.window is not None:
        return float(copies[np.arange(workers.n_packets) // workers.messages, law.window].sum())
    assert law.probabilities is not None
    return workers.messages * float((copies @ law.probabilities).sum() / law.probabilities.sum())


def describe_launches(code: Code, part: Partition, workers: Workers) -> str:
    """Return second tries and what they cost as people read them, or nothing.

    Examples
    --------
    >>> import uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> describe_launches(uep.codes.MDS(), part, uep.Workers(30, omega=1.0, work="unit", backup=uep.Backup(after=1.0)))
    'Backup(after=1.0): 41.04 packets launched'
    """
    if workers.backup is None:
        return ""
    return f"{workers.backup!r}: {launched_packets(code, part, workers):.4g} packets launched"
