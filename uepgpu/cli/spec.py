"""``uepgpu spec``."""

from __future__ import annotations

from uepgpu.cli.app import app

__all__ = ["spec"]


@app.command
def spec(spec: str | None = None, /, *, check: bool = False, schema: bool = False, reference: bool = False) -> int:
    """List the bundled specifications, print one as a start for your own, or check yours.

    "uepgpu spec paper > mine.toml" writes a specification that "uepgpu sweep mine.toml" runs.

    Parameters
    ----------
    spec
        A bundled specification, or a TOML file. Default: a list of the bundled ones.
    check
        Read it to the last point and say what it asks for: points, realizations, and what they will cost on this machine. What is
        wrong is said in one line, with exit code 2.
    schema
        Print a JSON Schema, with which editors complete and check the keys of specifications.
    reference
        Print every key with its type, default, meaning and an example, as Markdown.
    """
    from uepgpu.commands.spec import run_spec

    return run_spec(spec, check=check, schema=schema, reference=reference)
