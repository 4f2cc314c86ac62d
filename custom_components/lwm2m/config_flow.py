"""The flows: set up the server, pair a device, give it another credential.

    user ─ no server ─▶ server ─▶ CREATE
         └ server ────▶ add_device ▶ manual_psk (▶ show_key) ▶ wait
    integration_discovery ▶ psk ▶ wait
    wait ─ registered ─▶ finish ▶ CREATE
      ├ wrong key ──▶ the form that asked (the second time: wrong_key)
      ├ deadline ───▶ no_answer: wait | change_credential | add_anyway
      └ refused, or no server any more ▶ abort
    reauth ▶ reauth_confirm ▶ wait        reconfigure ▶ server_settings | device_settings (▶ show_key) ▶ wait

A dialog may be closed and opened at any time: each step can be run again, and what it shows is kept in the flow.
"""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.core import callback

from .config_flow_forms import (
    MANUAL_PSK_FORM,
    PSK_FORM,
    RECONFIGURE_PSK_FORM,
    async_server_form,
    read_credential,
    read_endpoint,
    show_key_form,
)
from .const import (
    CONF_ENDPOINT,
    CONF_IDENTITY,
    CONF_KEY,
    CONF_PORTS,
    DATA_HUB,
    DOMAIN,
    SERVER_TITLE,
    SERVER_UNIQUE_ID,
    device_unique_id,
)
from .discovery import Caller
from .entry_data import (
    entry_of_identity,
    identity_of,
    identity_text,
    is_server,
    listen_of,
    listen_options,
    server_entry,
)
from .issues import quoted
from .listening import async_server_uri, async_try
from .options_flow import LwM2MOptionsFlow
from .pairing_flow import PairingFlow


class LwM2MConfigFlow(PairingFlow, domain=DOMAIN):
    """The steps up to a credential; pairing_flow.py has those after it."""

    VERSION = 1

    def __init__(self) -> None:
        super().__init__()
        self._host = ""

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        return LwM2MOptionsFlow()

    @classmethod
    @callback
    @override
    def async_supports_options_flow(cls, config_entry: ConfigEntry) -> bool:
        return is_server(config_entry)

    # Setting up the server

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        if server_entry(self.hass) is None:
            return await self.async_step_server(user_input)
        if (hub := self.hass.data.get(DATA_HUB)) is None or not hub.running:
            return self.async_abort(reason="server_not_running")
        return await self.async_step_add_device()

    async def async_step_server(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where to listen, and try it."""
        await self.async_set_unique_id(SERVER_UNIQUE_ID, raise_on_progress=False)
        self._abort_if_unique_id_configured()
        errors: dict[str, str] = {}
        if user_input is not None:
            options = listen_options(user_input[CONF_PORTS])
            if (error := await async_try(self.hass, listen_of(options))) is None:
                return self.async_create_entry(title=SERVER_TITLE, data={}, options=options)
            errors["base"] = error
        form = self.add_suggested_values_to_schema(await async_server_form(self.hass), user_input)
        return self.async_show_form(step_id="server", data_schema=form, errors=errors, last_step=True)

    # Naming a device by hand

    async def async_step_add_device(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how the device proves who it is."""
        return self.async_show_menu(
            step_id="add_device", menu_options=["manual_psk"], description_placeholders={"uri": await self._uri()}
        )

    async def async_step_manual_psk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for endpoint name, identity and key; a key that is left out is made."""
        errors: dict[str, str] = {}
        self._form = "manual_psk"
        if user_input is not None:
            self._error = None
            self._endpoint = read_endpoint(user_input, errors)
            self._identity = (user_input.get(CONF_IDENTITY) or self._endpoint).strip().encode()
            credential = read_credential(user_input, self._identity, errors)
            if credential is not None:
                await self.async_set_unique_id(device_unique_id(self._endpoint), raise_on_progress=False)
                self._abort_if_unique_id_configured()
                if self._accept(credential, errors):
                    return await self._after_form(typed=bool(user_input.get(CONF_KEY)))
        elif self._error is not None:
            errors[CONF_KEY] = self._error
        form = self.add_suggested_values_to_schema(MANUAL_PSK_FORM, user_input or self._typed())
        return self.async_show_form(step_id="manual_psk", data_schema=form, errors=errors, last_step=False)

    async def async_step_show_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show a key that was made, and what else the device must be given. The key may be typed over."""
        errors: dict[str, str] = {}
        if user_input is not None:
            credential = read_credential(user_input, self._identity, errors)
            if credential is not None and self._accept(credential, errors):
                return await self._begin()
        uri = await self._uri()
        form = self.add_suggested_values_to_schema(
            show_key_form(self._endpoint or "", self._pairing.credential, uri), user_input
        )
        return self.async_show_form(
            step_id="show_key",
            data_schema=form,
            errors=errors,
            last_step=False,
            description_placeholders={
                "name": self._name,
                "uri": uri,
                "identity": quoted(identity_text(self._identity)),
                "key": self._pairing.credential.key.hex(),
            },
        )

    async def _after_form(self, *, typed: bool) -> ConfigFlowResult:
        self._generated = not typed
        return await (self._begin() if typed else self.async_step_show_key())

    # A device that called

    async def async_step_integration_discovery(self, discovery_info: Caller) -> ConfigFlowResult:  # type: ignore[override]
        """Begin with what a caller said: its identity."""
        self._identity = bytes.fromhex(discovery_info.identity_hex)
        self._host = discovery_info.host
        await self.async_set_unique_id(discovery_info.key)
        self._abort_if_unique_id_configured()
        if entry_of_identity(self.hass, self._identity) is not None:
            return self.async_abort(reason="already_configured")
        return await self.async_step_psk()

    async def async_step_psk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the key of the device that called."""
        errors: dict[str, str] = {}
        self._form = "psk"
        if user_input is not None:
            self._error = None
            credential = read_credential(user_input, self._identity, errors)
            if credential is not None and self._accept(credential, errors):
                return await self._begin()
        elif self._error is not None:
            errors[CONF_KEY] = self._error
        return self.async_show_form(
            step_id="psk",
            data_schema=PSK_FORM,
            errors=errors,
            last_step=False,
            description_placeholders={
                "name": self._name,
                "identity": quoted(identity_text(self._identity)),
                "host": quoted(self._host),
            },
        )

    # Another credential for a device

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """The device calls with a key that is not the one on file."""
        self._endpoint = entry_data[CONF_ENDPOINT]
        self._identity = identity_of(entry_data)
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the key that it has now."""
        errors: dict[str, str] = {}
        self._form = "reauth_confirm"
        if user_input is not None:
            self._error = None
            credential = read_credential(user_input, self._identity, errors)
            if credential is not None and self._accept(credential, errors):
                return await self._begin()
        elif self._error is not None:
            errors[CONF_KEY] = self._error
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=PSK_FORM,
            errors=errors,
            last_step=False,
            description_placeholders={"name": self._name, "identity": quoted(identity_text(self._identity))},
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change what an entry was made with."""
        entry = self._get_reconfigure_entry()
        if is_server(entry):
            return await self.async_step_server_settings(user_input)
        if (hub := self.hass.data.get(DATA_HUB)) is None or not hub.running:
            return self.async_abort(reason="server_not_running")
        self._endpoint = entry.data[CONF_ENDPOINT]
        self._identity = identity_of(entry.data)
        return await self.async_step_device_settings()

    async def async_step_server_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where to listen instead, and try it."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            options = listen_options(user_input[CONF_PORTS])
            if (error := await async_try(self.hass, listen_of(options), self.hass.data.get(DATA_HUB))) is None:
                return self.async_update_reload_and_abort(entry, options=options)
            errors["base"] = error
        form = await async_server_form(self.hass, listen_of(entry.options).host)
        form = self.add_suggested_values_to_schema(form, user_input or entry.options)
        return self.async_show_form(step_id="server_settings", data_schema=form, errors=errors, last_step=True)

    async def async_step_device_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the device's new identity and key; a key that is left out is made."""
        errors: dict[str, str] = {}
        self._form = "device_settings"
        if user_input is not None:
            self._error = None
            self._identity = user_input[CONF_IDENTITY].strip().encode()
            credential = read_credential(user_input, self._identity, errors)
            if credential is not None and self._accept(credential, errors):
                return await self._after_form(typed=bool(user_input.get(CONF_KEY)))
        elif self._error is not None:
            errors[CONF_KEY] = self._error
        known = {CONF_IDENTITY: identity_text(self._identity)}
        form = self.add_suggested_values_to_schema(RECONFIGURE_PSK_FORM, user_input or known)
        return self.async_show_form(
            step_id="device_settings",
            data_schema=form,
            errors=errors,
            last_step=False,
            description_placeholders={"name": self._name},
        )

    def _typed(self) -> dict[str, Any]:
        return (
            {}
            if self._endpoint is None
            else {CONF_ENDPOINT: self._endpoint, CONF_IDENTITY: identity_text(self._identity)}
        )

    async def _uri(self) -> str:
        entry = server_entry(self.hass)
        return await async_server_uri(self.hass, listen_of({} if entry is None else entry.options))
