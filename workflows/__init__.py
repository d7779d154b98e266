"""What happens, in which order, and what if not. Workflows decide; the ledger's activities do and remember."""
