"""Files of keys and certificates: what is read, and what is refused with which words."""

import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from custom_components.lwm2m.security import pem
from custom_components.lwm2m.security.credential import CredentialError
from custom_components.lwm2m.security.pem import (
    read_authorities,
    read_certificate,
    read_pkcs12,
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


X, Y = (
    number.to_bytes(32).hex() for number in (KEY.public_key().public_numbers().x, KEY.public_key().public_numbers().y)
)
SPACED = ":".join(f"04{X}{Y}"[at : at + 2] for at in range(0, 130, 2))
OF_OPENSSL = "pub:\n" + "".join(f"    {SPACED[at : at + 45]}\n" for at in range(0, len(SPACED), 45)) + "\n"
IN_C = "{" + ", ".join(f"0x{octet:02X}" for octet in bytes.fromhex(f"04{X}{Y}")) + "};"


@pytest.mark.parametrize(
    "text",
    [
        f"04{X}{Y}",
        f"0x04{X}{Y}".upper().replace("0X", "0x"),
        f"{X}{Y}",
        f" {X} {Y}\n",
        f"{X}\r\n{Y}",
        f"{X},{Y}",
        f"x={X} y={Y}",
        f"X: {X}\nY: {Y}",
        f"x = 0x{X}; y = 0x{Y}",
        f"Qx = {X}\nQy = {Y}",
        f"04 {X} {Y}",
        SPACED,
        OF_OPENSSL,
        IN_C,
        base64.b64encode(KEY.public_key().public_bytes(DER, SPKI)).decode(),
        base64.encodebytes(KEY.public_key().public_bytes(DER, SPKI)).decode(),
        KEY.public_key().public_bytes(DER, SPKI).hex(),
    ],
)
def test_a_public_key_as_text(text: str) -> None:
    assert read_public_key(text.encode()) == KEY.public_key().public_bytes(DER, SPKI)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"04{X}{Y[:-4]}", "65, 97 or 133 bytes"),
        (f"04{X}{'0' * 64}", "no point of the curve"),
        (f"{Y} {X}", "no point of the curve"),
        ("00" * 64, "no point of the curve"),
        ("ff" * 64, "no point of the curve"),
        (f"{X}", "two words"),
        (f"{X} {X} {Y} {Y}", "two words"),
        (f"{'ab' * 67} {'ab' * 67}", "two words"),
        ("0x", "no public key that can be used"),
        ("x= y=", "no public key that can be used"),
        (f"x={X} y=g{Y[1:]}", "no public key that can be used"),
        ("30" + "00" * 90, "no public key that can be used"),
        ("ab" * 2000, "no public key that can be used"),
        (base64.b64encode(make().public_bytes(DER)).decode(), "no public key that can be used"),
        (base64.b64encode(b"a key").decode(), "no public key that can be used"),
    ],
)
def test_text_that_is_no_public_key(text: str, words: str) -> None:
    with pytest.raises(CredentialError, match=words):
        read_public_key(text.encode())


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=str)
def test_the_curve_comes_from_the_length(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve).public_key()
    x, y = key.public_numbers().x, key.public_numbers().y
    size = (curve.key_size + 7) // 8
    for text in (f"04{x:0{2 * size}x}{y:0{2 * size}x}", f"{x:0{2 * size}x} {y:0{2 * size}x}"):
        assert read_public_key(text.encode()) == key.public_bytes(DER, SPKI)


def test_coordinates_that_begin_like_der() -> None:
    while True:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        x, y = key.public_numbers().x, key.public_numbers().y
        if x >> 248 == 0x30:
            break
    assert read_public_key(f"{x:064x}{y:064x}".encode()) == key.public_bytes(DER, SPKI)


def test_coordinates_without_the_zeros_that_they_begin_with() -> None:
    """Some tools print numbers and not octets."""
    while True:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        x, y = key.public_numbers().x, key.public_numbers().y
        if x < 1 << 252:
            break
    assert read_public_key(f"x={x:x} y={y:x}".encode()) == key.public_bytes(DER, SPKI)


def test_a_private_key_or_a_certificate_is_no_public_key() -> None:
    private = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(CredentialError, match="this is a private key, which stays in the device"):
        read_public_key(private)
    with pytest.raises(CredentialError, match="this is a certificate"):
        read_public_key(make().public_bytes(PEM))


def test_a_certificate_in_base64() -> None:
    der, ca = make().public_bytes(DER), make(KEY, CA).public_bytes(DER)
    assert read_certificate(base64.encodebytes(der), NOW) == der
    assert read_authorities(base64.b64encode(ca), NOW) == (ca,)


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


def issued(by: x509.Certificate, by_key: Key, key: Key, name: str, *extensions: x509.ExtensionType) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(by.subject)
        .public_key(key.public_key())
        .serial_number(2)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(by_key, hashes.SHA256())


ROOT_KEY, MIDDLE_KEY = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
ROOT = make(ROOT_KEY, CA, name="root")
MIDDLE = issued(ROOT, ROOT_KEY, MIDDLE_KEY, "middle", CA)
LEAF = issued(MIDDLE, MIDDLE_KEY, KEY, "server", x509.SubjectAlternativeName([x509.DNSName("ha.local")]))


def packed(
    key: Key | None,
    certificate: x509.Certificate | None,
    others: list[x509.Certificate] | None = None,
    encryption: serialization.KeySerializationEncryption | None = None,
) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"name",
        key,
        certificate,
        others,
        encryption or serialization.BestAvailableEncryption(b"pw"),
    )


def test_pkcs12_holds_key_and_chain_in_any_order() -> None:
    identity = read_pkcs12(packed(KEY, LEAF, [ROOT, make(name="a stranger"), MIDDLE]), b"pw", NOW)
    assert identity.chain == tuple(certificate.public_bytes(DER) for certificate in (LEAF, MIDDLE, ROOT))
    assert identity.names == ("ha.local",)
    private = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = b"".join(certificate.public_bytes(PEM) for certificate in (LEAF, MIDDLE, ROOT))
    assert read_server_identity(private, chain, NOW) == identity


@pytest.mark.parametrize("password", [None, b""])
def test_pkcs12_without_a_password(password: bytes | None) -> None:
    data = packed(KEY, LEAF, None, serialization.NoEncryption())
    assert read_pkcs12(data, password, NOW).chain == (LEAF.public_bytes(DER),)


def test_pkcs12_as_old_programs_write_it() -> None:
    """Protected with SHA-1 and triple DES, which says nothing of the certificates in it."""
    old = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(b"pw")
    )
    assert read_pkcs12(packed(KEY, LEAF, [MIDDLE], old), b"pw", NOW).names == ("ha.local",)


@pytest.mark.parametrize(
    ("data", "password", "words"),
    [
        (packed(KEY, LEAF), b"other", "the password of the PKCS #12 file is wrong"),
        (packed(KEY, LEAF), None, "the password of the PKCS #12 file was not given"),
        (packed(KEY, LEAF), b"p\0w", "holds a zero byte"),
        (packed(KEY, LEAF)[:-1], b"pw", "no PKCS #12 file that can be read"),
        (b"", b"pw", "no PKCS #12 file that can be read"),
        (bytes(pem.MAX_FILE + 1), b"pw", "too large"),
        (packed(None, LEAF), b"pw", "does not hold both"),
        (packed(KEY, None), b"pw", "does not hold both"),
        (packed(rsa.generate_private_key(65537, 2048), None, [LEAF]), b"pw", "does not hold both"),
        (packed(KEY, make(start=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))), b"pw", "the server certificate has expired"),
        (packed(KEY, make(KEY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))), b"pw", "permit a server"),
    ],
)
def test_pkcs12_that_is_refused(data: bytes, password: bytes | None, words: str) -> None:
    with pytest.raises(CredentialError, match=words):
        read_pkcs12(data, password, NOW)


def test_pkcs12_with_a_key_that_a_server_cannot_have() -> None:
    key = rsa.generate_private_key(65537, 3072)
    with pytest.raises(CredentialError, match="must be an elliptic curve key"):
        read_pkcs12(packed(key, make(key)), b"pw", NOW)


def test_the_servers_own() -> None:
    key = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    good = make(KEY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]))
    assert read_server_identity(key, good.public_bytes(PEM), NOW).chain == (good.public_bytes(DER),)
    assert read_server_identity(key, None, NOW).public_key == KEY.public_key().public_bytes(DER, SPKI)
    client = make(KEY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
    with pytest.raises(CredentialError, match="the server certificate does not permit a server"):
        read_server_identity(key, client.public_bytes(PEM), NOW)
    encrypted = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw"))
    made = read_server_identity(encrypted, None, NOW, b"pw", ["ha.local"])
    assert made.names == ("ha.local",)
    with pytest.raises(CredentialError, match="the server certificate has expired"):
        read_server_identity(key, make(start=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)).public_bytes(PEM), NOW)
