"""One section, as a process: ``python -m bench.gpu.section MODULE:FUNCTION ABOUT [SHARD]``, with the fields of Notes as JSON."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from bench.gpu.notes import Notes

if __name__ == "__main__":
    target, about, *shard = sys.argv[1:]
    fields = json.loads(about)
    notes = Notes(**(fields | {"folder": Path(fields["folder"])}))
    module, _, function = target.partition(":")
    with notes.step("the whole section"):
        getattr(importlib.import_module(module), function)(notes, *map(int, shard))
