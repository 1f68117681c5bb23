"""Writing a file so that its name holds the old content or the whole new one, at every moment.

What is written first has a temporary name in the same folder, made exclusively, so that links are not followed and two writers do
not meet. Those that killed processes leave are removed by the next who writes there.
"""

from __future__ import annotations

import os
import platform
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["new_file", "write_file"]


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the name of a temporary file that becomes `path` when the block ends, and vanishes when it fails.

    So `path` is at every moment the old file or the whole new one. Its folder is made if needed.

    Parameters
    ----------
    path : Path
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path.parent)
    part = path.parent / f"{_prefix(os.getpid())}{secrets.token_hex(8)}.part"
    # Not to be opened if it is there, also as a link; its mode follows the umask, as that of any new file.
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # else a crash may leave the new name with nothing in it
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write `content` as :func:`new_file` does, whatever is there.

    Parameters
    ----------
    path : Path
    content : bytes
    """
    with new_file(path) as part:
        part.write_bytes(content)


def _prefix(process: int | str) -> str:
    """Return how the temporary files of a process of this machine begin; short, as the name itself may be long."""
    return f".uepgpu-{zlib.crc32(platform.node().encode()):08x}-{process}-"


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes of this machine that live no more."""
    for part in folder.glob(f"{_prefix('*')}*.part"):
        process = part.name.split("-")[2]
        if process.isdecimal() and not _lives(int(process)):
            part.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    if os.name == "nt":
        return True  # os.kill would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
