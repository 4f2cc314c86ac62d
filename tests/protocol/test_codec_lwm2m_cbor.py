"""LwM2M CBOR (LwM2M TS 1.2.1 Core, section 7.5.6)."""

import cbor2
import pytest

from custom_components.lwm2m.protocol.codec import decode, encode
from custom_components.lwm2m.protocol.content_format import ContentFormat
from custom_components.lwm2m.protocol.errors import CodecError
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.objects import DefinitionView
from custom_components.lwm2m.protocol.path import ROOT, Path
from custom_components.lwm2m.protocol.value import ObjectLink, Value

from .test_codec_tlv import DEVICE_VALUES, entries, values

FORMAT = ContentFormat.LWM2M_CBOR


@pytest.mark.parametrize(
    "payload",
    [
        "A1 83 0D 18 1A 01 18 2A",
        "BF 9F 0D 18 1A 01 FF 18 2A FF",
        "A1 0D A1 18 1A A1 01 18 2A",
        "BF 0D BF 18 1A BF 01 18 2A FF FF FF",
        "A1 81 0D A1 82 18 1A 01 18 2A",
        "A1 0D A1 82 18 1A 01 18 2A",
        "A1 82 0D 18 1A A1 01 18 2A",
    ],
)
def test_spellings_of_a_path(view: DefinitionView, payload: str) -> None:
    expected = [Entry(Path.of(13, 26, 1), 42)]
    assert decode(FORMAT, bytes.fromhex(payload), Path.of(13, 26), view) == expected
    assert decode(FORMAT, bytes.fromhex(payload), ROOT, view) == expected


def test_as_written(view: DefinitionView) -> None:
    path = Path.of(13, 26, 1)
    assert encode(FORMAT, [Entry(path, 42)], path, view) == bytes.fromhex("A1 0D A1 18 1A A1 01 18 2A")


def test_device(view: DefinitionView) -> None:
    payload = encode(FORMAT, entries(DEVICE_VALUES), Path.of(3, 0), view)
    assert values(decode(FORMAT, payload, Path.of(3, 0), view)) == DEVICE_VALUES
    assert cbor2.loads(payload)[3][0][6] == {0: 1, 1: 5}


def test_every_type(view: DefinitionView) -> None:
    written: dict[str, Value] = {
        "/40000/0/0": "ü",
        "/40000/0/1": -5,
        "/40000/0/2": 2**64 - 1,
        "/40000/0/3": 22.5,
        "/40000/0/4": True,
        "/40000/0/5": b"\x00",
        "/40000/0/6": 1367491215,
        "/40000/0/7": ObjectLink(3, 0),
        "/40000/1/8": "</3/0>",
        "/3306/0/5850": False,
    }
    payload = encode(FORMAT, entries(written), ROOT, view)
    assert b"\x06\xc1\x1a\x51\x82\x42\x8f\x07\x633:0" in payload
    assert values(decode(FORMAT, payload, ROOT, view)) == written


def test_nothing(view: DefinitionView) -> None:
    assert decode(FORMAT, b"\xa0", Path.of(3), view) == []
    assert decode(FORMAT, b"\xbf\xff", Path.of(3, 0), view) == []
    assert decode(FORMAT, b"\xa1\x83\x03\x00\x06\xa0", Path.of(3, 0, 6), view) == []
    assert decode(FORMAT, b"\xa1\x83\x03\x00\x09\xf6", Path.of(3, 0), view) == []


@pytest.mark.parametrize(
    ("base", "payload"),
    [
        ("/3", ""),
        ("/3", "80"),
        ("/3", "05"),
        ("/3", "A1"),
        ("/3", "A10305"),
        ("/3", "A1830300090580"),
        ("/3", "A183030009A10005F5"),
        ("/3", "A183030009A100A10005"),
        ("/3", "A1850300090000 05"),
        ("/3", "A18005"),
        ("/3", "A1613305"),
        ("/3", "A183032009 05"),
        ("/3", "A18303F409 05"),
        ("/3", "A183031A0001000009 05"),
        ("/3", "A18303000980"),
        ("/3", "A183030009F7"),
        ("/3", "A1830300096166"),
        ("/3/1", "A183030009 05"),
        ("/3/0/9", "A0"),
    ],
)
def test_refused(view: DefinitionView, base: str, payload: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(FORMAT, bytes.fromhex(payload), Path.parse(base), view)
    assert caught.value.content_format == FORMAT


def test_too_many_values(view: DefinitionView) -> None:
    payload = cbor2.dumps({32769: {number: dict.fromkeys(range(100), 1) for number in range(101)}})
    assert len(payload) < 65536
    with pytest.raises(CodecError, match="more than"):
        decode(FORMAT, payload, ROOT, view)


@pytest.mark.parametrize(
    ("base", "written"),
    [
        ("/3/0", [("/3/1/9", 5)]),
        ("/3", [("/3/0", 5)]),
        ("/3/0", [("/3/0/9", 5), ("/3/0/9", 6)]),
        ("/3/0", [("/3/0/6", 5), ("/3/0/6/0", 6)]),
        ("/3/0", [("/3/0/9", "x")]),
    ],
)
def test_not_written(view: DefinitionView, base: str, written: list[tuple[str, Value]]) -> None:
    with pytest.raises(CodecError):
        encode(FORMAT, [Entry(Path.parse(path), value) for path, value in written], Path.parse(base), view)
