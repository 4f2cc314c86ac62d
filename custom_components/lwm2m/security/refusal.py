"""Why a peer was refused: one word a cause, and what a person needs to mend it."""

from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Every cause of a refusal; the value is the word in events and translations."""

    UNKNOWN_IDENTITY = "unknown_identity"
    WRONG_KEY = "wrong_key"
    NO_PERMITTED_SUITE = "no_permitted_suite"
    SHA1 = "sha1"
    KEY_TOO_SMALL = "key_too_small"
    NO_COMMON_GROUP = "no_common_group"
    NO_CLIENT_CERTIFICATE = "no_client_certificate"
    UNTRUSTED_CERTIFICATE = "untrusted_certificate"
    EXPIRED_CERTIFICATE = "expired_certificate"
    UNKNOWN_PUBLIC_KEY = "unknown_public_key"
    ENDPOINT_MISMATCH = "endpoint_mismatch"
    PROTOCOL_VERSION = "protocol_version"
    PLAINTEXT = "plaintext"
    MALFORMED = "malformed"
    REJECTED_BY_DEVICE = "rejected_by_device"
    HANDSHAKE_TIMEOUT = "handshake_timeout"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal. `detail` is a sentence in English; `identity` and `endpoint` are printable; `offered` IANA names.

    `identity_bytes` is what the peer named itself by, exactly as it was sent: its PSK identity, its raw public key (DER
    SubjectPublicKeyInfo, of unknown_public_key) or its certificate (DER, where one was refused).
    """

    reason: Reason
    detail: str
    identity: str | None = None
    endpoint: str | None = None
    offered: tuple[str, ...] = ()
    identity_bytes: bytes | None = field(default=None, repr=False)
