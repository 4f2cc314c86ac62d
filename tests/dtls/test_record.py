"""Records: vectors from independent programs, the replay window against a simple model, and what must not open."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from custom_components.lwm2m.dtls.record import (
    WINDOW,
    Direction,
    MacThenEncrypt,
    Window,
    directions,
    is_record,
    prf,
    split,
)
from custom_components.lwm2m.security.cipher_suite import BY_NAME

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text())
each_vector = pytest.mark.parametrize(
    "vector",
    VECTORS,
    ids=lambda v: f"{v['suite']}-{v['made_by'].split()[0]}{'-etm' if v['encrypt_then_mac'] else ''}",
)


def keys(vector: dict[str, Any]) -> tuple[Direction, Direction]:
    return directions(
        BY_NAME[vector["suite"]],
        vector["encrypt_then_mac"],
        bytes.fromhex(vector["master"]),
        bytes.fromhex(vector["client_random"]),
        bytes.fromhex(vector["server_random"]),
    )


def test_prf_vector() -> None:
    """The P_SHA256 test vector that was posted to the TLS working group's list."""
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    expected = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
    assert prf("sha256", secret, b"test label", seed, 48).hex() == expected


@each_vector
def test_opens_what_independent_programs_sealed(vector: dict[str, Any]) -> None:
    (record,) = split(bytes.fromhex(vector["record"]))
    assert keys(vector)[0].open(record.content_type, record.header[3:11], record.body) == bytes.fromhex(vector["data"])


@each_vector
def test_a_changed_record_does_not_open(vector: dict[str, Any]) -> None:
    (record,) = split(bytes.fromhex(vector["record"]))
    client, server = keys(vector)
    sequence = record.header[3:11]
    for at in range(len(record.body)):
        body = bytearray(record.body)
        body[at] ^= 1
        assert client.open(record.content_type, sequence, bytes(body)) is None
        assert client.open(record.content_type, sequence, record.body[:at]) is None
    assert client.open(22, sequence, record.body) is None
    assert client.open(record.content_type, bytes(8), record.body) is None
    assert server.open(record.content_type, sequence, record.body) is None
    assert client.open(record.content_type, sequence, record.body + bytes(40000)) is None


@each_vector
def test_seals_what_it_opens(vector: dict[str, Any]) -> None:
    client, _ = keys(vector)
    if isinstance(client, MacThenEncrypt):
        with pytest.raises(NotImplementedError):
            client.seal(23, bytes(8), b"x")
        return
    for size in (0, 1, 15, 16, 17, 1000):
        data = bytes(range(256)) * 4
        body = client.seal(23, b"\0\1\0\0\0\0\0\x09", data[:size])
        assert client.open(23, b"\0\1\0\0\0\0\0\x09", body) == data[:size]


def test_gcm_and_ccm_records_never_carry_the_same_nonce_twice() -> None:
    client, _ = keys(VECTORS[0])
    bodies = [client.seal(23, b"\0\1" + number.to_bytes(6), b"x") for number in range(50)]
    assert len({body[:8] for body in bodies}) == 50


@given(st.lists(st.integers(0, 200), max_size=200))
def test_window_is_the_model(sequence: list[int]) -> None:
    window, seen, top = Window(), set[int](), -1
    for number in sequence:
        fresh = number > top or (top - number < WINDOW and number not in seen)
        assert window.fresh(number) is fresh
        if fresh:
            window.mark(number)
            seen.add(number)
            top = max(top, number)


def test_window_after_a_leap() -> None:
    window = Window()
    window.mark(5)
    window.mark(1 << 40)
    assert not window.fresh(5)
    assert window.fresh((1 << 40) - 63)
    assert not window.fresh((1 << 40) - 64)


@given(st.binary(max_size=200))
def test_split_takes_any_bytes(data: bytes) -> None:
    records = split(data)
    assert data.startswith(b"".join(record.whole for record in records))
    assert bool(records) == is_record(data)


def test_split_stops_at_the_first_malformed_record() -> None:
    good = bytes.fromhex(VECTORS[0]["record"])
    assert len(split(good + good)) == 2
    assert len(split(good + b"\x99" + good)) == 1
    assert len(split(good + good[:-1])) == 1
    assert split(b"\x17\x03" + good[2:]) == []
