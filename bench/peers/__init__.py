"""The race against the others: this engine, DBOS, Restate and the floors do the same work. `make bench-peers`."""
