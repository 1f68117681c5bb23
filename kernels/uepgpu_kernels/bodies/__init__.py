"""Scalar steps of one realization, compiled for their caller: Numba on the CPU, Numba on the device, or plain Python.

Rules (they keep compiled and interpreted code equal): integers that matter are uint64, 32-bit words live in uint64 and
are masked; constants are typed; loop indices are plain ints and never meet the uint64 in arithmetic; scratch arrays are
arguments; no exceptions.
"""
