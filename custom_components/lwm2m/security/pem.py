"""Keys and certificates as people have them, in PEM or DER files: read, and held against the policy before use.

What a handshake would refuse later is refused here with the reason: curves of less than 256 bits, SHA-1, certificates
that are not valid now, or that are for another purpose. Errors are CredentialError and never hold a secret.
"""

import base64
import datetime as dt
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from .credential import CredentialError
from .server_identity import PERMITTED_CURVES, ServerIdentity, is_issued_by

MAX_FILE = 1 << 20
MAX_AUTHORITIES = 64
MIN_RSA_BITS = 3072
"""Of a CA's key: as strong as an elliptic curve key of 256 bits (NIST SP 800-57 part 1, table 2)."""

_BEGIN = b"-----BEGIN "
_CURVES = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
_X_AND_Y = tuple(4 * ((curve.key_size + 7) // 8) for curve in _CURVES)
"""Hexadecimal digits of both coordinates."""
_MAX_POINT_TEXT = 2048
_DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_DER = serialization.Encoding.DER


def read_public_key(data: bytes) -> bytes:
    """The DER SubjectPublicKeyInfo of a device's public key.

    From PEM, DER, DER in Base64, or in hexadecimal: the uncompressed point (04, x, y), x and y as two words, or DER.
    """
    if b"PRIVATE KEY" in data:
        raise CredentialError("this is a private key, which stays in the device; its public key is needed here")
    if b"CERTIFICATE" in data:
        raise CredentialError("this is a certificate, where a public key is needed")
    try:
        key = _load_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, CredentialError):
            raise
        raise CredentialError(f"this is no public key that can be used{_curve_of(error)}") from error
    _check_key(key, "the key")
    return key.public_bytes(_DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _load_public_key(data: bytes) -> PublicKeyTypes:
    if _BEGIN in data:
        return serialization.load_pem_public_key(data)
    if (words := _hexadecimal_words(data)) is None:
        return serialization.load_der_public_key(_without_base64(data))
    if len(words) == 1 and words[0].startswith("30") and len(words[0]) not in _X_AND_Y:
        return serialization.load_der_public_key(bytes.fromhex(words[0]))
    return _point(words)


def _hexadecimal_words(data: bytes) -> list[str] | None:
    """The words of a text in hexadecimal; labels (x=, Y:, pub:), prefixes (0x), colons and braces are left out."""
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError:
        return None
    if len(text) > _MAX_POINT_TEXT or not text:
        return None
    text = re.sub(r"(?<![0-9a-f:])(q?[xy]|pub)\s*[=:]", " ", text.lower())
    words = [word.removeprefix("0x").replace(":", "") for word in re.split(r"[\s,;{}]+", text)]
    words = [word for word in words if word]
    return words if words and all(re.fullmatch("[0-9a-f]+", word) for word in words) else None


def _point(words: list[str]) -> ec.EllipticCurvePublicKey:
    """The public key of a point: its curve is the one that has coordinates of this length."""
    digits = "".join(words)
    for curve, length in zip(_CURVES, _X_AND_Y, strict=True):
        if len(digits) == 2 + length and digits.startswith("04"):
            digits = digits[2:]
        elif len(words) == 2 and max(map(len, words)) <= length // 2:  # zeros that they begin with may be left out
            digits = words[0].zfill(length // 2) + words[1].zfill(length // 2)
        if len(digits) == length:
            x, y = int(digits[: length // 2], 16), int(digits[length // 2 :], 16)
            try:
                return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
            except ValueError as error:
                raise CredentialError("x and y are no point of the curve: a digit is wrong or missing") from error
    raise CredentialError(
        "a public key in hexadecimal has 65, 97 or 133 bytes that begin with 04, or two words: x and y of 32, 48 or 66"
    )


def _without_base64(data: bytes) -> bytes:
    """What a text says in Base64; what is no such text itself."""
    try:
        return base64.b64decode(b"".join(data.split()), validate=True) or data
    except ValueError:
        return data


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


def read_server_identity(
    key: bytes,
    chain: bytes | None,
    now: dt.datetime,
    password: bytes | None = None,
    names: Sequence[str] = (),
) -> ServerIdentity:
    """The server's PEM key, and its PEM certificates (its own first) or one that is made of the key for `names`."""
    return _check_identity(ServerIdentity.from_pem(key, chain, password, names), now)


def read_pkcs12(data: bytes, password: bytes | None, now: dt.datetime) -> ServerIdentity:
    """The server's key and certificates from a PKCS #12 file, in which the chain may be in any order."""
    if len(data) > MAX_FILE:
        raise CredentialError("this is too large for a PKCS #12 file")
    if password and b"\0" in password:  # which the library does not survive
        raise CredentialError("the password of the PKCS #12 file holds a zero byte")
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        if "password" in str(error).lower():
            why = "is wrong, or the file is damaged" if password else "was not given"
            raise CredentialError(f"the password of the PKCS #12 file {why}") from error
        raise CredentialError("this is no PKCS #12 file that can be read") from error
    if key is None or certificate is None:
        raise CredentialError("the PKCS #12 file does not hold both a private key and its certificate")
    return _check_identity(ServerIdentity.of(key, _chain(certificate, others)), now)


def _chain(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """A certificate and those above it, each signed by the next; what belongs to another chain is left out."""
    chain, left = [certificate], list(others)
    while issuer := next((other for other in left if is_issued_by(chain[-1], other)), None):
        left.remove(issuer)
        chain.append(issuer)
    return chain


def _check_identity(identity: ServerIdentity, now: dt.datetime) -> ServerIdentity:
    """Itself. Raises CredentialError for what the policy refuses."""
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
        return [x509.load_der_x509_certificate(_without_base64(data))]
    except (ValueError, x509.InvalidVersion) as error:
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
