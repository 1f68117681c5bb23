"""Files and folders that results are written to: checked before anything runs, written atomically."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["check_file", "check_folder", "unreadable", "write_file"]


def check_folder(folder: Path) -> None:
    """Raise ``ValueError`` if `folder` cannot be made or written; nothing is created."""
    nearest = folder
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ValueError(f"--out must be a folder that can be made, got {str(folder)!r}: {str(nearest)!r} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(
            f"--out must be a folder that can be written, got {str(folder)!r}: no permission to write in {str(nearest)!r}"
        )
    for name in ("table.csv", "loss.png"):
        if (folder / name).is_dir():
            raise ValueError(f"--out must be a folder for table.csv and loss.png, but {str(folder / name)!r} is a folder")


def write_file(path: Path, content: bytes) -> None:
    """Write `content` so that `path` is at every moment the old file or the whole new one; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def unreadable(error: Exception) -> str:
    """Return why NumPy could not read a file, on one line, without its advice to unpickle: that runs whatever is in the file.

    Examples
    --------
    >>> import io, numpy as np
    >>> try:
    ...     np.load(io.BytesIO(b"worker,latency"), allow_pickle=False)
    ... except ValueError as error:
    ...     print(unreadable(error))
    it is no NumPy file
    """
    reason = " ".join(str(error).split())
    if reason.startswith("Object arrays"):
        return "it holds Python objects instead of numbers"
    return "it is no NumPy file" if "pickle" in reason else reason


def check_file(option: str, name: str, suffixes: Sequence[str]) -> Path:
    """Return the path of a file to write, if it has one of the suffixes and can be made; nothing is created.

    Raises
    ------
    ValueError
        With one line that says what is wrong.
    """
    path = Path(name).expanduser()
    if path.suffix[1:].lower() not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(f'.{s}' for s in suffixes)}, got {name!r}")
    if path.is_dir():
        raise ValueError(f"{option} must be a file, {name!r} is a folder")
    nearest = path.parent
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ValueError(f"{option} must be a file that can be made, got {name!r}: {str(nearest)!r} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"{option} must be a file that can be written, got {name!r}: no permission to write in {str(nearest)!r}")
    return path
