"""A real Home Assistant core in this process: no web server, no onboarding, everything else as it is."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

from homeassistant import bootstrap, config_entries, core, loader, runner
from homeassistant.core_config import async_process_ha_core_config

import custom_components.lwm2m  # noqa: F401 - this package, not one of the same name elsewhere
from custom_components.lwm2m.const import DATA_HUB, DOMAIN, SERVER_UNIQUE_ID, device_unique_id
from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.hub import Hub
from custom_components.lwm2m.security.credential import Psk

from .generator import KEY, endpoint_of, identity_of

CORE = {
    "name": "Benchmark",
    "time_zone": "UTC",
    "elevation": 0,
    "latitude": 1.0,
    "longitude": 1.0,
    "unit_system": "metric",
    "country": "DE",
    "currency": "EUR",
}


@contextlib.asynccontextmanager
async def home_assistant() -> AsyncIterator[core.HomeAssistant]:
    """Home Assistant for the time of the context."""
    with tempfile.TemporaryDirectory(prefix="lwm2m-benchmark-") as folder:
        (Path(folder) / "configuration.yaml").touch()
        hass = core.HomeAssistant(folder)
        hass.config.skip_pip = True
        loader.async_setup(hass)
        hass.config_entries = config_entries.ConfigEntries(hass, {})
        await bootstrap.async_load_base_functionality(hass)
        await async_process_ha_core_config(hass, CORE)
        # The config flow's dependencies, which nobody uses here.
        hass.config.components.update({"http", "file_upload", "network"})
        cast("Any", hass).http = SimpleNamespace(register_view=lambda _view: None)
        hass.set_state(core.CoreState.running)
        try:
            yield hass
        finally:
            await hass.async_stop(force=True)


async def add_entry(hass: core.HomeAssistant, unique_id: str, data: dict[str, Any], options: dict[str, Any]) -> None:
    """Add and set up an entry of the integration."""
    entry = config_entries.ConfigEntry(
        domain=DOMAIN,
        data=data,
        options=options,
        unique_id=unique_id,
        title=unique_id,
        version=1,
        minor_version=1,
        source=config_entries.SOURCE_USER,
        discovery_keys=MappingProxyType({}),
        subentries_data=(),
    )
    await hass.config_entries.async_add(entry)
    if entry.state is not config_entries.ConfigEntryState.LOADED:
        raise RuntimeError(f"the entry {unique_id} is {entry.state}: {entry.reason}")


async def add_server(hass: core.HomeAssistant) -> Hub:
    """Add the server's entry, on a free port of loopback."""
    await add_entry(hass, SERVER_UNIQUE_ID, {}, {"ports": {"port": 0, "interface": "127.0.0.1"}})
    return hass.data[DATA_HUB]


async def add_devices(hass: core.HomeAssistant, count: int) -> None:
    """Add the entries of the generator's first devices."""
    for number in range(count):
        endpoint = endpoint_of(number)
        await add_entry(hass, device_unique_id(endpoint), device_data(endpoint, Psk(identity_of(number), KEY)), {})


def run[T](main: Coroutine[Any, Any, T]) -> T:
    """Run on a loop as Home Assistant makes it."""
    loop = runner.create_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
