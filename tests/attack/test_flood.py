"""Floods of hellos, with and without cookies: what they cost is capped, and a paired device gets in meanwhile."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from custom_components.lwm2m.dtls.events import Opened, Refused
from custom_components.lwm2m.dtls.openssl import endpoint as openssl_endpoint
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.security.refusal import Reason
from tests.benchmarks import figures
from tests.dtls.client import Network
from tests.openssl_client import Client

from .attacker import FULL, HANDSHAKE, LiveObjects, address, client_hello, proven_hello, record, resident

type Connect = Callable[..., Client]

MIB = 1 << 20
UNPROVED = 1_000_000 if FULL else 20_000
PROVED = 100_000 if FULL else 2_500
UNPROVED_CAP = 2 * MIB
"""Python memory for any number of addresses that have answered no cookie: two limiters of 256 entries, and cookies."""
PROVED_CAP = 16 * MIB
"""Python memory for any number of addresses that have: 2048 handshakes, ended or not, with hellos of at most 4 KiB."""
RESIDENT_CAP = 96 * MIB
"""Memory of the process for the same: 512 SSL objects of some 80 KiB, twice over for what malloc does not give back."""


RATE = 2000
"""Hellos with right cookies a second: some of those that one core can take."""


class Flood:
    """Hellos with right cookies from so many hosts, RATE a second of the network's time."""

    def __init__(self, network: Network, hosts: int) -> None:
        self.network = network
        self.hosts = hosts
        self.random = random.Random(3)
        self.start = network.now
        self.sent = 0

    def run(self, seconds: float, client: Client | None = None) -> None:
        """Go on for so long, or until the client is connected."""
        network = self.network
        end = network.now + seconds
        while network.now < end and not (client is not None and client.connected):
            path = address(self.sent % self.hosts, 1 + self.sent % 60_000)
            network.inject(proven_hello(network.endpoint, path, self.random, network.now), path)
            self.sent += 1
            network.run(self.start + self.sent / RATE - network.now)


@dataclass(slots=True)
class Cost:
    """Bytes more than before; `traced_most` at the worst moment."""

    traced: int = 0
    traced_most: int = 0
    resident: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Python memory that the block came to hold, and memory of the whole process."""
    gc.collect()
    cost, before = Cost(), resident()
    tracemalloc.start()
    try:
        yield cost
        gc.collect()
        cost.traced, cost.traced_most = tracemalloc.get_traced_memory()
        cost.resident = resident() - before
    finally:
        tracemalloc.stop()


def test_hellos_without_cookies(endpoint: OpenSSLEndpoint, live_objects: LiveObjects) -> None:
    rng, sent, started = random.Random(1), 0, time.process_time()
    with measured() as cost:
        for number in range(UNPROVED):
            path, now = address(number), number / 10_000
            wrong = rng.randbytes(16) if number % 4 == 0 else b""
            endpoint.receive_datagram(client_hello(rng, cookie=wrong), path, now)
            endpoint.receive_datagram(b"\x40\x01\0\0" if number % 2 else b"?", path, now)
            sent += len(endpoint.datagrams_to_send())
            endpoint.events()
            assert endpoint.pending_handshakes == 0
    assert sent == UNPROVED, "each was asked for a cookie, and nothing else was answered"
    assert live_objects.made == 0
    assert endpoint.next_timer() is None
    assert len(endpoint._spent) == 0
    assert cost.traced_most < UNPROVED_CAP
    write("flood_without_cookies", UNPROVED, cost, started)


@pytest.mark.parametrize(
    ("name", "pad", "count"),
    [("small", 0, PROVED), ("large", 1100, PROVED), ("largest", 3900, PROVED)],
    ids=("small", "large", "largest"),
)
def test_hellos_with_cookies(
    name: str, pad: int, count: int, endpoint: OpenSSLEndpoint, live_objects: LiveObjects
) -> None:
    """The worst that addresses can do that answer: every one begins a handshake and says no more."""
    rng, started, now = random.Random(2), time.process_time(), 0.0
    with measured() as cost:
        for number in range(count):
            path, now = address(number), number / 2000
            hello = proven_hello(endpoint, path, rng, now, pad=pad)
            endpoint.receive_datagram(hello, path, now)
            endpoint.datagrams_to_send()
            endpoint.events()
            assert endpoint.pending_handshakes <= openssl_endpoint.MAX_PENDING
            assert len(live_objects.now) == endpoint.pending_handshakes
    assert len(endpoint._timers) <= 4 * openssl_endpoint.MAX_PENDING
    assert len(endpoint._spent) <= openssl_endpoint.MAX_SPENT
    assert cost.traced_most < PROVED_CAP
    assert cost.resident < RESIDENT_CAP
    while (when := endpoint.next_timer()) is not None:
        now = when
        endpoint.handle_timer(when)
        endpoint.datagrams_to_send()
    assert endpoint.pending_handshakes == 0
    assert live_objects.now == set()
    assert not endpoint._timers
    assert not endpoint._pending_hosts
    assert {event.refusal.reason for event in endpoint.events() if isinstance(event, Refused)} <= {
        Reason.HANDSHAKE_TIMEOUT
    }
    write(f"flood_with_cookies_{name}", count, cost, started, most=live_objects.most)


def test_parts_of_long_messages(endpoint: OpenSSLEndpoint, live_objects: LiveObjects) -> None:
    """After the hello come parts of messages that are said to be long: a byte of every page of room made for them."""
    rng, started = random.Random(7), time.process_time()
    count = PROVED // 4
    parts = b"".join(
        record(HANDSHAKE, b"".join(part(11, 16_384, number, at) for at in range(0, 16_384, 4096)), sequence=number)
        for number in range(2, 12)
    )
    with measured() as cost:
        for number in range(count):
            path, now = address(number), number / 2000
            endpoint.receive_datagram(proven_hello(endpoint, path, rng, now), path, now)
            endpoint.receive_datagram(parts, path, now)
            endpoint.datagrams_to_send()
            endpoint.events()
    assert len(live_objects.now) == endpoint.pending_handshakes == openssl_endpoint.MAX_PENDING
    assert cost.traced_most < PROVED_CAP
    assert cost.resident < RESIDENT_CAP
    write("flood_with_parts", count, cost, started, most=live_objects.most)


def part(kind: int, length: int, number: int, offset: int) -> bytes:
    """One byte of a handshake message."""
    return bytes([kind]) + length.to_bytes(3) + number.to_bytes(2) + offset.to_bytes(3) + b"\0\0\1x"


@pytest.mark.parametrize("pad", [4096, 16_000, 65_000])
def test_hellos_that_are_too_long_get_no_cookie(pad: int, endpoint: OpenSSLEndpoint) -> None:
    endpoint.receive_datagram(client_hello(random.Random(4), pad=pad), address(1), 0.0)
    assert endpoint.datagrams_to_send() == []
    (event,) = endpoint.events()
    assert isinstance(event, Refused)
    assert event.refusal.reason is Reason.MALFORMED


@pytest.mark.parametrize("hosts", [1, 100_000], ids=("one-host", "many-hosts"))
def test_a_paired_device_gets_in_during_a_flood(hosts: int, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    """A device that has heard nothing for 64 s begins anew, as real ones do: the flood may push its handshake out."""
    devices, times = 20 if FULL else 5, []
    network = Network(endpoint, loss=0.02 if FULL else 0.0, seed=3)
    flood = Flood(network, hosts)
    flood.run(600 / RATE)
    for device in range(devices):
        began = network.now
        for attempt in range(5):
            client = connect(number=device)
            network.add(client, host="192.0.2.1", port=1000 + 10 * device + attempt)
            flood.run(64, client)
            network.clients.clear()
            if client.connected:
                break
        times.append(network.now - began)
        flood.run(0.1)
    assert len({event.association.identity for event in network.of(Opened)}) == devices
    assert endpoint.pending_handshakes <= openssl_endpoint.MAX_PENDING
    figures.write(
        f"flood_device_{hosts}_hosts",
        {"hellos": flood.sent, "hellos_a_second": RATE, "devices": devices, "slowest_seconds": max(times)},
    )


def write(name: str, count: int, cost: Cost, started: float, **more: object) -> None:
    seconds = time.process_time() - started
    figures.write(
        name,
        {
            "addresses": count,
            "python_bytes_most": cost.traced_most,
            "python_bytes_left": cost.traced,
            "resident_bytes": cost.resident,
            "microseconds_each_traced": round(seconds / count * 1e6, 1),
            **more,
        },
    )
