"""CoAP messages as bytes, both ways (RFC 7252 section 3, RFC 7641, RFC 7959).

Parsing is our own: aiocoap keeps every option number and content format it ever saw in a table without a cap, and takes
several times as long.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ..protocol.errors import ProtocolError
from .blockwise import Block
from .messages import Request, Response

CON: Final = 0
NON: Final = 1
ACK: Final = 2
RST: Final = 3

ETAG: Final = 4
OBSERVE: Final = 6
LOCATION_PATH: Final = 8
URI_PATH: Final = 11
CONTENT_FORMAT: Final = 12
URI_QUERY: Final = 15
ACCEPT: Final = 17
BLOCK2: Final = 23
BLOCK1: Final = 27
SIZE2: Final = 28
PROXY_URI: Final = 35
PROXY_SCHEME: Final = 39
SIZE1: Final = 60

_URI_HOST: Final = 3
_URI_PORT: Final = 7

unpack_header = struct.Struct("!BBH").unpack_from
"""First byte (version, type, token length), code, message id."""

type Option = tuple[int, bytes]
"""Number and value."""


class WireError(ProtocolError):
    """Bytes that are not a CoAP message."""


class Head(NamedTuple):
    """Header and token of a message."""

    message_type: int
    code: int
    message_id: int
    token: bytes

    @property
    def end(self) -> int:
        """Where the options begin."""
        return 4 + len(self.token)


class Tail(NamedTuple):
    """What follows the token. Observe and Content-Format stand apart, since most notifications have just these."""

    observe: int | None
    content_format: int | None
    others: list[Option]
    payload: bytes


def parse_tail(data: bytes, position: int) -> Tail:
    """Parse options and payload from `position`, where the token ends. WireError for a message format error.

    An elective option with a length that its definition forbids is ignored (RFC 7252 section 5.4.3).
    """
    end = len(data)
    number = 0
    observe = content_format = None
    others: list[Option] = []
    try:
        while position < end:
            head = data[position]
            position += 1
            if head == 0xFF:
                if position == end:
                    raise WireError("payload marker without a payload")
                return Tail(observe, content_format, others, data[position:])
            delta = head >> 4
            length = head & 15
            if delta > 12:
                if delta == 13:
                    delta = data[position] + 13
                    position += 1
                elif delta == 14:
                    delta = (data[position] << 8 | data[position + 1]) + 269
                    position += 2
                else:
                    raise WireError("reserved option delta")
            if length > 12:
                if length == 13:
                    length = data[position] + 13
                    position += 1
                elif length == 14:
                    length = (data[position] << 8 | data[position + 1]) + 269
                    position += 2
                else:
                    raise WireError("reserved option length")
            number += delta
            stop = position + length
            if stop > end:
                raise WireError("an option runs past the end")
            if number == OBSERVE:
                if length <= 3 and observe is None:
                    observe = int.from_bytes(data[position:stop])
            elif number == CONTENT_FORMAT:
                if length <= 2 and content_format is None:
                    content_format = int.from_bytes(data[position:stop])
            else:
                others.append((number, data[position:stop]))
            position = stop
    except IndexError:
        raise WireError("an option header runs past the end") from None
    if number > 0xFFFF:
        raise WireError("option number over 65535")
    return Tail(observe, content_format, others, b"")


class Arrived(NamedTuple):
    """A request of a peer and the options that stay in this layer. `bad_option`: a critical one we cannot honour."""

    request: Request
    block1: Block | None
    block2: Block | None
    size1: int | None
    bad_option: int | None
    proxy: bool


def read_request(method: int, message_type: int, tail: Tail) -> Arrived:
    """Turn options into a request; never raises: what we cannot honour is named (RFC 7252 section 5.4)."""
    path: list[str] = []
    query: list[str] = []
    accept: int | None = None
    block1: Block | None = None
    block2: Block | None = None
    size1: int | None = None
    bad_option: int | None = None
    proxy = False
    for number, value in tail.others:
        try:
            if number == URI_PATH:
                path.append(value.decode())
            elif number == URI_QUERY:
                query.append(value.decode())
            elif number == ACCEPT and accept is None and len(value) <= 2:
                accept = int.from_bytes(value)
            elif number == BLOCK1 and block1 is None:
                block1 = Block.decode(value)
            elif number == BLOCK2 and block2 is None:
                block2 = Block.decode(value)
            elif number == SIZE1:
                size1 = int.from_bytes(value[-4:])
            elif number in (PROXY_URI, PROXY_SCHEME):
                proxy = True
            elif number & 1 and number not in (_URI_HOST, _URI_PORT) and bad_option is None:
                bad_option = number
        except ValueError:
            bad_option = number if bad_option is None else bad_option
    request = Request(method, tuple(path), tuple(query), tail.payload, tail.content_format, accept, message_type == CON)
    return Arrived(request, block1, block2, size1, bad_option, proxy)


class Answer(NamedTuple):
    """A response of a peer with the options that stay in this layer."""

    response: Response
    block1: Block | None
    block2: Block | None
    etag: bytes | None


def read_response(code: int, message_type: int, tail: Tail) -> Answer:
    """Turn options into a response. WireError for a critical option we cannot honour (RFC 7252 section 5.4.1)."""
    block1: Block | None = None
    block2: Block | None = None
    etag: bytes | None = None
    location: list[str] = []
    for number, value in tail.others:
        try:
            if number == BLOCK2 and block2 is None:
                block2 = Block.decode(value)
            elif number == BLOCK1 and block1 is None:
                block1 = Block.decode(value)
            elif number == ETAG and etag is None:
                etag = value
            elif number == LOCATION_PATH:
                location.append(value.decode())
            elif number & 1:
                raise WireError(f"critical option {number} in a response")
        except ValueError:
            raise WireError(f"malformed option {number}") from None
    confirmable = None if message_type == ACK else message_type == CON
    response = Response(code, tail.payload, tail.content_format, tuple(location), tail.observe, confirmable)
    return Answer(response, block1, block2, etag)


def write_uint(value: int) -> bytes:
    """An unsigned option value, as short as it can be (RFC 7252 section 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8)


def write_tail(options: Iterable[Option], payload: bytes) -> bytes:
    """Options, in any order of numbers, and payload as they follow the token."""
    out = bytearray()
    last = 0
    for number, value in sorted(options, key=lambda option: option[0]):
        delta, delta_more = _nibble(number - last)
        length, length_more = _nibble(len(value))
        out.append(delta << 4 | length)
        out += delta_more
        out += length_more
        out += value
        last = number
    if payload:
        out.append(0xFF)
        out += payload
    return bytes(out)


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2)


def write_request(request: Request, extra: Sequence[Option] = ()) -> bytes:
    """Options and payload of a request, with this layer's own options in `extra`."""
    options: list[Option] = [(URI_PATH, segment.encode()) for segment in request.path]
    options += [(URI_QUERY, item.encode()) for item in request.query]
    if request.content_format is not None:
        options.append((CONTENT_FORMAT, write_uint(request.content_format)))
    if request.accept is not None:
        options.append((ACCEPT, write_uint(request.accept)))
    return write_tail([*options, *extra], request.payload)


def write_response(response: Response, extra: Sequence[Option] = ()) -> bytes:
    """Options and payload of a response, with this layer's own options in `extra`."""
    options: list[Option] = [(LOCATION_PATH, segment.encode()) for segment in response.location]
    if response.content_format is not None:
        options.append((CONTENT_FORMAT, write_uint(response.content_format)))
    if response.observe is not None:
        options.append((OBSERVE, write_uint(response.observe)))
    return write_tail([*options, *extra], response.payload)


def empty_message(message_type: int, message_id: int) -> bytes:
    """An empty message: the ACK or RST of `message_id`."""
    return bytes((0x40 | message_type << 4, 0)) + message_id.to_bytes(2)


def is_request(data: bytes) -> bool:
    """Whether a datagram has the header of a request."""
    return (
        len(data) >= 4
        and data[0] >> 6 == 1
        and data[0] & 15 <= 8
        and 0 < data[1] < 32
        and data[0] >> 4 & 3 in (CON, NON)
        and 4 + (data[0] & 15) <= len(data)
    )


def rejection(data: bytes) -> bytes | None:
    """The RST for a confirmable message that cannot be processed, None for any other (RFC 7252 section 4.2)."""
    if len(data) >= 4 and data[0] >> 4 == 4:
        return b"\x70\x00" + data[2:4]
    return None
