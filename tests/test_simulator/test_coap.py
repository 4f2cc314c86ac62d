"""The simulator's CoAP against bytes written from RFC 7252, RFC 7641 and RFC 7959."""

from __future__ import annotations

import random

import pytest

from tests.simulator.coap import (
    Block,
    CoapError,
    Code,
    Message,
    Option,
    Type,
    dotted,
    exponent_for,
    unknown_critical,
)

TEMPERATURE = b"temperature"

VECTORS = [
    # RFC 7252 appendix A, figure 16: confirmable request, piggybacked response
    (Message(Type.CON, Code.GET, 0x7D34, b"", [(11, TEMPERATURE)]), "40017d34 bb 74656d7065726174757265"),
    (Message(Type.ACK, Code.CONTENT, 0x7D34, b"", [], b"22.3 C"), "60457d34 ff 32322e332043"),
    # figure 17: with a token
    (Message(Type.CON, Code.GET, 0x7D35, b"\x20", [(11, TEMPERATURE)]), "41017d35 20 bb 74656d7065726174757265"),
    # figure 20: acknowledgement without content, then a separate response
    (Message(Type.ACK, Code.EMPTY, 0x7D38), "60007d38"),
    (Message(Type.CON, Code.CONTENT, 0xAD7B, b"\x53", [], b"22.3 C"), "4145ad7b 53 ff 32322e332043"),
    # figure 21: reset
    (Message(Type.RST, Code.EMPTY, 0xAD7B), "7000ad7b"),
    # RFC 7641 section 3.1: Observe 0 is an option of no length, number 6
    (
        Message(Type.CON, Code.GET, 1, b"\x4a", [(6, b""), (11, b"3303")]),
        "41010001 4a 60 54 33333033",
    ),
    # RFC 7641 section 3.2: a notification with serial 0x010203, Content-Format 112 (delta 6)
    (
        Message(Type.NON, Code.CONTENT, 2, b"\x4a", [(6, b"\1\2\3"), (12, b"\x70")], b"\x80"),
        "51450002 4a 63 010203 61 70 ff 80",
    ),
    # option delta and length over 12 and over 268 (RFC 7252 section 3.1): Size1 is 60; 2000 is 60 + 1940 = 269 + 0x0687
    (
        Message(Type.CON, Code.PUT, 3, b"", [(60, b"x" * 13), (2000, b"y" * 300)]),
        "40030003 dd 2f 00" + "78" * 13 + "ee 0687 001f" + "79" * 300,
    ),
    # RFC 7959 section 2.2: Block2 number 2, no more, 64 bytes = 0x22, option 23 = 13 + 10
    (Message(Type.CON, Code.GET, 4, b"", [(23, b"\x22")]), "40010004 d1 0a 22"),
]


@pytest.mark.parametrize(("message", "text"), VECTORS)
def test_vectors(message: Message, text: str) -> None:
    data = bytes.fromhex(text)
    assert message.encode() == data
    assert Message.decode(data) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4001",
        "80017d34",  # version 2
        "49017d34" + "00" * 9,  # token of nine
        "42017d34 01",  # token cut off
        "40207d34",  # code class 1
        "40c07d34",  # code class 6
        "40007d34 00",  # empty message with content
        "40017d34 ff",  # payload marker without payload
        "40017d34 f0",  # delta 15
        "40017d34 0f",  # length 15
        "40017d34 d0",  # extended delta cut off
        "40017d34 e001",  # extended delta cut off
        "40017d34 b5 61",  # value cut off
        "40017d34 e0ffff",  # number above 65535
    ],
)
def test_what_is_not_coap_is_refused(text: str) -> None:
    with pytest.raises(CoapError):
        Message.decode(bytes.fromhex(text))


def test_random_bytes_raise_only_its_own_error() -> None:
    rng = random.Random(3)
    read = 0
    for _ in range(20_000):
        data = bytes((0x40 | rng.randrange(64), rng.randrange(256))) + rng.randbytes(rng.randrange(40))
        try:
            message = Message.decode(data)
        except CoapError:
            continue
        read += 1
        assert Message.decode(message.encode()) == message
    assert read > 500


def test_blocks() -> None:
    assert Block.unpack(0x22) == Block(2, more=False, exponent=2)
    assert Block(2, more=False, exponent=2).size == 64
    assert Block(5, more=True, exponent=6).pack() == 0x5E
    with pytest.raises(CoapError):
        Block.unpack(7)
    with pytest.raises(CoapError):
        Block.unpack(1 << 24)
    assert [exponent_for(size) for size in (16, 31, 32, 512, 1024, 4096)] == [0, 0, 1, 5, 6, 6]


def test_a_token_is_at_most_eight_bytes() -> None:
    with pytest.raises(CoapError):
        Message(Type.CON, Code.GET, 1, b"x" * 9).encode()


def test_helpers() -> None:
    message = Message(Type.CON, Code.GET).add(Option.URI_PATH, "rd").add(Option.URI_QUERY, "ep=ü").add(Option.ACCEPT, 0)
    assert message.path == ("rd",)
    assert message.query == ("ep=ü",)
    assert message.uint(Option.ACCEPT) == 0
    assert message.uint(Option.OBSERVE) is None
    assert message.block(Option.BLOCK1) is None
    assert dotted(Code.BAD_REQUEST) == "4.00"
    assert dotted(Code.CONTINUE) == "2.31"
    assert unknown_critical(message) is None
    assert unknown_critical(Message(Type.CON, Code.GET, options=[(9, b"")])) == 9
