"""The machine a run was made on, as far as the figures depend on it."""

import os
import platform
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import temporalio.service


def describe(postgresql: str | None) -> dict[str, Any]:
    """Cores, versions, durability settings, and what one fsync costs here."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "temporalio": temporalio.service.__version__,
        "sqlite": sqlite3.sqlite_version,
        "postgresql": postgresql,
        "fsync_ms": round(fsync_seconds() * 1000, 2),
        "durability": {
            "sqlite": "journal_mode=WAL, synchronous=FULL",
            "postgresql": "fsync=on, synchronous_commit=on, full_page_writes=on",
            "temporal": "SQLite file, journal_mode=WAL, synchronous=FULL",
        },
    }


def fsync_seconds(times: int = 50) -> float:
    """The median time of a small append and its fsync, in the folder for temporary files."""
    taken = []
    with tempfile.TemporaryDirectory() as folder, open(Path(folder, "probe"), "wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2]
