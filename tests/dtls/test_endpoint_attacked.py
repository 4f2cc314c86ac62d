"""The OpenSSL endpoint in made-up time: what attackers and duplicates can and cannot do, and the bounds."""

from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls.association import AssociationClosedError, NetworkPath
from custom_components.lwm2m.dtls.endpoint import make_endpoint
from custom_components.lwm2m.dtls.events import Closed, Data, Opened
from custom_components.lwm2m.dtls.openssl import endpoint as openssl_endpoint, ffi as openssl_ffi
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.dtls.record import split
from custom_components.lwm2m.dtls.sealed import SealedAssociation
from tests.interop.pki import Pki
from tests.openssl_client import Client

from .client import Network, open_one, reasons
from .conftest import KEY, MODES, AnyDevice, Mode, each_mode

type Connect = Callable[..., Client]

KEPT = MODES[2]


# --- a live association under attack and duplication ----------------------------------------------------------------


@each_mode
def test_spoofed_datagrams_do_not_disturb_a_live_association(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect
) -> None:
    network, client = Network(endpoint), connect(mode)
    path = open_one(network, client)
    stranger = connect(mode, 2)
    stranger.start(0)
    alert = b"\2\x28"
    for spoofed in (
        stranger.out[0],
        b"\x15\xfe\xfd\0\0" + bytes(6) + b"\0\2" + alert,
        b"\x15\xfe\xfd\0\1" + bytes(6) + b"\0\2" + alert,
        b"\x15\xfe\xfd\0\1\0\0\0\0\0\x09\0\x1a" + bytes(26),
        b"\x17\xfe\xfd\0\1\0\0\0\0\0\x09\0\x20" + bytes(32),
        b"\x14\xfe\xfd\0\0" + bytes(6) + b"\0\1\1",
        b"\x16\xfe\xfd\0\2" + bytes(6) + b"\0\1\1",
    ):
        network.inject(spoofed, path)
    client.send(b"alive")
    network.run(1)
    assert client.received == [b"echo:alive"]
    assert network.of(Closed) == []
    assert reasons(network) == []
    assert len(list(endpoint.associations())) == 1


@each_mode
def test_a_replayed_record_is_taken_once(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode)
    path = open_one(network, client)
    client.send(b"once")
    record = client.out[-1]
    network.run(1)
    for _ in range(3):
        network.inject(record, path)
    changed = bytearray(record)
    changed[-1] ^= 1
    network.inject(bytes(changed), path)
    assert [event.data for event in network.of(Data)] == [b"once"]


@each_mode
def test_late_duplicates_of_a_handshake_start_nothing(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode)
    heard: list[bytes] = []
    inject = network.inject

    def listen(datagram: bytes, path: NetworkPath) -> None:
        heard.append(datagram)
        inject(datagram, path)

    network.inject = listen  # type: ignore[method-assign]
    path = open_one(network, client)
    handshake = list(heard)
    for datagram in handshake:
        inject(datagram, path)
    client.send(b"alive")
    network.run(1)
    client.close()
    network.run(1)
    for datagram in handshake:
        inject(datagram, path)
    assert client.received == [b"echo:alive"]
    assert endpoint.pending_handshakes == 0
    assert len(network.of(Opened)) == 1
    assert reasons(network) == []


@each_mode
def test_a_new_handshake_replaces_the_old_association_only_when_it_is_done(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect
) -> None:
    network, old, new = Network(endpoint), connect(mode), connect(mode)
    path = open_one(network, old)
    first = network.of(Opened)[0].association
    network.add(new, port=path.peer[1])
    network.run(until=lambda: endpoint.pending_handshakes == 1)
    network.clients[path] = old
    old.send(b"while it runs")
    network.run(0.5)
    assert old.received == [b"echo:while it runs"]
    network.clients[path] = new
    network.run(5, until=lambda: new.connected)
    (closed,) = network.of(Closed)
    assert closed.association is first
    assert closed.detail == "replaced"
    assert [type(event) for event in network.events if not isinstance(event, Data)] == [Opened, Closed, Opened]
    new.send(b"new")
    network.run(1)
    assert new.received == [b"echo:new"]


def turned(association: object) -> SealedAssociation:
    """The peer's side of an association, sealing what its client would."""
    assert isinstance(association, SealedAssociation)
    keys = (association._send, association._receive)
    return SealedAssociation(association.path, association.identity, association.suite, 0.0, keys=keys, next_sequence=9)


@pytest.mark.parametrize("mode", [MODES[0], MODES[1], MODES[4]], ids=lambda mode: mode.name)
def test_renegotiation_is_declined_and_the_association_goes_on(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect
) -> None:
    network, client = Network(endpoint), connect(mode)
    path = open_one(network, client)
    peer = turned(next(endpoint.associations()))
    endpoint.receive_datagram(peer.seal(22, b"\1" + bytes(40)), path, network.now)
    ((answer, _),) = endpoint.datagrams_to_send()
    (record,) = split(answer)
    assert record.content_type == 21
    assert peer.open_record(record) == b"\1\x64"
    endpoint.send(next(endpoint.associations()), b"still here", network.now)
    network.run(0.5)
    assert client.received == [b"still here"]


@each_mode
def test_a_client_that_insists_on_renegotiation_ends_its_association_itself(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect
) -> None:
    network, client = Network(endpoint), connect(mode)
    open_one(network, client)
    client.renegotiate()
    network.run(0.5)
    (closed,) = network.of(Closed)
    assert "handshake" in closed.detail
    assert endpoint.pending_handshakes == 0


@each_mode
def test_the_final_flight_comes_again_for_a_repeated_finished(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect
) -> None:
    network, client = Network(endpoint), connect(mode)
    finals: list[bytes] = []
    carry = network._carry

    def swallow(datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        if not to_server and any(record.epoch == 1 for record in split(datagram)):
            finals.append(datagram)
            if len(finals) < 3:
                return
        carry(datagram, path, to_server=to_server)

    network._carry = swallow  # type: ignore[method-assign]
    open_one(network, client)
    assert len(finals) == 3
    assert len(network.of(Opened)) == 1


def test_an_unclean_alert_ends_an_association(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect()
    path = open_one(network, client)
    peer = turned(next(endpoint.associations()))
    network.inject(peer.seal(21, b"\1\x5a"), path)
    network.inject(peer.seal(21, b"\2"), path)
    network.inject(peer.seal(22, b"\0\0\0\0"), path)
    assert network.of(Closed) == []
    network.inject(peer.seal(21, b"\2\x14"), path)
    assert [event.detail for event in network.of(Closed)] == ["bad_record_mac"]


def test_sequence_numbers_end_rather_than_repeat(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect()
    open_one(network, client)
    association = next(endpoint.associations())
    assert isinstance(association, SealedAssociation)
    numbers = []
    for _ in range(20):
        endpoint.send(association, b"x", network.now)
        numbers += [split(datagram)[0].sequence for datagram, _ in endpoint.datagrams_to_send()]
    assert numbers == list(range(1, 21)), "0 was the Finished"
    association._next = (1 << 48) - 1
    endpoint.send(association, b"x", network.now)
    with pytest.raises(AssociationClosedError):
        endpoint.send(association, b"x", network.now)
    endpoint.datagrams_to_send()
    endpoint.close(association, network.now)
    assert endpoint.datagrams_to_send() == []


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_one_identity_holds_a_few_associations_and_no_more(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network = Network(endpoint)
    for _ in range(openssl_endpoint.MAX_ASSOCIATIONS_PER_IDENTITY + 2):
        open_one(network, connect())
        network.run(0.5)
    assert len(list(endpoint.associations())) == openssl_endpoint.MAX_ASSOCIATIONS_PER_IDENTITY
    closed = network.of(Closed)
    assert [event.association for event in closed] == [event.association for event in network.of(Opened)[:2]]
    assert {event.detail for event in closed} == {"too many associations"}


def test_all_associations_are_bounded(
    endpoint: OpenSSLEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssl_endpoint, "MAX_ASSOCIATIONS", 3)
    network = Network(endpoint)
    for number in range(5):
        open_one(network, connect(number=number))
        network.run(0.5)
    assert len(list(endpoint.associations())) == 3
    assert [event.detail for event in network.of(Closed)] == ["too many associations"] * 2


def test_a_flood_of_hellos_without_cookies_leaves_no_state(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network = Network(endpoint)
    client = connect()
    client.start(0)
    for number in range(5000):
        path = NetworkPath((f"198.51.{number % 250}.{number // 250}", 1 + number), None)
        network.inject(client.out[0], path)
        assert network.sent[path] <= network.got[path]
    assert endpoint.pending_handshakes == 0
    assert endpoint.next_timer() is None
    assert len(endpoint._spent) == 0
    assert network.events == []


def answered_hello(endpoint: OpenSSLEndpoint, client: Client, path: NetworkPath, now: float) -> bytes:
    """The second hello of a client, with its cookie."""
    client.start(now)
    endpoint.receive_datagram(client.out.pop(), path, now)
    (request, _) = endpoint.datagrams_to_send().pop()
    client.receive(request, now)
    return client.out.pop()


def test_a_flood_with_cookies_is_capped_and_a_device_still_gets_in(
    endpoint: OpenSSLEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssl_endpoint, "MAX_PENDING", 20)
    monkeypatch.setattr(openssl_endpoint, "MAX_PENDING_PER_HOST", 12)
    monkeypatch.setattr(openssl_endpoint, "MAX_SPENT", 30)
    network = Network(endpoint)
    for number in range(60):
        path = NetworkPath((f"198.51.100.{number % 6}", 1000 + number), None)
        network.inject(answered_hello(endpoint, connect(), path, network.now), path)
        assert endpoint.pending_handshakes <= 20
        assert max(endpoint._pending_hosts.values()) <= 12
    assert endpoint.pending_handshakes == 20
    for number in range(40):
        path = NetworkPath(("198.51.100.99", 1000 + number), None)
        network.inject(answered_hello(endpoint, connect(), path, network.now), path)
    assert endpoint._pending_hosts["198.51.100.99"] == 12
    assert len(endpoint._spent) <= 30
    open_one(network, connect())
    assert len(network.of(Opened)) == 1
    assert len(endpoint._timers) < 200
    network.run(200)
    assert endpoint.pending_handshakes == 0
    assert endpoint._pending_hosts == {}


def test_the_timer_heap_does_not_grow_with_finished_handshakes(
    endpoint: OpenSSLEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssl_endpoint, "MAX_PENDING", 2)
    network = Network(endpoint)
    for number in range(30):
        open_one(network, connect(number=number))
    assert len(endpoint._timers) <= 9


def test_no_ssl_object_is_left(pki: Pki, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts what is made and what is freed, over good ends and bad ones."""
    made = make_endpoint(AnyDevice(), trust_anchors=[pki.der("ca")], engine="openssl")
    assert isinstance(made, OpenSSLEndpoint)
    alive: set[int] = set()
    ffi = openssl_ffi.ffi

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(ffi, name)

        def gc(self, pointer: object, destructor: Callable[[object], None]) -> object:
            key = int(ffi.cast("uintptr_t", pointer))
            alive.add(key)

            def free(pointer: object) -> None:
                alive.discard(key)
                destructor(pointer)

            return ffi.gc(pointer, free)

    monkeypatch.setattr("custom_components.lwm2m.dtls.openssl.handshake.ffi", Counting())
    network = Network(made)
    for number, mode in enumerate(MODES):
        open_one(network, connect(mode, number))
    assert len(alive) == 2, "only those that stay in OpenSSL"
    network.add(connect(MODES[0], 50, key=b"wrong"))
    network.add(Client("PSK-AES128-CCM8", psk=(b"nobody", KEY)))
    network.add(connect(MODES[0], 51), port=777)
    network.run(0.015)
    network.add(connect(MODES[0], 51), port=777)
    network.run(0.035)
    for path in list(network.clients):
        network.clients[path].close()
    network.run(100)
    assert len(network.of(Opened)) >= len(MODES)
    made.close_all(network.now)
    assert alive == set()
    assert made.pending_handshakes == 0


@each_mode
def test_mutated_handshakes_and_records_do_no_harm(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    """Damages datagrams on their way; nothing raises, and afterwards nothing is left and a good client gets in."""
    network = Network(endpoint, seed=5)
    carry = network._carry

    def damage(datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        if to_server and network.random.random() < 0.5:
            changed = bytearray(datagram)
            for _ in range(network.random.randint(1, 3)):
                changed[network.random.randrange(len(changed))] ^= 1 << network.random.randrange(8)
            datagram = bytes(changed[: network.random.randint(len(changed) // 2, len(changed))])
        carry(datagram, path, to_server=to_server)

    network._carry = damage  # type: ignore[method-assign]
    for number in range(30):
        client = connect(mode, number)
        network.add(client)
        network.run(3)
        if client.connected and not client.dead:
            client.send(b"x")
            network.run(1)
    network._carry = carry  # type: ignore[method-assign]
    network.clients.clear()
    network.run(100)
    assert endpoint.pending_handshakes == 0
    endpoint.close_all(network.now)
    good = connect(mode, 99)
    network.add(good)
    network.run(5, until=lambda: good.connected)
    assert good.connected


def test_the_first_record_has_the_number_of_the_hello(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    """RFC 6347 section 4.2.1; and a hello that counts from the very end takes no number away."""
    for number in (7, (1 << 48) - 1):
        path = NetworkPath(("192.0.2.9", number % 1000 + 1), None)
        hello = answered_hello(endpoint, connect(MODES[0]), path, 0.0)
        endpoint.receive_datagram(hello[:5] + number.to_bytes(6) + hello[11:], path, 0.0)
        records = [record for datagram, _ in endpoint.datagrams_to_send() for record in split(datagram)]
        expected = number if number == 7 else 0
        assert [record.sequence for record in records] == list(range(expected, expected + len(records)))
        assert records
