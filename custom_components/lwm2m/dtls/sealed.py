"""An association on our own record layer: keys taken over from a finished handshake."""

from cryptography.exceptions import InvalidTag

from ..security.cipher_suite import CipherSuite
from ..security.identity import Identity
from .association import Association, AssociationClosedError, NetworkPath, RecordTooLargeError
from .record import ALERT, ALL_SEEN, APPLICATION_DATA, HANDSHAKE, Aead, Direction, Record, Window

EPOCH = b"\0\1"
LAST_SEQUENCE = 1 << 48
_DATA_HEADER = b"\x17\xfe\xfd\0\1"
_DATA_TYPE = b"\x17\xfe\xfd"
_NO_AEAD = 1 << 20
_HEADERS = {content_type: bytes([content_type, 0xFE, 0xFD]) for content_type in (ALERT, HANDSHAKE, APPLICATION_DATA)}


class SealedAssociation(Association):
    """Opens and seals the records of epoch 1. Sequence numbers are never reused; a record is opened at most once."""

    __slots__ = ("_decrypt", "_next", "_overhead", "_receive", "_salt", "_send", "_window")

    def __init__(
        self,
        path: NetworkPath,
        identity: Identity,
        suite: CipherSuite,
        opened_at: float,
        *,
        keys: tuple[Direction, Direction],
        next_sequence: int = 0,
        finished: int | None = None,
    ) -> None:
        """`keys`: (peer's, our) write keys. `finished`: sequence number of the peer's Finished, opened already."""
        super().__init__(path, identity, suite, opened_at)
        self._receive, self._send = keys
        self._window = Window()
        self._next = next_sequence
        self._overhead = _NO_AEAD  # longer than any datagram, so that `open_data` declines
        if isinstance(self._receive, Aead):
            self._overhead = 21 + self._receive.tag
            self._decrypt = self._receive.cipher.decrypt
            self._salt = self._receive.salt
        if finished is not None:
            self._window.mark(finished)

    def open_data(self, datagram: bytes) -> bytes | None:
        """The application data of a datagram that is exactly one such record, else None: then ask `open_record`.

        This is every notification's way: all cheap checks come before the decryption.
        """
        size = len(datagram)
        length = size - self._overhead
        if length < 0 or datagram[:5] != _DATA_HEADER or int.from_bytes(datagram[11:13]) != size - 13:
            return None
        sequence = int.from_bytes(datagram[5:11])
        window = self._window
        distance = window.top - sequence
        if distance >= 0 and not window.fresh(sequence):
            return None
        try:
            aad = datagram[3:11] + _DATA_TYPE + length.to_bytes(2)
            data = self._decrypt(self._salt + datagram[13:21], datagram[21:], aad)
        except InvalidTag:
            return None
        if distance == -1:
            window.top = sequence
            window.bits = window.bits << 1 & ALL_SEEN | 1
        else:
            window.mark(sequence)
        self.final_flight = None
        return data

    def open_record(self, record: Record) -> bytes | None:
        """The plaintext of one record of epoch 1, or None when it is old, seen before or not authentic."""
        if record.epoch != 1 or record.version != 0xFEFD or not self._window.fresh(record.sequence):
            return None
        data = self._receive.open(record.content_type, record.header[3:11], record.body)
        if data is not None:
            self._window.mark(record.sequence)
            if record.content_type == APPLICATION_DATA:
                self.final_flight = None
        return data

    def seal(self, content_type: int, data: bytes) -> bytes:
        """One record. Raises RecordTooLargeError, or AssociationClosedError when the sequence numbers are used up."""
        if len(data) > self.max_payload:
            raise RecordTooLargeError(len(data), self.max_payload)
        number = self._next
        if number >= LAST_SEQUENCE:
            raise AssociationClosedError("the sequence numbers are used up")
        self._next = number + 1
        sequence = EPOCH + number.to_bytes(6)
        body = self._send.seal(content_type, sequence, data)
        return _HEADERS[content_type] + sequence + len(body).to_bytes(2) + body
