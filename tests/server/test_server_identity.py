"""The server's identity, before it starts, while it runs and while it is stopped, by devices that know one of two."""

from pathlib import Path

import pytest

from custom_components.lwm2m.security.credential import RawPublicKey
from custom_components.lwm2m.security.policy import Reason
from custom_components.lwm2m.security.server_identity import ServerIdentity
from custom_components.lwm2m.server.events import Expired, RefusedEvent, Registered, Updated
from tests.device_keys import DeviceKey, make_key
from tests.simulator.client import SimulatedClient

from .helpers import Bench

OLD, NEW = ServerIdentity.generate(), ServerIdentity.generate(["server.local"])
NAMES = ("one", "two")


@pytest.fixture
def keys(bench: Bench, tmp_path: Path) -> dict[str, DeviceKey]:
    """Keys of two devices that are let in."""
    found = {name: make_key(tmp_path, name) for name in NAMES}
    for name, key in found.items():
        bench.server.authorizer.set_credential(name, RawPublicKey(key.public_der()))
        bench.server.device(name)
    return found


def device(bench: Bench, key: DeviceKey, server: ServerIdentity) -> SimulatedClient:
    """A device that trusts this server alone."""
    uri = f"coaps://127.0.0.1:{bench.server.coaps_port}"
    return bench.make(uri, key.name, None, private_key=key.private_key, server_key=server.public_key)


async def test_another_one_while_it_runs(bench: Bench, keys: dict[str, DeviceKey]) -> None:
    bench.server.set_server_identity(OLD)
    assert bench.server.server_identity is OLD
    async with device(bench, keys["one"], OLD) as one:
        await bench.until(Registered)
        port = bench.server.coaps_port
        bench.server.set_server_identity(NEW)
        assert bench.server.server_identity is NEW
        assert bench.server.coaps_port == port
        async with device(bench, keys["two"], NEW):
            await bench.until(Registered, lambda event: event.device.endpoint == "two")
            one.update()
            await bench.until(Updated)
            assert all(bench.server.device(name).available for name in NAMES)
            assert not bench.seen(Expired)
            assert not bench.seen(RefusedEvent)
        async with device(bench, keys["two"], OLD):
            refused = await bench.until(RefusedEvent)
            assert refused.refusal.reason is Reason.REJECTED_BY_DEVICE
            bench.server.set_server_identity(OLD)
            await bench.until(Registered, lambda event: event.device.endpoint == "two", count=2)


async def test_one_that_is_set_while_it_is_stopped(bench: Bench, keys: dict[str, DeviceKey]) -> None:
    for identity in (NEW, OLD):
        await bench.server.stop()
        bench.server.set_server_identity(identity)
        await bench.server.start("127.0.0.1", coaps_port=0)
        bench.events.clear()
        async with device(bench, keys["one"], identity):
            await bench.until(Registered)
            assert not bench.seen(RefusedEvent)


async def test_without_one_it_makes_its_own(bench: Bench, keys: dict[str, DeviceKey]) -> None:
    assert bench.server.server_identity is None
    async with device(bench, keys["one"], OLD):
        assert (await bench.until(RefusedEvent)).refusal.reason is Reason.REJECTED_BY_DEVICE
