"""What the entries hold: where the server listens, and a device's endpoint name and credential."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .const import (
    ALL_INTERFACES,
    CONF_ENDPOINT,
    CONF_IDENTITY,
    CONF_IDENTITY_HEX,
    CONF_INTERFACE,
    CONF_KEY,
    CONF_KIND,
    CONF_MODE,
    CONF_PORT,
    CONF_PORTS,
    DEFAULT_PORT,
    DOMAIN,
    KIND_DEVICE,
    SERVER_UNIQUE_ID,
)
from .security.credential import Psk, SecurityMode
from .security.identity import printable


class Listen(NamedTuple):
    """Where the server listens; the empty host is all interfaces."""

    host: str
    port: int


def listen_options(listen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a server entry, from the fields of its form (whose numbers are floats)."""
    return {CONF_PORTS: {CONF_PORT: int(listen[CONF_PORT]), CONF_INTERFACE: listen[CONF_INTERFACE]}}


def listen_of(options: Mapping[str, Any]) -> Listen:
    """Return where a server with these options listens."""
    ports = options.get(CONF_PORTS, {})
    interface = ports.get(CONF_INTERFACE, ALL_INTERFACES)
    return Listen("" if interface == ALL_INTERFACES else interface, int(ports.get(CONF_PORT, DEFAULT_PORT)))


def device_data(endpoint: str, credential: Psk) -> dict[str, Any]:
    """Return the data of a device entry. An identity that is no text is kept in hexadecimal beside what is shown."""
    data = {
        CONF_KIND: KIND_DEVICE,
        CONF_ENDPOINT: endpoint,
        CONF_MODE: SecurityMode.PSK.value,
        CONF_IDENTITY: identity_text(credential.identity),
        CONF_KEY: credential.key.hex(),
    }
    if data[CONF_IDENTITY].encode() != credential.identity:
        data[CONF_IDENTITY_HEX] = credential.identity.hex()
    return data


def credential_of(data: Mapping[str, Any]) -> Psk:
    """Return the credential of a device entry."""
    return Psk(identity_of(data), bytes.fromhex(data[CONF_KEY]))


def identity_of(data: Mapping[str, Any]) -> bytes:
    """Return the PSK identity of a device entry as the device sends it."""
    if (digits := data.get(CONF_IDENTITY_HEX)) is not None:
        return bytes.fromhex(digits)
    return str(data[CONF_IDENTITY]).encode()


def identity_text(identity: bytes) -> str:
    """Return an identity as people read it."""
    try:
        text = identity.decode()
    except UnicodeDecodeError:
        return printable(identity)
    return text if text.isprintable() else printable(identity)


def is_server(entry: ConfigEntry) -> bool:
    """Whether this is the server's entry."""
    return entry.unique_id == SERVER_UNIQUE_ID


@callback
def server_entry(hass: HomeAssistant) -> ConfigEntry | None:
    """Return the server's entry, if there is one."""
    return hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, SERVER_UNIQUE_ID)


@callback
def device_entries(hass: HomeAssistant) -> list[ConfigEntry]:
    """Return the entries of devices, disabled ones too."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False)
    return [entry for entry in entries if not is_server(entry)]


@callback
def entry_of_identity(hass: HomeAssistant, identity: bytes) -> ConfigEntry | None:
    """Return the device entry that holds this PSK identity, also when it is disabled."""
    return next((entry for entry in device_entries(hass) if identity_of(entry.data) == identity), None)
