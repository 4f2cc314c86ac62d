"""Handshakes over a network that loses three datagrams in ten each way, doubles and reorders.

RFC 6347 section 4.2.4.1: a flight is repeated after 1, 2, 4, … seconds, so 1, 3, 7, 15, 31 and 63 s after it was sent.
Our side gives an attempt 60 s, and a client that was not done after 64 s begins anew, as devices do. An exchange of two
flights survives with 0.7 x 0.7 and has six tries in 60 s, so each of the three exchanges fails with 0.51**6 = 1.8 %,
and an attempt with 5.4 % at most, since our side repeats its flights too: four attempts are enough for all but one
handshake in 100,000.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

from custom_components.lwm2m.dtls.events import Opened, Refused
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.security.refusal import Reason
from tests.benchmarks import figures
from tests.dtls.client import Network, all_connected
from tests.dtls.conftest import MODES, Mode, each_mode
from tests.openssl_client import Client

from .attacker import FULL, LiveObjects

type Connect = Callable[..., Client]

COUNT = 1000 if FULL else 200
ATTEMPT = 64.0
MOST_ATTEMPTS = 4


@each_mode
def test_every_handshake_completes(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect, live_objects: LiveObjects
) -> None:
    network, started = (
        Network(endpoint, loss=0.3, repeat=0.2, disorder=0.3, seed=42 + MODES.index(mode)),
        time.process_time(),
    )
    took, attempts = [], []
    for number in range(COUNT):
        began = network.now
        client, tries = complete(network, partial(connect, mode, number), f"192.0.2.{number}")
        took.append(network.now - began)
        attempts.append(tries)
        talk(network, client)
        network.clients.clear()
        endpoint.close_all(network.now)
        network.drain()
    assert len({event.association.path.peer[0] for event in network.of(Opened)}) == COUNT
    assert attempts.count(1) >= 0.85 * COUNT
    assert sorted(took)[int(0.9 * COUNT) - 1] < 60
    assert {event.refusal.reason for event in network.of(Refused)} <= {Reason.HANDSHAKE_TIMEOUT}
    assert live_objects.made >= COUNT
    assert live_objects.now == set()
    assert endpoint.pending_handshakes == 0
    figures.write(
        f"loss_{mode.name}",
        {
            "handshakes": COUNT,
            "in_first_attempt": attempts.count(1),
            "most_attempts": max(attempts),
            "median_seconds": round(median(took), 2),
            "slowest_seconds": round(max(took), 2),
            "processor_seconds": round(time.process_time() - started, 2),
        },
    )


def complete(network: Network, connect: Callable[[], Client], host: str) -> tuple[Client, int]:
    """A client that is connected, and at which attempt it was."""
    for attempt in range(1, MOST_ATTEMPTS + 1):
        client = connect()
        path = network.add(client, host=host, port=5683 + attempt)
        network.run(ATTEMPT, until=all_connected([client]))
        if client.connected:
            assert path in {association.path for association in network.endpoint.associations()}
            return client, attempt
        network.clients.clear()
    raise AssertionError(f"not one of {MOST_ATTEMPTS} attempts came to its end")


def talk(network: Network, client: Client) -> None:
    """Data goes both ways; a message is said again until it is answered, as CoAP does."""
    for _ in range(40):
        client.send(b"hello")
        network.run(1)
        if client.received:
            break
    assert client.received[0] == b"echo:hello"
