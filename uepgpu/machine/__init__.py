"""What this machine can do: its backends tested and timed."""
