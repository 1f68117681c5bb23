"""Finds and reads the file of a specification."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from uepgpu.checks import closest, shown
from uepgpu.files import expand
from uepgpu.specification.fields import SpecError

__all__ = ["SPECS", "bundled_specs", "find_spec", "load_spec"]

SPECS = Path(__file__).parent / "specs"
MOST_BYTES = 10_000_000


def bundled_specs() -> tuple[str, ...]:
    """Return the names of the specifications that come with the package."""
    return tuple(sorted(file.stem for file in SPECS.glob("*.toml")))


def find_spec(spec: str) -> Path:
    """Return the file of a specification: a bundled name (letters only, no path) or a path.

    Raises
    ------
    SpecError
        If there is no such file.
    """
    if spec in bundled_specs():
        return SPECS / f"{spec}.toml"
    if not spec.strip():
        raise SpecError(f"SPEC must be a TOML file or one of {', '.join(bundled_specs())}, got {shown(spec)}")
    try:
        path = expand("SPEC", spec)
    except ValueError as error:
        raise SpecError(str(error)) from None
    if path.is_dir():
        raise SpecError(f"SPEC must be a TOML file, {shown(spec)} is a directory")
    if not path.is_file():
        names = ", ".join(bundled_specs())
        raise SpecError(
            f"SPEC: no file {shown(spec)} and no bundled specification of that name{closest(spec, bundled_specs())}; "
            f"bundled are {names}"
        )
    return path


def load_spec(spec: str) -> tuple[Path, str, dict[str, Any]]:
    """Return the file of a specification, its text and its tables.

    Raises
    ------
    SpecError
        If there is no such file, or it is not TOML.
    """
    path = find_spec(spec)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SpecError(f"{path.name} is larger than a specification may be, {MOST_BYTES:,} bytes")
        written = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte-order mark
        return path, written, tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path.name} is not valid TOML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SpecError(f"{path.name} is not valid TOML: its brackets are nested too deeply") from None
    except SpecError:
        raise
    except (OSError, ValueError) as error:  # not UTF-8, or a number of more digits than Python reads
        raise SpecError(f"{path.name} cannot be read: {error}") from None
