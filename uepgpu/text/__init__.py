"""Texts: those of others made harmless, names and units of variables, descriptions as HTML."""

from __future__ import annotations

from uepgpu.text.strange import file_name, printable, spreadsheet_cell, write_table

__all__ = ["file_name", "printable", "spreadsheet_cell", "write_table"]
