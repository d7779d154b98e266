"""The parts of the fault suite, a module each; `tests/faults/run.py` lists them."""
