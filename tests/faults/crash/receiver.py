"""A receiver of webhooks in this process, which outlives the workers that it is told by, and remembers everything.

It is out for lunch for the first two seconds in which it hears of a key that begins with `told_later`.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.evidence import Delivery

LUNCH_SECONDS = 2.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """What was delivered, by key. Make one with `receiving`."""

    def __init__(self) -> None:
        self.deliveries: defaultdict[str, list[Delivery]] = defaultdict(list)
        self._of_a_branch: defaultdict[str, list[Delivery]] = defaultdict(list)
        self.url = ""

    def about(self, id: str) -> list[Delivery]:
        """Every delivery about one transfer."""
        return [each for each in self.in_the_branch_of(id) if each.key.startswith(f"{id}/")]

    def in_the_branch_of(self, id: str) -> list[Delivery]:
        """Every delivery about the cases that share a branch, and so its books, with this one."""
        return self._of_a_branch[id.split(".")[1]]

    def take(self, key: str, body: str) -> bool:
        """Take a delivery, or refuse it."""
        now, before = time.monotonic(), self.deliveries[key]
        accepted = not key.startswith("told_later") or (bool(before) and now - before[0].at > LUNCH_SECONDS)
        delivery = Delivery(key, body, now, accepted)
        before.append(delivery)
        self._of_a_branch[key.split(".")[1]].append(delivery)
        return accepted

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                taken = self.take(headers["webhook-id"], body.decode())
                status = b"204 No Content" if taken else b"503 Service Unavailable"
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the worker is gone
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens, for the length of the block."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield receiver
    finally:
        server.close()
