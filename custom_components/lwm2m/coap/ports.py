"""The two ports: DTLS, which drives an endpoint, and NoSec, where a peer is an address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from ..dtls.association import Address, Association, AssociationClosedError, NetworkPath, RecordTooLargeError
from ..dtls.endpoint import Endpoint
from ..dtls.events import Closed, Data, Opened, Refused
from ..security.credential import SecurityMode
from ..security.identity import NO_SECURITY
from ..security.refusal import Refusal
from . import wire
from .remote import Peer, PeerSecurity
from .udp import UdpPort

LOGGER = logging.getLogger(__package__)

NOSEC_PEERS: Final = 4096
"""Addresses on the NoSec port that are known at a time."""

NOSEC_IDLE: Final = 300.0
"""Seconds of silence after which a NoSec peer that nobody holds is forgotten."""

_PROBES: Final = 64
_NOSEC: Final = PeerSecurity(SecurityMode.NOSEC, None, NO_SECURITY)


class Above(Protocol):
    """What a port tells the server."""

    def opened(self, peer: Peer) -> None:
        """A peer is there."""

    def received(self, peer: Peer, data: bytes, now: float) -> None:
        """A peer sent a message."""

    def closed(self, peer: Peer, detail: str) -> None:
        """A peer is gone."""

    def refused(self, path: NetworkPath, refusal: Refusal) -> None:
        """A peer was not let in."""


class SecurePort:
    """Drives a DTLS endpoint: feeds it, drains it, transmits, and arms one timer; nothing else."""

    def __init__(self, endpoint: Endpoint, above: Above, clock: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._above = above
        self._clock = clock
        self._peers: dict[Association, Peer] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._batch = False
        self._udp = UdpPort(self._received, self._pump)

    async def open(self, host: str, port: int) -> None:
        """Begin to serve; OSError if the port is taken."""
        await self._udp.open(host, port)

    @property
    def number(self) -> int | None:
        """The port number, None while closed."""
        return self._udp.number

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._peers.values()))

    def __len__(self) -> int:
        return len(self._peers)

    def close(self) -> None:
        """End every association with close_notify and close the port."""
        for peer in self:
            self.end(peer, "the server stops")
        self._endpoint.close_all(self._clock())
        self._transmit()
        self._arm(None)
        self._udp.close()

    def send(self, peer: Peer, data: bytes) -> None:
        """Send one message over the association of a peer."""
        association = peer.association
        if association is None or peer.closed:
            return
        try:
            self._endpoint.send(association, data, self._clock())
        except AssociationClosedError:
            self._gone(association, "the association is closed")
            return
        except RecordTooLargeError as error:
            LOGGER.warning("A message to %s was not sent: %s", peer, error)
            return
        if not self._batch:
            self._transmit()

    def end(self, peer: Peer, detail: str) -> None:
        """Close the association of a peer."""
        if peer.association is None or self._peers.pop(peer.association, None) is None:
            return
        self._above.closed(peer, detail)
        self._endpoint.close(peer.association, self._clock())
        if not self._batch:
            self._transmit()

    def _received(self, data: bytes, path: NetworkPath) -> None:
        self._endpoint.receive_datagram(data, path, self._clock())

    def _pump(self) -> None:
        """Pass on what the endpoint has to say, send what it has to send, and arm its timer."""
        self._batch = True
        now = self._clock()
        try:
            # What an event leads to may end another association, which has events of its own.
            while events := self._endpoint.events():
                for event in events:
                    if type(event) is Data:
                        peer = self._peers.get(event.association)
                        if peer is not None:
                            self._above.received(peer, event.data, now)
                    elif type(event) is Opened:
                        self._opened(event.association, now)
                    elif type(event) is Closed:
                        self._gone(event.association, event.detail)
                    elif type(event) is Refused:
                        self._above.refused(event.path, event.refusal)
        finally:
            self._batch = False
        self._transmit()

    def _transmit(self) -> None:
        for data, path in self._endpoint.datagrams_to_send():
            self._udp.send(data, path)
        self._arm(self._endpoint.next_timer())

    def _arm(self, due: float | None) -> None:
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0.0, due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._timer_due)

    def _timer_due(self) -> None:
        self._timer = None
        self._due = None
        self._endpoint.handle_timer(self._clock())
        self._pump()

    def _opened(self, association: Association, now: float) -> None:
        identity = association.identity
        security = PeerSecurity(identity.mode, association.suite.name, identity, association.group)
        peer = Peer(self, association.path, security, now, association)
        self._peers[association] = peer
        self._above.opened(peer)

    def _gone(self, association: Association, detail: str) -> None:
        peer = self._peers.pop(association, None)
        if peer is not None:
            self._above.closed(peer, detail)


class PlainPort:
    """The NoSec port. Only a request makes a peer known; whoever is not held is forgotten when idle or crowded out."""

    def __init__(self, above: Above, clock: Callable[[], float]) -> None:
        self._above = above
        self._clock = clock
        self._peers: dict[Address, Peer] = {}
        self._udp = UdpPort(self._received)

    async def open(self, host: str, port: int) -> None:
        """Begin to serve; OSError if the port is taken."""
        await self._udp.open(host, port)

    @property
    def number(self) -> int | None:
        """The port number, None while closed."""
        return self._udp.number

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._peers.values()))

    def __len__(self) -> int:
        return len(self._peers)

    def close(self) -> None:
        """Forget every peer and close the port."""
        for peer in self:
            self.end(peer, "the server stops")
        self._udp.close()

    def send(self, peer: Peer, data: bytes) -> None:
        """Send one message to a peer."""
        self._udp.send(data, peer.path)

    def end(self, peer: Peer, detail: str) -> None:
        """Forget a peer."""
        if self._peers.get(peer.path.peer) is peer:
            del self._peers[peer.path.peer]
            self._above.closed(peer, detail)

    def sweep(self, now: float) -> None:
        """Forget who has been silent and is not held."""
        for peer in self:
            if peer.last_received + NOSEC_IDLE < now and not _held(peer):
                self.end(peer, "silent")

    def _received(self, data: bytes, path: NetworkPath) -> None:
        now = self._clock()
        peer = self._peers.get(path.peer)
        if peer is None:
            if not wire.is_request(data):
                answer = wire.rejection(data)
                if answer is not None:
                    self._udp.send(answer, path)
                return
            if len(self._peers) >= NOSEC_PEERS and not self._make_room():
                return
            peer = self._peers[path.peer] = Peer(self, path, _NOSEC, now)
            self._above.opened(peer)
        elif peer.path.local != path.local:
            peer.path = path
        self._above.received(peer, data, now)

    def _make_room(self) -> bool:
        """Forget the peer known for longest that is not held, among the first few."""
        for address in list(self._peers)[:_PROBES]:
            peer = self._peers[address]
            if not _held(peer):
                self.end(peer, "too many peers")
                return True
            # To the end, so that the next search begins after it.
            self._peers[address] = self._peers.pop(address)
        return False


def _held(peer: Peer) -> bool:
    return peer.data is not None or bool(peer.exchanges) or bool(peer.observations)
