"""Home: a Home Assistant with files of its own, from its start to its end, so that a test can have one after the other.

What the test plugin keeps in memory (registries, entries, stores) is written and read here as in a real installation.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homeassistant import loader
from homeassistant.bootstrap import DATA_REGISTRIES_LOADED
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState
from homeassistant.helpers import (
    area_registry as ar,
    category_registry as cr,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    frame,
    issue_registry as ir,
    label_registry as lr,
    translation,
)
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_test_home_assistant

from custom_components.lwm2m.const import DOMAIN, device_unique_id
from custom_components.lwm2m.entry_data import device_data, server_entry
from custom_components.lwm2m.security.credential import Psk
from tests.simulator import DeviceModel, Settings, SimulatedClient
from tests.simulator.devices import DEVICES
from tests.simulator.returning import ReturningClient

from .house import KEY, House


def free_port() -> int:
    """Return a UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Home(House):
    """One life of a Home Assistant; entries are its own and outlive it."""

    async def add(self, entry: MockConfigEntry) -> ConfigEntry:
        """Add an entry as a flow does."""
        added: ConfigEntry = entry
        await self.hass.config_entries.async_add(added)
        await self.hass.async_block_till_done()
        return added

    async def add_server_at(self, port: int) -> ConfigEntry:
        """Add the server, to listen on loopback."""
        options = {"ports": {"port": port, "interface": "127.0.0.1"}}
        return await self.add(MockConfigEntry(domain=DOMAIN, unique_id="server", title="LwM2M server", options=options))

    async def add_endpoint(self, endpoint: str) -> ConfigEntry:
        """Add a device, whose identity is its endpoint name."""
        data = device_data(endpoint, Psk(endpoint.encode(), KEY))
        return await self.add(
            MockConfigEntry(domain=DOMAIN, unique_id=device_unique_id(endpoint), title=endpoint, data=data)
        )

    def entry(self, endpoint: str | None = None) -> ConfigEntry:
        """Return the entry of a device, or of the server."""
        if endpoint is None:
            found = server_entry(self.hass)
        else:
            found = self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, device_unique_id(endpoint))
        assert found is not None
        return found

    def entities(self) -> list[er.RegistryEntry]:
        """Return the registry's entities of this integration, in order."""
        registry = er.async_get(self.hass)
        found = [entity for entity in registry.entities.values() if entity.platform == DOMAIN]
        return sorted(found, key=lambda entity: entity.unique_id)

    def issues(self) -> dict[str, ir.IssueEntry]:
        """Return the open repair issues, by id."""
        issues = ir.async_get(self.hass).issues.values()
        return {issue.issue_id: issue for issue in issues if issue.active}

    async def idle(self) -> None:
        """Wait until nothing is going on, in the background either."""
        await self.hass.async_block_till_done(wait_background_tasks=True)


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[Home]:
    """Start a Home Assistant over the files in a folder, with its entries set up; stop it at the end."""
    async with async_test_home_assistant(
        load_registries=False, config_dir=str(folder), initial_state=CoreState.not_running
    ) as hass:
        hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
        translation.async_setup(hass)
        frame.async_setup(hass)
        dr.async_setup(hass)
        for registry in (ar, cr, dr, er, fr, ir, lr):
            await registry.async_load(hass)
        hass.data[DATA_REGISTRIES_LOADED] = None
        await hass.config_entries.async_initialize()
        try:
            assert await async_setup_component(hass, DOMAIN, {})
            await hass.async_block_till_done()
            hass.set_state(CoreState.running)
            hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
            await hass.async_block_till_done()
            yield Home(hass)
        finally:
            await hass.async_stop(force=True)


def climate(index: int = 1) -> DeviceModel:
    """What a climate sensor has."""
    return DEVICES["sensor"](index).model


@asynccontextmanager
async def living(*devices: SimulatedClient) -> AsyncIterator[None]:
    """Devices that call, and are gone at the end without a word."""
    try:
        for device in devices:
            await device.start()
        yield
    finally:
        for device in devices:
            await device.vanish()
            await device.stop()


async def settled(here: Home, *endpoints: str) -> None:
    """Wait until these devices are there and were asked for all that they have."""
    await here.until(lambda: all(here.hub.server.devices[endpoint].available for endpoint in endpoints))
    await here.until(lambda: all(not here.hub.runtimes[endpoint]._missing() for endpoint in endpoints))
    await here.idle()


def native_values(here: Home) -> dict[str, Any]:
    """What the sensors hold, be they available or not, by unique id."""
    return {
        str(entity.unique_id): getattr(entity, "native_value", None)
        for platform in async_get_platforms(here.hass, DOMAIN)
        if platform.domain == "sensor"
        for entity in platform.entities.values()
        if "#" not in str(entity.unique_id)
    }


def about(entities: list[er.RegistryEntry]) -> list[tuple[Any, ...]]:
    """What must not change of these entities."""
    return [
        (
            entity.id,
            entity.entity_id,
            entity.unique_id,
            entity.name,
            entity.original_name,
            entity.device_id,
            entity.disabled_by,
        )
        for entity in entities
    ]


def make_device(
    port: int, endpoint: str, model: DeviceModel, *, returns: bool = False, **options: Any
) -> SimulatedClient:
    """Make a device; one that `returns` goes on with an Update after it has lost the server."""
    settings = Settings(
        server=f"coaps://127.0.0.1:{port}",
        endpoint=endpoint,
        identity=endpoint,
        key=KEY,
        **{"retry": 0.1, "handshake_timeout": 0.5, "time_scale": 0.5, "seed": 1, **options},
    )
    return (ReturningClient if returns else SimulatedClient)(settings, model)
