"""Value formats against the examples of the LwM2M specification and RFC 8428, and against themselves."""

from __future__ import annotations

import json
import random

import pytest

from tests.simulator import content, senml, tlv
from tests.simulator.model import DeviceModel, Kind, Leaf, Path, Resource, Scalar
from tests.simulator.values import BadValueError, coerce, from_bytes, from_text, to_bytes, to_text

# The Device object instance that LwM2M TS: Core 1.1.1 sections 7.4.3 to 7.4.5 show in every format.
DEVICE: list[Leaf] = [
    ((3, 0, 0), "string", "Open Mobile Alliance"),
    ((3, 0, 1), "string", "Lightweight M2M Client"),
    ((3, 0, 2), "string", "345000123"),
    ((3, 0, 3), "string", "1.0"),
    ((3, 0, 6, 0), "integer", 1),
    ((3, 0, 6, 1), "integer", 5),
    ((3, 0, 7, 0), "integer", 3800),
    ((3, 0, 7, 1), "integer", 5000),
    ((3, 0, 8, 0), "integer", 125),
    ((3, 0, 8, 1), "integer", 900),
    ((3, 0, 9), "integer", 100),
    ((3, 0, 10), "integer", 15),
    ((3, 0, 11, 0), "integer", 0),
    ((3, 0, 13), "time", 1367491215),
    ((3, 0, 14), "string", "+02:00"),
    ((3, 0, 16), "string", "U"),
]
DEVICE_TLV = bytes.fromhex(
    "c800144f70656e204d6f62696c6520416c6c69616e6365"
    "c801164c69676874776569676874204d324d20436c69656e74"
    "c80209333435303030313233 c303312e30"
    "8606 410001 410105"
    "880708 42000ed8 42011388"
    "8708 41007d 42010384"
    "c10964 c10a0f 830b 410000"
    "c40d5182428f c60e2b30323a3030 c11055"
)
DEVICE_CBOR = bytes.fromhex(
    "90"
    "a3 21 65 2f332f302f 00 61 30 03 74 4f70656e204d6f62696c6520416c6c69616e6365"
    "a2 00 61 31 03 76 4c69676874776569676874204d324d20436c69656e74"
    "a2 00 61 32 03 69 333435303030313233"
    "a2 00 61 33 03 63 312e30"
    "a2 00 63 362f30 02 01"
    "a2 00 63 362f31 02 05"
    "a2 00 63 372f30 02 19 0ed8"
    "a2 00 63 372f31 02 19 1388"
    "a2 00 63 382f30 02 18 7d"
    "a2 00 63 382f31 02 19 0384"
    "a2 00 61 39 02 18 64"
    "a2 00 62 3130 02 0f"
    "a2 00 64 31312f30 02 00"
    "a2 00 62 3133 02 1a 5182428f"
    "a2 00 62 3134 03 66 2b30323a3030"
    "a2 00 62 3136 03 61 55"
)
# The Access Control object of section 7.4.5.2: two object instances, resource instances within.
ACCESS: list[Leaf] = [
    ((2, 0, 0), "integer", 1),
    ((2, 0, 1), "integer", 0),
    ((2, 0, 2, 127), "integer", 7),
    ((2, 0, 3), "integer", 127),
    ((2, 2, 0), "integer", 3),
    ((2, 2, 1), "integer", 0),
    ((2, 2, 2, 127), "integer", 7),
    ((2, 2, 2, 310), "integer", 1),
    ((2, 2, 3), "integer", 127),
]
ACCESS_TLV = bytes.fromhex("08000e c10001 c10100 8302 417f07 c1037f 080212 c10003 c10100 8702 417f07 61013601 c1037f")


def raw(leaves: list[Leaf]) -> list[tuple[Path, bytes]]:
    return [(path, to_bytes(kind, value)) for path, kind, value in leaves]


def test_tlv_of_an_instance() -> None:
    assert tlv.encode((3, 0), DEVICE) == DEVICE_TLV
    assert tlv.decode((3, 0), DEVICE_TLV) == raw(DEVICE)


def test_tlv_of_an_object() -> None:
    assert tlv.encode((3,), DEVICE) == bytes.fromhex("080079") + DEVICE_TLV
    assert tlv.encode((2,), ACCESS) == ACCESS_TLV
    assert tlv.decode((2,), ACCESS_TLV) == raw(ACCESS)


def test_tlv_of_a_resource_and_of_a_resource_instance() -> None:
    assert tlv.encode((3, 0, 7), DEVICE[6:8]) == bytes.fromhex("880708 42000ed8 42011388")
    assert tlv.encode((3, 0, 7, 1), DEVICE[7:8]) == bytes.fromhex("42011388")
    assert tlv.decode((3, 0, 7), bytes.fromhex("880708 42000ed8 42011388")) == raw(DEVICE[6:8])
    assert tlv.decode((3, 0, 7, 1), bytes.fromhex("42011388")) == raw(DEVICE[7:8])


def test_tlv_of_object_links() -> None:
    leaves: list[Leaf] = [((65, 0, 0, 0), "objlnk", "66:0"), ((65, 0, 0, 1), "objlnk", "66:1")]
    assert tlv.encode((65, 0), leaves) == bytes.fromhex("88000c 440000420000 440100420001")


def test_tlv_lengths_and_wide_identifiers() -> None:
    # 0b11 1 10 000: a resource, 16-bit identifier, 16-bit length
    assert tlv.entry(tlv.RESOURCE, 5700, b"x" * 300)[:5] == bytes.fromhex("f01644012c")
    assert tlv.entry(tlv.RESOURCE, 1, b"x" * 70000)[:5] == bytes.fromhex("d801011170")
    assert tlv.read(tlv.entry(3, 5700, b"x" * 300) + tlv.entry(3, 1, b"")) == [(3, 5700, b"x" * 300), (3, 1, b"")]


@pytest.mark.parametrize("text", ["c8", "c800", "c80014", "c300ffff", "e416", "08000e c1"])
def test_tlv_cut_off(text: str) -> None:
    with pytest.raises(BadValueError):
        tlv.decode((3,), bytes.fromhex(text))


def test_senml_cbor() -> None:
    assert senml.encode_cbor((3, 0), DEVICE) == DEVICE_CBOR
    assert senml.decode_cbor(DEVICE_CBOR) == [(path, value) for path, _, value in DEVICE]


def test_senml_cbor_of_one_value() -> None:
    # one record: base name (-2) "/3303/0/5700", value (2) 22.5
    data = bytes.fromhex("81a2 21 6c 2f333330332f302f35373030 02 fb4036800000000000")
    assert senml.encode_cbor((3303, 0, 5700), [((3303, 0, 5700), "float", 22.5)]) == data
    assert senml.decode_cbor(data) == [((3303, 0, 5700), 22.5)]
    # the same with a half float, as RFC 8949 section 4.1 would shorten it
    assert senml.decode_cbor(bytes.fromhex("81a2 21 6c 2f333330332f302f35373030 02 f94da0")) == [
        ((3303, 0, 5700), 22.5)
    ]


def test_senml_cbor_labels() -> None:
    # RFC 8428 section 6, table 4: vb 4, t 6, vd 8; vlo is a text label
    leaves: list[Leaf] = [
        ((9, 0, 1), "boolean", True),
        ((9, 0, 2), "opaque", b"\xca\xfe"),
        ((9, 0, 3), "objlnk", "3:0"),
    ]
    data = bytes.fromhex(
        "83 a4 21 65 2f392f302f 00 61 31 06 fb41d954fc40000000 04 f5"
        "a2 00 61 32 08 42 cafe"
        "a2 00 61 33 63 766c6f 63 333a30"
    )
    assert senml.encode_cbor((9, 0), leaves, {(9, 0, 1): 1700000000.0}) == data
    assert senml.decode_cbor(data) == [((9, 0, 1), True), ((9, 0, 2), b"\xca\xfe"), ((9, 0, 3), "3:0")]


def test_senml_json() -> None:
    data = senml.encode_json((3, 0), DEVICE[:1] + DEVICE[4:5])
    assert data == b'[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"6/0","v":1}]'
    assert senml.decode_json(data) == [((3, 0, 0), "Open Mobile Alliance"), ((3, 0, 6, 0), 1)]
    # RFC 8428 section 5: opaque is base64url without padding
    assert (
        senml.encode_json((9, 0, 2), [((9, 0, 2), "opaque", b"\xfb\xff\xff\xff")]) == b'[{"bn":"/9/0/2","vd":"-____w"}]'
    )
    assert senml.decode_json(b'[{"n":"/9/0/2","vd":"-____w"}]') == [((9, 0, 2), b"\xfb\xff\xff\xff")]


def test_lwm2m_1_0_json() -> None:
    # LwM2M TS 1.0.2 section 6.4.4: base name, names below it, and sv for text
    data = senml.encode_oma_json((3, 0), DEVICE[:1] + DEVICE[6:8])
    assert json.loads(data) == {
        "bn": "/3/0/",
        "e": [{"n": "0", "sv": "Open Mobile Alliance"}, {"n": "7/0", "v": 3800}, {"n": "7/1", "v": 5000}],
    }
    assert senml.decode_oma_json(data) == [
        ((3, 0, 0), "Open Mobile Alliance"),
        ((3, 0, 7, 0), 3800),
        ((3, 0, 7, 1), 5000),
    ]
    assert json.loads(senml.encode_oma_json((9, 0), [((9, 0, 1), "boolean", True), ((9, 0, 3), "objlnk", "3:0")])) == {
        "bn": "/9/0/",
        "e": [{"n": "1", "bv": True}, {"n": "3", "ov": "3:0"}],
    }


def test_lwm2m_cbor() -> None:
    # maps of ids: 3, 0, then resource 0, and 6 with its instances
    data = bytes.fromhex("a1 03 a1 00 a2 00 74 4f70656e204d6f62696c6520416c6c69616e6365 06 a2 00 01 01 05")
    leaves = [DEVICE[0], *DEVICE[4:6]]
    assert senml.encode_lwm2m_cbor((3, 0), leaves) == data
    assert senml.decode_lwm2m_cbor((3, 0), data) == [(path, value) for path, _, value in leaves]
    # keys may be arrays of ids: {[3303, 0, 5700]: 1}
    assert senml.decode_lwm2m_cbor((3303, 0), bytes.fromhex("a1 83 19 0ce7 00 19 1644 01")) == [((3303, 0, 5700), 1)]


@pytest.mark.parametrize(
    ("kind", "value", "as_bytes", "as_text"),
    [
        ("integer", -1, "ff", "-1"),
        ("integer", 127, "7f", "127"),
        ("integer", 128, "0080", "128"),
        ("integer", -32769, "ffff7fff", "-32769"),
        ("integer", 1 << 40, "0000010000000000", str(1 << 40)),
        ("unsigned", 255, "ff", "255"),
        ("unsigned", (1 << 64) - 1, "ffffffffffffffff", str((1 << 64) - 1)),
        ("time", 1367491215, "5182428f", "1367491215"),
        ("float", 22.5, "41b40000", "22.5"),
        ("float", 0.1, "3fb999999999999a", "0.1"),
        ("float", -0.00002, "bef4f8b588e368f1", "-0.00002"),
        ("float", 3.0, "40400000", "3"),
        ("float", 1e300, "7e37e43c8800759c", "1" + "0" * 300),
        ("boolean", True, "01", "1"),
        ("boolean", False, "00", "0"),
        ("string", "Grüße", "4772c3bcc39f65", "Grüße"),
        ("opaque", b"\x00\xff", "00ff", "AP8="),
        ("objlnk", "3303:65535", "0ce7ffff", "3303:65535"),
    ],
)
def test_single_values(kind: Kind, value: Scalar, as_bytes: str, as_text: str) -> None:
    assert to_bytes(kind, value).hex() == as_bytes
    assert from_bytes(kind, bytes.fromhex(as_bytes)) == value
    assert to_text(kind, value).decode() == as_text
    assert from_text(kind, as_text.encode()) == value
    if kind != "opaque":
        assert coerce(kind, value) == value


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("integer", b"abc"),
        ("float", b"x"),
        ("boolean", b"2"),
        ("objlnk", b"3"),
        ("string", b"\xff\xfe"),
        ("opaque", b"*"),
    ],
)
def test_bad_single_values(kind: Kind, data: bytes) -> None:
    with pytest.raises(BadValueError):
        from_text(kind, data)
    if kind != "opaque":
        with pytest.raises(BadValueError):
            from_bytes(kind, data)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "1"),
        ("integer", 1.5),
        ("integer", True),
        ("integer", 1 << 63),
        ("unsigned", -1),
        ("float", "1"),
        ("float", float("nan")),
        ("boolean", 1),
        ("string", 1),
        ("opaque", "x"),
        ("objlnk", "3:70000"),
    ],
)
def test_wrong_types_are_refused(kind: Kind, value: object) -> None:
    with pytest.raises(BadValueError):
        coerce(kind, value)


def test_integers_over_64_bits() -> None:
    with pytest.raises(BadValueError):
        to_bytes("integer", 1 << 70)


def test_paths_of_a_composite_read() -> None:
    assert senml.paths_of(bytes.fromhex("82 a1 00 64 2f332f30 a1 00 6c 2f333330332f302f35373030"), 112) == [
        (3, 0),
        (3303, 0, 5700),
    ]
    assert senml.paths_of(b'[{"bn":"/3/0/","n":"0"},{"n":"1"}]', 110) == [(3, 0, 0), (3, 0, 1)]


def test_malformed_payloads_raise_only_their_own_errors() -> None:
    model = DeviceModel({3: {0: {0: Resource("x"), 7: Resource({0: 1}, "integer", "R", multiple=True)}}})
    rng = random.Random(11)
    seeds = {112: DEVICE_CBOR, 110: senml.encode_json((3, 0), DEVICE), 11542: DEVICE_TLV, 60: b"\x01", 0: b"1"}
    seeds |= {11543: senml.encode_oma_json((3, 0), DEVICE), 11544: senml.encode_lwm2m_cbor((3, 0), DEVICE)}
    refused = 0
    for number, seed in seeds.items():
        for _ in range(500):
            data = bytearray(seed[: rng.randrange(len(seed) + 1)])
            for _ in range(rng.randrange(4)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            for base in ((3,), (3, 0), (3, 0, 0)):
                try:
                    content.decode(number, base, bytes(data), model)
                except BadValueError:
                    refused += 1
    assert refused > 1000


@pytest.mark.parametrize(
    ("number", "payload"),
    [
        (112, b"\x80" + b"\0"),
        (112, b"\xa0"),
        (112, b"\x81\xa1\x00\x61x"),
        (110, b"{}"),
        (110, b'[{"n":"/3/0/0"}]'),
        (110, b'[{"n":"/3/0/0/0/0","v":1}]'),
        (110, b'[{"n":"/4/0/0","v":1}]'),
        (11543, b"[]"),
        (11543, b'{"e":[{"n":"0"}]}'),
        (11544, b"\xa1\x61x\x01"),
        (0, b"x"),
        (42, b"x"),
    ],
)
def test_refused_payloads(number: int, payload: bytes) -> None:
    model = DeviceModel({3: {0: {0: Resource("x")}}})
    with pytest.raises(BadValueError):
        content.decode(number, (3, 0), payload, model)


def test_unknown_formats() -> None:
    model = DeviceModel({3: {0: {0: Resource("x")}}})
    with pytest.raises(content.UnsupportedFormatError):
        content.decode(50, (3, 0), b"", model)
    with pytest.raises(content.UnsupportedFormatError):
        content.encode(50, (3, 0), DEVICE)
    with pytest.raises(content.UnsupportedFormatError):
        content.encode(0, (3, 0), DEVICE)
    with pytest.raises(content.UnsupportedFormatError):
        content.encode(42, (3, 0, 0), DEVICE[:1])
