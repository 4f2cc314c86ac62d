"""A small echo server over an endpoint, for peers that are real programs: one socket and one timer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.endpoint import Endpoint
from custom_components.lwm2m.dtls.events import Closed, Data, Event, Opened, Refused


class EchoServer(asyncio.DatagramProtocol):
    """Feeds, drains, transmits and re-arms one timer; sends application data back with `prefix` before it."""

    def __init__(self, endpoint: Endpoint, answer: Callable[[bytes], bytes | None]) -> None:
        self.endpoint = endpoint
        self.answer = answer
        self.seen: list[Event] = []
        self.changed = asyncio.Event()
        self.any_refused = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | None = None
        self.port = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.endpoint.receive_datagram(data, NetworkPath(addr, None), self.loop.time())
        self.drain()

    def drain(self) -> None:
        for event in self.endpoint.events():
            self.seen.append(event)
            if isinstance(event, Refused):
                self.any_refused.set()
            if isinstance(event, Data) and (answer := self.answer(event.data)) is not None:
                self.endpoint.send(event.association, answer, self.loop.time())
        for datagram, path in self.endpoint.datagrams_to_send():
            self.transport.sendto(datagram, path.peer)
        if self.timer is not None:
            self.timer.cancel()
        when = self.endpoint.next_timer()
        self.timer = None if when is None else self.loop.call_at(when, self._fire)
        self.changed.set()

    def _fire(self) -> None:
        self.endpoint.handle_timer(self.loop.time())
        self.drain()

    async def until[T](self, kind: type[T], timeout: float = 20) -> T:
        """The first event of this kind, waiting for it."""
        async with asyncio.timeout(timeout):
            while not (found := [event for event in self.seen if isinstance(event, kind)]):
                self.changed.clear()
                await self.changed.wait()
        return found[0]

    @property
    def opened(self) -> list[Opened]:
        return [event for event in self.seen if isinstance(event, Opened)]

    @property
    def refused(self) -> list[Refused]:
        return [event for event in self.seen if isinstance(event, Refused)]

    @property
    def closed(self) -> list[Closed]:
        return [event for event in self.seen if isinstance(event, Closed)]


def echo(data: bytes) -> bytes | None:
    """CoAP GET and ping get a 2.05 with the same token; anything else comes back."""
    if data[:1] and data[0] >> 6 == 1 and len(data) >= 4 and data[1] == 1:
        token = data[0] & 15
        return bytes([0x60 | token, 0x45]) + data[2 : 4 + token] + b"\xffhello from the endpoint"
    return b"echo:" + data


@asynccontextmanager
async def serve(endpoint: Endpoint, answer: Callable[[bytes], bytes | None] = echo) -> AsyncIterator[EchoServer]:
    """An echo server on a free port of 127.0.0.1; closed afterwards with every association."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: EchoServer(endpoint, answer), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        endpoint.close_all(loop.time())
        server.drain()
        transport.close()
