"""Ranges run by the workers of a dask.distributed cluster; this process alone writes the store.

A task is a description and a range; what comes back is integers. Workers may die: dask runs their tasks again elsewhere, and a
result that comes twice is refused by the store. dask is imported when a cluster is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from uepgpu.checks import shown
from uepgpu.sweep.ranges import Ran, Range, Work, run_range

if TYPE_CHECKING:
    from uepgpu.store.store import Claim

__all__ = ["DaskCluster"]

RETRIES = 3
"""How often a range is tried again when a worker raises."""
CONNECT_SECONDS = 15
AHEAD = 2
"""Ranges per worker thread that are under way, so that no worker waits for this process."""


class DaskCluster:
    """A runner on a dask cluster; a context manager.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT`` of a scheduler, or ``"local"`` for a cluster of processes of this machine, one per core.
    backend : str
        As for :func:`uepgpu.simulate`; on the workers.
    threads : int, optional
        CPU threads of each range. Default: one, a worker thread having a core to itself.

    Raises
    ------
    ValueError
        If dask.distributed is not installed or no scheduler answers; on entering, if it has no workers.
    """

    def __init__(self, address: str, backend: str = "auto", threads: int | None = None) -> None:
        try:
            import distributed
        except ImportError as error:
            raise ValueError(f'--dask needs dask.distributed ({error}): pip install "uepgpu[distributed]"') from None
        if address != "local" and "://" not in address:
            raise ValueError(f"--dask must be tcp://HOST:PORT of a running `dask scheduler`, or nothing, got {shown(address)}")
        self.address, self.backend, self.threads = address, backend, threads or 1
        self._distributed: Any = distributed  # its classes are not typed
        self._running: dict[Any, Claim] = {}
        self._client: Any = None
        self._cluster: Any = None

    def __enter__(self) -> DaskCluster:
        # A lost worker is what this is made for; its news on stderr would tear the display.
        for name in ("distributed.scheduler", "distributed.nanny", "distributed.core", "distributed.worker"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self.address == "local":
            self._cluster = self._distributed.LocalCluster(threads_per_worker=1, dashboard_address=None)
        try:
            self._client = self._distributed.Client(self._cluster or self.address, timeout=CONNECT_SECONDS)
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError) as error:
            self.__exit__(None, None, None)
            reason = "it has no workers: start some with `dask worker`" if self._client else "no scheduler answers there"
            raise ValueError(f"--dask {self.address}: {reason} ({' '.join(str(error).split())})") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for owned in (self._client, self._cluster):
            if owned is not None:
                owned.close()

    @property
    def slots(self) -> int:
        """How many ranges may be under way; follows workers that come and go."""
        threads = sum(self._client.nthreads().values())
        return max(AHEAD * int(threads), 1)

    def submit(self, claim: Claim, work: Work, span: Range, progress: Callable[[int], None]) -> None:
        """Send a range to the cluster."""
        options = {"backend": self.backend, "threads": self.threads}
        future = self._client.submit(run_range, work, span, **options, pure=False, retries=RETRIES)
        future.on_finish = progress
        self._running[future] = claim

    def collect(self, timeout: float) -> list[tuple[Claim, Ran]]:
        """Return the ranges that have come back.

        Raises
        ------
        ValueError
            If a range has failed for good, with what the worker said.
        """
        try:
            done, _ = self._distributed.wait(list(self._running), timeout=timeout, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return []
        finished = []
        for future in done:
            claim = self._running.pop(future)
            if future.status != "finished":
                raise ValueError(f"a range failed on the cluster: {' '.join(str(future.exception()).split()) or future.status}")
            ran: Ran = future.result()
            future.on_finish(ran.tally.realizations)
            finished.append((claim, ran))
        return finished
