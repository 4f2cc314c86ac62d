"""CoAP's message and request layers for one server: retransmission, de-duplication, blocks (RFC 7252, RFC 7959)."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .coap import Block, CoapError, Code, Message, Option, Type, exponent_for, unknown_critical


class RequestTimeoutError(Exception):
    """No answer after all retransmissions."""


class ResetError(Exception):
    """The server answered with RST."""


@dataclass(frozen=True, slots=True)
class Timing:
    """RFC 7252 section 4.8, all times multiplied by `scale`; seconds."""

    scale: float = 1.0
    max_retransmit: int = 4

    @property
    def ack_timeout(self) -> float:
        """The first wait, before its random factor."""
        return 2.0 * self.scale

    @property
    def exchange_lifetime(self) -> float:
        """How long a message id is remembered."""
        return 247.0 * self.scale

    @property
    def max_transmit_wait(self) -> float:
        """The longest wait for an answer."""
        return 93.0 * self.scale


Handler = Callable[[Message], Message]
MAX_REMEMBERED = 1024
MAX_BODY = 1 << 20


class Messaging:
    """One conversation with the server.

    `handler` answers a request whose payload is whole. `reset` is told the token of a notification that the server
    rejected.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        handler: Handler,
        reset: Callable[[bytes], None],
        *,
        timing: Timing,
        block_size: int = 1024,
        rng: random.Random | None = None,
    ) -> None:
        self._send = send
        self._handler = handler
        self._reset = reset
        self.timing = timing
        self._exponent = exponent_for(block_size)
        self._rng = rng or random.Random()
        self._mid = self._rng.randrange(0x10000)
        self._seen: OrderedDict[int, tuple[float, bytes]] = OrderedDict()
        self._waiting: dict[bytes, asyncio.Future[Message]] = {}
        self._acks: dict[int, asyncio.Future[Message]] = {}
        self._sent_non: OrderedDict[int, bytes] = OrderedDict()
        self._bodies: dict[tuple[str, ...], bytearray] = {}
        self._served: OrderedDict[tuple[object, ...], Message] = OrderedDict()
        self.separate: float | None = None  # seconds after which a request is answered in a message of its own
        self.deaf = False  # requests are acknowledged and never answered
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_activity = asyncio.get_running_loop().time()
        self.sent = 0
        self.received = 0
        self.duplicates = 0

    # Sending

    def next_mid(self) -> int:
        """Give a message id."""
        self._mid = (self._mid + 1) & 0xFFFF
        return self._mid

    def new_token(self) -> bytes:
        """Give a token of eight bytes."""
        return self._rng.randbytes(8)

    def transmit(self, message: Message) -> bytes:
        """Encode and send; gives the bytes."""
        data = message.encode()
        self._put(data)
        return data

    def _put(self, data: bytes) -> None:
        self.sent += 1
        self.last_activity = asyncio.get_running_loop().time()
        self._send(data)

    async def confirm(self, message: Message) -> Message:
        """Send a CON until it is acknowledged; gives the ACK (maybe with a response) or RST.

        RequestTimeoutError when it never is.
        """
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[Message] = loop.create_future()
        wait = self.timing.ack_timeout * self._rng.uniform(1.0, 1.5)
        data = message.encode()
        self._acks[message.mid] = acknowledged
        try:
            for _ in range(self.timing.max_retransmit + 1):
                self._put(data)
                done, _pending = await asyncio.wait((acknowledged,), timeout=wait)
                if done:
                    return acknowledged.result()
                wait *= 2
            raise RequestTimeoutError
        finally:
            del self._acks[message.mid]

    def send_non(self, message: Message) -> None:
        """Send a NON notification, remembered so that a RST finds it."""
        self._sent_non[message.mid] = message.token
        while len(self._sent_non) > MAX_REMEMBERED:
            self._sent_non.popitem(last=False)
        self.transmit(message)

    async def request(
        self,
        code: Code,
        path: Sequence[str],
        query: Sequence[str] = (),
        payload: bytes = b"",
        content_format: int | None = None,
    ) -> Message:
        """Send a confirmable request and give its response, both in blocks where they are large."""
        base = [(Option.URI_PATH, part) for part in path] + [(Option.URI_QUERY, part) for part in query]
        exponent, offset = self._exponent, 0
        while True:
            message = Message(Type.CON, code, self.next_mid(), self.new_token())
            for option, text in base:
                message.add(option, text)
            if content_format is not None:
                message.add(Option.CONTENT_FORMAT, content_format)
            size = 16 << exponent
            if len(payload) <= size:
                message.payload = payload
                return await self._rest(await self._exchange(message), base, code)
            more = offset + size < len(payload)
            message.add(Option.BLOCK1, Block(offset // size, more, exponent).pack())
            message.payload = payload[offset : offset + size]
            response = await self._exchange(message)
            echoed = response.block(Option.BLOCK1)
            if response.code != Code.CONTINUE or not more:
                return await self._rest(response, base, code)
            offset += size
            if echoed is not None and echoed.exponent < exponent:
                exponent = echoed.exponent

    async def _rest(self, response: Message, base: list[tuple[Option, str]], code: Code) -> Message:
        block, body = response.block(Option.BLOCK2), bytearray(response.payload)
        while block is not None and block.more:
            message = Message(Type.CON, code, self.next_mid(), self.new_token())
            for option, text in base:
                message.add(option, text)
            message.add(Option.BLOCK2, Block(len(body) // block.size, False, block.exponent).pack())
            following = await self._exchange(message)
            block = following.block(Option.BLOCK2)
            body += following.payload
        response.payload = bytes(body)
        return response

    async def _exchange(self, message: Message) -> Message:
        answered: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[message.token] = answered
        sending = asyncio.ensure_future(self.confirm(message))
        try:
            await asyncio.wait((sending, answered), return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                reply = sending.result()
                if reply.type is Type.RST:
                    raise ResetError
                if reply.code != Code.EMPTY:
                    return reply
                try:
                    await asyncio.wait_for(answered, self.timing.max_transmit_wait)
                except TimeoutError:
                    raise RequestTimeoutError from None
            return answered.result()
        finally:
            sending.cancel()
            self._waiting.pop(message.token, None)

    # Receiving

    def received_datagram(self, data: bytes) -> None:
        """Take one message from the server; what is not CoAP is dropped."""
        self.received += 1
        loop = asyncio.get_running_loop()
        self.last_activity = loop.time()
        try:
            message = Message.decode(data)
        except CoapError:
            if len(data) >= 4 and data[0] >> 4 == 4:  # a CON that cannot be read (RFC 7252 section 4.2)
                self._put(Message(Type.RST, Code.EMPTY, int.from_bytes(data[2:4], "big")).encode())
            return
        if message.type in (Type.ACK, Type.RST):
            self._acknowledged(message)
            return
        known = self._seen.get(message.mid)
        if known is not None and known[0] > loop.time():
            self.duplicates += 1
            if known[1]:
                self._put(known[1])
            return
        reply = self._react(message)
        encoded = b"" if reply is None else self.transmit(reply)
        self._seen[message.mid] = (loop.time() + self.timing.exchange_lifetime, encoded)
        self._seen.move_to_end(message.mid)
        while len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)

    def _acknowledged(self, message: Message) -> None:
        waiting = self._acks.get(message.mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        elif message.type is Type.RST:
            token = self._sent_non.pop(message.mid, None)
            if token is not None:
                self._reset(token)

    def _react(self, message: Message) -> Message | None:
        confirmable = message.type is Type.CON
        empty = Message(Type.ACK, Code.EMPTY, message.mid) if confirmable else None
        if message.code == Code.EMPTY:  # a CoAP ping
            return Message(Type.RST, Code.EMPTY, message.mid) if confirmable else None
        if message.is_response:
            answered = self._waiting.get(message.token)
            if answered is None:
                return Message(Type.RST, Code.EMPTY, message.mid)
            if not answered.done():
                answered.set_result(message)
            return empty
        if self.deaf:
            return empty
        response = self.respond(message)
        response.token = message.token
        if self.separate is not None:
            task = asyncio.get_running_loop().create_task(self._answer_later(response, confirmable=confirmable))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return empty
        response.type = Type.ACK if confirmable else Type.NON
        response.mid = message.mid if confirmable else self.next_mid()
        return response

    async def _answer_later(self, response: Message, *, confirmable: bool) -> None:
        await asyncio.sleep(self.separate or 0)
        response.type, response.mid = (Type.CON if confirmable else Type.NON), self.next_mid()
        if not confirmable:
            self.transmit(response)
            return
        try:
            await self.confirm(response)
        except RequestTimeoutError:
            return

    # Requests from the server, block-wise

    def respond(self, request: Message) -> Message:
        """Answer a request: joins Block1, cuts into Block2, and asks the handler in between."""
        try:
            block1, block2 = request.block(Option.BLOCK1), request.block(Option.BLOCK2)
        except CoapError:
            return Message(Type.ACK, Code.BAD_OPTION)
        if unknown_critical(request) is not None:
            return Message(Type.ACK, Code.BAD_OPTION)
        if block1 is not None:
            refused = self._join(request, block1)
            if refused is not None:
                return refused
        key = (request.code, request.path, request.query, request.uint(Option.ACCEPT))
        if block2 is not None and block2.number > 0 and key in self._served:
            response = self._served[key]
        else:
            response = self._handler(request)
        if block1 is not None:
            response.add(Option.BLOCK1, Block(block1.number, False, min(block1.exponent, self._exponent)).pack())
        return self.cut(response, block2, key)

    def _join(self, request: Message, block: Block) -> Message | None:
        key = (str(request.code), *request.path)
        if block.number == 0:
            self._bodies[key] = bytearray()
        body = self._bodies.get(key)
        partial = block.more and len(request.payload) != block.size
        if body is None or len(body) != block.number * block.size or partial:
            self._bodies.pop(key, None)
            return Message(Type.ACK, Code.REQUEST_ENTITY_INCOMPLETE)
        body += request.payload
        if len(body) > MAX_BODY:
            del self._bodies[key]
            return Message(Type.ACK, Code.REQUEST_ENTITY_TOO_LARGE)
        if block.more:
            size = min(block.exponent, self._exponent)
            answer = Message(Type.ACK, Code.CONTINUE)
            return answer.add(Option.BLOCK1, Block(block.number, True, size).pack())
        request.payload = bytes(self._bodies.pop(key))
        return None

    def cut(self, response: Message, block: Block | None, key: tuple[object, ...]) -> Message:
        """Give one block of a response that is larger than the block size, and keep the whole for the next."""
        exponent = min(self._exponent, block.exponent if block is not None else 6)
        number, size = (block.number if block is not None else 0), 16 << exponent
        if len(response.payload) <= size and (block is None or number == 0):
            return response
        if number * size >= len(response.payload):
            return Message(Type.ACK, Code.BAD_OPTION)
        self._served[key] = response
        while len(self._served) > 8:
            self._served.popitem(last=False)
        more = (number + 1) * size < len(response.payload)
        part = response.without(Option.OBSERVE) if number else response.without()
        part.payload = response.payload[number * size : (number + 1) * size]
        part.add(Option.BLOCK2, Block(number, more, exponent).pack())
        if number == 0:
            part.add(Option.SIZE2, len(response.payload))
        return part

    def stop(self) -> None:
        """End what still waits."""
        for task in tuple(self._tasks):
            task.cancel()
        for waiting in (*self._waiting.values(), *self._acks.values()):
            waiting.cancel()
