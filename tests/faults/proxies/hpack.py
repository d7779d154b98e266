"""HPACK (RFC 7541): the headers of HTTP/2, read in full, written in the plainest form the standard allows.

What is written refers to nothing sent before, so that a proxy may leave out or repeat any request. What is read may
refer to earlier headers of the same connection, and may be in Huffman's code: printable ASCII only, which is all
that gRPC has in headers.
"""

from functools import lru_cache

Headers = list[tuple[str, str]]

_TABLE = (
    ":authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200 "
    ":status=204 :status=206 :status=304 :status=400 :status=404 :status=500 accept-charset "
    "accept-encoding=gzip,_deflate accept-language accept-ranges accept access-control-allow-origin age allow "
    "authorization cache-control content-disposition content-encoding content-language content-length "
    "content-location content-range content-type cookie date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards "
    "proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie "
    "strict-transport-security transfer-encoding user-agent vary via www-authenticate"
)
_STATIC: Headers = [
    (name, value.replace("_", " ")) for name, _, value in (entry.partition("=") for entry in _TABLE.split())
]
_CODE_LENGTHS = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
    19: "\\",
}
"""Appendix B: which character has a code of how many bits. The code is canonical, so the lengths say it all."""


def _codes() -> dict[tuple[int, int], str]:
    codes, code, before = {}, 0, 0
    for length, characters in _CODE_LENGTHS.items():
        code <<= length - before
        for character in characters:
            codes[length, code] = character
            code += 1
        before = length
    return codes


_CODES = _codes()


class Unreadable(ValueError):
    """A header block that this reader cannot read."""


class Decoder:
    """Reads the header blocks of one direction of one connection, in order."""

    def __init__(self) -> None:
        self._recent: Headers = []
        self._most = 4096

    def decode(self, block: bytes) -> Headers:
        """The headers of one block. Raises Unreadable."""
        headers: Headers = []
        at = 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 7)
                headers.append(self._entry(index))
            elif first & 0xE0 == 0x20:
                self._most, at = _integer(block, at, 5)
                self._shrink()
            else:
                remember = bool(first & 0x40)
                index, at = _integer(block, at, 6 if remember else 4)
                name = self._entry(index)[0] if index else ""
                if not index:
                    name, at = _string(block, at)
                value, at = _string(block, at)
                headers.append((name, value))
                if remember:
                    self._recent.insert(0, (name, value))
                    self._shrink()
        return headers

    def _entry(self, index: int) -> tuple[str, str]:
        if not 0 < index <= len(_STATIC) + len(self._recent):
            raise Unreadable(f"no header number {index}")
        return _STATIC[index - 1] if index <= len(_STATIC) else self._recent[index - len(_STATIC) - 1]

    def _shrink(self) -> None:
        size = sum(len(name) + len(value) + 32 for name, value in self._recent)
        while size > self._most:
            name, value = self._recent.pop()
            size -= len(name) + len(value) + 32


def encode(headers: Headers) -> bytes:
    """A header block that any decoder reads, whatever it has seen before."""
    return b"".join(_literal(name, value) for name, value in headers)


@lru_cache(maxsize=2000)
def _literal(name: str, value: str) -> bytes:
    parts = (part.encode("latin-1") for part in (name, value))
    return b"\0" + b"".join(_length(len(part)) + part for part in parts)


def _length(value: int) -> bytes:
    if value < 127:
        return bytes([value])
    more = bytearray([127])
    value -= 127
    while value >= 128:
        more.append(value % 128 + 128)
        value //= 128
    more.append(value)
    return bytes(more)


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    mask = (1 << bits) - 1
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        more = block[at]
        at += 1
        value += (more & 127) << shift
        shift += 7
        if not more & 128:
            return value, at


def _string(block: bytes, at: int) -> tuple[str, int]:
    is_huffman = bool(block[at] & 0x80)
    length, at = _integer(block, at, 7)
    raw = bytes(block[at : at + length])
    return (_huffman(raw) if is_huffman else raw.decode("latin-1")), at + length


@lru_cache(maxsize=4000)
def _huffman(raw: bytes) -> str:
    text, code, length = [], 0, 0
    for byte in raw:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            if (character := _CODES.get((length, code))) is not None:
                text.append(character)
                code = length = 0
            elif length > 19:
                raise Unreadable("a character that is not printable ASCII")
    return "".join(text)
