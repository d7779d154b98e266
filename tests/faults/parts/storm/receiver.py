"""Receiver: where the storm's notifications arrive, over real HTTP. It checks signatures and drops what it has seen.

While it is silent it takes what it is sent, and says nothing: the sender cannot know, and must send again.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from activities.notifiers import WEBHOOK_SECRET, WEBHOOK_URL
from tests.faults.evidence import Delivery

_SECRET = "whsec_" + base64.b64encode(b"a secret of the storm and nobody").decode()


class Receiver:
    """A webhook's far end. `accepted` deliveries are those whose key it had not seen."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.is_silent = False
        self.kept_in_silence = 0
        self.refused = 0
        self._seen: set[str] = set()
        self._port = 0

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["Receiver"]:
        """Listen on any free port."""
        receiver = cls()
        server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)
        receiver._port = server.sockets[0].getsockname()[1]
        try:
            yield receiver
        finally:
            server.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a worker is started with, to send here."""
        return {WEBHOOK_URL: f"http://127.0.0.1:{self._port}/", WEBHOOK_SECRET: _SECRET}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = _headers(head)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status = self._take(headers, body.decode())
                while self.is_silent:
                    await asyncio.sleep(0.05)
                writer.write(f"HTTP/1.1 {status} .\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    def _take(self, headers: dict[str, str], body: str) -> int:
        key = headers.get("webhook-id", "")
        try:
            Webhook(_SECRET).verify(body, headers)
        except WebhookVerificationError:  # its time is out of bounds: the sender's clock has jumped
            self.refused += 1
            return 400
        self.deliveries.append(Delivery(key, body, time.monotonic(), accepted=key not in self._seen))
        self._seen.add(key)
        self.kept_in_silence += self.is_silent
        return 204


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
