"""Ranges run by the workers of a dask.distributed cluster; this process alone writes the store.

A task is a description and a range; what comes back is integers. Workers may die: dask runs their tasks again elsewhere, and a
result that comes twice is refused by the store. dask is imported when a cluster is asked for.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from uepgpu import __version__
from uepgpu.checks import shown
from uepgpu.sweep.ranges import Ran, Range, Work, run_range

if TYPE_CHECKING:
    from uepgpu.store.store import Claim

__all__ = ["DaskCluster"]

RETRIES = 3
"""How often a range is tried again when a worker raises."""
CONNECT_SECONDS = 15
LOGGERS = ("distributed", "tornado", "asyncio")
"""Whose news on stderr would tear the display: a lost worker is what a cluster is for, a lost scheduler is reported in one line."""
AHEAD = 2
"""Ranges per worker thread that are under way, so that no worker waits for this process."""


def library_version() -> str:
    """Return the version of this package, on a worker."""
    return __version__


def _is_address(text: str) -> bool:
    """Return whether a text is tcp://HOST:PORT, or tls:// where dask's own configuration has certificates."""
    found = re.fullmatch(r"(tcp|tls)://(\[[\w:.%]+\]|[\w.-]+):(\d{1,5})", text)
    return found is not None and 0 < int(found[3]) < 2**16


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
        If dask.distributed is not installed or no scheduler answers; on entering, if it has no workers, or one with another
        version of uepgpu.
    """

    def __init__(self, address: str, backend: str = "auto", threads: int | None = None) -> None:
        try:
            import distributed
        except ImportError as error:
            raise ValueError(f'--dask needs dask.distributed ({error}): pip install "uepgpu[distributed]"') from None
        if address != "local" and not _is_address(address):
            raise ValueError(f"--dask must be tcp://HOST:PORT of a running `dask scheduler`, or nothing, got {shown(address)}")
        self.address, self.backend, self.threads = address, backend, threads or 1
        self._distributed: Any = distributed  # its classes are not typed
        self._running: dict[Any, Claim] = {}
        self._client: Any = None
        self._cluster: Any = None
        self._workers: set[str] = set()
        self._levels: dict[str, int] = {}

    def __enter__(self) -> DaskCluster:
        self._silence()
        try:
            if self.address == "local":
                self._cluster = self._distributed.LocalCluster(threads_per_worker=1, dashboard_address=":0")
            self._client = self._distributed.Client(self._cluster or self.address, timeout=CONNECT_SECONDS)
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            self._check_versions(self._client.nthreads())
        except BaseException as error:
            self.__exit__(None, None, None)
            # Whatever dask makes of an address or of its configuration; a worker of another version says so itself.
            if isinstance(error, ValueError) or not isinstance(error, Exception):
                raise
            reason = "it has no workers: start some with `dask worker`" if self._client else "no scheduler answers there"
            raise ValueError(f"--dask {self.address}: {reason} ({' '.join(str(error).split())})") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for owned in (self._client, self._cluster):
            if owned is not None:
                owned.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def _silence(self) -> None:
        known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LOGGERS]
        for name in {*LOGGERS, *known}:
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            logger.setLevel(logging.CRITICAL + 1)

    def _check_versions(self, workers: dict[str, int]) -> None:
        """Refuse workers that have another version of this package, each once."""
        new = set(workers) - self._workers
        if not new:
            return
        found: dict[str, Any] = self._client.run(library_version, workers=sorted(new), on_error="return")
        for worker, version in found.items():
            if version != __version__:
                # One that cannot say has none, or an older one that does not know the question.
                has = f"uepgpu {version}" if isinstance(version, str) else f"no uepgpu of this version ({version})"
                raise ValueError(
                    f"--dask: the worker {worker} has {' '.join(has.split())}, this process uepgpu {__version__}. "
                    "Run one version everywhere"
                )
        self._workers |= new

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Turn what dask raises when it has lost its scheduler into one line."""
        try:
            yield
        except Exception as error:
            # A client that has lost its connection may also raise an AttributeError of its own.
            if not isinstance(error, OSError | TimeoutError | CancelledError) and self._client.status == "running":
                raise
            raise ValueError(
                f"the scheduler {self.address} does not answer any more. Every finished range is safe; run the same command again. "
                f"dask said: {' '.join(str(error).split()) or type(error).__name__}"
            ) from None

    @property
    def slots(self) -> int:
        """How many ranges may be under way; follows workers that come and go."""
        with self._connected():
            threads: dict[str, int] = self._client.nthreads()
            self._check_versions(threads)
        return max(AHEAD * sum(threads.values()), 1)

    def submit(self, claim: Claim, work: Work, span: Range, progress: Callable[[int], None]) -> None:
        """Send a range to the cluster."""
        options = {"backend": self.backend, "threads": self.threads}
        with self._connected():
            future = self._client.submit(run_range, work, span, **options, pure=False, retries=RETRIES)
        future.on_finish = progress
        self._running[future] = claim

    def collect(self, timeout: float) -> list[tuple[Claim, Ran]]:
        """Return the ranges that have come back.

        Raises
        ------
        ValueError
            If a range has failed for good, with what the worker said, or the scheduler does not answer.
        """
        with self._connected():
            try:
                done, _ = self._distributed.wait(list(self._running), timeout=timeout, return_when="FIRST_COMPLETED")
            except TimeoutError:
                return []
            finished = []
            for future in done:
                if future.status == "lost":  # its worker has died since; dask runs it again
                    continue
                claim = self._running.pop(future)
                if future.status == "cancelled":
                    raise CancelledError("a range is cancelled")
                if future.status != "finished":
                    raise ValueError(f"a range failed on the cluster: {' '.join(str(future.exception()).split()) or future.status}")
                ran: Ran = future.result()
                future.on_finish(ran.tally.realizations)
                finished.append((claim, ran))
        return finished
