"""Credentials and keys as people type them."""

import pytest

from custom_components.lwm2m.security.credential import (
    Certificate,
    CredentialError,
    KeyFormatError,
    Psk,
    RawPublicKey,
    SecurityMode,
    generate_psk_key,
    key_warnings,
    parse_key,
)


def test_a_made_key_has_the_16_bytes_that_tinydtls_takes() -> None:
    keys = {generate_psk_key() for _ in range(10)}
    assert len(keys) == 10
    assert {len(key) for key in keys} == {16}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("000102ff", b"\x00\x01\x02\xff"),
        ("0x0001", b"\x00\x01"),
        ("0XAB", b"\xab"),
        ("00:01:0a", b"\x00\x01\x0a"),
        ("00 01 0A", b"\x00\x01\x0a"),
        ("00-01", b"\x00\x01"),
        ("  abcd\n", b"\xab\xcd"),
        ("c2VjcmV0UFNL", b"secretPSK"),
        ("c2VjcmV0UFM", b"secretPS"),
        ("+/8=", b"\xfb\xff"),
        ("dead beef", b"\xde\xad\xbe\xef"),
    ],
)
def test_reads_hex_first_then_base64(text: str, key: bytes) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty_key"),
        ("  ", "empty_key"),
        ("0x", "empty_key"),
        ("=", "key_format"),
        ("abc", "key_format"),
        ("kéy!", "key_format"),
        ("%%%%", "key_format"),
        ("A", "key_format"),
        ("Q", "key_format"),
        ("00" * 513, "key_too_long"),
    ],
)
def test_says_what_is_wrong_with_a_key(text: str, problem: str) -> None:
    with pytest.raises(KeyFormatError) as error:
        parse_key(text)
    assert error.value.problem == problem
    if text.strip():
        assert text not in str(error.value)


def test_warns_of_what_a_key_costs() -> None:
    assert key_warnings(bytes(16), b"name") == []
    assert key_warnings(bytes(15), b"name") == ["short_key"]
    assert key_warnings(bytes(17), b"name") == ["long_key"]
    assert key_warnings(bytes(16), b"n" * 33) == ["long_identity"]


def test_a_psk_hides_its_key_and_compares_it() -> None:
    psk = Psk(b"identity", b"\x13\x37secret")
    assert "secret" not in repr(psk)
    assert "1337" not in repr(psk)
    assert "identity" in repr(psk)
    assert psk == Psk(b"identity", b"\x13\x37secret")
    assert hash(psk) == hash(Psk(b"identity", b"other"))
    assert psk != Psk(b"identity", b"other")
    assert psk != Psk(b"another", b"\x13\x37secret")
    assert psk != RawPublicKey(b"identity")


@pytest.mark.parametrize(("identity", "key"), [(b"a\0b", b"k"), (b"i" * 129, b"k"), (b"i", b""), (b"i", bytes(513))])
def test_refuses_what_openssl_would_cut_or_refuse(identity: bytes, key: bytes) -> None:
    with pytest.raises(CredentialError):
        Psk(identity, key)


def test_modes() -> None:
    assert Psk(b"i", b"k").mode is SecurityMode.PSK
    assert RawPublicKey(b"key").mode is SecurityMode.RPK
    assert Certificate().mode is SecurityMode.CERTIFICATE
