"""Codecs: what they write they read again, and bytes of any kind raise their own error and nothing else."""

import json
import math
from collections.abc import Callable

import cbor2
import pytest
from hypothesis import example, given, strategies as st

from custom_components.lwm2m.protocol.codec import MAX_ENTRIES, decode, decoder, encode
from custom_components.lwm2m.protocol.content_format import ContentFormat
from custom_components.lwm2m.protocol.errors import CodecError
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.objects import DefinitionView, ObjectDefinition, Registry, ResourceDefinition
from custom_components.lwm2m.protocol.path import ROOT, Path
from custom_components.lwm2m.protocol.value import (
    MAX_INTEGER,
    MAX_UNSIGNED,
    MIN_INTEGER,
    DataType,
    ObjectLink,
    Value,
)

OBJECT = 40000
SEVERAL = 10  # resource 10 + n is what resource n is, with instances
TYPES = list(DataType)

VIEW: DefinitionView = (
    Registry.default()
    .with_user_objects(
        [
            ObjectDefinition(
                OBJECT,
                "Every type",
                "1.0",
                multiple=True,
                mandatory=False,
                resources={
                    number + offset: ResourceDefinition(
                        number + offset, data_type, "RW", multiple=bool(offset), mandatory=False, type=data_type
                    )
                    for offset in (0, SEVERAL)
                    for number, data_type in enumerate(TYPES)
                },
            )
        ]
    )
    .view({Path.of(3, 0): "1.1", Path.of(OBJECT, 0): "1.0"})
)

SINGLE = (ContentFormat.TEXT, ContentFormat.CBOR)
WITH_NAMES = (ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, ContentFormat.JSON)
STRUCTURED = (*WITH_NAMES, ContentFormat.TLV, ContentFormat.LWM2M_CBOR)
JSON_FORMATS = (ContentFormat.SENML_JSON, ContentFormat.JSON)
DECODED = (*SINGLE, *STRUCTURED, ContentFormat.OPAQUE)

ids = st.integers(0, 65534)
instance_ids = st.one_of(st.integers(0, 3), ids)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES: dict[DataType, st.SearchStrategy[Value]] = {
    DataType.STRING: text,
    DataType.INTEGER: st.integers(MIN_INTEGER, MAX_INTEGER),
    DataType.UNSIGNED_INTEGER: st.integers(0, MAX_UNSIGNED),
    DataType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    DataType.BOOLEAN: st.booleans(),
    DataType.OPAQUE: st.binary(max_size=300),
    DataType.TIME: st.integers(MIN_INTEGER, MAX_INTEGER),
    DataType.OBJLNK: st.builds(ObjectLink, st.integers(0, 65535), st.integers(0, 65535)),
    DataType.CORELNK: text,
}


@st.composite
def resources(draw: st.DrawFn, instance: Path) -> list[Entry]:
    """Return one resource of an instance, or some instances of one."""
    number = draw(st.integers(0, len(TYPES) - 1))
    values = VALUES[TYPES[number]]
    if draw(st.booleans()):
        return [Entry(instance.child(number), draw(values))]
    path = instance.child(number + SEVERAL)
    chosen = draw(st.lists(instance_ids, min_size=1, max_size=3, unique=True))
    return [Entry(path.child(identifier), draw(values)) for identifier in chosen]


@st.composite
def instances(draw: st.DrawFn, base: Path = ROOT) -> list[Entry]:
    """Return resources of an object's instances, each instance together."""
    entries: list[Entry] = []
    numbers = [base[1]] if len(base) > 1 else draw(st.lists(instance_ids, max_size=3, unique=True))
    for number in numbers:
        instance = Path.of(OBJECT, number)
        chosen = draw(st.lists(resources(instance), max_size=4, unique_by=lambda group: group[0].path[2]))
        entries += [entry for group in chosen for entry in group]
    return entries


@pytest.mark.parametrize("content_format", STRUCTURED)
@given(entries=instances())
def test_object_round_trip(content_format: ContentFormat, entries: list[Entry]) -> None:
    base = Path.of(OBJECT)
    payload = encode(content_format, entries, base, VIEW)
    assert decode(content_format, payload, base, VIEW) == entries


@pytest.mark.parametrize("content_format", STRUCTURED)
@given(entries=instances(Path.of(OBJECT, 7)))
def test_instance_round_trip(content_format: ContentFormat, entries: list[Entry]) -> None:
    base = Path.of(OBJECT, 7)
    payload = encode(content_format, entries, base, VIEW)
    assert decode(content_format, payload, base, VIEW) == entries


@pytest.mark.parametrize("content_format", [*SINGLE, *STRUCTURED])
@pytest.mark.parametrize("data_type", TYPES)
@given(data=st.data())
def test_value_round_trip(content_format: ContentFormat, data_type: DataType, data: st.DataObject) -> None:
    value = data.draw(VALUES[data_type])
    single = Path.of(OBJECT, 0, TYPES.index(data_type))
    for base in (single, Path.of(OBJECT, 0, single[2] + SEVERAL, data.draw(st.integers(0, 65535)))):
        (entry,) = decode(content_format, encode(content_format, [Entry(base, value)], base, VIEW), base, VIEW)
        assert entry == Entry(base, value)
        assert type(entry.value) is type(value)


@given(value=st.binary(max_size=1000))
def test_opaque_round_trip(value: bytes) -> None:
    base = Path.of(OBJECT, 0, TYPES.index(DataType.OPAQUE))
    payload = encode(ContentFormat.OPAQUE, [Entry(base, value)], base, VIEW)
    assert payload == value
    assert decode(ContentFormat.OPAQUE, payload, base, VIEW) == [Entry(base, value)]


@pytest.mark.parametrize("content_format", WITH_NAMES)
@given(entries=instances(), times=st.lists(st.one_of(st.none(), st.integers(-(2**39), 2**39)), min_size=40))
def test_times_round_trip(content_format: ContentFormat, entries: list[Entry], times: list[int | None]) -> None:
    timed = [Entry(entry.path, entry.value, time) for entry, time in zip(entries, times, strict=False)]
    payload = encode(content_format, timed, ROOT, VIEW)
    assert decode(content_format, payload, ROOT, VIEW) == timed


@pytest.mark.parametrize("content_format", [ContentFormat.TEXT, ContentFormat.CBOR, ContentFormat.TLV])
@given(value=st.floats())
def test_floats_that_are_no_numbers(content_format: ContentFormat, value: float) -> None:
    base = Path.of(OBJECT, 0, TYPES.index(DataType.FLOAT))
    (entry,) = decode(content_format, encode(content_format, [Entry(base, value)], base, VIEW), base, VIEW)
    assert isinstance(entry.value, float)
    assert entry.value == value or (math.isnan(value) and math.isnan(entry.value))


def check(content_format: int, payload: bytes, base: Path) -> None:
    """Decode; that may end with the codec's error or with entries that are what entries must be."""
    try:
        entries = decode(content_format, payload, base, VIEW)
    except CodecError:
        return
    assert len(entries) <= MAX_ENTRIES
    for entry in entries:
        assert type(entry.path) is Path
        assert len(entry.path) > 2
        assert base.contains(entry.path)
        assert all(0 <= identifier <= 65535 for identifier in entry.path)
        assert isinstance(entry.value, str | int | float | bool | bytes | ObjectLink)
        assert entry.time is None or math.isfinite(entry.time)
        data_type = VIEW.type(entry.path)
        if data_type is not None:
            expected = {
                DataType.STRING: str,
                DataType.CORELNK: str,
                DataType.FLOAT: float,
                DataType.BOOLEAN: bool,
                DataType.OPAQUE: bytes,
                DataType.OBJLNK: ObjectLink,
            }.get(data_type, int)
            assert type(entry.value) is expected


FLOAT = Path.of(OBJECT, 0, TYPES.index(DataType.FLOAT))
numbers = st.one_of(st.sampled_from([0.0, -0.0, 2.0, 22.5, 22.4, 1e300, math.inf]), st.floats(allow_nan=False))


@st.composite
def notifications(draw: st.DrawFn) -> bytes:
    """Return a number in one of many spellings: with names and without, wrapped, in several widths, with a time."""
    value = draw(numbers)
    path = draw(st.sampled_from([str(FLOAT), "/3/0/9"]))
    senml: dict[int, object] = draw(st.sampled_from([{0: path}, {-2: path}, {-2: path, 6: 5}, {-2: path, 1: "Cel"}]))
    number = cbor2.dumps(value, canonical=draw(st.booleans()))
    if draw(st.booleans()):
        senml_payload = b"\x81" + bytes((0xA1 + len(senml),)) + cbor2.dumps(senml)[1:] + b"\x02" + number
    else:
        senml_payload = cbor2.dumps([{2: value, **senml}])
    tlv = encode(ContentFormat.TLV, [Entry(FLOAT, value)], FLOAT, VIEW)
    wrapped = bytes((0x08, 0, len(tlv))) + tlv
    keys = draw(st.sampled_from([b"\xa1\x83\x19\x9c\x40\x00\x03", b"\xa1\x19\x9c\x40\xa1\x00\xa1\x03"]))
    payload = draw(st.sampled_from([number, senml_payload, tlv, wrapped, keys + number]))
    return payload[: draw(st.integers(0, len(payload)))] if draw(st.integers(0, 9)) == 0 else payload


@pytest.mark.parametrize("content_format", DECODED)
@given(payloads=st.lists(notifications(), max_size=12))
def test_decoder_of_an_observation_decodes_the_same(content_format: ContentFormat, payloads: list[bytes]) -> None:
    read = decoder(content_format, FLOAT, VIEW)
    for payload in payloads:
        results: list[object] = []
        for way in (read, lambda data: decode(content_format, data, FLOAT, VIEW)):
            try:
                results.append([(entry, math.copysign(1, entry.value)) for entry in way(payload)])  # type: ignore[arg-type]
            except CodecError as error:
                results.append(str(error))
        assert results[0] == results[1]


bases = st.sampled_from(
    [
        ROOT,
        Path.of(3),
        Path.of(3, 0),
        Path.of(3, 0, 9),
        Path.of(3, 0, 7),
        Path.of(3, 0, 7, 1),
        Path.of(OBJECT),
        *(Path.of(OBJECT, 0, number) for number in range(len(TYPES))),
        Path.of(32769, 0, 1),
    ]
)


@pytest.mark.parametrize("content_format", DECODED)
@given(payload=st.binary(max_size=200), base=bases)
def test_random_bytes(content_format: ContentFormat, payload: bytes, base: Path) -> None:
    check(content_format, payload, base)


@pytest.mark.parametrize("content_format", STRUCTURED)
@given(entries=instances(), data=st.data())
def test_truncated_and_altered_bytes(content_format: ContentFormat, entries: list[Entry], data: st.DataObject) -> None:
    base = Path.of(OBJECT)
    payload = bytearray(encode(content_format, entries, base, VIEW))
    for length in range(0, len(payload), 1 + len(payload) // 20):
        check(content_format, bytes(payload[:length]), base)
    for position, octet in data.draw(st.dictionaries(st.integers(0, 200), st.integers(0, 255), max_size=4)).items():
        if position < len(payload):
            payload[position] = octet
    check(content_format, bytes(payload), base)


@given(payload=st.lists(st.binary(min_size=1, max_size=4), max_size=60).map(b"".join), base=bases)
def test_tlv_of_short_elements(payload: bytes, base: Path) -> None:
    check(ContentFormat.TLV, payload, base)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["/3/0/9", "/3/0/", "9", "/40000/0/", "3", "q83v", "3:0", "", "x_"]),
    st.text(max_size=5),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["bn", "bt", "bv", "bs", "bver", "n", "t", "v", "vs", "vb", "vd", "vlo", "e", "sv", "bv"]
                ),
                st.text(max_size=3),
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)
cbor_keys = st.one_of(
    st.integers(-7, 9), st.sampled_from([3, 40000, True, "vlo", "x_", None, 1.0]), st.text(max_size=3)
)
cbor_values = st.recursive(
    st.one_of(
        scalars,
        st.binary(max_size=5),
        st.builds(cbor2.CBORTag, st.integers(0, 300), scalars),
        st.builds(cbor2.CBORTag, st.sampled_from([0, 1, 2, 3, 4, 5, 28, 29]), st.lists(st.integers(-2000, 2000))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(cbor_keys, st.lists(st.integers(-1, 70000), max_size=5).map(tuple)), inner, max_size=5
        ),
    ),
    max_leaves=20,
)


def elements(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Return lists of them, and objects with such a list as the old JSON has it."""
    return st.one_of(inner, st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(lambda found: {"e": found}))


@pytest.mark.parametrize("content_format", JSON_FORMATS)
@given(item=elements(json_values), base=bases)
def test_any_json(content_format: ContentFormat, item: object, base: Path) -> None:
    # Written with what JSON forbids too: NaN, infinities, numbers of any size.
    check(content_format, json.dumps(item).encode(), base)


@pytest.mark.parametrize("content_format", [ContentFormat.SENML_CBOR, ContentFormat.LWM2M_CBOR, ContentFormat.CBOR])
@given(item=elements(cbor_values), base=bases)
@example(item=cbor2.CBORTag(28, [cbor2.CBORTag(29, 0)]), base=ROOT)
@example(item=[{0: "/3/0/9", 2: cbor2.CBORTag(4, [1099, 1])}], base=ROOT)
@example(item={3: {0: {9: cbor2.CBORTag(35, "(a+)+$")}}}, base=ROOT)
def test_any_cbor(content_format: ContentFormat, item: object, base: Path) -> None:
    check(content_format, cbor2.dumps(item), base)


@pytest.mark.parametrize("content_format", STRUCTURED)
@pytest.mark.parametrize(
    "fill",
    [
        lambda size: b"[" * size,
        lambda size: b'{"e":' * (size // 5),
        lambda size: b"\x81" * size,
        lambda size: b"\x9f" * size,
        lambda size: b"\xa1" * size,
        lambda size: b"\xbf" * size,
        lambda size: b"\xd8\x1c" * (size // 2),
        lambda size: b"\x9a\x00\xff\xff\xff" + b"\x80" * size,
        lambda size: b"\xc0\x00" * (size // 2),
        lambda size: b"\x08\x00\xff" * (size // 3),
        lambda size: b"\xc2" * size,
    ],
)
def test_large_and_deep(content_format: ContentFormat, fill: Callable[[int], bytes]) -> None:
    for size in (100, 65000):
        check(content_format, fill(size), Path.of(3))
