"""Every refusal with the reason that it must give, provoked by independent clients."""

import socket
from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls.endpoint import Endpoint
from custom_components.lwm2m.dtls.events import Refused
from custom_components.lwm2m.security.refusal import Reason
from tests.dtls.echo import serve

from . import peers
from .peers import GNUTLS, S_CLIENT, S_CLIENT_NEWEST, TINYDTLS, Command, Peer, run
from .pki import Pki

CCM = "ECDHE-ECDSA-AES128-CCM8"
PSK_CCM, PSK_CBC = "PSK-AES128-CCM8", "PSK-AES128-CBC-SHA256"
SHA1_ONLY = ("-sigalgs", "ECDSA+SHA1")

type Row = tuple[Reason, str, Peer, Command]


def _gnutls_sha1_signature() -> Command:
    priority = "+ECDHE-ECDSA:+AES-128-CCM-8:+AEAD:+SIGN-ECDSA-SHA1:+GROUP-SECP256R1:+CTYPE-X509"
    return peers.gnutls(priority, "--x509certfile", "{pki}/client.pem", "--x509keyfile", "{pki}/client.key")


def rows() -> list[Row]:
    made: list[Row] = [
        (Reason.PROTOCOL_VERSION, "dtls-1.0", S_CLIENT, peers.s_client(cipher="ALL", version="-dtls1")),
        (Reason.SHA1, "PSK-AES128-CBC-SHA", S_CLIENT, peers.s_client_psk("PSK-AES128-CBC-SHA")),
        (Reason.SHA1, "PSK+AES-128-CBC+SHA1", GNUTLS, peers.gnutls_psk("+AES-128-CBC:+SHA1")),
        (Reason.SHA1, "ECDHE-PSK-AES128-CBC-SHA", S_CLIENT, peers.s_client_psk("ECDHE-PSK-AES128-CBC-SHA")),
        (Reason.SHA1, "ECDHE-ECDSA-AES128-SHA", S_CLIENT, peers.s_client_certificate("ECDHE-ECDSA-AES128-SHA")),
        (Reason.SHA1, "signature-algorithms", S_CLIENT, peers.s_client_certificate(CCM, *SHA1_ONLY)),
        (Reason.SHA1, "signature-algorithms", GNUTLS, _gnutls_sha1_signature()),
        (Reason.SHA1, "client-sha1", S_CLIENT, peers.s_client_certificate(CCM, name="client-sha1")),
        (Reason.SHA1, "pinned-sha1", S_CLIENT, peers.s_client_certificate(CCM, name="pinned-sha1")),
        (Reason.KEY_TOO_SMALL, "group-p224", S_CLIENT, peers.s_client_certificate(CCM, "-groups", "P-224")),
        (Reason.KEY_TOO_SMALL, "ca-p224", S_CLIENT, peers.s_client_certificate(CCM, name="client-ca224")),
        (Reason.NO_COMMON_GROUP, "x25519", S_CLIENT, peers.s_client_certificate(CCM, "-groups", "X25519")),
        (Reason.NO_CLIENT_CERTIFICATE, "none", S_CLIENT, peers.s_client(cipher=CCM)),
        (
            Reason.NO_CLIENT_CERTIFICATE,
            "no-raw-key",
            S_CLIENT_NEWEST,
            peers.s_client("-enable_server_rpk", "-enable_client_rpk", cipher=CCM),
        ),
        (Reason.NO_CLIENT_CERTIFICATE, "rsa", S_CLIENT, peers.s_client_certificate(CCM, name="client-rsa")),
        (
            Reason.NO_CLIENT_CERTIFICATE,
            "client-sigalgs-sha1",
            S_CLIENT,
            peers.s_client_certificate(CCM, "-client_sigalgs", "ECDSA+SHA1", "-sigalgs", "ECDSA+SHA1:ECDSA+SHA256"),
        ),
        (Reason.UNKNOWN_PUBLIC_KEY, "stranger", S_CLIENT_NEWEST, peers.s_client_raw(CCM, name="stranger")),
        (Reason.UNTRUSTED_CERTIFICATE, "stranger", S_CLIENT, peers.s_client_certificate(CCM, name="stranger")),
        (
            Reason.UNTRUSTED_CERTIFICATE,
            "pinned-server",
            S_CLIENT,
            peers.s_client_certificate(CCM, name="pinned-server"),
        ),
        (Reason.EXPIRED_CERTIFICATE, "expired", S_CLIENT, peers.s_client_certificate(CCM, name="expired")),
        (
            Reason.EXPIRED_CERTIFICATE,
            "pinned-expired",
            S_CLIENT,
            peers.s_client_certificate(CCM, name="pinned-expired"),
        ),
        (Reason.EXPIRED_CERTIFICATE, "pinned-future", S_CLIENT, peers.s_client_certificate(CCM, name="pinned-future")),
        (Reason.UNKNOWN_IDENTITY, "nobody", S_CLIENT, peers.s_client_psk(PSK_CCM, identity="nobody")),
        (
            Reason.REJECTED_BY_DEVICE,
            "other-ca",
            S_CLIENT,
            peers.s_client_certificate(CCM, "-CAfile", "{pki}/stranger.pem", "-verify", "3", "-verify_return_error"),
        ),
    ]
    for cipher, more in ((PSK_CCM, ()), (PSK_CBC, ()), (PSK_CBC, ("-no_etm",))):
        name = "-".join(("wrong-key", cipher, *more))
        command = peers.s_client_psk(cipher, *more, key=bytes(16))
        made += [(Reason.WRONG_KEY, name, peer, command) for peer in (S_CLIENT, S_CLIENT_NEWEST)]
    made += [
        (Reason.NO_PERMITTED_SUITE, cipher, S_CLIENT, peers.s_client_psk(cipher))
        for cipher in ("PSK-AES256-CBC-SHA384", "PSK-AES128-GCM-SHA256")
    ]
    made += [
        (Reason.NO_PERMITTED_SUITE, cipher, S_CLIENT, peers.s_client_certificate(cipher))
        for cipher in (
            *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "AES128-SHA"),
            *("ECDHE-ECDSA-NULL-SHA", "AECDH-AES128-SHA"),
        )
    ]
    for size, group in (("224", "P-224"), ("192", "P-192")):
        command = peers.s_client_certificate(CCM, "-groups", f"P-256:{group}", name=f"client{size}")
        made.append((Reason.KEY_TOO_SMALL, f"certificate-p{size}", S_CLIENT, command))
    made.append((Reason.WRONG_KEY, "wrong-key", TINYDTLS, peers.tinydtls(key=bytes(16))))
    made.append((Reason.UNKNOWN_IDENTITY, "nobody", TINYDTLS, peers.tinydtls(identity="nobody")))
    raw = peers.s_client_raw(CCM, "-groups", "P-256:P-224", name="client224")
    made.append((Reason.KEY_TOO_SMALL, "raw-p224", S_CLIENT_NEWEST, raw))
    return made


def _id(row: Row) -> str:
    reason, variant, peer, _ = row
    return f"{reason}-{variant}-{peer.name}"


@pytest.mark.parametrize("row", [pytest.param(row, id=_id(row)) for row in rows()])
async def test_refuses(row: Row, endpoint: Callable[..., Endpoint], pki: Pki) -> None:
    reason, variant, peer, command = row
    if not peer.available:
        pytest.skip(f"{peer.program} is not here")
    async with serve(endpoint()) as server:
        output = await run(peer, command(server.port, pki), done=server.any_refused)
        refused = await server.until(Refused)
    assert refused.refusal.reason is reason, (refused, output)
    assert refused.refusal.detail
    assert server.opened == []
    assert refused.refusal.offered
    if variant in ("PSK-AES128-GCM-SHA256", "PSK-AES256-CBC-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"):
        assert refused.refusal.offered[0] in refused.refusal.detail, "the option that would help is named"


def constrained_rows() -> list[Row]:
    old = "-legacy_server_connect"
    return [
        (Reason.PROTOCOL_VERSION, "dtls-1.0", S_CLIENT, peers.s_client(cipher="ALL", version="-dtls1")),
        (Reason.SHA1, "PSK-AES128-CBC-SHA", S_CLIENT, peers.s_client_psk("PSK-AES128-CBC-SHA")),
        (Reason.NO_PERMITTED_SUITE, "constrained", S_CLIENT, peers.s_client_psk("PSK-AES128-GCM-SHA256")),
        (Reason.NO_PERMITTED_SUITE, "constrained-cbc", S_CLIENT, peers.s_client_psk(PSK_CBC)),
        (Reason.UNKNOWN_IDENTITY, "nobody", S_CLIENT, peers.s_client_psk(PSK_CCM, old, identity="nobody")),
        (Reason.WRONG_KEY, "wrong-key", S_CLIENT, peers.s_client_psk(PSK_CCM, old, key=bytes(16))),
        (Reason.WRONG_KEY, "wrong-key", TINYDTLS, peers.tinydtls(key=bytes(16))),
        (Reason.UNKNOWN_IDENTITY, "long-identity", S_CLIENT, peers.s_client_psk(PSK_CCM, old, identity="i" * 40)),
        (Reason.UNKNOWN_IDENTITY, "long-key", S_CLIENT, peers.s_client_psk(PSK_CCM, old, identity="long")),
    ]


@pytest.mark.parametrize("row", [pytest.param(row, id=_id(row)) for row in constrained_rows()])
async def test_constrained_engine_refuses(row: Row, endpoint: Callable[..., Endpoint], pki: Pki) -> None:
    reason, _, peer, command = row
    async with serve(endpoint(engine="tinydtls")) as server:
        output = await run(peer, command(server.port, pki), done=server.any_refused)
        refused = await server.until(Refused)
        assert server.endpoint.pending_handshakes == 0
    assert refused.refusal.reason is reason, (refused, output)
    assert server.opened == []
    assert "would help" not in refused.refusal.detail, "this engine can be granted nothing"


@pytest.mark.parametrize("engine", ["openssl", "tinydtls"])
@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        pytest.param(b"\x40\x01\x12\x34\xb1x", Reason.PLAINTEXT, id="plain-coap"),
        pytest.param(b"\x16\x03\x01\x00\x05hello", Reason.MALFORMED, id="tls-over-udp"),
        pytest.param(b"nonsense", Reason.MALFORMED, id="nonsense"),
    ],
)
async def test_refuses_what_is_not_dtls(
    datagram: bytes, reason: Reason, engine: str, endpoint: Callable[..., Endpoint]
) -> None:
    async with serve(endpoint(engine=engine)) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(datagram, ("127.0.0.1", server.port))
            refused = await server.until(Refused)
    assert refused.refusal.reason is reason
    assert server.opened == []
