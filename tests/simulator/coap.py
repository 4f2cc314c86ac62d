"""A small, strict CoAP message codec (RFC 7252 section 3, RFC 7641, RFC 7959), independent of the server's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import NamedTuple


class CoapError(Exception):
    """The bytes are not a CoAP message."""


class Type(IntEnum):
    """Message types (RFC 7252 section 3)."""

    CON = 0
    NON = 1
    ACK = 2
    RST = 3


class Code(IntEnum):
    """Method and response codes, class in the upper three bits."""

    EMPTY = 0x00
    GET = 0x01
    POST = 0x02
    PUT = 0x03
    DELETE = 0x04
    FETCH = 0x05
    PATCH = 0x06
    IPATCH = 0x07
    CREATED = 0x41
    DELETED = 0x42
    VALID = 0x43
    CHANGED = 0x44
    CONTENT = 0x45
    CONTINUE = 0x5F
    BAD_REQUEST = 0x80
    UNAUTHORIZED = 0x81
    BAD_OPTION = 0x82
    FORBIDDEN = 0x83
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    NOT_ACCEPTABLE = 0x86
    REQUEST_ENTITY_INCOMPLETE = 0x88
    PRECONDITION_FAILED = 0x8C
    REQUEST_ENTITY_TOO_LARGE = 0x8D
    UNSUPPORTED_CONTENT_FORMAT = 0x8F
    INTERNAL_SERVER_ERROR = 0xA0


class Option(IntEnum):
    """Option numbers that the simulator knows."""

    IF_MATCH = 1
    URI_HOST = 3
    ETAG = 4
    IF_NONE_MATCH = 5
    OBSERVE = 6
    URI_PORT = 7
    LOCATION_PATH = 8
    URI_PATH = 11
    CONTENT_FORMAT = 12
    MAX_AGE = 14
    URI_QUERY = 15
    ACCEPT = 17
    LOCATION_QUERY = 20
    BLOCK2 = 23
    BLOCK1 = 27
    SIZE2 = 28
    SIZE1 = 60


def dotted(code: int) -> str:
    """0x45 is "2.05"."""
    return f"{code >> 5}.{code & 31:02d}"


class Block(NamedTuple):
    """A Block1 or Block2 value (RFC 7959 section 2.2)."""

    number: int
    more: bool
    exponent: int

    @property
    def size(self) -> int:
        """Block size in bytes."""
        return 1 << (self.exponent + 4)

    def pack(self) -> int:
        """Give the option's unsigned integer."""
        return self.number << 4 | self.more << 3 | self.exponent

    @classmethod
    def unpack(cls, value: int) -> Block:
        """Read the option's unsigned integer; size exponent 7 is reserved."""
        if value & 7 == 7 or value >= 1 << 24:
            raise CoapError("bad block option")
        return cls(value >> 4, bool(value & 8), value & 7)


def exponent_for(size: int) -> int:
    """Give the largest block exponent whose size is at most `size` (16 to 1024)."""
    return max(0, min(6, size.bit_length() - 5))


@dataclass(slots=True)
class Message:
    """One CoAP message; options are (number, bytes) and are sorted when encoded."""

    type: Type
    code: int
    mid: int = 0
    token: bytes = b""
    options: list[tuple[int, bytes]] = field(default_factory=list)
    payload: bytes = b""

    def values(self, number: int) -> list[bytes]:
        """All values of one option in order."""
        return [value for key, value in self.options if key == number]

    def uint(self, number: int) -> int | None:
        """The first value of an option as an unsigned integer, None when absent."""
        for key, value in self.options:
            if key == number:
                return int.from_bytes(value, "big")
        return None

    def add(self, number: int, value: int | str | bytes) -> Message:
        """Append an option and return the message."""
        if isinstance(value, int):
            value = value.to_bytes((value.bit_length() + 7) // 8, "big")
        elif isinstance(value, str):
            value = value.encode()
        self.options.append((number, value))
        return self

    def without(self, *numbers: int) -> Message:
        """Copy without these options."""
        return replace(self, options=[item for item in self.options if item[0] not in numbers])

    @property
    def path(self) -> tuple[str, ...]:
        """Uri-Path segments."""
        return tuple(value.decode("utf-8", "replace") for value in self.values(Option.URI_PATH))

    @property
    def query(self) -> tuple[str, ...]:
        """Uri-Query items."""
        return tuple(value.decode("utf-8", "replace") for value in self.values(Option.URI_QUERY))

    def block(self, number: int) -> Block | None:
        """The Block1 or Block2 option, None when absent."""
        value = self.uint(number)
        return None if value is None else Block.unpack(value)

    @property
    def is_request(self) -> bool:
        """Whether the code is a method."""
        return 0 < self.code < 32

    @property
    def is_response(self) -> bool:
        """Whether the code is a response."""
        return self.code >= 64

    def encode(self) -> bytes:
        """Give the datagram."""
        if len(self.token) > 8:
            raise CoapError("token over 8 bytes")
        out = bytearray((0x40 | self.type << 4 | len(self.token), self.code))
        out += self.mid.to_bytes(2, "big") + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda item: item[0]):
            delta, delta_more = _nibble(number - last)
            length, length_more = _nibble(len(value))
            out.append(delta << 4 | length)
            out += delta_more + length_more + value
            last = number
        if self.payload:
            out += b"\xff" + self.payload
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Message:
        """Read one datagram; CoapError on any breach of RFC 7252 section 3."""
        if len(data) < 4 or data[0] >> 6 != 1:
            raise CoapError("not CoAP version 1")
        token_length, code = data[0] & 15, data[1]
        if token_length > 8 or code >> 5 in (1, 6, 7) or len(data) < 4 + token_length:
            raise CoapError("bad header")
        message = cls(Type(data[0] >> 4 & 3), code, int.from_bytes(data[2:4], "big"), data[4 : 4 + token_length])
        if code == Code.EMPTY and len(data) > 4:
            raise CoapError("empty message with content")
        position, number = 4 + token_length, 0
        while position < len(data):
            head = data[position]
            position += 1
            if head == 0xFF:
                if position == len(data):
                    raise CoapError("payload marker without payload")
                message.payload = data[position:]
                break
            delta, position = _extend(head >> 4, data, position)
            length, position = _extend(head & 15, data, position)
            number += delta
            if number > 0xFFFF or position + length > len(data):
                raise CoapError("option runs over")
            message.options.append((number, data[position : position + length]))
            position += length
        return message


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2, "big")


def _extend(nibble: int, data: bytes, position: int) -> tuple[int, int]:
    if nibble < 13:
        return nibble, position
    width = {13: 1, 14: 2}.get(nibble)
    if width is None or position + width > len(data):
        raise CoapError("bad option header")
    value = int.from_bytes(data[position : position + width], "big")
    return value + (13 if width == 1 else 269), position + width


KNOWN_CRITICAL = frozenset(option for option in Option if option & 1)


def unknown_critical(message: Message, known: Iterable[int] = KNOWN_CRITICAL) -> int | None:
    """Give the first critical option (odd number) that is not understood."""
    return next((number for number, _ in message.options if number & 1 and number not in known), None)
