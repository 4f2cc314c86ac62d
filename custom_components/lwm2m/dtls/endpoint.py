"""The interface of a DTLS endpoint (one per UDP port, many peers), what engines share, and the choice of an engine."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Literal

from ..security.policy import Credentials, Policy
from ..security.refusal import Reason, Refusal
from ..security.server_identity import ServerIdentity
from .association import Association, NetworkPath
from .events import Event, Refused
from .limiter import Limiter

type EngineName = Literal["openssl", "tinydtls"]


class EngineUnavailableError(Exception):
    """No engine can run here; the text says what is missing."""


class Endpoint(ABC):
    """One DTLS server port. Feed it, then drain `datagrams_to_send` and `events`, then arm `next_timer`.

    Not re-entrant and not thread safe. Nothing that a peer sends raises.
    """

    engine: str
    """Name and version of the engine, as "openssl 3.6.1"."""

    suites: tuple[str, ...]
    """IANA names of the suites that are served."""

    def __init__(self) -> None:
        self._out: list[tuple[bytes, NetworkPath]] = []
        self._events: list[Event] = []
        self._unproved = Limiter(burst=4, rate=0.2)
        self._proved = Limiter(burst=32, rate=2.0)

    @abstractmethod
    def receive_datagram(self, data: bytes, path: NetworkPath, now: float) -> None:
        """One UDP datagram from `path.peer`."""

    @abstractmethod
    def send(self, association: Association, data: bytes, now: float) -> None:
        """Send `data` as one record in one datagram. Raises AssociationClosedError when the association is gone."""

    @abstractmethod
    def close(self, association: Association, now: float) -> None:
        """End an association with close_notify; no event follows. A gone association is no error."""

    def set_server_identity(self, identity: ServerIdentity) -> None:  # noqa: B027
        """Prove this to devices in the handshakes that begin from now on; an engine without public keys has no use."""

    @abstractmethod
    def set_trust_anchors(self, certificates: Iterable[bytes]) -> None:
        """Trust exactly these DER certificates of CAs from now on. Raises EngineUnavailableError for what is none.

        Where one is left out, no handshake that has relied on a CA goes on. Associations do: their owner ends them.
        """

    @abstractmethod
    def next_timer(self) -> float | None:
        """When `handle_timer` is due, or None."""

    @abstractmethod
    def handle_timer(self, now: float) -> None:
        """Act on every timer that is due at `now`."""

    @abstractmethod
    def associations(self) -> Iterator[Association]:
        """Every live association."""

    @property
    @abstractmethod
    def pending_handshakes(self) -> int:
        """Number of handshakes for which state is held."""

    def close_all(self, now: float) -> None:
        """End every association with close_notify and forget every handshake."""
        for association in list(self.associations()):
            self.close(association, now)

    def datagrams_to_send(self) -> list[tuple[bytes, NetworkPath]]:
        """What to send now, in order; each is returned once."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[Event]:
        """What has happened, in order; each is returned once."""
        events, self._events = self._events, []
        return events

    def _report(self, path: NetworkPath, refusal: Refusal, now: float, *, proved: bool) -> None:
        """Queue a refusal unless its address has had too many. `proved`: the address answered a cookie."""
        if proved:
            allowed = self._proved.allow(path.peer[0], now)
        else:
            allowed = self._unproved.allow((path.peer[0], refusal.reason), now)
        if allowed:
            self._events.append(Refused(path, refusal))

    def _report_stray(self, data: bytes, path: NetworkPath, now: float) -> None:
        """Report a datagram that is no DTLS record."""
        if is_plain_coap(data):
            refusal = Refusal(Reason.PLAINTEXT, "plain CoAP was sent to the port that takes only DTLS")
        else:
            refusal = Refusal(Reason.MALFORMED, "the datagram is no DTLS record")
        self._report(path, refusal, now, proved=False)


def is_plain_coap(data: bytes) -> bool:
    """Whether a datagram looks like CoAP without DTLS (RFC 7252 section 3): version 1, a token of at most 8 bytes."""
    return len(data) >= 4 and data[0] >> 6 == 1 and data[0] & 15 <= 8 and len(data) >= 4 + (data[0] & 15)


def make_endpoint(
    credentials: Credentials,
    policy: Policy | None = None,
    *,
    server_identity: ServerIdentity | None = None,
    trust_anchors: Iterable[bytes] = (),
    engine: EngineName | None = None,
    library: str | None = None,
    mtu: int = 1280,
) -> Endpoint:
    """An endpoint on the named engine, or on the best one that runs here. Raises EngineUnavailableError.

    `trust_anchors`: DER certificates of trusted CAs. `library`: path of a libssl to use. `mtu`: IP packet size in bytes
    that a handshake keeps to. Without `server_identity` one is made in memory.
    """
    policy = policy or Policy()
    if engine != "tinydtls":
        from .openssl.endpoint import OpenSSLEndpoint  # noqa: PLC0415 - loads a shared library

        try:
            return OpenSSLEndpoint(
                credentials,
                policy,
                server_identity=server_identity,
                trust_anchors=trust_anchors,
                library=library,
                mtu=mtu,
            )
        except EngineUnavailableError:
            if engine == "openssl":
                raise
    from .tinydtls import TinyDTLSEndpoint  # noqa: PLC0415 - loads a compiled extension

    return TinyDTLSEndpoint(credentials, policy)
