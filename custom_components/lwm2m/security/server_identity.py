"""The key with which this server proves itself to devices, and its certificate chain."""

import datetime as dt
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .credential import CredentialError

PERMITTED_CURVES = ("secp256r1", "secp384r1", "secp521r1")
MAX_CHAIN = 8


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """`private_key` is PKCS #8 DER, `chain` DER certificates with the server's own first (at least one)."""

    private_key: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    """DER SubjectPublicKeyInfo: what a device with raw public keys is given."""
    chain: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def generate(cls, common_name: str = "LwM2M server") -> Self:
        """A new P-256 key with a self-signed certificate that does not expire (RFC 5280 section 4.1.2.5)."""
        return cls._self_signed(ec.generate_private_key(ec.SECP256R1()), common_name)

    @classmethod
    def from_pem(cls, key: bytes, chain: bytes | None = None) -> Self:
        """From a PEM private key and PEM certificates, the server's own first. Raises CredentialError."""
        try:
            private_key = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CredentialError("the server key is not an unencrypted PEM private key") from error
        if not isinstance(private_key, ec.EllipticCurvePrivateKey) or private_key.curve.name not in PERMITTED_CURVES:
            raise CredentialError("the server key must be an elliptic curve key on P-256, P-384 or P-521")
        if chain is None:
            return cls._self_signed(private_key, "LwM2M server")
        try:
            certificates = x509.load_pem_x509_certificates(chain)
        except ValueError as error:
            raise CredentialError("the server certificate is not a PEM certificate") from error
        if len(certificates) > MAX_CHAIN:
            raise CredentialError(f"the server's chain has more than {MAX_CHAIN} certificates")
        public_key = _spki(private_key)
        if certificates[0].public_key().public_bytes(*_SPKI) != public_key:
            raise CredentialError("the server certificate is not that of the server key")
        for certificate, issuer in pairwise(certificates):
            try:
                certificate.verify_directly_issued_by(issuer)
            except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
                raise CredentialError(
                    "the server's chain is not in order, each certificate signed by the next"
                ) from error
        for certificate in certificates:
            if not isinstance(certificate.signature_hash_algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
                raise CredentialError("a certificate of the server's chain is not signed with SHA-256 or better")
        return cls(
            _pkcs8(private_key), public_key, tuple(c.public_bytes(serialization.Encoding.DER) for c in certificates)
        )

    @classmethod
    def _self_signed(cls, key: ec.EllipticCurvePrivateKey, common_name: str) -> Self:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
            .not_valid_after(dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(_pkcs8(key), _spki(key), (certificate.public_bytes(serialization.Encoding.DER),))

    def private_key_pem(self) -> bytes:
        """The private key as PKCS #8 PEM, for keeping it."""
        key = serialization.load_der_private_key(self.private_key, None)
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def public_key_pem(self) -> bytes:
        """The public key as PEM, for a device."""
        return serialization.load_der_public_key(self.public_key).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def chain_pem(self) -> bytes:
        """The certificates as PEM, the server's own first."""
        return b"".join(x509.load_der_x509_certificate(c).public_bytes(serialization.Encoding.PEM) for c in self.chain)


_SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(*_SPKI)


def _pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
