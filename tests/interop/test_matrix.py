"""Every suite and security mode with every independent client that can do it: suite by mode by peer."""

from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls.endpoint import Endpoint
from custom_components.lwm2m.dtls.events import Data, Opened
from custom_components.lwm2m.security.credential import SecurityMode
from tests.dtls.echo import serve

from . import peers
from .peers import COAP_GNUTLS, COAP_OPENSSL, GNUTLS, S_CLIENT, S_CLIENT_NEWEST, TINYDTLS, Command, Peer, run
from .pki import ENDPOINT, Pki

PSK_CCM, PSK_CBC = "TLS_PSK_WITH_AES_128_CCM_8", "TLS_PSK_WITH_AES_128_CBC_SHA256"
ECDSA_CCM, ECDSA_CBC = "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"
OPENSSL_NAMES = {
    PSK_CCM: "PSK-AES128-CCM8",
    PSK_CBC: "PSK-AES128-CBC-SHA256",
    ECDSA_CCM: "ECDHE-ECDSA-AES128-CCM8",
    ECDSA_CBC: "ECDHE-ECDSA-AES128-SHA256",
}
GNUTLS_CIPHERS = {"CCM_8": "+AES-128-CCM-8:+AEAD", "SHA256": "+AES-128-CBC:+SHA256"}


def _gnutls(suite: str) -> str:
    return GNUTLS_CIPHERS["CCM_8" if suite.endswith("CCM_8") else "SHA256"]


type Row = tuple[str, SecurityMode, Peer, str, Command]
"""Suite, mode, peer, a word about the variant, command."""


def rows() -> list[Row]:
    made: list[Row] = []
    for peer in (S_CLIENT, S_CLIENT_NEWEST):
        made += [
            (suite, SecurityMode.PSK, peer, "", peers.s_client_psk(OPENSSL_NAMES[suite]))
            for suite in (PSK_CCM, PSK_CBC)
        ]
        made.append((PSK_CBC, SecurityMode.PSK, peer, "no-etm", peers.s_client_psk(OPENSSL_NAMES[PSK_CBC], "-no_etm")))
        for suite in (ECDSA_CCM, ECDSA_CBC):
            command = peers.s_client_certificate(
                OPENSSL_NAMES[suite], "-CAfile", "{pki}/ca.pem", "-verify_return_error"
            )
            made.append((suite, SecurityMode.CERTIFICATE, peer, "", command))
        command = peers.s_client_certificate(OPENSSL_NAMES[ECDSA_CBC], "-no_etm")
        made.append((ECDSA_CBC, SecurityMode.CERTIFICATE, peer, "no-etm", command))
    made += [
        (suite, SecurityMode.RPK, S_CLIENT_NEWEST, "", peers.s_client_raw(OPENSSL_NAMES[suite]))
        for suite in (ECDSA_CCM, ECDSA_CBC)
    ]
    ccm = OPENSSL_NAMES[ECDSA_CCM]
    extra = {
        "p384": (SecurityMode.RPK, peers.s_client_raw(ccm, name="client384")),
        "client-raw-server-certificate": (
            SecurityMode.RPK,
            peers.s_client_certificate(ccm, "-enable_client_rpk", "-CAfile", "{pki}/ca.pem", "-verify_return_error"),
        ),
        "server-raw-client-certificate": (
            SecurityMode.CERTIFICATE,
            peers.s_client_certificate(ccm, "-enable_server_rpk"),
        ),
        "fragment-512": (SecurityMode.CERTIFICATE, peers.s_client_certificate(ccm, "-maxfraglen", "512")),
        "mtu-576": (SecurityMode.CERTIFICATE, peers.s_client_certificate(ccm, "-mtu", "548")),
    }
    made += [(ECDSA_CCM, mode, S_CLIENT_NEWEST, variant, command) for variant, (mode, command) in extra.items()]
    for name in ("client384", "client-chain", "client-san", "pinned"):
        command = peers.s_client_certificate(ccm, "-cert_chain", f"{{pki}}/{name}.pem", name=name)
        made.append((ECDSA_CCM, SecurityMode.CERTIFICATE, S_CLIENT, name, command))
    made += [(suite, SecurityMode.PSK, GNUTLS, "", peers.gnutls_psk(_gnutls(suite))) for suite in (PSK_CCM, PSK_CBC)]
    made.append(
        (
            PSK_CBC,
            SecurityMode.PSK,
            GNUTLS,
            "no-etm-no-ems",
            peers.gnutls_psk(_gnutls(PSK_CBC) + ":%NO_ETM:%NO_SESSION_HASH"),
        )
    )
    for suite in (ECDSA_CCM, ECDSA_CBC):
        made.append((suite, SecurityMode.CERTIFICATE, GNUTLS, "", peers.gnutls_certificate(_gnutls(suite))))
        made.append((suite, SecurityMode.RPK, GNUTLS, "", peers.gnutls_raw(_gnutls(suite))))
    psk = peers.coap_client("-k", "secretPSK", "-u", "Client_identity")
    certificate = peers.coap_client("-n", "-c", "{pki}/client.pem", "-j", "{pki}/client.key", "-C", "{pki}/ca.pem")
    for peer in (COAP_OPENSSL, COAP_GNUTLS):
        made.append(("", SecurityMode.PSK, peer, "", psk))
        made.append(("", SecurityMode.CERTIFICATE, peer, "", certificate))
    made.append(("", SecurityMode.RPK, COAP_GNUTLS, "", peers.coap_client("-n", "-M", "{pki}/client.ec")))
    made.append((PSK_CCM, SecurityMode.PSK, TINYDTLS, "", peers.tinydtls()))
    return made


def constrained_rows() -> list[Row]:
    """What the constrained engine can do. It sends no renegotiation info, which OpenSSL must be told to take."""
    command = peers.s_client_psk(OPENSSL_NAMES[PSK_CCM], "-legacy_server_connect")
    psk = peers.coap_client("-k", "secretPSK", "-u", "Client_identity")
    return [
        (PSK_CCM, SecurityMode.PSK, S_CLIENT, "constrained", command),
        (PSK_CCM, SecurityMode.PSK, S_CLIENT_NEWEST, "constrained", command),
        (
            PSK_CCM,
            SecurityMode.PSK,
            GNUTLS,
            "constrained",
            peers.gnutls_psk(_gnutls(PSK_CCM) + ":%UNSAFE_RENEGOTIATION"),
        ),
        (PSK_CCM, SecurityMode.PSK, COAP_GNUTLS, "constrained", psk),
        (PSK_CCM, SecurityMode.PSK, TINYDTLS, "constrained", peers.tinydtls()),
    ]


def _id(row: Row) -> str:
    suite, mode, peer, variant, _ = row
    return "-".join(part for part in (suite or "default-offer", mode, peer.name, variant) if part)


@pytest.mark.parametrize("row", [pytest.param(row, id=_id(row)) for row in rows() + constrained_rows()])
async def test_accepts(row: Row, endpoint: Callable[..., Endpoint], pki: Pki) -> None:
    suite, mode, peer, variant, command = row
    if not peer.available:
        pytest.skip(f"{peer.program} is not here")
    engine = "tinydtls" if variant == "constrained" else "openssl"
    async with serve(endpoint(engine=engine, mtu=576 if variant == "mtu-576" else 1280)) as server:
        output = await run(peer, command(server.port, pki), until=b"echo:hi" if peer.echoes else b"hello from")
        opened = await server.until(Opened)
        data = await server.until(Data)
    association = opened.association
    assert (b"echo:hi" if peer.echoes else b"hello from") in output, output
    assert association.identity.mode is mode
    assert association.suite.name == suite or not suite
    assert association.group == ("P-256" if association.suite.has_ecdhe else None)
    assert data.association is association
    if mode is SecurityMode.CERTIFICATE and variant != "pinned":
        assert ENDPOINT in getattr(association.identity, "names", ())
        assert getattr(association.identity, "trusted", False)
    assert server.refused == []


@pytest.mark.parametrize("etm", [(), ("-no_etm",)], ids=["own-records", "kept-in-openssl"])
@pytest.mark.parametrize("group", ["P-256", "P-384", "P-521"])
async def test_tells_the_group(group: str, etm: tuple[str, ...], endpoint: Callable[..., Endpoint], pki: Pki) -> None:
    """The client's favourite; it takes P-256 too, since the server's key is on that curve."""
    groups = group if group == "P-256" else f"{group}:P-256"
    command = peers.s_client_certificate(OPENSSL_NAMES[ECDSA_CBC], "-groups", groups, *etm)
    async with serve(endpoint()) as server:
        await run(S_CLIENT, command(server.port, pki), until=b"echo:hi")
        opened = await server.until(Opened)
    assert opened.association.group == group
