"""Raw public keys and certificates on the command line, with other programs as the devices."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from custom_components.lwm2m.security.identity import fingerprint
from custom_components.lwm2m.server.cli import parse_arguments, run
from tests.interop import peers
from tests.interop.peers import COAP_GNUTLS, COAP_OPENSSL, S_CLIENT, S_CLIENT_NEWEST, Command, Peer
from tests.interop.pki import ENDPOINT, Pki, make_pki
from tests.simulator.coap import Code, Message, Option, Type

from .command_line import Lines, Out, running

ECDSA_CCM, ECDSA_CBC = "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"
CCM, CBC = "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES128-SHA256"
OBJECTS = '</>;rt="oma.lwm2m",</3/0>'


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = make_pki(Path(tmp_path_factory.mktemp("pki")))
    key = ec.generate_private_key(ec.SECP256K1()).public_key()
    Path(made.pub("k1")).write_bytes(
        key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return made


def der_of(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def register(endpoint: str) -> bytes:
    """A Register as it is on the wire."""
    query = [f"ep={endpoint}", "lt=60", "lwm2m=1.1", "b=U"]
    options: list[tuple[int, bytes]] = [(Option.URI_PATH, b"rd"), (Option.CONTENT_FORMAT, b"\x28")]
    options += [(Option.URI_QUERY, part.encode()) for part in query]
    return Message(Type.CON, Code.POST, 0x1234, b"t", sorted(options), OBJECTS.encode()).encode()


@asynccontextmanager
async def calling(
    peer: Peer, command: Command, server: Lines, pki: Pki, endpoint: str = ENDPOINT
) -> AsyncIterator[None]:
    """A client of another make that registers: s_client is given the bytes, libcoap's programs make their own."""
    if not peer.available:
        pytest.skip(f"{peer.program} is not here")
    arguments = command(server.listening["coaps"], pki)
    if peer in (S_CLIENT, S_CLIENT_NEWEST):
        arguments.append("-quiet")
    process = await asyncio.create_subprocess_exec(
        shutil.which(peer.program) or peer.program,
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    if peer in (S_CLIENT, S_CLIENT_NEWEST):
        process.stdin.write(register(endpoint))
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def libcoap(*arguments: str, endpoint: str = ENDPOINT) -> Command:
    def command(port: int, pki: Pki) -> list[str]:
        filled = [argument.format(pki=pki.folder) for argument in arguments]
        uri = f"coaps://127.0.0.1:{port}/rd?ep={endpoint}&lt=60&lwm2m=1.1&b=U"
        return ["-m", "post", "-B", "5", "-t", "40", "-e", OBJECTS, *filled, uri]

    return command


RAW_LIBCOAP = libcoap("-n", "-M", "{pki}/client.ec")
CERTIFICATE_LIBCOAP = libcoap("-c", "{pki}/client.pem", "-j", "{pki}/client.key", "-C", "{pki}/ca.pem")
RPK = ("--rpk", ENDPOINT, "{pki}/client.pub")
PINNED = ("--cert", ENDPOINT, "{pki}/pinned.pem")
CA = ("--ca", "{pki}/ca.pem")
SERVER = ("--key", "{pki}/server.key", "--server-cert", "{pki}/server.pem")
TRUSTING = ("-CAfile", "{pki}/ca.pem", "-verify_return_error")


def filled(options: Sequence[str], pki: Pki) -> list[str]:
    return [option.format(pki=pki.folder) for option in options]


@pytest.mark.parametrize(
    ("options", "peer", "command", "mode", "suite", "name"),
    [
        pytest.param(RPK, S_CLIENT_NEWEST, peers.s_client_raw(CCM), "rpk", ECDSA_CCM, "client", id="rpk-ccm"),
        pytest.param(RPK, S_CLIENT_NEWEST, peers.s_client_raw(CBC), "rpk", ECDSA_CBC, "client", id="rpk-cbc"),
        pytest.param((*RPK, *SERVER), COAP_GNUTLS, RAW_LIBCOAP, "rpk", None, "client", id="rpk-libcoap-gnutls"),
        pytest.param(
            PINNED, S_CLIENT, peers.s_client_certificate(CCM, name="pinned"), "certificate", ECDSA_CCM, "pinned",
            id="pinned-ccm",
        ),
        pytest.param(
            PINNED, S_CLIENT_NEWEST, peers.s_client_certificate(CBC, name="pinned"), "certificate", ECDSA_CBC, "pinned",
            id="pinned-cbc",
        ),
        pytest.param(
            (*CA, *SERVER), S_CLIENT, peers.s_client_certificate(CCM, *TRUSTING), "certificate", ECDSA_CCM, ENDPOINT,
            id="ca-ccm",
        ),
        pytest.param(
            (*CA, *SERVER), S_CLIENT_NEWEST, peers.s_client_certificate(CBC, *TRUSTING), "certificate", ECDSA_CBC,
            ENDPOINT, id="ca-cbc",
        ),
        pytest.param(
            CA, S_CLIENT, peers.s_client_certificate(CCM, name="client-san"), "certificate", ECDSA_CCM, "a board",
            id="ca-san",
        ),
        pytest.param(
            (*CA, *SERVER), COAP_OPENSSL, CERTIFICATE_LIBCOAP, "certificate", None, ENDPOINT, id="ca-libcoap-openssl"
        ),
        pytest.param(
            (*CA, *SERVER), COAP_GNUTLS, CERTIFICATE_LIBCOAP, "certificate", None, ENDPOINT, id="ca-libcoap-gnutls"
        ),
    ],
)  # fmt: skip
async def test_registers(
    options: Sequence[str], peer: Peer, command: Command, mode: str, suite: str | None, name: str, pki: Pki
) -> None:
    async with running(*filled(options, pki)) as server, calling(peer, command, server, pki):
        registered = await server.until("registered")
    assert registered["endpoint"] == ENDPOINT
    assert registered["security"]["mode"] == mode
    assert registered["security"]["suite"] in ((ECDSA_CCM, ECDSA_CBC) if suite is None else (suite,))
    assert registered["security"]["identity"] == (fingerprint(pki.spki(name)) if mode == "rpk" else name)


@pytest.mark.parametrize(
    ("options", "peer", "command", "reason", "identity", "endpoint"),
    [
        pytest.param(
            RPK, S_CLIENT_NEWEST, peers.s_client_raw(CCM), "endpoint_mismatch", "key client", "other", id="rpk-mismatch"
        ),
        pytest.param(
            CA, S_CLIENT, peers.s_client_certificate(CCM), "endpoint_mismatch", ENDPOINT, "other", id="ca-mismatch"
        ),
        pytest.param(
            PINNED, S_CLIENT, peers.s_client_certificate(CCM, name="pinned"), "endpoint_mismatch", "pinned", "other",
            id="pinned-mismatch",
        ),
        pytest.param(
            RPK, S_CLIENT_NEWEST, peers.s_client_raw(CCM, name="stranger"), "unknown_public_key", "key stranger", None,
            id="unknown-key",
        ),
        pytest.param(
            CA, S_CLIENT, peers.s_client_certificate(CCM, name="stranger"), "untrusted_certificate", ENDPOINT, None,
            id="untrusted",
        ),
        pytest.param(
            RPK, S_CLIENT, peers.s_client_certificate(CCM), "untrusted_certificate", ENDPOINT, None, id="no-ca"
        ),
        pytest.param(
            (*CA, "--psk", ENDPOINT, "id", "00" * 16), S_CLIENT, peers.s_client_certificate(CCM),
            "untrusted_certificate", ENDPOINT, None, id="another-credential-on-file",
        ),
        pytest.param(
            ("--cert", ENDPOINT, "{pki}/client.pem"), S_CLIENT, peers.s_client_certificate(CCM, name="stranger"),
            "untrusted_certificate", ENDPOINT, ENDPOINT, id="not-the-pinned-one",
        ),
        pytest.param(
            CA, S_CLIENT, peers.s_client_certificate(CCM, name="expired"), "expired_certificate", ENDPOINT, None,
            id="expired",
        ),
    ],
)  # fmt: skip
async def test_refuses(
    options: Sequence[str], peer: Peer, command: Command, reason: str, identity: str, endpoint: str | None, pki: Pki
) -> None:
    name = endpoint or ENDPOINT
    async with running(*filled(options, pki)) as server, calling(peer, command, server, pki, name):
        refused = await server.until("refused")
    assert refused["reason"] == reason, refused
    assert refused["identity"] == (fingerprint(pki.spki(identity[4:])) if identity.startswith("key ") else identity)
    assert refused["endpoint"] == endpoint
    assert refused["detail"]
    assert refused["offered"] == [ECDSA_CCM] or reason != "endpoint_mismatch"
    assert refused["address"].startswith("127.0.0.1:")


async def test_all_kinds_on_one_port(pki: Pki) -> None:
    options = filled((*CA, "--rpk", "raw", "{pki}/client384.pub", *PINNED[:1], "pinned", "{pki}/pinned.pem"), pki)
    key = peers.KEY.hex()
    async with running(*options, "--psk", "psk", peers.IDENTITY, key) as server:
        for endpoint, peer, command in (
            ("raw", S_CLIENT_NEWEST, peers.s_client_raw(CCM, name="client384")),
            ("pinned", S_CLIENT, peers.s_client_certificate(CBC, name="pinned")),
            (ENDPOINT, S_CLIENT, peers.s_client_certificate(CCM)),
            ("psk", S_CLIENT, peers.s_client_psk("PSK-AES128-CBC-SHA256")),
        ):
            async with calling(peer, command, server, pki, endpoint):
                assert (await server.until("registered"))["endpoint"] == endpoint


async def test_an_optional_suite(pki: Pki) -> None:
    suite = "TLS_PSK_WITH_AES_128_GCM_SHA256"
    command = peers.s_client_psk("PSK-AES128-GCM-SHA256")
    psk = ("--psk", "d", peers.IDENTITY, peers.KEY.hex())
    async with running(*psk, "--allow-suite", suite) as server, calling(S_CLIENT, command, server, pki, "d"):
        assert suite in server.listening["suites"]
        assert (await server.until("registered"))["security"]["suite"] == suite
    async with running(*psk) as server, calling(S_CLIENT, command, server, pki, "d"):
        refused = await server.until("refused", reason="no_permitted_suite")
        assert refused["offered"] == [suite]
        assert suite in refused["detail"]


async def test_the_exported_identity_is_the_servers(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    trusting = ("-CAfile", str(folder / "server_certificate.pem"), "-verify_return_error")
    command = peers.s_client_certificate(CCM, *trusting)
    async with (
        running(*filled(CA, pki), "--export-identity", str(folder)) as server,
        calling(S_CLIENT, command, server, pki),
    ):
        assert (await server.until("registered"))["endpoint"] == ENDPOINT
    names = {path.name for path in folder.iterdir()}
    assert names == {f"server_{kind}.{form}" for kind in ("public_key", "certificate") for form in ("pem", "der")}
    key = serialization.load_pem_public_key((folder / "server_public_key.pem").read_bytes())
    certificate = x509.load_der_x509_certificate((folder / "server_certificate.der").read_bytes())
    assert der_of(key) == der_of(certificate.public_key()) == (folder / "server_public_key.der").read_bytes()
    assert b"PRIVATE" not in b"".join(path.read_bytes() for path in folder.iterdir())


async def test_the_key_given_is_the_key_used(pki: Pki, tmp_path: Path) -> None:
    for options in (SERVER, SERVER[:2]):
        async with running(*filled(options, pki), "--export-identity", str(tmp_path)):
            assert (tmp_path / "server_public_key.der").read_bytes() == pki.spki("server")
    chain = (tmp_path / "server_certificate.pem").read_text()
    assert chain.count("BEGIN CERTIFICATE") == 1


async def test_nowhere_to_export_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    arguments = parse_arguments(["--coaps-port", "0", "--export-identity", str(tmp_path / "file" / "x")])
    assert await run(arguments, -1, Out()) == 1
    assert "--export-identity" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rpk", "d", "{pki}/nothing.pub"), "--rpk d: {pki}/nothing.pub: No such file or directory"),
        (("--rpk", "d", "{pki}"), "Is a directory"),
        (("--rpk", "d", "x\0"), "null byte"),
        (("--rpk", "d", "{pki}/client224.ext"), "no public key that can be used"),
        (("--rpk", "d", "{pki}/client.key"), "client.key: this is a private key, which stays in the device"),
        (("--rpk", "d", "{pki}/client.pem"), "client.pem: this is a certificate"),
        (("--rpk", "d", "{pki}/client224.pub"), "client224.pub: the key has 224 bits, less than 256"),
        (("--rpk", "d", "{pki}/client192.pub"), "192"),
        (("--rpk", "d", "{pki}/client-rsa.pub"), "the key is no elliptic curve key"),
        (("--rpk", "d", "{pki}/k1.pub"), "secp256k1, and not on P-256"),
        (("--cert", "d", "{pki}/pinned-sha1.pem"), "pinned-sha1.pem: the certificate is signed with SHA1"),
        (("--cert", "d", "{pki}/pinned-expired.pem"), "pinned-expired.pem: the certificate has expired on"),
        (("--cert", "d", "{pki}/pinned-future.pem"), "is not valid before"),
        (("--cert", "d", "{pki}/pinned-server.pem"), "does not permit a client"),
        (("--cert", "d", "{pki}/client224.pem"), "the key of the certificate has 224 bits"),
        (("--cert", "d", "{pki}/client-rsa.pem"), "the key of the certificate is no elliptic curve key"),
        (("--cert", "d", "{pki}/client.key"), "this is a key, where a certificate is needed"),
        (("--cert", "d", "{pki}/client224.ext"), "this is no certificate"),
        (("--ca", "{pki}/client.pem"), "--ca: {pki}/client.pem: the CA is no CA"),
        (("--ca", "{pki}/ca224.pem"), "--ca: {pki}/ca224.pem: the key of the CA has 224 bits"),
        (("--key", "{pki}/client224.key"), "--key: {pki}/client224.key: the server key must be"),
        (("--key", "{pki}/client.pem"), "--key: {pki}/client.pem: the server key is not a PEM private key"),
        (("--server-cert", "{pki}/server.pem"), "--server-cert needs the key"),
        (("--key", "{pki}/client.key", "--server-cert", "{pki}/server.pem"), "is not that of the server key"),
        (("--key", "{pki}/pinned-expired.key", "--server-cert", "{pki}/pinned-expired.pem"), "has expired"),
        (("--key", "{pki}/pinned-sha1.key", "--server-cert", "{pki}/pinned-sha1.pem"), "SHA-256"),
        (("--allow-suite", "TLS_PSK_WITH_AES_128_CBC_SHA"), "cannot be allowed: uses SHA-1"),
        (("--allow-suite", "TLS_PSK_WITH_NULL_SHA256"), "cannot be allowed: does not encrypt"),
        (("--allow-suite", "TLS_MADE_UP"), "TLS_MADE_UP is no cipher suite"),
        (("--engine", "other"), "invalid choice"),
        (("--engine", "tinydtls", *RPK), "--rpk cannot be had with --engine tinydtls"),
        (("--engine", "tinydtls", "--export-identity", "x"), "--export-identity cannot be had"),
        ((*RPK, "--psk", ENDPOINT, "i", "00" * 16), "this endpoint has a credential already"),
    ],
)  # fmt: skip
def test_refused_at_start(options: Sequence[str], message: str, pki: Pki, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        parse_arguments(filled(options, pki))
    assert error.value.code == 2
    assert message.format(pki=pki.folder) in capsys.readouterr().err


async def test_what_a_key_costs(caplog: pytest.LogCaptureFixture) -> None:
    async with running("--psk", "d", "i" * 33, "00" * 15, "--psk", "e", "e", "00" * 17):
        text = caplog.text
    assert "--psk d: the key is shorter than 16 bytes" in text
    assert "--psk d: the identity is longer than 32 bytes" in text
    assert "--psk e: the key is longer than 16 bytes" in text
    assert "00" * 15 not in text


async def test_the_constrained_engine(pki: Pki) -> None:
    psk = ("--psk", "d", peers.IDENTITY, peers.KEY.hex())
    command = peers.s_client_psk("PSK-AES128-CCM8", "-legacy_server_connect")
    async with running("--engine", "tinydtls", *psk) as server, calling(S_CLIENT, command, server, pki, "d"):
        assert server.listening["engine"].startswith("tinydtls")
        assert server.listening["suites"] == ["TLS_PSK_WITH_AES_128_CCM_8"]
        assert (await server.until("registered"))["security"]["mode"] == "psk"
