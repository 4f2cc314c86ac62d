"""ClientHello before any state exists: the strict parser, cookies, and what is sent to an unproved address."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.hello import (
    COOKIE_PERIOD,
    CookieJar,
    FragmentedHelloError,
    HelloError,
    fatal_alert,
    hello_verify_request,
    parse,
)
from custom_components.lwm2m.dtls.record import split
from tests.openssl_client import Client

from .conftest import MODES, Mode

PATH = NetworkPath(("192.0.2.1", 5683), "192.0.2.2")


def hello_of(connect: Callable[..., Client], mode: Mode = MODES[0]) -> bytes:
    client = connect(mode)
    client.start(0.0)
    return client.out[0]


@pytest.fixture
def psk_hello(connect: Callable[..., Client]) -> bytes:
    return hello_of(connect)


@pytest.fixture
def raw_key_hello(connect: Callable[..., Client]) -> bytes:
    return hello_of(connect, MODES[3])


def build(**parts: bytes) -> bytes:
    """A ClientHello by hand; each part can be replaced."""
    part = {
        "version": b"\xfe\xfd",
        "random": bytes(32),
        "session_id": b"\0",
        "cookie": b"\0",
        "suites": b"\0\2\xc0\xa8",
        "compression": b"\1\0",
        "extensions": b"",
        "after": b"",
    } | parts
    order = ("version", "random", "session_id", "cookie", "suites", "compression", "extensions")
    body = b"".join(part[name] for name in order)
    size = len(body).to_bytes(3)
    message = part.get("message", b"\1" + size + b"\0\0" + b"\0\0\0" + size) + body + part["after"]
    return b"\x16\xfe\xff\0\0\0\0\0\0\0\7" + len(message).to_bytes(2) + message


def test_reads_a_real_hello(psk_hello: bytes) -> None:
    hello = parse(psk_hello)
    assert hello.offer.version == 0xFEFD
    assert 0xC0A8 in hello.offer.suites
    assert hello.offer.names == ("TLS_PSK_WITH_AES_128_CCM_8",)
    assert hello.cookie == b""
    assert hello.record == psk_hello
    assert hello.record_sequence == bytes(6)


def test_reads_what_a_raw_key_client_offers(raw_key_hello: bytes) -> None:
    offer = parse(raw_key_hello).offer
    assert offer.client_certificate_types == (2,)
    assert offer.server_certificate_types == (2,)
    assert offer.groups is not None
    assert 23 in offer.groups
    assert offer.signature_algorithms is not None
    assert 0x0403 in offer.signature_algorithms


def test_reads_a_hello_without_extensions() -> None:
    hello = parse(build())
    assert hello.offer.groups is None
    assert hello.offer.extensions == frozenset()
    assert parse(build(extensions=b"\0\0")).offer.extensions == frozenset()


@pytest.mark.parametrize(
    "parts",
    [
        {"version": b"\3\3"},
        {"session_id": b"\x21" + bytes(33)},
        {"suites": b"\0\0"},
        {"suites": b"\0\1\xc0"},
        {"suites": b"\xff\xff\xc0"},
        {"compression": b"\1\1"},
        {"compression": b"\0"},
        {"extensions": b"\0\1x"},
        {"extensions": b"\0\0x"},
        {"extensions": b"\0\x08\0\x17\0\0\0\x17\0\0"},
        {"extensions": b"\0\6\0\x0a\0\2\0\0"},
        {"extensions": b"\0\7\0\x0a\0\3\0\2\0"},
        {"extensions": b"\0\x0a\0\x0a\0\6\0\2\0\x17xx"},
        {"extensions": (260).to_bytes(2) + b"".join(n.to_bytes(2) + b"\0\0" for n in range(1000, 1065))},
        {"after": b"x"},
        {"message": b"\2\0\0\x2a\0\0\0\0\0\0\0\x2a"},
    ],
    ids=lambda parts: "-".join(f"{k}-{v[:8].hex()}" for k, v in parts.items()),
)
def test_refuses_what_is_malformed(parts: dict[str, bytes]) -> None:
    with pytest.raises(HelloError):
        parse(build(**parts))


@pytest.mark.parametrize("message", [b"\1\0\0\x2a\0\0\0\0\1\0\0\x29", b"\1\0\1\x2a\0\0\0\0\0\0\0\x2a"])
def test_tells_a_fragment(message: bytes) -> None:
    with pytest.raises(FragmentedHelloError):
        parse(build(message=message))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_hello_or_an_error(data: bytes) -> None:
    try:
        parse(data)
    except HelloError:
        return
    assert split(data)


def _mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out))
        match rng.randrange(4):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.randrange(256)
            case 2:
                del out[at : at + rng.randint(1, 5)]
            case _:
                out[at:at] = rng.randbytes(rng.randint(1, 5))
        if not out:
            return bytes(1)
    return bytes(out)


def test_mutated_hellos_are_a_hello_or_an_error(psk_hello: bytes, raw_key_hello: bytes) -> None:
    rng, good = random.Random(11), 0
    for _ in range(3000):
        for hello in (psk_hello, raw_key_hello):
            try:
                parse(_mutated(hello, rng))
                good += 1
            except HelloError:
                pass
    assert 0 < good < 6000


def test_a_cookie_is_good_for_its_own_path_and_hello_only(psk_hello: bytes, raw_key_hello: bytes) -> None:
    jar, hello = CookieJar(), parse(psk_hello)
    cookie = jar.make(PATH, hello, 0.0)

    def answer(cookie: bytes, source: bytes = psk_hello, path: NetworkPath = PATH, now: float = 1.0) -> bool:
        body = split(source)[0].body
        with_cookie = body[12:47] + bytes([len(cookie)]) + cookie + body[48:]
        size = len(with_cookie).to_bytes(3)
        message = b"\1" + size + b"\0\1\0\0\0" + size + with_cookie
        again = parse(source[:11] + len(message).to_bytes(2) + message)
        assert again.cookie == cookie
        return jar.valid(path, again, now)

    assert answer(cookie)
    assert not answer(cookie[:-1] + bytes([cookie[-1] ^ 1]))
    assert not answer(cookie[:-1])
    assert not answer(cookie, raw_key_hello)
    for path in (
        PATH._replace(local=None),
        NetworkPath(("192.0.2.1", 5684), PATH.local),
        NetworkPath(("192.0.2.3", 5683), PATH.local),
    ):
        assert not answer(cookie, path=path)
    assert answer(cookie, now=1.5 * COOKIE_PERIOD), "the key before is still good"
    assert not answer(cookie, now=2.6 * COOKIE_PERIOD)
    assert not CookieJar().valid(PATH, hello, 0.0)


def test_cookies_do_not_outlive_a_long_silence(psk_hello: bytes) -> None:
    jar, hello = CookieJar(), parse(psk_hello)
    first = jar.make(PATH, hello, 0.0)
    assert jar.make(PATH, hello, 30.0) == first
    assert jar.make(PATH, hello, 500.0) != first


def test_an_unproved_address_never_gets_more_than_it_sent() -> None:
    smallest = build()
    hello = parse(smallest)
    answer = hello_verify_request(hello, CookieJar().make(PATH, hello, 0.0))
    assert len(answer) <= len(smallest)
    assert len(fatal_alert(hello, 40)) <= len(smallest)
    (record,) = split(answer)
    assert record.sequence == 7
    assert record.body[0] == 3


def test_an_alert_to_an_old_client_has_its_version() -> None:
    assert fatal_alert(parse(build(version=b"\xfe\xff")), 70)[:3] == b"\x15\xfe\xff"
    assert fatal_alert(parse(build()), 40)[:3] == b"\x15\xfe\xfd"
