"""Whether the server could listen somewhere, found out by doing it; and how devices reach it there."""

import errno
from ipaddress import IPv6Address, ip_address

from homeassistant.components import network
from homeassistant.core import HomeAssistant

from .dtls.endpoint import EngineUnavailableError
from .entry_data import Listen
from .hub import Hub
from .protocol.objects.registry import Registry
from .server.server import Server

LOOPBACK = "127.0.0.1"

_ERRORS = {
    errno.EADDRINUSE: "port_in_use",
    errno.EACCES: "port_forbidden",
    errno.EADDRNOTAVAIL: "no_such_address",
}


async def async_try(hass: HomeAssistant, listen: Listen, hub: Hub | None = None) -> str | None:
    """Return the word for why the server cannot listen there, None if it can.

    Where `hub` holds the port at present, only the address is tried.
    """
    port = listen.port
    if hub is not None and hub.running and hub.server.coaps_port == port:
        port = 0
    server = Server(registry=await hass.async_add_executor_job(Registry.default))
    try:
        await server.start(listen.host, coaps_port=port)
    except OSError as error:
        return _ERRORS.get(error.errno or 0, "cannot_listen")
    except EngineUnavailableError:
        return "no_engine"
    await server.stop()
    return None


async def async_addresses(hass: HomeAssistant) -> list[str]:
    """Return the addresses of this machine; the one that only its own programs can call comes last."""
    found: list[str] = []
    for adapter in await network.async_get_adapters(hass):
        found += [address["address"] for address in adapter["ipv4"]]
        found += [
            address["address"] for address in adapter["ipv6"] if not IPv6Address(address["address"]).is_link_local
        ]
    return list(dict.fromkeys([*found, LOOPBACK]))


async def async_server_uri(hass: HomeAssistant, listen: Listen) -> str:
    """Return the URI that devices in the local network must be given."""
    host = listen.host or await network.async_get_source_ip(hass)
    try:
        bracketed = ip_address(host).version == 6
    except ValueError:
        bracketed = False
    return f"coaps://[{host}]:{listen.port}" if bracketed else f"coaps://{host}:{listen.port}"
