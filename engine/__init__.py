"""Temporal plumbing: settings, connection, converter, the embedded server, and the client that callers use."""
