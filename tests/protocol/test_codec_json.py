"""The JSON of LwM2M 1.0, against the examples of its TS (1.0.2, section 6.4.4)."""

import pytest

from custom_components.lwm2m.protocol.codec import MAX_ENTRIES, decode, encode
from custom_components.lwm2m.protocol.content_format import ContentFormat
from custom_components.lwm2m.protocol.errors import CodecError
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.objects import DefinitionView
from custom_components.lwm2m.protocol.path import ROOT, Path
from custom_components.lwm2m.protocol.value import ObjectLink, Value

from .test_codec_tlv import DEVICE_VALUES, entries, values

JSON = ContentFormat.JSON

DEVICE = (
    '{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"1","sv":"Lightweight M2M Client"},'
    '{"n":"2","sv":"345000123"},{"n":"3","sv":"1.0"},{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"7/0","v":3800},'
    '{"n":"7/1","v":5000},{"n":"8/0","v":125},{"n":"8/1","v":900},{"n":"9","v":100},{"n":"10","v":15},'
    '{"n":"11/0","v":0},{"n":"13","v":1367491215},{"n":"14","sv":"+02:00"},{"n":"16","sv":"U"}]}'
)


@pytest.mark.parametrize(
    "payload",
    [
        DEVICE,
        DEVICE.replace('"bn":"/3/0/"', '"bn":"3/0/"'),
        DEVICE.replace('"bn":"/3/0/"', '"bn":"/3/0"'),
        DEVICE.replace('"bn":"/3/0/",', ""),
        DEVICE.replace('"bn":"/3/0/"', '"bn":"/"').replace('"n":"', '"n":"3/0/'),
        DEVICE.replace('"bn":"/3/0/",', "").replace('"n":"', '"n":"/3/0/'),
    ],
)
def test_device(view: DefinitionView, payload: str) -> None:
    assert values(decode(JSON, payload.encode(), Path.of(3, 0), view)) == DEVICE_VALUES


def test_device_as_written(view: DefinitionView) -> None:
    assert encode(JSON, entries(DEVICE_VALUES), Path.of(3, 0), view).decode() == DEVICE


CASES: list[tuple[str, str, list[Entry]]] = [
    (
        "/3303/0/5700",
        '{"bn":"/3303/0/5700","e":[{"v":22.9,"t":-30},{"v":22.4,"t":-5},{"v":24.1}],"bt":1425462634}',
        [
            Entry(Path.of(3303, 0, 5700), 22.9, 1425462604),
            Entry(Path.of(3303, 0, 5700), 22.4, 1425462629),
            Entry(Path.of(3303, 0, 5700), 24.1, 1425462634),
        ],
    ),
    ("/3303/0/5700", '{"e":[{"v":22.9,"t":-30}]}', [Entry(Path.of(3303, 0, 5700), 22.9, -30)]),
    ("/3303/0/5700", '{"e":[{"n":"","v":22}]}', [Entry(Path.of(3303, 0, 5700), 22.0)]),
    ("/3/0/11", '{"bn":"3/0/1","e":[{"n":"1/0","v":0}]}', [Entry(Path.of(3, 0, 11, 0), 0)]),
    ("/3/0/6", '{"bn":"/3/0/6","e":[{"n":"0","v":1}]}', [Entry(Path.of(3, 0, 6, 0), 1)]),
    ("/3/0/6", '{"e":[{"n":"0","v":1}]}', [Entry(Path.of(3, 0, 6, 0), 1)]),
    ("/3/0/6", '{"bn":"/3/0/6","e":[]}', []),
    (
        "/",
        '{"bn":"/","e":[{"n":"65/0/0/0","ov":"66:0"},{"n":"66/1/0","sv":"myService 2"}]}',
        [Entry(Path.of(65, 0, 0, 0), ObjectLink(66, 0)), Entry(Path.of(66, 1, 0), "myService 2")],
    ),
    ("/40000/0/5", '{"bn":"/40000/0/5","e":[{"sv":"q83v"}]}', [Entry(Path.of(40000, 0, 5), b"\xab\xcd\xef")]),
    ("/40000/0/4", '{"bn":"/40000/0/4","e":[{"bv":true}]}', [Entry(Path.of(40000, 0, 4), True)]),
    (
        "/32769/0",
        '{"bn":"/32769/0/","e":[{"n":"1","v":5},{"n":"2","v":1.5}]}',
        [
            Entry(Path.of(32769, 0, 1), 5),
            Entry(Path.of(32769, 0, 2), 1.5),
        ],
    ),
]


@pytest.mark.parametrize(("base", "payload", "expected"), CASES)
def test_cases(view: DefinitionView, base: str, payload: str, expected: list[Entry]) -> None:
    found = decode(JSON, payload.encode(), Path.parse(base), view)
    assert found == expected
    assert [type(entry.value) for entry in found] == [type(entry.value) for entry in expected]


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{}",
        "[]",
        "5",
        '{"e":{}}',
        '{"e":[5]}',
        '{"e":[{}]}',
        '{"e":[]}',
        '{"bn":5,"e":[]}',
        '{"e":[{"n":5,"v":1}]}',
        '{"e":[{"n":"x","v":1}]}',
        '{"bn":"/3/0/","e":[{"n":"9"}]}',
        '{"bn":"/3/0/","e":[{"n":"10","v":5}]}',
        '{"bn":"/3/1/","e":[{"n":"9","v":5}]}',
        '{"bn":"/3/0/9","e":[{"v":true}]}',
        '{"bn":"/3/0/9","e":[{"v":"5"}]}',
        '{"bn":"/3/0/9","e":[{"v":null}]}',
        '{"bn":"/3/0/9","e":[{"sv":"full"}]}',
        '{"bn":"/3/0/9","e":[{"bv":1}]}',
        '{"bn":"/3/0/9","e":[{"ov":"3"}]}',
        '{"bn":"/3/0/9","e":[{"v":5,"t":"now"}]}',
        '{"bn":"/3/0/9","e":[{"v":5,"t":1e30}]}',
        '{"bn":"/3/0/9","bt":true,"e":[{"v":5}]}',
        '{"bn":"/3/0/9","e":[' + ",".join(['{"v":5}'] * (MAX_ENTRIES + 1)) + "]}",
    ],
)
def test_refused(view: DefinitionView, payload: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(JSON, payload.encode(), Path.of(3, 0, 9), view)
    assert caught.value.content_format == JSON


def test_several_instances_and_times(view: DefinitionView) -> None:
    written: dict[str, Value] = {"/40000/0/5": b"\x01", "/40000/1/7": ObjectLink(3, 0), "/40000/1/4": False}
    payload = (
        b'{"bn":"/","e":[{"n":"40000/0/5","sv":"AQ=="},{"n":"40000/1/7","ov":"3:0"},{"n":"40000/1/4","bv":false}]}'
    )
    assert encode(JSON, entries(written), ROOT, view) == payload
    assert values(decode(JSON, payload, ROOT, view)) == written
    timed = [Entry(Path.of(3303, 0, 5700), 22.5, -5)]
    assert decode(JSON, encode(JSON, timed, timed[0].path, view), timed[0].path, view) == timed
