"""Requests of peers: duplicates, rate, options and blocks are dealt with here, the rest is the handler's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from ..protocol import codes
from ..protocol.errors import ProtocolError
from ..security.credential import SecurityMode
from . import wire
from .blockwise import UPLOAD_LIMIT, Block, Download, Spool, transfer_key
from .messages import Request, Response
from .remote import BLOCK_COST, Peer
from .wire import Arrived, Head, WireError

if TYPE_CHECKING:
    from ..dtls.association import NetworkPath
    from ..security.refusal import Refusal
    from .transport import Outcome, Transport

LOGGER = logging.getLogger(__package__)

_SECURE_SPOOL: Final = 8 * 1024 * 1024
_NOSEC_SPOOL: Final = 1024 * 1024
_LARGEST_DIAGNOSTIC: Final = 200


class UplinkHandler(Protocol):
    """Who answers requests. Called from the loop, synchronously."""

    def handle_request(self, peer: Peer, request: Request) -> tuple[Response, Callable[[], None] | None]:
        """Answer a request. The callback is called once the response has left.

        A ProtocolError is answered with its code and text; any other exception is logged and answered with 5.00.
        """

    def peer_opened(self, peer: Peer) -> None:
        """A peer is there: a handshake completed, or a first request came to the NoSec port."""

    def peer_closed(self, peer: Peer, detail: str) -> None:
        """The peer is gone for good; called once for each `peer_opened`, whoever ended it."""

    def refused(self, path: NetworkPath, refusal: Refusal) -> None:
        """A peer was not let in."""


class Uplink:
    """The root site."""

    transport: Transport

    def __init__(self, handler: UplinkHandler) -> None:
        self._handler = handler
        self._secure = Spool(_SECURE_SPOOL)
        self._nosec = Spool(_NOSEC_SPOOL)
        self._after: Callable[[], None] | None = None
        self._now = 0.0

    def receive(self, peer: Peer, head: Head, data: bytes, now: float) -> None:
        """A request has come."""
        known = peer.answer_of(head.message_id, now)
        if known is not None:
            if known and head.message_type == wire.CON:
                peer.link.send(peer, known)
            return
        try:
            arrived = wire.read_request(head.code, head.message_type, wire.parse_tail(data, head.end))
        except WireError:
            if head.message_type == wire.CON:
                peer.link.send(peer, wire.empty_message(wire.RST, head.message_id))
            return
        if not peer.allow_request(now, BLOCK_COST if self._continues(peer, arrived) else 1.0):
            return
        peer.remember(head.message_id, b"", now)
        self._now = now
        self.transport.arrived(peer, head, arrived)
        after, self._after = self._after, None
        if after is not None:
            try:
                after()
            except Exception:
                LOGGER.exception("What follows a request of %s failed", peer)

    def _continues(self, peer: Peer, arrived: Arrived) -> bool:
        """Whether a request is for the next block of a transfer that was let in."""
        request, block1, block2 = arrived.request, arrived.block1, arrived.block2
        if block1 is not None:
            return self._spool(peer).expects(peer, transfer_key(request), block1)
        return block2 is not None and block2.number > 0 and peer.download is not None

    def answer(self, peer: Peer, arrived: Arrived) -> Outcome:
        """The response to a request; never raises."""
        try:
            return self._answer(peer, arrived)
        except ProtocolError as error:
            return _plain(Response(error.code, str(error).encode()[:_LARGEST_DIAGNOSTIC]))
        except Exception:
            LOGGER.exception("A request of %s could not be handled", peer)
            self._after = None
            return _plain(Response(codes.INTERNAL_SERVER_ERROR))

    def _answer(self, peer: Peer, arrived: Arrived) -> Outcome:
        request, block1, block2 = arrived.request, arrived.block1, arrived.block2
        if arrived.proxy:
            return _plain(Response(codes.PROXYING_NOT_SUPPORTED))
        if arrived.bad_option is not None:
            return _plain(Response(codes.BAD_OPTION, b"option %d" % arrived.bad_option))
        if request.method > codes.IPATCH:
            return _plain(Response(codes.METHOD_NOT_ALLOWED))
        key = transfer_key(request)
        options: list[wire.Option] = []
        if block1 is not None:
            options.append((wire.BLOCK1, block1.encode()))
            body = (
                codes.REQUEST_ENTITY_TOO_LARGE
                if (arrived.size1 or 0) > UPLOAD_LIMIT
                else self._spool(peer).add(peer, key, block1, request.payload, self._now)
            )
            if isinstance(body, int):
                if body == codes.REQUEST_ENTITY_TOO_LARGE:
                    options = [(wire.SIZE1, wire.write_uint(UPLOAD_LIMIT))]
                return _plain(Response(body), options)
            request = request._replace(payload=body)
        if block2 is not None and block2.number:
            download = peer.download
            if download is None or download.key != key:
                return _plain(Response(codes.REQUEST_ENTITY_INCOMPLETE), options)
            response = download.response
        else:
            response, self._after = self._handler.handle_request(peer, request)
        return self._in_blocks(peer, key, response, block2, options)

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        self._spool(peer).forget(peer)

    def sweep(self, now: float) -> None:
        """Let go of what has had its time."""
        self._secure.sweep(now)
        self._nosec.sweep(now)

    def _spool(self, peer: Peer) -> Spool:
        return self._nosec if peer.security.mode is SecurityMode.NOSEC else self._secure

    def _in_blocks(
        self, peer: Peer, key: tuple[object, ...], response: Response, block2: Block | None, options: list[wire.Option]
    ) -> Outcome:
        payload = response.payload
        exponent = min(peer.block_exponent, 6 if block2 is None else block2.exponent)
        if len(payload) <= 16 << exponent:
            return _plain(response, options)
        offset = 0 if block2 is None else block2.start
        if offset >= len(payload):
            return _plain(Response(codes.BAD_OPTION), options)
        block = Block.at(offset, exponent, len(payload))
        if offset == 0:
            peer.download = Download(key, response, self._now)
            options.append((wire.SIZE2, wire.write_uint(len(payload))))
        options.append((wire.BLOCK2, block.encode()))
        return _plain(response._replace(payload=payload[offset : offset + block.size]), options)


def _plain(response: Response, options: list[wire.Option] | tuple[()] = ()) -> Outcome:
    return response.code, wire.write_response(response, options)
