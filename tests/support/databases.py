"""Which databases a test runs on. Without a mark, both: see `new_database` in conftest.py."""

import pytest

DATABASES = ("sqlite", "postgresql")

only_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
"""For what only SQLite has: a lock file, pragmas, one writer."""

only_postgresql = pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
"""For what only PostgreSQL has: several writers, row locks, TRUNCATE."""
