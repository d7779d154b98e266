"""A proxy of bytes for faults of the network: it stands between a client and a server and understands nothing.

    async with ByteProxy.to("127.0.0.1", 5432) as proxy:       # or ByteProxy.to("/run/postgresql/.s.PGSQL.5432")
        connect(proxy.host, proxy.port)
        proxy.latency_seconds = 0.05                           # each way; for what arrives from now on
        proxy.bytes_per_second = 10_000                        # each way, and for each connection
        proxy.blackhole()                                      # accept, swallow, hold open: nobody is told anything
        proxy.blackhole(requests=False)                        # the server hears everything, its answers are lost
        proxy.heal()                                           # pass everything again
        proxy.reset_all()                                      # every connection ends with a RST, at both ends

A stream with a hole in it is worse than none. So a connection of which anything was swallowed (an end of stream
counts) stays black after `heal`, as one does whose route never comes back: its client must give it up by itself, and
its server too. Connections that were idle in the black time go on, and so do new ones.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

CHUNK = 64 * 1024
PIECES_PER_SECOND = 20
"""Slow bytes do not come all at once at the end of a second."""

QUEUE = 64
"""How many chunks may be on their way at once, in each direction of a connection; then its sender has to wait."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: closing sends a RST


@dataclass(eq=False)
class Link:
    """One client and the connection to the server that was made for it. `black`: some of its bytes are lost."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    black: bool = False

    def reset(self) -> None:
        """End it at both ends with a RST."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()


@dataclass
class ByteProxy:
    """See the module. Make one with `ByteProxy.to`.

    `accepted` counts connections, `swallowed` bytes, `resets` connections: a fault that was planned and did not fire
    proves nothing.
    """

    target: tuple[str, int | None]
    host: str = "127.0.0.1"
    port: int = 0
    latency_seconds: float = 0.0
    bytes_per_second: float | None = None
    swallows_requests: bool = False
    swallows_answers: bool = False
    accepted: int = 0
    swallowed: int = 0
    resets: int = 0
    _links: set[Link] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def to(cls, host: str, port: int | None = None) -> AsyncIterator["ByteProxy"]:
        """Listen on a free port of 127.0.0.1 and forward to a host and port, or to the path of a Unix socket."""
        proxy = cls((host, port))
        server = await asyncio.start_server(proxy._accept, proxy.host, 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            await proxy._close()

    def blackhole(self, *, requests: bool = True, answers: bool = True) -> None:
        """From now on everything is swallowed, also what is on its way; connections are accepted and stay open."""
        self.swallows_requests, self.swallows_answers = requests, answers

    def heal(self) -> None:
        """Pass everything again, at full speed. What was swallowed stays lost, and so does its connection."""
        self.blackhole(requests=False, answers=False)
        self.latency_seconds, self.bytes_per_second = 0.0, None

    def reset_all(self) -> None:
        """End every connection there is with a RST. New ones are accepted as before."""
        for link in self._links:
            self.resets += 1
            link.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy is closing; a cancelled handler would be reported as an error
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await self._connect()
        except OSError:
            return  # the server is not there, and the client is told so by the end of its connection
        link = Link(writer, to_server)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, to_server, link))
                both.create_task(self._carry(from_server, writer, link))
        finally:
            self._links.discard(link)
            to_server.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.target
        if port is None:
            return await asyncio.open_unix_connection(host)
        return await asyncio.open_connection(host, port)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        """One direction of a connection, to its end. The way between reading and writing is as long as the latency."""
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._read(reader, way, link))
            both.create_task(self._write(writer, way, link))

    async def _read(self, reader: asyncio.StreamReader, way: "asyncio.Queue[tuple[float, bytes]]", link: Link) -> None:
        now = asyncio.get_running_loop().time
        while True:
            try:
                data = await reader.read(CHUNK)
            except OSError:  # one end was reset: so is the other, unless nobody can hear of it
                if not (link.black or self.swallows_requests or self.swallows_answers):
                    link.reset()
                data = b""
            await way.put((now() + self.latency_seconds, data))
            if not data:
                return

    async def _write(self, writer: asyncio.StreamWriter, way: "asyncio.Queue[tuple[float, bytes]]", link: Link) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, data = await way.get()
            await asyncio.sleep(max(0.0, due - now()))
            with suppress(OSError, RuntimeError):  # the far end has gone: there is nobody to write to
                await self._deliver(writer, data, link)
            if not data:
                break
        while link.black:  # nobody was told of the end: the other side waits until it gives up or is reset
            if link.client.transport.is_closing() and link.server.transport.is_closing():
                return
            await asyncio.sleep(0.1)

    async def _deliver(self, writer: asyncio.StreamWriter, data: bytes, link: Link) -> None:
        """Write some bytes, or the end of the stream (no bytes); or swallow them, also in the middle."""
        while not self._is_swallowed(writer, link):
            piece = data if self.bytes_per_second is None else data[: self._piece()]
            if not piece:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            if self.bytes_per_second is not None:
                await asyncio.sleep(len(piece) / self.bytes_per_second)
            writer.write(piece)
            await writer.drain()
            data = data[len(piece) :]
            if not data:
                return
        link.black = True
        self.swallowed += len(data)

    def _is_swallowed(self, writer: asyncio.StreamWriter, link: Link) -> bool:
        return link.black or (self.swallows_requests if writer is link.server else self.swallows_answers)

    def _piece(self) -> int:
        return max(1, int((self.bytes_per_second or CHUNK) / PIECES_PER_SECOND))

    async def _close(self) -> None:
        """End everything, without a word to anybody that could be waited for."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
