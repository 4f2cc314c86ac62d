"""The server's own key and certificate."""

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from custom_components.lwm2m.security.credential import CredentialError
from custom_components.lwm2m.security.server_identity import ServerIdentity

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, PKCS8, encryption)


def test_a_made_identity_is_whole_and_can_be_kept() -> None:
    made = ServerIdentity.generate("my server")
    again = ServerIdentity.from_pem(made.private_key_pem(), made.chain_pem())
    assert again == made
    certificate = x509.load_der_x509_certificate(made.chain[0])
    assert certificate.subject.rfc4514_string() == "CN=my server"
    assert b"BEGIN PUBLIC KEY" in made.public_key_pem()


def test_a_key_alone_gets_a_certificate() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    identity = ServerIdentity.from_pem(pem(key))
    assert len(identity.chain) == 1
    assert serialization.load_der_public_key(identity.public_key) == key.public_key()


def test_the_private_key_is_in_no_repr() -> None:
    identity = ServerIdentity.generate()
    assert identity.private_key.hex() not in repr(identity)
    assert repr(identity) == "ServerIdentity()"


OTHER = ServerIdentity.generate()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: (b"no key", None), "PEM private key"),
        (lambda: (pem(ec.generate_private_key(ec.SECP256R1()), b"pw"), None), "unencrypted"),
        (lambda: (pem(rsa.generate_private_key(65537, 2048)), None), "elliptic curve"),
        (lambda: (pem(ec.generate_private_key(ec.SECP224R1())), None), "P-256"),
        (lambda: (pem(ec.generate_private_key(ec.SECP256K1())), None), "P-256"),
        (lambda: (OTHER.private_key_pem(), b"no certificate"), "PEM certificate"),
        (lambda: (OTHER.private_key_pem(), ServerIdentity.generate().chain_pem()), "not that of the server key"),
        (
            lambda: (OTHER.private_key_pem(), OTHER.chain_pem() + ServerIdentity.generate("x").chain_pem()),
            "not in order",
        ),
        (lambda: (OTHER.private_key_pem(), OTHER.chain_pem() * 9), "more than 8"),
    ],
)
def test_refuses_what_breaks_a_rule(make: Callable[[], tuple[bytes, bytes | None]], words: str) -> None:
    key, chain = make()
    with pytest.raises(CredentialError, match=words):
        ServerIdentity.from_pem(key, chain)
