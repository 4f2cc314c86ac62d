"""Flows that mend what an issue tells of, or help to do that. When such issues come and go: refusal_issues.py.

optional_suite ▶ confirm ▶ the suite is allowed
not_trusted ▶ server_key ▶ closed; it comes again if the device still does not trust this server
plaintext ▶ init (a menu): secured ▶ closed | settings ▶ left as it is, and the server's settings open
"""

from typing import Any

import voluptuous as vol
from homeassistant.components.repairs import FlowType, RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .config_flow_forms import TEXT
from .const import CONF_CERTIFICATE, CONF_PUBLIC_KEY, CONF_SUITES, DATA_HUB, DOMAIN
from .entry_data import server_entry
from .listening import async_present_uri, async_try_suites
from .refusal_issues import NOT_TRUSTED, OPTIONAL_SUITE
from .server_key_view import async_download_links
from .server_keys import describe_identity
from .uploads import LINES


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, _data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow for an issue that has one."""
    issue = ir.async_get(hass).issues[DOMAIN, issue_id]
    said = issue.translation_placeholders or {}
    if issue.translation_key == OPTIONAL_SUITE:
        return OptionalSuiteFlow(said)
    return NotTrustedFlow(said) if issue.translation_key == NOT_TRUSTED else PlaintextFlow(said)


class RefusalFlow(RepairsFlow):
    """`said` fills the texts of the issue, and those of its flow."""

    def __init__(self, said: dict[str, str]) -> None:
        self.said = said


class OptionalSuiteFlow(RefusalFlow):
    """Allow a cipher suite that a device offers."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Say what it is about."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask, then set the server up with one more suite."""
        if (entry := server_entry(self.hass)) is None:
            return self.async_abort(reason="no_server")
        if user_input is None:
            return self.async_show_form(step_id="confirm", description_placeholders=self.said)
        suite = self.said["suite"]
        if await async_try_suites(self.hass, [suite]) is not None:
            return self.async_abort(reason="not_served", description_placeholders=self.said)
        suites = dict.fromkeys((*entry.options.get(CONF_SUITES, ()), suite))
        self.hass.config_entries.async_update_entry(entry, options={**entry.options, CONF_SUITES: list(suites)})
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_create_entry(data={})


class NotTrustedFlow(RefusalFlow):
    """Show by what a device knows this server."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin with what is to be put into the device."""
        return await self.async_step_server_key()

    async def async_step_server_key(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Show the server's public key and certificate; the issue is closed when the user is done with them."""
        if user_input is not None:
            return self.async_create_entry(data={})
        hub = self.hass.data[DATA_HUB]
        kept = hub.keys.active
        about = describe_identity(kept)
        # Fields, since what is in them can be copied as it is.
        form = {
            vol.Optional(CONF_PUBLIC_KEY, default=kept.identity.public_key_pem().decode()): LINES,
            vol.Optional("public_key_base64", default=about["public_key_base64"]): TEXT,
            vol.Optional("x", default=about["x"]): TEXT,
            vol.Optional("y", default=about["y"]): TEXT,
            vol.Optional(CONF_CERTIFICATE, default=kept.identity.chain_pem().decode()): LINES,
        }
        return self.async_show_form(
            step_id="server_key",
            data_schema=vol.Schema(form),
            description_placeholders={
                **self.said,
                "uri": await async_present_uri(self.hass),
                "links": await async_download_links(self.hass, kept),
                **about,
            },
        )


class PlaintextFlow(RefusalFlow):
    """Say how a device calls over DTLS, and where devices are let in that cannot."""

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask what the user wants to do."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["secured", "settings"],
            description_placeholders={**self.said, "uri": await async_present_uri(self.hass)},
        )

    async def async_step_secured(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """The device was set up for DTLS: the issue is closed, and comes again if that does not help."""
        return self.async_create_entry(data={})

    async def async_step_settings(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Open the server's settings; the issue goes when the device gets in."""
        if (entry := server_entry(self.hass)) is None:
            return self.async_abort(reason="no_server")
        settings = await self.hass.config_entries.options.async_init(entry.entry_id)
        return self.async_abort(reason="settings", next_flow=(FlowType.OPTIONS_FLOW, settings["flow_id"]))
