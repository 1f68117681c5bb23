"""Finds and reads the file of a specification."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from uepgpu.checks import closest, shown
from uepgpu.specification.fields import SpecError

__all__ = ["SPECS", "bundled_specs", "find_spec", "load_spec"]

SPECS = Path(__file__).parent / "specs"


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
    path = Path(spec).expanduser()
    if not spec.strip():
        raise SpecError(f"SPEC must be a TOML file or one of {', '.join(bundled_specs())}, got {shown(spec)}")
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
        written = path.read_text(encoding="utf-8")
        return path, written, tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path.name} is not valid TOML: {' '.join(str(error).split())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name} cannot be read: {error}") from None
