"""Which databases a test runs on: the rule, in one place. It is asked for each test with `new_database`.

    tests/ledger, tests/faults   both: what is tested is what the databases do
    tests/processes              both, unless its mark says otherwise: most have one, few are about a database
    tests/workflows              one of the two, in turn from test to test in a file: what a leg does to the books is
                                 shown in tests/ledger on both, here it is what comes of the answers; each file's
                                 tests together run on both
    @both_databases              both, wherever it is: several at once at the same rows, or the only test of a query

DURABLE_TRANSFERS_TEST_DATABASES=both runs every test on both, as before a release.
"""

import os
from collections.abc import Sequence

import pytest

ENVIRONMENT = "DURABLE_TRANSFERS_TEST_DATABASES"
DATABASES = ("sqlite", "postgresql")

only_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
"""For what only SQLite has: a lock file, pragmas, one writer; and for what has nothing to do with the database."""

only_postgresql = pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
"""For what only PostgreSQL has: several writers, row locks, TRUNCATE."""

both_databases = pytest.mark.parametrize("new_database", DATABASES, indirect=True)
"""For what has to be seen on both, in a folder whose tests run on one."""


def databases_of(metafunc: pytest.Metafunc) -> Sequence[str]:
    """The databases of a test that has no mark."""
    if os.environ.get(ENVIRONMENT) == "both" or metafunc.definition.path.parent.name != "workflows":
        return DATABASES
    tests = [name for name in vars(metafunc.cls or metafunc.module) if name.startswith("test")]
    return (DATABASES[tests.index(metafunc.function.__name__) % 2],)


def has_a_mark(metafunc: pytest.Metafunc) -> bool:
    """Whether a test says itself which databases it runs on."""
    names = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    return any("new_database" in (name.split(",") if isinstance(name, str) else name) for name in names)
