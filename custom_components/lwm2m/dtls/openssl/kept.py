"""An association that stays in OpenSSL: CBC without encrypt-then-MAC, which must be opened in constant time."""

from typing import NamedTuple

from ...security.cipher_suite import CipherSuite
from ...security.identity import Identity
from ..association import Association, AssociationClosedError, NetworkPath, RecordTooLargeError
from ..record import split
from .context import Context
from .ffi import BUFFER_SIZE, Pointer, ffi
from .handshake import WANT_READ, WANT_WRITE, Renumbering

ERROR_ZERO_RETURN = 6


class Read(NamedTuple):
    """What one datagram brought: plaintexts, datagrams to answer with, and whether the peer ended the association."""

    data: list[bytes]
    out: list[bytes]
    closed: str | None


class KeptAssociation(Association):
    """Wraps the SSL object of a finished handshake."""

    __slots__ = ("_context", "_renumbering", "_ssl")

    def __init__(
        self,
        path: NetworkPath,
        identity: Identity,
        suite: CipherSuite,
        opened_at: float,
        *,
        context: Context,
        ssl: tuple[Pointer, Renumbering],
    ) -> None:
        super().__init__(path, identity, suite, opened_at)
        self._context = context
        self._ssl, self._renumbering = ssl

    def open_data(self, datagram: bytes) -> bytes | None:
        """Never: ask `receive`."""
        del datagram
        return None

    def receive(self, datagram: bytes) -> Read:
        """Everything that the epoch-1 records of a datagram hold; all empty when nothing authenticates."""
        data: list[bytes] = []
        out: list[bytes] = []
        closed = None
        for record in split(datagram):
            if record.epoch != 1 or self._ssl is None or closed is not None:
                continue
            self._context.exchange(record.whole)
            closed = self._read(data)
            out += self._drain()
        return Read(data, out, closed)

    def _read(self, data: list[bytes]) -> str | None:
        library = self._context.library
        lib, buffer = library.lib, library.buffer
        while (size := int(lib.SSL_read(self._ssl, buffer, BUFFER_SIZE))) > 0:
            data.append(bytes(ffi.buffer(buffer, size)))
        error = int(lib.SSL_get_error(self._ssl, size))
        errors = library.errors()
        if error in (WANT_READ, WANT_WRITE):
            return None
        if error == ERROR_ZERO_RETURN:
            return "close_notify"
        return errors[0][1] if errors else f"error {error}"

    def _drain(self) -> list[bytes]:
        return [self._renumbering.apply(datagram) for datagram in self._context.drain()]

    def seal(self, data: bytes) -> list[bytes]:
        """The datagrams that carry `data` as one record."""
        if self._ssl is None:
            raise AssociationClosedError("the association was closed")
        if len(data) > self.max_payload:
            raise RecordTooLargeError(len(data), self.max_payload)
        self._context.exchange(None)
        if self._context.library.lib.SSL_write(self._ssl, data, len(data)) != len(data):
            self._context.library.errors()
            raise AssociationClosedError("OpenSSL could not seal the record")
        return self._drain()

    def shut_down(self) -> list[bytes]:
        """The close_notify to send; the SSL object is gone afterwards."""
        if self._ssl is None:
            return []
        self._context.exchange(None)
        self._context.library.lib.SSL_shutdown(self._ssl)
        out = self._drain()
        self._context.library.errors()
        ffi.release(self._ssl)
        self._ssl = None
        return out
