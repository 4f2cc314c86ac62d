"""Link lists: what Register and Discover carry."""

import pytest

from custom_components.lwm2m.protocol.errors import LinkFormatError
from custom_components.lwm2m.protocol.link_format import (
    MAX_LINKS,
    Link,
    ObjectList,
    format_links,
    parse_links,
    parse_version,
)


def listed(objects: ObjectList) -> dict[str, str]:
    return {str(path): version for path, version in objects.objects.items()}


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("", []),
        ("  ", []),
        ("</3/0>", [("/3/0", {})]),
        ("</1/0>,</3/0>", [("/1/0", {}), ("/3/0", {})]),
        ("</1/0> , </3/0>", [("/1/0", {}), ("/3/0", {})]),
        ('</>;rt="oma.lwm2m";ct=110', [("/", {"rt": "oma.lwm2m", "ct": "110"})]),
        ('</x>;title="a, b; \\"c\\" <d>"', [("/x", {"title": 'a, b; "c" <d>'})]),
        ("</>;ct=11543;hb", [("/", {"ct": "11543", "hb": None})]),
        ("</3/0/7>;dim=2;pmin=10;pmax=60", [("/3/0/7", {"dim": "2", "pmin": "10", "pmax": "60"})]),
        ("</3>;ver=1.1;ver=1.2", [("/3", {"ver": "1.1"})]),
        ("<coap://x/y>;a=", [("coap://x/y", {"a": ""})]),
    ],
)
def test_parse(text: str, links: list[tuple[str, dict[str, str | None]]]) -> None:
    assert parse_links(text.encode()) == [Link(target, attributes) for target, attributes in links]


@pytest.mark.parametrize(
    "payload",
    [
        b"</3/0",
        b"3/0>",
        b"</3/0>,",
        b"</3/0>,,</4/0>",
        b"</3/0>x",
        b'</3/0>;a="b',
        b"</3/0>;",
        b"</3/0>;=x",
        b"</3 /0>",
        b"\xff\xfe",
        b"garbage",
        b"<" * 1000,
        b"</3/0>;" * 1000,
        b"</3/0>" + b";a" * 10 + b"".join(b";a%d" % i for i in range(50)),
        b",".join([b"</1>"] * (MAX_LINKS + 1)),
        b"</1>;x=" + b"y" * 70000,
    ],
)
def test_malformed(payload: bytes) -> None:
    with pytest.raises(LinkFormatError):
        parse_links(payload)


def test_as_many_as_allowed() -> None:
    assert len(parse_links(b",".join([b"</1>"] * MAX_LINKS))) == MAX_LINKS


def test_format() -> None:
    links = [Link("/3/0", {"ver": "1.1", "title": 'say "hi" \\', "hb": None, "empty": ""}), Link("/4", {})]
    assert format_links(links) == b'</3/0>;ver=1.1;title="say \\"hi\\" \\\\";hb;empty="",</4>'
    assert parse_links(format_links(links)) == links


def test_instances_take_the_version_of_their_object() -> None:
    objects = ObjectList.parse(b"</1/0>,</3303>;ver=1.1,</3303/0>,</3303/1>,</3304/0>", "1.1")
    assert listed(objects) == {"/1/0": "1.1", "/3303/0": "1.1", "/3303/1": "1.1", "/3304/0": "1.0"}
    assert objects.root == ()


def test_object_without_instances_is_kept() -> None:
    assert listed(ObjectList.parse(b"</5>;ver=1.1,</3/0>", "1.0")) == {"/5": "1.1", "/3/0": "1.0"}


@pytest.mark.parametrize(
    ("lwm2m", "versions"),
    [
        ("1.0", {"/0": "1.0", "/1/0": "1.0", "/3/0": "1.0", "/4/0": "1.0", "/5/0": "1.0", "/3303/0": "1.0"}),
        ("1.1", {"/0": "1.1", "/1/0": "1.1", "/3/0": "1.1", "/4/0": "1.2", "/5/0": "1.0", "/3303/0": "1.0"}),
        ("1.2", {"/0": "1.2", "/1/0": "1.2", "/3/0": "1.2", "/4/0": "1.3", "/5/0": "1.1", "/3303/0": "1.0"}),
    ],
)
def test_implied_versions_of_core_objects(lwm2m: str, versions: dict[str, str]) -> None:
    payload = b"</0>,</1/0>,</3/0>,</4/0>,</5/0>,</3303/0>"
    assert listed(ObjectList.parse(payload, lwm2m)) == versions


@pytest.mark.parametrize("version", ['ver="1.1"', "ver=1.1", "ver=1.1.1", 'ver="01.1"'])
def test_quoted_and_long_versions(version: str) -> None:
    assert listed(ObjectList.parse(f"</3303>;{version},</3303/0>".encode(), "1.0")) == {"/3303/0": "1.1"}


def test_version_on_the_instance() -> None:
    assert listed(ObjectList.parse(b'</3303/0>;ver="1.1"', "1.0")) == {"/3303/0": "1.1"}


def test_version_that_is_none_counts_as_missing() -> None:
    assert listed(ObjectList.parse(b"</3303>;ver=new,</3303/0>", "1.1")) == {"/3303/0": "1.0"}


@pytest.mark.parametrize(
    ("payload", "root", "formats"),
    [
        (b"</3/0>", (), ()),
        (b'</>;rt="oma.lwm2m";ct=110,</3/0>', (), (110,)),
        (b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</3/0>', (), (60, 110, 112, 11542, 11543)),
        (b"</>;ct=11543;hb,</3/0>", (), (11543,)),
        (b"</>;rt=oma.lwm2m;ct=x,</3/0>", (), ()),
        (b'</lwm2m>;rt="oma.lwm2m";ct=112,</lwm2m/3/0>', ("lwm2m",), (112,)),
        (b'</lwm2m/3/0>,</a/b>,</lwm2m>;rt="x oma.lwm2m"', ("lwm2m",), ()),
        (b'</a/b/>;rt="oma.lwm2m",</a/b/3/0>,</3/1>', ("a", "b"), ()),
    ],
)
def test_root(payload: bytes, root: tuple[str, ...], formats: tuple[int, ...]) -> None:
    objects = ObjectList.parse(payload, "1.1")
    assert listed(objects) == {"/3/0": "1.1"}
    assert objects.root == root
    assert objects.content_formats == formats


def test_other_links_are_passed_over() -> None:
    payload = b"</.well-known/core>,</3/0/1>,</temperature>;rt=x,<coap://[::1]/3/0>,</65535/0>,</3/0>"
    assert listed(ObjectList.parse(payload, "1.0")) == {"/3/0": "1.0"}


def test_thousand_objects() -> None:
    payload = b",".join(b"</%d/0>" % number for number in range(4000, 5000))
    assert len(ObjectList.parse(payload, "1.1").objects) == 1000


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.1", "1.1"), ("1", "1.0"), ("1.0.0", "1.0"), ("1.x", None), ("", None), (None, None), ("-1", None)],
)
def test_parse_version(text: str | None, version: str | None) -> None:
    assert parse_version(text) == version
