"""Paths."""

import pytest

from custom_components.lwm2m.protocol.errors import PathError
from custom_components.lwm2m.protocol.path import ROOT, Path


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ()),
        ("/", ()),
        ("/3", (3,)),
        ("3/0", (3, 0)),
        ("/3303/0/5700", (3303, 0, 5700)),
        ("/3/0/7/65535", (3, 0, 7, 65535)),
        ("/3/0/", (3, 0)),
        ("/65534/65534/65535", (65534, 65534, 65535)),
    ],
)
def test_parse(text: str, ids: tuple[int, ...]) -> None:
    path = Path.parse(text)
    assert path == ids
    assert str(path) == "/" + "/".join(map(str, ids))
    assert Path.parse(str(path)) == path
    assert Path.from_segments(path.segments) == path


@pytest.mark.parametrize(
    "text",
    [
        "//",
        "/3//0",
        "/a",
        "/-1",
        "/+1",
        "/03",
        "/1/2/3/4/5",
        "/65535",
        "/3/65535",
        "/3/0/65536",
        "/99999",
        " /3",
        "/3 ",
        "/\uff13",
        "/3\n",
        "/" * 100,
        "/3" * 1000,
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(PathError):
        Path.parse(text)


def test_parts() -> None:
    path = Path.of(3, 0, 7, 1)
    assert (path.object_id, path.instance_id, path.resource_id, path.resource_instance_id) == (3, 0, 7, 1)
    assert (ROOT.object_id, ROOT.instance_id, ROOT.resource_id, ROOT.resource_instance_id) == (None,) * 4
    assert path.parent == (3, 0, 7)
    assert isinstance(path.parent, Path)
    assert ROOT.parent == ROOT
    assert path.segments == ("3", "0", "7", "1")
    assert repr(path) == "Path('/3/0/7/1')"


def test_child() -> None:
    assert Path.of(3).child(0) == (3, 0)
    with pytest.raises(PathError):
        Path.of(3, 0, 7, 1).child(0)
    with pytest.raises(PathError):
        Path.of(3).child(65535)
    with pytest.raises(PathError):
        Path.of(-1)


def test_contains() -> None:
    assert ROOT.contains(Path.of(3))
    assert Path.of(3).contains(Path.of(3))
    assert Path.of(3).contains(Path.of(3, 0, 7))
    assert not Path.of(3).contains(Path.of(30))
    assert not Path.of(3, 0).contains(Path.of(3))


def test_is_a_key_and_sorts_as_a_tuple() -> None:
    assert {Path.parse("/3/0"): 1}[Path.of(3, 0)] == 1
    assert sorted([Path.of(3, 10), Path.of(3), Path.of(3, 9)]) == [(3,), (3, 9), (3, 10)]
