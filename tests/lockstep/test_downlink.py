"""Requests to a device, observations and Send: bytes in, exact bytes out (LwM2M TS 1.1.1 Transport, section 6.4)."""

from __future__ import annotations

import asyncio

import cbor2
import pytest

from custom_components.lwm2m.coap.messages import Response
from custom_components.lwm2m.protocol.errors import (
    CodecError,
    LwM2MError,
    NotRegistered,
    PeerGone,
    RequestTimeout,
    ResponseError,
)
from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.server.device import Device
from custom_components.lwm2m.server.downlink import Downlink
from custom_components.lwm2m.server.events import Notification, Updated
from tests.server.helpers import Bench, eventually, serving

from .peer import (
    ACK,
    CON,
    NON,
    RST,
    URI_PATH,
    RawDevice,
    Received,
    content,
    message,
    notification,
    observed,
    register,
    start,
    update,
)

TEMPERATURE = Path((3303, 0, 5700))


async def test_read(device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    data = await device.receive()
    request = Received.parse(data)
    head = b"\x44\x01" + data[2:4] + request.token
    assert data == head + b"\xb4" + b"3303" + b"\x01" + b"0" + b"\x04" + b"5700" + b"\x61\x70"
    payload = cbor2.dumps([{-2: "/3303/0/5700", 2: 21.5}])
    device.send(request.answer(0x45, payload, 112))
    assert [(str(entry.path), entry.value) for entry in await reading] == [("/3303/0/5700", 21.5)]
    assert known.values == {TEMPERATURE: 21.5}


async def test_separate_response(device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    request = await device.request()
    device.send(message(ACK, 0, request.message_id))
    device.send(message(CON, 0x45, 0x1234, request.token, content(0), b"19.25"))
    assert await device.receive() == b"\x60\x00\x12\x34"
    assert (await reading)[0].value == 19.25


async def test_formats_are_learned(device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    accepts = []
    for code in (0x86, 0xA0, 0x8F):
        request = await device.request()
        accepts.append(request.accept)
        device.send(request.answer(code))
    request = await device.request()
    accepts.append(request.accept)
    device.send(request.answer(0x45, b"20.5", 0))
    assert (await reading)[0].value == 20.5
    assert accepts == [112, 110, 11542, 0]

    reading = start(known.read(Path((3, 0, 0))))
    request = await device.request()
    assert request.accept == 0
    device.send(request.answer(0xA0))
    with pytest.raises(ResponseError, match=r"5\.00"):
        await reading


async def test_an_answer_that_cannot_be_read_leads_to_the_next_format(device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    request = await device.request()
    device.send(request.answer(0x45, b"\xff\xff", 112))
    request = await device.request()
    assert request.accept == 110
    device.send(request.answer(0x45, b'[{"n":"/3303/0/5700","v":7}]', 110))
    assert (await reading)[0].value == 7.0


async def test_without_a_content_format(device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    for _ in range(5):
        device.send((await device.request()).answer(0x86))
    request = await device.request()
    assert request.accept is None
    device.send(request.answer(0x45, b"3.5"))
    assert (await reading)[0].value == 3.5


async def test_all_formats_refused(device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    for _ in range(6):
        device.send((await device.request()).answer(0x86))
    with pytest.raises(ResponseError, match=r"4\.06"):
        await reading


async def test_root_path(bench: Bench, device: RawDevice) -> None:
    await device.registered("ep=d&lwm2m=1.1", b'</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>,</lwm2m/3303/0>')
    known = bench.server.devices["d"]
    reading = start(known.read(TEMPERATURE))
    request = await device.request()
    assert request.path == "/lwm2m/3303/0/5700"
    device.send(request.answer(0x45, b'[{"n":"/lwm2m/3303/0/5700","v":7}]', 110))
    assert (await reading)[0] == (TEMPERATURE, 7.0, None)


async def test_timestamped_read(bench: Bench, device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    request = await device.request()
    records = b'[{"bn":"/3303/0/5700","t":-60,"v":1.5},{"v":2.5},{"t":1700000000,"v":3.5}]'
    device.send(request.answer(0x45, records, 110))
    entries = await reading
    assert [entry.value for entry in entries] == [3.5, 1.5, 2.5]
    assert known.values[TEMPERATURE] == 2.5
    assert entries[0].time == 1700000000
    now = bench.server.context.wall()
    assert entries[1].time is not None
    assert now - 120 < entries[1].time <= now - 60
    assert TEMPERATURE not in known.times


async def test_unacknowledged_request_times_out() -> None:
    async with serving(ack_timeout=0.05, answer=0.5) as bench, RawDevice.to(bench.server.coap_port) as device:
        await device.registered()
        known = bench.server.devices["d"]
        reading = start(known.read(TEMPERATURE))
        first = await device.receive()
        assert await device.receive() == first
        with pytest.raises(RequestTimeout):
            await reading
        assert known.available


async def test_acknowledged_but_unanswered_request_times_out(device: RawDevice, known: Device) -> None:
    known.context.settings.answer = 0.3
    reading = start(known.read(TEMPERATURE))
    request = await device.request()
    device.send(message(ACK, 0, request.message_id))
    with pytest.raises(RequestTimeout):
        await reading
    await device.silent()


async def test_reset_is_an_error(device: RawDevice, known: Device) -> None:
    reading = start(known.read(TEMPERATURE))
    request = await device.request()
    device.send(message(RST, 0, request.message_id))
    with pytest.raises((PeerGone, RequestTimeout, ResponseError)):
        await reading


async def test_one_request_at_a_time(device: RawDevice, known: Device) -> None:
    known.context.settings.answer = 5
    first, second = start(known.read(TEMPERATURE)), start(known.read(Path((3, 0, 0))))
    request = await device.request()
    assert request.path == "/3303/0/5700"
    await device.silent()
    device.send(request.answer(0x45, b"1", 0))
    request = await device.request()
    assert request.path == "/3/0/0"
    device.send(request.answer(0x45, b"n", 0))
    await asyncio.gather(first, second)


async def test_deregistration_ends_requests(bench: Bench, device: RawDevice, known: Device) -> None:
    sent, waiting = start(known.read(TEMPERATURE)), start(known.read(Path((3, 0, 0))))
    await device.request()
    registration = known.registration
    assert registration is not None
    assert await device.ask(update(registration.location, code=4)) == b"\x61\x42\x00\x02u"
    for task in (sent, waiting):
        with pytest.raises(PeerGone):
            await task
    with pytest.raises(NotRegistered):
        await known.read(TEMPERATURE)
    await device.silent()


async def test_a_cancelled_request_gives_its_turn_back(device: RawDevice, known: Device) -> None:
    sent, waiting, last = (start(known.read(path)) for path in (TEMPERATURE, TEMPERATURE, Path((3, 0, 0))))
    await device.request()
    waiting.cancel()
    sent.cancel()
    request = await device.request()
    assert request.path == "/3/0/0"
    device.send(request.answer(0x45, b"n", 0))
    assert (await last)[0].value == "n"


# Observations


async def test_an_observation_never_overtakes_the_registration(bench: Bench, device: RawDevice) -> None:
    bench.server.device("d").watch(TEMPERATURE, lambda _: None)
    device.send(register("ep=d&lt=60&lwm2m=1.1"))
    assert (await device.receive())[:2] == b"\x61\x41"
    await observed(device)
    device.send(register("ep=d&lt=60&lwm2m=1.1", message_id=2))
    assert (await device.receive())[:2] == b"\x61\x41"
    await observed(device)


async def test_watchers_are_called_for_changes_only(bench: Bench, device: RawDevice, known: Device) -> None:
    calls: list[tuple[str, object]] = []
    known.watch(TEMPERATURE, lambda path: calls.append((str(path), known.values[path])))
    request = await observed(device)
    await bench.until(Notification)
    device.send(notification(request, 2, b"21"))
    device.send(notification(request, 3, b"21"))
    device.send(notification(request, 4, b"22.5", kind=CON))
    assert await device.receive() == b"\x60\x00\x70\x04"
    await bench.until(Notification, count=4)
    assert calls == [("/3303/0/5700", 20.0), ("/3303/0/5700", 21.0), ("/3303/0/5700", 22.5)]


async def test_a_notification_that_cannot_be_read_is_passed_over(
    bench: Bench, device: RawDevice, known: Device
) -> None:
    known.watch(TEMPERATURE, lambda _: None)
    request = await observed(device)
    await bench.until(Notification)
    for sequence, payload in enumerate((b"warm", b"\xff", b"", b"hot"), 2):
        device.send(notification(request, sequence, payload))
    device.send(notification(request, 9, b"\x00", content_format=9999))
    device.send(notification(request, 10, b"23"))
    await bench.until(Notification, lambda event: event.entries[0].value == 23.0)
    assert known.values == {TEMPERATURE: 23.0}


async def test_a_notification_without_content_format_is_what_was_asked_for(
    bench: Bench, device: RawDevice, known: Device
) -> None:
    known.watch(TEMPERATURE, lambda _: None)
    request = await device.request()
    assert request.accept == 112
    device.send(request.answer(0x45, cbor2.dumps([{-2: "/3303/0/5700", 2: 1.5}]), None, observe=1))
    await bench.until(Notification)
    device.send(notification(request, 2, cbor2.dumps([{-2: "/3303/0/5700", 2: 2.5}]), content_format=None))
    await bench.until(Notification, count=2)
    assert known.values[TEMPERATURE] == 2.5


async def test_timestamped_notification(bench: Bench, device: RawDevice, known: Device) -> None:
    known.watch(TEMPERATURE, lambda _: None)
    request = await observed(device)
    await bench.until(Notification)
    device.send(notification(request, 2, b'[{"n":"/3303/0/5700","t":-5,"v":1.5}]', content_format=110))
    event = await bench.until(Notification, count=2)
    assert event.entries[0].time is not None
    now = bench.server.context.wall()
    assert now - 60 < event.entries[0].time <= now - 5
    assert known.times[TEMPERATURE] == event.entries[0].time
    device.send(notification(request, 3, b"2", content_format=0))
    await bench.until(Notification, count=3)
    assert TEMPERATURE not in known.times


async def test_an_error_notification_ends_the_observation(bench: Bench, device: RawDevice, known: Device) -> None:
    known.watch(TEMPERATURE, lambda _: None)
    request = await observed(device)
    await bench.until(Notification)
    device.send(message(CON, 0x84, 0x7777, request.token))
    assert await device.receive() == b"\x60\x00\x77\x77"
    assert known.registration is not None
    assert await device.ask(update(known.registration.location)) == b"\x61\x44\x00\x02u"
    again = await device.request()
    assert (again.path, again.options[0]) == ("/3303/0/5700", (6, b""))
    device.send(again.answer(0x84))
    await bench.until(Updated)
    assert await device.ask(update(known.registration.location, message_id=3)) == b"\x61\x44\x00\x03u"
    await device.silent()


async def test_a_refused_observation_is_read_after_registration_and_updates(
    bench: Bench, device: RawDevice, known: Device
) -> None:
    calls: list[Path] = []
    known.watch(TEMPERATURE, calls.append)
    request = await device.request()
    device.send(request.answer(0x85))
    request = await device.request()
    assert (request.path, request.options[0][0]) == ("/3303/0/5700", URI_PATH)
    device.send(request.answer(0x45, b"20", 0))
    await eventually(lambda: known.values.get(TEMPERATURE) == 20.0)
    assert known.registration is not None
    assert await device.ask(update(known.registration.location)) == b"\x61\x44\x00\x02u"
    request = await device.request()
    assert request.options[0][0] == URI_PATH
    device.send(request.answer(0x45, b"21", 0))
    await eventually(lambda: len(calls) == 2)
    assert known.values[TEMPERATURE] == 21.0


async def test_an_answer_without_observing_counts_as_read(device: RawDevice, known: Device) -> None:
    known.watch(TEMPERATURE, lambda _: None)
    request = await device.request()
    device.send(request.answer(0x45, b"20", 0))
    await eventually(lambda: TEMPERATURE in known.values)
    await device.silent()
    assert known.registration is not None
    device.send(update(known.registration.location))
    assert await device.receive() == b"\x61\x44\x00\x02u"
    request = await device.request()
    assert request.options[0][0] == URI_PATH


async def test_a_device_that_ends_every_observation_is_not_asked_for_ever(
    bench: Bench, device: RawDevice, known: Device
) -> None:
    known.watch(TEMPERATURE, lambda _: None)
    for attempt in range(3):
        request = await observed(device)
        await bench.until(Notification, count=attempt + 1)
        device.send(message(NON, 0xA3, 0x7000 + attempt, request.token))
        await device.silent()
        known.heard()
    await device.silent()
    assert known.registration is not None
    device.send(update(known.registration.location))
    assert await device.receive() == b"\x61\x44\x00\x02u"
    await observed(device)


async def test_an_observation_that_went_unanswered_is_tried_at_the_next_contact(
    bench: Bench, device: RawDevice, known: Device
) -> None:
    known.context.settings.answer = 0.3
    known.watch(TEMPERATURE, lambda _: None)
    first = await device.request()
    await eventually(lambda: known.observations.needs_sync)
    known.context.settings.answer = None
    assert known.registration is not None
    device.send(update(known.registration.location))
    assert await device.receive() == b"\x61\x44\x00\x02u"
    request = await device.request()
    assert request.token != first.token
    device.send(request.answer(0x45, b"20", 0, observe=1))
    await bench.until(Notification)


async def test_the_answer_to_an_observe_never_overwrites_what_is_newer(
    bench: Bench, device: RawDevice, known: Device
) -> None:
    relation = known.observations.want(TEMPERATURE)
    negotiate = known.downlink.negotiate

    async def slow(*arguments: object) -> object:
        answer = await negotiate(*arguments)  # type: ignore[arg-type]
        relation.notified(Response(0x45, b"21", 0, (), 2))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Downlink, "negotiate", lambda _, *arguments: slow(*arguments))
        known.watch(TEMPERATURE, lambda _: None)
        await observed(device)
        await bench.until(Notification)
    assert known.values[TEMPERATURE] == 21.0
    assert [event.entries[0].value for event in bench.seen(Notification)] == [21.0]


async def test_observing_what_the_device_only_answers(device: RawDevice, known: Device) -> None:
    observing = start(known.observe(TEMPERATURE))
    request = await device.request()
    device.send(request.answer(0x45, b"20", 0))
    with pytest.raises(LwM2MError, match="does not observe"):
        await observing
    assert len(known.observations) == 0
    assert known.values[TEMPERATURE] == 20.0


async def test_an_observation_whose_answer_cannot_be_read_is_given_up(device: RawDevice, known: Device) -> None:
    known.watch(TEMPERATURE, lambda _: None)
    for sequence in range(6):
        request = await device.request()
        assert request.options[0] == (6, b"")
        device.send(request.answer(0x45, b"\xff", 9999, observe=sequence + 1))
    await device.silent()
    assert known.registration is not None
    assert await device.ask(update(known.registration.location)) == b"\x61\x44\x00\x02u"
    await device.silent()


async def test_only_registered_instances_are_observed(bench: Bench, device: RawDevice, known: Device) -> None:
    known.watch(Path((3304, 0, 5700)), lambda _: None)
    await device.silent()
    assert known.registration is not None
    device.send(update(known.registration.location, "", b"</3/0>,</3303/0>,</3304/0>"))
    assert await device.receive() == b"\x61\x44\x00\x02u"
    assert (await observed(device)).path == "/3304/0/5700"
    await bench.until(Notification)
    assert Path((3304, 0, 5700)) in known.values
    device.send(update(known.registration.location, "", b"</3/0>", message_id=3))
    assert await device.receive() == b"\x61\x44\x00\x03u"
    await bench.until(Updated, count=2)
    assert not known.values


async def test_create_without_a_location(device: RawDevice, known: Device) -> None:
    entries = [Entry(TEMPERATURE, 1.5)]
    creating = start(known.create(Path((3303,)), entries))
    request = await device.request()
    assert (request.path, request.payload) == ("/3303", b"\xe4\x16\x44\x3f\xc0\0\0")
    device.send(request.answer(0x41))
    with pytest.raises(CodecError, match="which instance"):
        await creating
    creating = start(known.create(Path((3303,)), entries, 4))
    request = await device.request()
    (record,) = cbor2.loads(request.payload)
    assert (record.get(-2, "") + record.get(0, ""), record[2]) == ("/3303/4/5700", 1.5)
    device.send(request.answer(0x41))
    assert await creating == Path((3303, 4))
