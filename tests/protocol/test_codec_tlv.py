"""TLV, against the examples of the LwM2M TS (1.1.1 Core, section 7.4.5) and against what clients write."""

import pytest

from custom_components.lwm2m.protocol.codec import decode, encode
from custom_components.lwm2m.protocol.content_format import ContentFormat
from custom_components.lwm2m.protocol.errors import CodecError
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.objects import DefinitionView
from custom_components.lwm2m.protocol.path import ROOT, Path
from custom_components.lwm2m.protocol.value import DataType, ObjectLink, Value

TLV = ContentFormat.TLV

DEVICE = bytes.fromhex(
    "C800144F70656E204D6F62696C6520416C6C69616E6365"
    "C801164C69676874776569676874204D324D20436C69656E74"
    "C80209333435303030313233"
    "C303312E30"
    "8606410001410105"
    "88070842000ED842011388"
    "870841007D42010384"
    "C10964"
    "C10A0F"
    "830B410000"
    "C40D5182428F"
    "C60E2B30323A3030"
    "C11055"
)
DEVICE_VALUES: dict[str, Value] = {
    "/3/0/0": "Open Mobile Alliance",
    "/3/0/1": "Lightweight M2M Client",
    "/3/0/2": "345000123",
    "/3/0/3": "1.0",
    "/3/0/6/0": 1,
    "/3/0/6/1": 5,
    "/3/0/7/0": 3800,
    "/3/0/7/1": 5000,
    "/3/0/8/0": 125,
    "/3/0/8/1": 900,
    "/3/0/9": 100,
    "/3/0/10": 15,
    "/3/0/11/0": 0,
    "/3/0/13": 1367491215,
    "/3/0/14": "+02:00",
    "/3/0/16": "U",
}


def values(entries: list[Entry]) -> dict[str, Value]:
    return {str(entry.path): entry.value for entry in entries}


def entries(of: dict[str, Value]) -> list[Entry]:
    return [Entry(Path.parse(path), value) for path, value in of.items()]


@pytest.mark.parametrize(
    ("base", "payload"),
    [("/3/0", DEVICE), ("/3", DEVICE), ("/3", b"\x08\x00\x79" + DEVICE), ("/3/0", b"\x08\x00\x79" + DEVICE)],
)
def test_device(view: DefinitionView, base: str, payload: bytes) -> None:
    assert values(decode(TLV, payload, Path.parse(base), view)) == DEVICE_VALUES


def test_device_as_written(view: DefinitionView) -> None:
    assert encode(TLV, entries(DEVICE_VALUES), Path.of(3, 0), view) == DEVICE
    assert encode(TLV, entries(DEVICE_VALUES), Path.of(3), view) == b"\x08\x00\x79" + DEVICE


EXAMPLES: list[tuple[str, str, dict[str, Value]]] = [
    (
        "/2",
        "08000EC10001C101008302417F07C1037F080212C10003C101008702417F0761013601C1037F",
        {
            "/2/0/0": 1,
            "/2/0/1": 0,
            "/2/0/2/127": 7,
            "/2/0/3": 127,
            "/2/2/0": 3,
            "/2/2/1": 0,
            "/2/2/2/127": 7,
            "/2/2/2/310": 1,
            "/2/2/3": 127,
        },
    ),
    (
        "/1",
        "08000FC10001C40100015180C10601C10755",
        {"/1/0/0": 1, "/1/0/1": 86400, "/1/0/6": True, "/1/0/7": "U"},
    ),
    (
        "/65/0",
        "88000C440000420000440100420001C8010D38363133383030373535353030C40212345678",
        {
            "/65/0/0/0": ObjectLink(66, 0),
            "/65/0/0/1": ObjectLink(66, 1),
            "/65/0/1": "8613800755500",
            "/65/0/2": 0x12345678,
        },
    ),
    (
        "/66",
        (
            "080026C8000B6D79536572766963652031C8010F496E7465726E65742E31352E323334C40200430000"
            "080126C8000B6D79536572766963652032C8010F496E7465726E65742E31352E323335C402FFFFFFFF"
        ),
        {
            "/66/0/0": "myService 1",
            "/66/0/1": "Internet.15.234",
            "/66/0/2": ObjectLink(67, 0),
            "/66/1/0": "myService 2",
            "/66/1/1": "Internet.15.235",
            "/66/1/2": ObjectLink(65535, 65535),
        },
    ),
]


@pytest.mark.parametrize(("base", "payload", "expected"), EXAMPLES)
def test_examples(view: DefinitionView, base: str, payload: str, expected: dict[str, Value]) -> None:
    path = Path.parse(base)
    assert values(decode(TLV, bytes.fromhex(payload), path, view)) == expected
    assert encode(TLV, entries(expected), path, view) == bytes.fromhex(payload)


T = DataType
WIDTHS: list[tuple[DataType, str, Value]] = [
    (T.INTEGER, "00", 0),
    (T.INTEGER, "7F", 127),
    (T.INTEGER, "80", -128),
    (T.INTEGER, "FF", -1),
    (T.INTEGER, "0080", 128),
    (T.INTEGER, "FF7F", -129),
    (T.INTEGER, "00008000", 32768),
    (T.INTEGER, "FFFF7FFF", -32769),
    (T.INTEGER, "80000000", -(2**31)),
    (T.INTEGER, "0000000080000000", 2**31),
    (T.INTEGER, "8000000000000000", -(2**63)),
    (T.UNSIGNED_INTEGER, "7F", 127),
    (T.UNSIGNED_INTEGER, "00C8", 200),
    (T.UNSIGNED_INTEGER, "FFFFFFFFFFFFFFFF", 2**64 - 1),
    (T.TIME, "5182428F", 1367491215),
    (T.TIME, "0000000100000000", 2**32),
    (T.FLOAT, "41B40000", 22.5),
    (T.FLOAT, "C1B40000", -22.5),
    (T.FLOAT, "4036666666666666", 22.4),
    (T.FLOAT, "7F800000", float("inf")),
    (T.FLOAT, "7E37E43C8800759C", 1e300),
    (T.BOOLEAN, "01", True),
    (T.BOOLEAN, "00", False),
    (T.OPAQUE, "", b""),
    (T.OPAQUE, "00FF", b"\x00\xff"),
    (T.OBJLNK, "00030000", ObjectLink(3, 0)),
    (T.STRING, "C3BC", "ü"),
    (T.CORELNK, "3C2F3E", "</>"),
]


def of_type(data_type: DataType) -> Path:
    return Path.of(40000, 0, list(DataType).index(data_type))


@pytest.mark.parametrize(("data_type", "content", "value"), WIDTHS)
def test_widths(view: DefinitionView, data_type: DataType, content: str, value: Value) -> None:
    path = of_type(data_type)
    data = bytes.fromhex(content)
    header = bytes((0xC0 | len(data), path[2])) if len(data) < 8 else bytes((0xC8, path[2], len(data)))
    assert decode(TLV, header + data, path, view) == [Entry(path, value)]
    assert encode(TLV, [Entry(path, value)], path, view) == header + data


@pytest.mark.parametrize(
    ("data_type", "content", "value"),
    [
        (T.INTEGER, "000005", 5),
        (T.INTEGER, "00000005", 5),
        (T.INTEGER, "FFFFFB", -5),
        (T.UNSIGNED_INTEGER, "C8", 200),
        (T.FLOAT, "05", 5.0),
        (T.FLOAT, "FFFB", -5.0),
        (T.FLOAT, "4036800000000000", 22.5),
    ],
)
def test_widths_that_clients_choose(view: DefinitionView, data_type: DataType, content: str, value: Value) -> None:
    path = of_type(data_type)
    data = bytes.fromhex(content)
    assert decode(TLV, bytes((0xC8, path[2], len(data))) + data, path, view) == [Entry(path, value)]


@pytest.mark.parametrize("size", [0, 7, 8, 255, 256, 65000, 70000])
def test_lengths_of_lengths(view: DefinitionView, size: int) -> None:
    path = of_type(T.OPAQUE)
    payload = encode(TLV, [Entry(path, bytes(size))], path, view)
    width = 0 if size < 8 else 1 if size < 256 else 2 if size < 65536 else 3
    assert len(payload) == 2 + width + size
    if size < 65530:
        assert decode(TLV, payload, path, view) == [Entry(path, bytes(size))]


def test_identifiers_of_16_bit(view: DefinitionView) -> None:
    path = Path.of(3303, 0, 5700)
    payload = b"\xe4\x16\x44\x41\xb4\x00\x00"
    assert decode(TLV, payload, path, view) == [Entry(path, 22.5)]
    assert encode(TLV, [Entry(path, 22.5)], path, view) == payload


@pytest.mark.parametrize(
    ("base", "payload", "expected"),
    [
        ("/3/0/6", "410001410105", {"/3/0/6/0": 1, "/3/0/6/1": 5}),
        ("/3/0/6", "8606410001410105", {"/3/0/6/0": 1, "/3/0/6/1": 5}),
        ("/3/0/6", "8006", {}),
        ("/3/0/6", "", {}),
        ("/3/0", "", {}),
        ("/3", "", {}),
        ("/2", "0000", {}),
        ("/3/0/6/1", "410105", {"/3/0/6/1": 5}),
        ("/3/0/6/1", "8306410105", {"/3/0/6/1": 5}),
        ("/3/0/9", "0300C10964", {"/3/0/9": 100}),
        ("/3/0/9", "080003C10964", {"/3/0/9": 100}),
        ("/3/0/16", "C11055", {"/3/0/16": "U"}),
        ("/32769", "C10161", {"/32769/0/1": b"a"}),
        ("/32769/0", "C10161 8302410007", {"/32769/0/1": b"a", "/32769/0/2/0": b"\x07"}),
    ],
)
def test_what_may_be_left_out(view: DefinitionView, base: str, payload: str, expected: dict[str, Value]) -> None:
    assert values(decode(TLV, bytes.fromhex(payload), Path.parse(base), view)) == expected


@pytest.mark.parametrize(
    ("base", "payload"),
    [
        ("/", ""),
        ("/3/0/9", ""),
        ("/3/0/9", "C1"),
        ("/3/0/9", "C109"),
        ("/3/0/9", "C20964"),
        ("/3/0/9", "C809"),
        ("/3/0/9", "D80900"),
        ("/3/0/9", "E109"),
        ("/3/0/9", "C10A64"),
        ("/3/0/9", "C009"),
        ("/3/0/9", "C90964"),
        ("/3/0/9", "0301C10964"),
        ("/3/0/9", "C80909000000000000000000"),
        ("/3/0/6/1", "410001"),
        ("/3/0/6/1", "410105410205"),
        ("/3/0/6", "410001C10105"),
        ("/3/0", "410001"),
        ("/3/0", "8306C10001"),
        ("/3/0", "0301C10964"),
        ("/3", "410001"),
        ("/3", "23FFFFC10964"),
        ("/2", "C10001"),
        ("/3/0/0", "C100FF"),
        ("/3/0", "C40D51824"),
        ("/40000/0/4", "C10402"),
        ("/40000/0/4", "C2040001"),
        ("/40000/0/3", "C303000000"),
        ("/40000/0/3", "C003"),
        ("/40000/0/7", "C2070003"),
        ("/40000/0/2", "C002"),
    ],
)
def test_refused(view: DefinitionView, base: str, payload: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(TLV, bytes.fromhex(payload if len(payload) % 2 == 0 else payload + "0"), Path.parse(base), view)
    assert caught.value.content_format == TLV


def test_too_much(view: DefinitionView) -> None:
    with pytest.raises(CodecError, match="more than"):
        decode(TLV, b"\xc0\x01" * 20000, Path.of(32769, 0), view)
    with pytest.raises(CodecError, match="more than"):
        decode(TLV, bytes(70000), Path.of(3, 0), view)


def test_empty_multiple_resource_is_written(view: DefinitionView) -> None:
    assert encode(TLV, [], Path.of(3, 0, 6), view) == b"\x80\x06"
    assert encode(TLV, [], Path.of(3, 0), view) == b""


def test_instances_of_a_resource_are_written(view: DefinitionView) -> None:
    path = Path.of(3, 0, 6)
    payload = bytes.fromhex("8606410001410105")
    assert encode(TLV, [Entry(path.child(0), 1), Entry(path.child(1), 5)], path, view) == payload
    assert encode(TLV, [Entry(path.child(1), 5)], path.child(1), view) == bytes.fromhex("8306410105")


def test_unknown_resource_is_written_by_its_value(view: DefinitionView) -> None:
    written: dict[str, Value] = {
        "/32769/0/1": "a",
        "/32769/0/2": 2**63,
        "/32769/0/3": 1.5,
        "/32769/0/4": False,
        "/32769/0/5": b"b",
    }
    assert encode(TLV, entries(written), Path.of(32769, 0), view) == bytes.fromhex(
        "C10161 C802088000000000000000 C4033FC00000 C10400 C10562"
    )


@pytest.mark.parametrize(
    ("base", "written"),
    [
        ("/", {"/3/0/9": 1}),
        ("/3/0", {"/3/1/9": 1}),
        ("/3/0", {"/3/0": 1}),
        ("/3/0", {"/3/0/9": "x"}),
        ("/3/0", {"/3/0/6": 1, "/3/0/6/0": 1}),
        ("/32769/0", {"/32769/0/1": -(2**63) - 1}),
    ],
)
def test_not_written(view: DefinitionView, base: str, written: dict[str, Value]) -> None:
    with pytest.raises(CodecError):
        encode(TLV, entries(written), Path.parse(base), view)


def test_root_cannot_be_written(view: DefinitionView) -> None:
    with pytest.raises(CodecError):
        encode(TLV, [], ROOT, view)


def test_largest_value(view: DefinitionView) -> None:
    path = of_type(T.OPAQUE)
    with pytest.raises(CodecError):
        encode(TLV, [Entry(path, bytes(1 << 24))], path, view)
