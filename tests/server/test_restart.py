"""Devices that go on where they were, after a restart of the server."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from custom_components.lwm2m.protocol.errors import PeerGone
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import DataType
from custom_components.lwm2m.security.credential import Psk, RawPublicKey
from custom_components.lwm2m.security.identity import PublicKeyIdentity
from custom_components.lwm2m.server import observations, records
from custom_components.lwm2m.server.device import Device
from custom_components.lwm2m.server.errors import DeviceAsleepError
from custom_components.lwm2m.server.events import Deregistered, Expired, Registered, SendReceived, Updated
from custom_components.lwm2m.server.records import make_record
from tests.simulator.client import Settings, SimulatedClient
from tests.simulator.coap import Code

from .helpers import KEY, Bench, eventually, serving, thermometer
from .shelf import Shelf, broken, known, restarted, returning, stop_and_save

TEMPERATURE = Path((3303, 0, 5700))


def is_available(device: Device) -> bool:
    return device.available


def is_registered(device: Device) -> bool:
    return device.registration is not None


def is_awake(device: Device) -> bool:
    return device.awake


async def test_a_device_goes_on_with_an_update_alone(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        before = bench.server.devices["d"]
        assert before.registration is not None
        location = before.registration.location
        await client.send("/3303/0/5700", times={(3303, 0, 5700): 1_700_000_000.0})
        port = await stop_and_save(bench, shelf)
        assert not before.available

        async with restarted(shelf, port) as again:
            device = again.server.devices["d"]
            assert not device.available
            assert device.objects == before.objects
            assert device.values == before.values
            assert device.times == {TEMPERATURE: 1_700_000_000.0}
            assert device.surveyed == {Path((3, 0)), Path((3303, 0))}
            assert device.security == before.security
            assert device.security is not None
            assert device.security.since == pytest.approx(time.time(), abs=60)
            assert device.definitions.type(TEMPERATURE) is DataType.FLOAT
            assert device.last_contact == pytest.approx(before.last_contact, abs=2.0)
            assert device.downlink.formats.learned == before.downlink.formats.learned
            assert device.registration is not None
            assert device.registration.location == location
            assert device.registration.lifetime == 60

            changes: list[Path] = []
            seen: list[bool] = []
            device.watch(TEMPERATURE, changes.append)
            device.on_availability(lambda: seen.append(device.available))
            await again.until(Updated)
            assert seen == [True]
            assert not again.seen(Registered)
            assert client.location == ("rd", location)
            await client.wait_for("observed", path=["/3303/0/5700"])
            assert changes == []
            client.set("/3303/0/5700", 30.0)
            await eventually(lambda: changes == [TEMPERATURE])
            assert device.values[TEMPERATURE] == 30.0
            await client.leave()
            await again.until(Deregistered)


async def test_a_device_registers_anew(bench: Bench) -> None:
    shelf = Shelf()
    async with bench.secure("d", "id-d") as client:
        await known(bench)
        port = await stop_and_save(bench, shelf)
        async with restarted(shelf, port) as again:
            assert (await again.until(Registered)).new is False
            device = again.server.devices["d"]
            assert device.available
            assert device.surveyed == {Path((3, 0)), Path((3303, 0))}
            assert len(again.server.registrations) == 1
            await client.leave()


async def test_a_device_with_other_objects(bench: Bench) -> None:
    shelf = Shelf()
    client = returning(bench)
    async with client:
        await known(bench)
        port = await stop_and_save(bench, shelf)
        client.model.objects[3304] = {0: dict(client.model.objects[3303][0])}
        del client.model.objects[3303]
        client.model.versions[3] = "1.2"
        client._objects_changed = True
        async with restarted(shelf, port) as again:
            device = again.server.devices["d"]
            await again.until(Updated, lambda event: event.objects_changed)
            assert Path((3304, 0)) in device.objects
            assert TEMPERATURE not in device.values
            # Another version may have other resources: what was read of it says nothing any more.
            assert device.surveyed == set()
            assert device.values[Path((3, 0, 0))] == "Nordfeld"
            await client.leave()


async def test_the_same_server_stops_and_starts(bench: Bench) -> None:
    async with returning(bench) as client:
        await known(bench)
        device = bench.server.devices["d"]
        port = bench.server.coaps_port
        await bench.server.stop()
        assert not is_available(device)
        assert device.registration is not None
        with pytest.raises(PeerGone):
            await device.read(TEMPERATURE)
        await bench.server.start("127.0.0.1", coaps_port=port, coap_port=0)
        await bench.until(Updated)
        assert is_available(device)
        assert len(bench.seen(Registered)) == 1
        await client.wait_for("updated")


async def test_two_associations_of_one_identity_end_with_the_server(bench: Bench) -> None:
    """The registration must not be handed from one closing association to the other."""
    async with returning(bench) as client:
        await known(bench)
        other = SimulatedClient(
            Settings(server=f"coaps://127.0.0.1:{bench.server.coaps_port}", endpoint="x", identity="id-d", key=KEY),
            thermometer(),
        )
        await other.start()
        await other.wait_for("register_failed", code="4.03")
        await bench.server.stop()
        assert bench.server.devices["d"].observations._timer is None
        await other.stop()
        await client.vanish()


async def test_only_who_has_proven_the_identity_goes_on(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        port = await stop_and_save(bench, shelf)
        location = client.kept
    async with restarted(shelf, port) as again:
        again.let_in("e", "id-e")
        thief = returning(again, "e")
        thief.kept = location
        async with thief:
            await thief.wait_for("update_failed", code="4.00")
            await again.until(Registered, lambda event: event.device.endpoint == "e")
            assert not again.server.devices["d"].available
        # nor over an association that proves nothing, whatever its address
        plain = again.plain("d")
        await plain.start()
        await plain.wait_for("register_failed", code="4.03")
        await plain.stop()


async def test_a_send_brings_a_device_back(bench: Bench) -> None:
    shelf = Shelf()
    client = returning(bench)
    async with client:
        await known(bench)
        port = await stop_and_save(bench, shelf)

        async def quiet() -> None:
            client.location = client.kept

        client._register = quiet  # type: ignore[method-assign]
        async with restarted(shelf, port) as again:
            await client.wait_for("connected", count=2)
            device = again.server.devices["d"]
            assert not is_available(device)
            await client.send("/3303/0/5700")
            await again.until(SendReceived)
            assert is_available(device)
            await client.leave()


async def test_an_answer_brings_a_device_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a new association and says nothing; so it is asked, and answers."""
    monkeypatch.setattr(observations, "MOVED_DELAY", 0.01)
    shelf = Shelf()
    client = returning(bench)
    async with client:
        await known(bench)
        port = await stop_and_save(bench, shelf)

        async def quiet() -> None:
            client.location = client.kept
            client.observer.messaging = client._session_messaging()

        client._register = quiet  # type: ignore[method-assign]
        async with restarted(shelf, port) as again:
            device = again.server.devices["d"]
            device.watch(TEMPERATURE, lambda path: None)
            await eventually(lambda: device.available)
            await client.wait_for("observed", path=["/3303/0/5700"])
            await client.leave()


async def test_a_command_waits_for_a_sleeping_device(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench, queue=True) as client:
        await known(bench)
        await client.vanish()
        port = await stop_and_save(bench, shelf)
        async with restarted(shelf, port) as again:
            device = again.server.devices["d"]
            assert not device.awake
            again.server.context.settings.wait = 0.01
            with pytest.raises(DeviceAsleepError):
                await device.write(Path((3303, 0, 5750)), "Attic")
            again.server.context.settings.wait = 10.0
            write = asyncio.ensure_future(device.write(Path((3303, 0, 5750)), "Attic"))
            await client.start()
            await write
            assert client.get("/3303/0/5750") == "Attic"
            await client.leave()


async def test_a_registration_that_ran_out_meanwhile(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        port = await stop_and_save(bench, shelf)
        async with restarted(shelf, port, jump=3600.0) as again:
            device = again.server.devices["d"]
            assert device.registration is None
            assert device.values[TEMPERATURE] == 21.5
            await client.start()
            assert (await again.until(Registered)).new is True
            assert client.seen("update_failed", code="4.04")
            assert device.downlink.formats.knows_read(2)
            await client.leave()


async def test_a_registration_runs_out_after_the_restart(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        port = await stop_and_save(bench, shelf)
        async with restarted(shelf, port) as again:
            device = again.server.devices["d"]
            assert is_registered(device)
            again.clock.jump(80.0)
            again.server.handle_timer()
            await again.until(Expired)
            assert not is_registered(device)
            assert device.values[TEMPERATURE] == 21.5


async def test_a_clock_that_went_back_makes_no_registration_longer(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        port = await stop_and_save(bench, shelf)
        async with restarted(shelf, port, jump=-1e6) as again:
            device = again.server.devices["d"]
            assert device.registration is not None
            assert device.registration.expires_at <= again.clock() + 60
            assert device.last_contact == pytest.approx(again.server.context.wall(), abs=5.0)


@pytest.mark.parametrize("why", ["no credential", "another identity", "taken", "full", "not new"])
async def test_a_registration_that_cannot_go_on(bench: Bench, why: str) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        await stop_and_save(bench, shelf)
    again = Bench()
    again.let_in("d", "id-d")
    kept = shelf.store(again.server)
    await kept.load()
    match why:
        case "no credential":
            again.server.authorizer.remove_credential("d")
        case "another identity":
            again.let_in("d", "other")
        case "taken":
            again.let_in("e", "id-e")
            kept.restore("d")
            record = json.loads(json.dumps(shelf.devices["d"]))
            record["security"]["identity"]["psk"] = b"id-e".hex()
            records.apply_record(record, again.server, again.server.device("e"))
            assert again.server.devices["e"].registration is None
            return
        case "full":
            again.server.registrations.limit = 0
        case "not new":
            again.server.device("d")
    device = kept.restore("d")
    assert device.registration is None
    assert bool(device.values) is (why != "not new")
    await kept.flush()


async def test_a_removed_credential_ends_what_was_restored(bench: Bench) -> None:
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        port = await stop_and_save(bench, shelf)
    async with restarted(shelf, port) as again:
        device = again.server.devices["d"]
        assert is_registered(device)
        again.server.authorizer.remove_credential("d")
        assert not is_registered(device)
        assert not again.server.registrations


async def test_who_proves_nothing_has_no_registration_after_a_stop(bench: Bench) -> None:
    shelf = Shelf()
    bench.server.device("d")
    async with bench.plain("d") as client:
        await bench.until(Registered)
        record = make_record(bench.server.devices["d"])
        assert record["registration"] is None
        assert record["security"] == {"suite": None, "identity": None, "group": None, "since": None}
        await client.vanish()
        await stop_and_save(bench, shelf)
        assert bench.server.devices["d"].registration is None
        assert bench.server.devices["d"].objects


async def test_a_device_that_nobody_expects_is_not_kept(bench: Bench) -> None:
    shelf = Shelf()
    bench.let_in("d", "id-d")
    async with returning(bench) as client:
        await bench.until(Registered)
        await client.vanish()
        await stop_and_save(bench, shelf)
    assert shelf.text is None
    assert bench.server.devices == {}


async def test_what_was_missed_is_still_the_last_contact(bench: Bench) -> None:
    """A queue mode device that does not answer sleeps; that does not make it one that was never heard."""
    async with returning(bench, queue=True):
        await known(bench)
        device = bench.server.devices["d"]
        assert is_awake(device)
        device.unheard()
        assert not is_awake(device)
        assert device.last_contact is not None
        device.heard()
        assert device.awake


async def test_a_public_key_on_file(bench: Bench) -> None:
    """A registration goes on whatever kind of credential its identity belongs to."""
    record = broken(security__identity={"public_key": "3059"})
    record["registration"]["expires_at"] = 4e9
    bench.server.authorizer.set_credential("d", RawPublicKey(b"\x30\x59"))
    device = bench.server.device("d")
    records.apply_record(record, bench.server, device)
    assert device.registration is not None
    assert device.registration.owner == PublicKeyIdentity(b"\x30\x59")
    bench.server.authorizer.set_credential("d", Psk(b"id-d", KEY))
    assert device.registration is None


async def test_forbidden_is_what_it_says(bench: Bench) -> None:
    """What a restored registration cannot do for another: register under its name."""
    shelf = Shelf()
    async with returning(bench) as client:
        await known(bench)
        await client.vanish()
        port = await stop_and_save(bench, shelf)
    async with restarted(shelf, port) as again:
        again.let_in("e", "id-e")
        other = again.secure("d", "id-e")
        await other.start()
        event = await other.wait_for("register_failed")
        assert event.fields["code"] == f"{Code.FORBIDDEN >> 5}.{Code.FORBIDDEN & 31:02}"
        await other.stop()


async def test_serving_again_and_again() -> None:
    """A stop without a device leaves nothing."""
    async with serving() as bench:
        await bench.server.stop()
