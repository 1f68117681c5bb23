"""What the command line of a sweep says besides the specification."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """What the command line says besides the specification.

    Attributes
    ----------
    out : str or None
        Folder of the results; None for ``uepgpu-NAME`` in the current folder.
    store : str or None
        The store; None for ``store.db`` in the folder of the results.
    realizations, seed : int or None
        Override those of the specification.
    backend, threads
        As for :func:`uepgpu.simulate`.
    dask : str or None
        Address of a scheduler, ``"local"`` for a cluster of this machine's processes, None for this process alone.
    dry_run : bool
        Show what would be done, and do nothing.
    """

    out: str | None = None
    store: str | None = None
    realizations: int | None = None
    seed: int | None = None
    backend: str = "auto"
    threads: int | None = None
    dask: str | None = None
    dry_run: bool = False

    def resume(self, spec: str) -> str:
        """Return the command that goes on."""
        words = ["uepgpu", "sweep", spec]
        for name in ("out", "store", "realizations", "seed", "threads", "dask"):
            if (value := getattr(self, name)) is not None:
                words += [f"--{name}"] if (name, value) == ("dask", "local") else [f"--{name}", str(value)]
        if self.backend != "auto":
            words += ["--backend", self.backend]
        return shlex.join(words)
