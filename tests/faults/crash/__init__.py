"""Crash points: instruments, processes and stories of layer A, which `tests/faults/parts/crash_points.py` runs."""
