"""Queue mode and Send: bytes in, exact bytes out (LwM2M TS 1.1.1 Transport, section 6.4)."""

from __future__ import annotations

import asyncio

import pytest

from custom_components.lwm2m.protocol.errors import (
    NotRegistered,
    PeerGone,
    RequestTimeout,
)
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.server.device import Device
from custom_components.lwm2m.server.errors import DeviceAsleepError
from custom_components.lwm2m.server.events import Notification, SendReceived
from tests.server.helpers import Bench, serving

from .peer import CON, CONTENT_FORMAT, URI_PATH, RawDevice, message, notification, observed, start, update

TEMPERATURE = Path((3303, 0, 5700))


# Queue mode


@pytest.fixture
async def sleeper(bench: Bench, device: RawDevice) -> Device:
    """A device in queue mode, awake because it has just registered."""
    await device.registered("ep=d&lt=3600&lwm2m=1.1&b=U&Q")
    return bench.server.devices["d"]


async def test_requests_wait_while_the_device_sleeps(bench: Bench, device: RawDevice, sleeper: Device) -> None:
    assert [sleeper.awake, sleeper.available] == [True, True]
    bench.clock.jump(94)
    assert [sleeper.awake, sleeper.available] == [False, True]
    reading = start(sleeper.read(TEMPERATURE))
    await device.silent()
    assert sleeper.registration is not None
    device.send(update(sleeper.registration.location))
    assert await device.receive() == b"\x61\x44\x00\x02u"
    request = await device.request()
    device.send(request.answer(0x45, b"20", 0))
    assert (await reading)[0].value == 20.0
    assert sleeper.awake


async def test_asleep_after_a_timeout(device: RawDevice, sleeper: Device) -> None:
    sleeper.context.settings.answer = 0.3
    reading = start(sleeper.read(TEMPERATURE))
    await device.receive()
    with pytest.raises(RequestTimeout):
        await reading
    assert not sleeper.awake


async def test_waiting_for_a_sleeper_ends(bench: Bench, sleeper: Device) -> None:
    bench.clock.jump(94)
    sleeper.context.settings.wait = 0.05
    with pytest.raises(DeviceAsleepError):
        await sleeper.read(TEMPERATURE)


async def test_a_notification_wakes(bench: Bench, device: RawDevice, sleeper: Device) -> None:
    sleeper.watch(TEMPERATURE, lambda _: None)
    observation = await observed(device)
    await bench.until(Notification)
    bench.clock.jump(94)
    reading = start(sleeper.read(Path((3, 0, 0))))
    await device.silent()
    device.send(notification(observation, 2, b"25"))
    request = await device.request()
    assert request.path == "/3/0/0"
    device.send(request.answer(0x45, b"n", 0))
    assert (await reading)[0].value == "n"


async def test_a_device_that_leaves_in_the_moment_of_waking(bench: Bench, sleeper: Device) -> None:
    bench.clock.jump(94)
    reading = start(sleeper.read(TEMPERATURE))
    await asyncio.sleep(0)
    sleeper.heard()
    assert sleeper.registration is not None
    bench.server.end(sleeper.registration)
    with pytest.raises(NotRegistered):
        await reading


# Send


def send(payload: bytes, content_format: int | None = 110, message_id: int = 5) -> bytes:
    options = [(URI_PATH, b"dp")]
    if content_format is not None:
        options.append((CONTENT_FORMAT, bytes((content_format,))))
    return message(CON, 2, message_id, b"s", options, payload)


async def test_send(bench: Bench, device: RawDevice, known: Device) -> None:
    calls: list[Path] = []
    known.state.add_watcher(TEMPERATURE, calls.append)
    records = b'[{"bn":"/3303/0/5700","t":-10,"v":1.5},{"v":2.5}]'
    assert await device.ask(send(records)) == b"\x61\x44\x00\x05s"
    event = await bench.until(SendReceived)
    assert [entry.value for entry in event.entries] == [1.5, 2.5]
    assert event.entries[0].time is not None
    assert event.entries[0].time > 1e9
    assert known.values[TEMPERATURE] == 2.5
    assert calls == [TEMPERATURE]


@pytest.mark.parametrize(
    ("payload", "content_format", "code"),
    [
        (b'[{"n":"/3303/0/5700","v":1}]', None, 0x80),
        (b"21.5", 0, 0x80),
        (b"[", 110, 0x80),
        (b"[]", 110, 0x80),
        (b"\xff", 112, 0x80),
        (b'[{"n":"/3303","v":1}]', 110, 0x80),
        (b'[{"n":"/3304/0/5700","v":1}]', 110, 0x84),
        (b'[{"n":"/3303/0/5700","v":1},{"n":"/3303/7/5700","v":1}]', 110, 0x84),
    ],
)
async def test_send_refused(
    bench: Bench, device: RawDevice, known: Device, payload: bytes, content_format: int | None, code: int
) -> None:
    answer = await device.ask(send(payload, content_format))
    assert answer[:5] == bytes((0x61, code, 0, 5)) + b"s"
    assert not known.values
    assert not bench.seen(SendReceived)


async def test_send_without_registration(device: RawDevice) -> None:
    assert (await device.ask(send(b'[{"n":"/3303/0/5700","v":1}]')))[:5] == b"\x61\x80\x00\x05s"


async def test_the_server_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with serving() as bench, RawDevice.to(bench.server.coap_port) as device:
        await device.registered()
        known = bench.server.devices["d"]
        known.watch(TEMPERATURE, lambda _: None)
        await observed(device)
        reading = start(known.read(TEMPERATURE))
        await device.request()
        await bench.server.stop()
        with pytest.raises(PeerGone):
            await reading
        assert asyncio.all_tasks() == before
        assert (known.available, bench.server.running) == (False, False)
