"""Block-wise transfers (RFC 7959): the option, and what is kept of a body while its blocks come or go. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple, Self

from ..protocol import codes
from .messages import Request, Response

UPLOAD_LIMIT: Final = 128 * 1024
"""Bytes of the largest body that a peer may send in blocks."""

UPLOADS: Final = 2
"""Bodies that one peer may be sending at a time."""

DOWNLOAD_LIMIT: Final = 1024 * 1024
"""Bytes of the largest body that is fetched from a peer in blocks."""

LIFETIME: Final = 93.0
"""Seconds without a next block until a body is let go: MAX_TRANSMIT_WAIT of RFC 7252 section 4.8.2."""


class Block(NamedTuple):
    """A Block1 or Block2 option; `exponent` is SZX, the size is 2 ** (exponent + 4)."""

    number: int
    more: bool
    exponent: int

    @property
    def size(self) -> int:
        """Bytes of a full block."""
        return 16 << self.exponent

    @property
    def start(self) -> int:
        """Byte offset of the block in the body."""
        return self.number << self.exponent + 4

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read the option value; ValueError if it is too long or has the reserved size 7 (section 2.2)."""
        if len(value) > 3:
            raise ValueError("a block option has at most 3 bytes")
        number = int.from_bytes(value)
        if number & 7 == 7:
            raise ValueError("reserved block size")
        return cls(number >> 4, bool(number & 8), number & 7)

    def encode(self) -> bytes:
        """The option value, as short as it can be."""
        value = self.number << 4 | self.more << 3 | self.exponent
        return value.to_bytes((value.bit_length() + 7) // 8)

    @classmethod
    def at(cls, offset: int, exponent: int, total: int) -> Self:
        """The block of a body of `total` bytes that starts at `offset`."""
        return cls(offset >> exponent + 4, offset + (16 << exponent) < total, exponent)


def transfer_key(request: Request) -> tuple[object, ...]:
    """What the requests for the blocks of one body have in common."""
    return (request.method, request.path, request.query, request.content_format, request.accept)


class Upload:
    """A body that a peer sends in blocks."""

    __slots__ = ("body", "expires", "last")

    def __init__(self) -> None:
        self.body = bytearray()
        self.last = b""
        self.expires = 0.0


class Spool:
    """Bodies that arrive in blocks: bounded for each peer and in all."""

    __slots__ = ("_limit", "_size", "_uploads")

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of all bodies together."""
        self._limit = limit
        self._size = 0
        self._uploads: dict[Hashable, dict[Hashable, Upload]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._uploads.values()))

    def expects(self, peer: Hashable, key: Hashable, block: Block) -> bool:
        """Whether the block goes on with a body of which earlier ones are here."""
        return block.number > 0 and key in self._uploads.get(peer, ())

    def add(self, peer: Hashable, key: Hashable, block: Block, payload: bytes, now: float) -> bytes | int:
        """Take the next block; returns the whole body after the last one, else the code to answer the block with.

        Block 0 begins anew. The block before may come again, its answer was lost.
        """
        if (block.more and len(payload) != block.size) or len(payload) > block.size:
            return codes.BAD_REQUEST
        own = self._uploads.get(peer)
        if block.number == 0:
            self._drop(peer, key)
            own = self._uploads.setdefault(peer, {})
            if len(own) >= UPLOADS:
                self._drop(peer, next(iter(own)))
                own = self._uploads.setdefault(peer, {})
            own[key] = Upload()
        if own is None or (upload := own.get(key)) is None:
            return codes.REQUEST_ENTITY_INCOMPLETE
        body = upload.body
        again = upload.last and block.start + len(upload.last) == len(body) and payload == upload.last
        if not again:
            if block.start != len(body):
                self._drop(peer, key)
                return codes.REQUEST_ENTITY_INCOMPLETE
            if len(body) + len(payload) > UPLOAD_LIMIT or self._size + len(payload) > self._limit:
                self._drop(peer, key)
                return codes.REQUEST_ENTITY_TOO_LARGE
            body += payload
            self._size += len(payload)
            upload.last = payload
        upload.expires = now + LIFETIME
        if block.more:
            return codes.CONTINUE
        self._drop(peer, key)
        return bytes(body)

    def forget(self, peer: Hashable) -> None:
        """Let go of all that a peer has begun."""
        for key in list(self._uploads.get(peer, ())):
            self._drop(peer, key)

    def sweep(self, now: float) -> None:
        """Let go of what nobody goes on with."""
        old = [
            (peer, key) for peer, own in self._uploads.items() for key, upload in own.items() if upload.expires < now
        ]
        for peer, key in old:
            self._drop(peer, key)

    def _drop(self, peer: Hashable, key: Hashable) -> None:
        own = self._uploads.get(peer)
        if own is not None and (upload := own.pop(key, None)) is not None:
            self._size -= len(upload.body)
            if not own:
                del self._uploads[peer]


class Download:
    """A response that a peer fetches from us in blocks."""

    __slots__ = ("expires", "key", "response")

    def __init__(self, key: tuple[object, ...], response: Response, now: float) -> None:
        self.key = key
        self.response = response
        self.expires = now + LIFETIME
