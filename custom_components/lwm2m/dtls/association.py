"""One DTLS security state with a peer, as the layers above see it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..security.cipher_suite import CipherSuite
from ..security.identity import Identity

MAX_PAYLOAD = 16384

type Address = tuple[Any, ...]
"""A socket address as asyncio gives it: (host, port) or (host, port, flow, scope)."""


class NetworkPath(NamedTuple):
    """Where a datagram came from, and the local IP address that it was sent to (None: unknown)."""

    peer: Address
    local: str | None


class AssociationClosedError(Exception):
    """The association is gone: nothing can be sent over it."""


class RecordTooLargeError(ValueError):
    """More bytes than one record of this association may hold: `size` and `limit` say how many."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes do not fit into one record of {limit}")
        self.size = size
        self.limit = limit


class FinalFlight:
    """Our last flight, kept until data comes: sent again, the same bytes, when the peer's Finished comes again."""

    __slots__ = ("_sent_at", "datagrams", "finished")

    INTERVAL = 0.2
    """Seconds between two repeats at least."""

    def __init__(self, datagrams: Sequence[bytes], finished: bytes, now: float) -> None:
        """`finished` is the record that held the peer's Finished."""
        self.datagrams = tuple(datagrams)
        self.finished = finished
        self._sent_at = now

    def again(self, now: float) -> Sequence[bytes]:
        """The datagrams to send, or none when they were sent just before."""
        if now - self._sent_at < self.INTERVAL:
            return ()
        self._sent_at = now
        return self.datagrams


class Association:
    """A live association: opaque, told apart by identity. Times are those that the caller passed in."""

    __slots__ = (
        "__weakref__",
        "final_flight",
        "group",
        "identity",
        "last_received",
        "max_payload",
        "opened_at",
        "path",
        "suite",
    )

    def __init__(self, path: NetworkPath, identity: Identity, suite: CipherSuite, opened_at: float) -> None:
        self.path = path
        self.identity = identity
        self.suite = suite
        self.opened_at = opened_at
        self.last_received = opened_at
        self.max_payload = MAX_PAYLOAD
        """Bytes of application data that one record may hold."""
        self.group: str | None = None
        """The curve of the ephemeral key exchange, where the suite has one."""
        self.final_flight: FinalFlight | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity.label!r} at {self.path.peer[0]} {self.suite.name}>"
