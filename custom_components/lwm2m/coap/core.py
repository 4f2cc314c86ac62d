"""One run of the CoAP server: the way of a datagram to whom it concerns, and the end of a peer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ..dtls.association import NetworkPath
from ..protocol.errors import PeerGone
from ..security.refusal import Refusal
from . import wire
from .downlink import Downlink, acknowledged
from .observe import Observation
from .ports import PlainPort, SecurePort
from .remote import Peer
from .transport import Transport
from .uplink import Uplink, UplinkHandler
from .wire import Head, WireError

LOGGER = logging.getLogger(__package__)

_SWEEP: Final = 30.0
"""Seconds between two looks at what has had its time."""

_ACK: Final = b"\x60\x00"


class Core:
    """Ports, peers and aiocoap's layers of one run of the server."""

    def __init__(self, handler: UplinkHandler, clock: Callable[[], float], ack_timeout: float) -> None:
        self._handler = handler
        self._clock = clock
        self._uplink = Uplink(handler)
        self._transport = self._uplink.transport = Transport(self._uplink.answer, ack_timeout)
        self.downlink = Downlink(self._transport)
        self.secure: SecurePort | None = None
        self.nosec: PlainPort | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """See `CoapServer.stop`."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for port in (self.secure, self.nosec):
            if port is not None:
                port.close()
        await self.downlink.close()
        await self._transport.close()

    def close_peer(self, peer: Peer, detail: str) -> None:
        """See `CoapServer.close_peer`."""
        for port in (self.secure, self.nosec):
            if port is not None and peer.link is port:
                port.end(peer, detail)

    def sweep(self) -> None:
        """Let go of what has had its time, now and every `_SWEEP` seconds."""
        now = self._clock()
        self._uplink.sweep(now)
        for port in (self.secure, self.nosec):
            for peer in port or ():
                peer.sweep(now)
        if self.nosec is not None:
            self.nosec.sweep(now)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self.sweep)

    # What the ports tell.

    def opened(self, peer: Peer) -> None:
        """A peer is there."""
        try:
            self._handler.peer_opened(peer)
        except Exception:
            LOGGER.exception("The arrival of %s could not be processed", peer)

    def closed(self, peer: Peer, detail: str) -> None:
        """A peer is gone: its requests fail, its observations end, and nothing of it is kept."""
        peer.closed = True
        exchanges = list(peer.exchanges.values())
        if peer.unacknowledged is not None and peer.unacknowledged not in exchanges:
            exchanges.append(peer.unacknowledged)
        for exchange in exchanges:
            exchange.finish(PeerGone(f"the peer is gone: {detail}"))
        if exchanges:
            self._transport.abandon(peer)
        for observation in list(peer.observations.values()):
            observation.end(detail)
        peer.recent.clear()
        peer.download = None
        self._uplink.forget(peer)
        try:
            self._handler.peer_closed(peer, detail)
        except Exception:
            LOGGER.exception("The departure of %s could not be processed", peer)

    def refused(self, path: NetworkPath, refusal: Refusal) -> None:
        """A peer was not let in."""
        try:
            self._handler.refused(path, refusal)
        except Exception:
            LOGGER.exception("The refusal of %s could not be processed", path.peer)

    def received(self, peer: Peer, data: bytes, now: float) -> None:
        """A message of a peer; never raises."""
        try:
            self._dispatch(peer, data, now)
        except Exception:
            LOGGER.exception("A message of %s could not be processed", peer)

    def _dispatch(self, peer: Peer, data: bytes, now: float) -> None:
        """Notifications first, and without anything of aiocoap."""
        if len(data) < 4:
            return
        first, code, message_id = wire.unpack_header(data)
        if first >> 6 != 1:
            return
        position = 4 + (first & 15)
        if position > len(data) or position > 12:
            self._reject(peer, data)
            return
        peer.last_received = now
        token = data[4:position]
        message_type = first >> 4 & 3
        if 64 <= code < 192:
            if message_type < wire.ACK:
                observation = peer.observations.get(token)
                if observation is not None and self._notified(observation, data, position, now):
                    return
            self._response(peer, Head(message_type, code, message_id, token), data, now)
        elif 0 < code < 32 and message_type < wire.ACK:
            self._uplink.receive(peer, Head(message_type, code, message_id, token), data, now)
        elif code == 0 and message_type >= wire.ACK:
            exchange = peer.unacknowledged
            self._transport.arrived(peer, Head(message_type, code, message_id, b""), None)
            if exchange is not None and exchange.message_id == message_id:
                acknowledged(peer, exchange)
        else:
            # A ping, or a code that nobody defined for this type.
            self._reject(peer, data)

    def _notified(self, observation: Observation, data: bytes, position: int, now: float) -> bool:
        """Take a response with the token of an observation; False if it answers the request to end that."""
        try:
            tail = wire.parse_tail(data, position)
        except WireError as error:
            self._reject(observation.peer, data)
            observation.end(f"malformed notification: {error}")
            return True
        if observation.ending and tail.observe is None:
            return False
        message_type = data[0] >> 4 & 3
        if message_type == wire.CON:
            peer = observation.peer
            peer.link.send(peer, _ACK + data[2:4])
        observation.notified(data[1], message_type, tail, now)
        return True

    def _response(self, peer: Peer, head: Head, data: bytes, now: float) -> None:
        """Any other response; one that nobody waits for is rejected (RFC 7252 section 4.2, RFC 7641 section 3.6)."""
        exchange = peer.exchanges.get(head.token)
        message_type = head.message_type
        if message_type == wire.CON and (known := peer.answer_of(head.message_id, now)):
            peer.link.send(peer, known)
            return
        try:
            tail = wire.parse_tail(data, head.end)
            answer = None if exchange is None else wire.read_response(head.code, message_type, tail)
        except WireError as error:
            if exchange is not None:
                exchange.finish(error)
            self._reject(peer, data)
            return
        if exchange is None and message_type == wire.NON and tail.observe is not None:
            peer.link.send(peer, wire.empty_message(wire.RST, head.message_id))
            return
        if exchange is not None and message_type == wire.CON:
            peer.remember(head.message_id, _ACK + data[2:4], now)
        self._transport.arrived(peer, head, answer)
        if exchange is not None and peer.unacknowledged is exchange:
            if message_type != wire.ACK:
                self._transport.settle(peer, exchange.message_id)
            acknowledged(peer, exchange)

    def _reject(self, peer: Peer, data: bytes) -> None:
        answer = wire.rejection(data)
        if answer is not None:
            peer.link.send(peer, answer)
