"""The OpenSSL endpoint in made-up time: handshakes, associations, timers, refusals."""

import itertools
from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls.association import AssociationClosedError, NetworkPath, RecordTooLargeError
from custom_components.lwm2m.dtls.endpoint import EngineUnavailableError, make_endpoint
from custom_components.lwm2m.dtls.events import Closed, Data, Opened, Refused
from custom_components.lwm2m.dtls.openssl import endpoint as openssl_endpoint
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.dtls.record import split
from custom_components.lwm2m.dtls.sealed import SealedAssociation
from custom_components.lwm2m.security.credential import SecurityMode
from custom_components.lwm2m.security.identity import PskIdentity
from custom_components.lwm2m.security.policy import Policy
from custom_components.lwm2m.security.refusal import Reason
from tests.interop.pki import ENDPOINT, Pki
from tests.openssl_client import Client

from .client import Network, all_connected, open_one, reasons
from .conftest import KEY, MODES, AnyDevice, Mode, each_mode

type Connect = Callable[..., Client]

KEPT = MODES[2]


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


@pytest.mark.parametrize("mode", [MODES[5], MODES[7], MODES[3], MODES[0]], ids=lambda mode: mode.name)
@pytest.mark.parametrize("change", ["left out", "added", "added again"])
def test_a_handshake_that_relied_on_a_ca_ends_with_it(
    mode: Mode, change: str, endpoint: OpenSSLEndpoint, connect: Connect, pki: Pki
) -> None:
    network, client = Network(endpoint), connect(mode)
    authorities = {
        "left out": [pki.der("factory-ca")],
        "added": [pki.der("factory-ca"), pki.der("ca")],
        "added again": [pki.der("ca"), pki.der("ca")],
    }
    path = network.add(client)
    network.run(until=lambda: any(record.epoch for datagram in client.out for record in split(datagram)))
    client.out = [record.whole for datagram in client.out for record in split(datagram) if not record.epoch]
    network.run(0.5)
    assert (endpoint.pending_handshakes, network.of(Opened)) == (1, [])
    endpoint.set_trust_anchors(authorities[change])
    relied = mode.kind == "certificate" and change == "left out"
    assert endpoint.pending_handshakes == (0 if relied else 1)
    network.run(20)
    assert len(network.of(Opened)) == (0 if relied else 1)
    if relied:
        del network.clients[path]
        network.add(connect(mode))
        network.run(5)
        assert reasons(network) == [Reason.UNTRUSTED_CERTIFICATE]


def test_what_is_no_certificate_changes_nothing(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    with pytest.raises(EngineUnavailableError, match="a CA certificate"):
        endpoint.set_trust_anchors([b"no certificate"])
    open_one(Network(endpoint), connect(MODES[5]))


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
