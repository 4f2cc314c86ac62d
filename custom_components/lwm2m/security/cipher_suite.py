"""Cipher suites as data: one row a suite, with what this server does with it and why.

Source of the verdicts: OMA LwM2M section 8.1 (channel security change request) and RFC 7925 section 4.
"""

from dataclasses import dataclass
from enum import StrEnum

from .cipher_suite_names import NAMES


class Status(StrEnum):
    """What this server does with a suite."""

    MANDATORY = "mandatory"
    """Always served."""
    OPTIONAL = "optional"
    """Served when it is named in the configuration."""
    FORBIDDEN = "forbidden"
    """Breaks a rule; cannot be switched on."""
    UNSUPPORTED = "unsupported"
    """Breaks no rule, but needs a key or an exchange that this server has not; cannot be switched on."""


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One suite. `name` is the IANA name, `openssl` OpenSSL's; `key_exchange` and `cipher` are parts of the IANA name.

    `key_length` and `mac_length` in bytes; `hash` is that of the PRF (RFC 5246 section 5).
    """

    number: int
    name: str
    openssl: str | None
    key_exchange: str
    cipher: str
    hash: str
    key_length: int
    mac_length: int
    uses_sha1: bool
    status: Status
    reason: str

    @property
    def is_cbc(self) -> bool:
        """Whether a record carries a MAC beside an AES-CBC ciphertext."""
        return self.cipher.endswith("_CBC")

    @property
    def has_psk(self) -> bool:
        """Whether the client proves itself with a pre-shared key."""
        return self.key_exchange in ("PSK", "ECDHE_PSK")

    @property
    def has_certificate(self) -> bool:
        """Whether both sides prove themselves with a certificate or a raw public key."""
        return self.key_exchange == "ECDHE_ECDSA"

    @property
    def has_ecdhe(self) -> bool:
        """Whether both sides need a common elliptic curve."""
        return self.key_exchange.startswith("ECDHE_")


MANDATORY = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    "TLS_PSK_WITH_AES_128_CCM_8",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_PSK_WITH_AES_128_CBC_SHA256",
)
"""Names of the suites that the standard demands, in the order in which they are named to OpenSSL."""

_SERVED_KEY_EXCHANGES = ("PSK", "ECDHE_PSK", "ECDHE_ECDSA")
_OPTIONAL_CIPHERS = (
    *("AES_128_CCM_8", "AES_256_CCM_8", "AES_128_CCM", "AES_256_CCM"),
    *("AES_128_GCM", "AES_256_GCM", "CHACHA20_POLY1305", "AES_128_CBC", "AES_256_CBC"),
)
_KEY_LENGTHS = (("_256", 32), ("CHACHA20", 32), ("3DES", 24), ("_128", 16))
_MAC_LENGTHS = {"SHA": 20, "SHA256": 32, "SHA384": 48, "MD5": 16}


def _verdict(name: str, key_exchange: str, cipher: str, uses_sha1: bool) -> tuple[Status, str]:
    rules = (
        (name in MANDATORY, Status.MANDATORY, "demanded by LwM2M section 8.1"),
        (cipher == "NULL", Status.FORBIDDEN, "does not encrypt"),
        (key_exchange.endswith("_anon"), Status.FORBIDDEN, "nobody proves who they are"),
        ("EXPORT" in name, Status.FORBIDDEN, "export keys are breakable"),
        (cipher.startswith(("RC4", "DES", "3DES")), Status.FORBIDDEN, "the cipher is broken or too weak"),
        (
            key_exchange in ("RSA", "RSA_PSK"),
            Status.FORBIDDEN,
            "static RSA has no forward secrecy and needs an RSA key",
        ),
        (uses_sha1, Status.FORBIDDEN, "uses SHA-1, which LwM2M section 8.1 rules out"),
        (
            key_exchange not in _SERVED_KEY_EXCHANGES,
            Status.UNSUPPORTED,
            f"the key exchange {key_exchange} is not served",
        ),
        (cipher not in _OPTIONAL_CIPHERS, Status.UNSUPPORTED, f"the cipher {cipher} is not served"),
    )
    return next(
        ((status, reason) for applies, status, reason in rules if applies), (Status.OPTIONAL, "allowed when named")
    )


def _suite(number: int, name: str, openssl: str | None) -> CipherSuite:
    key_exchange, _, rest = name.removeprefix("TLS_").partition("_WITH_")
    head, _, tail = rest.rpartition("_")
    # CCM suites name no hash, and their PRF is SHA-256 (RFC 6655 section 3, RFC 7251 section 2).
    cipher, mac = (head, tail) if tail in _MAC_LENGTHS else (rest, "")
    uses_sha1 = mac in ("SHA", "MD5")
    status, reason = _verdict(name, key_exchange, cipher, uses_sha1)
    return CipherSuite(
        number=number,
        name=name,
        openssl=openssl,
        key_exchange=key_exchange,
        cipher=cipher,
        hash="sha384" if mac == "SHA384" else "sha256",
        key_length=next((length for part, length in _KEY_LENGTHS if part in cipher), 0),
        mac_length=_MAC_LENGTHS[mac] if cipher.endswith("_CBC") or cipher == "NULL" else 0,
        uses_sha1=uses_sha1,
        status=status,
        reason=reason,
    )


SUITES: dict[int, CipherSuite] = {row[0]: _suite(*row) for row in NAMES}
BY_NAME: dict[str, CipherSuite] = {suite.name: suite for suite in SUITES.values()}
SIGNALLING = frozenset({0x00FF, 0x5600})
"""Values that are no suite: renegotiation info (RFC 5746) and fallback (RFC 7507)."""


def suite_name(number: int) -> str:
    """IANA name of a suite number, or the number in hexadecimal."""
    suite = SUITES.get(number)
    return suite.name if suite else f"0x{number:04X}"


def is_grease(number: int) -> bool:
    """Whether a value is one of those that RFC 8701 reserves for nonsense."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF
