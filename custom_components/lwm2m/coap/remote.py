"""A peer: the other end of one DTLS association, or of one address on the NoSec port."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aiocoap.interfaces import EndpointAddress  # type: ignore[import-untyped]

from ..security.credential import SecurityMode
from ..security.identity import Identity

if TYPE_CHECKING:
    from ..dtls.association import Association, NetworkPath
    from .blockwise import Download
    from .observe import Observation
    from .transport import Exchange

DUPLICATES = 32
"""Messages of a peer whose answers are kept for its retransmissions. A peer with NSTART 1 needs one."""

DUPLICATE_LIFETIME = 247.0
"""Seconds: EXCHANGE_LIFETIME of RFC 7252 section 4.8.2."""

REQUESTS_PER_SECOND = 100.0
REQUEST_BURST = 200.0
"""What a peer may ask of us before its requests are dropped; a confirmable one comes again by itself."""

BLOCK_COST = 0.125
"""What the next block of a transfer counts; the first one is a request like any other."""


_OPTIONS_ROOM = 128
"""Bytes beside the payload for which there is room in a record with a full block: header, token, options."""


def _largest_block(record: int) -> int:
    """The size exponent (RFC 7959 section 2.2) of the largest block that a record of so many bytes holds."""
    return max(0, min(6, (max(record - _OPTIONS_ROOM, 16) >> 4).bit_length() - 1))


class PeerSecurity(NamedTuple):
    """How a peer is secured: mode, cipher suite (IANA name, None without DTLS) and what its handshake proved.

    `group` is the curve of the ephemeral key exchange, None where there was none. `since` is when the handshake was
    complete, in seconds since the epoch; the owner of the wall clock fills it in.
    """

    mode: SecurityMode
    suite: str | None
    identity: Identity
    group: str | None = None
    since: float | None = None


class Link(Protocol):
    """The port that a peer is reached through."""

    def send(self, peer: Peer, data: bytes) -> None:
        """Send one CoAP message; never raises, a lost datagram is no error."""


class Peer:
    """One peer, equal only to itself: a new association is a new peer, so nothing of an old one can reach it.

    For the layer above: `security`, `path`, `address`, `local`, `closed`, and `data`, a slot that is the owner's own.
    A NoSec peer with `data` set is held; others are forgotten when idle or when the table of them is full.
    """

    __slots__ = (
        "__weakref__",
        "_allowance",
        "_allowance_at",
        "association",
        "block_exponent",
        "closed",
        "data",
        "download",
        "exchanges",
        "last_received",
        "link",
        "message_id",
        "observations",
        "path",
        "recent",
        "security",
        "turn",
        "unacknowledged",
    )

    is_multicast = False
    is_multicast_locally = False

    def __init__(
        self, link: Link, path: NetworkPath, security: PeerSecurity, now: float, association: Association | None = None
    ) -> None:
        self.link = link
        self.path = path
        self.security = security
        self.association = association
        self.closed = False
        self.data: Any = None
        self.last_received = now
        self.observations: dict[bytes, Observation] = {}
        self.exchanges: dict[bytes, Exchange] = {}
        self.recent: dict[int, tuple[float, bytes]] = {}
        self.download: Download | None = None
        self.turn: asyncio.Lock | None = None
        self.unacknowledged: Exchange | None = None
        self.block_exponent = 6 if association is None else _largest_block(association.max_payload)
        self.message_id = random.getrandbits(16)
        self._allowance = REQUEST_BURST
        self._allowance_at = now

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as they are now; those of an association can move."""
        host, port = self._path().peer[:2]
        return host, port

    @property
    def local(self) -> str | None:
        """The address of ours that the peer calls, where known."""
        return self._path().local

    def _path(self) -> NetworkPath:
        return self.path if self.association is None else self.association.path

    def __repr__(self) -> str:
        host, port = self.address
        return f"<Peer [{host}]:{port} {self.security.mode}{' closed' if self.closed else ''}>"

    def allow_request(self, now: float, cost: float) -> bool:
        """Whether the rate limit has room for one more request of this peer; `cost` is 1 for an ordinary one."""
        allowance = self._allowance + (now - self._allowance_at) * REQUESTS_PER_SECOND
        self._allowance_at = now
        if allowance < cost:
            self._allowance = allowance
            return False
        self._allowance = min(allowance, REQUEST_BURST) - cost
        return True

    def remember(self, message_id: int, answer: bytes, now: float) -> None:
        """Keep the answer to a message for its duplicates (RFC 7252 section 4.5)."""
        recent = self.recent
        if len(recent) >= DUPLICATES and message_id not in recent:
            del recent[next(iter(recent))]
        recent[message_id] = (now + DUPLICATE_LIFETIME, answer)

    def answer_of(self, message_id: int, now: float) -> bytes | None:
        """The answer already given to this message, empty if it needed none; None if the message is new."""
        known = self.recent.get(message_id)
        if known is None:
            return None
        if known[0] < now:
            del self.recent[message_id]
            return None
        return known[1]

    def next_message_id(self) -> int:
        """A message id that this peer was not sent lately."""
        self.message_id = (self.message_id + 1) & 0xFFFF
        return self.message_id

    def sweep(self, now: float) -> None:
        """Let go of what has had its time."""
        recent = self.recent
        while recent and recent[first := next(iter(recent))][0] < now:
            del recent[first]
        if self.download is not None and self.download.expires < now:
            self.download = None

    # What aiocoap asks of an address.

    def as_response_address(self) -> Peer:
        """The same: what comes from a peer is answered to it."""
        return self


EndpointAddress.register(Peer)
