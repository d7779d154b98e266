"""HTTP/2 (RFC 9113), one end of one connection: as little of it as unary gRPC calls need, and all of its flow control.

It receives without bounds (messages are small, and this is a proxy for tests) and sends within the other's windows.
"""

import asyncio
import socket
import struct
from collections import deque
from dataclasses import dataclass, field

from tests.faults.proxies.hpack import Decoder, Headers, encode

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACKNOWLEDGED, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
CANCEL, REFUSED = 8, 7
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_INITIAL_WINDOW_SIZE = 4
_LARGEST_WINDOW = 2**31 - 1
_LARGEST_FRAME = 16384


class Lost(Exception):
    """The connection or the stream ended before the message did."""


@dataclass
class Message:
    """What came on a stream, in full: headers, bytes, and (of an answer) trailers."""

    headers: Headers
    body: bytes = b""
    trailers: Headers | None = None


@dataclass
class _Outgoing:
    window: int
    frames: deque[tuple[int, bytes, bool]] = field(default_factory=deque)


class Connection(asyncio.Protocol):
    """One end. A subclass says what to do with a message that is complete, with a stream that was reset, and so on."""

    def __init__(self, is_server: bool) -> None:
        self._is_server = is_server
        self._buffer = bytearray()
        self._awaits_preface = is_server
        self._decoder = Decoder()
        self._incoming: dict[int, Message] = {}
        self._block: tuple[int, bool, bytes] | None = None
        self._outgoing: dict[int, _Outgoing] = {}
        self._window = self._initial_window = 65535
        self._received = 0
        self.transport: asyncio.Transport | None = None
        self.closing = False
        """The other end has said that it takes no new streams, or is gone."""

    def message_received(self, stream: int, message: Message) -> None:
        """A message is complete."""

    def stream_reset(self, stream: int) -> None:
        """The other end has given up a stream."""

    # --- sending

    def send(self, stream: int, message: Message) -> None:
        """Send a message and end this side of the stream."""
        if self.transport is None:
            return
        outgoing = self._outgoing[stream] = _Outgoing(self._initial_window)
        is_all = not message.body and message.trailers is None
        outgoing.frames.append((HEADERS, encode(message.headers), is_all))
        for at in range(0, len(message.body), _LARGEST_FRAME):
            part = message.body[at : at + _LARGEST_FRAME]
            is_last = at + len(part) == len(message.body) and message.trailers is None
            outgoing.frames.append((DATA, part, is_last))
        if message.trailers is not None:
            outgoing.frames.append((HEADERS, encode(message.trailers), True))
        self._flush(stream)

    def reset(self, stream: int, code: int = CANCEL) -> None:
        """Give up a stream."""
        self._outgoing.pop(stream, None)
        self._incoming.pop(stream, None)
        self._frame(RST_STREAM, 0, stream, struct.pack(">I", code))

    def abort(self) -> None:
        """Cut the connection, so that the other end sees a reset."""
        if self.transport is not None:
            if (own := self.transport.get_extra_info("socket")) is not None:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def _flush(self, stream: int) -> None:
        outgoing = self._outgoing[stream]
        while outgoing.frames:
            type, payload, is_last = outgoing.frames[0]
            if type == DATA:
                if min(self._window, outgoing.window) < len(payload):
                    return  # until a window opens; both are at least as large as the largest frame at times
                self._window -= len(payload)
                outgoing.window -= len(payload)
            outgoing.frames.popleft()
            flags = END_HEADERS if type == HEADERS else 0
            self._frame(type, flags | (END_STREAM if is_last else 0), stream, payload)
        del self._outgoing[stream]

    def _frame(self, type: int, flags: int, stream: int, payload: bytes = b"") -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(
                struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", type, flags, stream) + payload
            )

    # --- receiving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if not self._is_server:
            transport.write(_PREFACE)
        self._frame(SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, _LARGEST_WINDOW))
        self._frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - 65535))

    def connection_lost(self, exception: Exception | None) -> None:
        """See asyncio."""
        self.closing, self.transport = True, None

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        at = 0
        if self._awaits_preface:
            if len(self._buffer) < len(_PREFACE):
                return
            self._awaits_preface, at = False, len(_PREFACE)
        while len(self._buffer) - at >= 9:
            length = int.from_bytes(self._buffer[at : at + 3], "big")
            end = at + 9 + length
            if len(self._buffer) < end:
                break
            type, flags, stream = struct.unpack_from(">BBI", self._buffer, at + 3)
            self._received_frame(type, flags, stream & 0x7FFFFFFF, bytes(self._buffer[at + 9 : end]))
            at = end
        del self._buffer[:at]

    def _received_frame(self, type: int, flags: int, stream: int, payload: bytes) -> None:
        if type == HEADERS:
            payload = _unpadded(payload, flags)
            self._header_block(stream, flags, payload[5:] if flags & PRIORITY else payload)
        elif type == CONTINUATION and self._block is not None:
            _, ends, begun = self._block
            self._header_block(stream, flags | (END_STREAM if ends else 0), begun + payload)
        elif type == DATA:
            self._data(stream, flags, payload)
        elif type == SETTINGS and not flags & ACKNOWLEDGED:
            self._settings(payload)
        elif type == PING and not flags & ACKNOWLEDGED:
            self._frame(PING, ACKNOWLEDGED, 0, payload)
        elif type == WINDOW_UPDATE:
            self._window_update(stream, int.from_bytes(payload, "big"))
        elif type == RST_STREAM:
            self._incoming.pop(stream, None)
            self._outgoing.pop(stream, None)
            self.stream_reset(stream)
        elif type == GOAWAY:
            self.closing = True

    def _header_block(self, stream: int, flags: int, block: bytes) -> None:
        ends = bool(flags & END_STREAM)
        if not flags & END_HEADERS:
            self._block = (stream, ends, block)
            return
        self._block = None
        headers = self._decoder.decode(block)
        message = self._incoming.get(stream)
        if message is None:
            self._incoming[stream] = Message(headers)
        else:
            message.trailers = headers
        if ends:
            self._complete(stream)

    def _data(self, stream: int, flags: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received > _LARGEST_WINDOW // 2:
            self._frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received))
            self._received = 0
        if (message := self._incoming.get(stream)) is not None:
            message.body += _unpadded(payload, flags)
            if flags & END_STREAM:
                self._complete(stream)

    def _complete(self, stream: int) -> None:
        self.message_received(stream, self._incoming.pop(stream))

    def _settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _INITIAL_WINDOW_SIZE:
                for outgoing in self._outgoing.values():
                    outgoing.window += value - self._initial_window
                self._initial_window = value
        self._frame(SETTINGS, ACKNOWLEDGED, 0)
        self._flush_all()

    def _window_update(self, stream: int, more: int) -> None:
        if stream == 0:
            self._window += more
            self._flush_all()
        elif stream in self._outgoing:
            self._outgoing[stream].window += more
            self._flush(stream)

    def _flush_all(self) -> None:
        for stream in list(self._outgoing):
            self._flush(stream)


def _unpadded(payload: bytes, flags: int) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
