"""Kernels of uepgpu: arithmetic without I/O, argument checks or batching."""
