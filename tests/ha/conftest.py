"""A Home Assistant with this integration, its real server on loopback, and real devices that call it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components.lwm2m  # noqa: F401 - the test plugin has a package of the same name; the first one wins
from custom_components.lwm2m.const import DOMAIN
from tests.interop.pki import Pki, make_pki

from .home import free_port
from .house import House


@pytest.fixture(autouse=True)
def custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant load the integration."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration directory."""
    return tmp_path


@pytest.fixture
def file(folder: Path) -> Path:
    """Where what is known of the devices is kept in it."""
    return folder / ".storage" / DOMAIN


@pytest.fixture
def port() -> int:
    """A port for the server."""
    return free_port()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Keys and certificates for devices, good ones and all kinds of bad ones."""
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def everything_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable entities that wait for a user to do so."""
    monkeypatch.setattr(Entity, "entity_registry_enabled_default", True)


@pytest.fixture
async def house(hass: HomeAssistant) -> AsyncIterator[House]:
    """A Home Assistant whose server listens; devices that it makes leave at the end."""
    house = House(hass)
    try:
        yield house
    finally:
        await house.close()


@pytest.fixture
async def server(house: House) -> MockConfigEntry:
    """The entry of the server, set up."""
    return await house.add_server()
