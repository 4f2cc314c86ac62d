"""Storage: the private file in which Home Assistant keeps what is known of the devices over a restart."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, override

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store as HomeAssistantStore
from homeassistant.util import dt as dt_util
from homeassistant.util.file import WriteError

from . import issues
from .const import CONF_ENDPOINT, DOMAIN
from .entry_data import device_entries
from .server.store import Snapshot, Store, StoreError

_LOGGER = logging.getLogger(__name__)

FILE_VERSION = 1
"""Of what Home Assistant wraps around a snapshot, which has a version of its own."""

_FOREIGN = (StoreError, HomeAssistantError, NotImplementedError, LookupError, TypeError, ValueError, AttributeError)
"""What comes of loading a file that somebody else, or a newer version, has written."""


class PrivateFile[T: Mapping[str, Any]](HomeAssistantStore[T]):
    """Written whole or not at all. What keeps it from being written is raised as OSError, not logged each time."""

    def __init__(self, hass: HomeAssistant, key: str) -> None:
        super().__init__(hass, FILE_VERSION, key, private=True, atomic_writes=True, serialize_in_event_loop=False)

    @override
    async def _async_write_data(self, data: dict[str, Any]) -> None:
        try:
            await super()._async_write_data(data)
        except WriteError as error:
            raise OSError(str(error)) from error


class DeviceFile(PrivateFile[Snapshot]):
    """What is known of the devices."""

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(hass, DOMAIN)


async def async_load(hass: HomeAssistant, file: DeviceFile, store: Store) -> None:
    """Load what is known of the devices that have an entry. A file that is not ours is set aside, and the user told.

    One that is no JSON at all Home Assistant itself sets aside, and says so.
    """
    try:
        await store.load({entry.data[CONF_ENDPOINT] for entry in device_entries(hass)})
    except _FOREIGN as error:
        why = str(error) if isinstance(error, StoreError | HomeAssistantError) else "it is no file of this integration"
        kept = await hass.async_add_executor_job(set_aside, Path(file.path))
        if kept is None:
            file.make_read_only()
        _LOGGER.warning("%s cannot be used (%s); kept as %s", file.path, why, kept or file.path)
        issues.async_store_set_aside(hass, str(kept or file.path), why)


def set_aside(path: Path) -> Path | None:
    """Rename a file out of the way; None if that cannot be done."""
    kept = path.with_name(f"{path.name}.set-aside.{dt_util.utcnow().isoformat()}")
    try:
        return path.rename(kept)
    except OSError as error:
        _LOGGER.warning("%s cannot be renamed: %s", path, error)
        return None
