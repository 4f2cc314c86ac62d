"""The port of the server, and other programs that have it."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from tests.server.helpers import eventually

from .home import climate, home, living, make_device, settled

TEMPERATURE = "/3303/0/5700"


@pytest.fixture
def hass_storage() -> None:
    """Let stores be files; the plugin would keep them in memory."""


@asynccontextmanager
async def taken(port: int) -> AsyncIterator[None]:
    """Another program has the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        yield


async def test_a_port_that_is_taken_at_the_start(folder: Path, port: int) -> None:
    """The user is told, devices keep their entities, and the server comes when the port is free."""
    client = make_device(port, "urn:x", climate())
    async with living(client):
        async with home(folder) as here:
            await here.add_server_at(port)
            await here.add_endpoint("urn:x")
            await settled(here, "urn:x")
        async with taken(port), home(folder) as here:
            entry = here.entry()
            await eventually(lambda: entry.state is ConfigEntryState.SETUP_RETRY)
            assert entry.error_reason_translation_key == "port_in_use"
            assert str(port) in (entry.reason or "")
            assert here.entry("urn:x").state is ConfigEntryState.LOADED
            assert here.value(TEMPERATURE, "urn:x") == "unavailable"
        async with home(folder) as here:
            await here.until_value(TEMPERATURE, "21.5", "urn:x")


async def test_a_port_that_is_taken_while_the_server_is_away(folder: Path, port: int) -> None:
    """Between a stop and a start of the same server: it tries again, and its devices go on."""
    client = make_device(port, "urn:x", climate(), returns=True)
    async with living(client), home(folder) as here:
        entry = await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await settled(here, "urn:x")
        assert await here.hass.config_entries.async_unload(entry.entry_id)
        async with taken(port):
            assert not await here.hass.config_entries.async_setup(entry.entry_id)
            assert entry.state is ConfigEntryState.SETUP_RETRY
            assert here.value(TEMPERATURE, "urn:x") == "unavailable"
        async_fire_time_changed(here.hass, dt_util.utcnow() + timedelta(seconds=60))
        await here.until(lambda: entry.state is ConfigEntryState.LOADED)
        await settled(here, "urn:x")
        assert len(client.seen("registered")) == 1


async def test_a_port_that_another_program_wants_after_the_start(folder: Path, port: int) -> None:
    """It does not get it, and nothing is taken from the server."""
    async with living(make_device(port, "urn:x", climate())), home(folder) as here:
        await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await settled(here, "urn:x")
        with pytest.raises(OSError, match="in use"):
            await taken(port).__aenter__()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                sock.bind(("127.0.0.1", port))
        await here.hass.config_entries.async_reload(here.entry("urn:x").entry_id)
        await here.until_value(TEMPERATURE, "21.5", "urn:x")
