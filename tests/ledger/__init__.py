"""Tests of the ledger alone, without Temporal."""
