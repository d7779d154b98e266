"""Tests of the production set-up."""
