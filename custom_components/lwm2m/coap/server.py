"""The CoAP server: ports, peers, and the way of a datagram to whom it concerns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Final

from ..dtls.association import NetworkPath
from ..dtls.endpoint import Endpoint
from ..protocol.errors import PeerGone
from ..security.refusal import Refusal
from . import wire
from .downlink import Downlink, acknowledged
from .messages import Request, Response
from .observe import REGISTER, Observation
from .ports import PlainPort, SecurePort
from .remote import Peer
from .transport import Transport
from .uplink import Uplink, UplinkHandler
from .wire import WireError

LOGGER = logging.getLogger(__package__)

_SWEEP: Final = 30.0
"""Seconds between two looks at what has had its time."""

_ACK: Final = b"\x60\x00"


class CoapServer:
    """Serves one DTLS port and one NoSec port, either or both, and sends requests to the peers that came through them."""

    def __init__(
        self, handler: UplinkHandler, *, clock: Callable[[], float] = time.monotonic, ack_timeout: float = 2.0
    ) -> None:
        """`ack_timeout`: seconds until the first retransmission of a message (ACK_TIMEOUT, RFC 7252 section 4.8)."""
        self._handler = handler
        self._clock = clock
        self._ack_timeout = ack_timeout
        self._core: _Core | None = None

    async def start(
        self,
        *,
        endpoint: Endpoint | None = None,
        secure: tuple[str, int] | None = None,
        nosec: tuple[str, int] | None = None,
    ) -> None:
        """Open the ports that are named: host "" or "::" is all interfaces, port 0 is any. OSError if one is taken.

        `endpoint` is the DTLS endpoint behind the `secure` port; it is this server's own until `stop`.
        """
        if self._core is not None:
            raise RuntimeError("the server runs already")
        core = _Core(self._handler, self._clock, self._ack_timeout)
        try:
            if secure is not None:
                if endpoint is None:
                    raise ValueError("a secure port needs an endpoint")
                core.secure = SecurePort(endpoint, core, self._clock)
                await core.secure.open(*secure)
            if nosec is not None:
                core.nosec = PlainPort(core, self._clock)
                await core.nosec.open(*nosec)
        except BaseException:
            await core.close()
            raise
        core.sweep()
        self._core = core

    async def stop(self) -> None:
        """Close associations and ports. Every peer is reported closed; no task, timer or socket is left."""
        core, self._core = self._core, None
        if core is not None:
            await core.close()

    @property
    def running(self) -> bool:
        """Between `start` and `stop`."""
        return self._core is not None

    @property
    def secure_port(self) -> int | None:
        """Number of the DTLS port, None if there is none."""
        return None if self._core is None or self._core.secure is None else self._core.secure.number

    @property
    def nosec_port(self) -> int | None:
        """Number of the NoSec port, None if there is none."""
        return None if self._core is None or self._core.nosec is None else self._core.nosec.number

    def peers(self) -> Iterator[Peer]:
        """Every peer that is there, for diagnostics and tests."""
        if self._core is not None:
            yield from self._core.secure or ()
            yield from self._core.nosec or ()

    async def request(self, peer: Peer, request: Request, *, timeout: float | None = None) -> Response:
        """Send a request to a device and return its whole response, error codes included.

        `timeout`: seconds for the answer to each message (a block is one), from its sending; None is what RFC 7252
        gives it. RequestTimeout, PeerGone, and WireError (a ProtocolError) for a response that breaks the rules.
        """
        return await self._running().downlink.request(peer, request, timeout)

    async def observe(
        self,
        peer: Peer,
        request: Request,
        on_notification: Callable[[Response], None],
        on_end: Callable[[str], None],
        *,
        timeout: float | None = None,
    ) -> tuple[Response, Observation]:
        """Begin an observation (GET or FETCH); errors as `request`.

        Returns the newest response so far. The observation is not `active` if the device refused it. Later
        notifications, in order and each once, go to `on_notification`, synchronously; if the device or its association
        ends the observation, `on_end` is called once, not after `cancel`.
        """
        downlink = self._running().downlink
        observation = Observation(downlink, peer, request, on_notification, on_end)
        try:
            answer = await downlink.upload(peer, request, timeout, (REGISTER,), arrived=observation.begin)
            response = await downlink.complete(peer, request, answer, timeout)
        except BaseException:
            observation.cancel()
            raise
        return observation.release(response), observation

    def close_peer(self, peer: Peer, detail: str = "closed by the server") -> None:
        """End the association of a peer (NoSec: forget it). `peer_closed` is called before this returns."""
        if self._core is not None:
            self._core.close_peer(peer, detail)

    def _running(self) -> _Core:
        if self._core is None:
            raise PeerGone("the server is stopped")
        return self._core


class _Core:
    """What exists while the server runs."""

    def __init__(self, handler: UplinkHandler, clock: Callable[[], float], ack_timeout: float) -> None:
        self._handler = handler
        self._clock = clock
        self._uplink = Uplink(handler)
        self._transport = Transport(self._uplink.answer, ack_timeout)
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
        for exchange in list(peer.exchanges.values()):
            exchange.finish(PeerGone(f"the peer is gone: {detail}"))
        if peer.exchanges:
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
        """A message of a peer. Notifications first, and without anything of aiocoap."""
        if len(data) < 4:
            return
        first, code, message_id = wire.unpack_header(data)
        if first >> 6 != 1:
            return
        message_type = first >> 4 & 3
        position = 4 + (first & 15)
        if position > len(data) or position > 12:
            self._reject(peer, data)
            return
        peer.last_received = now
        if 64 <= code < 192:
            token = data[4:position]
            if message_type < wire.ACK:
                observation = peer.observations.get(token)
                if observation is not None and self._notified(
                    peer, observation, code, message_type, data, position, now
                ):
                    return
            self._response(peer, code, message_type, message_id, token, data, position, now)
        elif 0 < code < 32 and message_type < wire.ACK:
            self._uplink.receive(self._transport, peer, message_type, code, message_id, data, position, now)
        elif code == 0 and message_type >= wire.ACK:
            exchange = peer.unacknowledged
            self._transport.arrived(peer, code, message_type, message_id, b"", None)
            if exchange is not None and exchange.message_id == message_id:
                acknowledged(peer, exchange)
        else:
            # A ping, or a code that nobody defined for this type.
            self._reject(peer, data)

    def _notified(
        self, peer: Peer, observation: Observation, code: int, message_type: int, data: bytes, position: int, now: float
    ) -> bool:
        """Take a response with the token of an observation; False if it answers the request to end that."""
        try:
            tail = wire.parse_tail(data, position)
        except WireError as error:
            self._reject(peer, data)
            observation.end(f"malformed notification: {error}")
            return True
        if observation.ending and tail.observe is None:
            return False
        if message_type == wire.CON:
            peer.link.send(peer, _ACK + data[2:4])
        observation.notified(code, message_type, tail, now)
        return True

    def _response(
        self,
        peer: Peer,
        code: int,
        message_type: int,
        message_id: int,
        token: bytes,
        data: bytes,
        position: int,
        now: float,
    ) -> None:
        """Any other response; one that nobody waits for is rejected (RFC 7252 section 4.2, RFC 7641 section 3.6)."""
        exchange = peer.exchanges.get(token)
        if message_type == wire.CON and (known := peer.answer_of(message_id, now)):
            peer.link.send(peer, known)
            return
        try:
            tail = wire.parse_tail(data, position)
            answer = None if exchange is None else wire.read_response(code, message_type, tail)
        except WireError as error:
            if exchange is not None:
                exchange.finish(error)
            if message_type != wire.ACK:
                self._reject(peer, data)
            return
        if exchange is None and message_type == wire.NON and tail.observe is not None:
            peer.link.send(peer, wire.empty_message(wire.RST, message_id))
            return
        if exchange is not None and message_type == wire.CON:
            peer.remember(message_id, _ACK + data[2:4], now)
        self._transport.arrived(peer, code, message_type, message_id, token, answer)
        if exchange is not None and peer.unacknowledged is exchange:
            if message_type != wire.ACK:
                self._transport.settle(peer, exchange.message_id)
            acknowledged(peer, exchange)

    def _reject(self, peer: Peer, data: bytes) -> None:
        answer = wire.rejection(data)
        if answer is not None:
            peer.link.send(peer, answer)
