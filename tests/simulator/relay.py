"""A UDP relay that loses, doubles and delays datagrams, by a seeded random generator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

Address = tuple[str, int]
_Send = Callable[[bytes], None]
MAX_HELD = 256  # datagrams of a client whose upstream socket is being made


@dataclass(slots=True)
class Counters:
    """What became of the datagrams of one direction; doubled and delayed ones are forwarded ones too."""

    seen: int = 0
    forwarded: int = 0
    lost: int = 0
    duplicated: int = 0
    delayed: int = 0


class Relay:
    """Stands between clients and `upstream`; each client has a socket of its own upstream.

    loss, duplicate and reorder are probabilities for each direction, or a pair (up, down). A reordered datagram is held
    back for up to `delay` seconds. `address` is where clients send to.
    """

    def __init__(
        self,
        upstream: Address,
        *,
        loss: float | tuple[float, float] = 0.1,
        duplicate: float | tuple[float, float] = 0.1,
        reorder: float | tuple[float, float] = 0.2,
        delay: float = 0.05,
        seed: int = 7,
        listen: Address = ("127.0.0.1", 0),
    ) -> None:
        self.upstream = upstream
        self.loss, self.duplicate, self.reorder = _pair(loss), _pair(duplicate), _pair(reorder)
        self.delay = delay
        self.up, self.down = Counters(), Counters()
        self.blocked = False  # nothing passes in either direction
        self._listen = listen
        self._random = (random.Random(seed), random.Random(seed + 1))
        self._front: asyncio.DatagramTransport | None = None
        self._clients: dict[Address, _Upstream] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: _Front(self), local_addr=self._listen)

    def stop(self) -> None:
        """Close all sockets; what is held back is lost."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.forget()
        if self._front is not None:
            self._front.close()
            self._front = None

    def forget(self) -> None:
        """Drop all upstream sockets: the next datagram of each client reaches the server from a new address (NAT)."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @property
    def address(self) -> Address:
        """Where the relay listens."""
        if self._front is None:
            raise RuntimeError("the relay is not running")
        host, port, *_ = self._front.get_extra_info("sockname")
        return host, port

    @property
    def clients(self) -> int:
        """How many clients have an upstream socket."""
        return len(self._clients)

    def from_client(self, data: bytes, client: Address) -> None:
        """Take a datagram on its way up."""
        known = self._clients.get(client)
        if known is None:
            known = self._clients[client] = _Upstream(self, client)
        self._mangle(0, data, known.send)

    def from_server(self, data: bytes, client: Address) -> None:
        """Take a datagram on its way down."""
        front = self._front
        if front is not None:
            self._mangle(1, data, lambda datagram: front.sendto(datagram, client))

    def _mangle(self, direction: int, data: bytes, send: _Send) -> None:
        counters, rng = (self.up, self.down)[direction], self._random[direction]
        counters.seen += 1
        if self.blocked or rng.random() < self.loss[direction]:
            counters.lost += 1
            return
        copies = 1
        if rng.random() < self.duplicate[direction]:
            counters.duplicated += 1
            copies = 2
        for _ in range(copies):
            counters.forwarded += 1
            if rng.random() < self.reorder[direction]:
                counters.delayed += 1
                self._later(rng.random() * self.delay, data, send)
            else:
                send(data)

    def _later(self, delay: float, data: bytes, send: _Send) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            send(data)

        timer = asyncio.get_running_loop().call_later(delay, fire)
        self._timers.add(timer)


class _Front(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._relay.from_client(data, addr)


class _Upstream(asyncio.DatagramProtocol):
    """One client's socket towards the server; holds datagrams until it is open."""

    def __init__(self, relay: Relay, client: Address) -> None:
        self._relay = relay
        self._client = client
        self._held: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=self._relay.upstream)
        for data in self._held:
            self._transport.sendto(data)
        self._held.clear()

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data)
        elif len(self._held) < MAX_HELD:
            self._held.append(data)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._relay.from_server(data, self._client)

    def close(self) -> None:
        self._opening.cancel()
        if self._transport is not None:
            self._transport.close()


def _pair(value: float | tuple[float, float]) -> tuple[float, float]:
    return value if isinstance(value, tuple) else (value, value)
