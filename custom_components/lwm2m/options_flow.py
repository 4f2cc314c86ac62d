"""The settings of the server."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlowWithReload

from .config_flow_forms import async_server_form
from .const import CONF_PORTS, DATA_HUB
from .entry_data import listen_of, listen_options
from .listening import async_try


class LwM2MOptionsFlow(OptionsFlowWithReload):
    """The settings of the server."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where to listen, and try it."""
        errors: dict[str, str] = {}
        if user_input is not None:
            options = listen_options(user_input[CONF_PORTS])
            if (error := await async_try(self.hass, listen_of(options), self.hass.data.get(DATA_HUB))) is None:
                return self.async_create_entry(data=options)
            errors["base"] = error
        present = self.config_entry.options
        form = await async_server_form(self.hass, listen_of(present).host)
        form = self.add_suggested_values_to_schema(form, user_input or present)
        return self.async_show_form(step_id="init", data_schema=form, errors=errors)
