"""The ready-made devices against the OMA definitions, and the simulator's independence."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from custom_components.lwm2m.protocol.objects.registry import Registry
from tests.simulator.devices import DEVICES
from tests.simulator.model import show

SIMULATOR = Path(__file__).parents[1] / "simulator"
KINDS = {"unsigned_integer": "unsigned"}


@pytest.mark.parametrize("name", DEVICES)
def test_resources_are_what_the_definitions_say(name: str) -> None:
    registry, wrong = Registry.default(), []
    model = DEVICES[name](2).model
    for object_id, instances in model.objects.items():
        definition = registry.get(object_id, model.versions.get(object_id))
        assert definition is not None
        assert definition.version == model.versions.get(object_id, definition.version)
        for instance_id, resources in instances.items():
            missing = {key for key, one in definition.resources.items() if one.mandatory} - resources.keys()
            wrong += [f"{show((object_id, instance_id, key))} is mandatory" for key in missing]
            for resource_id, resource in resources.items():
                said = definition.resources[resource_id]
                kind = "none" if said.type is None else KINDS.get(said.type.value, said.type.value)
                have = (resource.operations, resource.multiple, kind if "E" in resource.operations else resource.type)
                if have != (said.operations, said.multiple, kind):
                    wrong.append(f"{show((object_id, instance_id, resource_id))}: {have}")
                assert isinstance(resource.value, dict) == (resource.multiple and resource.value is not None)
    assert not wrong


def test_everything_has_all_objects_of_the_others() -> None:
    objects = {object_id for make in DEVICES.values() for object_id in make(1).model.objects}
    assert DEVICES["everything"](1).model.objects.keys() == objects
    assert len(objects) > 40


def test_the_simulator_imports_nothing_of_the_integration() -> None:
    imported: set[str] = set()
    for file in (*SIMULATOR.glob("*.py"), SIMULATOR.parent / "openssl_client.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                name = node.module
                imported.add(name if name.startswith("tests.") else name.partition(".")[0])
    assert "cbor2" in imported
    assert not imported & {"custom_components", "homeassistant", "aiocoap", "cryptography"}
    assert {name for name in imported if name.startswith("tests")} == {"tests.openssl_client"}
