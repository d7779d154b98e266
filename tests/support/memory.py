"""Memory as a place for the files of servers that end with the tests: nothing of them must outlive a power cut.

The settings of what runs there are production's; a sync just costs nothing. The books on SQLite stay on the disk, and
so does all that is about disks (`tests/faults/disk`).
"""

import os
import shutil

_PLACE = "/dev/shm"
_ENOUGH = 4 * 2**30
"""For four runners: PostgreSQL lets its log grow to a gigabyte before it cuts it down (`max_wal_size`)."""


def memory() -> str | None:
    """A folder in memory; None where there is none, or too little of it: then the disk does."""
    if not os.access(_PLACE, os.W_OK) or shutil.disk_usage(_PLACE).free < _ENOUGH:
        return None
    return _PLACE
