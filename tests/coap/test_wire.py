"""The codec against aiocoap's, which it does not use."""

from __future__ import annotations

import pytest
from aiocoap import Message  # type: ignore[import-untyped]
from aiocoap.error import UnparsableMessage  # type: ignore[import-untyped]
from hypothesis import given, strategies as st

from custom_components.lwm2m.coap import wire
from custom_components.lwm2m.coap.blockwise import Block
from custom_components.lwm2m.coap.messages import Request, Response
from custom_components.lwm2m.coap.wire import WireError, parse_tail, read_request, read_response

from .devices import CON, coap

type Options = tuple[tuple[str, ...], tuple[str, ...], int | None, int | None]

segments = st.lists(st.text(max_size=80), max_size=4).map(tuple)
sixteen = st.none() | st.integers(0, 65535)
blocks = st.builds(Block, st.integers(0, 2**20 - 1), st.booleans(), st.integers(0, 6))


@given(st.tuples(segments, segments, sixteen, sixteen), st.binary(max_size=40), blocks)
def test_request_written_as_aiocoap_reads_it(options: Options, payload: bytes, block: Block) -> None:
    path, query, content_format, accept = options
    request = Request(2, path, query, payload, content_format, accept)
    tail = wire.write_request(request, [(wire.BLOCK1, block.encode()), (wire.OBSERVE, b"")])
    message = Message.decode(b"\x40\x02\x00\x01" + tail)
    assert message.opt.uri_path == path
    assert message.opt.uri_query == query
    assert message.opt.content_format == content_format
    assert message.opt.accept == accept
    assert message.opt.block1 == tuple(block)
    assert message.opt.observe == 0
    assert message.payload == payload


@given(st.tuples(segments, segments, sixteen, sixteen), st.binary(max_size=40), blocks)
def test_request_read_as_aiocoap_writes_it(options: Options, payload: bytes, block: Block) -> None:
    path, query, content_format, accept = options
    data = coap(
        2, CON, 1, b"tok", payload,
        uri_path=path, uri_query=query, content_format=content_format, accept=accept, block1=tuple(block), size1=1234,
        uri_host="server", uri_port=61616,
    )  # fmt: skip
    arrived = read_request(2, wire.CON, parse_tail(data, 7))
    assert arrived.request == Request(2, path, query, payload, content_format, accept, True)
    assert (arrived.block1, arrived.block2, arrived.size1) == (block, None, 1234)
    assert (arrived.bad_option, arrived.proxy) == (None, False)


@given(
    st.tuples(st.integers(0, 2**24 - 1), sixteen, segments),
    st.binary(max_size=40),
    blocks,
    st.binary(min_size=1, max_size=8),
)
def test_response_both_ways(
    options: tuple[int, int | None, tuple[str, ...]], payload: bytes, block: Block, etag: bytes
) -> None:
    observe, content_format, location = options
    data = coap(
        0x45, CON, 1, b"", payload,
        observe=observe, content_format=content_format, block2=tuple(block), etag=etag, location_path=location,
    )  # fmt: skip
    answer = read_response(0x45, wire.CON, parse_tail(data, 4))
    response = Response(0x45, payload, content_format, location, observe, True)
    assert answer == (response, None, block, etag)
    again = wire.write_response(response, [(wire.BLOCK2, block.encode()), (wire.ETAG, etag)])
    assert data[4:] == again


@given(st.binary(max_size=60))
def test_any_bytes_as_aiocoap_takes_them(data: bytes) -> None:
    """What we take aiocoap takes, with the same payload. We refuse more: it does not look for all format errors."""
    try:
        tail = parse_tail(data, 0)
    except WireError:
        return
    read_request(1, wire.NON, tail)
    try:
        message = Message.decode(b"\x50\x01\x00\x01" + data)
    except UnparsableMessage, UnicodeDecodeError:
        # Its options are decoded at once; ours when they are wanted.
        assert any(number in (3, 8, 11, 15, 20, 35, 39) for number, _ in tail.others)
        return
    assert message.payload == tail.payload


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (b"\xff", "without a payload"),
        (b"\xf0", "reserved option delta"),
        (b"\x0f", "reserved option length"),
        (b"\xd0", "header runs past"),
        (b"\xe0\x01", "header runs past"),
        (b"\x0d", "header runs past"),
        (b"\x0e\x01", "header runs past"),
        (b"\xb5ab", "option runs past"),
        (b"\xe0\xff\xff", "over 65535"),
    ],
)
def test_format_errors(tail: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        parse_tail(tail, 0)


def test_elective_options_with_an_illegal_length_are_ignored() -> None:
    tail = parse_tail(b"\x64abcd\x63abc\xffx", 0)
    assert (tail.observe, tail.content_format, tail.others, tail.payload) == (None, None, [], b"x")


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        ((1, b"etag"), 1),  # If-Match
        ((9, b""), 9),  # OSCORE
        ((11, b"\xff"), 11),  # Uri-Path that is not UTF-8
        ((17, b"abc"), 17),  # Accept of three bytes
        ((23, b"\x07"), 23),  # reserved block size
        ((27, b"abcd"), 27),  # block option of four bytes
        ((2049, b""), 2049),
        ((2048, b""), None),
        ((258, b"\x02"), None),  # No-Response is elective
    ],
)
def test_options_of_a_request_that_cannot_be_honoured(option: wire.Option, bad: int | None) -> None:
    arrived = read_request(1, wire.CON, parse_tail(wire.write_tail([option], b""), 0))
    assert arrived.bad_option == bad


def test_the_first_bad_option_is_named_and_repeats_are_bad() -> None:
    tail = wire.write_tail([(wire.ACCEPT, b""), (wire.ACCEPT, b""), (2049, b"")], b"")
    assert read_request(1, wire.CON, parse_tail(tail, 0)).bad_option == wire.ACCEPT


@pytest.mark.parametrize("option", [(23, b"\x07"), (8, b"\xff"), (2049, b"")])
def test_options_of_a_response_that_cannot_be_honoured(option: wire.Option) -> None:
    with pytest.raises(WireError):
        read_response(0x45, wire.ACK, parse_tail(wire.write_tail([option], b""), 0))


def test_proxy_options_are_seen() -> None:
    tail = parse_tail(wire.write_tail([(wire.PROXY_URI, b"coap://x")], b""), 0)
    assert read_request(1, wire.CON, tail).proxy


@pytest.mark.parametrize(
    ("data", "asks", "reset"),
    [
        (b"", False, None),
        (b"\x40\x01\x12\x34", True, b"\x70\x00\x12\x34"),
        (b"\x50\x01\x12\x34", True, None),
        (b"\x60\x01\x12\x34", False, None),
        (b"\x40\x00\x12\x34", False, b"\x70\x00\x12\x34"),
        (b"\x41\x01\x12\x34", False, b"\x70\x00\x12\x34"),
        (b"\x4f\x01\x12\x34" + bytes(20), False, b"\x70\x00\x12\x34"),
        (b"\x80\x01\x12\x34", False, None),
        (b"\x16\xfe\xfd\x00", False, None),
    ],
)
def test_strangers(data: bytes, asks: bool, reset: bytes | None) -> None:
    assert wire.is_request(data) is asks
    assert wire.rejection(data) == reset
