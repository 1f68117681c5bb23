"""Files and folders that results are written to: checked before anything runs, written atomically."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_file", "check_folder", "new_file", "unreadable", "write_file"]


def check_folder(option: str, name: str | Path, files: Sequence[str]) -> Path:
    """Return the folder that `option` names, if it can be made and the files can be written into it; nothing is created.

    Parameters
    ----------
    option : str
        What messages call it, say ``--out``.
    name : str or Path
    files : sequence of str
        Names of all the files that will be written.

    Raises
    ------
    ValueError
        With one line that says what is wrong.
    """
    if not str(name).strip():
        raise ValueError(f"{option} must be the name of a folder, got {name!r}")
    folder = Path(name).expanduser()
    _check_makeable(option, "folder", folder, folder)
    for file in files:
        if (folder / file).is_dir():
            raise ValueError(f"{option} must be a folder for {', '.join(files)}, but {str(folder / file)!r} is a folder")
    return folder


def check_file(option: str, name: str, suffixes: Sequence[str] = ()) -> Path:
    """Return the path of a file to write, if it has one of the suffixes and can be made; nothing is created.

    Parameters
    ----------
    option : str
        What messages call it, say ``--output``.
    name : str
    suffixes : sequence of str
        Without the dot; empty if any will do.

    Raises
    ------
    ValueError
        With one line that says what is wrong.
    """
    if not name.strip():
        raise ValueError(f"{option} must be the name of a file, got {name!r}")
    path = Path(name).expanduser()
    if suffixes and path.suffix[1:].lower() not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(f'.{s}' for s in suffixes)}, got {name!r}")
    if path.is_dir():
        raise ValueError(f"{option} must be a file, {name!r} is a folder")
    _check_makeable(option, "file", path, path.parent)
    return path


def _check_makeable(option: str, what: str, path: Path, folder: Path) -> None:
    """Raise ``ValueError`` if `folder`, in which `path` is or which it is, is not there and cannot be made, or not be written."""
    nearest = folder
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ValueError(f"{option} must be a {what} that can be made, got {str(path)!r}: {str(nearest)!r} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(
            f"{option} must be a {what} that can be written, got {str(path)!r}: no permission to write in {str(nearest)!r}"
        )


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the name of a temporary file that becomes `path` when the block ends, and vanishes when it fails.

    So `path` is at every moment the old file or the whole new one. Its folder is made if needed.

    Parameters
    ----------
    path : Path
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write `content` as :func:`new_file` does.

    Parameters
    ----------
    path : Path
    content : bytes
    """
    with new_file(path) as part:
        part.write_bytes(content)


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
