"""What is shown of the server itself: that a connection was refused, and why."""

from typing import override

from homeassistant.components.event import EventEntity
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo

from .const import DOMAIN, SERVER_TITLE, SERVER_UNIQUE_ID
from .hub import Hub
from .security.refusal import Reason, Refusal


def server_device(hub: Hub) -> DeviceInfo:
    """Return what is known of the server, as a device."""
    return DeviceInfo(
        identifiers={(DOMAIN, SERVER_UNIQUE_ID)},
        entry_type=DeviceEntryType.SERVICE,
        name=SERVER_TITLE,
        sw_version=hub.server.engine_name,
    )


class RefusedConnection(EventEntity):
    """A device was not let in. What its name, identity and offer are is what it claims, unless it has been proven."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_translation_key = "refused"
    _attr_unique_id = f"{SERVER_UNIQUE_ID}#refused"
    _unrecorded_attributes = frozenset({"permitted"})
    _attr_event_types = [reason.value for reason in Reason]  # noqa: RUF012 - the base class has it like this

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._attr_device_info = server_device(hub)

    @override
    async def async_added_to_hass(self) -> None:
        self.async_on_remove(self._hub.refusals.on_shown(self._refused))

    @callback
    def _refused(self, host: str, refusal: Refusal, left_out: int) -> None:
        self._trigger_event(
            refusal.reason.value,
            {
                "detail": refusal.detail,
                "host": host,
                "identity": refusal.identity or None,
                "endpoint": refusal.endpoint,
                "offered": list(refusal.offered),
                "permitted": list(self._hub.server.suites),
                "left_out": left_out,
            },
        )
        self.async_write_ha_state()
