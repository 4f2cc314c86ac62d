"""The table of suites, and the order in which an offer's faults are found."""

import pytest

from custom_components.lwm2m.security.cipher_suite import (
    BY_NAME,
    MANDATORY,
    SUITES,
    CipherSuite,
    Status,
    is_grease,
    suite_name,
)
from custom_components.lwm2m.security.policy import DTLS_1_2, Offer, Policy, PolicyError, examine
from custom_components.lwm2m.security.refusal import Reason

PSK_CCM, PSK_CBC, ECDSA_CCM, ECDSA_CBC = 0xC0A8, 0x00AE, 0xC0AE, 0xC023
PSK_SHA, ECDSA_SHA, RSA_SHA, PSK_GCM, ECDHE_PSK_CBC = 0x008C, 0xC009, 0x002F, 0x00A8, 0xC037
P256, P224, X25519 = 23, 21, 29
ECDSA_SHA256, ECDSA_SHA1, RSA_SHA256, RSA_SHA1 = 0x0403, 0x0203, 0x0401, 0x0201
ALL = list(SUITES.values())


def offer(
    *suites: int,
    version: int = DTLS_1_2,
    groups: tuple[int, ...] | None = (P256,),
    signatures: tuple[int, ...] | None = (ECDSA_SHA256,),
) -> Offer:
    return Offer(version=version, suites=suites, groups=groups, signature_algorithms=signatures)


def test_the_four_mandatory_suites() -> None:
    numbers = {BY_NAME[name].number for name in MANDATORY}
    assert numbers == {PSK_CCM, PSK_CBC, ECDSA_CCM, ECDSA_CBC}
    assert {suite.number for suite in ALL if suite.status is Status.MANDATORY} == numbers


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_every_row_keeps_the_rules(suite: CipherSuite) -> None:
    assert suite.reason
    assert SUITES[suite.number] is suite
    if suite.status in (Status.MANDATORY, Status.OPTIONAL):
        assert suite.openssl
        assert suite.key_length >= 16
        assert not suite.uses_sha1
        assert suite.key_exchange in ("PSK", "ECDHE_PSK", "ECDHE_ECDSA")
        assert suite.has_psk != suite.has_certificate
        assert Policy([suite.name]).numbers == Policy().numbers | {suite.number}
    else:
        with pytest.raises(PolicyError, match=suite.reason.split()[0]):
            Policy([suite.name])
    for word in ("NULL", "anon", "RC4", "3DES", "EXPORT", "_CBC_SHA", "MD5"):
        if word in suite.name and not suite.name.endswith(("SHA256", "SHA384")):
            assert suite.status is Status.FORBIDDEN


@pytest.mark.parametrize(
    ("name", "key_exchange", "cipher", "hash_name", "key", "mac"),
    [
        ("TLS_PSK_WITH_AES_128_CCM_8", "PSK", "AES_128_CCM_8", "sha256", 16, 0),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE_ECDSA", "AES_128_CBC", "sha256", 16, 32),
        ("TLS_PSK_WITH_AES_256_CBC_SHA384", "PSK", "AES_256_CBC", "sha384", 32, 48),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE_ECDSA", "AES_256_GCM", "sha384", 32, 0),
        ("TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", "ECDHE_PSK", "CHACHA20_POLY1305", "sha256", 32, 0),
        ("TLS_PSK_WITH_AES_256_CCM", "PSK", "AES_256_CCM", "sha256", 32, 0),
    ],
)
def test_reads_names(name: str, key_exchange: str, cipher: str, hash_name: str, key: int, mac: int) -> None:
    suite = BY_NAME[name]
    assert (suite.key_exchange, suite.cipher, suite.hash) == (key_exchange, cipher, hash_name)
    assert (suite.key_length, suite.mac_length) == (key, mac)


def test_an_unknown_name_cannot_be_allowed() -> None:
    with pytest.raises(PolicyError, match="TLS_FOO"):
        Policy(["TLS_FOO"])


def test_allowing_twice_or_a_mandatory_one_changes_nothing() -> None:
    name = "TLS_PSK_WITH_AES_128_GCM_SHA256"
    assert len(Policy([name, name, MANDATORY[0]]).suites) == 5


@pytest.mark.parametrize(
    "good",
    [
        offer(PSK_CCM),
        offer(PSK_CBC, groups=None, signatures=None),
        offer(ECDSA_CCM),
        offer(RSA_SHA, ECDSA_CBC),
        offer(ECDSA_CCM, groups=(X25519, P256), signatures=(ECDSA_SHA1, ECDSA_SHA256)),
        offer(ECDSA_CCM, PSK_CCM, groups=(P224,), signatures=(ECDSA_SHA1,)),
        offer(PSK_SHA, PSK_CCM),
        offer(PSK_CCM, version=0xFEFC),
    ],
)
def test_good_offers(good: Offer) -> None:
    assert examine(good, Policy()) is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (offer(PSK_SHA, version=0xFEFF), Reason.PROTOCOL_VERSION),
        (offer(PSK_CCM, version=0xFEFF), Reason.PROTOCOL_VERSION),
        (offer(PSK_SHA), Reason.SHA1),
        (offer(ECDSA_SHA, PSK_SHA), Reason.SHA1),
        (offer(ECDSA_SHA, RSA_SHA), Reason.SHA1),
        (offer(0xC035), Reason.SHA1),
        (offer(PSK_SHA, PSK_GCM), Reason.NO_PERMITTED_SUITE),
        (offer(PSK_GCM), Reason.NO_PERMITTED_SUITE),
        (offer(RSA_SHA), Reason.NO_PERMITTED_SUITE),
        (offer(0xC006), Reason.NO_PERMITTED_SUITE),
        (offer(0xC018), Reason.NO_PERMITTED_SUITE),
        (offer(0x1301, 0x00FF), Reason.NO_PERMITTED_SUITE),
        (offer(ECDSA_CCM, signatures=None), Reason.SHA1),
        (offer(ECDSA_CCM, signatures=(ECDSA_SHA1,)), Reason.SHA1),
        (offer(ECDSA_CCM, signatures=(RSA_SHA1, RSA_SHA256)), Reason.SHA1),
        (offer(ECDSA_CCM, signatures=(RSA_SHA256,)), Reason.NO_PERMITTED_SUITE),
        (offer(ECDSA_CCM, signatures=(ECDSA_SHA1,), groups=(P224,)), Reason.SHA1),
        (offer(ECDSA_CCM, groups=(P224,)), Reason.KEY_TOO_SMALL),
        (offer(ECDSA_CCM, groups=(P224, X25519)), Reason.NO_COMMON_GROUP),
        (offer(ECDSA_CCM, groups=(X25519,)), Reason.NO_COMMON_GROUP),
        (offer(ECDSA_CCM, groups=(0x0A0A,)), Reason.NO_COMMON_GROUP),
        (offer(ECDSA_CCM, groups=None), Reason.NO_COMMON_GROUP),
    ],
)
def test_the_first_fault_is_named(bad: Offer, reason: Reason) -> None:
    refusal = examine(bad, Policy())
    assert refusal is not None
    assert refusal.reason is reason
    assert refusal.offered == bad.names


def test_an_option_that_would_help_is_named_and_helps() -> None:
    refusal = examine(offer(PSK_GCM), Policy())
    assert refusal is not None
    name = "TLS_PSK_WITH_AES_128_GCM_SHA256"
    assert name in refusal.detail
    assert examine(offer(PSK_GCM), Policy([name])) is None


def test_an_engine_that_can_do_no_more_names_no_option() -> None:
    limited = Policy(["TLS_PSK_WITH_AES_128_GCM_SHA256"]).limited_to(["TLS_PSK_WITH_AES_128_CCM_8"])
    assert limited.numbers == {PSK_CCM}
    refusal = examine(offer(PSK_GCM), limited)
    assert refusal is not None
    assert "would help" not in refusal.detail


def test_ecdhe_psk_needs_a_group_but_no_signature() -> None:
    policy = Policy([BY_NAME["TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256"].name])
    assert examine(offer(ECDHE_PSK_CBC, signatures=None), policy) is None
    refusal = examine(offer(ECDHE_PSK_CBC, groups=(P224,)), policy)
    assert refusal is not None
    assert refusal.reason is Reason.KEY_TOO_SMALL


def test_names_of_an_offer_are_bounded_and_free_of_noise() -> None:
    assert offer(0x00FF, 0x0A0A, 0x5600, PSK_CCM, 0x1234).names == ("TLS_PSK_WITH_AES_128_CCM_8", "0x1234")
    assert len(offer(*range(1, 3000)).names) == 64
    assert suite_name(0xFFFF) == "0xFFFF"
    assert is_grease(0xFAFA)
    assert not is_grease(0xFA0A)
