"""A device of raw bytes: what it sends is written by hand, what it gets is compared byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""

CON, NON, ACK, RST = range(4)

OBSERVE, LOCATION_PATH, URI_PORT, URI_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT = 6, 8, 7, 11, 12, 15, 17


def message(
    kind: int,
    code: int,
    message_id: int,
    token: bytes = b"",
    options: Iterable[tuple[int, bytes]] = (),
    payload: bytes = b"",
) -> bytes:
    """The bytes of a message (RFC 7252 section 3); options must be in order and shorter than 269 bytes."""
    data = bytearray((0x40 | kind << 4 | len(token), code)) + message_id.to_bytes(2) + token
    number = 0
    for option, value in options:
        delta, number = option - number, option
        head = bytearray((0,))
        for shift, amount in ((4, delta), (0, len(value))):
            if amount >= 13:
                head[0] |= 13 << shift
                head.append(amount - 13)
            else:
                head[0] |= amount << shift
        data += head + value
    return bytes(data + (b"\xff" + payload if payload else b""))


class Received(NamedTuple):
    """A message that came, taken apart."""

    kind: int
    code: int
    message_id: int
    token: bytes
    options: list[tuple[int, bytes]]
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        length = data[0] & 15
        position = 4 + length
        options: list[tuple[int, bytes]] = []
        number = 0
        while position < len(data) and data[position] != 0xFF:
            amounts = [data[position] >> 4, data[position] & 15]
            position += 1
            for index, amount in enumerate(amounts):
                assert amount < 14
                if amount == 13:
                    amounts[index] = 13 + data[position]
                    position += 1
            number += amounts[0]
            options.append((number, data[position : position + amounts[1]]))
            position += amounts[1]
        return cls(
            data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4]), data[4 : 4 + length], options, data[position + 1 :]
        )

    @property
    def path(self) -> str:
        return "/" + "/".join(value.decode() for number, value in self.options if number == URI_PATH)

    @property
    def accept(self) -> int | None:
        found = [value for number, value in self.options if number == ACCEPT]
        return int.from_bytes(found[0]) if found else None

    def answer(
        self, code: int, payload: bytes = b"", content_format: int | None = None, observe: int | None = None
    ) -> bytes:
        """The bytes of a piggybacked response."""
        return message(ACK, code, self.message_id, self.token, content(content_format, observe), payload)


def content(content_format: int | None, observe: int | None = None) -> list[tuple[int, bytes]]:
    """The options of a response with content."""
    options: list[tuple[int, bytes]] = []
    if observe is not None:
        options.append((OBSERVE, observe.to_bytes((observe.bit_length() + 7) // 8)))
    if content_format is not None:
        options.append((CONTENT_FORMAT, content_format.to_bytes((content_format.bit_length() + 7) // 8)))
    return options


def register(query: str, payload: bytes = b"</3/0>,</3303/0>", *, kind: int = CON, message_id: int = 1) -> bytes:
    """A Register with token 'r'; `query` is "ep=d&lt=60"."""
    options = [(URI_PATH, b"rd"), (CONTENT_FORMAT, b"\x28")]
    options += [(URI_QUERY, part.encode()) for part in query.split("&") if part]
    return message(kind, 0x02, message_id, b"r", options, payload)


def update(location: str, query: str = "", payload: bytes = b"", *, code: int = 0x02, message_id: int = 2) -> bytes:
    """An Update, or with code 4 a Deregister, with token 'u'."""
    options = [(URI_PATH, b"rd"), (URI_PATH, location.encode())]
    options += [(URI_QUERY, part.encode()) for part in query.split("&") if part]
    return message(CON, code, message_id, b"u", options, payload)


class RawDevice(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int | None) -> AsyncIterator[Self]:
        assert port is not None
        loop = asyncio.get_running_loop()
        transport, device = await loop.create_datagram_endpoint(cls, remote_addr=("127.0.0.1", port))
        try:
            yield device
        finally:
            transport.close()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.inbox.put_nowait(data)

    def send(self, data: bytes) -> None:
        self.transport.sendto(data)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.inbox.get()

    async def request(self) -> Received:
        """The next message of the server, taken apart."""
        return Received.parse(await self.receive())

    async def ask(self, data: bytes) -> bytes:
        self.send(data)
        return await self.receive()

    async def silent(self) -> None:
        """Nothing more has come: a ping is answered next (RFC 7252 section 4.3)."""
        assert await self.ask(b"\x40\x00\xab\xcd") == b"\x70\x00\xab\xcd"

    async def registered(self, query: str = "ep=d&lt=60&lwm2m=1.1&b=U", payload: bytes = b"</3/0>,</3303/0>") -> str:
        """Register and return the location."""
        answer = await self.ask(register(query, payload))
        assert answer[:-8] == b"\x61\x41\x00\x01r\x82rd\x08"
        return answer[-8:].decode()


def start[T](request: Awaitable[T]) -> asyncio.Task[T]:
    async def run() -> T:
        return await request

    return asyncio.get_running_loop().create_task(run())


async def observed(device: RawDevice) -> Received:
    """Grant the next observation, whose first value is 20."""
    request = await device.request()
    assert request.options[0] == (6, b"")
    device.send(request.answer(0x45, b"20", 0, observe=1))
    return request


def notification(
    request: Received, sequence: int, payload: bytes, *, kind: int = NON, content_format: int | None = 0
) -> bytes:
    return message(kind, 0x45, 0x7000 + sequence, request.token, content(content_format, sequence), payload)
