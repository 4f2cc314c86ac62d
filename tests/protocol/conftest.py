"""Definitions that the tests of this layer share."""

import pytest

from custom_components.lwm2m.protocol.objects import DefinitionView, ObjectDefinition, Registry, ResourceDefinition
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import DataType

EVERY_TYPE = ObjectDefinition(
    40000,
    "Every type",
    "1.0",
    multiple=True,
    mandatory=False,
    resources={
        number: ResourceDefinition(number, data_type, "RW", number >= 10, False, data_type)
        for offset in (0, 10)
        for number, data_type in enumerate(DataType, offset)
    },
)
"""Resource n has the n-th data type; resource 10 + n is one of several instances of it."""

LINKS = tuple(
    ObjectDefinition(
        number,
        f"Object {number}",
        "1.0",
        multiple=True,
        mandatory=False,
        resources={
            0: ResourceDefinition(0, "res0", "R", first_multiple, False, first),
            1: ResourceDefinition(1, "res1", "R", False, False, DataType.STRING),
            2: ResourceDefinition(2, "res2", "R", False, False, last),
        },
    )
    for number, first_multiple, first, last in (
        (65, True, DataType.OBJLNK, DataType.INTEGER),
        (66, False, DataType.STRING, DataType.OBJLNK),
    )
)
"""The two objects of the examples of object links in the LwM2M TS."""


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry.default().with_user_objects((EVERY_TYPE, *LINKS))


@pytest.fixture(scope="session")
def view(registry: Registry) -> DefinitionView:
    return registry.view(
        {
            Path((1, 0)): "1.1",
            Path((3, 0)): "1.0",
            Path((3303, 0)): "1.1",
            Path((3306, 0)): "1.0",
            Path((40000, 0)): "1.0",
        }
    )
