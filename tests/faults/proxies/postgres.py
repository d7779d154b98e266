"""A proxy for PostgreSQL's protocol: it reads single messages, and cuts a connection exactly at one of them.

    before          the message is not forwarded any more
    after           it is forwarded, and the connection cut at once
    unanswered      it is forwarded and carried out; the server's answer is awaited, and never passed on

Messages are counted in each direction, over all connections, so that a test can cut at the first, the second, the
third ... until a run completes without reaching the nth. What is cut, says the plan.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import URL, make_url

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_QUERY, _READY = "Q", "Z"


class Side(StrEnum):
    """Who sent a message."""

    FRONTEND = "frontend"
    BACKEND = "backend"


class Cut(StrEnum):
    """Where a connection is cut: see the module."""

    BEFORE = "before"
    AFTER = "after"
    UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Seen:
    """One message: the nth of its side. `type` is the protocol's letter, `text` a simple query's."""

    side: Side
    nth: int
    type: str
    text: str = ""
    nth_commit: int = 0
    """Which COMMIT this is; 0 if it is none."""

    def __str__(self) -> str:
        """As it stands in the record."""
        return f"{self.side}#{self.nth} ({self.text or self.type})"


Plan = Callable[[Seen], Cut | None]


def undisturbed(seen: Seen) -> Cut | None:
    """Everything passes through."""
    return None


def at_message(side: Side, nth: int, cut: Cut) -> Plan:
    """Cut at the nth message of a side."""
    return lambda seen: cut if (seen.side, seen.nth) == (side, nth) else None


def at_commit(nth: int, cut: Cut) -> Plan:
    """Cut at the nth COMMIT."""
    return lambda seen: cut if seen.nth_commit == nth else None


class PostgresProxy:
    """A running proxy. Make one with `PostgresProxy.running`; put another `plan` into it at any time."""

    def __init__(self, server: URL, before: Callable[[Seen, Cut], None] | None = None) -> None:
        self.plan: Plan = undisturbed
        self.fired: list[Seen] = []
        """The messages at which a connection was cut."""
        self.count: Counter[str] = Counter()
        """How many messages each side has sent, and how many COMMITs there were."""
        self.url = ""
        self._server = server
        self.before = before
        """Called with what is about to be cut; may be replaced at any time."""
        self._connections: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def running(
        cls, url: str, before: Callable[[Seen, Cut], None] | None = None
    ) -> "AsyncIterator[PostgresProxy]":
        """A proxy in front of a database, for the length of the block; its own URL is in `url`.

        `before` is called with the message at which a connection is to be cut, before it is.
        """
        server = make_url(url)
        proxy = cls(server, before)
        listening = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        own = server.set(host="127.0.0.1", port=port).difference_update_query(["host", "port"])
        proxy.url = own.render_as_string(hide_password=False)
        try:
            yield proxy
        finally:
            listening.close()
            for connection in proxy._connections:
                connection.cancel()
            await asyncio.gather(*proxy._connections, return_exceptions=True)

    def count_anew(self, plan: Plan) -> None:
        """Follow a plan from here on, counting from zero."""
        self.count.clear()
        self.fired.clear()
        self.plan = plan

    async def to_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the database behind the proxy."""
        host, port = self._server.query.get("host") or self._server.host or "127.0.0.1", self._server.port or 5432
        if str(host).startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(str(host), port)

    def look(self, side: Side, type: str, body: bytes) -> tuple[Seen, Cut | None]:
        """Count a message, and tell what is planned for it."""
        self.count[side] += 1
        text = body.rstrip(b"\0").decode(errors="replace") if side is Side.FRONTEND and type == _QUERY else ""
        nth_commit = 0
        if text.upper().startswith("COMMIT"):
            self.count["COMMIT"] += 1
            nth_commit = self.count["COMMIT"]
        seen = Seen(side, self.count[side], type, text, nth_commit)
        return seen, self.plan(seen)

    def fire(self, seen: Seen, cut: Cut) -> None:
        """A connection is cut now."""
        if self.before is not None:
            self.before(seen, cut)
        self.fired.append(seen)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await _Conversation(self, reader, writer).hold()
        finally:
            writer.close()
            self._connections.discard(task)


class _Conversation:
    """One connection of a client, and its own to the server."""

    def __init__(self, proxy: PostgresProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._unanswered: Seen | None = None
        """A message whose answer is not to be passed on."""

    async def hold(self) -> None:
        """Pass messages on until one side hangs up, or the connection is cut."""
        start = await self._start()
        reader, writer = await self._proxy.to_server()
        try:
            if struct.unpack_from(">I", start, 4)[0] == _CANCEL_REQUEST:
                writer.write(start)
                await reader.read()
                return
            if await self._pass(Side.FRONTEND, "startup", start, writer):
                await self._both(reader, writer)
        finally:
            writer.close()

    async def _both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pumps = [
            asyncio.create_task(self._pump(Side.FRONTEND, self._reader, writer)),
            asyncio.create_task(self._pump(Side.BACKEND, reader, self._writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _start(self) -> bytes:
        """The message that begins a connection; encryption is declined."""
        while True:
            head = await self._reader.readexactly(8)
            length, code = struct.unpack(">II", head)
            if code not in (_SSL_REQUEST, _GSS_REQUEST):
                return head + await self._reader.readexactly(length - 8)
            self._writer.write(b"N")

    async def _pump(self, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(5)
            message = head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
            if not await self._pass(side, chr(head[0]), message, writer):
                return

    async def _pass(self, side: Side, type: str, message: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass a message on. False if the connection is to be cut here."""
        seen, cut = self._proxy.look(side, type, message[5:])
        if self._unanswered is not None and side is Side.BACKEND:
            if type != _READY:
                return True
            self._proxy.fire(self._unanswered, Cut.UNANSWERED)
            return False
        if cut is Cut.UNANSWERED:
            self._unanswered = seen
        elif cut is not None:
            self._proxy.fire(seen, cut)
        if cut is Cut.BEFORE:
            return False
        writer.write(message)
        await writer.drain()
        return cut is not Cut.AFTER
