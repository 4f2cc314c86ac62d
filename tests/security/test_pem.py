"""Files of keys and certificates: what is read, and what is refused with which words."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from custom_components.lwm2m.security import pem
from custom_components.lwm2m.security.credential import CredentialError
from custom_components.lwm2m.security.pem import (
    read_authorities,
    read_certificate,
    read_public_key,
    read_server_identity,
)

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
type Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KEY = ec.generate_private_key(ec.SECP256R1())


def make(
    key: Key = KEY,
    *extensions: x509.ExtensionType,
    name: str | None = "a",
    start: dt.datetime = dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(365))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def usage(*, signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signature, not signature, False, False, False, False, False, False, False)


CA = x509.BasicConstraints(ca=True, path_length=None)


def test_a_public_key_in_both_forms() -> None:
    der = KEY.public_key().public_bytes(DER, SPKI)
    assert read_public_key(der) == der
    assert read_public_key(b"a remark\n" + KEY.public_key().public_bytes(PEM, SPKI)) == der


def test_a_certificate_in_both_forms() -> None:
    certificate = make(KEY, usage(signature=True), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
    der, text = certificate.public_bytes(DER), certificate.public_bytes(PEM)
    other = make(ec.generate_private_key(ec.SECP256R1()))
    assert read_certificate(der, NOW) == der
    assert read_certificate(text, NOW) == der
    assert read_certificate(text + other.public_bytes(PEM), NOW) == der, "the device's own comes first"


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (make(start=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)), "has expired on 2024-12-31 00:00 UTC"),
        (make(start=dt.datetime(2027, 1, 1, tzinfo=dt.UTC)), "is not valid before 2027-01-01 00:00 UTC"),
        (make(KEY, usage(signature=False)), "the key usage of the certificate does not permit signatures"),
        (make(KEY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])), "does not permit a client to use it"),
        (make(ed25519.Ed25519PrivateKey.generate()), "is not signed with SHA-256, SHA-384 or SHA-512"),
        (make(rsa.generate_private_key(65537, 3072)), "the key of the certificate is no elliptic curve key"),
        (make(ec.generate_private_key(ec.SECP256K1())), "on the curve secp256k1, and not on P-256"),
        (make(ec.generate_private_key(ec.SECP224R1())), "has 224 bits, less than 256"),
        (
            make(KEY, x509.UnrecognizedExtension(ExtendedKeyUsageOID.CLIENT_AUTH, b""),
                 x509.UnrecognizedExtension(x509.OID_EXTENDED_KEY_USAGE, b"\x01")),
            "an extension of the certificate cannot be read",
        ),
    ],
)  # fmt: skip
def test_certificates_that_are_refused(certificate: x509.Certificate, words: str) -> None:
    with pytest.raises(CredentialError, match=words):
        read_certificate(certificate.public_bytes(PEM), NOW)


def test_a_certificate_on_a_curve_that_is_not_known() -> None:
    der = make().public_bytes(DER)
    curve = bytes.fromhex("06082a8648ce3d030107")
    assert der.count(curve) == 1
    with pytest.raises(CredentialError, match="the certificate cannot be used"):
        read_certificate(der.replace(curve, curve[:-1] + b"\x7f"), NOW)


def test_authorities() -> None:
    one, two = make(KEY, CA), make(rsa.generate_private_key(65537, 3072), CA, name="two")
    both = one.public_bytes(PEM) + two.public_bytes(PEM)
    assert read_authorities(both, NOW) == (one.public_bytes(DER), two.public_bytes(DER))


@pytest.mark.parametrize(
    ("certificates", "words"),
    [
        ([make()], "the CA is no CA: its certificate does not say that it may sign others"),
        ([make(KEY, x509.BasicConstraints(ca=False, path_length=None))], "the CA is no CA"),
        ([make(KEY, CA), make(name="b")], "the CA 'b' is no CA"),
        ([make(KEY, CA), make(name=None)], "the CA without a name is no CA"),
        ([make(rsa.generate_private_key(65537, 2048), CA)], "the key of the CA is an RSA key of less than 3072 bits"),
        ([make(KEY, CA)] * (pem.MAX_AUTHORITIES + 1), "more than 64 certificates"),
    ],
)
def test_authorities_that_are_refused(certificates: list[x509.Certificate], words: str) -> None:
    with pytest.raises(CredentialError, match=words):
        read_authorities(b"".join(certificate.public_bytes(PEM) for certificate in certificates), NOW)


@pytest.mark.parametrize("data", [b"", b"\0" * 99, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_nonsense(data: bytes) -> None:
    with pytest.raises(CredentialError):
        read_public_key(data)
    with pytest.raises(CredentialError, match="no certificate"):
        read_certificate(data, NOW)


def test_too_large() -> None:
    with pytest.raises(CredentialError, match="too large"):
        read_certificate(bytes(pem.MAX_FILE + 1), NOW)


def test_the_servers_own() -> None:
    key = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    good = make(KEY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]))
    assert read_server_identity(key, good.public_bytes(PEM), NOW).chain == (good.public_bytes(DER),)
    assert read_server_identity(key, None, NOW).public_key == KEY.public_key().public_bytes(DER, SPKI)
    client = make(KEY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
    with pytest.raises(CredentialError, match="the server certificate does not permit a server"):
        read_server_identity(key, client.public_bytes(PEM), NOW)
    with pytest.raises(CredentialError, match="the server certificate has expired"):
        read_server_identity(key, make(start=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)).public_bytes(PEM), NOW)
