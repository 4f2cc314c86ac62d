"""LwM2M: Home Assistant as the LwM2M server of devices.

One entry for the server, one for each device (hub.py says how they hang together). Everything in this folder's own
modules is glue between Home Assistant and the layers in the folders below, and nothing imports it.
"""

import asyncio
import logging

from homeassistant.config_entries import ConfigEntry, signal_discovered_config_entry_removed
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.typing import ConfigType

from . import discovery, issues
from .const import CONF_ENDPOINT, DATA_HUB, DOMAIN
from .device_runtime import LwM2MConfigEntry
from .dtls.endpoint import EngineUnavailableError
from .entry_data import authorities_of, device_entries, is_server, listen_of, policy_of, server_entry
from .hub import Hub
from .mapping.descriptions import PLATFORMS
from .protocol.objects.registry import Registry
from .server.errors import IdentityInUseError
from .server.server import Server
from .server_key_view import ServerKeyView
from .server_keys import KeyFile
from .services import async_setup_services
from .storage import DeviceFile

_LOGGER = logging.getLogger(__name__)

SERVER_PLATFORMS = [Platform.EVENT]
"""What the server itself has entities of."""

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, _config: ConfigType) -> bool:
    """Make the hub; its server opens no socket until the server's entry is set up."""
    registry = await hass.async_add_executor_job(Registry.default)
    hub = hass.data[DATA_HUB] = Hub(hass, Server(registry=registry))
    await hub.async_load_objects()
    await hub.async_load()
    async_setup_services(hass)
    hass.http.register_view(ServerKeyView())

    async def save(_event: Event) -> None:
        await hub.store.flush()

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, save)

    @callback
    def entry_removed(entry: ConfigEntry) -> None:
        discovery.async_entry_removed(hass, entry, hub.server.pending)

    async_dispatcher_connect(hass, signal_discovered_config_entry_removed(DOMAIN), entry_removed)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: LwM2MConfigEntry) -> bool:
    """Set up the server, or a device."""
    hub = hass.data[DATA_HUB]
    if is_server(entry):
        await _setup_server(hass, entry, hub)
        return True
    async with hub.setups:
        await asyncio.sleep(0)
        try:
            entry.runtime_data = runtime = hub.attach(entry)
        except IdentityInUseError as error:
            raise ConfigEntryError(
                translation_domain=DOMAIN,
                translation_key="identity_in_use",
                translation_placeholders={"device": error.endpoint},
            ) from error
        runtime.async_update_device()
        hub.async_check_server_entry()
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
        await runtime.async_start()
    return True


async def _setup_server(hass: HomeAssistant, entry: LwM2MConfigEntry, hub: Hub) -> None:
    listen = listen_of(entry.options)
    ports = str(listen.port) if listen.nosec is None else f"{listen.port} or {listen.nosec}"
    await hub.async_load_objects()
    hub.server.policy = policy_of(entry.options)
    hub.server.set_trust_anchors(authorities_of(entry.data))
    try:
        await hub.async_start(listen)
    except OSError as error:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="port_in_use",
            translation_placeholders={"port": ports, "error": str(error)},
        ) from error
    except EngineUnavailableError as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="no_engine", translation_placeholders={"error": str(error)}
        ) from error
    hub.async_check_server_entry()
    await hass.config_entries.async_forward_entry_setups(entry, SERVER_PLATFORMS)

    async def stop(_event: Event) -> None:
        await hub.async_stop()

    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop))


async def async_unload_entry(hass: HomeAssistant, entry: LwM2MConfigEntry) -> bool:
    """Close the server's sockets, or take away a device's entities."""
    hub = hass.data[DATA_HUB]
    if is_server(entry):
        if not await hass.config_entries.async_unload_platforms(entry, SERVER_PLATFORMS):
            return False
        await hub.async_stop()
        return True
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        return False
    hub.detach(entry.runtime_data)
    if entry.disabled_by is not None:
        hub.put_away(entry.data[CONF_ENDPOINT])
    return True


async def async_remove_entry(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Forget a device with its credential; without the server's entry, devices wait for another one."""
    if not is_server(entry):
        issues.async_identity_free(hass, entry.entry_id)
    # Where all entries were disabled at start there is no hub.
    if (hub := hass.data.get(DATA_HUB)) is not None:
        if is_server(entry):
            await hub.keys.async_remove()
        else:
            hub.forget(entry.data[CONF_ENDPOINT])
        hub.async_check_server_entry()
    elif is_server(entry):
        await KeyFile(hass).async_remove()
    if not device_entries(hass) and server_entry(hass) is None:
        await (DeviceFile(hass).async_remove() if hub is None else hub.async_remove_file())
