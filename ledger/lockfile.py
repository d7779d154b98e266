"""One process writes a SQLite ledger, and a lock file beside it says so.

SQLite would let several write; before 3.51.3 two connections that write and checkpoint at the same instant can
corrupt the file, and a second worker would only wait for the first. The lock is the kernel's (`flock`): it goes
with the process, however it dies, so a lock file left behind means nothing.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import LedgerInUse


@contextmanager
def hold_lock(database: Path | None) -> Iterator[None]:
    """Hold the write lock of a SQLite file (None: nothing to hold). Raises LedgerInUse if another process does."""
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{database.resolve()}.lock", "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise LedgerInUse(
                f"process {file.read().strip() or 'unknown'} already writes {database}, and SQLite takes one writer. "
                "Stop that worker, or run several on PostgreSQL: LEDGER_DATABASE_URL=postgresql://..."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
