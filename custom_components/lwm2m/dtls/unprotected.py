"""What of a client's epoch-0 records a running handshake takes: anybody can send them under the client's address.

OpenSSL ends the handshake at a record that it does not expect, and remembers the highest number that it saw. RFC 6347
section 4.1.2.7 has invalid records dropped in silence.
"""

from . import alert
from .record import ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, Record

CERTIFICATE, CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE = 11, 15, 16
LONGEST = {CERTIFICATE: 16384, CERTIFICATE_VERIFY: 2048, CLIENT_KEY_EXCHANGE: 2048}
"""Bytes of each message that a client sends in epoch 0 after its hello: room for the whole is made at a first part."""
_FRAGMENT_HEADER = 12


def with_sequence(record: bytes, sequence: int) -> bytes:
    """A record of epoch 0 under another number: nothing authenticates it."""
    return record[:5] + sequence.to_bytes(6) + record[11:]


def is_possible(record: Record) -> bool:
    """Whether a record of epoch 0 is one that a client sends after its hello, and well formed."""
    body = record.body
    if record.content_type == HANDSHAKE:
        return bool(_message_numbers(body))
    if record.content_type == ALERT:
        return len(body) == 2 and (body[0] == alert.FATAL or body[1] == alert.CLOSE_NOTIFY)
    return record.content_type == CHANGE_CIPHER_SPEC and body == b"\1"


def _message_numbers(body: bytes) -> list[int]:
    """The message_seq of each fragment (section 4.2.2); none unless all are whole and of messages that can come now."""
    numbers, start = [], 0
    while start < len(body):
        header = body[start : start + _FRAGMENT_HEADER]
        if len(header) < _FRAGMENT_HEADER:
            return []
        length, size = int.from_bytes(header[1:4]), int.from_bytes(header[9:12])
        if length > LONGEST.get(header[0], -1) or int.from_bytes(header[6:9]) + size > length:
            return []
        numbers.append(int.from_bytes(header[4:6]))
        start += _FRAGMENT_HEADER + size
    return numbers if start == len(body) else []


class Unprotected:
    """Picks the records that a client can mean, and numbers them from 1 as if nothing else had come."""

    __slots__ = ("_hello", "_next")

    def __init__(self, hello: int) -> None:
        """`hello`: message_seq of the ClientHello with the cookie."""
        self._hello = hello
        self._next = 1

    def take(self, records: list[Record]) -> bytes:
        """The datagram to go on with; empty when none of the records is to be looked at."""
        out = b""
        for record in records:
            if record.epoch == 0 and is_possible(record) and self._is_near(record):
                out += with_sequence(record.whole, self._next)
                self._next += 1
        return out

    def _is_near(self, record: Record) -> bool:
        """Whether its messages are the next ones: OpenSSL makes room for ten that are to come."""
        last = self._hello + len(LONGEST)
        return record.content_type != HANDSHAKE or all(self._hello < n <= last for n in _message_numbers(record.body))
