"""Files: names as people write them, outputs that destroy nothing, arrays of whomever."""

from __future__ import annotations

from uepgpu.files.arrays import FAULTS, checksum, map_array, read_archive, read_array, unreadable
from uepgpu.files.names import expand
from uepgpu.files.outputs import Folder, Kind, Output, check_file, check_folder, check_parents, table_kind
from uepgpu.files.writing import new_file, write_file

__all__ = [
    "FAULTS",
    "Folder",
    "Kind",
    "Output",
    "check_file",
    "check_folder",
    "check_parents",
    "checksum",
    "expand",
    "map_array",
    "new_file",
    "read_archive",
    "read_array",
    "table_kind",
    "unreadable",
    "write_file",
]
