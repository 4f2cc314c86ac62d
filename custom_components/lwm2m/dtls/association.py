"""One DTLS security state with a peer, as the layers above see it."""

from typing import Any, NamedTuple

from ..security.cipher_suite import CipherSuite
from ..security.identity import Identity

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


class Association:
    """A live association: opaque, told apart by identity. Times are those that the caller passed in."""

    __slots__ = ("__weakref__", "identity", "last_received", "opened_at", "path", "suite")

    max_payload: int
    """Bytes of application data that one record may hold."""

    def __init__(self, path: NetworkPath, identity: Identity, suite: CipherSuite, opened_at: float) -> None:
        self.path = path
        self.identity = identity
        self.suite = suite
        self.opened_at = opened_at
        self.last_received = opened_at

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity.label!r} at {self.path.peer[0]} {self.suite.name}>"
