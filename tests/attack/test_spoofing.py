"""Datagrams under a peer's own address that did not come from it: they disturb no association and end no handshake.

Except what nothing can help in DTLS 1.2, whose epoch 0 is not authenticated: a fatal alert or a close_notify ends a
handshake that is under way, and so does a well-formed message that the client might have sent itself. Who can send
those at the right moment, with the right number, can also lose the client's datagrams.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.events import Closed, Data, Opened, Refused
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.dtls.record import split
from custom_components.lwm2m.security.refusal import Reason
from tests.benchmarks import figures
from tests.dtls.client import Network, all_connected
from tests.dtls.conftest import Mode, each_mode
from tests.openssl_client import Client

from .attacker import ALERT, FULL, LAST_SEQUENCE, client_hello, damaged, forgeries, record

type Connect = Callable[..., Client]

NUMBERS = (0, 1, 2, 3, 7, 64, LAST_SEQUENCE) if FULL else (1, 2, LAST_SEQUENCE)
EPOCHS = (0, 1, 2, 65535) if FULL else (0, 1, 2)
ROUNDS = 200 if FULL else 10

STRAY = {Reason.MALFORMED, Reason.PLAINTEXT}
"""What is told of a datagram that is no record, or no hello."""


class Tapped(Network):
    """Keeps every datagram that went to the endpoint."""

    def __init__(self, endpoint: OpenSSLEndpoint) -> None:
        super().__init__(endpoint)
        self.heard: list[bytes] = []

    def inject(self, datagram: bytes, path: NetworkPath) -> None:
        self.heard.append(datagram)
        super().inject(datagram, path)


def spoofs(rng: random.Random, heard: list[bytes], hellos: list[bytes]) -> Iterator[bytes]:
    """Forged records of every kind, what was heard before as it was and damaged, and hellos of others."""
    yield from forgeries(rng, NUMBERS, epochs=EPOCHS)
    for datagram in heard:
        yield datagram
        for number in NUMBERS:
            yield b"".join(
                each.header[:5] + number.to_bytes(6) + each.header[11:] + each.body for each in split(datagram)
            )
        for each in split(datagram):
            if each.epoch == 1:
                yield each.header + each.body[:-1] + bytes([each.body[-1] ^ 1])
                yield each.header[:5] + (each.sequence + 1).to_bytes(6) + each.header[11:] + each.body
    for hello in hellos:
        yield hello
        yield damaged(hello, rng)


@each_mode
def test_a_live_association(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    rng, network, client = random.Random(8), Tapped(endpoint), connect(mode)
    path = network.add(client)
    network.run(5, until=all_connected([client]))
    stranger = connect(mode, 2)
    stranger.start(0.0)
    hellos = [*stranger.out, client_hello(rng), client_hello(rng, cookie=rng.randbytes(16))]
    count = 0
    for number in range(ROUNDS):
        client.send(b"%d" % number)
        network.run(0.1)
        assert client.received.pop() == b"echo:%d" % number
        heard, network.heard = network.heard[-10:], []
        taken = len(network.of(Data))
        for spoof in spoofs(rng, heard, hellos):
            network.inject(spoof, path)
            count += 1
        network.heard = heard
        # What the spoofed hellos were answered with is no business of a client that has its association.
        network._queue.clear()
        assert len(network.of(Data)) == taken
    assert network.of(Closed) == []
    assert len(network.of(Opened)) == 1
    assert {event.refusal.reason for event in network.of(Refused)} <= STRAY, "damaged hellos are told"
    assert [association.path for association in endpoint.associations()] == [path]
    assert endpoint.pending_handshakes == 0
    figures.write(f"spoofing_{mode.name}", {"spoofed": count, "kept": 1})


def is_inherent(datagram: bytes) -> bool:
    """Whether it ends a handshake in any DTLS 1.2 implementation that follows the standard."""
    return any(
        each.epoch == 0
        and each.content_type == ALERT
        and len(each.body) == 2
        and (each.body[0] == 2 or not each.body[1])
        for each in split(datagram)
    )


@each_mode
def test_a_pending_handshake(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    """Each spoof comes when our first flight is on its way; the handshake goes on without a repeated flight."""
    rng, count = random.Random(9), 0
    stranger = connect(mode, 2)
    stranger.start(0.0)
    ended = []
    for spoof in (*forgeries(rng, NUMBERS, epochs=EPOCHS), *stranger.out, client_hello(rng)):
        if is_inherent(spoof):
            continue
        network, client = Network(endpoint), connect(mode)
        network.now += 100 * count
        count += 1
        path = network.add(client)
        network.run(until=lambda: endpoint.pending_handshakes == 1)
        network.inject(spoof, path)
        network.run(0.5, until=all_connected([client]))
        if not client.connected:
            ended.append(spoof.hex()[:60])
        endpoint.close_all(network.now)
        endpoint.events()
        endpoint.datagrams_to_send()
    assert ended == []


@pytest.mark.parametrize("alert", [b"\2\x28", b"\1\0"], ids=("fatal", "close_notify"))
def test_an_alert_in_epoch_0_ends_a_pending_handshake(
    alert: bytes, endpoint: OpenSSLEndpoint, connect: Connect
) -> None:
    """Inherent: a device that gives up says so in the same way. It is told apart from silence, and nothing stays."""
    network, client = Network(endpoint), connect()
    path = network.add(client)
    network.run(until=lambda: endpoint.pending_handshakes == 1)
    network.inject(record(ALERT, alert, sequence=9), path)
    assert [event.refusal.reason for event in network.of(Refused)] == [Reason.REJECTED_BY_DEVICE]
    assert endpoint.pending_handshakes == 0
    network._queue.clear()
    again = connect()
    network.clients[path] = again
    again.start(network.now)
    network.run(1, until=all_connected([again]))
    assert again.connected, "the next one goes through"
