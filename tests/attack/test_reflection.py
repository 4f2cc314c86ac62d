"""An address that has answered no cookie never gets more bytes than came from it, however they are chosen."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.endpoint import Endpoint, make_endpoint
from tests.benchmarks import figures
from tests.dtls.conftest import MODES, AnyDevice
from tests.openssl_client import Client

from .attacker import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    FULL,
    HANDSHAKE,
    address,
    client_hello,
    damaged,
    forgeries,
    proven_hello,
    record,
)

type Connect = Callable[..., Client]

ADDRESSES = 100_000 if FULL else 1_000
MOST = 12
"""Datagrams from one address."""


@pytest.fixture(params=["openssl", "tinydtls"])
def engine(request: pytest.FixtureRequest) -> Endpoint:
    library = os.environ.get("LWM2M_LIBSSL") if request.param == "openssl" else None
    return make_endpoint(AnyDevice(), engine=request.param, library=library)


def test_no_more_bytes_out_than_in(engine: Endpoint, connect: Connect) -> None:
    rng, got, sent = random.Random(5), Counter[NetworkPath](), Counter[NetworkPath]()
    samples = list(hellos_of_clients(connect))
    stolen = [proven_hello(engine, address(number, port=9), rng, 0.0) for number in range(20)]
    now, answered = 0.0, 0
    for number in range(ADDRESSES):
        path = address(number)
        for _ in range(rng.randint(1, MOST)):
            datagram = choose(rng, samples, stolen)
            got[path] += len(datagram)
            now += rng.random() / 50
            engine.receive_datagram(datagram, path, now)
            engine.handle_timer(now)
            for out, to in engine.datagrams_to_send():
                assert to == path, "nobody else is written to"
                sent[to] += len(out)
                answered += 1
            assert sent[path] <= got[path], datagram.hex()
            engine.events()
    assert answered > ADDRESSES, "hellos were answered"
    assert engine.pending_handshakes == 0
    assert engine.next_timer() is None
    assert list(engine.associations()) == []
    figures.write(
        f"reflection_{engine.engine.split()[0]}",
        {
            "addresses": ADDRESSES,
            "bytes_in": got.total(),
            "bytes_out": sent.total(),
            "answers": answered,
            "worst_ratio": round(max(sent[path] / got[path] for path in got), 3),
        },
    )


@pytest.mark.parametrize("version", [0xFE00, 0xFE52, 0xFEFC, 0xFEFE, 0xFEFF])
def test_every_version_needs_a_cookie(version: int, engine: Endpoint) -> None:
    hello = bytearray(client_hello(random.Random(6), cookie=bytes(16)))
    hello[25:27] = version.to_bytes(2)
    engine.receive_datagram(bytes(hello), address(1), 0.0)
    assert [len(datagram) for datagram, _ in engine.datagrams_to_send()] == [44], "a HelloVerifyRequest"
    assert engine.pending_handshakes == 0


def test_what_stands_behind_a_hello_reaches_no_engine(engine: Endpoint) -> None:
    """The second makes tinydtls read far outside its buffer: the length of what follows the cookie goes below zero."""
    rng = random.Random(6)
    body = client_hello(rng, cookie=bytes(16))[25:]
    hollow = record(HANDSHAKE, b"\1" + len(body).to_bytes(3) + bytes(2) + bytes(6) + body, version=0xFEFF)
    engine.receive_datagram(client_hello(rng) + hollow, address(1), 0.0)
    assert [len(datagram) for datagram, _ in engine.datagrams_to_send()] == [44], "the first alone is answered"
    engine.receive_datagram(proven_hello(engine, address(2), rng, 0.0), address(2), 0.0)
    assert engine.pending_handshakes == 1
    change = record(CHANGE_CIPHER_SPEC, b"\1", sequence=2)
    for datagram in (hollow, change + hollow, record(ALERT, b"\1\x5a", sequence=3) + hollow):
        engine.receive_datagram(datagram, address(2), 0.0)
        engine.datagrams_to_send()
    assert engine.pending_handshakes == 1


def hellos_of_clients(connect: Connect) -> Iterator[bytes]:
    """First hellos as OpenSSL writes them, of every mode."""
    for mode in MODES:
        client = connect(mode)
        client.start(0.0)
        yield from client.out


def choose(rng: random.Random, samples: list[bytes], stolen: list[bytes]) -> bytes:
    """One datagram of an attacker who does not see what is sent to the address that it uses."""
    match rng.randrange(9):
        case 0:
            return client_hello(rng, cookie=rng.randbytes(rng.choice((0, 1, 16, 16, 32, 255))))
        case 1:
            return client_hello(rng, pad=rng.choice((1, 500, 1400, 4000, 9000, 60_000)), number=rng.randrange(3))
        case 2:
            return rng.choice(samples)
        case 3 | 4:
            return damaged(rng.choice((*samples, *stolen)), rng)
        case 5:
            return rng.choice(stolen)
        case 6:
            return fragment(rng.choice(samples), rng)
        case 7:
            return rng.choice(list(forgeries(rng, (0, 1), epochs=(0, 1))))
        case _:
            return rng.randbytes(rng.choice((0, 1, 12, 13, 14, 40, 1200))) or b"\x40\x01\0\0"


def fragment(hello: bytes, rng: random.Random) -> bytes:
    """A piece of a hello, sometimes with the rest of it behind, as two fragments in one datagram."""
    body = hello[13:]
    at = rng.randrange(1, len(body) - 12)

    def piece(start: int, end: int) -> bytes:
        part = body[:6] + start.to_bytes(3) + (end - start).to_bytes(3) + body[12 + start : 12 + end]
        return record(HANDSHAKE, part, sequence=start, version=0xFEFF)

    return piece(0, at) + (piece(at, len(body) - 12) if rng.random() < 0.5 else b"")
