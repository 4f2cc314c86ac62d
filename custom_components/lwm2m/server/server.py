"""Server: the composition root. Puts sockets, handshakes, registrations, devices and pairing together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..coap.messages import Request, Response
from ..coap.server import CoapServer
from ..dtls.endpoint import Endpoint, EngineName, make_endpoint
from ..protocol.objects.registry import Registry
from ..security.credential import Credential
from ..security.identity import CertificateIdentity, NoSecurity, may_be
from ..security.policy import Policy, Reason, Refusal
from .authorizer import Authorizer
from .context import Context, Settings
from .device import Device
from .events import Event, Expired, RefusedEvent
from .pending import Candidate, CandidateState, Pending
from .quota import UNPROVEN_LIMIT, Quota
from .refusals import Refusals
from .registrations import Registration, Registrations
from .uplink import Uplink

if TYPE_CHECKING:
    from ..coap.remote import Peer
    from ..dtls.association import NetworkPath
    from ..security.server_identity import ServerIdentity

_LOGGER = logging.getLogger(__name__)

PEERS_PER_IDENTITY = 2
"""Associations of one identity that are kept: the newest, and the one before it until the device uses the newest."""


class Server:
    """An LwM2M server on the running loop.

    Credentials, devices and watchers may be set up before `start` and stay over `stop` and the next `start`. So do the
    registrations of expected devices that have proven who they are: such a device is unavailable until it calls, and
    may then go on with an Update, a Send or a new Register as it likes. `server_identity` and
    `trust_anchors` (DER certificates of CAs) are handed to the DTLS engine, `engine` chooses one by name, `limit` caps
    registrations. A `policy` that is set while the server runs is that of its next start.
    """

    def __init__(
        self,
        *,
        registry: Registry | None = None,
        policy: Policy | None = None,
        server_identity: ServerIdentity | None = None,
        trust_anchors: Iterable[bytes] = (),
        engine: EngineName | None = None,
        settings: Settings | None = None,
        limit: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.policy = policy or Policy()
        self._identity = server_identity
        self._trust_anchors = tuple(trust_anchors)
        self._engine = engine
        self._listeners: dict[Callable[[Event], None], tuple[type, ...] | None] = {}
        self._by_kind: dict[type, tuple[Callable[[Event], None], ...]] = {}
        self._devices: dict[str, Device] = {}
        self._peers: dict[Hashable, list[Peer]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._endpoint: Endpoint | None = None
        self._uplink = Uplink(self)
        settings = settings or Settings()
        self._coap = CoapServer(self, clock=clock, ack_timeout=settings.ack_timeout)
        self.context = Context(
            coap=self._coap,
            registry=registry or Registry.default(),
            settings=settings,
            clock=clock,
            wall=wall,
            emit=self.emit,
            listens=self._listens,
            unproven=Quota(UNPROVEN_LIMIT),
        )
        self.registrations = Registrations(limit, self.context.unproven)
        self.authorizer = Authorizer()
        self.authorizer.on_change = self._credential_changed
        self._refusals = Refusals(clock)
        self.pending = Pending(self.authorizer, clock=clock, wall=wall, emit=self.emit, end=self._end_candidate)

    # -- life

    @property
    def refusals(self) -> Counter[Reason]:
        """How many handshakes and registrations were refused, by reason."""
        return self._refusals.counts

    @property
    def running(self) -> bool:
        """Between `start` and `stop`."""
        return self._coap.running

    @property
    def coaps_port(self) -> int | None:
        """The real port of CoAP over DTLS while running, None if that is off."""
        return self._coap.secure_port if self.running else None

    @property
    def coap_port(self) -> int | None:
        """The real NoSec port while running, None if that is off."""
        return self._coap.nosec_port if self.running else None

    @property
    def engine_name(self) -> str | None:
        """The DTLS engine with its version, while running."""
        return self._endpoint.engine if self._endpoint is not None else None

    @property
    def suites(self) -> tuple[str, ...]:
        """IANA names of the cipher suites that are served, while running."""
        return self._endpoint.suites if self._endpoint is not None else ()

    async def start(self, host: str = "", *, coaps_port: int | None = 5684, coap_port: int | None = None) -> None:
        """Open the ports (None: not that one; 0: any free one). Host "" is all interfaces.

        On the NoSec port every endpoint may register that has no credential. Raises OSError if a port is taken,
        EngineUnavailableError if no DTLS engine runs here.
        """
        endpoint = None
        if coaps_port is not None:
            endpoint = make_endpoint(
                self.authorizer,
                self.policy,
                server_identity=self._identity,
                trust_anchors=self._trust_anchors,
                engine=self._engine,
            )
        await self._coap.start(
            endpoint=endpoint,
            secure=None if coaps_port is None else (host, coaps_port),
            nosec=None if coap_port is None else (host, coap_port),
        )
        self._endpoint = endpoint
        self._arm()

    async def stop(self) -> None:
        """Say goodbye to all peers and close the ports; devices become unavailable, without an event each."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for registration in list(self.registrations):
            if self._is_lasting(registration):
                self._devices[registration.endpoint].suspend(registration)
            else:
                self.end(registration)
        self._endpoint = None
        await self._coap.stop()
        self._peers.clear()

    # -- listeners

    def subscribe(self, listener: Callable[[Event], None], *kinds: type) -> Callable[[], None]:
        """Call `listener` for every event (of these kinds, where any are named); returns the way to stop that."""
        self._listeners[listener] = kinds or None
        self._by_kind.clear()

        def stop() -> None:
            self._listeners.pop(listener, None)
            self._by_kind.clear()

        return stop

    def _of_kind(self, kind: type) -> tuple[Callable[[Event], None], ...]:
        found = tuple(listener for listener, kinds in self._listeners.items() if kinds is None or kind in kinds)
        self._by_kind[kind] = found
        return found

    def _listens(self, kind: type) -> bool:
        listeners = self._by_kind.get(kind)
        return bool(self._of_kind(kind) if listeners is None else listeners)

    def emit(self, event: Event) -> None:
        """Tell all listeners; one that fails is logged and disturbs nobody."""
        kind = type(event)
        listeners = self._by_kind.get(kind)
        for listener in self._of_kind(kind) if listeners is None else listeners:
            try:
                listener(event)
            except Exception:
                _LOGGER.exception("A listener failed on %s", kind.__name__)

    # -- devices

    def set_registry(self, registry: Registry) -> list[Device]:
        """Use these object definitions from now on; returns the devices of whose objects they say anything else."""
        self.context.registry = registry
        return [device for device in self._devices.values() if device.redefine()]

    @property
    def devices(self) -> Mapping[str, Device]:
        """By endpoint: all that are registered, and all that were asked for by `device`."""
        return MappingProxyType(self._devices)

    def device(self, endpoint: str) -> Device:
        """The device of this name, registered or not; from now on it stays until `forget`."""
        device = self._devices.get(endpoint)
        if device is None:
            device = self._devices[endpoint] = Device(endpoint, self.context)
        device.expected = True
        return device

    def forget(self, endpoint: str) -> None:
        """Nobody expects this device any more. Its credential stays on file, and with that its registration goes on."""
        device = self._devices.get(endpoint)
        if device is not None:
            device.expected = False
            registration = device.registration
            if registration is not None and isinstance(registration.peer.security.identity, NoSecurity):
                self._drop(registration)  # no credential ends it; the device has to ask again whether it may
            else:
                self._let_go(device)

    def _let_go(self, device: Device) -> None:
        if device.registration is None and not device.expected:
            self._devices.pop(device.endpoint, None)
            device.state.release()

    # -- registrations of before a restart

    def _is_lasting(self, registration: Registration) -> bool:
        """Whether whoever calls under this registration after a restart can be told to be the device that made it."""
        endpoint, identity = registration.endpoint, registration.peer.security.identity
        device = self._devices.get(endpoint)
        if device is None or not device.expected or isinstance(identity, NoSecurity):
            return False
        return may_be(self.authorizer.credential(endpoint), identity, endpoint) is None

    def resume(self, registration: Registration) -> bool:
        """Let a registration of before a restart go on, of an expected device that has none; False where it cannot.

        Its peer is one that is closed: the device is unavailable until it calls with the same identity.
        """
        endpoint = registration.endpoint
        if (
            not self._is_lasting(registration)
            or self._devices[endpoint].registration is not None
            or self.registrations.at(registration.location) is not None
            or not self.registrations.has_room(endpoint, registration.owner, len(registration.objects))
        ):
            return False
        self.registrations.add(registration)
        self._devices[endpoint].suspend(registration)
        self._arm()
        return True

    # -- registrations (called by uplink.py)

    def begin(self, registration: Registration) -> Device:
        """Take over an accepted registration in place of a former one of its endpoint."""
        former = self.registrations.of_endpoint(registration.endpoint)
        if former is not None:
            self.registrations.remove(former)
            self._release(former)
        self.registrations.add(registration)
        device = self._devices.get(registration.endpoint)
        if device is None:
            device = self._devices[registration.endpoint] = Device(registration.endpoint, self.context)
        device.begin(registration)
        self._let_in(registration.peer, registered=True)
        self._hold(registration)
        self._arm()
        return device

    def renewed(self, registration: Registration, peer: Peer) -> None:
        """A registration was updated over `peer`, which is the way to the device from now on."""
        if registration.peer is not peer:
            self._move(registration, peer)
        self.registrations.reschedule(registration)
        self._arm()

    def end(self, registration: Registration) -> Device:
        """Take a registration away."""
        self.registrations.remove(registration)
        self._release(registration)
        device = self._devices[registration.endpoint]
        device.end()
        self._let_go(device)
        return device

    def _hold(self, registration: Registration) -> None:
        if isinstance(registration.peer.security.identity, NoSecurity):
            registration.peer.data = registration  # a NoSec peer without data may be forgotten

    def _release(self, registration: Registration) -> None:
        if registration.peer.data is registration:
            registration.peer.data = None

    def _move(self, registration: Registration, peer: Peer) -> None:
        self._release(registration)
        registration.peer = peer
        self._hold(registration)
        self._devices[registration.endpoint].security = peer.security

    def _expire(self, registration: Registration) -> None:
        self._release(registration)
        device = self._devices[registration.endpoint]
        device.end()
        self._let_go(device)
        self.emit(Expired(device))

    def _arm(self) -> None:
        """One timer for all lifetimes, while running; it is moved only towards the present."""
        due = self.registrations.next_timer()
        if due is None or not self.running or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        delay = max(0.0, due - self.context.clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self.handle_timer)

    def handle_timer(self) -> None:
        """Expire what is due by the server's clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.registrations.expire(self.context.clock(), self._expire)
        self._arm()

    # -- peers

    def candidate_of(self, peer: Peer) -> Candidate | None:
        """The candidate, neither adopted nor cancelled, whose key this peer has proven."""
        candidate = peer.data
        return candidate if isinstance(candidate, Candidate) and self.pending.is_live(candidate) else None

    def close_older(self, peer: Peer) -> None:
        """Close the other associations of this peer's identity."""
        for other in list(self._peers.get(peer.security.identity, ())):
            if other is not peer:
                self._close(other)

    def _close(self, peer: Peer) -> None:
        self._forget_peer(peer)
        self._coap.close_peer(peer)

    def _forget_peer(self, peer: Peer) -> bool:
        peers = self._peers.get(peer.security.identity, [])
        if peer not in peers:
            return False
        peers.remove(peer)
        if not peers:
            del self._peers[peer.security.identity]
        return True

    # coap.server.UplinkHandler

    def handle_request(self, peer: Peer, request: Request) -> tuple[Response, Callable[[], None] | None]:
        """Answer a request at once; the second value is called after the answer has left."""
        return self._uplink.handle(peer, request)

    def peer_opened(self, peer: Peer) -> None:
        """A handshake is complete: registrations of its identity are reached over it from now on."""
        identity = peer.security.identity
        if isinstance(identity, NoSecurity):
            return
        peer.security = peer.security._replace(since=self.context.wall())
        candidate = self.authorizer.proven_candidate(identity)
        peer.data = candidate
        peers = self._peers.setdefault(identity, [])
        peers.append(peer)
        for older in peers[:-PEERS_PER_IDENTITY]:
            self._close(older)
        self._redirect(identity, peer)
        self._let_in(peer, registered=False)
        if candidate is not None:
            candidate.peer = peer
            candidate.tried(CandidateState.PROVEN, self.context.wall())

    def _redirect(self, identity: Hashable, peer: Peer) -> None:
        for registration in self.registrations.of_owner(identity):
            self._move(registration, peer)
            self._devices[registration.endpoint].observations.moved()

    def peer_closed(self, peer: Peer, detail: str) -> None:
        """An association ended; a registration made over it lives on, over another one of the identity if there is."""
        _LOGGER.debug("%r closed: %s", peer, detail)
        if not self._forget_peer(peer):
            return
        identity = peer.security.identity
        if (
            self.running
            and (others := self._peers.get(identity))
            and any(registration.peer is peer for registration in self.registrations.of_owner(identity))
        ):
            self._redirect(identity, others[-1])
        candidate = self.candidate_of(peer)
        if candidate is not None and candidate.peer is peer:
            candidate.peer = None
            candidate.changed()

    def _let_in(self, peer: Peer, *, registered: bool) -> None:
        identity = peer.security.identity
        self._refusals.let_in(peer.address[0], identity, self.authorizer.endpoint_of(identity), registered=registered)

    def refused(self, path: NetworkPath, refusal: Refusal) -> None:
        """A handshake was refused, or its peer went away."""
        host, port = path.peer[:2]
        self.refuse((host, port), self.pending.refused(host, refusal))

    def refuse(self, address: tuple[str, int], refusal: Refusal) -> None:
        """Tell of a refusal, and count it."""
        self._refusals.add(address[0], refusal)
        self.emit(RefusedEvent(address, refusal))

    # -- credentials and candidates that end

    def _credential_changed(self, endpoint: str, former: Credential | None, keep: Peer | None) -> None:
        registration = self.registrations.of_endpoint(endpoint)
        if registration is not None and registration.peer is not keep:
            permitted = may_be(self.authorizer.credential(endpoint), registration.peer.security.identity, endpoint)
            if former is not None or permitted is not None:
                self._drop(registration)
        if former is not None:
            for peer in self._all_peers():
                if peer is not keep and may_be(former, peer.security.identity, endpoint) is None:
                    self._close(peer)

    @property
    def server_identity(self) -> ServerIdentity | None:
        """What this server proves itself with; None: one that is made anew at each start."""
        return self._identity

    def set_server_identity(self, identity: ServerIdentity) -> None:
        """Prove this to devices that shake hands from now on, running or not; associations go on."""
        self._identity = identity
        if self._endpoint is not None:
            self._endpoint.set_server_identity(identity)

    def set_trust_anchors(self, certificates: Iterable[bytes]) -> None:
        """Trust exactly these DER certificates of CAs from now on, running or not.

        Where one is left out, everything ends at once that came in by a trusted CA, whichever that was: who still has
        a certificate of one is let in again. Raises EngineUnavailableError for what is no certificate, if running.
        """
        certificates = tuple(dict.fromkeys(certificates))
        if self._endpoint is not None:
            self._endpoint.set_trust_anchors(certificates)
        former, self._trust_anchors = self._trust_anchors, certificates
        if set(former) <= set(certificates):
            return
        for registration in list(self.registrations):
            if _is_by_authority(registration.peer):
                self._drop(registration)
        for peer in self._all_peers():
            if _is_by_authority(peer):
                self._coap.close_peer(peer)

    def _end_candidate(self, candidate: Candidate) -> None:
        for peer in self._all_peers():
            if peer.data is candidate:
                for registration in list(self.registrations.of_owner(peer.security.identity)):
                    if registration.peer is peer:
                        self._drop(registration)
                self._close(peer)

    def _all_peers(self) -> list[Peer]:
        return [peer for peers in self._peers.values() for peer in peers]

    def _drop(self, registration: Registration) -> None:
        self.registrations.remove(registration)
        self._expire(registration)


def _is_by_authority(peer: Peer) -> bool:
    identity = peer.security.identity
    return isinstance(identity, CertificateIdentity) and identity.trusted
