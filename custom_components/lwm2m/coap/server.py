"""The CoAP server: what the layer above starts, stops, and sends requests through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..dtls.endpoint import Endpoint
from ..protocol.errors import PeerGone
from .core import Core
from .messages import Request, Response
from .observe import REGISTER, Observation
from .ports import PlainPort, SecurePort
from .remote import Peer
from .uplink import UplinkHandler


class CoapServer:
    """Serves a DTLS port, a NoSec port or both, and sends requests to the peers that came through them."""

    def __init__(
        self, handler: UplinkHandler, *, clock: Callable[[], float] = time.monotonic, ack_timeout: float = 2.0
    ) -> None:
        """`ack_timeout`: seconds until the first retransmission of a message (ACK_TIMEOUT, RFC 7252 section 4.8)."""
        self._handler = handler
        self._clock = clock
        self._ack_timeout = ack_timeout
        self._core: Core | None = None

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
        core = Core(self._handler, self._clock, self._ack_timeout)
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

    def _running(self) -> Core:
        if self._core is None:
            raise PeerGone("the server is stopped")
        return self._core
