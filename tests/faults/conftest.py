"""The bank of the workflow tests, for the fault suite's own."""

from tests.workflows.conftest import bank, idle_bank

__all__ = ["bank", "idle_bank"]
