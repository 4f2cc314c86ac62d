"""May a peer that proved an identity be a given endpoint?"""

import pytest

from custom_components.lwm2m.security.credential import Certificate, Credential, Psk, RawPublicKey, SecurityMode
from custom_components.lwm2m.security.identity import (
    NO_SECURITY,
    CertificateIdentity,
    Identity,
    PskIdentity,
    PublicKeyIdentity,
    may_be,
    printable,
)
from custom_components.lwm2m.security.refusal import Reason

PSK = Psk(b"board", bytes(16))
KEY = RawPublicKey(b"spki")
TRUSTED = CertificateIdentity(b"der", "node", ("node", "urn:x:node"), trusted=True)
UNTRUSTED = CertificateIdentity(b"der", "node", ("node",), trusted=False)
NAMELESS = CertificateIdentity(b"der", None, (), trusted=True)


@pytest.mark.parametrize(
    ("credential", "identity", "endpoint"),
    [
        (None, NO_SECURITY, "anything"),
        (PSK, PskIdentity(b"board"), "node"),
        (KEY, PublicKeyIdentity(b"spki"), "node"),
        (Certificate(), TRUSTED, "node"),
        (Certificate(), TRUSTED, "urn:x:node"),
        (Certificate(b"der"), UNTRUSTED, "another name"),
    ],
)
def test_may(credential: Credential | None, identity: Identity, endpoint: str) -> None:
    assert may_be(credential, identity, endpoint) is None


@pytest.mark.parametrize(
    ("credential", "identity"),
    [
        (None, PskIdentity(b"board")),
        (None, TRUSTED),
        (PSK, NO_SECURITY),
        (PSK, PskIdentity(b"other")),
        (PSK, PublicKeyIdentity(b"spki")),
        (PSK, TRUSTED),
        (KEY, PublicKeyIdentity(b"other")),
        (KEY, PskIdentity(b"board")),
        (KEY, NO_SECURITY),
        (Certificate(), CertificateIdentity(b"der", "other", ("other",), trusted=True)),
        (Certificate(), UNTRUSTED),
        (Certificate(), NAMELESS),
        (Certificate(b"pinned"), TRUSTED),
        (Certificate(b"pinned"), PskIdentity(b"node")),
        (Certificate(), NO_SECURITY),
    ],
)
def test_may_not(credential: Credential | None, identity: Identity) -> None:
    refusal = may_be(credential, identity, "node")
    assert refusal is not None
    assert refusal.reason is Reason.ENDPOINT_MISMATCH
    assert refusal.endpoint == "node"
    assert refusal.detail


@pytest.mark.parametrize(
    ("identity", "mode", "label"),
    [
        (PskIdentity(b"board"), SecurityMode.PSK, "board"),
        (PskIdentity(b"\xff\x00<b>\n"), SecurityMode.PSK, "\\xff\\x00<b>\\x0a"),
        (PublicKeyIdentity(b"spki"), SecurityMode.RPK, "3a2c0c0a"),
        (TRUSTED, SecurityMode.CERTIFICATE, "node"),
        (NO_SECURITY, SecurityMode.NOSEC, ""),
    ],
)
def test_labels(identity: Identity, mode: SecurityMode, label: str) -> None:
    assert identity.mode is mode
    if mode is SecurityMode.RPK:
        assert len(identity.label) == 32
    else:
        assert identity.label == label


def test_a_nameless_certificate_has_its_fingerprint_for_a_label() -> None:
    assert len(NAMELESS.label) == 32


def test_printable_is_short_and_printable() -> None:
    assert printable(b"x" * 1000).endswith("…")
    assert len(printable("é" * 1000)) == 64
    assert printable("tab\there\u202e") == "tab\\x09here\\x202e"
