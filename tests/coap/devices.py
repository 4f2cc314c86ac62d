"""A device for the tests of the CoAP layer: a UDP socket, whose bytes are made and read by aiocoap's own codec."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from aiocoap import Message  # type: ignore[import-untyped]
from aiocoap.numbers.types import ACK, CON, NON, RST  # type: ignore[import-untyped]

from custom_components.lwm2m.coap.messages import Request, Response
from custom_components.lwm2m.coap.remote import Peer
from custom_components.lwm2m.coap.server import CoapServer
from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.security.refusal import Refusal

__all__ = ["ACK", "CON", "NON", "RST", "Device", "Handler", "Message", "coap", "serving", "until"]

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""


class Handler:
    """Records what it is told; answers with `respond`."""

    def __init__(self, respond: Callable[[Peer, Request], Response] | None = None) -> None:
        self.respond = respond or (lambda _peer, _request: Response(0x44))
        self.after: Callable[[], None] | None = None
        self.requests: list[tuple[Peer, Request]] = []
        self.opened: list[Peer] = []
        self.closed: list[tuple[Peer, str]] = []
        self.refusals: list[tuple[NetworkPath, Refusal]] = []
        self.changed = asyncio.Event()

    def handle_request(self, peer: Peer, request: Request) -> tuple[Response, Callable[[], None] | None]:
        self.requests.append((peer, request))
        self.changed.set()
        return self.respond(peer, request), self.after

    def peer_opened(self, peer: Peer) -> None:
        self.opened.append(peer)
        self.changed.set()

    def peer_closed(self, peer: Peer, detail: str) -> None:
        self.closed.append((peer, detail))
        self.changed.set()

    def refused(self, path: NetworkPath, refusal: Refusal) -> None:
        self.refusals.append((path, refusal))
        self.changed.set()


def coap(
    code: int, message_type: Any, message_id: int, token: bytes = b"", payload: bytes = b"", **options: Any
) -> bytes:
    """A message as aiocoap writes it."""
    message = Message(code=code, payload=payload, **options)
    message.mtype, message.mid, message.token = message_type, message_id, token
    data: bytes = message.encode()
    return data


class Device(asyncio.DatagramProtocol):
    """A socket with an inbox. `lose` says which datagrams never arrive, by direction ("up", "down") and bytes."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self.lose: Callable[[str, bytes], bool] = lambda _direction, _data: False
        self.answer: Callable[[Message], list[bytes]] | None = None
        self.transport: asyncio.DatagramTransport
        self.server: Any = None
        self.message_id = 100
        self.log: deque[tuple[str, bytes]] = deque(maxlen=100_000)

    @classmethod
    @asynccontextmanager
    async def at(cls, server: tuple[Any, ...], local: str | None = None) -> AsyncIterator[Self]:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        local = local or ("::1" if family == socket.AF_INET6 else "127.0.0.1")
        transport, device = await loop.create_datagram_endpoint(cls, local_addr=(local, 0), family=family)
        device.server = server
        try:
            yield device
        finally:
            transport.close()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.log.append(("down", data))
        if self.lose("down", data):
            return
        if self.answer is not None:
            for reply in self.answer(Message.decode(data)):
                self.send(reply)
        else:
            self.inbox.put_nowait((data, addr))

    def send(self, data: bytes) -> None:
        self.log.append(("up", data))
        if not self.lose("up", data):
            self.transport.sendto(data, self.server)

    async def receive(self) -> Message:
        return Message.decode(await self.receive_bytes())

    async def receive_bytes(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return (await self.inbox.get())[0]

    async def receive_from(self) -> tuple[bytes, Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.inbox.get()

    def next_id(self) -> int:
        self.message_id += 1
        return self.message_id

    async def ask(self, code: int, message_type: Any = CON, payload: bytes = b"", **options: Any) -> Message:
        """Send a request and return the next message that comes."""
        self.send(coap(code, message_type, self.next_id(), b"tk", payload, **options))
        return await self.receive()

    async def silent(self) -> None:
        """Nothing more has come: a ping is answered next."""
        self.send(coap(0, CON, 0xFFFF))
        answer = await self.receive()
        assert (answer.mtype, answer.code, answer.mid) == (RST, 0, 0xFFFF)


@asynccontextmanager
async def serving(
    handler: Handler | None = None, host: str = "127.0.0.1", **settings: Any
) -> AsyncIterator[tuple[CoapServer, Handler]]:
    """A server with a NoSec port."""
    handler = handler or Handler()
    server = CoapServer(handler, **{"ack_timeout": 0.05, **settings})
    await server.start(nosec=(host, 0))
    try:
        yield server, handler
    finally:
        await server.stop()


@asynccontextmanager
async def connected(**settings: Any) -> AsyncIterator[tuple[CoapServer, Device, Peer, Handler]]:
    """A server and a device that it knows and holds."""
    async with serving(**settings) as (server, handler), Device.at(("127.0.0.1", server.nosec_port)) as device:
        await device.ask(2, uri_path=("rd",))
        peer = handler.opened[0]
        peer.data = "held"
        yield server, device, peer, handler


async def until(handler: Handler, condition: Callable[[], bool]) -> None:
    """Wait for something that the handler is told."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            handler.changed.clear()
            await handler.changed.wait()
