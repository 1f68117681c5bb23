"""The command line: one file a command, registered with :data:`uepgpu.cli.app.app`."""

from __future__ import annotations

import sys

try:
    from uepgpu.cli.call import main
except KeyboardInterrupt:  # while libraries load, which takes longer than many a command
    sys.stderr.write("uepgpu: interrupted, nothing more is written\n")
    sys.exit(130)

__all__ = ["main"]
