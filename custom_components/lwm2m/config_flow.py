"""The flows: set up the server, pair a device, give it another credential.

    user ─ no server ─▶ server ─▶ CREATE
         └ server ────▶ add_device ▶ manual_psk (▶ show_key) ▶ wait
                                   ▶ manual_rpk | manual_certificate ▶ show_server ▶ wait
    integration_discovery ▶ psk | rpk | certificate: pin_certificate | by_authority ▶ wait
                          ▶ nosec ▶ CREATE
    wait ─ registered ─▶ finish ▶ CREATE
      ├ wrong key ──▶ the form that asked (the second time: wrong_key)
      ├ deadline ───▶ no_answer: wait | change_credential | add_anyway
      └ refused, or no server any more ▶ abort
    reauth ▶ reauth_confirm | reauth_public_key | reauth_certificate ▶ wait
    reconfigure ▶ server_settings | device_settings: set_psk | set_rpk | set_certificate ▶ wait

A dialog may be closed and opened at any time: each step can be run again, and what it shows is kept in the flow.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import UnknownFlow

from .config_flow_forms import async_server_form
from .const import CONF_ENDPOINT, CONF_PORTS, CONF_SHOWN, DATA_HUB, DOMAIN, SERVER_TITLE, SERVER_UNIQUE_ID
from .discovery import Caller
from .entry_data import (
    credential_of,
    entry_of_claim,
    identity_of,
    is_server,
    listen_of,
    listen_options,
    server_entry,
)
from .flow_certificate import CertificateSteps
from .flow_no_security import NoSecuritySteps
from .flow_psk import PskSteps
from .flow_public_key import PublicKeySteps
from .listening import async_present_uri, async_try
from .options_flow import LwM2MOptionsFlow
from .security.cipher_suite import BY_NAME
from .security.credential import Certificate, RawPublicKey, SecurityMode
from .server.events import Event, Registered, Updated


class LwM2MConfigFlow(PskSteps, PublicKeySteps, CertificateSteps, NoSecuritySteps, domain=DOMAIN):
    """The steps up to the question for a credential; flow_*.py ask it, pairing_flow.py has what comes after."""

    VERSION = 1

    _stop_hearing: Callable[[], None] | None = None

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
            step_id="add_device",
            menu_options=self._modes("manual"),
            description_placeholders={"uri": await async_present_uri(self.hass)},
        )

    def _modes(self, prefix: str) -> list[str]:
        """Return the menu of the ways to prove who one is that the present engine serves."""
        served = self.hass.data[DATA_HUB].server.suites
        public = any(BY_NAME[name].has_certificate for name in served)
        modes = ("psk", "rpk", "certificate") if public else ("psk",)
        return [f"{prefix}_{mode}" for mode in modes]

    # A device that called

    async def async_step_integration_discovery(self, discovery_info: Caller) -> ConfigFlowResult:  # type: ignore[override]
        """Begin with what a caller said."""
        self._claims(discovery_info)
        await self.async_set_unique_id(discovery_info.key)
        self._abort_if_unique_id_configured()
        mode = SecurityMode(discovery_info.mode)
        if entry_of_claim(self.hass, mode, discovery_info.claim) is not None:
            return self.async_abort(reason="already_configured")
        match mode:
            case SecurityMode.PSK:
                return await self._begin_psk(discovery_info)
            case SecurityMode.RPK:
                return await self._begin_rpk(discovery_info)
            case SecurityMode.CERTIFICATE:
                return await self._begin_certificate(discovery_info)
            case SecurityMode.NOSEC:
                return await self._begin_nosec(discovery_info)

    # Another credential for a device

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """The device calls with a credential that is not the one on file: `shown` is its public key or certificate."""
        self._endpoint = entry_data[CONF_ENDPOINT]
        self._stop_hearing = self.hass.data[DATA_HUB].server.subscribe(self._heard, Registered, Updated)
        credential = credential_of(entry_data)
        match credential:
            case RawPublicKey(public_key=public_key):
                self._known_key, self._shown_key = public_key, b64decode(entry_data[CONF_SHOWN])
                return await self.async_step_reauth_public_key()
            case Certificate(certificate=certificate):
                self._known_certificate, self._shown_certificate = certificate, b64decode(entry_data[CONF_SHOWN])
                return await self.async_step_reauth_certificate()
        self._identity = identity_of(entry_data)
        return await self.async_step_reauth_confirm()

    @callback
    def _heard(self, event: Event) -> None:
        """Ask no more where the device came with the credential on file, unless somebody is about to answer."""
        device = event.device if isinstance(event, Registered | Updated) else None
        if device is None or device.endpoint != self._endpoint or self._is_open:
            return
        with suppress(UnknownFlow):
            self.hass.config_entries.flow.async_abort(self.flow_id)

    @callback
    @override
    def async_remove(self) -> None:
        if self._stop_hearing is not None:
            self._stop_hearing()
        super().async_remove()

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change what an entry was made with."""
        entry = self._get_reconfigure_entry()
        if is_server(entry):
            return await self.async_step_server_settings(user_input)
        if (hub := self.hass.data.get(DATA_HUB)) is None or not hub.running:
            return self.async_abort(reason="server_not_running")
        self._endpoint = entry.data[CONF_ENDPOINT]
        return await self.async_step_device_settings()

    async def async_step_device_settings(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how the device proves who it is from now on."""
        return self.async_show_menu(
            step_id="device_settings", menu_options=self._modes("set"), description_placeholders={"name": self._name}
        )

    async def async_step_server_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where to listen instead, and try it."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            options = {**entry.options, **listen_options(user_input[CONF_PORTS])}
            if (error := await async_try(self.hass, listen_of(options), self.hass.data.get(DATA_HUB))) is None:
                return self.async_update_reload_and_abort(entry, options=options)
            errors["base"] = error
        form = await async_server_form(self.hass, listen_of(entry.options).host)
        form = self.add_suggested_values_to_schema(form, user_input or entry.options)
        return self.async_show_form(step_id="server_settings", data_schema=form, errors=errors, last_step=True)
