"""Webhooks: a receiver of notifications that takes them, and does not always say so.

It verifies every signature, keeps each message the moment it has it, and then leaves the first deliveries of the keys
that were chosen without any answer, so that the sender cannot know.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from standardwebhooks import Webhook

from tests.faults.evidence import Delivery

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """What it got, and which transfers it stays silent about, how often."""

    silences: dict[str, int] = field(default_factory=dict)
    """By transfer id: how many deliveries are left without an answer."""
    on_silence: Callable[[str], None] = lambda key: None
    """Called with the key before it stays silent."""
    deliveries: list[Delivery] = field(default_factory=list)
    forged: int = 0
    url: str = ""

    def times(self, transfer_id: str) -> Counter[str]:
        """How often each key of a transfer was delivered."""
        return Counter(each.key for each in self.deliveries if each.key.startswith(f"{transfer_id}/"))

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which may carry several requests."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")[1:]
                headers = {
                    name.strip().lower(): value.strip() for name, _, value in (li.partition(":") for li in lines)
                }
                body = (await reader.readexactly(int(headers["content-length"]))).decode()
                if await self._silent(headers, body):
                    await reader.read()  # until the sender gives up and closes
                    break
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        writer.close()

    async def _silent(self, headers: dict[str, str], body: str) -> bool:
        key = headers["webhook-id"]
        try:
            Webhook(SECRET).verify(body, headers)
        except Exception:
            self.forged += 1
        self.deliveries.append(Delivery(key, body, time.monotonic()))
        transfer_id = key.partition("/")[0]
        if not self.silences.get(transfer_id):
            return False
        self.on_silence(key)
        self.silences[transfer_id] -= 1
        return True


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens on a port of this machine."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.receive, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield receiver
    finally:
        server.close()
