"""What the library does on a GPU, as one record: ``python -m bench.gpu --out DIR``."""
