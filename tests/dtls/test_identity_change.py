"""Another identity of the server while it runs: who sees which, and what goes on."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest

from custom_components.lwm2m.dtls.endpoint import EngineUnavailableError, make_endpoint
from custom_components.lwm2m.dtls.events import Closed, Opened
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.dtls.openssl.kept import KeptAssociation
from custom_components.lwm2m.security.policy import Policy
from custom_components.lwm2m.security.refusal import Reason
from custom_components.lwm2m.security.server_identity import ServerIdentity
from tests.interop.pki import Pki
from tests.openssl_client import Client

from .client import Network, open_one, reasons
from .conftest import MODES, SERVER, AnyDevice, Mode, each_mode

type Connect = Callable[..., Client]

NEW = ServerIdentity.generate(["server.local"])
PUBLIC = [mode for mode in MODES if mode.kind != "psk"]
each_public_mode = pytest.mark.parametrize("mode", PUBLIC, ids=lambda mode: mode.name)
SOME_SECONDS = 30.0


def says_echo(network: Network, client: Client, message: bytes) -> bool:
    client.send(message)
    network.run(1)
    return client.received[-1:] == [b"echo:" + message]


@each_public_mode
def test_new_handshakes_show_the_new_one(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network = Network(endpoint)
    before = connect(mode, server_key=SERVER.public_key)
    open_one(network, before)
    endpoint.set_server_identity(NEW)
    assert endpoint.server_identity is NEW
    after = connect(mode, server_key=NEW.public_key)
    open_one(network, after)
    assert before.connected
    assert after.connected
    told_nothing = connect(mode, server_key=SERVER.public_key)
    network.add(told_nothing)
    network.run(SOME_SECONDS, until=lambda: bool(reasons(network)))
    assert told_nothing.dead
    assert reasons(network) == [Reason.REJECTED_BY_DEVICE]
    endpoint.set_server_identity(SERVER)
    back = connect(mode, server_key=SERVER.public_key)
    open_one(network, back)
    assert back.connected


@each_mode
def test_an_association_goes_on(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode)
    open_one(network, client)
    (opened,) = network.of(Opened)
    assert says_echo(network, client, b"before")
    endpoint.set_server_identity(NEW)
    gc.collect()
    assert list(endpoint.associations()) == [opened.association]
    assert says_echo(network, client, b"after")
    endpoint.send(opened.association, b"from us", network.now)
    network.run(1)
    assert client.received[-1] == b"from us"
    assert network.of(Closed) == []
    client.close()
    network.run(1)
    assert [event.detail for event in network.of(Closed)] == ["close_notify"]


@each_public_mode
def test_a_handshake_that_is_under_way_goes_on(mode: Mode, endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(mode, server_key=SERVER.public_key)
    network.add(client)
    network.run(until=lambda: endpoint.pending_handshakes == 1)
    endpoint.set_server_identity(NEW)
    gc.collect()
    network.run(until=lambda: client.connected and bool(network.of(Opened)))
    assert says_echo(network, client, b"it went on")
    assert isinstance(network.of(Opened)[0].association, KeptAssociation) is ("no-etm" in mode.name)
    assert reasons(network) == []


def test_trusted_cas_are_those_of_before(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, mode = Network(endpoint), MODES[5]
    endpoint.set_server_identity(NEW)
    client = connect(mode)
    open_one(network, client)
    assert client.connected
    endpoint.set_trust_anchors([])
    network.add(connect(mode))
    network.run(SOME_SECONDS, until=lambda: bool(reasons(network)))
    assert reasons(network) == [Reason.UNTRUSTED_CERTIFICATE]
    endpoint.set_server_identity(SERVER)
    network.add(connect(mode))
    network.run(SOME_SECONDS, until=lambda: len(reasons(network)) == 2)
    assert reasons(network)[-1] is Reason.UNTRUSTED_CERTIFICATE


def test_a_ca_that_goes_counts_for_older_handshakes_too(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(MODES[5])
    network.add(client)
    network.run(until=lambda: endpoint.pending_handshakes == 1)
    endpoint.set_server_identity(NEW)
    endpoint.set_trust_anchors([])
    network.run(SOME_SECONDS)
    assert not client.connected
    assert network.of(Opened) == []


def test_optional_suites_are_those_of_before(pki: Pki, connect: Connect) -> None:
    name = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    endpoint = make_endpoint(AnyDevice(), Policy([name]), server_identity=SERVER, trust_anchors=[pki.der("ca")])
    suites = endpoint.suites
    endpoint.set_server_identity(NEW)
    assert endpoint.suites == suites
    network = Network(endpoint)
    client = connect(replace(MODES[3], cipher="ECDHE-ECDSA-AES128-GCM-SHA256"), server_key=NEW.public_key)
    open_one(network, client)
    assert client.connected


def test_one_that_cannot_be_used_changes_nothing(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    with pytest.raises(EngineUnavailableError, match="a server certificate"):
        endpoint.set_server_identity(replace(NEW, chain=(b"none",)))
    with pytest.raises(EngineUnavailableError, match="the server key"):
        endpoint.set_server_identity(replace(NEW, private_key=b"none"))
    assert endpoint.server_identity is SERVER
    network, client = Network(endpoint), connect(MODES[3], server_key=SERVER.public_key)
    open_one(network, client)
    assert client.connected


def test_what_nobody_uses_any_more_is_let_go(endpoint: OpenSSLEndpoint, connect: Connect) -> None:
    network, client = Network(endpoint), connect(MODES[3])
    open_one(network, client)
    first = weakref.ref(endpoint._context)
    endpoint.set_server_identity(NEW)
    second = weakref.ref(endpoint._context)
    endpoint.set_server_identity(SERVER)
    gc.collect()
    assert first() is None, "an association with keys of its own does not need it"
    assert second() is None
    assert says_echo(network, client, b"still here")


def test_the_constrained_engine_has_no_use_for_one() -> None:
    endpoint = make_endpoint(AnyDevice(), Policy(), engine="tinydtls")
    endpoint.set_server_identity(NEW)
    assert endpoint.suites == ("TLS_PSK_WITH_AES_128_CCM_8",)
