"""Proxies that break the network: bytes, gRPC calls, and the conversation with PostgreSQL."""
