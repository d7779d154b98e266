"""Line: the proxy's own way to the server, on which many calls are under way at the same time."""

import asyncio

from tests.faults.proxies.http2 import Connection, Lost, Message


class Line:
    """The way to the server: a connection, and another one when that is over."""

    def __init__(self, server: str) -> None:
        self._host, _, port = server.rpartition(":")
        self._port = int(port)
        self._connection: _ToServer | None = None
        self._connecting = asyncio.Lock()

    async def forward(self, message: Message) -> Message:
        """Send a request and wait for its answer. Raises Lost or OSError; a cancel gives the call up."""
        async with self._connecting:
            if self._connection is None or self._connection.closing:
                loop = asyncio.get_running_loop()
                connected: tuple[asyncio.Transport, _ToServer]
                connected = await loop.create_connection(_ToServer, self._host, self._port)
                self._connection = connected[1]
            connection = self._connection
        return await connection.ask(message)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.close()


class _ToServer(Connection):
    """One connection to the server."""

    def __init__(self) -> None:
        super().__init__(is_server=False)
        self._next = 1
        self._answers: dict[int, asyncio.Future[Message]] = {}

    async def ask(self, message: Message) -> Message:
        stream, self._next = self._next, self._next + 2
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[stream] = answer
        self.send(stream, message)
        try:
            return await answer
        finally:
            if self._answers.pop(stream, None) is not None:  # cancelled: nobody waits for it any more
                self.reset(stream)

    def message_received(self, stream: int, message: Message) -> None:
        if (answer := self._answers.pop(stream, None)) is not None and not answer.done():
            answer.set_result(message)

    def stream_reset(self, stream: int) -> None:
        self._lose(stream, "it reset the stream")

    def connection_lost(self, exception: Exception | None) -> None:
        super().connection_lost(exception)
        for stream in list(self._answers):
            self._lose(stream, "it closed the connection")

    def _lose(self, stream: int, why: str) -> None:
        if (answer := self._answers.pop(stream, None)) is not None and not answer.done():
            answer.set_exception(Lost(why))
