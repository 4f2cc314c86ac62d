"""The constrained engine: what it does, its bounds, and that tinydtls never gets what it would overrun."""

from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls import tinydtls
from custom_components.lwm2m.dtls.association import AssociationClosedError, NetworkPath, RecordTooLargeError
from custom_components.lwm2m.dtls.endpoint import make_endpoint
from custom_components.lwm2m.dtls.events import Closed, Data, Opened, Refused
from custom_components.lwm2m.dtls.tinydtls import TinyDTLSEndpoint
from custom_components.lwm2m.security.identity import PskIdentity
from custom_components.lwm2m.security.refusal import Reason
from tests.openssl_client import Client

from .client import Network, all_connected
from .conftest import KEY, AnyDevice

type Connect = Callable[..., Client]


@pytest.fixture
def tiny(credentials: AnyDevice) -> TinyDTLSEndpoint:
    made = make_endpoint(credentials, engine="tinydtls")
    assert isinstance(made, TinyDTLSEndpoint)
    return made


def reasons(network: Network) -> list[Reason]:
    return [event.refusal.reason for event in network.of(Refused)]


def open_one(network: Network, client: Client, **where: object) -> NetworkPath:
    path = network.add(client, **where)  # type: ignore[arg-type]
    network.run(3, until=lambda: client.connected)
    assert client.connected
    return path


def test_opens_talks_and_closes(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network, client = Network(tiny), connect()
    path = open_one(network, client)
    (opened,) = network.of(Opened)
    association = opened.association
    assert association.path == path
    assert association.identity == PskIdentity(b"dev1")
    assert association.suite.name == "TLS_PSK_WITH_AES_128_CCM_8"
    client.send(b"hello")
    network.run(0.5)
    assert client.received == [b"echo:hello"]
    assert [event.data for event in network.of(Data)] == [b"hello"]
    assert association.last_received > association.opened_at
    with pytest.raises(RecordTooLargeError):
        tiny.send(association, bytes(association.max_payload + 1), network.now)
    client.close()
    network.run(0.5)
    (closed,) = network.of(Closed)
    assert (closed.association, closed.detail) == (association, "close_notify")
    assert list(tiny.associations()) == []
    with pytest.raises(AssociationClosedError):
        tiny.send(association, b"x", network.now)
    tiny.close(association, network.now)


def test_our_close_reaches_the_client(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network, client = Network(tiny), connect()
    open_one(network, client)
    network.add(connect(number=2))
    network.run(0.035)
    tiny.close_all(network.now)
    network.run(0.5)
    assert client.dead
    assert list(tiny.associations()) == []
    assert tiny.pending_handshakes == 0
    assert tiny.next_timer() is None
    assert network.of(Closed) == []


def test_paths_that_differ_in_the_local_address_are_two_peers(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network = Network(tiny)
    for local in ("127.0.0.1", "127.0.0.2"):
        client = connect()
        path = NetworkPath(("127.0.0.1", 5), local)
        network.clients[path] = client
        client.start(network.now)
        network.run(2, until=all_connected([client]))
    assert {association.path.local for association in tiny.associations()} == {"127.0.0.1", "127.0.0.2"}
    for client in network.clients.values():
        client.send(b"x")
    network.run(0.5)
    assert [client.received for client in network.clients.values()] == [[b"echo:x"]] * 2


def test_a_new_handshake_of_a_path_replaces_the_old(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network = Network(tiny)
    path = open_one(network, connect())
    open_one(network, connect(), port=path.peer[1])
    assert [event.detail for event in network.of(Closed)] == ["replaced"]
    assert len(list(tiny.associations())) == 1
    assert len(network.of(Opened)) == 2


@pytest.mark.parametrize("size", [0, 17, 64])
def test_a_key_that_does_not_fit_never_reaches_tinydtls(
    size: int, tiny: TinyDTLSEndpoint, connect: Connect, credentials: AnyDevice
) -> None:
    credentials.key = bytes(size)
    network = Network(tiny)
    network.add(connect())
    network.run(2)
    assert network.of(Opened) == []
    (refused,) = network.of(Refused)
    assert refused.refusal.reason is Reason.UNKNOWN_IDENTITY
    if size:
        assert "16 bytes" in refused.refusal.detail
    assert tiny.pending_handshakes == 0


@pytest.mark.parametrize("length", [33, 100])
def test_an_identity_that_does_not_fit_is_named(length: int, tiny: TinyDTLSEndpoint) -> None:
    identity = b"dev" + b"x" * (length - 3)
    network = Network(tiny)
    network.add(Client("PSK-AES128-CCM8", psk=(identity, KEY)))
    network.run(2)
    (refused,) = network.of(Refused)
    assert refused.refusal.reason is Reason.UNKNOWN_IDENTITY
    assert refused.refusal.identity_bytes == identity
    assert "32 bytes" in refused.refusal.detail


def test_the_largest_that_fits(tiny: TinyDTLSEndpoint) -> None:
    network, client = Network(tiny), Client("PSK-AES128-CCM8", psk=(b"dev" + b"x" * 29, KEY))
    open_one(network, client)
    assert len(network.of(Opened)) == 1


def test_a_wrong_key_and_a_silent_device(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network = Network(tiny)
    network.add(connect(key=b"another key"))
    network.run(2)
    assert reasons(network) == [Reason.WRONG_KEY]
    network.clients.clear()
    silent = connect(number=2)
    path = network.add(silent)
    network.run(until=lambda: tiny.pending_handshakes == 1)
    del network.clients[path]
    network.run(100)
    assert reasons(network) == [Reason.WRONG_KEY, Reason.HANDSHAKE_TIMEOUT]
    assert tiny.pending_handshakes == 0
    assert tiny.next_timer() is None


def test_a_device_that_gives_up_is_named_by_its_alert(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network = Network(tiny)
    path = network.add(connect())
    network.run(until=lambda: tiny.pending_handshakes == 1)
    network.inject(b"\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\2\2\x28", path)
    assert reasons(network) == [Reason.REJECTED_BY_DEVICE]
    assert "handshake_failure" in network.of(Refused)[0].refusal.detail


def test_a_device_that_starts_anew_in_the_middle_gets_in(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network = Network(tiny)
    path = network.add(connect())
    network.run(until=lambda: tiny.pending_handshakes == 1)
    del network.clients[path]
    network.run(0.4)
    open_one(network, connect(), port=path.peer[1])
    assert tiny.pending_handshakes == 0
    assert len(network.of(Opened)) == 1


def test_pending_handshakes_and_associations_are_capped(
    tiny: TinyDTLSEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tinydtls, "MAX_PENDING", 3)
    monkeypatch.setattr(tinydtls, "MAX_ASSOCIATIONS", 2)
    network = Network(tiny)
    for number in range(6):
        path = network.add(connect(number=number), port=100 + number)
        network.run(0.035)
        del network.clients[path]
    assert tiny.pending_handshakes == 3
    for number in range(10, 14):
        open_one(network, connect(number=number))
    assert len(list(tiny.associations())) == 2
    assert [event.detail for event in network.of(Closed)] == ["too many associations"] * 2


def test_hellos_without_cookies_leave_no_state(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network, client = Network(tiny), connect()
    client.start(0)
    for number in range(500):
        path = NetworkPath((f"198.51.100.{number % 250}", 1 + number), None)
        network.inject(client.out[0], path)
        assert network.sent[path] <= network.got[path]
    assert tiny.pending_handshakes == 0
    assert tiny._paths == {}
    assert network.events == []


def test_what_tinydtls_must_not_see(tiny: TinyDTLSEndpoint) -> None:
    network, path = Network(tiny), NetworkPath(("192.0.2.1", 1), None)
    large = b"\x17\xfe\xfd\0\1" + bytes(6) + (1500).to_bytes(2) + bytes(1500)
    network.inject(large, path)
    network.inject(b"\x16\xfe\xff" + bytes(8) + b"\0\4\1\0\0\1", path)
    network.inject(b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\1x", path)
    assert set(reasons(network)) == {Reason.MALFORMED}
    assert network.sent == {}


def test_damaged_datagrams_do_no_harm(tiny: TinyDTLSEndpoint, connect: Connect) -> None:
    network = Network(tiny, seed=3)
    carry = network._carry

    def damage(datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        if to_server and network.random.random() < 0.4:
            changed = bytearray(datagram)
            changed[network.random.randrange(len(changed))] ^= 1 << network.random.randrange(8)
            datagram = bytes(changed)
        carry(datagram, path, to_server=to_server)

    network._carry = damage  # type: ignore[method-assign]
    for number in range(40):
        network.add(connect(number=number))
        network.run(2)
    network._carry = carry  # type: ignore[method-assign]
    network.clients.clear()
    network.run(100)
    assert tiny.pending_handshakes == 0
    tiny.close_all(network.now)
    assert tiny._paths == {}
    open_one(network, connect(number=99))
