"""SenML as JSON and CBOR, against examples of RFC 8428 and of the LwM2M TS (1.1.1 Core, sections 7.4.4 and 7.4.6)."""

import json
import threading
from typing import Any

import cbor2
import pytest

from custom_components.lwm2m.protocol.codec import MAX_ENTRIES, decode, encode, encode_paths
from custom_components.lwm2m.protocol.content_format import ContentFormat
from custom_components.lwm2m.protocol.errors import CodecError
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.objects import DefinitionView
from custom_components.lwm2m.protocol.path import ROOT, Path
from custom_components.lwm2m.protocol.value import ObjectLink, Value

from .test_codec_tlv import DEVICE_VALUES, entries, values

JSON, CBOR = ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR

LABELS: dict[str, int | str] = {
    "bn": -2,
    "bt": -3,
    "bu": -4,
    "bv": -5,
    "bs": -6,
    "bver": -1,
    "n": 0,
    "u": 1,
    "v": 2,
    "vs": 3,
    "vb": 4,
    "s": 5,
    "t": 6,
    "ut": 7,
    "vd": 8,
}
"""Table 4 of RFC 8428."""

DEVICE_JSON = (
    b'[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"1","vs":"Lightweight M2M Client"},'
    b'{"n":"2","vs":"345000123"},{"n":"3","vs":"1.0"},{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"7/0","v":3800},'
    b'{"n":"7/1","v":5000},{"n":"8/0","v":125},{"n":"8/1","v":900},{"n":"9","v":100},{"n":"10","v":15},'
    b'{"n":"11/0","v":0},{"n":"13","v":1367491215},{"n":"14","vs":"+02:00"},{"n":"16","vs":"U"}]'
)
DEVICE_CBOR = bytes.fromhex(
    "90a321652f332f302f00613003744f70656e204d6f62696c6520416c6c69616e6365a200613103764c69676874776569676874204d324d20"
    "436c69656e74a20061320369333435303030313233a20061330363312e30a20063362f300201a20063362f310205a20063372f3002190ed8"
    "a20063372f3102191388a20063382f3002187da20063382f3102190384a2006139021864a200623130020fa2006431312f300200a2006231"
    "33021a5182428fa20062313403662b30323a3030a200623136036155"
)


def in_both(records: object) -> list[tuple[ContentFormat, bytes]]:
    """Return records written as JSON, and as CBOR by their labels there."""
    numbered = records
    if isinstance(records, list):
        numbered = [
            {LABELS.get(label, label): field for label, field in record.items()} if isinstance(record, dict) else record
            for record in records
        ]
    return [(JSON, json.dumps(records).encode()), (CBOR, cbor2.dumps(numbered))]


def test_device(view: DefinitionView) -> None:
    path = Path.of(3, 0)
    for content_format, payload in ((JSON, DEVICE_JSON), (CBOR, DEVICE_CBOR)):
        assert values(decode(content_format, payload, path, view)) == DEVICE_VALUES
        assert encode(content_format, entries(DEVICE_VALUES), path, view) == payload


# The records of RFC 8428 sections 5.1.1 to 5.1.4, with paths of LwM2M in place of the names of its sensors.
RFC_8428: list[tuple[list[dict[str, Any]], list[tuple[str, Value, float | None]]]] = [
    ([{"n": "/3303/0/5700", "u": "Cel", "v": 23.1}], [("/3303/0/5700", 23.1, None)]),
    (
        [
            {"bn": "/32769/0/", "n": "1", "u": "V", "v": 120.1},
            {"n": "2", "u": "A", "v": 1.2},
        ],
        [("/32769/0/1", 120.1, None), ("/32769/0/2", 1.2, None)],
    ),
    (
        [
            {"bn": "/32769/0/", "bt": 1.276020076001e9, "bu": "A", "bver": 5, "n": "1", "u": "V", "v": 120.1},
            {"n": "2", "t": -5, "v": 1.2},
            {"n": "2", "t": -4, "v": 1.3},
            {"n": "2", "v": 1.7},
        ],
        [
            ("/32769/0/1", 120.1, 1.276020076001e9),
            ("/32769/0/2", 1.2, 1.276020076001e9 - 5),
            ("/32769/0/2", 1.3, 1.276020076001e9 - 4),
            ("/32769/0/2", 1.7, 1.276020076001e9),
        ],
    ),
    (
        [
            {"bn": "/3303/0/5700", "bt": 1.320067464e9, "bu": "%RH", "v": 20},
            {"u": "lon", "v": 24.30621},
            {"t": 60, "v": 20.3},
        ],
        [
            ("/3303/0/5700", 20.0, 1.320067464e9),
            ("/3303/0/5700", 24.30621, 1.320067464e9),
            ("/3303/0/5700", 20.3, 1.320067524e9),
        ],
    ),
    (
        [{"bn": "/32769/0/", "n": "0/1", "v": 1}, {"n": "0/2", "vb": True}, {"n": "3", "vs": "room"}],
        [("/32769/0/0/1", 1, None), ("/32769/0/0/2", True, None), ("/32769/0/3", "room", None)],
    ),
]


@pytest.mark.parametrize(("records", "expected"), RFC_8428)
def test_rfc_8428(
    view: DefinitionView, records: list[dict[str, Any]], expected: list[tuple[str, Value, float | None]]
) -> None:
    for content_format, payload in in_both(records):
        assert decode(content_format, payload, ROOT, view) == [
            Entry(Path.parse(path), value, time) for path, value, time in expected
        ]


CASES: list[tuple[str, list[Any], list[Entry]]] = [
    ("/3/0/0", [{"bn": "/3/0/0", "vs": "x"}], [Entry(Path.of(3, 0, 0), "x")]),
    ("/6/0/3", [{"n": "/6/0/3", "v": 20.0}], [Entry(Path.of(6, 0, 3), 20.0)]),
    ("/3/0/13", [{"bn": "/3/0/13", "v": 1.638435e9}], [Entry(Path.of(3, 0, 13), 1638435000)]),
    ("/3/0/7", [{"bn": "/3/0/7/", "n": "1", "v": 5}], [Entry(Path.of(3, 0, 7, 1), 5)]),
    ("/3303", [{"bn": "/3303/0/57", "n": "00", "v": 1}], [Entry(Path.of(3303, 0, 5700), 1.0)]),
    ("/3/0", [{"bn": "/3/0/"}, {"n": "9", "v": 5}], [Entry(Path.of(3, 0, 9), 5)]),
    (
        "/40000/0/1",
        [{"n": "/40000/0/1", "v": 9223372036854775800}],
        [Entry(Path.of(40000, 0, 1), 9223372036854775800)],
    ),
    ("/40000/0/2", [{"n": "/40000/0/2", "v": 2**64 - 1}], [Entry(Path.of(40000, 0, 2), 2**64 - 1)]),
    ("/40000/0/7", [{"n": "/40000/0/7", "vlo": "66:1"}], [Entry(Path.of(40000, 0, 7), ObjectLink(66, 1))]),
    ("/32769/0/7", [{"n": "/32769/0/7", "vlo": "66:1"}], [Entry(Path.of(32769, 0, 7), ObjectLink(66, 1))]),
    ("/40000/0/7", [{"n": "/40000/0/7", "vs": "66:1"}], [Entry(Path.of(40000, 0, 7), ObjectLink(66, 1))]),
    ("/40000/0/8", [{"n": "/40000/0/8", "vs": "</3/0>"}], [Entry(Path.of(40000, 0, 8), "</3/0>")]),
    ("/40000/0/4", [{"n": "/40000/0/4", "vb": False}], [Entry(Path.of(40000, 0, 4), False)]),
    ("/40000/0/4", [{"n": "/40000/0/4", "v": 1}], [Entry(Path.of(40000, 0, 4), True)]),
    ("/3303", [{"bn": "/3303/0/5700", "bv": 20}, {"v": 1.5}], [Entry(Path.of(3303, 0, 5700), 21.5)]),
    ("/3303", [{"bn": "/3303/0/", "bv": 20}, {"n": "5700"}], [Entry(Path.of(3303, 0, 5700), 20.0)]),
    ("/3303", [{"bn": "/3303/0/", "bv": 20, "n": "5701", "vs": "K"}], [Entry(Path.of(3303, 0, 5701), "K")]),
    ("/3/0/6", [], []),
    ("/3/0", [], []),
    ("/", [], []),
    ("/3/0/6", [{"n": "/3/0/6/0", "v": None}], []),
    ("/3303", [{"n": "/3303/0/5700", "t": -30, "v": 22.9}], [Entry(Path.of(3303, 0, 5700), 22.9, -30)]),
    (
        "/",
        [{"bn": "/3303/0/5700", "bt": 1699877805.5, "v": -128.8}, {"bn": "/6/0/0", "t": 0.5, "v": -39.0}],
        [
            Entry(Path.of(3303, 0, 5700), -128.8, 1699877805.5),
            Entry(Path.of(6, 0, 0), -39.0, 1699877806.0),
        ],
    ),
    (
        "/2",
        [{"bn": "/2/3/", "n": "0", "v": 3}, {"n": "3", "v": 123}, {"bn": "/2/2/", "n": "0", "v": 4}],
        [Entry(Path.of(2, 3, 0), 3), Entry(Path.of(2, 3, 3), 123), Entry(Path.of(2, 2, 0), 4)],
    ),
    ("/3/0/9", [{"n": "/3/0/9", "v": 5, "x": [{}], "u": "%", "s": 1, "ut": 2}], [Entry(Path.of(3, 0, 9), 5)]),
]


@pytest.mark.parametrize(("base", "records", "expected"), CASES)
def test_cases(view: DefinitionView, base: str, records: list[Any], expected: list[Entry]) -> None:
    for content_format, payload in in_both(records):
        found = decode(content_format, payload, Path.parse(base), view)
        assert found == expected
        assert [type(entry.value) for entry in found] == [type(entry.value) for entry in expected]


@pytest.mark.parametrize(
    ("base", "records"),
    [
        ("/3/0/9", []),
        ("/3/0/9", {}),
        ("/3/0/9", 5),
        ("/3/0/9", [5]),
        ("/3/0/9", [[]]),
        ("/3/0/9", [{"n": "/3/0/9"}]),
        ("/3/0/9", [{"n": "/3/0/9", "v": None}]),
        ("/3/0/9", [{"n": "/3/0/10", "v": 5}]),
        ("/3/0", [{"n": "/3/1/9", "v": 5}]),
        ("/3/0", [{"n": "/3/0", "v": 5}]),
        ("/3/0", [{"n": "9", "v": 5}]),
        ("/", [{"n": "urn:dev:ow:10e2073a01080063", "v": 23.1}]),
        ("/", [{"v": 23.1}]),
        ("/3/0", [{}]),
        ("/3/0", [{"x": 5}]),
        ("/3/0", [{"t": 5}]),
        ("/3/0", [{"n": 5, "v": 5}]),
        ("/3/0", [{"bn": 5, "v": 5}]),
        ("/3/0", [{"n": "/3/0/9", "v": "5"}]),
        ("/3/0", [{"n": "/3/0/9", "v": True}]),
        ("/3/0", [{"n": "/3/0/9", "v": []}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "vs": "5"}]),
        ("/3/0", [{"n": "/3/0/9", "vs": "full"}]),
        ("/3/0", [{"n": "/3/0/9", "vs": 5}]),
        ("/3/0", [{"n": "/3/0/9", "vb": 1}]),
        ("/3/0", [{"n": "/3/0/9", "vd": 1}]),
        ("/3/0", [{"n": "/3/0/9", "vlo": "1:1"}]),
        ("/3/0", [{"n": "/3/0/0", "vlo": "1:1"}]),
        ("/40000/0", [{"n": "/40000/0/7", "vlo": "1"}]),
        ("/40000/0", [{"n": "/40000/0/7", "vlo": 1}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "t": "now"}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "t": True}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "t": 1e20}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "bt": "x"}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "bv": "x"}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "bver": 11}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "bver": "x"}]),
        ("/3/0", [{"n": "/3/0/9", "v": 5, "must_": 1}]),
        ("/3/0", [{"n": "/3/0/9", "v": 10**30}]),
        ("/", [{"n": "/3/0/9", "v": 1}] * (MAX_ENTRIES + 1)),
    ],
)
def test_refused(view: DefinitionView, base: str, records: object) -> None:
    for content_format, payload in in_both(records):
        with pytest.raises(CodecError) as caught:
            decode(content_format, payload, Path.parse(base), view)
        assert caught.value.content_format == content_format


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (JSON, b"["),
        (JSON, b"\xff"),
        (JSON, b"\xff\xfe[\x00]\x00"),
        (JSON, b'[{"n":"/3303/0/5700","v":NaN}]'),
        (JSON, b'[{"n":"/3303/0/5700","v":-Infinity}]'),
        (JSON, b'[{"n":"/3303/0/5700","v":1}],'),
        (JSON, b'[{"n":"/3303/0/5700","t":1e999,"v":1}]'),
        (JSON, b'[{"n":"/3/0/9","v":' + b"1" * 5000 + b"}]"),
        (JSON, b"[" * 60000),
        (JSON, b'[{"a":' * 9000),
        (JSON, b" " * 70000),
        (JSON, b'[{"n":"/40000/0/5","vd":"?"}]'),
        (CBOR, b"\x81\xa2\x00\x6a/40000/0/5\x08\x61a"),
        (CBOR, b"\x81" * 400),
        (CBOR, b"\x81\xa1\xa0\x01"),
        (CBOR, b"\x81\xa2\x00\x66/3/0/9\x02\xd8\x1c\x05"),
        (CBOR, b"\x9a\xff\xff\xff\xff"),
        (CBOR, b"\xba\xff\xff\xff\xff"),
    ],
)
def test_malformed(view: DefinitionView, content_format: ContentFormat, payload: bytes) -> None:
    with pytest.raises(CodecError) as caught:
        decode(content_format, payload, ROOT, view)
    assert caught.value.content_format == content_format


def test_deep_json_on_a_small_stack(view: DefinitionView) -> None:
    errors: list[Exception] = []

    def run() -> None:
        try:
            decode(JSON, b"[" * 60000, ROOT, view)
        except CodecError as error:
            errors.append(error)

    former = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(former)
    thread.join()
    assert [str(error) for error in errors] == ["JSON nested too deeply"]


def test_empty_payload_is_no_records(view: DefinitionView) -> None:
    for content_format in (JSON, CBOR):
        assert decode(content_format, b"", Path.of(3, 0, 6), view) == []
        with pytest.raises(CodecError):
            decode(content_format, b"", Path.of(3, 0, 9), view)


def test_opaque(view: DefinitionView) -> None:
    path = Path.of(0, 0, 3)
    entry = Entry(path, b"\xab\xcd\xef")
    assert decode(JSON, b'[{"bn":"/0/0/3","vd":"q83v"}]', path, view) == [entry]
    assert decode(CBOR, bytes.fromhex("81a221662f302f302f330843abcdef"), path, view) == [entry]
    assert encode(JSON, [entry], path, view) == b'[{"bn":"/0/0/","n":"3","vd":"q83v"}]'
    assert encode(CBOR, [entry], path, view) == bytes.fromhex("81a321652f302f302f0061330843abcdef")


def test_opaque_is_base64_of_the_url_alphabet_without_padding(view: DefinitionView) -> None:
    path = Path.of(0, 0, 3)
    assert encode(JSON, [Entry(path, b"\xfb\xff")], path, view) == b'[{"bn":"/0/0/","n":"3","vd":"-_8"}]'
    for text in (b"-_8", b"-_8=", b"+/8="):
        assert decode(JSON, b'[{"n":"/0/0/3","vd":"' + text + b'"}]', path, view) == [Entry(path, b"\xfb\xff")]


def test_decimal_fraction(view: DefinitionView) -> None:
    payload = b"\x81\xa2\x00\x6c/3303/0/5700\x02\xc4\x82\x20\x18\xe1"
    assert decode(CBOR, payload, ROOT, view) == [Entry(Path.of(3303, 0, 5700), 22.5)]


def test_composite(view: DefinitionView) -> None:
    written: dict[str, Value] = {"/3303/0/5700": 22.5, "/3306/0/5850": True, "/40000/1/7": ObjectLink(3, 0)}
    payload = (
        b'[{"n":"/3303/0/5700","v":22.5},{"n":"/3306/0/5850","vb":true},{"n":"/40000/1/7","vlo":"3:0"}]',
        cbor2.dumps([{0: "/3303/0/5700", 2: 22.5}, {0: "/3306/0/5850", 4: True}, {0: "/40000/1/7", "vlo": "3:0"}]),
    )
    for content_format, expected in zip((JSON, CBOR), payload, strict=True):
        assert encode(content_format, entries(written), ROOT, view) == expected
        assert values(decode(content_format, expected, ROOT, view)) == written


def test_times_are_written(view: DefinitionView) -> None:
    path = Path.of(3303, 0, 5700)
    written = [Entry(path, 22.5, 1_700_000_000.0), Entry(path, 23.5, -5)]
    for content_format in (JSON, CBOR):
        assert decode(content_format, encode(content_format, written, path, view), path, view) == written


def test_paths() -> None:
    paths = [Path.of(3, 0, 9), Path.of(3303)]
    assert encode_paths(JSON, paths) == b'[{"n":"/3/0/9"},{"n":"/3303"}]'
    assert encode_paths(CBOR, paths) == b"\x82\xa1\x00\x66/3/0/9\xa1\x00\x65/3303"
    assert encode_paths(JSON, paths, ("lwm2m",)) == b'[{"n":"/lwm2m/3/0/9"},{"n":"/lwm2m/3303"}]'
    assert encode_paths(CBOR, []) == b"\x80"


def test_root_of_the_client(view: DefinitionView) -> None:
    path = Path.of(3303, 0, 5700)
    written = [Entry(path, 22.5)]
    for content_format in (JSON, CBOR, ContentFormat.JSON):
        payload = encode(content_format, written, path, view, ("a", "b"))
        assert b"/a/b/3303/0/" in payload
        assert decode(content_format, payload, path, view, ("a", "b")) == written
        with pytest.raises(CodecError):
            decode(content_format, payload, path, view)


@pytest.mark.parametrize(
    ("base", "written"),
    [("/3/0", {"/3/1/9": 5}), ("/3", {"/3/0": 5}), ("/3/0", {"/3/0/9": "x"}), ("/3303", {"/3303/0/5700": b"x"})],
)
def test_not_written(view: DefinitionView, base: str, written: dict[str, Value]) -> None:
    for content_format in (JSON, CBOR):
        with pytest.raises(CodecError) as caught:
            encode(content_format, entries(written), Path.parse(base), view)
        assert caught.value.content_format == content_format


def test_infinity_is_not_json(view: DefinitionView) -> None:
    path = Path.of(3303, 0, 5700)
    for content_format in (JSON, ContentFormat.JSON):
        with pytest.raises(CodecError):
            encode(content_format, [Entry(path, float("inf"))], path, view)
    assert decode(CBOR, encode(CBOR, [Entry(path, float("inf"))], path, view), path, view)[0].value == float("inf")


def test_half_a_surrogate_pair_is_no_text(view: DefinitionView) -> None:
    base = Path((3, 0, 0))
    whole, half = rb'[{"n":"/3/0/0","vs":"\ud83d\ude00"}]', rb'[{"n":"/3/0/0","vs":"\ud800"}]'
    assert decode(ContentFormat.SENML_JSON, whole, base, view) == [Entry(base, "\N{GRINNING FACE}")]
    with pytest.raises(CodecError):
        decode(ContentFormat.SENML_JSON, half, base, view)
