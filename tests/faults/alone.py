"""Alone: one part on one database, in this process. `together.py` starts one such process for each."""

import argparse
import asyncio
import importlib
import logging
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.record import Record
from tests.faults.run import Run
from tests.support.forks import stop_server
from tests.support.postgres import postgres_server


def run(arguments: argparse.Namespace) -> int:
    """Run the one part that the arguments name. Returns 0 when every case passed, and there was one."""
    (name,), (database,) = arguments.part, arguments.database
    logging.disable(logging.WARNING)  # accidents are what this is about; what matters stands in the record
    record = Record(arguments.into / f"{name}-{database}.jsonl")
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=arguments.into, ignore_cleanup_errors=True) as folder:
        with databases(database, Path(folder)) as new_database:
            run = Run(
                record,
                Path(folder),
                database,
                new_database,
                seed=arguments.seed,
                quick=arguments.quick,
                soak_minutes=arguments.soak,
                every_case=arguments.every_case,
                only=arguments.case,
            )
            asyncio.run(importlib.import_module(f"tests.faults.parts.{name}").run(run))
    record.figure("processor time", round(_processor_seconds(), 1), "s")
    return 1 if record.failed or not record.passed else 0


def _processor_seconds() -> float:
    """What this part has cost so far: its own time, and that of every process it has started and seen end."""
    stop_server()
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def databases(database: str, folder: Path) -> Iterator[Callable[[], str]]:
    """A function that returns the URL of a fresh database, for the length of the block."""
    if database == "postgresql":
        with postgres_server() as server:
            yield server.create
        return
    made: list[str] = []

    def new_file() -> str:
        made.append(f"sqlite:///{folder}/books-{len(made)}.db")
        return made[-1]

    yield new_file
