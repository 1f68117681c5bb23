"""The file of a sweep: every finished range of every point, kept whole and read back."""
