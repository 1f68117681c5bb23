"""The course of training of one stack: batches, evaluation, curves, checkpoints."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.checks import choice
from uepgpu.train.data import Dataset
from uepgpu.train.networks import Network
from uepgpu.train.replicas import Member, Stack

__all__ = ["DATA_ORDERS", "Course", "Curves", "DataOrder", "Settings", "members_per_stack"]

Floats = NDArray[np.float64]
State = dict[str, NDArray[Any]]
DataOrder = Literal["file", "shuffled"]
DATA_ORDERS = ("file", "shuffled")

CACHE_BYTES = 24 * 2**20
"""Assumed size of a CPU's last-level cache: larger stacks run at the speed of memory."""

EVALUATED_AT_ONCE = 1000

LAST = 100
"""Batches at the end over which the final training accuracy is a mean."""


@dataclass(frozen=True)
class Settings:
    """What all trainings of a run share.

    Attributes
    ----------
    rate, batch, epochs, seed
        Of stochastic gradient descent.
    evaluate_every : int
        Steps between points of the curves.
    test_samples : int
        How many test samples, the first ones, are evaluated there; the last evaluation takes all.
    data_order : "file" or "shuffled"
        Batches in the order of the file, the same in every epoch and replica, or of a permutation, another one in each.
    """

    rate: float
    batch: int
    epochs: int
    seed: int
    evaluate_every: int
    test_samples: int
    device: str = "cpu"
    data_order: DataOrder = "shuffled"

    def __post_init__(self) -> None:
        choice("data_order", self.data_order, DATA_ORDERS)

    def steps(self, samples: int) -> int:
        """Return the number of steps, the last batch of an epoch being what is left."""
        return self.epochs * -(-samples // self.batch)


@dataclass(frozen=True, eq=False)
class Curves:
    """Accuracy of R trainings against the number of steps taken, T points.

    Attributes
    ----------
    steps : (T,) int64
    train : (T, R) float64
        Share of training samples that were classified right, over the batches since the previous point, before each step.
    test : (T, R) float64
        Share of the evaluated test samples.
    final : (R,) float64
        Share of all test samples at the end.
    final_train : (R,) float64
        Share of training samples that were classified right, before each step: the mean over the last 100 batches.
    """

    steps: NDArray[np.int64]
    train: Floats
    test: Floats
    final: Floats
    final_train: Floats


def members_per_stack(network: Network, batch: int, device: str) -> int:
    """Return how many trainings fit in a CPU's cache, or in a quarter of a device's free memory; at least 1."""
    parameters = sum(a * b for a, b in zip(network.dense[:-1], network.dense[1:], strict=True))
    channels = (network.shape[0], *(c for c, _ in network.convolutions))
    images = sum(channels) * int(np.prod(network.shape[1:])) if network.convolutions else 0
    # Weights, gathered factors and products; activations with their gradients, batches.
    each = 4 * (2 * parameters + batch * (3 * sum(network.dense) + 3 * images))
    if torch.device(device).type == "cuda":
        return max(1, int(torch.cuda.mem_get_info(device)[0]) // 4 // each)
    return max(1, CACHE_BYTES // each)


class Course:
    """The training of one stack, from the start or from a checkpoint."""

    def __init__(self, data: Dataset, network: Network, members: Sequence[Member], settings: Settings) -> None:
        self.settings, self.members = settings, list(members)
        self.stack = Stack(network, members, seed=settings.seed, rate=settings.rate, device=settings.device)
        self.samples = len(data.train_y)
        self.total = settings.steps(self.samples)
        self.train_x, self.test_x = (torch.from_numpy(x).to(settings.device) for x in (data.train_x, data.test_x))
        self.train_y, self.test_y = (torch.from_numpy(y).to(settings.device) for y in (data.train_y, data.test_y))
        self._points: list[tuple[int, Floats, Floats]] = []
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))
        self._last: deque[Floats] = deque(maxlen=LAST)

    def run(self, checkpoint: Callable[[State], None] | None = None, progress: Callable[[int], None] | None = None) -> Curves:
        """Train to the end.

        Parameters
        ----------
        checkpoint : callable, optional
            Called with a state at every point of the curves but the last; may keep it or not.
        progress : callable, optional
            Called with the number of steps since the last call.
        """
        every = self.settings.evaluate_every
        if not self._points:
            self._points.append((0, np.full(len(self.members), np.nan), self._test(self.settings.test_samples)))
        while self.stack.step < self.total:
            begin = self.stack.step
            end = min(begin - begin % every + every, self.total)
            found, sizes = [], []
            for _ in range(begin, end):
                x, y = self._batch(self.stack.step)
                found.append(self.stack.train(x, y))
                sizes.append(y.shape[1])
            right = torch.stack(found).cpu().numpy()  # once, so that no step waits for a device
            self._last.extend(some / size for some, size in zip(right, sizes, strict=True))
            self._points.append((end, right.sum(axis=0) / sum(sizes), self._test(self.settings.test_samples)))
            if progress is not None:
                progress(end - begin)
            if checkpoint is not None and end < self.total:
                checkpoint(self.state())
        steps, train, test = zip(*self._points, strict=True)
        last = np.mean(self._last, axis=0)
        return Curves(np.array(steps), np.stack(train), np.stack(test), self._test(len(self.test_y)), last)

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the samples and labels of a step, each member's in its replica's order."""
        per_epoch = -(-self.samples // self.settings.batch)
        epoch, number = divmod(step, per_epoch)
        if self._order[0] != epoch:
            of = {r: self._samples_in_order(r, epoch) for r in {m.replica for m in self.members}}
            order = torch.from_numpy(np.stack([of[m.replica] for m in self.members]))
            self._order = (epoch, order.to(self.train_x.device))
        which = self._order[1][:, number * self.settings.batch : (number + 1) * self.settings.batch]
        flat = which.reshape(-1)
        x = self.train_x.index_select(0, flat).view(*which.shape, *self.train_x.shape[1:])
        return x, self.train_y.index_select(0, flat).view(which.shape)

    def _samples_in_order(self, replica: int, epoch: int) -> NDArray[np.int64]:
        if self.settings.data_order == "file":
            return np.arange(self.samples)
        return np.random.default_rng([self.settings.seed, replica, epoch, 0xDA7A]).permutation(self.samples)

    def _test(self, samples: int) -> Floats:
        """Return the share of the first so many test samples that each member classifies right, (R,)."""
        right = np.zeros(len(self.members))
        chosen_x, chosen_y = self.test_x[:samples], self.test_y[:samples]
        for start in range(0, len(chosen_y), EVALUATED_AT_ONCE):
            some = slice(start, start + EVALUATED_AT_ONCE)
            right += (self.stack.predict(chosen_x[some]).argmax(2) == chosen_y[some]).sum(1).cpu().numpy()
        return right / len(chosen_y)

    # --- state --------------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return what :meth:`restore` resumes from, as arrays by name."""
        steps, train, test = zip(*self._points, strict=True)
        points = {"steps": np.array(steps), "train": np.stack(train), "test": np.stack(test)}
        return {**self.stack.state(), **points, "last": np.stack(self._last)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Resume from a state of the same members and settings."""
        self.stack.restore(dict(state))
        self._last = deque(state["last"], maxlen=LAST)
        self._points = [(int(s), a, b) for s, a, b in zip(state["steps"], state["train"], state["test"], strict=True)]
