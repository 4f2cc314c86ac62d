"""A ClientHello before any state exists: strict parse, cookie and answers (RFC 6347 section 4.2.1)."""

import hmac
import os
import struct
from dataclasses import dataclass

from ..security.policy import Offer
from .association import NetworkPath
from .record import HEADER_LENGTH

HANDSHAKE_RECORD, CLIENT_HELLO = 22, 1
COOKIE_LENGTH = 16
COOKIE_PERIOD = 60.0
"""Seconds for which one cookie key is used; a cookie lives one to two periods."""
MAX_EXTENSIONS = 64
MAX_LENGTH = 4096
"""Bytes of the longest hello taken, so that those kept meanwhile cost little; an unfragmented one fits a packet."""
ENCRYPT_THEN_MAC, MAX_FRAGMENT_LENGTH = 22, 1
_GROUPS, _SIGNATURES, _CLIENT_CERTIFICATE_TYPE, _SERVER_CERTIFICATE_TYPE = 10, 13, 19, 20


class HelloError(Exception):
    """Bytes that are no ClientHello that this server can take; the text says why."""


class FragmentedHelloError(HelloError):
    """A ClientHello in several fragments: to put it together would need state for an unproved address."""


class _Reader:
    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self.data = data
        self.position = position
        self.end = end

    def take(self, length: int) -> bytes:
        start, self.position = self.position, self.position + length
        if self.position > self.end:
            raise HelloError("truncated")
        return self.data[start : self.position]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length))

    def vector(self, length: int) -> bytes:
        return self.take(self.number(length))


@dataclass(frozen=True, slots=True)
class Hello:
    """One whole ClientHello. `record` is its record's bytes, `record_sequence` the 6 bytes of its sequence number."""

    offer: Offer
    random: bytes
    session_id: bytes
    cookie: bytes
    record_sequence: bytes
    message_sequence: bytes
    record: bytes


def is_client_hello(datagram: bytes) -> bool:
    """Whether a datagram starts with an epoch-0 handshake record that holds a ClientHello."""
    return (
        len(datagram) > HEADER_LENGTH
        and datagram[0] == HANDSHAKE_RECORD
        and datagram[3:5] == b"\0\0"
        and datagram[HEADER_LENGTH] == CLIENT_HELLO
    )


def parse(datagram: bytes) -> Hello:
    """The ClientHello in a datagram's first record. Raises HelloError."""
    if not is_client_hello(datagram) or datagram[1] != 0xFE:
        raise HelloError("no ClientHello")
    end = HEADER_LENGTH + int.from_bytes(datagram[11:13])
    if end > len(datagram):
        raise HelloError("truncated record")
    if end > MAX_LENGTH:
        raise HelloError("too long")
    message = _Reader(datagram, HEADER_LENGTH + 1, end)
    length = message.number(3)
    message_sequence = message.take(2)
    if message.number(3) or message.number(3) != length:
        raise FragmentedHelloError("the ClientHello comes in fragments")
    body = _Reader(datagram, message.position, message.position + length)
    if body.end != end:
        raise HelloError("the record holds more or less than the ClientHello")
    version = body.number(2)
    if version >> 8 != 0xFE:
        raise HelloError("no DTLS version")
    random = body.take(32)
    session_id = body.vector(1)
    cookie = body.vector(1)
    suites = _numbers(body.vector(2), 2)
    compressions = body.vector(1)
    if len(session_id) > 32 or not suites or 0 not in compressions:
        raise HelloError("bad session id, suites or compression")
    extensions = _extensions(body)
    offer = Offer(
        version=version,
        suites=suites,
        groups=_list(extensions, _GROUPS, 2, 2),
        signature_algorithms=_list(extensions, _SIGNATURES, 2, 2),
        client_certificate_types=_list(extensions, _CLIENT_CERTIFICATE_TYPE, 1, 1),
        server_certificate_types=_list(extensions, _SERVER_CERTIFICATE_TYPE, 1, 1),
        extensions=frozenset(extensions),
    )
    return Hello(offer, random, session_id, cookie, datagram[5:11], message_sequence, datagram[:end])


def _numbers(data: bytes, size: int) -> tuple[int, ...]:
    if len(data) % size:
        raise HelloError("odd length of a list")
    return struct.unpack(f"!{len(data) // 2}H", data) if size == 2 else tuple(data)


def _extensions(body: _Reader) -> dict[int, bytes]:
    extensions: dict[int, bytes] = {}
    if body.position == body.end:
        return extensions
    block = body.vector(2)
    if body.position != body.end:
        raise HelloError("bytes after the extensions")
    reader = _Reader(block, 0, len(block))
    while reader.position < reader.end:
        number = reader.number(2)
        if number in extensions or len(extensions) == MAX_EXTENSIONS:
            raise HelloError("an extension comes twice, or there are too many")
        extensions[number] = reader.vector(2)
    return extensions


def _list(extensions: dict[int, bytes], number: int, prefix: int, size: int) -> tuple[int, ...] | None:
    data = extensions.get(number)
    if data is None:
        return None
    reader = _Reader(data, 0, len(data))
    values = _numbers(reader.vector(prefix), size)
    if reader.position != reader.end or not values:
        raise HelloError("a malformed list in an extension")
    return values


class CookieJar:
    """Cookies without state: an HMAC of the path and of what a client may not change, under a key that rotates."""

    __slots__ = ("_current", "_previous", "_until")

    def __init__(self) -> None:
        self._current = os.urandom(32)
        self._previous = os.urandom(32)
        self._until: float | None = None

    def _rotate(self, now: float) -> None:
        if self._until is None:
            self._until = now + COOKIE_PERIOD
        elif now >= self._until:
            self._previous = self._current if now < self._until + COOKIE_PERIOD else os.urandom(32)
            self._current = os.urandom(32)
            self._until = now + COOKIE_PERIOD

    def make(self, path: NetworkPath, hello: Hello, now: float) -> bytes:
        """The cookie that this client must send back."""
        self._rotate(now)
        return _mac(self._current, _bound(path, hello))

    def valid(self, path: NetworkPath, hello: Hello, now: float) -> bool:
        """Whether the hello carries a cookie that was made for it, at most two periods ago."""
        if len(hello.cookie) != COOKIE_LENGTH:
            return False
        self._rotate(now)
        bound = _bound(path, hello)
        current = hmac.compare_digest(hello.cookie, _mac(self._current, bound))
        return current or hmac.compare_digest(hello.cookie, _mac(self._previous, bound))


def _bound(path: NetworkPath, hello: Hello) -> bytes:
    suites = hello.offer.suites
    where = repr((path.peer, path.local)).encode()
    return b"%d|%b%b%b" % (len(where), where, hello.random, hello.session_id) + struct.pack(f"!{len(suites)}H", *suites)


def _mac(key: bytes, bound: bytes) -> bytes:
    return hmac.digest(key, bound, "sha256")[:COOKIE_LENGTH]


def hello_verify_request(hello: Hello, cookie: bytes) -> bytes:
    """The datagram that asks for the cookie. Its version is DTLS 1.0, whatever is negotiated later."""
    body = b"\xfe\xff" + bytes([len(cookie)]) + cookie
    size = len(body).to_bytes(3)
    message = b"\x03" + size + hello.message_sequence + b"\0\0\0" + size + body
    return b"\x16\xfe\xff\0\0" + hello.record_sequence + len(message).to_bytes(2) + message


def fatal_alert(hello: Hello, description: int) -> bytes:
    """A datagram that ends this client's attempt."""
    version = b"\xfe\xff" if hello.offer.version > 0xFEFD else b"\xfe\xfd"
    return b"\x15" + version + b"\0\0" + hello.record_sequence + b"\0\2\2" + bytes([description])
