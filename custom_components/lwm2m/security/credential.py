"""What we hold on file for a device: one of three kinds of credential, and how a person writes a key."""

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

PSK_KEY_LENGTH = 16
"""Bytes in a key that we make: tinydtls devices take no more."""

MAX_KEY_LENGTH = 512
"""Bytes in the longest key taken (OpenSSL's PSK_MAX_PSK_LEN)."""

MAX_IDENTITY_LENGTH = 128
"""Bytes in the longest PSK identity taken. RFC 4279 section 5.3 asks for 128 at least."""

CONSTRAINED_IDENTITY_LENGTH = 32
"""Bytes in the longest PSK identity that tinydtls devices take."""


class SecurityMode(StrEnum):
    """OMA LwM2M object 0, resource 2, in this project's words."""

    PSK = "psk"
    RPK = "rpk"
    CERTIFICATE = "certificate"
    NOSEC = "nosec"


class CredentialError(ValueError):
    """A credential that cannot be used; the text says why and never holds a secret."""


class KeyFormatError(CredentialError):
    """A typed key that cannot be read; `problem` is one word for a translation table."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem


@dataclass(frozen=True, slots=True, eq=False)
class Psk:
    """A pre-shared key and the identity that goes with it (RFC 4279)."""

    identity: bytes
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if b"\0" in self.identity:
            raise CredentialError("a PSK identity cannot hold a zero byte")
        if len(self.identity) > MAX_IDENTITY_LENGTH:
            raise CredentialError(f"a PSK identity has at most {MAX_IDENTITY_LENGTH} bytes")
        if not self.key:
            raise CredentialError("a pre-shared key cannot be empty")
        if len(self.key) > MAX_KEY_LENGTH:
            raise CredentialError(f"a pre-shared key has at most {MAX_KEY_LENGTH} bytes")

    @property
    def mode(self) -> SecurityMode:
        """The mode that such a peer uses."""
        return SecurityMode.PSK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Psk):
            return NotImplemented
        return self.identity == other.identity and hmac.compare_digest(self.key, other.key)

    def __hash__(self) -> int:
        return hash(self.identity)


@dataclass(frozen=True, slots=True)
class RawPublicKey:
    """A device's public key as a DER SubjectPublicKeyInfo (RFC 7250)."""

    public_key: bytes

    @property
    def mode(self) -> SecurityMode:
        """The mode that such a peer uses."""
        return SecurityMode.RPK


@dataclass(frozen=True, slots=True)
class Certificate:
    """A pinned DER certificate, or None: any certificate of a trusted CA whose CN or SAN is the endpoint name."""

    certificate: bytes | None = None

    @property
    def mode(self) -> SecurityMode:
        """The mode that such a peer uses."""
        return SecurityMode.CERTIFICATE


type Credential = Psk | RawPublicKey | Certificate


def generate_psk_key() -> bytes:
    """A new random key of exactly 16 bytes."""
    return secrets.token_bytes(PSK_KEY_LENGTH)


def parse_key(text: str) -> bytes:
    """Bytes of a key as a person types it: hex first (0x, colons, dashes and spaces allowed), then base64.

    Raises KeyFormatError with `problem` empty_key, key_format or key_too_long.
    """
    stripped = "".join(text.split())
    digits = re.sub(r"[:\-]", "", stripped.removeprefix("0x").removeprefix("0X"))
    if not digits:
        raise KeyFormatError("empty_key", "the key is empty")
    if re.fullmatch(r"[0-9A-Fa-f]+", digits):
        if len(digits) % 2:
            raise KeyFormatError("key_format", "the key has an odd number of hexadecimal digits")
        key = bytes.fromhex(digits)
    else:
        try:
            key = base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyFormatError("key_format", "the key is neither hexadecimal nor base64") from error
    if not key:
        raise KeyFormatError("empty_key", "the key is empty")
    if len(key) > MAX_KEY_LENGTH:
        raise KeyFormatError("key_too_long", f"the key has more than {MAX_KEY_LENGTH} bytes")
    return key


def key_warnings(key: bytes, identity: bytes) -> list[str]:
    """Words for what a taken credential costs: short_key, long_key, long_identity; empty when nothing."""
    words = []
    if len(key) < PSK_KEY_LENGTH:
        words.append("short_key")
    if len(key) > PSK_KEY_LENGTH:
        words.append("long_key")
    if len(identity) > CONSTRAINED_IDENTITY_LENGTH:
        words.append("long_identity")
    return words
