"""``python -m uepgpu`` is the command line."""

from __future__ import annotations

from uepgpu.cli import main

if __name__ == "__main__":
    main()
