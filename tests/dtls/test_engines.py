"""The choice of an engine, what it says of itself, and the optional suites."""

import builtins
import ssl
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.lwm2m.dtls.endpoint import EngineUnavailableError, make_endpoint
from custom_components.lwm2m.dtls.events import Opened
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.dtls.openssl.ffi import Library, ffi
from custom_components.lwm2m.dtls.tinydtls import TinyDTLSEndpoint
from custom_components.lwm2m.security.cipher_suite import BY_NAME, MANDATORY, SUITES, CipherSuite, Status
from custom_components.lwm2m.security.policy import Policy
from custom_components.lwm2m.security.refusal import Reason
from tests.interop.pki import Pki
from tests.openssl_client import Client

from .client import Network, reasons
from .conftest import KEY, AnyDevice

OPTIONAL = [suite for suite in SUITES.values() if suite.status is Status.OPTIONAL]


def test_openssl_is_the_first_choice() -> None:
    made = make_endpoint(AnyDevice())
    assert isinstance(made, OpenSSLEndpoint)
    assert made.engine.startswith("openssl 3.")
    assert made.suites == MANDATORY
    assert make_endpoint(AnyDevice(), engine="tinydtls").suites == ("TLS_PSK_WITH_AES_128_CCM_8",)


def test_without_a_usable_library_the_constrained_engine_serves() -> None:
    made = make_endpoint(AnyDevice(), library="/nowhere/libssl.so")
    assert isinstance(made, TinyDTLSEndpoint)
    assert "tinydtls" in made.engine
    with pytest.raises(EngineUnavailableError, match="nowhere"):
        make_endpoint(AnyDevice(), engine="openssl", library="/nowhere/libssl.so")


def test_a_library_without_the_functions_is_told() -> None:
    with pytest.raises(EngineUnavailableError, match="OpenSSL_version_num"):
        Library.load("libc.so.6")


def test_a_library_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    text: Any = ffi.new("char[]", b"OpenSSL 3.0.19 27 Jan 2026")
    old = SimpleNamespace(OpenSSL_version_num=lambda: 0x30000130, OpenSSL_version=lambda which: text)
    monkeypatch.setattr(
        "custom_components.lwm2m.dtls.openssl.ffi.ffi", SimpleNamespace(dlopen=lambda path: old, string=ffi.string)
    )
    with pytest.raises(EngineUnavailableError, match=r"3\.0\.19.*older than 3\.2"):
        Library.load("old")


def test_without_any_engine_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "DTLSSocket":
            raise ImportError("no DTLSSocket")
        return load(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineUnavailableError, match="no DTLSSocket"):
        make_endpoint(AnyDevice(), library="/nowhere/libssl.so")


def test_set_up_that_openssl_refuses_is_told() -> None:
    with pytest.raises(EngineUnavailableError, match="a CA certificate"):
        make_endpoint(AnyDevice(), engine="openssl", trust_anchors=[b"no certificate"])


def test_a_suite_that_this_openssl_has_not_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    row = BY_NAME["TLS_PSK_WITH_CHACHA20_POLY1305_SHA256"]
    monkeypatch.setitem(BY_NAME, row.name, replace(row, openssl="PSK-NO-SUCH-CIPHER"))
    made = make_endpoint(AnyDevice(), Policy([row.name, "TLS_PSK_WITH_AES_128_GCM_SHA256"]), engine="openssl")
    assert made.suites == (*MANDATORY, "TLS_PSK_WITH_AES_128_GCM_SHA256")
    network, client = Network(made), Client("PSK-CHACHA20-POLY1305", psk=(b"dev1", KEY))
    network.add(client)
    network.run(2)
    assert client.dead
    assert reasons(network) == [Reason.NO_PERMITTED_SUITE]
    ccm = BY_NAME[MANDATORY[0]]
    monkeypatch.setitem(BY_NAME, ccm.name, replace(ccm, openssl="NO-SUCH-CIPHER"))
    with pytest.raises(EngineUnavailableError, match=f"the suites {ccm.name}"):
        make_endpoint(AnyDevice(), engine="openssl")


@pytest.mark.parametrize("suite", OPTIONAL, ids=lambda suite: suite.name)
def test_every_optional_suite_works_when_it_is_named(suite: CipherSuite, pki: Pki) -> None:
    made = make_endpoint(AnyDevice(), Policy([suite.name]), trust_anchors=[pki.der("ca")], engine="openssl")
    network = Network(made)
    assert suite.openssl is not None
    if suite.has_psk:
        client = Client(suite.openssl, psk=(b"dev1", KEY))
    else:
        client = Client(suite.openssl, key=pki.key("client"), chain=pki.pem("client"))
    network.add(client)
    network.run(2, until=lambda: client.connected)
    client.send(b"hello")
    network.run(0.5)
    assert client.received == [b"echo:hello"]
    assert network.of(Opened)[0].association.suite is suite
    if suite.has_psk:
        wrong = Client(suite.openssl, psk=(b"dev2", b"wrong"))
        network.add(wrong)
        network.run(2)
        assert [event.refusal.reason for event in network.events if hasattr(event, "refusal")] == ["wrong_key"]


def test_the_engine_runs_on_the_library_that_was_named(
    endpoint: OpenSSLEndpoint, request: pytest.FixtureRequest
) -> None:
    if "openssl-3.5" in request.node.name:
        assert endpoint.engine.startswith("openssl 3.5.")
    else:
        assert endpoint.engine == " ".join(ssl.OPENSSL_VERSION.lower().split()[:2])
