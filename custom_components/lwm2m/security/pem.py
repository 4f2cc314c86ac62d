"""Keys and certificates as people have them, in PEM or DER files: read, and held against the policy before use.

What a handshake would refuse later is refused here with the reason: curves of less than 256 bits, SHA-1, certificates
that are not valid now, or that are for another purpose. Errors are CredentialError and never hold a secret.
"""

import datetime as dt

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from .credential import CredentialError
from .server_identity import PERMITTED_CURVES, ServerIdentity

MAX_FILE = 1 << 20
MAX_AUTHORITIES = 64
MIN_RSA_BITS = 3072
"""Of a CA's key: as strong as an elliptic curve key of 256 bits (NIST SP 800-57 part 1, table 2)."""

_BEGIN = b"-----BEGIN "
_DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_DER = serialization.Encoding.DER


def read_public_key(data: bytes) -> bytes:
    """The DER SubjectPublicKeyInfo of a device's public key."""
    if b"PRIVATE KEY" in data:
        raise CredentialError("this is a private key, which stays in the device; its public key is needed here")
    if b"CERTIFICATE" in data:
        raise CredentialError("this is a certificate, where a public key is needed")
    try:
        load = serialization.load_pem_public_key if _BEGIN in data else serialization.load_der_public_key
        key = load(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialError(f"this is no public key that can be used{_curve_of(error)}") from error
    _check_key(key, "the key")
    return key.public_bytes(_DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_certificate(data: bytes, now: dt.datetime) -> bytes:
    """A device's own certificate as DER: the first of the file; what may follow is its chain."""
    certificate = _certificates(data)[0]
    _check_certificate(certificate, "the certificate", now, ExtendedKeyUsageOID.CLIENT_AUTH)
    return certificate.public_bytes(_DER)


def read_authorities(data: bytes, now: dt.datetime) -> tuple[bytes, ...]:
    """The certificates of trusted CAs as DER: all that are in the file."""
    certificates = _certificates(data)
    if len(certificates) > MAX_AUTHORITIES:
        raise CredentialError(f"there are more than {MAX_AUTHORITIES} certificates")
    for certificate in certificates:
        name = f"the CA {_name(certificate)}" if len(certificates) > 1 else "the CA"
        constraints = _extension(certificate, x509.BasicConstraints, name)
        if constraints is None or not constraints.ca:
            raise CredentialError(f"{name} is no CA: its certificate does not say that it may sign others")
        _check_certificate(certificate, name, now)
    return tuple(certificate.public_bytes(_DER) for certificate in certificates)


def read_server_identity(key: bytes, chain: bytes | None, now: dt.datetime) -> ServerIdentity:
    """The server's PEM key, and its PEM certificates (its own first) or one that is made of the key."""
    identity = ServerIdentity.from_pem(key, chain)
    for index, der in enumerate(identity.chain):
        certificate = x509.load_der_x509_certificate(der)
        name = "the server's CA" if index else "the server certificate"
        _check_certificate(certificate, name, now, None if index else ExtendedKeyUsageOID.SERVER_AUTH)
    return identity


def _certificates(data: bytes) -> list[x509.Certificate]:
    if len(data) > MAX_FILE:
        raise CredentialError("this is too large for certificates")
    try:
        if _BEGIN in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except ValueError as error:
        kind = "a key, where a certificate is needed" if b" KEY-----" in data else "no certificate"
        raise CredentialError(f"this is {kind}") from error


def _check_certificate(
    certificate: x509.Certificate, name: str, now: dt.datetime, purpose: ObjectIdentifier | None = None
) -> None:
    """Raise CredentialError for what the policy refuses. `purpose`: what an end entity's certificate must be for."""
    try:
        digest = certificate.signature_hash_algorithm
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialError(f"{name} cannot be used{_curve_of(error)}") from error
    if isinstance(digest, hashes.SHA1 | hashes.MD5):
        raise CredentialError(f"{name} is signed with {digest.name.upper()}, which is not permitted")
    if not isinstance(digest, _DIGESTS):
        raise CredentialError(f"{name} is not signed with SHA-256, SHA-384 or SHA-512")
    _check_key(key, f"the key of {name}", rsa_permitted=purpose is None)
    if now < certificate.not_valid_before_utc:
        raise CredentialError(f"{name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if now > certificate.not_valid_after_utc:
        raise CredentialError(f"{name} has expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if purpose is not None:
        _check_purpose(certificate, name, purpose)


def _check_purpose(certificate: x509.Certificate, name: str, purpose: ObjectIdentifier) -> None:
    extended = _extension(certificate, x509.ExtendedKeyUsage, name)
    if extended is not None and purpose not in extended and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in extended:
        side = "client" if purpose == ExtendedKeyUsageOID.CLIENT_AUTH else "server"
        raise CredentialError(f"the extended key usage of {name} does not permit a {side} to use it")
    usage = _extension(certificate, x509.KeyUsage, name)
    if usage is not None and not usage.digital_signature:
        raise CredentialError(f"the key usage of {name} does not permit signatures")


def _extension[T: x509.ExtensionType](certificate: x509.Certificate, kind: type[T], name: str) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise CredentialError(f"an extension of {name} cannot be read") from error


def _check_key(key: object, name: str, *, rsa_permitted: bool = False) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.key_size < 256:
            raise CredentialError(f"{name} has {key.curve.key_size} bits, less than 256, which is not permitted")
        if key.curve.name not in PERMITTED_CURVES:
            raise CredentialError(f"{name} is on the curve {key.curve.name}, and not on P-256, P-384 or P-521")
    elif rsa_permitted and isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise CredentialError(f"{name} is an RSA key of less than {MIN_RSA_BITS} bits, which is not permitted")
    else:
        raise CredentialError(f"{name} is no elliptic curve key")


def _curve_of(error: Exception) -> str:
    """What the library says of a curve that it does not have."""
    return " (its curve is not supported)" if "urve" in str(error) else ""


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return repr(str(names[0].value)) if names else "without a name"
