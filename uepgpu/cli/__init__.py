"""The command line: one file a command, registered with :data:`uepgpu.cli.app.app`."""

from __future__ import annotations

from uepgpu.cli.call import main

__all__ = ["main"]
