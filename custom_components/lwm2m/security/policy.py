"""What this server permits in a handshake, and the reason when it does not.

Source: OMA LwM2M section 8.1 (change request "channel security"): no SHA-1 anywhere, keys of 256 bits at least, four
mandatory suites, others optional.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .cipher_suite import BY_NAME, MANDATORY, SIGNALLING, SUITES, CipherSuite, Status, is_grease, suite_name
from .refusal import Reason, Refusal

__all__ = ["Credentials", "Offer", "Policy", "PolicyError", "Reason", "Refusal", "examine"]

DTLS_1_2 = 0xFEFD

GROUPS = {0x0017: "P-256", 0x0018: "P-384", 0x0019: "P-521"}
"""Groups that are served (IANA number, OpenSSL name)."""

SMALL_GROUPS = frozenset({*range(1, 9), *range(15, 22)})
"""Groups of less than 256 bits (RFC 8422 section 5.1.1: sect163k1 to sect239k1, secp160k1 to secp224r1)."""

SIGNATURES = {0x0403: "ECDSA+SHA256", 0x0503: "ECDSA+SHA384", 0x0603: "ECDSA+SHA512"}
"""Signature algorithms that are served (IANA number, OpenSSL name)."""

MAX_OFFERED = 64
"""Suites named in one refusal at most."""


class PolicyError(ValueError):
    """An option that this policy cannot grant; the text names the suite and the row's reason."""


class Credentials(Protocol):
    """What an engine asks, synchronously, during a handshake. Implementations must not raise."""

    def psk(self, identity: bytes) -> bytes | None:
        """The key on file for a PSK identity, or None."""

    def public_key(self, public_key: bytes) -> bool:
        """Whether a DER SubjectPublicKeyInfo is on file."""

    def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
        """True: this DER certificate is pinned; False: refused; None: decide by its chain to the trusted CAs."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one ClientHello offers (RFC 5246 section 7.4.1.2, RFC 8422, RFC 7250). None: the extension is absent."""

    version: int
    suites: tuple[int, ...]
    groups: tuple[int, ...] | None = None
    signature_algorithms: tuple[int, ...] | None = None
    client_certificate_types: tuple[int, ...] | None = None
    server_certificate_types: tuple[int, ...] | None = None
    extensions: frozenset[int] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """IANA names of the offered suites, at most 64, without signalling values."""
        real = [n for n in self.suites if n not in SIGNALLING and not is_grease(n)]
        return tuple(suite_name(n) for n in real[:MAX_OFFERED])


class Policy:
    """The suites that are served: the mandatory ones and the optional ones named in `allow`.

    `can_grant`: whether naming more suites would help; an engine that can do no more says no.
    """

    __slots__ = ("can_grant", "numbers", "suites")

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """`allow`: IANA names of optional suites. Raises PolicyError for a name that cannot be switched on."""
        names = list(MANDATORY)
        for name in allow:
            suite = BY_NAME.get(name)
            if suite is None:
                raise PolicyError(f"{name} is no cipher suite that is known here")
            if suite.status in (Status.FORBIDDEN, Status.UNSUPPORTED):
                raise PolicyError(f"{name} cannot be allowed: {suite.reason}")
            if name not in names:
                names.append(name)
        self.suites: tuple[CipherSuite, ...] = tuple(BY_NAME[name] for name in names)
        self.numbers: frozenset[int] = frozenset(suite.number for suite in self.suites)
        self.can_grant = True

    def limited_to(self, names: Iterable[str]) -> Policy:
        """A policy that serves only those of this one's suites that an engine can: `names`."""
        limited = Policy()
        possible = frozenset(names)
        limited.suites = tuple(suite for suite in self.suites if suite.name in possible)
        limited.numbers = frozenset(suite.number for suite in limited.suites)
        limited.can_grant = False
        return limited


def examine(offer: Offer, policy: Policy) -> Refusal | None:
    """None when a permitted suite can work with this offer, else the first reason in SECURITY section 6's order.

    The order: protocol_version, sha1, no_permitted_suite, key_too_small, no_common_group.
    """

    def refuse(reason: Reason, detail: str) -> Refusal:
        return Refusal(reason, detail, offered=offer.names)

    if offer.version > DTLS_1_2:  # DTLS counts its versions down
        return refuse(
            Reason.PROTOCOL_VERSION, "the device speaks no DTLS version newer than 1.0; this server needs 1.2"
        )
    usable = [SUITES[n] for n in offer.suites if n in policy.numbers]
    if not usable:
        return _no_suite(offer, policy, refuse)
    if any(not suite.has_ecdhe for suite in usable):
        return None
    if not any(suite.has_psk for suite in usable):
        signatures = offer.signature_algorithms
        if signatures is None:
            return refuse(Reason.SHA1, "the device names no signature algorithms, which means SHA-1")
        if not any(number in SIGNATURES for number in signatures):
            if any(number >> 8 == 2 for number in signatures):
                return refuse(Reason.SHA1, "the device offers no ECDSA signature without SHA-1")
            return refuse(Reason.NO_PERMITTED_SUITE, "the device offers no ECDSA signature algorithm")
    groups = [number for number in offer.groups or () if not is_grease(number)]
    if any(number in GROUPS for number in groups):
        return None
    if groups and all(number in SMALL_GROUPS for number in groups):
        return refuse(Reason.KEY_TOO_SMALL, "the device offers only curves of less than 256 bits")
    wanted = ", ".join(GROUPS.values())
    return refuse(Reason.NO_COMMON_GROUP, f"the device offers none of the curves {wanted}")


class _Refuse(Protocol):
    def __call__(self, reason: Reason, detail: str) -> Refusal: ...


def _no_suite(offer: Offer, policy: Policy, refuse: _Refuse) -> Refusal:
    known = [SUITES[n] for n in offer.suites if n in SUITES]
    served = [s for s in known if (s.has_psk or s.has_certificate) and s.cipher != "NULL"]
    if served and all(suite.uses_sha1 for suite in served):
        return refuse(Reason.SHA1, "every suite that the device offers for a served key exchange uses SHA-1")
    options = [suite.name for suite in known if suite.status is Status.OPTIONAL and policy.can_grant]
    if options:
        return refuse(
            Reason.NO_PERMITTED_SUITE, f"none of the offered suites is permitted; allowing {options[0]} would help"
        )
    return refuse(Reason.NO_PERMITTED_SUITE, "none of the offered suites is permitted")
