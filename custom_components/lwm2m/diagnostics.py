"""Diagnostics: what a user may hand to others, without keys and without what tells who or where they are."""

from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from .coap.remote import PeerSecurity
from .const import (
    CONF_AUTHORITIES,
    CONF_CERTIFICATE,
    CONF_ENDPOINT,
    CONF_IDENTITY,
    CONF_IDENTITY_HEX,
    CONF_KEY,
    CONF_PUBLIC_KEY,
    DATA_HUB,
    SERVER_UNIQUE_ID,
)
from .entry_data import authorities_of, is_server
from .hub import Hub
from .protocol.value import to_json
from .status import peer_fingerprint

TO_REDACT = {
    CONF_KEY,
    CONF_IDENTITY,
    CONF_IDENTITY_HEX,
    CONF_PUBLIC_KEY,
    CONF_CERTIFICATE,
    CONF_ENDPOINT,
    CONF_AUTHORITIES,
    "address",
    "discovery_keys",
    "title",
    "unique_id",
}

PRIVATE_VALUES = frozenset(((3, 2), (4, 4), (4, 5), (4, 8), (6, 0), (6, 1), (3336, 5513), (3336, 5514)))
"""Object and resource of values that are left out: serial number, addresses, cell, place."""


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, Any]:
    """Return the diagnostics of the server or of a device."""
    hub = hass.data[DATA_HUB]
    about = _server(hub, entry) if is_server(entry) else _device(hub, entry.data[CONF_ENDPOINT])
    return async_redact_data({"entry": entry.as_dict(), **about}, TO_REDACT)


async def async_get_device_diagnostics(hass: HomeAssistant, entry: ConfigEntry, _device: DeviceEntry) -> dict[str, Any]:
    """Return the same for the page of a device; an entry has one device."""
    return await async_get_config_entry_diagnostics(hass, entry)


def _server(hub: Hub, entry: ConfigEntry) -> dict[str, Any]:
    server = hub.server
    return {
        SERVER_UNIQUE_ID: {
            "running": server.running,
            "port": server.coaps_port,
            "nosec_port": server.coap_port,
            "engine": server.engine_name,
            "suites": list(server.suites),
            "public_key_fingerprint": hub.keys.active.identity.public_key_fingerprint if server.running else None,
            "authorities_trusted": len(authorities_of(entry.data)),
            "refusals": {reason.value: count for reason, count in sorted(server.refusals.items())},
            "devices": len(hub.runtimes),
            "registrations": len(server.registrations),
            "available": sum(device.available for device in server.devices.values()),
            "unknown": len(server.pending.unknown),
            "candidates": len(server.pending.candidates),
        }
    }


def _device(hub: Hub, endpoint: str) -> dict[str, Any]:
    device = hub.server.devices.get(endpoint)
    if device is None:
        return {"device": None}
    registration = device.registration
    security = device.security
    return {
        "device": {
            "available": device.available,
            "awake": device.awake,
            "last_contact": device.last_contact,
            "security": None if security is None else _security(security),
            "refusals": hub.refusals.count_of(endpoint),
            "registration": None
            if registration is None
            else {
                "lwm2m": registration.lwm2m,
                "lifetime": registration.lifetime,
                "binding": registration.binding,
                "queue": registration.queue,
            },
            "objects": {str(path): version for path, version in sorted(device.objects.items())},
            "read": [str(path) for path in sorted(device.surveyed)],
            "values": {
                str(path): to_json(value)
                for path, value in sorted(device.values.items())
                if path[:1] + path[2:3] not in PRIVATE_VALUES
            },
            "observations": [str(relation.path) for relation in device.observations],
        }
    }


def _security(security: PeerSecurity) -> dict[str, Any]:
    return {
        "mode": security.mode.value,
        "suite": security.suite,
        "curve": security.group,
        "peer_fingerprint": peer_fingerprint(security),
        "since": security.since,
    }
