"""Requests to a device: one at a time on the wire (NSTART of RFC 7252 section 4.7), block-wise both ways (RFC 7959)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

from ..protocol import codes
from ..protocol.errors import PeerGone, RequestTimeout
from . import wire
from .blockwise import DOWNLOAD_LIMIT, Block
from .messages import Request, Response
from .remote import Peer
from .transport import Exchange, Outgoing, Transport
from .wire import Answer, Option, WireError

ANSWER_TIMEOUT: Final = 93.0
"""Seconds until a request counts as unanswered: MAX_TRANSMIT_WAIT of RFC 7252 section 4.8.2."""

_RESTARTS: Final = 2
"""Times that a block-wise transfer may begin again."""


class Downlink:
    """Sends requests over a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run what nobody waits for, until it is done or the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End what `spawn` began."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def request(self, peer: Peer, request: Request, patience: float | None = None) -> Response:
        """Send a request and return the whole response, of whatever code.

        `patience`: seconds for the answer to each message, from its sending. RequestTimeout, PeerGone; WireError if the
        peer breaks the block-wise rules or sends more than DOWNLOAD_LIMIT.
        """
        answer = await self.upload(peer, request, patience)
        return await self.complete(peer, request, answer, patience)

    async def upload(
        self,
        peer: Peer,
        request: Request,
        patience: float | None,
        options: Sequence[Option] = (),
        *,
        token: bytes | None = None,
        arrived: Callable[[bytes, Answer], None] | None = None,
    ) -> Answer:
        """Send a request, in blocks where the payload is larger than the peer takes; returns the answer to the last.

        `options` are added to each message, and each has `token` if given; `arrived` is called with the token and the
        answer as soon as that is there.
        """
        body = request.payload
        exponent = peer.block_exponent
        if len(body) <= 16 << exponent:
            answer = await self.exchange(peer, request, options, patience, token=token, arrived=arrived)
            if not body or not _too_large(answer, exponent):
                return answer
            exponent = peer.block_exponent = _smaller(answer, exponent)
        offset = restarts = 0
        while True:
            block = Block.at(offset, exponent, len(body))
            extra = [*options, (wire.BLOCK1, block.encode())]
            if offset == 0:
                extra.append((wire.SIZE1, wire.write_uint(len(body))))
            part = request._replace(payload=body[offset : offset + block.size])
            answer = await self.exchange(peer, part, extra, patience, token=token, arrived=arrived)
            code = answer.response.code
            if _too_large(answer, exponent) and restarts < _RESTARTS:
                exponent = peer.block_exponent = _smaller(answer, exponent)
            elif code == codes.REQUEST_ENTITY_INCOMPLETE and offset and restarts < _RESTARTS:
                pass
            elif code == codes.CONTINUE and block.more:
                offset += block.size
                if answer.block1 is not None and answer.block1.exponent < exponent:
                    exponent = peer.block_exponent = answer.block1.exponent
                continue
            elif code == codes.CONTINUE:
                raise WireError("the device asks for more after the last block")
            else:
                return answer
            offset = 0
            restarts += 1

    async def complete(self, peer: Peer, request: Request, answer: Answer, patience: float | None) -> Response:
        """Fetch what is missing of a response that came as the first of several blocks."""
        block = answer.block2
        if block is None or not block.more:
            return answer.response
        if request.method != codes.FETCH or len(request.payload) > 16 << peer.block_exponent:
            request = request._replace(payload=b"", content_format=None)
        for _ in range(_RESTARTS + 1):
            body = await self._fetch_rest(peer, request, answer, patience)
            if body is not None:
                return body
            answer = await self.exchange(
                peer, request, [(wire.BLOCK2, Block(0, False, block.exponent).encode())], patience
            )
            if answer.block2 is None or not answer.block2.more:
                return answer.response
        raise WireError("the response changes while its blocks are fetched")

    async def _fetch_rest(self, peer: Peer, request: Request, first: Answer, patience: float | None) -> Response | None:
        """The whole response; None if it changed meanwhile and must be fetched anew."""
        body = bytearray()
        answer = first
        while True:
            block = answer.block2
            if block is None or answer.response.code != first.response.code:
                return answer.response
            if block.start != len(body) or answer.etag != first.etag:
                return None
            if block.more and len(answer.response.payload) != block.size:
                raise WireError("a block is not of the size that it says")
            body += answer.response.payload
            if not block.more:
                return first.response._replace(payload=bytes(body))
            if len(body) > DOWNLOAD_LIMIT:
                raise WireError("the response is too large")
            following = Block(len(body) >> block.exponent + 4, False, block.exponent)
            answer = await self.exchange(peer, request, [(wire.BLOCK2, following.encode())], patience)

    async def exchange(
        self,
        peer: Peer,
        request: Request,
        options: Sequence[Option] = (),
        patience: float | None = None,
        *,
        token: bytes | None = None,
        arrived: Callable[[bytes, Answer], None] | None = None,
    ) -> Answer:
        """Send one message and wait for its answer; see `upload`."""
        if peer.turn is None:
            peer.turn = asyncio.Lock()
        await peer.turn.acquire()
        exchange = Exchange(asyncio.get_running_loop().create_future(), arrived)
        peer.unacknowledged = exchange
        try:
            if peer.closed:
                raise PeerGone("the peer is gone")
            message_type = wire.CON if request.confirmable else wire.NON
            tail = wire.write_request(request, options)
            self._transport.start(exchange, peer, Outgoing(request.method, message_type, tail, token))
            async with asyncio.timeout(ANSWER_TIMEOUT if patience is None else patience):
                return await exchange.answer
        except TimeoutError:
            raise RequestTimeout("the device did not answer in time") from None
        finally:
            self._transport.forget(exchange, peer)
            if exchange.answer.done() and not exchange.answer.cancelled():
                # Seen, also when the waiting task was cancelled in the same moment.
                exchange.answer.exception()
            acknowledged(peer, exchange)


def acknowledged(peer: Peer, exchange: Exchange) -> None:
    """The peer has a message, or it was given up: the next one may go."""
    if peer.unacknowledged is exchange and peer.turn is not None:
        peer.unacknowledged = None
        peer.turn.release()


def _too_large(answer: Answer, exponent: int) -> bool:
    """Whether the peer asks for smaller blocks (RFC 7959 section 2.9.3)."""
    return answer.response.code == codes.REQUEST_ENTITY_TOO_LARGE and (
        exponent > 0 if answer.block1 is None else answer.block1.exponent < exponent
    )


def _smaller(answer: Answer, exponent: int) -> int:
    return exponent - 1 if answer.block1 is None else answer.block1.exponent
