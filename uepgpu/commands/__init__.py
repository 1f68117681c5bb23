"""What each command of ``uepgpu`` does, a file each; words become options in :mod:`uepgpu.cli`."""
