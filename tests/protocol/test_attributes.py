"""Notification attributes."""

import pytest

from custom_components.lwm2m.protocol.attributes import NotificationAttributes
from custom_components.lwm2m.protocol.errors import AttributesError
from custom_components.lwm2m.protocol.path import ROOT, Path
from custom_components.lwm2m.protocol.value import DataType

RESOURCE = Path.of(3303, 0, 5700)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", ()),
        ("pmin=5 pmax=60", ("pmin=5", "pmax=60")),
        ("pmin=5 pmax=5", ("pmin=5", "pmax=5")),
        ("gt=25.5 lt=-10 st=0.5", ("gt=25.5", "lt=-10", "st=0.5")),
        ("epmin=1 epmax=2 edge=1 con=0 hqmax=3", ("epmin=1", "epmax=2", "edge=1", "con=0", "hqmax=3")),
        ("pmax pmin=1", ("pmin=1", "pmax")),
        ("gt= lt=", ("gt", "lt")),
        ("gt=1e20 lt=1e-5 st=.25", ("gt=100000000000000000000", "lt=0.00001", "st=0.25")),
        ("lt=1e-30", ("lt=0",)),
    ],
)
def test_round_trip(text: str, query: tuple[str, ...]) -> None:
    attributes = NotificationAttributes.parse(text)
    assert attributes.to_query() == query
    assert NotificationAttributes.of(query).to_query() == query


@pytest.mark.parametrize(
    "text",
    [
        "pmin=60 pmax=5",
        "epmin=2 epmax=1",
        "gt=10 lt=10",
        "gt=10 lt=9 st=1",
        "st=0",
        "st=-1",
        "pmin=-1",
        "pmin=1.5",
        "pmin=x",
        "gt=nan",
        "gt=inf",
        "gt=1_0",
        "edge=2",
        "con=true",
        "colour=red",
        "pmin=1 pmin=2",
        "pmin pmin=2",
        "pmin=" + "9" * 1000,
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(AttributesError):
        NotificationAttributes.parse(text)


def test_levels() -> None:
    period = NotificationAttributes.parse("pmin=1 pmax=2")
    for path in (Path.of(3303), Path.of(3303, 0), RESOURCE):
        period.validate(path, None)
    with pytest.raises(AttributesError):
        period.validate(ROOT, None)
    limits = NotificationAttributes.parse("gt=1")
    limits.validate(RESOURCE, DataType.FLOAT)
    limits.validate(RESOURCE, None)
    for path, data_type in ((Path.of(3303, 0), None), (RESOURCE, DataType.STRING)):
        with pytest.raises(AttributesError):
            limits.validate(path, data_type)
    with pytest.raises(AttributesError):
        NotificationAttributes.parse("st").validate(Path.of(3303), None)
    NotificationAttributes.parse("edge=1").validate(Path.of(3200, 0, 5500), DataType.BOOLEAN)
    with pytest.raises(AttributesError):
        NotificationAttributes.parse("edge=1").validate(RESOURCE, DataType.FLOAT)


def test_from_link() -> None:
    attributes = NotificationAttributes.from_link({"pmin": "10", "gt": "1.5", "dim": "3", "ver": "1.1", "pmax": None})
    assert attributes == NotificationAttributes(pmin=10, gt=1.5)
