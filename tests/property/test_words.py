"""Paths, link lists, registrations and attributes: any text raises the layer's own error and nothing else."""

import contextlib

from hypothesis import given, strategies as st

from custom_components.lwm2m.protocol.attributes import NotificationAttributes
from custom_components.lwm2m.protocol.errors import (
    AttributesError,
    InvalidValueError,
    LinkFormatError,
    ObjectXmlError,
    PathError,
    RegistrationError,
)
from custom_components.lwm2m.protocol.link_format import Link, ObjectList, format_links, parse_links
from custom_components.lwm2m.protocol.messages import MAX_LIFETIME, RegisterRequest, UpdateRequest
from custom_components.lwm2m.protocol.objects import parse_object_xml
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import DataType, coerce, from_json, parse_typed, to_json

ids = st.integers(0, 65534)
links = st.lists(
    st.builds(
        Link,
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters='<>"'), max_size=20),
        st.dictionaries(
            st.from_regex(r"[a-z]{1,8}", fullmatch=True),
            st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
            max_size=4,
        ),
    ),
    max_size=6,
)
link_like = st.lists(
    st.one_of(
        st.sampled_from([b"</3/0>", b"<", b">", b",", b";", b"ver=", b'"', b"1.1", b"rt=oma.lwm2m", b"\\", b" ", b"/"]),
        st.binary(max_size=3),
    ),
    max_size=25,
).map(b"".join)
options = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.tuples(st.sampled_from(["ep", "lt", "lwm2m", "b", "Q", "sms"]), st.text(max_size=6)).map("=".join),
        st.sampled_from(["Q", "lt=60", "lwm2m=1.1", "lwm2m=1.2", "b=UQ", "b=U", "ep=x"]),
    ),
    max_size=8,
)


@given(st.lists(ids, max_size=4))
def test_path_round_trip(identifiers: list[int]) -> None:
    path = Path.of(*identifiers)
    assert Path.parse(str(path)) == path
    assert Path.from_segments(path.segments) == path


@given(st.text(max_size=30))
def test_any_path(text: str) -> None:
    with contextlib.suppress(PathError):
        path = Path.parse(text)
        assert str(path).strip("/") == text.strip("/")


@given(links)
def test_links_round_trip(found: list[Link]) -> None:
    assert parse_links(format_links(found)) == found


@given(st.one_of(link_like, st.binary(max_size=60)))
def test_any_links(payload: bytes) -> None:
    with contextlib.suppress(LinkFormatError):
        objects = ObjectList.parse(payload, "1.1")
        assert all(1 <= len(path) <= 2 and version for path, version in objects.objects.items())


@given(options, link_like)
def test_any_registration(query: list[str], payload: bytes) -> None:
    for lwm2m in ("1.0", "1.1", "1.2"):
        with contextlib.suppress(RegistrationError):
            update = UpdateRequest.parse(query, payload, lwm2m)
            assert update.lifetime is None or 0 < update.lifetime <= MAX_LIFETIME
    with contextlib.suppress(RegistrationError):
        request = RegisterRequest.parse(query, payload or b"</3/0>")
        assert 0 < request.lifetime <= MAX_LIFETIME
        assert request.lwm2m in ("1.0", "1.1", "1.2")
        assert request.objects.objects


@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(st.sampled_from(["pmin=1", "pmax=2", "gt=3.5", "lt=1", "st=.5", "edge=1", "con", "hqmax="])).map(
            " ".join
        ),
    )
)
def test_any_attributes(text: str) -> None:
    with contextlib.suppress(AttributesError):
        attributes = NotificationAttributes.parse(text)
        assert NotificationAttributes.of(attributes.to_query()) == attributes


@given(st.one_of(st.binary(max_size=100), st.text(max_size=50).map(lambda text: f"<LWM2M>{text}</LWM2M>".encode())))
def test_any_xml(data: bytes) -> None:
    with contextlib.suppress(ObjectXmlError):
        parse_object_xml(data)


things = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
)


@given(things, st.sampled_from([None, *DataType]))
def test_any_value(value: object, data_type: DataType | None) -> None:
    with contextlib.suppress(InvalidValueError):
        once = coerce(value, data_type)
        assert coerce(once, data_type) == once or once != once  # noqa: PLR0124
        assert from_json(to_json(once), data_type) == once or once != once  # noqa: PLR0124
    with contextlib.suppress(InvalidValueError):
        from_json(value, data_type)


@given(st.text(max_size=20), st.sampled_from([None, *DataType]))
def test_any_typed_text(text: str, data_type: DataType | None) -> None:
    with contextlib.suppress(InvalidValueError):
        parse_typed(text, data_type)
