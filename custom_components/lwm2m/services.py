"""Actions of the integration as a whole."""

from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.helpers.service import async_register_admin_service

from .const import DATA_HUB, DOMAIN

RELOAD_OBJECTS = "reload_objects"


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register them; once, whatever entries there are."""

    async def reload_objects(_call: ServiceCall) -> None:
        await hass.data[DATA_HUB].async_load_objects()

    async_register_admin_service(hass, DOMAIN, RELOAD_OBJECTS, reload_objects)
