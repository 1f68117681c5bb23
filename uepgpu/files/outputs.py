"""Outputs that destroy nothing: checked before anything runs, and again when they are written.

A file that is there is replaced only if it is an earlier output of the same :class:`Kind`, or if ``--force`` is given; never if it
is an input of the same call, a store or a device.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uepgpu.checks import shown
from uepgpu.files.names import expand
from uepgpu.files.writing import new_file

__all__ = ["Folder", "Kind", "Output", "check_file", "check_folder", "check_parents", "table_kind"]

SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Kind:
    """What kind of output a file is, and how an earlier one is recognised.

    Attributes
    ----------
    suffixes : tuple of str
        How its files may end, without the dot.
    begins : bytes or None
        How its content begins; None where nothing tells an earlier output from other files.
    mark : bytes
        What its content holds somewhere and no other program writes; empty where `begins` says enough.
    """

    suffixes: tuple[str, ...]
    begins: bytes | None
    mark: bytes = b""

    def made(self, path: Path) -> bool:
        """Return whether `path` is a file of this kind; a link is none."""
        if self.begins is None or path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            if file.read(len(self.begins)) != self.begins:
                return False
            if not self.mark:
                return True
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(self.mark) >= 0


def table_kind(columns: Sequence[str]) -> Kind:
    """Return the kind of a CSV table, which is recognised by its first three columns."""
    return Kind(("csv",), ",".join(columns[:3]).encode())


@dataclass(frozen=True)
class Output:
    """A file to write, which :func:`check_file` has found fit.

    Attributes
    ----------
    path : Path
    option : str
        What messages call it.
    kind : Kind
    force : bool
        Whether a file that is no earlier output may be replaced.
    inputs : tuple of Path
        Files that must not be.
    """

    path: Path
    option: str
    kind: Kind
    force: bool = False
    inputs: tuple[Path, ...] = ()

    def reason(self) -> str:
        """Return why it must not be written; empty if it may."""
        if self.path.is_dir():
            return f"{shown(str(self.path))} is a folder"
        if any(_same(self.path, other) for other in self.inputs):
            return f"{shown(str(self.path))} is an input of this call"
        if not os.path.lexists(self.path):
            return ""
        if self.path.exists() and not self.path.is_file():
            return f"{shown(str(self.path))} is a device or another special file"
        if _begins(self.path, SQLITE):
            return f"{shown(str(self.path))} is a store or another SQLite file"
        if not self.force and not self.kind.made(self.path):
            return f"{shown(str(self.path))} is there and is no earlier output of this kind; --force replaces it"
        return ""

    @contextmanager
    def new(self) -> Iterator[Path]:
        """Yield the name of a temporary file that becomes this one when the block ends; ``OSError`` if it must not."""
        with new_file(self.path) as part:
            yield part
            if reason := self.reason():  # it may have come meanwhile
                raise FileExistsError(reason)

    def write(self, content: bytes) -> None:
        """Write `content`, whole or not at all."""
        with self.new() as part:
            part.write_bytes(content)


@dataclass(frozen=True)
class Folder:
    """A folder for results, which :func:`check_folder` has found fit.

    Attributes
    ----------
    path : Path
    outputs : dict
        The files that may be written into it, by name.
    """

    path: Path
    outputs: Mapping[str, Output]

    def write(self, name: str, content: bytes) -> None:
        """Write one of its files."""
        self.outputs[name].write(content)


# --- checks -----------------------------------------------------------------------------------------------------------


def check_file(option: str, name: str, kinds: Sequence[Kind], *, force: bool = False, inputs: Sequence[str | Path] = ()) -> Output:
    """Return a file to write, if it can be made and no other file is lost by it; nothing is created.

    Parameters
    ----------
    option : str
        What messages call it, say ``--output``.
    name : str
    kinds : sequence of Kind
        Of which its suffix chooses.
    force : bool
        Whether a file that is no earlier output may be replaced.
    inputs : sequence of str or Path
        Files that the call reads; never replaced.

    Raises
    ------
    ValueError
        With one line that says what is wrong.
    """
    path = expand(option, name)
    fit = [kind for kind in kinds if path.suffix[1:].lower() in kind.suffixes]
    if not fit:
        raise ValueError(f"{option} must end in {' or '.join(f'.{s}' for kind in kinds for s in kind.suffixes)}, got {shown(name)}")
    output = Output(path, option, fit[0], force, tuple(map(Path, inputs)))
    if reason := output.reason():
        raise ValueError(f"{option} must be a file that can be written: {reason}")
    check_parents(option, "file", path, path.parent)
    return output


def check_folder(
    option: str, name: str | Path, files: Mapping[str, Kind], *, force: bool = False, inputs: Sequence[str | Path] = ()
) -> Folder:
    """Return the folder that `option` names, if it can be made and the files be written into it; nothing is created.

    Parameters
    ----------
    option : str
        What messages call it, say ``--out``.
    name : str or Path
    files : dict
        The kind of every file that will be written, by name.
    force, inputs
        As for :func:`check_file`.

    Raises
    ------
    ValueError
        With one line that says what is wrong.
    """
    folder = expand(option, name)
    check_parents(option, "folder", folder, folder)
    outputs = {file: Output(folder / file, option, kind, force, tuple(map(Path, inputs))) for file, kind in files.items()}
    for output in outputs.values():
        if reason := output.reason():
            raise ValueError(f"{option} must be a folder for {', '.join(files)}, but {reason}")
    return Folder(folder, outputs)


def check_parents(option: str, what: str, path: Path, folder: Path) -> None:
    """Raise ``ValueError`` unless `folder`, which `path` is or is in, can be written or made."""
    name, nearest = shown(str(path)), folder
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ValueError(f"{option} must be a {what} that can be made, got {name}: {shown(str(nearest))} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"{option} must be a {what} that can be written, got {name}: no permission in {shown(str(nearest))}")


def _same(path: Path, other: Path) -> bool:
    if path.absolute() == other.absolute():
        return True
    with contextlib.suppress(OSError):  # of which one is not there, they are two
        return path.samefile(other)
    return False


def _begins(path: Path, start: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(start)) == start
