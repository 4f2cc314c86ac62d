"""The same attacks and losses at full size."""

import random
import tracemalloc
from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.events import Opened, Refused
from custom_components.lwm2m.dtls.openssl import endpoint as openssl_endpoint
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.security.refusal import Reason
from tests.openssl_client import Client

from .client import Network, all_connected
from .conftest import Mode, each_mode
from .test_endpoint_attacked import answered_hello

pytestmark = pytest.mark.long

type Connect = Callable[..., Client]


@each_mode
def test_200_of_200_get_through_30_percent_loss(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssl_endpoint, "MAX_ASSOCIATIONS_PER_IDENTITY", 1000)
    network = Network(endpoint, loss=0.3, repeat=0.1, disorder=0.2, seed=200)
    waiting = {network.add(connect(mode, number), host=f"192.0.2.{number}"): number for number in range(200)}
    rounds = 0
    while waiting:
        rounds += 1
        assert rounds < 6
        network.run(64, until=all_connected([network.clients[path] for path in waiting]))
        waiting = {path: number for path, number in waiting.items() if not network.clients[path].connected}
        for path, number in waiting.items():
            network.add(connect(mode, number), host=path.peer[0], port=path.peer[1])
    assert sum(client.connected for client in network.clients.values()) == 200
    assert {event.refusal.reason for event in network.of(Refused)} <= {Reason.HANDSHAKE_TIMEOUT}


@each_mode
def test_100_000_mutated_datagrams(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    """Whole handshakes and records, each datagram sent many times with damage before it is sent once without."""
    rng, count, number = random.Random(77), 0, 0
    network = Network(endpoint)
    inject = network.inject

    def attack(datagram: bytes, path: NetworkPath) -> None:
        nonlocal count
        for _ in range(60):
            changed = bytearray(datagram)
            for _ in range(rng.randint(1, 5)):
                match rng.randrange(3):
                    case 0:
                        changed[rng.randrange(len(changed))] = rng.randrange(256)
                    case 1:
                        changed[rng.randrange(len(changed)) :] = b""
                    case _:
                        at = rng.randrange(len(changed) + 1)
                        changed[at:at] = rng.randbytes(rng.randint(1, 20))
                if not changed:
                    break
            inject(bytes(changed), path)
            count += 1
        inject(datagram, path)

    network.inject = attack  # type: ignore[method-assign]
    while count < 13_000:
        number += 1
        client = connect(mode, number)
        path = network.add(client)
        network.run(3, until=all_connected([client]))
        if client.connected:
            client.send(b"x")
            network.run(0.2)
        del network.clients[path]
        endpoint.close_all(network.now)
        network.drain()
        network.events.clear()
    network.inject = inject  # type: ignore[method-assign]
    network.run(100)
    assert endpoint.pending_handshakes == 0
    good = connect(mode, 9999)
    network.add(good)
    network.run(5, until=all_connected([good]))
    assert good.connected


def test_a_flood_costs_a_fixed_amount_of_memory(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect()
    client.start(0)
    hello = client.out.pop()

    def storm(start: int) -> None:
        for number in range(start, start + 30_000):
            path = NetworkPath((f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 5683), None)
            endpoint.receive_datagram(hello, path, network.now)
            endpoint.receive_datagram(b"\x40\x01\0\0", path, network.now)
            endpoint.datagrams_to_send()
            endpoint.events()

    storm(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        storm(30_000)
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()
    for number in range(2000):
        path = NetworkPath((f"10.9.{number % 200}.1", 1000 + number), None)
        network.inject(answered_hello(endpoint, connect(number=number), path, network.now), path)
        assert endpoint.pending_handshakes <= openssl_endpoint.MAX_PENDING
    device = connect(number=7)
    network.add(device)
    network.run(5, until=all_connected([device]))
    assert device.connected
    assert len(network.of(Opened)) == 1
    network.clients.clear()
    network.run(100)
    assert endpoint.pending_handshakes == 0
