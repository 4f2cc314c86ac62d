"""Damaged hellos, handshake messages and records: nothing raises, nothing stays, and nobody else is disturbed."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from tests.benchmarks import figures
from tests.dtls.client import Network, all_connected
from tests.dtls.conftest import Mode, each_mode
from tests.openssl_client import Client

from .attacker import FULL, LiveObjects, damaged, resident

type Connect = Callable[..., Client]

COUNT = 12_500 if FULL else 2_500
"""Damaged datagrams a mode; there are eight modes."""
COPIES = (40, 40, 5, 40, 20)
"""Damaged copies of a client's first hello, the one with the cookie, its last flight, a record and its close_notify.

Few of the last flight, since the first that is no well-formed message ends the handshake for all others.
"""
FIRST_HELLO, DATA = 0, 3
KIB = 1 << 10
LEFT_CAP = 256 * KIB
"""Python memory that any number of damaged datagrams may leave: the caches and limits that were empty before."""
RESIDENT_CAP = 64 << 20


class Attacked(Network):
    """One datagram of a client, the `target`th, comes damaged many times before it comes as it was.

    What answers the damaged ones is lost: a client that takes the cookie of a hello that it did not send gets nowhere.
    """

    def __init__(self, endpoint: OpenSSLEndpoint, seed: int) -> None:
        super().__init__(endpoint)
        self.rng = random.Random(seed)
        self.count = self.heard = 0
        self.target = -1
        self.victim: NetworkPath | None = None

    def inject(self, datagram: bytes, path: NetworkPath) -> None:
        if path == self.victim:
            if self.heard == self.target:
                for _ in range(COPIES[self.target]):
                    self.endpoint.receive_datagram(damaged(datagram, self.rng), path, self.now)
                    self.endpoint.datagrams_to_send()
                    self.count += 1
            self.heard += 1
        super().inject(datagram, path)


@each_mode
def test_damaged_datagrams(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect, live_objects: LiveObjects) -> None:
    network, started, number = Attacked(endpoint, seed=99), time.process_time(), 0
    witness = connect(mode, 1_000_000)
    network.add(witness, host="192.0.2.1")
    network.run(5, until=all_connected([witness]))
    assert witness.connected
    (living,) = endpoint.associations()
    objects, before = len(live_objects.now), resident()
    tracemalloc.start()
    try:
        while network.count < COUNT:
            number += 1
            visit(network, connect(mode, number), number % len(COPIES))
            witness.send(b"%d" % number)
            network.run(0.1)
            assert witness.received.pop() == b"echo:%d" % number
            network.events.clear()
            network.sent.clear()
            network.got.clear()
        network.run(100)
        network.events.clear()
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert list(endpoint.associations()) == [living]
    assert endpoint.pending_handshakes == 0
    assert endpoint.next_timer() is None
    assert not endpoint._timers
    assert not endpoint._pending_hosts
    assert list(endpoint._live.values()) == [living]
    assert len(endpoint._identities) == 1
    assert len(live_objects.now) == objects
    assert left < LEFT_CAP
    assert resident() - before < RESIDENT_CAP
    figures.write(
        f"mutation_{mode.name}",
        {
            "datagrams": network.count,
            "ssl_objects_made": live_objects.made,
            "python_bytes_left": left,
            "resident_bytes": resident() - before,
            "processor_seconds": round(time.process_time() - started, 2),
        },
    )


def visit(network: Attacked, client: Client, target: int) -> None:
    """A handshake, some data and a close_notify, one of these under damage."""
    network.target, network.heard = target, 0
    path = network.victim = network.add(client, host="198.51.100.1")
    network.run(3, until=lambda: client.connected or client.dead)
    assert client.connected or target not in (FIRST_HELLO, DATA), "before and after a handshake damage does nothing"
    if client.connected and not client.dead:
        for _ in range(2):  # a damaged datagram may hold the whole record, and the answer to that is lost
            client.send(b"x")
            network.run(0.2)
        assert client.received[-1] == b"echo:x"
        client.close()
        network.run(0.2)
    del network.clients[path]
    for association in network.endpoint.associations():
        assert association.path != path
    network.endpoint.datagrams_to_send()
