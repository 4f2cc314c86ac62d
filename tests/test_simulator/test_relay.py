"""The lossy relay: what it counts is what it did, and the same seed does the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.simulator.relay import Address, Relay

from .fake_server import until


class Echo(asyncio.DatagramProtocol):
    """Sends each datagram back, and notes from where it came."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Address]] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.heard.append((data, addr))
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    """Collects what comes back."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.heard.put_nowait(data)


@asynccontextmanager
async def through(**options: object) -> AsyncIterator[tuple[Relay, Echo, Client, asyncio.DatagramTransport]]:
    loop = asyncio.get_running_loop()
    back, echo = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    async with Relay(back.get_extra_info("sockname"), **options) as relay:  # type: ignore[arg-type]
        front, client = await loop.create_datagram_endpoint(Client, remote_addr=relay.address)
        yield relay, echo, client, front
        front.close()
    back.close()


NOTHING = {"loss": 0.0, "duplicate": 0.0, "reorder": 0.0}


def _arrived(relay: Relay, echo: Echo, count: int) -> bool:
    return relay.up.seen == count and len(echo.heard) == count - relay.up.lost


async def collect(client: Client, count: int) -> list[bytes]:
    async with asyncio.timeout(10):
        return [await client.heard.get() for _ in range(count)]


async def test_passes_on() -> None:
    async with through(**NOTHING) as (relay, echo, client, front):
        for number in range(10):
            front.sendto(bytes((number,)))
        assert await collect(client, 10) == [bytes((number,)) for number in range(10)]
        assert (relay.up.forwarded, relay.down.forwarded, relay.up.lost, relay.clients) == (10, 10, 0, 1)
        relay.forget()
        front.sendto(b"new")
        await collect(client, 1)
        assert echo.heard[0][1] != echo.heard[-1][1]


async def test_loses_and_doubles_and_holds_back() -> None:
    async with through(loss=(0.5, 0.0), duplicate=(0.0, 0.5), reorder=(0.0, 0.5), delay=0.01) as (
        relay,
        _,
        client,
        front,
    ):
        for number in range(200):
            front.sendto(bytes((number,)))
            await asyncio.sleep(0)
        await until(lambda: relay.up.seen == 200 and relay.down.seen == relay.up.forwarded)
        heard = await collect(client, relay.down.forwarded)
        assert relay.up.seen == relay.up.forwarded + relay.up.lost
        assert 60 < relay.up.lost < 140
        assert relay.down.forwarded == relay.down.seen + relay.down.duplicated
        assert relay.down.duplicated > 20
        assert relay.down.delayed > 20
        assert heard != sorted(heard)


async def test_the_same_seed_loses_the_same() -> None:
    lost = []
    for _ in range(2):
        async with through(loss=(0.5, 0.0), duplicate=0.0, reorder=0.0, seed=9) as (relay, echo, _, front):
            for number in range(50):
                front.sendto(bytes((number,)))
            await until(partial(_arrived, relay, echo, 50))
            lost.append([data for data, _ in echo.heard])
    assert lost[0] == lost[1]


async def test_blocked_and_stopped() -> None:
    async with through(**NOTHING) as (relay, echo, _, front):
        relay.blocked = True
        front.sendto(b"x")
        await until(lambda: relay.up.lost > 0)
        assert not echo.heard
        relay.stop()
        with pytest.raises(RuntimeError):
            _ = relay.address
