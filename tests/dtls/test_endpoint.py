"""The OpenSSL endpoint in made-up time: handshakes, associations, timers, and what attackers can and cannot do."""

import itertools
from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls.association import AssociationClosedError, NetworkPath, RecordTooLargeError
from custom_components.lwm2m.dtls.endpoint import make_endpoint
from custom_components.lwm2m.dtls.events import Closed, Data, Opened, Refused
from custom_components.lwm2m.dtls.openssl import endpoint as openssl_endpoint, ffi as openssl_ffi
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.dtls.record import split
from custom_components.lwm2m.dtls.sealed import SealedAssociation
from custom_components.lwm2m.security.credential import SecurityMode
from custom_components.lwm2m.security.identity import PskIdentity
from custom_components.lwm2m.security.policy import Policy
from custom_components.lwm2m.security.refusal import Reason
from tests.interop.pki import ENDPOINT, Pki

from .client import Client, Network, all_connected
from .conftest import KEY, MODES, AnyDevice, Mode, each_mode

type Connect = Callable[..., Client]

KEPT = MODES[2]


def reasons(network: Network) -> list[Reason]:
    return [event.refusal.reason for event in network.of(Refused)]


def open_one(network: Network, client: Client, **where: object) -> NetworkPath:
    path = network.add(client, **where)  # type: ignore[arg-type]
    network.run(until=lambda: client.connected and any(a.path == path for a in network.endpoint.associations()))
    return path


# --- the good way ---------------------------------------------------------------------------------------------------


@each_mode
def test_opens_talks_and_closes(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode)
    path = open_one(network, client)
    (opened,) = network.of(Opened)
    association = opened.association
    assert association.identity.mode is {"psk": SecurityMode.PSK, "rpk": SecurityMode.RPK}.get(
        mode.kind, SecurityMode.CERTIFICATE
    )
    assert association.path == path
    assert association.suite.openssl == mode.cipher
    assert isinstance(association, SealedAssociation) is ("no-etm" not in mode.name)
    for number in range(5):
        client.send(b"message %d" % number)
        network.run(1)
    assert client.received == [b"echo:message %d" % number for number in range(5)]
    assert [event.data for event in network.of(Data)] == [b"message %d" % number for number in range(5)]
    assert association.last_received > association.opened_at
    client.close()
    network.run(1)
    (closed,) = network.of(Closed)
    assert closed.association is association
    assert closed.detail == "close_notify"
    assert list(endpoint.associations()) == []
    assert endpoint.pending_handshakes == 0
    assert endpoint.next_timer() is None
    with pytest.raises(AssociationClosedError):
        endpoint.send(association, b"x", network.now)
    endpoint.close(association, network.now)
    assert endpoint.datagrams_to_send() == []


@each_mode
def test_our_close_reaches_the_client(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode)
    open_one(network, client)
    endpoint.close_all(network.now)
    network.run(1)
    assert client.dead
    assert network.of(Closed) == []
    assert list(endpoint.associations()) == []


@each_mode
def test_a_kept_or_sealed_association_takes_only_what_fits(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect
) -> None:
    network, client = Network(endpoint), connect(mode)
    open_one(network, client)
    association = next(endpoint.associations())
    with pytest.raises(RecordTooLargeError) as error:
        endpoint.send(association, bytes(association.max_payload + 1), network.now)
    assert error.value.limit == association.max_payload == 16384


def test_certificates_name_their_holder(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network = Network(endpoint)
    open_one(network, connect(MODES[5]))
    identity = network.of(Opened)[0].association.identity
    assert getattr(identity, "common_name", None) == ENDPOINT
    assert getattr(identity, "trusted", None) is True


@each_mode
@pytest.mark.parametrize("seed", [1, 2])
def test_every_client_gets_through_a_bad_network(
    mode: Mode, seed: int, endpoint: OpenSSLEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 % loss each way, repeats and disorder; a client that hears nothing for a minute begins anew, as devices do."""
    monkeypatch.setattr(openssl_endpoint, "MAX_ASSOCIATIONS_PER_IDENTITY", 1000)
    network = Network(endpoint, loss=0.3, repeat=0.1, disorder=0.2, seed=seed)
    count = 25
    waiting = {network.add(connect(mode, number), host=f"192.0.2.{number}"): number for number in range(count)}
    attempts = count
    while waiting:
        clients = [network.clients[path] for path in waiting]
        network.run(64, until=all_connected(clients))
        waiting = {path: number for path, number in waiting.items() if not network.clients[path].connected}
        attempts += len(waiting)
        for path, number in waiting.items():
            network.add(connect(mode, number), host=path.peer[0], port=path.peer[1])
        assert attempts < 2 * count
    connected = [client for client in network.clients.values() if client.connected]
    assert len(connected) == count
    for client in connected:
        client.send(b"still here")
    for _ in range(40):
        for client in connected:
            if not client.received:
                client.send(b"still here")
        network.run(1)
    assert all(client.received for client in connected)
    assert set(reasons(network)) <= {Reason.HANDSHAKE_TIMEOUT}


@each_mode
@pytest.mark.parametrize("lost", range(5))
def test_any_one_flight_may_be_lost(mode: Mode, lost: int, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode)
    dropped, carry = itertools.count(), network._carry

    def lossy(datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        if next(dropped) != lost:
            carry(datagram, path, to_server=to_server)

    network._carry = lossy  # type: ignore[method-assign]
    open_one(network, client)
    client.send(b"hello")
    network.run(1)
    assert client.received == [b"echo:hello"]
    assert reasons(network) == []
    assert len(network.of(Opened)) == 1
    assert network.now < 1000 + 4


@pytest.mark.parametrize("mode", [MODES[0], MODES[1], KEPT], ids=lambda mode: mode.name)
def test_data_that_overtakes_the_finished_is_not_lost(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    """A record of application data before its handshake is done waits; a forged one is dropped."""
    network, client = Network(endpoint), connect(mode)
    path = network.add(client)
    flights: list[bytes] = []
    carry = network._carry

    def keep_last(datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        if to_server and any(record.epoch == 1 for record in split(datagram)):
            flights.append(datagram)
        else:
            carry(datagram, path, to_server=to_server)

    network._carry = keep_last  # type: ignore[method-assign]
    network.run(0.5)
    records = [record for datagram in flights for record in split(datagram)]
    finished = [record.whole for record in records if record.epoch == 1]
    clear = [record.whole for record in records if record.epoch == 0]
    network.inject(finished[0], path)
    network.inject(b"\x17" + finished[0][1:], path)
    assert network.of(Opened) == []
    for record in clear:
        network.inject(record, path)
    assert len(network.of(Opened)) == 1
    assert network.of(Data) == []


def test_small_links_and_small_records(pki: Pki, credentials: AnyDevice) -> None:
    made = make_endpoint(
        credentials, Policy(), server_identity=pki.server, trust_anchors=[pki.der("ca")], engine="openssl", mtu=576
    )
    network = Network(made)
    client = Client(
        "ECDHE-ECDSA-AES128-CCM8", key=pki.key("client-chain"), chain=pki.pem("client-chain"), mtu=528, fragment=2
    )
    sizes: list[int] = []
    carry = network._carry

    def measure(datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        sizes.append(len(datagram))
        carry(datagram, path, to_server=to_server)

    network._carry = measure  # type: ignore[method-assign]
    open_one(network, client)
    association = next(made.associations())
    assert max(sizes) <= 528
    assert association.max_payload == 1024
    made.send(association, bytes(1024), network.now)
    with pytest.raises(RecordTooLargeError):
        made.send(association, bytes(1025), network.now)
    network.run(1)
    assert client.received == [bytes(1024)]


def test_a_link_that_is_too_small_is_refused(credentials: AnyDevice) -> None:
    with pytest.raises(ValueError, match="576"):
        make_endpoint(credentials, engine="openssl", mtu=300)


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES[:3], ids=lambda mode: mode.name)
def test_a_wrong_key_is_told_once_and_the_right_one_goes_through(
    mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect, credentials: AnyDevice
) -> None:
    network = Network(endpoint)
    path = network.add(connect(mode, key=b"not the same key"))
    network.run(1)
    network.run(200, until=lambda: endpoint.next_timer() is None)
    (refused,) = network.of(Refused)
    assert refused.refusal.reason is Reason.WRONG_KEY
    assert refused.refusal.identity == "dev1"
    assert refused.refusal.identity_bytes == b"dev1"
    assert refused.path == path
    assert endpoint.pending_handshakes == 0
    open_one(network, connect(mode))
    assert network.of(Opened)[0].association.identity == PskIdentity(b"dev1")


@pytest.mark.parametrize("mode", MODES[:3], ids=lambda mode: mode.name)
def test_a_forged_finished_does_not_stop_the_real_one(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode)
    path = network.add(client)
    carry = network._carry

    def forge(datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        for record in split(datagram):
            if to_server and record.epoch == 1:
                network.inject(record.header + bytes(len(record.body)), path)
        carry(datagram, path, to_server=to_server)

    network._carry = forge  # type: ignore[method-assign]
    network.run(until=lambda: client.connected)
    assert len(network.of(Opened)) == 1
    client.send(b"x")
    network.run(1)
    assert client.received == [b"echo:x"]
    assert network.of(Opened)[0].association.path == path


@pytest.mark.parametrize(
    ("identity", "reason"),
    [(b"nobody", Reason.UNKNOWN_IDENTITY), (b"", Reason.UNKNOWN_IDENTITY), (b"n" * 128, Reason.UNKNOWN_IDENTITY)],
)
def test_an_unknown_identity_is_reported_as_it_was_sent(
    identity: bytes, reason: Reason, endpoint: OpenSSLEndpoint
) -> None:
    network = Network(endpoint)
    network.add(Client("PSK-AES128-CCM8", psk=(identity, KEY)))
    network.run(5)
    (refused,) = network.of(Refused)
    assert refused.refusal.reason is reason
    assert refused.refusal.identity_bytes == identity
    assert len(refused.refusal.identity or "") <= 64
    assert endpoint.pending_handshakes == 0


def test_a_lookup_that_raises_refuses_and_tells_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(AnyDevice):
        def psk(self, identity: bytes) -> bytes | None:
            raise RuntimeError("the secret is 1234")

    network = Network(make_endpoint(Broken(), engine="openssl"))
    network.add(Client("PSK-AES128-CCM8", psk=(b"dev1", KEY)))
    network.run(2)
    assert network.of(Opened) == []
    assert reasons(network) == [Reason.UNKNOWN_IDENTITY]
    assert "RuntimeError" in caplog.text
    assert "1234" not in caplog.text


def test_a_certificate_lookup_that_raises_refuses(pki: Pki, connect: Connect) -> None:
    class Broken(AnyDevice):
        def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
            raise RuntimeError

    network = Network(make_endpoint(Broken(), trust_anchors=[pki.der("ca")], engine="openssl"))
    network.add(connect(MODES[5]))
    network.run(2)
    assert network.of(Opened) == []
    assert reasons(network) == [Reason.UNTRUSTED_CERTIFICATE]


def test_trust_anchors_can_change(endpoint: OpenSSLEndpoint, connect: Connect, pki: Pki) -> None:
    network = Network(endpoint)
    endpoint.set_trust_anchors([])
    network.add(connect(MODES[5]))
    network.run(2)
    assert reasons(network) == [Reason.UNTRUSTED_CERTIFICATE]
    endpoint.set_trust_anchors([pki.der("ca")])
    open_one(network, connect(MODES[5]))
    assert len(network.of(Opened)) == 1


def test_a_refused_certificate_names_its_holder(pki: Pki, connect: Connect) -> None:
    class Nobody(AnyDevice):
        def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
            assert names == (ENDPOINT,)
            return False

    network = Network(make_endpoint(Nobody(), trust_anchors=[pki.der("ca")], engine="openssl"))
    network.add(connect(MODES[5]))
    network.run(2)
    (refused,) = network.of(Refused)
    assert refused.refusal.reason is Reason.UNTRUSTED_CERTIFICATE
    assert refused.refusal.identity == ENDPOINT


# --- silence and refusals -------------------------------------------------------------------------------------------


def test_a_client_that_falls_silent_is_told_of_after_a_minute(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect()
    path = network.add(client)
    network.run(until=lambda: endpoint.pending_handshakes == 1)
    began = network.now
    del network.clients[path]
    network.run(200)
    (refused,) = network.of(Refused)
    assert refused.refusal.reason is Reason.HANDSHAKE_TIMEOUT
    assert refused.refusal.offered == ("TLS_PSK_WITH_AES_128_CCM_8",)
    assert endpoint.pending_handshakes == 0
    assert endpoint.next_timer() is None
    assert network.now - began >= 60


def test_a_flight_is_repeated_after_1_2_4_8_and_16_seconds(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect()
    path = network.add(client)
    network.run(until=lambda: endpoint.pending_handshakes == 1)
    del network.clients[path]
    began, times, sequences = network.now, [], list[int]()
    while (when := endpoint.next_timer()) is not None:
        endpoint.handle_timer(when)
        out = endpoint.datagrams_to_send()
        sequences += [record.sequence for datagram, _ in out for record in split(datagram)]
        if out:
            times.append(round(when - began))
    assert times == [1, 3, 7, 15, 31]
    assert len(set(sequences)) == len(sequences), "a repeated record has a new sequence number"


def test_a_device_that_gives_up_is_named_by_its_alert(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network = Network(endpoint)
    client = connect()
    path = network.add(client)
    network.run(until=lambda: endpoint.pending_handshakes == 1)
    network.inject(b"\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\2\2\x30", path)
    (refused,) = network.of(Refused)
    assert refused.refusal.reason is Reason.REJECTED_BY_DEVICE
    assert "unknown_ca" in refused.refusal.detail
    assert "does not trust" in refused.refusal.detail


def test_a_refused_offer_is_told_once_however_often_it_comes(endpoint: OpenSSLEndpoint) -> None:
    network = Network(endpoint)
    client = Client("PSK-AES128-GCM-SHA256", psk=(b"dev1", KEY))
    path = network.add(client)
    network.run(2)
    assert client.dead
    assert reasons(network) == [Reason.NO_PERMITTED_SUITE]
    hello = client.flight[0]
    for _ in range(10):
        network.inject(hello, path)
    assert reasons(network) == [Reason.NO_PERMITTED_SUITE]
    assert endpoint.pending_handshakes == 0


def test_refusals_of_one_address_are_limited(endpoint: OpenSSLEndpoint) -> None:
    network = Network(endpoint)
    for number in range(100):
        network.add(Client("PSK-AES128-GCM-SHA256", psk=(b"dev1", KEY)), port=5000 + number)
        network.run(0.1)
    assert 30 < len(reasons(network)) < 60


def test_what_is_no_dtls_is_told_seldom_and_answered_never(endpoint: OpenSSLEndpoint) -> None:
    network = Network(endpoint)
    for number in range(200):
        path = NetworkPath(("192.0.2.7", number), None)
        network.inject(b"\x40\x01\x12\x34", path)
        network.inject(b"\x00\x01\x12\x34", path)
        network.inject(b"", path)
        network.inject(b"\x48\x01\x12\x34", path)
    assert reasons(network).count(Reason.PLAINTEXT) == 4
    assert reasons(network).count(Reason.MALFORMED) == 4
    assert network.sent == {}
    for host in range(2000):
        network.inject(b"nonsense", NetworkPath((f"host{host}", 1), None))
    assert len(reasons(network)) < 50


def test_a_fragmented_hello_is_refused_and_leaves_nothing(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network = Network(endpoint)
    hello = connect()
    hello.start(0)
    message = split(hello.out[0])[0].body
    for start, end in ((0, 40), (40, len(message) - 12)):
        part = message[:6] + start.to_bytes(3) + (end - start).to_bytes(3) + message[12 + start : 12 + end]
        network.inject(b"\x16\xfe\xff" + bytes(8) + len(part).to_bytes(2) + part, NetworkPath(("192.0.2.1", 1), None))
    assert set(reasons(network)) == {Reason.MALFORMED}
    assert "fragments" in network.of(Refused)[0].refusal.detail
    assert network.sent == {}
    assert endpoint.pending_handshakes == 0


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
