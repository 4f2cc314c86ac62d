"""The records of devices, and what other object definitions do to them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from custom_components.lwm2m.coap.remote import PeerSecurity
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.objects.model import ObjectDefinition, ResourceDefinition
from custom_components.lwm2m.protocol.objects.registry import Registry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import DataType, ObjectLink
from custom_components.lwm2m.security.identity import (
    NO_SECURITY,
    CertificateIdentity,
    Identity,
    PskIdentity,
    PublicKeyIdentity,
)
from custom_components.lwm2m.server import records
from custom_components.lwm2m.server.events import Registered
from custom_components.lwm2m.server.records import RECORD_LIMIT, VALUE_LIMIT, Record, RecordError, make_record
from custom_components.lwm2m.server.server import Server
from custom_components.lwm2m.server.store import StoreError, check_snapshot
from tests.simulator.content import OMA_TLV
from tests.simulator.profile import PROFILES

from .helpers import KEY, Bench, eventually, thermometer
from .shelf import Shelf, broken, known, returning, stop_and_save

TEMPERATURE = Path((3303, 0, 5700))


def definition(kind: DataType) -> ObjectDefinition:
    resource = ResourceDefinition(1, "Level", "R", multiple=False, mandatory=True, type=kind)
    return ObjectDefinition(30001, "Barrel", "1.0", multiple=True, mandatory=False, resources={1: resource})


async def test_other_definitions(bench: Bench) -> None:
    model = thermometer()
    model.objects[30001] = {0: {1: model.objects[3303][0][5700]}}
    tlv_alone = replace(PROFILES["zephyr"], single=(OMA_TLV,), several=(OMA_TLV,), root_link=None)
    async with bench.plain("d", model, profile=tlv_alone) as client:
        device = (await bench.until(Registered)).device
        path = Path((30001, 0, 1))
        await device.read(Path((30001, 0)))
        assert isinstance(device.values[path], bytes)
        device.watch(path, lambda changed: None)
        await client.wait_for("observed", path=["/30001/0/1"])
        device.surveyed |= {Path((30001, 0)), Path((3303, 0))}
        registry = Registry.default()
        assert bench.server.set_registry(registry.with_user_objects([])) == []
        assert bench.server.set_registry(registry.with_user_objects([definition(DataType.FLOAT)])) == [device]
        assert device.surveyed == {Path((3303, 0))}
        assert device.definitions.type(path) is DataType.FLOAT
        client.set("/30001/0/1", 4.5)
        await eventually(lambda: device.values[path] == 4.5)


async def test_values_that_another_definition_does_not_allow() -> None:
    one = Server(registry=Registry.default().with_user_objects([definition(DataType.STRING)]))
    device = one.device("d")
    device.restore({Path((30001, 0)): "1.0", Path((30001, 1)): "1.0"}, None, None)
    device.state.store([Entry(Path((30001, 0, 1)), "full"), Entry(Path((30001, 1, 1)), "3.5")])
    device.surveyed = {Path((30001, 0)), Path((30001, 1))}
    other = Server(registry=Registry.default().with_user_objects([definition(DataType.FLOAT)]))
    again = other.device("d")
    records.apply_record(json.loads(json.dumps(make_record(device))), other, again)
    assert again.values == {Path((30001, 1, 1)): 3.5}
    assert again.surveyed == {Path((30001, 1))}


def restored(record: object) -> Any:
    server = Server()
    device = server.device("d")
    records.apply_record(json.loads(json.dumps(record)), server, device)
    return device


IDENTITIES = (
    PskIdentity(b"\xff\x00id"),
    PublicKeyIdentity(b"\x30\x59"),
    CertificateIdentity(b"\x30\x82", "cn", ("a", "b"), trusted=True),
    CertificateIdentity(b"\x30\x82", None, (), trusted=False),
    NO_SECURITY,
)


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: type(identity).__name__)
def test_security_of_every_kind(identity: Identity) -> None:
    device = Server().device("d")
    suite = None if identity is NO_SECURITY else "TLS_PSK_WITH_AES_128_CCM_8"
    security = PeerSecurity(identity.mode, suite, identity, "P-256", 1_700_000_000.5)
    device.restore({Path((3, 0)): "1.1"}, security, None)
    record = make_record(device)
    again = restored(record)
    assert again.security == security
    assert again.security.mode is identity.mode
    assert again.last_contact is None
    del record["security"]["group"], record["security"]["since"]
    assert restored(record).security == PeerSecurity(identity.mode, suite, identity), "a record of before"


def test_values_of_every_type() -> None:
    device = Server().device("d")
    device.restore({Path((number, 0)): "1.0" for number in (3, 9, 19, 3303, 3306, 40000)}, None, None)
    values: dict[Path, Any] = {
        Path((3, 0, 0)): "Nordfeld",
        Path((3, 0, 7, 0)): 3000,
        Path((3, 0, 13)): 1_700_000_000,
        Path((9, 0, 13)): ObjectLink(1, 0),
        Path((19, 0, 0, 0)): b"\x00\xff",
        Path((3303, 0, 5700)): float("-inf"),
        Path((3306, 0, 5850)): True,
        Path((40000, 0, 1)): 2**64 - 1,
        Path((40000, 0, 2)): 1.0,
        Path((40000, 0, 3)): "\u00e4\U0001f600",
        Path((40000, 0, 4)): False,
    }
    device.state.store([Entry(path, value) for path, value in values.items()])
    again = restored(make_record(device))
    assert again.values == values
    assert [type(again.values[path]) for path in values] == [type(value) for value in values.values()]


def test_what_is_too_long_is_asked_for_again() -> None:
    device = Server().device("d")
    instances = [Path((40000, number)) for number in range(400)]
    device.restore(dict.fromkeys(instances, "1.0"), None, None)
    device.surveyed = set(instances)
    entries = [Entry(path.child(1), b"x" * VALUE_LIMIT) for path in instances]
    entries[0] = Entry(Path((40000, 0, 1)), "x" * (VALUE_LIMIT + 1))
    entries[1] = Entry(Path((40000, 1, 1)), "\ud800")
    device.state.store(entries)
    record = make_record(device)
    assert len(json.dumps(record["values"])) < 3 * RECORD_LIMIT
    assert 100 < len(record["values"]) < 398
    again = restored(record)
    kept = {Path(path[:2]) for path in again.values}
    assert again.surveyed == kept
    assert not kept & {Path((40000, 0)), Path((40000, 1))}
    assert set(again.objects) == set(instances)


async def test_a_record_has_no_key(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        await stop_and_save(bench, shelf)
    assert shelf.text is not None
    assert KEY.hex() not in shelf.text
    assert b"id-d".hex() in shelf.text


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": []},
        {"objects": {"/x": "1.0"}},
        {"objects": {"/3/0": 1.0}},
        {"objects": None},
        {"values": {"/1/2/3/4/5": 1}},
        {"values": {"/3303/0/5700": [1]}},
        {"values": {"/3303/0/5700": None}},
        {"times": {"/3303/0/5700": "now"}},
        {"times": {"/3303/0/5700": True}},
        {"surveyed": {}},
        {"surveyed": [3]},
        {"last_contact": "yesterday"},
        {"formats__lwm2m": 1.1},
        {"formats__named": ["x"]},
        {"formats__read": {"two": 112}},
        {"formats__read": {"2": "x"}},
        {"formats__write": {"2": None}},
        {"formats__composite": 1},
        {"security": {}},
        {"security__identity": {"psk": "xyz"}},
        {"security__identity": {"psk": 5}},
        {"security__identity": {"secret": "00"}},
        {"security__identity": {"certificate": "00", "common_name": 5, "names": [], "trusted": True}},
        {"security__identity": {"certificate": "00", "common_name": None, "names": [5], "trusted": True}},
        {"security__suite": 5},
        {"security__group": 256},
        {"security__since": "yesterday"},
        {"registration": []},
        {"registration__location": 5},
        {"registration__lifetime": "60"},
        {"registration__lifetime": True},
        {"registration__queue": 0},
        {"registration__root": [0]},
        {"registration__content_formats": [None]},
        {"registration__expires_at": None},
    ],
    ids=str,
)
def test_what_is_no_record(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        Record(broken(**changes))
    with pytest.raises(StoreError, match="'d'"):
        check_snapshot({"version": 1, "devices": {"d": broken(**changes)}})


@pytest.mark.parametrize("missing", sorted(broken()))
def test_a_record_without_one_part(missing: str) -> None:
    record = broken()
    del record[missing]
    with pytest.raises(RecordError, match=missing):
        Record(record)
