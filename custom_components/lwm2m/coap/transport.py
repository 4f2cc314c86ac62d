"""aiocoap's message and token layers over our own ports: the only module that knows aiocoap.

What aiocoap sees of a message is an envelope: header, token and peer; options and payload are read and written by
wire.py. Requests of peers are answered within the call that brought them, so no task and no timer is left behind, and
what must be kept for duplicates is kept as bytes in the peer (see remote.py).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aiocoap import error, interfaces  # type: ignore[import-untyped]
from aiocoap.message import Message  # type: ignore[import-untyped]
from aiocoap.messagemanager import MessageManager  # type: ignore[import-untyped]
from aiocoap.numbers.codes import Code  # type: ignore[import-untyped]
from aiocoap.numbers.constants import TransportTuning  # type: ignore[import-untyped]
from aiocoap.numbers.types import Type  # type: ignore[import-untyped]
from aiocoap.options import Options  # type: ignore[import-untyped]
from aiocoap.pipe import Pipe  # type: ignore[import-untyped]
from aiocoap.protocol import Context  # type: ignore[import-untyped]
from aiocoap.tokenmanager import TokenManager  # type: ignore[import-untyped]

from ..protocol.errors import LwM2MError, RequestTimeout
from . import wire
from .remote import Peer
from .wire import Answer, Arrived, Head

TOKEN_LENGTH: Final = 4
"""Bytes of a token; random, as RFC 7252 section 5.3.1 wants it where there is no DTLS."""

type Outcome = tuple[int, bytes]
"""A response: its code, and its options and payload as bytes."""

_TYPES: Final = tuple(Type(number) for number in range(4))
_CODES: Final = tuple(Code(number) for number in range(256))


class Envelope(Message):  # type: ignore[misc]
    """A message as aiocoap sees it. `tail` is the bytes of options and payload, or what they were parsed to."""

    opt = Options()
    payload = b""

    def __init__(self, code: int, message_type: int | None, tail: Any, tuning: TransportTuning) -> None:
        self.code = _CODES[code]
        self.mtype = None if message_type is None else _TYPES[message_type]
        self.mid: int | None = None
        self.token = b""
        self.remote: Peer | None = None
        self.tail = tail
        self.transport_tuning = tuning

    def __repr__(self) -> str:
        return f"<{self.code.dotted} {self.mtype} of message {self.mid}, {self.remote}>"


class _Arriving(TransportTuning):  # type: ignore[misc]
    """Of an arriving request aiocoap keeps nothing beyond its answer: duplicates are ours to know."""

    EXCHANGE_LIFETIME = 0.0


class _Context(Context):  # type: ignore[misc]
    """A context whose site answers at once."""

    def __init__(self, site: Callable[[Peer, Arrived], Outcome]) -> None:
        super().__init__(loop=asyncio.get_running_loop(), loggername=f"{__package__}.aiocoap")
        self._site = site
        self._tuning = TransportTuning()

    def render_to_pipe(self, pipe: Any) -> None:
        request = pipe.request
        code, tail = self._site(request.remote, request.tail)
        pipe.add_response(Envelope(code, None, tail, self._tuning), is_last=True)


class _Tokens(TokenManager):  # type: ignore[misc]
    """Random tokens, except where a request must have a given one."""

    _peer: Peer | None = None
    _given: bytes | None = None

    def start(self, pipe: Any, peer: Peer, token: bytes | None) -> None:
        """Send the request of a pipe."""
        self._peer, self._given = peer, token
        try:
            self.request(pipe)
        finally:
            self._peer = None

    def next_token(self) -> bytes:
        peer, token = self._peer, self._given or os.urandom(TOKEN_LENGTH)
        while peer is not None and self._given is None and (token in peer.exchanges or token in peer.observations):
            token = os.urandom(TOKEN_LENGTH)
        return token


class _Messages(MessageManager):  # type: ignore[misc]
    """Message ids counted per peer, and no search for a backlog, which `Peer.turn` keeps empty."""

    _peer: Peer

    def send_message(self, message: Message, messageerror_monitor: Callable[[], None]) -> None:
        self._peer = message.remote
        try:
            super().send_message(message, messageerror_monitor)
        finally:
            del self._peer

    def _next_message_id(self) -> int:
        return self._peer.next_message_id()

    def _continue_backlog(self, remote: Peer) -> None:
        self._backlogs.pop(remote, None)


class Outgoing(NamedTuple):
    """A request as it goes out. `token`: the one that it must have, if not a new one."""

    code: int
    message_type: int
    tail: bytes
    token: bytes | None


class Exchange:
    """One request that waits for its answer. `arrived` is called with token and answer before the waiting task runs."""

    __slots__ = ("answer", "arrived", "drop", "message_id", "token")

    def __init__(self, answer: asyncio.Future[Answer], arrived: Callable[[bytes, Answer], None] | None) -> None:
        self.answer = answer
        self.arrived = arrived
        self.token: bytes | None = None
        self.message_id = 0
        self.drop: Callable[[], None] = lambda: None

    def finish(self, outcome: Answer | LwM2MError) -> None:
        """Give the waiting task its answer or error; the first outcome counts."""
        if self.answer.done():
            return
        if isinstance(outcome, LwM2MError):
            self.answer.set_exception(outcome)
            return
        if self.arrived is not None and self.token is not None:
            self.arrived(self.token, outcome)
        self.answer.set_result(outcome)


class Transport(interfaces.MessageInterface):  # type: ignore[misc]
    """The message interface, and what the rest of this layer needs of aiocoap."""

    def __init__(self, site: Callable[[Peer, Arrived], Outcome], ack_timeout: float) -> None:
        """`site` turns a request into the response; `ack_timeout`: ACK_TIMEOUT of RFC 7252 section 4.8, in seconds."""
        self._context = _Context(site)
        self._tokens = _Tokens(self._context)
        self._messages = _Messages(self._tokens)
        self._messages.message_interface = self
        self._tokens.token_interface = self._messages
        self._context.request_interfaces.append(self._tokens)
        self._arriving = _Arriving()
        self._tuning = TransportTuning()
        self._tuning.ACK_TIMEOUT = ack_timeout

    # Towards the rest of this layer.

    def arrived(self, peer: Peer, head: Head, tail: object) -> None:
        """Hand a message of a peer to aiocoap; a request is answered before this returns."""
        envelope = Envelope(head.code, head.message_type, tail, self._arriving)
        envelope.mid = head.message_id
        envelope.token = head.token
        envelope.remote = peer
        self._messages.dispatch_message(envelope)

    def start(self, exchange: Exchange, peer: Peer, request: Outgoing) -> None:
        """Send a request; `exchange` gets its outcome unless it is forgotten before."""
        envelope = Envelope(request.code, request.message_type, request.tail, self._tuning)
        envelope.remote = peer
        pipe = Pipe(envelope, self._context.log)

        def on_event(event: Any) -> bool:
            if event.message is not None:
                exchange.finish(event.message.tail)
            elif event.exception is not None:
                exchange.finish(_translate(event.exception))
            return False

        exchange.drop = pipe.on_event(on_event)
        self._tokens.start(pipe, peer, request.token)
        exchange.token = envelope.token
        exchange.message_id = envelope.mid or 0
        peer.exchanges[envelope.token] = exchange

    def forget(self, exchange: Exchange, peer: Peer) -> None:
        """Wait for the answer no more, and stop retransmitting the request."""
        token = exchange.token
        if token is None:
            return
        if peer.exchanges.get(token) is exchange:
            del peer.exchanges[token]
        exchange.drop()
        if peer.unacknowledged is exchange and not peer.closed:
            self.settle(peer, exchange.message_id)

    def settle(self, peer: Peer, message_id: int) -> None:
        """Stop retransmitting a message, as if its ACK had come."""
        self.arrived(peer, Head(wire.ACK, 0, message_id, b""), None)

    def abandon(self, peer: Peer) -> None:
        """Drop all that aiocoap holds for a peer that is gone."""
        self._messages.dispatch_error(error.NetworkError("peer gone"), peer)

    async def close(self) -> None:
        """End aiocoap's part, after every peer was abandoned; nothing may arrive afterwards."""
        await self._context.shutdown()

    # Towards aiocoap.

    def send(self, message: Message) -> None:
        """Put a message on the wire. The answer to a request is kept for duplicates of it."""
        tail = message.tail if isinstance(message, Envelope) else b""
        token = message.token
        head = bytes((0x40 | message.mtype << 4 | len(token), message.code)) + message.mid.to_bytes(2)
        data = b"".join((head, token, tail))
        peer: Peer = message.remote
        if message.mtype is Type.ACK and message.mid in peer.recent:
            peer.recent[message.mid] = (peer.recent[message.mid][0], data)
        peer.link.send(peer, data)

    async def determine_remote(self, message: Message) -> None:
        """No message goes to an address: peers come to us."""

    async def shutdown(self) -> None:
        """Ports are closed by their owner."""


def _translate(exception: BaseException | type[BaseException]) -> LwM2MError:
    """Our word for an error of aiocoap, which gives some as a class."""
    kind = exception if isinstance(exception, type) else type(exception)
    if issubclass(kind, error.MessageError):
        return RequestTimeout("the device rejected the message (RST)")
    if issubclass(kind, error.TimeoutError):
        return RequestTimeout("the device did not acknowledge the message")
    return RequestTimeout(f"the message could not be sent: {exception!r}")
