"""The key with which this server proves itself to devices, and its certificate chain."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise
from typing import Final, Self, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .credential import CredentialError
from .identity import printable

PERMITTED_CURVES = ("secp256r1", "secp384r1", "secp521r1")
MAX_CHAIN = 8
MAX_NAMES: Final = 32
"""Names in a certificate that is made here."""

DEFAULT_NAME: Final = "LwM2M server"
MAX_COMMON_NAME: Final = 64
"""Characters in a common name (RFC 5280 appendix A, ub-common-name)."""

NOT_BEFORE: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""A device without a clock counts from here; as UTCTime it is 700101000000Z (RFC 5280 section 4.1.2.5.1)."""

NOT_AFTER: Final = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""No expiry (RFC 5280 section 4.1.2.5)."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """`private_key` is PKCS #8 DER, `chain` DER certificates with the server's own first (at least one)."""

    private_key: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    """DER SubjectPublicKeyInfo: what a device with raw public keys is given."""
    chain: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def generate(cls, names: Sequence[str] = ()) -> Self:
        """A new P-256 key with a self-signed certificate that is always valid.

        `names` are the host names and addresses by which devices call the server, 32 at most; the first one that is
        short enough is the common name. Raises CredentialError for a name that cannot stand in a certificate.
        """
        return cls._self_signed(ec.generate_private_key(ec.SECP256R1()), names)

    @classmethod
    def from_pem(
        cls, key: bytes, chain: bytes | None = None, password: bytes | None = None, names: Sequence[str] = ()
    ) -> Self:
        """From a PEM private key and PEM certificates, the server's own first. Raises CredentialError.

        `password` is that of an encrypted key. Without certificates one is made, with `names` as in `generate`.
        """
        encrypted = b"ENCRYPTED" in key
        try:
            private_key = serialization.load_pem_private_key(key, password=password or None if encrypted else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CredentialError(_why_no_key(encrypted=encrypted, password=bool(password))) from error
        if chain is None:
            return cls._self_signed(permitted_key(private_key), names)
        try:
            certificates = x509.load_pem_x509_certificates(chain)
        except (ValueError, x509.InvalidVersion) as error:
            raise CredentialError("the server certificate is not a PEM certificate") from error
        return cls.of(private_key, certificates)

    @classmethod
    def of(cls, private_key: object, chain: Sequence[x509.Certificate]) -> Self:
        """From a key and its certificates, the server's own first. Raises CredentialError for what breaks a rule."""
        key = permitted_key(private_key)
        if len(chain) > MAX_CHAIN:
            raise CredentialError(f"the server's chain has more than {MAX_CHAIN} certificates")
        public_key = _spki(key.public_key())
        if _public_key_of(chain[0]) != public_key:
            raise CredentialError("the server certificate is not that of the server key")
        for certificate, issuer in pairwise(chain):
            if not is_issued_by(certificate, issuer):
                raise CredentialError("the server's chain is not in order, each certificate signed by the next")
        if not all(map(_is_signed_well, chain)):
            raise CredentialError("a certificate of the server's chain is not signed with SHA-256 or better")
        return cls(_pkcs8(key), public_key, tuple(c.public_bytes(serialization.Encoding.DER) for c in chain))

    @classmethod
    def _self_signed(cls, key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> Self:
        subject = next((name for name in names if len(name) <= MAX_COMMON_NAME), DEFAULT_NAME)
        alternatives = alternative_names(names)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOT_BEFORE)
            .not_valid_after(NOT_AFTER)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        return cls(_pkcs8(key), _spki(key.public_key()), (certificate.public_bytes(serialization.Encoding.DER),))

    # For people, and for the settings of devices

    @property
    def certificate(self) -> bytes:
        """The server's own certificate in DER: what a device that pins it is given."""
        return self.chain[0]

    @property
    def certificate_fingerprint(self) -> str:
        """SHA-256 of the server's own certificate, in hexadecimal; `identity.fingerprint` is its first half."""
        return sha256(self.certificate).hexdigest()

    @property
    def public_key_fingerprint(self) -> str:
        """SHA-256 of the public key (DER SubjectPublicKeyInfo), in hexadecimal."""
        return sha256(self.public_key).hexdigest()

    @property
    def point(self) -> bytes:
        """The public key as uncompressed point, 04 || x || y (SEC 1 section 2.3.3)."""
        return serialization.load_der_public_key(self.public_key).public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @property
    def x(self) -> bytes:
        """The x coordinate of the public key, as long as the curve's field is."""
        point = self.point
        return point[1 : 1 + len(point) // 2]

    @property
    def y(self) -> bytes:
        """The y coordinate of the public key, as long as the curve's field is."""
        point = self.point
        return point[1 + len(point) // 2 :]

    @property
    def names(self) -> tuple[str, ...]:
        """The host names and addresses that the server's own certificate is for."""
        certificate = x509.load_der_x509_certificate(self.certificate)
        try:
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError:
            return ()
        return tuple(str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress))

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


def alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """What host names and addresses are in a certificate. Raises CredentialError that names what is none."""
    if len(names) > MAX_NAMES:
        raise CredentialError(f"a certificate has at most {MAX_NAMES} names")
    found: dict[object, x509.GeneralName] = {}
    for name in names:
        address = _address(name)
        key, value = (name.lower(), x509.DNSName(name)) if address is None else (address, x509.IPAddress(address))
        if key in found:
            raise CredentialError(f"the name {printable(name)!r} is there twice")
        found[key] = value
    return list(found.values())


_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)
_MAX_HOST_NAME: Final = 253


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """The address that a name is; None: it is a host name. Raises CredentialError for what is neither."""
    try:
        address = ip_address(name)
    except ValueError:
        labels = name.split(".")
        # What ends in a number is meant as an IPv4 address (RFC 1123 section 2.1).
        if len(name) > _MAX_HOST_NAME or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdecimal():
            raise CredentialError(f"{printable(name)!r} is neither a host name nor an IP address") from None
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise CredentialError(f"the address {printable(name)!r} counts in one network only: leave out what follows %")
    return address


def permitted_key(key: object) -> ec.EllipticCurvePrivateKey:
    """The key itself. Raises CredentialError where a server cannot have it."""
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in PERMITTED_CURVES:
        raise CredentialError("the server key must be an elliptic curve key on P-256, P-384 or P-521")
    return key


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` is named in a certificate, and has signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm:
        return False
    return True


def _why_no_key(*, encrypted: bool, password: bool) -> str:
    if not encrypted:
        return "the server key is not a PEM private key"
    if not password:
        return "the server key is encrypted, and its password was not given"
    return "the password of the server key is wrong, or the key is damaged"


def _is_signed_well(certificate: x509.Certificate) -> bool:
    try:
        return isinstance(certificate.signature_hash_algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512)
    except UnsupportedAlgorithm:
        return False


def _public_key_of(certificate: x509.Certificate) -> bytes | None:
    try:
        return _spki(cast("ec.EllipticCurvePublicKey", certificate.public_key()))
    except ValueError, UnsupportedAlgorithm:
        return None


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
