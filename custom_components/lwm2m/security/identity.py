"""What a handshake proved about a peer, and whether that peer may be a given endpoint."""

from dataclasses import dataclass
from hashlib import sha256

from .credential import Certificate, Credential, Psk, RawPublicKey, SecurityMode
from .refusal import Reason, Refusal

LABEL_LENGTH = 64
"""Characters in the longest label that is shown or logged."""


def printable(data: bytes | str) -> str:
    """At most 64 printable characters for a log or a page; what is not printable is shown as an escape."""
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[: LABEL_LENGTH + 1])
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


def fingerprint(data: bytes) -> str:
    """First 16 bytes of the SHA-256 of a public key or certificate, as hex."""
    return sha256(data).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class PskIdentity:
    """The peer holds the key on file for this PSK identity."""

    identity: bytes

    @property
    def mode(self) -> SecurityMode:
        """The mode that such a peer uses."""
        return SecurityMode.PSK

    @property
    def label(self) -> str:
        """A short printable name for logs and pages."""
        return printable(self.identity)


@dataclass(frozen=True, slots=True)
class PublicKeyIdentity:
    """The peer holds the private half of this DER SubjectPublicKeyInfo."""

    public_key: bytes

    @property
    def mode(self) -> SecurityMode:
        """The mode that such a peer uses."""
        return SecurityMode.RPK

    @property
    def label(self) -> str:
        """A short printable name for logs and pages."""
        return fingerprint(self.public_key)


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """The peer holds the private key of this DER certificate. `trusted`: its chain ends in a trusted CA."""

    certificate: bytes
    common_name: str | None
    names: tuple[str, ...]
    trusted: bool

    @property
    def mode(self) -> SecurityMode:
        """The mode that such a peer uses."""
        return SecurityMode.CERTIFICATE

    @property
    def label(self) -> str:
        """A short printable name for logs and pages."""
        return printable(self.common_name) if self.common_name else fingerprint(self.certificate)


@dataclass(frozen=True, slots=True)
class NoSecurity:
    """The peer proved nothing."""

    @property
    def mode(self) -> SecurityMode:
        """The mode that such a peer uses."""
        return SecurityMode.NOSEC

    @property
    def label(self) -> str:
        """A short printable name for logs and pages."""
        return ""


NO_SECURITY = NoSecurity()

type Identity = PskIdentity | PublicKeyIdentity | CertificateIdentity | NoSecurity


def may_be(credential: Credential | None, identity: Identity, endpoint: str) -> Refusal | None:
    """None when the peer with this proved identity may be the endpoint for which `credential` is on file.

    Source: OMA LwM2M 1.1 Transport section 5.2 (endpoint client name and credentials). A secure peer needs a
    credential on file; a NoSec peer may be an endpoint only while none is on file.
    """
    detail: str | None
    match credential, identity:
        case None, NoSecurity():
            detail = None
        case None, _:
            detail = "no credential is on file for this endpoint"
        case _, NoSecurity():
            detail = "this endpoint has a credential, and the device used none"
        case Psk(identity=expected), PskIdentity(identity=proved):
            detail = None if proved == expected else "the credential of this endpoint has another PSK identity"
        case RawPublicKey(public_key=key), PublicKeyIdentity(public_key=proved):
            detail = None if proved == key else "this endpoint has another public key on file"
        case Certificate(certificate=None), CertificateIdentity(names=names, trusted=trusted):
            detail = None if trusted and endpoint in names else "the certificate does not name this endpoint"
        case Certificate(certificate=pinned), CertificateIdentity(certificate=proved):
            detail = None if proved == pinned else "this endpoint has another certificate on file"
        case _, _:
            detail = f"this endpoint has a credential of another kind than {identity.mode}"
    if detail is None:
        return None
    return Refusal(Reason.ENDPOINT_MISMATCH, detail, identity=identity.label, endpoint=printable(endpoint))
