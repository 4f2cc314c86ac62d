"""The server's own key and certificate."""

import datetime as dt
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from custom_components.lwm2m.security.credential import CredentialError
from custom_components.lwm2m.security.identity import fingerprint
from custom_components.lwm2m.security.server_identity import ServerIdentity

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, PKCS8, encryption)


def test_a_made_identity_is_whole_and_can_be_kept() -> None:
    made = ServerIdentity.generate(["my-server"])
    again = ServerIdentity.from_pem(made.private_key_pem(), made.chain_pem())
    assert again == made
    certificate = x509.load_der_x509_certificate(made.chain[0])
    assert certificate.subject.rfc4514_string() == "CN=my-server"
    assert b"BEGIN PUBLIC KEY" in made.public_key_pem()


def test_a_key_alone_gets_a_certificate() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    identity = ServerIdentity.from_pem(pem(key), names=["ha.local"])
    assert len(identity.chain) == 1
    assert serialization.load_der_public_key(identity.public_key) == key.public_key()
    assert identity.names == ("ha.local",)


@pytest.mark.parametrize("format_", [PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_with_its_password(format_: serialization.PrivateFormat) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    encrypted = key.private_bytes(PEM, format_, serialization.BestAvailableEncryption(b"pw"))
    identity = ServerIdentity.from_pem(encrypted, password=b"pw")
    assert serialization.load_der_public_key(identity.public_key) == key.public_key()
    with pytest.raises(CredentialError, match="the password of the server key is wrong"):
        ServerIdentity.from_pem(encrypted, password=b"other")
    with pytest.raises(CredentialError, match="its password was not given"):
        ServerIdentity.from_pem(encrypted, password=b"")
    assert ServerIdentity.from_pem(pem(key), password=b"of no use").private_key


def test_key_and_certificates_in_one_file() -> None:
    made = ServerIdentity.generate()
    both = made.chain_pem() + made.private_key_pem()
    assert ServerIdentity.from_pem(both, both) == made


NAMES = ["homeassistant", "homeassistant.local", "192.0.2.1", "2001:db8::1"]


def test_a_made_certificate_holds_the_names_and_is_valid_for_a_device_without_a_clock() -> None:
    made = ServerIdentity.generate(NAMES)
    certificate = x509.load_der_x509_certificate(made.certificate)
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(alternatives) == [
        x509.DNSName("homeassistant"),
        x509.DNSName("homeassistant.local"),
        x509.IPAddress(IPv4Address("192.0.2.1")),
        x509.IPAddress(IPv6Address("2001:db8::1")),
    ]
    assert made.names == tuple(NAMES)
    assert certificate.subject.rfc4514_string() == "CN=homeassistant"
    assert certificate.not_valid_before_utc == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert b"\x17\x0d700101000000Z" in made.certificate, "as UTCTime"
    assert b"\x18\x0f99991231235959Z" in made.certificate, "as GeneralizedTime: no expiry"
    certificate.verify_directly_issued_by(certificate)


def test_without_names() -> None:
    made = ServerIdentity.generate()
    assert x509.load_der_x509_certificate(made.certificate).subject.rfc4514_string() == "CN=LwM2M server"
    assert made.names == ()


def test_a_long_name_is_no_common_name() -> None:
    long = ".".join(["a" * 63] * 3)
    made = ServerIdentity.generate([long])
    assert x509.load_der_x509_certificate(made.certificate).subject.rfc4514_string() == "CN=LwM2M server"
    assert made.names == (long,)
    made = ServerIdentity.generate([long, "ha"])
    assert x509.load_der_x509_certificate(made.certificate).subject.rfc4514_string() == "CN=ha"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["my server"], "'my server' is neither a host name nor an IP address"),
        ([""], "'' is neither"),
        (["a..b"], "'a..b' is neither"),
        (["ha."], "'ha.' is neither"),
        (["-a"], "'-a' is neither"),
        (["größe.example"], "'größe.example' is neither"),
        (["a" * 64], "is neither"),
        (["a." * 126 + "bc"], "is neither"),
        (["192.0.2.300"], "'192.0.2.300' is neither"),
        (["192.0.2.1:5684"], "is neither"),
        (["*.example"], "is neither"),
        (["fe80::1%eth0"], "leave out what follows %"),
        (["ha", "HA"], "the name 'HA' is there twice"),
        (["::1", "0:0::1"], "the name '0:0::1' is there twice"),
        (["new\nline"], r"'new\\\\x0aline' is neither"),
        ([f"n{number}" for number in range(33)], "at most 32 names"),
    ],
)
def test_names_that_cannot_be_used(names: list[str], words: str) -> None:
    with pytest.raises(CredentialError, match=words):
        ServerIdentity.generate(names)


@pytest.mark.parametrize(("curve", "size"), [(ec.SECP256R1(), 32), (ec.SECP384R1(), 48), (ec.SECP521R1(), 66)], ids=str)
def test_what_devices_and_people_are_given(curve: ec.EllipticCurve, size: int) -> None:
    key = ec.generate_private_key(curve)
    identity = ServerIdentity.from_pem(pem(key))
    numbers = key.public_key().public_numbers()
    assert identity.x == numbers.x.to_bytes(size)
    assert identity.y == numbers.y.to_bytes(size)
    assert identity.point == b"\x04" + identity.x + identity.y
    assert identity.certificate == identity.chain[0]
    assert identity.certificate_fingerprint == sha256(identity.certificate).hexdigest()
    assert identity.public_key_fingerprint == sha256(identity.public_key).hexdigest()
    assert identity.public_key_fingerprint.startswith(fingerprint(identity.public_key))


def test_the_private_key_is_in_no_repr() -> None:
    identity = ServerIdentity.generate()
    assert identity.private_key.hex() not in repr(identity)
    assert repr(identity) == "ServerIdentity()"


OTHER = ServerIdentity.generate()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: (b"no key", None), "PEM private key"),
        (lambda: (pem(ec.generate_private_key(ec.SECP256R1()), b"pw"), None), "its password was not given"),
        (lambda: (pem(rsa.generate_private_key(65537, 2048)), None), "elliptic curve"),
        (lambda: (pem(ec.generate_private_key(ec.SECP224R1())), None), "P-256"),
        (lambda: (pem(ec.generate_private_key(ec.SECP256K1())), None), "P-256"),
        (lambda: (OTHER.private_key_pem(), b"no certificate"), "PEM certificate"),
        (lambda: (OTHER.private_key_pem(), ServerIdentity.generate().chain_pem()), "not that of the server key"),
        (
            lambda: (OTHER.private_key_pem(), OTHER.chain_pem() + ServerIdentity.generate(["x"]).chain_pem()),
            "not in order",
        ),
        (lambda: (OTHER.private_key_pem(), OTHER.chain_pem() * 9), "more than 8"),
    ],
)
def test_refuses_what_breaks_a_rule(make: Callable[[], tuple[bytes, bytes | None]], words: str) -> None:
    key, chain = make()
    with pytest.raises(CredentialError, match=words):
        ServerIdentity.from_pem(key, chain)
