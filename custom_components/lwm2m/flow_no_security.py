"""The step of the flows for a device that has registered without security: nothing of it is ever proven."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult

from .config_flow_forms import EMPTY_FORM
from .const import DATA_HUB
from .discovery import Caller
from .issues import quoted
from .pairing import async_introduce
from .pairing_flow import PairingFlow


class NoSecuritySteps(PairingFlow):
    """`_claimed` is the endpoint name: what the device says."""

    def __init__(self) -> None:
        super().__init__()
        self._claimed = ""

    async def _begin_nosec(self, caller: Caller) -> ConfigFlowResult:
        self._claimed = caller.claim.decode()
        return await self.async_step_nosec()

    async def async_step_nosec(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether a device is to be taken for what it says that it is."""
        if user_input is None:
            return self.async_show_form(
                step_id="nosec",
                data_schema=EMPTY_FORM,
                last_step=True,
                description_placeholders={"name": self._name, "host": quoted(self._host or "")},
            )
        if await self._is_taken(self._claimed):
            return self._abort_for(self._claimed, "endpoint_in_use")
        await async_introduce(self.hass.data[DATA_HUB], self._claimed)
        return self._file(self._claimed, None, "device_unproven")
