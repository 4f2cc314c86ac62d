"""Register, Update, Deregister: bytes in, exact answers out (LwM2M TS 1.1.1 Transport, section 6.4.3)."""

from __future__ import annotations

import pytest

from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.security.policy import Reason
from custom_components.lwm2m.server.events import Deregistered, Expired, RefusedEvent, Registered, Updated
from tests.server.helpers import Bench

from .peer import CON, CONTENT_FORMAT, NON, URI_PATH, URI_PORT, URI_QUERY, RawDevice, message, register, update


async def test_register_update_deregister(bench: Bench, device: RawDevice) -> None:
    location = await device.registered("ep=d&lt=60&lwm2m=1.1&b=U&mac=1a2b", b"</3/0>,</3303/0>;ver=1.1")
    registered = await bench.until(Registered)
    assert registered.new
    held = registered.device.registration
    assert held is not None
    assert (held.location, held.lwm2m, held.lifetime, held.binding, held.queue) == (location, "1.1", 60, "U", False)
    assert registered.device.objects == {Path((3, 0)): "1.1", Path((3303, 0)): "1.1"}
    assert held.attributes == {"mac": "1a2b"}
    assert registered.device.available

    assert await device.ask(update(location, "lt=120")) == b"\x61\x44\x00\x02u"
    assert not (await bench.until(Updated)).objects_changed
    assert held.lifetime == 120

    assert await device.ask(update(location, "", b"</3/0>", message_id=3)) == b"\x61\x44\x00\x03u"
    assert (await bench.until(Updated, count=2)).objects_changed
    assert registered.device.objects == {Path((3, 0)): "1.1"}

    assert await device.ask(update(location, "", b"</3/0>", message_id=4)) == b"\x61\x44\x00\x04u"
    assert not (await bench.until(Updated, count=3)).objects_changed

    assert await device.ask(update(location, code=4, message_id=5)) == b"\x61\x42\x00\x05u"
    assert (await bench.until(Deregistered)).device is registered.device
    assert (registered.device.available, registered.device.registration) == (False, None)
    assert "d" not in bench.server.devices
    assert await device.ask(update(location, message_id=6)) == b"\x61\x84\x00\x06u"
    assert await device.ask(update(location, code=4, message_id=7)) == b"\x61\x84\x00\x07u"


@pytest.mark.parametrize(
    ("query", "payload", "code"),
    [
        ("ep=d&lt=60&lwm2m=1.1", b"", 0x80),
        ("ep=d&lt=60&lwm2m=1.1", b"</>;rt=oma.lwm2m", 0x80),
        ("ep=d&lt=60&lwm2m=1.1", b"</3/0>,<", 0x80),
        ("ep=d&lt=60&lwm2m=1.1", b"\xff\xfe", 0x80),
        ("ep=d&lt=&lwm2m=1.1", b"</3/0>", 0x80),
        ("ep=d&lt=-1&lwm2m=1.1", b"</3/0>", 0x80),
        ("ep=d&lt=60&lwm2m=1.1&Q=x", b"</3/0>", 0x80),
        ("ep=d&lt=60&lwm2m=1", b"</3/0>", 0x80),
        ("ep=d&lt=60&lwm2m=x", b"</3/0>", 0x80),
        ("ep=d&lt=60&lwm2m=1.1&b=UQ", b"</3/0>", 0x80),
        ("ep=d&lt=60&lwm2m=1.0&b=X", b"</3/0>", 0x80),
        ("lt=60&lwm2m=1.1", b"</3/0>", 0x80),
        ("ep=&lt=60&lwm2m=1.1", b"</3/0>", 0x80),
        ("ep=d&lt=60&lwm2m=2.0", b"</3/0>", 0x8C),
        ("ep=d&lt=60&lwm2m=1.3", b"</3/0>", 0x8C),
    ],
)
async def test_register_refused(bench: Bench, device: RawDevice, query: str, payload: bytes, code: int) -> None:
    answer = await device.ask(register(query, payload))
    assert answer[:5] == bytes((0x61, code, 0, 1)) + b"r"
    assert answer[5:6] in (b"", b"\xff")
    assert len(bench.server.registrations) == 0
    assert not bench.events
    assert not bench.server.devices


async def test_register_must_be_confirmable(bench: Bench, device: RawDevice) -> None:
    answer = await device.ask(register("ep=d&lt=60&lwm2m=1.1", kind=NON))
    assert answer[:2] == b"\x51\x80"
    assert answer[4:6] == b"r\xff"
    assert not bench.server.devices


@pytest.mark.parametrize(
    ("query", "payload", "lwm2m", "lifetime", "binding", "queue", "objects"),
    [
        # Anjay: no root link; 1.0 quotes versions
        ("lwm2m=1.0&ep=d&lt=86400", b'</1/0>,</3/0>,</3303/0>;ver="1.1"', "1.0", 86400, "U", False, {"/3303/0": "1.1"}),
        (
            "lwm2m=1.1&ep=d&lt=60&b=U&Q",
            b"</3303>;ver=1.1,</3303/0>,</5>",
            "1.1",
            60,
            "U",
            True,
            {"/3303/0": "1.1", "/5": "1.0"},
        ),
        # Wakaama
        ("lwm2m=1.1&ep=d&b=U&lt=30", b'</>;rt="oma.lwm2m";ct=110,</3/0>', "1.1", 30, "U", False, {"/3/0": "1.1"}),
        # coap-node
        ("ep=d&lt=60&lwm2m=1.0.0&mac=00:11&ip=::1", b"</>;ct=11543;hb,</3/0>", "1.0", 60, "U", False, {"/3/0": "1.0"}),
        # LwM2M 1.0 in queue mode, without a version and without a lifetime
        ("ep=d&b=UQ", b"</3/0>", "1.0", 86400, "UQ", True, {"/3/0": "1.0"}),
        ("ep=d&lwm2m=1.2&b=U", b"</3/0>,</5/0>", "1.2", 86400, "U", False, {"/3/0": "1.2", "/5/0": "1.1"}),
        # "infinite"
        ("ep=d&lwm2m=1.1&lt=0", b"</3/0>", "1.1", 2**31 - 1, "U", False, {"/3/0": "1.1"}),
    ],
)
async def test_registers_as_clients_send_them(
    bench: Bench,
    device: RawDevice,
    query: str,
    payload: bytes,
    lwm2m: str,
    lifetime: int,
    binding: str,
    queue: bool,
    objects: dict[str, str],
) -> None:
    await device.registered(query, payload)
    registered = (await bench.until(Registered)).device
    held = registered.registration
    assert held is not None
    assert (held.lwm2m, held.lifetime, held.binding, held.queue) == (lwm2m, lifetime, binding, queue)
    assert objects.items() <= {str(path): version for path, version in registered.objects.items()}.items()


async def test_uri_port_is_tolerated(bench: Bench, device: RawDevice) -> None:
    options = [(URI_PORT, b"\x16\x34"), (URI_PATH, b"rd"), (CONTENT_FORMAT, b"\x28"), (URI_QUERY, b"ep=d")]
    answer = await device.ask(message(CON, 2, 1, b"r", options, b"</3/0>"))
    assert answer[:2] == b"\x61\x41"


async def test_a_repeated_datagram_registers_once(bench: Bench, device: RawDevice) -> None:
    first = await device.ask(register("ep=d&lt=60&lwm2m=1.1"))
    assert await device.ask(register("ep=d&lt=60&lwm2m=1.1")) == first
    assert len(bench.seen(Registered)) == 1


async def test_registering_again_replaces(bench: Bench, device: RawDevice) -> None:
    first = await device.registered()
    answer = await device.ask(register("ep=d&lt=30&lwm2m=1.1", message_id=9))
    assert answer[:-8] == b"\x61\x41\x00\x09r\x82rd\x08"
    second = answer[-8:].decode()
    assert second != first
    assert not (await bench.until(Registered, count=2)).new
    assert len(bench.server.registrations) == 1
    assert await device.ask(update(first, message_id=10)) == b"\x61\x84\x00\x0au"
    assert await device.ask(update(second, message_id=11)) == b"\x61\x44\x00\x0bu"
    assert not bench.seen(Deregistered)


async def test_another_address_is_another_peer_without_security(bench: Bench, device: RawDevice) -> None:
    location = await device.registered()
    async with RawDevice.to(bench.server.coap_port) as stranger:
        assert (await stranger.ask(update(location)))[:5] == b"\x61\x80\x00\x02u"
        assert (await stranger.ask(update(location, code=4, message_id=3)))[:5] == b"\x61\x80\x00\x03u"
    assert await device.ask(update(location, message_id=4)) == b"\x61\x44\x00\x04u"


async def test_lifetime_with_grace(bench: Bench, device: RawDevice) -> None:
    location = await device.registered("ep=d&lt=60&lwm2m=1.1")
    registered = (await bench.until(Registered)).device
    bench.clock.jump(61)
    bench.server.handle_timer()
    assert registered.available
    assert await device.ask(update(location)) == b"\x61\x44\x00\x02u"
    bench.clock.jump(71)
    bench.server.handle_timer()
    assert registered.available
    bench.clock.jump(2)
    bench.server.handle_timer()
    assert (await bench.until(Expired)).device is registered
    assert (registered.available, registered.registration) == (False, None)
    assert await device.ask(update(location, message_id=3)) == b"\x61\x84\x00\x03u"


async def test_an_update_may_shorten_the_lifetime(bench: Bench, device: RawDevice) -> None:
    location = await device.registered("ep=d&lt=86400&lwm2m=1.1")
    assert await device.ask(update(location, "lt=20")) == b"\x61\x44\x00\x02u"
    bench.clock.jump(26)
    bench.server.handle_timer()
    await bench.until(Expired)


async def test_update_carries_queue_binding_and_sms(bench: Bench, device: RawDevice) -> None:
    location = await device.registered("ep=d&lwm2m=1.0&b=U")
    assert await device.ask(update(location, "b=UQ&sms=491234")) == b"\x61\x44\x00\x02u"
    held = bench.server.devices["d"].registration
    assert held is not None
    assert (held.binding, held.queue, held.sms) == ("UQ", True, "491234")


@pytest.mark.parametrize("query", ["lt=", "lt=x", "b=ZZ", "Q=1"])
async def test_update_refused(bench: Bench, device: RawDevice, query: str) -> None:
    location = await device.registered()
    assert (await device.ask(update(location, query)))[:5] == b"\x61\x80\x00\x02u"
    assert not bench.seen(Updated)


@pytest.mark.parametrize(
    ("code", "path", "answer"),
    [
        (1, "rd", 0x85),
        (4, "rd", 0x85),
        (1, "rd/x", 0x85),
        (3, "rd/x", 0x85),
        (1, "dp", 0x85),
        (2, "bs", 0x84),
        (1, ".well-known/core", 0x84),
        (1, "", 0x84),
        (1, "rd/x/y", 0x84),
    ],
)
async def test_other_resources(device: RawDevice, code: int, path: str, answer: int) -> None:
    options = [(URI_PATH, part.encode()) for part in path.split("/") if part]
    assert await device.ask(message(CON, code, 7, b"t", options)) == bytes((0x61, answer, 0, 7)) + b"t"


async def test_nosec_takes_no_endpoint_that_has_a_credential(bench: Bench, device: RawDevice) -> None:
    bench.let_in("mine", "mine-id")
    assert await device.ask(register("ep=mine&lt=60&lwm2m=1.1")) == b"\x61\x83\x00\x01r"
    refused = await bench.until(RefusedEvent)
    assert refused.refusal.reason is Reason.ENDPOINT_MISMATCH
    assert refused.refusal.endpoint == "mine"
    assert refused.address[0] == "127.0.0.1"
    assert len(bench.server.registrations) == 0


async def test_registrations_are_capped(bench: Bench, device: RawDevice) -> None:
    bench.server.registrations.limit = 1
    await device.registered("ep=a&lt=60&lwm2m=1.1")
    assert await device.ask(register("ep=b&lt=60&lwm2m=1.1", message_id=2)) == b"\x61\xa3\x00\x02r"
    answer = await device.ask(register("ep=a&lt=60&lwm2m=1.1", message_id=3))
    assert answer[:2] == b"\x61\x41"


async def test_peers_without_security_share_a_quota(bench: Bench, device: RawDevice) -> None:
    quota = bench.server.context.unproven
    location = await device.registered("ep=a&lwm2m=1.1")
    assert quota.used > 0
    quota.limit = quota.used + 1000
    assert await device.ask(register("ep=b&lwm2m=1.1", message_id=2)) == b"\x61\xa3\x00\x02r"
    many = b",".join(b"</3303/%d>" % number for number in range(20))
    assert await device.ask(update(location, "", many, message_id=3)) == b"\x61\xa3\x00\x03u"
    assert await device.ask(update(location, "", b"</3/0>,</4/0>,</5/0>", message_id=4)) == b"\x61\x44\x00\x04u"
    assert await device.ask(update(location, code=4, message_id=5)) == b"\x61\x42\x00\x05u"
    assert quota.used == 0


async def test_a_new_credential_ends_a_registration_without_security(bench: Bench, device: RawDevice) -> None:
    location = await device.registered()
    bench.let_in("d", "d-id")
    assert (await bench.until(Expired)).device.endpoint == "d"
    assert await device.ask(update(location)) == b"\x61\x84\x00\x02u"
