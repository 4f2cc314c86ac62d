"""What can be asked of a device, against simulated clients with the ways of four implementations."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from custom_components.lwm2m.protocol.attributes import NotificationAttributes
from custom_components.lwm2m.protocol.errors import (
    CodecError,
    InvalidValueError,
    LwM2MError,
    NotRegistered,
    ResponseError,
)
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import ObjectLink, Value
from custom_components.lwm2m.server.device import Device
from custom_components.lwm2m.server.errors import DeviceBusyError
from custom_components.lwm2m.server.events import Notification, Registered, SendReceived, Updated
from custom_components.lwm2m.server.turns import WAITING_LIMIT
from tests.simulator.coap import Code
from tests.simulator.model import DeviceModel, Resource
from tests.simulator.profile import PROFILES

from .helpers import Bench, eventually, thermometer

TEMPERATURE = Path((3303, 0, 5700))
PROFILE_NAMES = sorted(PROFILES)


def every_type() -> DeviceModel:
    """Objects with a resource of every type."""
    model = thermometer()
    model.objects |= {
        6: {0: {5: Resource(1700000000, "time", "R")}},
        9: {0: {7: Resource(42, "integer", "R"), 13: Resource("1:0", "objlnk", "R")}},
        3333: {0: {5506: Resource(1700000000, "time", "RW"), 5750: Resource("n", "string", "RW")}},
        3306: {0: {5850: Resource(False, "boolean", "RW"), 5851: Resource(3, "integer", "RW")}},
        3203: {0: {5650: Resource(1.5, "float", "RW")}},
        25: {0: {0: Resource("gw", "string", "R")}},
        16: {0: {0: Resource({0: "a", 1: "b"}, "string", "RW", multiple=True)}},
        19: {0: {0: Resource({0: b"\x00\xff\x10"}, "opaque", "RW", multiple=True), 2: Resource(5, "unsigned", "RW")}},
    }
    return model


async def known(bench: Bench, endpoint: str = "d") -> Device:
    return (await bench.until(Registered, lambda event: event.device.endpoint == endpoint)).device


def plain(entries: list[Entry]) -> dict[str, Value]:
    return {str(entry.path): entry.value for entry in entries}


@pytest.mark.parametrize("profile", PROFILE_NAMES)
async def test_read(bench: Bench, profile: str) -> None:
    async with bench.plain("d", every_type(), profile=profile):
        device = await known(bench)
        assert plain(await device.read(TEMPERATURE)) == {"/3303/0/5700": 21.5}
        assert plain(await device.read(Path((3, 0, 7)))) == {"/3/0/7/0": 3000, "/3/0/7/1": 2900}
        assert plain(await device.read(Path((3303, 0)))) == {
            "/3303/0/5700": 21.5,
            "/3303/0/5701": "Cel",
            "/3303/0/5750": "Indoor",
        }
        assert plain(await device.read(Path((3,)))).items() >= {"/3/0/0": "Nordfeld", "/3/0/7/1": 2900}.items()
        assert plain(await device.read(Path((3333, 0, 5506)))) == {"/3333/0/5506": 1700000000}
        assert plain(await device.read(Path((3306, 0)))) == {"/3306/0/5850": False, "/3306/0/5851": 3}
        assert plain(await device.read(Path((19, 0))))["/19/0/0/0"] == b"\x00\xff\x10"
        assert plain(await device.read(Path((9, 0))))["/9/0/13"] == ObjectLink(1, 0)
        assert device.values[Path((3, 0, 7, 0))] == 3000
        with pytest.raises(ResponseError, match=r"4\.04"):
            await device.read(Path((3303, 5)))
        with pytest.raises(ResponseError, match=r"4\.05"):
            await device.read(Path((3, 0, 4)))
        with pytest.raises(ResponseError, match=r"4\.01"):
            await device.read(Path((0, 0)))


@pytest.mark.parametrize("profile", PROFILE_NAMES)
async def test_write(bench: Bench, profile: str) -> None:
    async with bench.plain("d", every_type(), profile=profile) as client:
        device = await known(bench)
        for text, value in (
            ("/3/0/14", "+02:00"),
            ("/3306/0/5850", True),
            ("/3306/0/5851", 77),
            ("/3203/0/5650", -2.25),
            ("/3333/0/5506", 1800000000),
        ):
            await device.write(Path.parse(text), value)
            assert client.get(text) == value
            assert device.values[Path.parse(text)] == value
        await device.write(Path((3203, 0, 5650)), 4)
        assert client.get("/3203/0/5650") == 4.0
        assert device.values[Path((3203, 0, 5650))].__class__ is float
        await device.write(Path((3306, 0)), [Entry(Path((3306, 0, 5850)), False), Entry(Path((3306, 0, 5851)), 5)])
        assert (client.get("/3306/0/5850"), client.get("/3306/0/5851")) == (False, 5)
        await device.write(Path((3303, 0)), [Entry(Path((3303, 0, 5750)), "Cellar")])
        assert client.get("/3303/0/5750") == "Cellar"
        with pytest.raises(InvalidValueError):
            await device.write(Path((3306, 0, 5851)), "much")
        with pytest.raises(ResponseError, match=r"4\.05"):
            await device.write(TEMPERATURE, 1.0)
        with pytest.raises(CodecError):
            await device.write(Path((3306, 0, 5851)), 5, content_format=9999)


async def test_write_replaces_or_adds_resource_instances(bench: Bench) -> None:
    async with bench.plain("d", every_type()) as client:
        device = await known(bench)
        portfolio = Path((16, 0, 0))
        await device.read(portfolio)
        await device.write(portfolio, [Entry(portfolio.child(2), "c")])
        assert client.get("/16/0/0") == {0: "a", 1: "b", 2: "c"}
        await device.write(portfolio, [Entry(portfolio.child(5), "z")], replace=True)
        assert client.get("/16/0/0") == {5: "z"}
        await device.write(portfolio.child(5), "y")
        assert client.get("/16/0/0") == {5: "y"}


@pytest.mark.parametrize("profile", PROFILE_NAMES)
async def test_execute_discover_attributes(bench: Bench, profile: str) -> None:
    async with bench.plain("d", profile=profile) as client:
        device = await known(bench)
        await device.execute(Path((3, 0, 4)))
        await device.execute(Path((3, 0, 4)), "0='a',1")
        assert [event.fields["arguments"] for event in client.seen("executed")] == ["", "0='a',1"]
        with pytest.raises(ResponseError, match=r"4\.05"):
            await device.execute(TEMPERATURE)
        await device.write_attributes(TEMPERATURE, NotificationAttributes(pmin=1, gt=30.5))
        links = {link.target: link.attributes for link in await device.discover(TEMPERATURE)}
        assert links == {"/3303/0/5700": {"pmin": "1", "gt": "30.5"}}
        assert "/3303/0/5701" in {link.target for link in await device.discover(Path((3303, 0)))}
        with pytest.raises(ResponseError, match=r"4\.04"):
            await device.discover(Path((7777,)))


@pytest.mark.parametrize("profile", PROFILE_NAMES)
async def test_create_and_delete(bench: Bench, profile: str) -> None:
    async with bench.plain("d", profile=profile) as client:
        device = await known(bench)
        entries = [Entry(Path((3303, 0, 5700)), 4), Entry(Path((3303, 0, 5750)), "New")]
        created = await device.create(Path((3303,)), entries)
        assert created == Path((3303, 1))
        assert (client.get("/3303/1/5700"), client.get("/3303/1/5750")) == (4.0, "New")
        assert await device.create(Path((3303,)), entries, 9) == Path((3303, 9))
        assert client.get("/3303/9/5750") == "New"
        await bench.until(Updated, lambda event: event.objects_changed and Path((3303, 9)) in device.objects)
        await device.read(Path((3303, 9)))
        await device.delete(Path((3303, 9)))
        assert not any(path[:2] == (3303, 9) for path in device.values)
        with pytest.raises(ResponseError, match=r"4\.04"):
            await device.delete(Path((3303, 9)))


@pytest.mark.parametrize("profile", PROFILE_NAMES)
async def test_read_many(bench: Bench, profile: str) -> None:
    async with bench.plain("d", profile=profile):
        device = await known(bench)
        wanted = [TEMPERATURE, Path((3, 0, 0)), Path((7777, 0, 0))]
        expected = {"/3303/0/5700": 21.5, "/3/0/0": "Nordfeld"}
        assert plain(await device.read_many(wanted)) == expected
        assert plain(await device.read_many(wanted)) == expected
        assert plain(await device.read_many([TEMPERATURE])) == {"/3303/0/5700": 21.5}
        assert await device.read_many([]) == []
        with pytest.raises(ResponseError):
            await device.read_many([Path((7777, 0, 0))])


@pytest.mark.parametrize("profile", PROFILE_NAMES)
async def test_observe_and_cancel(bench: Bench, profile: str) -> None:
    async with bench.plain("d", profile=profile) as client:
        device = await known(bench)
        assert plain(await device.observe(Path((3303, 0))))["/3303/0/5700"] == 21.5
        client.set("/3303/0/5700", 25.25)
        event = await bench.until(Notification)
        assert event.path == Path((3303, 0))
        assert plain(list(event.entries))["/3303/0/5700"] == 25.25
        client.set("/3303/0/5700", 26.0)
        await bench.until(Notification, count=2)
        assert device.values[TEMPERATURE] == 26.0
        await device.cancel(Path((3303, 0)))
        await client.wait_for("cancelled")
        with pytest.raises(LwM2MError, match="not observed"):
            await device.cancel(Path((3303, 0)))
        with pytest.raises(ResponseError, match=r"4\.04"):
            await device.observe(Path((3303, 7)))
        assert len(device.observations) == 0


async def test_watch_outlives_registrations(bench: Bench) -> None:
    expected = bench.server.device("d")
    calls: list[Value] = []
    stop = expected.watch(TEMPERATURE, lambda path: calls.append(expected.values[path]))
    available: list[bool] = []
    unsubscribe = expected.on_availability(lambda: available.append(expected.available))
    with pytest.raises(NotRegistered):
        await expected.read(TEMPERATURE)
    async with bench.plain("d") as client:
        await eventually(lambda: calls == [21.5])
        client.set("/3303/0/5700", 22.0)
        await eventually(lambda: calls == [21.5, 22.0])
    async with bench.plain("d") as client:
        await client.wait_for("observed")
        await eventually(lambda: calls == [21.5, 22.0, 21.5])
        assert available == [True, False, True]
        stop()
        stop()
        unsubscribe()
        unsubscribe()
        client.set("/3303/0/5700", 30.0, confirmable=True)
        await client.wait_for("cancelled")
        assert calls[-1] == 21.5
    assert bench.server.devices["d"] is expected
    assert [expected.available, available] == [False, [True, False, True]]
    bench.server.forget("d")
    bench.server.forget("d")
    assert "d" not in bench.server.devices


async def test_watchers_share_one_observation(bench: Bench) -> None:
    async with bench.plain("d") as client:
        device = await known(bench)
        calls: list[str] = []
        stops = [device.watch(TEMPERATURE, lambda _, name=name: calls.append(name)) for name in "ab"]  # type: ignore[misc]
        stops.append(device.watch(Path((3303,)), lambda path: calls.append(str(path))))
        await eventually(lambda: len(calls) == 5)
        client.set("/3303/0/5700", 23.0)
        await eventually(lambda: len(calls) == 8)
        assert len(client.seen("observed")) == 2
        assert sorted(calls[-3:]) == ["/3303/0/5700", "a", "b"]
        stops[0]()
        assert len(device.observations) == 2
        stops[1]()
        stops[2]()
        assert not list(device.observations)


async def test_a_watcher_and_an_explicit_observation(bench: Bench) -> None:
    async with bench.plain("d") as client:
        device = await known(bench)
        stop = device.watch(TEMPERATURE, lambda _: None)
        await client.wait_for("observed")
        await device.observe(TEMPERATURE)
        await device.cancel(TEMPERATURE)
        client.set("/3303/0/5700", 23.0)
        await eventually(lambda: device.values.get(TEMPERATURE) == 23.0)
        stop()
        assert len(device.observations) == 0


async def test_a_failing_watcher_disturbs_nobody(bench: Bench) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    bench.server.subscribe(fail)
    async with bench.plain("d") as client:
        device = await known(bench)
        device.on_availability(fail)
        device.watch(TEMPERATURE, fail)
        calls: list[Path] = []
        device.watch(TEMPERATURE, calls.append)
        await eventually(lambda: calls == [TEMPERATURE])
        assert client.location is not None


async def test_listeners_choose_and_leave(bench: Bench) -> None:
    kinds: list[type] = []
    stop = bench.server.subscribe(lambda event: kinds.append(type(event)), Registered, Updated)
    async with bench.plain("d") as client:
        await known(bench)
        client.update()
        await bench.until(Updated)
        stop()
        stop()
        client.update()
        await bench.until(Updated, count=2)
    assert kinds == [Registered, Updated]


async def test_values_follow_the_object_list(bench: Bench) -> None:
    model = thermometer()
    async with bench.plain("d", model) as client:
        device = await known(bench)
        await device.read(TEMPERATURE)
        calls: list[Path] = []
        device.watch(TEMPERATURE, calls.append)
        await client.wait_for("observed")
        del model.objects[3303]
        model.instances_were_changed()
        await bench.until(Updated, lambda event: event.objects_changed)
        await eventually(lambda: calls == [TEMPERATURE])
        assert TEMPERATURE not in device.values
        assert device.has(Path((3, 0, 0)))
        assert not device.has(Path((3303,)))
        assert device.has(Path())


async def test_resource_instances_that_go(bench: Bench) -> None:
    async with bench.plain("d") as client:
        device = await known(bench)
        calls: list[str] = []
        device.watch(Path((3, 0, 7)), lambda path: calls.append(str(path)))
        await eventually(lambda: len(calls) == 2)
        client.set("/3/0/7", {1: 2800})
        await eventually(lambda: len(calls) == 4)
        assert calls[2:] == ["/3/0/7/0", "/3/0/7/1"]
        assert {path: value for path, value in device.values.items() if path[2] == 7} == {Path((3, 0, 7, 1)): 2800}


async def test_what_is_written_counts_until_the_device_reports(bench: Bench) -> None:
    async with bench.plain("d", every_type()) as client:
        device = await known(bench)
        level = Path((3306, 0, 5851))
        device.watch(level, lambda _: None)
        await client.wait_for("observed")
        await eventually(lambda: device.values.get(level) == 3)
        values: list[Value | None] = []
        device.watch(level, lambda path: values.append(device.values[path]))
        await device.write(level, 60)
        await eventually(lambda: values == [60])


async def test_send(bench: Bench) -> None:
    async with bench.plain("d") as client:
        device = await known(bench)
        await client.send("/3303/0/5700", "/3303/0/5701")
        event = await bench.until(SendReceived)
        assert plain(list(event.entries)) == {"/3303/0/5700": 21.5, "/3303/0/5701": "Cel"}
        assert device.values[TEMPERATURE] == 21.5


async def test_too_many_requests(bench: Bench) -> None:
    async with bench.plain("d", queue=True) as client:
        device = await known(bench)
        bench.clock.jump(100)
        tasks = [asyncio.ensure_future(device.read(TEMPERATURE)) for _ in range(WAITING_LIMIT)]
        await eventually(lambda: device.downlink.turns.waiting == WAITING_LIMIT)
        with pytest.raises(DeviceBusyError):
            await device.read(TEMPERATURE)
        client.update()
        assert {tuple(entries) for entries in await asyncio.gather(*tasks)} == {(Entry(TEMPERATURE, 21.5),)}


async def test_last_contact_and_representation(bench: Bench) -> None:
    device = bench.server.device("d")
    assert [device.awake, dict(device.objects), device.root, device.last_contact] == [False, {}, (), None]
    assert "unavailable" in repr(device)
    async with bench.plain("d"):
        device = await known(bench)
        assert device.last_contact is not None
        assert abs(device.last_contact - bench.server.context.wall()) < 60
        assert repr(device) == "<Device 'd' available>"
        assert repr(device.registration).startswith("<Registration rd/")
        assert repr(bench.server.pending) is not None


async def test_a_failing_device_does_not_disturb_its_neighbour(bench: Bench) -> None:
    async with bench.plain("good"), bench.plain("bad") as bad:
        good, other = await known(bench, "good"), await known(bench, "bad")
        bad.handler.fail[(3303,)] = Code.INTERNAL_SERVER_ERROR
        with pytest.raises(ResponseError, match=r"5\.00"):
            await other.read(TEMPERATURE)
        assert plain(await good.read(TEMPERATURE)) == {"/3303/0/5700": 21.5}


async def test_what_a_device_without_security_leaves_behind(bench: Bench) -> None:
    quota = bench.server.context.unproven
    async with bench.plain("d"):
        device = await known(bench)
        before = quota.used
        await device.read(Path((3303, 0)))
        assert quota.used > before
    assert quota.used == 0


async def test_nothing_holds_a_device_that_left(bench: Bench) -> None:
    async with bench.plain("d") as client:
        device = await known(bench)
        device.watch(TEMPERATURE, lambda _: None)
        await client.wait_for("observed")
        gone = weakref.ref(device.state)
        del device
    bench.events.clear()
    await eventually(lambda: gc.collect() >= 0 and gone() is None)
