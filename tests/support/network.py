"""PostgreSQL at the far end of a network that a test can break: see `byte_proxy.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url

from tests.support.byte_proxy import ByteProxy


@asynccontextmanager
async def through_a_proxy(url: str) -> AsyncIterator[tuple[ByteProxy, str]]:
    """A proxy before the server of a PostgreSQL URL, and the URL that leads through it."""
    parsed = make_url(url)
    host, port = str(parsed.query.get("host") or parsed.host), parsed.port or 5432
    target = (f"{host}/.s.PGSQL.{port}", None) if host.startswith("/") else (host, port)
    async with ByteProxy.to(*target) as proxy:
        there = parsed.set(host=proxy.host, port=proxy.port, query={})
        yield proxy, there.render_as_string(hide_password=False)
