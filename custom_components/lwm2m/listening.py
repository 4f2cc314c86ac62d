"""Whether the server could listen somewhere, found out by doing it; and how devices reach it there."""

import errno
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from homeassistant.components import network
from homeassistant.core import HomeAssistant

from .dtls.endpoint import EngineUnavailableError, make_endpoint
from .entry_data import Listen, listen_of, server_entry
from .protocol.objects.registry import Registry
from .security.policy import Policy
from .server.authorizer import Authorizer
from .server.server import Server

if TYPE_CHECKING:
    from .hub import Hub

LOOPBACK = "127.0.0.1"

_ERRORS = {
    errno.EADDRINUSE: "port_in_use",
    errno.EACCES: "port_forbidden",
    errno.EADDRNOTAVAIL: "no_such_address",
}


_NOSEC_ERRORS = {"port_in_use": "nosec_port_in_use", "port_forbidden": "nosec_port_forbidden"}


async def async_try(hass: HomeAssistant, listen: Listen, hub: Hub | None = None) -> str | None:
    """Return the word for why the server cannot listen there, None if it can.

    Of a port that `hub` holds at present only the address is tried.
    """
    if (word := await _try(hass, listen.host, hub, secure=listen.port)) is not None:
        return word
    return await async_try_nosec(hass, listen, hub)


async def async_try_nosec(hass: HomeAssistant, listen: Listen, hub: Hub | None = None) -> str | None:
    """Return the word for why the server cannot listen on its port without security, None if it can, or is not to."""
    if listen.nosec is None:
        return None
    if listen.nosec == listen.port:
        return "same_port"
    word = await _try(hass, listen.host, hub, nosec=listen.nosec)
    return None if word is None else _NOSEC_ERRORS.get(word, word)


async def _try(
    hass: HomeAssistant, host: str, hub: Hub | None, *, secure: int | None = None, nosec: int | None = None
) -> str | None:
    if hub is not None:
        held = {hub.server.coaps_port, hub.server.coap_port} - {None}
        secure, nosec = (0 if port in held else port for port in (secure, nosec))
    server = Server(registry=await hass.async_add_executor_job(Registry.default))
    try:
        await server.start(host, coaps_port=secure, coap_port=nosec)
    except OSError as error:
        return _ERRORS.get(error.errno or 0, "cannot_listen")
    except EngineUnavailableError:
        return "no_engine"
    await server.stop()
    return None


async def async_try_suites(hass: HomeAssistant, suites: Collection[str]) -> tuple[str, list[str]] | None:
    """Return the word for why some of these cipher suites cannot be served here, and which; None if all can."""
    try:
        endpoint = await hass.async_add_executor_job(make_endpoint, Authorizer(), Policy(suites))
    except EngineUnavailableError:
        return "no_engine", list(suites)
    unserved = [suite for suite in suites if suite not in endpoint.suites]
    if not unserved:
        return None
    return "constrained_engine" if endpoint.engine.startswith("tinydtls") else "suites_not_served", unserved


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


async def async_present_uri(hass: HomeAssistant) -> str:
    """Return the URI at which devices find the server as it is set up now."""
    entry = server_entry(hass)
    return await async_server_uri(hass, listen_of({} if entry is None else entry.options))
