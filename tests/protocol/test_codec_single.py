"""Formats that hold one value: text, opaque, CBOR."""

import math

import pytest

from custom_components.lwm2m.protocol.codec import MAX_PAYLOAD, decode, decoder, encode, encode_paths
from custom_components.lwm2m.protocol.content_format import ContentFormat
from custom_components.lwm2m.protocol.errors import CodecError, UnsupportedFormat
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.objects import DefinitionView
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import DataType, ObjectLink, Value

TEXT, OPAQUE, CBOR = ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.CBOR


def of_type(data_type: DataType | None) -> Path:
    """Return a resource whose definition has this type; one without definition for None."""
    return Path.of(40000, 0, 99 if data_type is None else list(DataType).index(data_type))


T = DataType
BOTH_WAYS: list[tuple[ContentFormat, DataType | None, bytes, Value]] = [
    (TEXT, T.STRING, "Grüße".encode(), "Grüße"),
    (TEXT, T.STRING, b"", ""),
    (TEXT, T.INTEGER, b"-5", -5),
    (TEXT, T.INTEGER, b"9223372036854775807", 2**63 - 1),
    (TEXT, T.UNSIGNED_INTEGER, b"18446744073709551615", 2**64 - 1),
    (TEXT, T.FLOAT, b"-21.5", -21.5),
    (TEXT, T.BOOLEAN, b"1", True),
    (TEXT, T.BOOLEAN, b"0", False),
    (TEXT, T.OPAQUE, b"AQIDBAU=", b"\x01\x02\x03\x04\x05"),
    (TEXT, T.TIME, b"1367491215", 1367491215),
    (TEXT, T.OBJLNK, b"10:3", ObjectLink(10, 3)),
    (TEXT, T.CORELNK, b"</3/0>;x=1", "</3/0>;x=1"),
    (TEXT, None, b"21.5", "21.5"),
    (OPAQUE, T.OPAQUE, b"\x00\xff", b"\x00\xff"),
    (OPAQUE, T.OPAQUE, b"", b""),
    (OPAQUE, None, b"\x01", b"\x01"),
    (CBOR, T.STRING, b"\x63abc", "abc"),
    (CBOR, T.INTEGER, b"\x18\x64", 100),
    (CBOR, T.INTEGER, b"\x38\x63", -100),
    (CBOR, T.UNSIGNED_INTEGER, b"\x1b" + b"\xff" * 8, 2**64 - 1),
    (CBOR, T.FLOAT, b"\xfb\x40\x36\x80\x00\x00\x00\x00\x00", 22.5),
    (CBOR, T.BOOLEAN, b"\xf5", True),
    (CBOR, T.OPAQUE, b"\x42\x00\xff", b"\x00\xff"),
    (CBOR, T.TIME, b"\xc1\x1a\x51\x82\x42\x8f", 1367491215),
    (CBOR, T.OBJLNK, b"\x6410:3", ObjectLink(10, 3)),
    (CBOR, T.CORELNK, b"\x66</3/0>", "</3/0>"),
    (CBOR, None, b"\xf5", True),
]


@pytest.mark.parametrize(("content_format", "data_type", "payload", "value"), BOTH_WAYS)
def test_both_ways(
    view: DefinitionView, content_format: ContentFormat, data_type: DataType | None, payload: bytes, value: Value
) -> None:
    path = of_type(data_type)
    assert decode(content_format, payload, path, view) == [Entry(path, value)]
    assert type(decode(content_format, payload, path, view)[0].value) is type(value)
    assert encode(content_format, [Entry(path, value)], path, view) == payload


READ_ONLY: list[tuple[ContentFormat, DataType | None, bytes, Value]] = [
    (TEXT, T.FLOAT, b"22", 22.0),
    (TEXT, T.FLOAT, b" 1e2\n", 100.0),
    (TEXT, T.FLOAT, b"-inf", -math.inf),
    (TEXT, T.INTEGER, b" 7\n", 7),
    (TEXT, T.INTEGER, b"7.0", 7),
    (TEXT, T.TIME, b"1367491215.25", 1367491215),
    (TEXT, T.BOOLEAN, b"true", True),
    (TEXT, T.OPAQUE, b"-_8", b"\xfb\xff"),
    (CBOR, T.FLOAT, b"\xf9\x4d\xa0", 22.5),
    (CBOR, T.FLOAT, b"\xfa\x41\xb4\x00\x00", 22.5),
    (CBOR, T.FLOAT, b"\x16", 22.0),
    (CBOR, T.FLOAT, b"\xc4\x82\x20\x18\xe1", 22.5),
    (CBOR, T.FLOAT, b"\xc5\x82\x20\x18\x2d", 22.5),
    (CBOR, T.TIME, b"\x1a\x51\x82\x42\x8f", 1367491215),
    (CBOR, T.TIME, b"\xc1\xfb\x41\xd4\x60\x90\xa3\xe0\x00\x00", 1367491215),
    (CBOR, T.TIME, b"\xc0\x742013-05-02T10:40:15Z", 1367491215),
    (CBOR, T.UNSIGNED_INTEGER, b"\xc2\x42\x01\x00", 256),
    (CBOR, T.INTEGER, b"\xc3\x41\x00", -1),
    (CBOR, T.STRING, b"\x7f\x61a\x61b\xff", "ab"),
    (CBOR, T.OPAQUE, b"\x5f\x41a\x41b\xff", b"ab"),
    (CBOR, T.INTEGER, b"\xd9\xd9\xf7\x05", 5),
    (CBOR, None, b"\x18\x64", 100),
]


@pytest.mark.parametrize(("content_format", "data_type", "payload", "value"), READ_ONLY)
def test_what_clients_also_write(
    view: DefinitionView, content_format: ContentFormat, data_type: DataType | None, payload: bytes, value: Value
) -> None:
    path = of_type(data_type)
    assert decode(content_format, payload, path, view) == [Entry(path, value)]


def test_not_a_number(view: DefinitionView) -> None:
    for content_format, payload in ((TEXT, b"nan"), (CBOR, b"\xf9\x7e\x00")):
        (entry,) = decode(content_format, payload, of_type(T.FLOAT), view)
        assert math.isnan(entry.value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content_format", "data_type", "payload"),
    [
        (TEXT, T.STRING, b"\xff"),
        (TEXT, T.INTEGER, b""),
        (TEXT, T.INTEGER, b"1_0"),
        (TEXT, T.INTEGER, b"7.5"),
        (TEXT, T.INTEGER, b"9223372036854775808"),
        (TEXT, T.INTEGER, b"1" * 10000),
        (TEXT, T.UNSIGNED_INTEGER, b"-1"),
        (TEXT, T.FLOAT, b"warm"),
        (TEXT, T.FLOAT, b"1_0"),
        (TEXT, T.FLOAT, b"1" * 1000),
        (TEXT, T.BOOLEAN, b"2"),
        (TEXT, T.OPAQUE, b"!,-INVALID$_'"),
        (TEXT, T.OPAQUE, b"A"),
        (TEXT, T.OPAQUE, "é".encode()),
        (TEXT, T.OBJLNK, b"3"),
        (OPAQUE, T.STRING, b"x"),
        (CBOR, T.STRING, b""),
        (CBOR, T.STRING, b"\x63ab"),
        (CBOR, T.STRING, b"\x61\xff"),
        (CBOR, T.STRING, b"\x61a\x61b"),
        (CBOR, T.STRING, b"\x41a"),
        (CBOR, T.INTEGER, b"\xf6"),
        (CBOR, T.INTEGER, b"\xf7"),
        (CBOR, T.INTEGER, b"\xe0"),
        (CBOR, T.INTEGER, b"\x80"),
        (CBOR, T.INTEGER, b"\xa0"),
        (CBOR, T.INTEGER, b"\x1b" + b"\xff" * 8),
        (CBOR, T.INTEGER, b"\xff"),
        (CBOR, T.INTEGER, b"\x1c"),
        (CBOR, T.OPAQUE, b"\x5b\x7f" + b"\xff" * 7),
        (CBOR, T.TIME, b"\xc0\x61x"),
        (CBOR, T.TIME, b"\xc0\x05"),
        (CBOR, T.TIME, b"\xc1\x61x"),
        (CBOR, T.TIME, b"\xc1\xf5"),
        (CBOR, T.FLOAT, b"\xc2\x49" + b"\xff" * 9),
        (CBOR, T.FLOAT, b"\xc2\x05"),
        (CBOR, T.FLOAT, b"\xc3\x49" + b"\xff" * 9),
        (CBOR, T.FLOAT, b"\xc4\x82\x1a\xff\xff\xff\xff\x01"),
        (CBOR, T.FLOAT, b"\xc4\x81\x01"),
        (CBOR, T.FLOAT, b"\xc5\x82\x19\x04\x00\x1b" + b"\xff" * 8),
        (CBOR, T.STRING, b"\xd8\x23\x61a"),
        (CBOR, T.STRING, b"\xd8\x1c\x61a"),
        (CBOR, T.STRING, b"\xc9\x61a"),
        (CBOR, T.STRING, b"\xd8\x24\x61a"),
        (CBOR, T.STRING, b"\x81" * 5000),
        (CBOR, T.STRING, b"\x9f" * 60000),
    ],
)
def test_refused(view: DefinitionView, content_format: ContentFormat, data_type: DataType, payload: bytes) -> None:
    with pytest.raises(CodecError) as caught:
        decode(content_format, payload, of_type(data_type), view)
    assert caught.value.content_format == content_format


@pytest.mark.parametrize("content_format", [TEXT, OPAQUE, CBOR])
def test_one_value_only(view: DefinitionView, content_format: ContentFormat) -> None:
    with pytest.raises(CodecError):
        decode(content_format, b"\x05", Path.of(40000, 0), view)
    path = of_type(T.OPAQUE)
    one, other = Entry(path, b"x"), Entry(Path.of(40000, 1, path[2]), b"x")
    for entries in ([], [one, one], [other]):
        with pytest.raises(CodecError):
            encode(content_format, entries, path, view)
    with pytest.raises(CodecError):
        encode(content_format, [one], path.parent, view)


def test_resource_instance(view: DefinitionView) -> None:
    path = Path.of(3, 0, 7, 1)
    assert decode(TEXT, b"3800", path, view) == [Entry(path, 3800)]
    assert encode(CBOR, [Entry(path, 3800)], path, view) == b"\x19\x0e\xd8"


@pytest.mark.parametrize(
    ("content_format", "data_type", "value"),
    [(TEXT, T.INTEGER, "x"), (CBOR, T.BOOLEAN, 5), (OPAQUE, None, "x"), (OPAQUE, T.STRING, "x")],
)
def test_wrong_value_is_not_written(
    view: DefinitionView, content_format: ContentFormat, data_type: DataType | None, value: Value
) -> None:
    path = of_type(data_type)
    with pytest.raises(CodecError) as caught:
        encode(content_format, [Entry(path, value)], path, view)
    assert caught.value.content_format == content_format


def test_large_payloads(view: DefinitionView) -> None:
    path = of_type(T.OPAQUE)
    large = bytes(MAX_PAYLOAD + 1)
    assert decode(OPAQUE, large, path, view)[0].value == large
    with pytest.raises(CodecError):
        decode(OPAQUE, bytes(2 << 20), path, view)
    with pytest.raises(CodecError):
        decode(CBOR, b"\x5a\x00\x01\x00\x00" + bytes(65536), path, view)


@pytest.mark.parametrize("content_format", [40, 50, 65000, -1])
def test_unsupported_format(view: DefinitionView, content_format: int) -> None:
    path = of_type(T.STRING)
    with pytest.raises(UnsupportedFormat):
        decode(content_format, b"", path, view)
    with pytest.raises(UnsupportedFormat):
        encode(content_format, [], path, view)
    with pytest.raises(UnsupportedFormat):
        encode_paths(content_format, [path])


def test_draft_numbers(view: DefinitionView) -> None:
    path = Path.of(3303, 0, 5700)
    assert decode(1541, b"22.5", path, view) == [Entry(path, 22.5)]
    assert decode(1542, b"\xe4\x16\x44\x41\xb4\x00\x00", path, view) == [Entry(path, 22.5)]
    assert decode(1543, b'{"e":[{"n":"","v":22.5}]}', path, view) == [Entry(path, 22.5)]


def test_decoder_of_an_observation(view: DefinitionView) -> None:
    path = Path.of(3303, 0, 5700)
    read = decoder(TEXT, path, view)
    assert read(b"22.5") == [Entry(path, 22.5)]
    with pytest.raises(CodecError):
        read(b"warm")
    assert decoder(TEXT, path.parent.child(5701), view)(b"Cel") == [Entry(path.parent.child(5701), "Cel")]
    assert decoder(ContentFormat.SENML_CBOR, path, view)(b"\x81\xa2\x00\x6c/3303/0/5700\x02\x16") == [Entry(path, 22.0)]


def test_decoder_remembers_what_comes_before_the_number(view: DefinitionView) -> None:
    path = Path.of(3303, 0, 5700)
    read = decoder(ContentFormat.TLV, path, view)
    for payload, value in (
        ("E4164441B40000", 22.5),
        ("E4164441B80000", 23.0),
        ("E81644084036666666666666", 22.4),
        ("E81644084036333333333333", 22.2),
        ("E41644C1B80000", -23.0),
        ("E11644FB", -5.0),
    ):
        assert read(bytes.fromhex(payload)) == [Entry(path, value)]
    with pytest.raises(CodecError):
        read(bytes.fromhex("E41645C1B80000"))
