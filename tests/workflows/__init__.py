"""Workflows on a real Temporal server, with a real ledger."""
