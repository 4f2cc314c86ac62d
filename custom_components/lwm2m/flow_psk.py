"""The steps of the flows that ask for a pre-shared key: by card, by hand, and for a device that has another one now."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult

from .config_flow_forms import MANUAL_PSK_FORM, PSK_FORM, SET_PSK_FORM, read_endpoint, read_psk, show_key_form
from .const import CONF_ENDPOINT, CONF_IDENTITY, CONF_KEY
from .discovery import Caller
from .entry_data import identity_of, identity_text, mode_of
from .issues import quoted
from .listening import async_present_uri
from .pairing_flow import PairingFlow
from .security.credential import SecurityMode


class PskSteps(PairingFlow):
    """`_identity` is the PSK identity, as bytes; `_key` the key that was made."""

    def __init__(self) -> None:
        super().__init__()
        self._identity = b""
        self._key = b""

    # A device that called

    async def _begin_psk(self, caller: Caller) -> ConfigFlowResult:
        self._identity = caller.claim
        self._label = identity_text(caller.claim)
        return await self.async_step_psk()

    async def async_step_psk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the key of the device that called."""
        return await self._ask_key("psk", user_input)

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the key that the device has now."""
        return await self._ask_key("reauth_confirm", user_input)

    async def _ask_key(self, step: str, fields: dict[str, Any] | None) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        self._form = step
        self._look()
        if fields is not None:
            self._error = None
            credential = read_psk(fields, self._identity, errors)
            if credential is not None and self._accept(credential, errors):
                return await self._begin()
        self._said(errors, CONF_KEY)
        return self.async_show_form(
            step_id=step,
            data_schema=PSK_FORM,
            errors=errors,
            last_step=False,
            description_placeholders={
                "name": self._name,
                "identity": quoted(identity_text(self._identity)),
                "host": quoted(self._host or ""),
            },
        )

    # By hand

    async def async_step_manual_psk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for endpoint name, identity and key; a key that is left out is made."""
        errors: dict[str, str] = {}
        self._form = "manual_psk"
        if user_input is not None:
            self._error = None
            self._endpoint = read_endpoint(user_input, errors)
            self._identity = (user_input.get(CONF_IDENTITY) or self._endpoint).strip().encode()
            credential = read_psk(user_input, self._identity, errors)
            if credential is not None:
                await self._claim_endpoint()
                if self._accept(credential, errors):
                    return await self._after_key(credential.key, typed=bool(user_input.get(CONF_KEY)))
        self._said(errors, CONF_KEY)
        typed = (
            {}
            if self._endpoint is None
            else {CONF_ENDPOINT: self._endpoint, CONF_IDENTITY: identity_text(self._identity)}
        )
        form = self.add_suggested_values_to_schema(MANUAL_PSK_FORM, user_input or typed)
        return self.async_show_form(step_id="manual_psk", data_schema=form, errors=errors, last_step=False)

    async def async_step_set_psk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the identity and key that a device has from now on; a key that is left out is made."""
        errors: dict[str, str] = {}
        self._form = "set_psk"
        if user_input is not None:
            self._error = None
            self._identity = user_input[CONF_IDENTITY].strip().encode()
            credential = read_psk(user_input, self._identity, errors)
            if credential is not None and self._accept(credential, errors):
                return await self._after_key(credential.key, typed=bool(user_input.get(CONF_KEY)))
        self._said(errors, CONF_KEY)
        known = {CONF_IDENTITY: identity_text(self._identity or self._present_identity())}
        form = self.add_suggested_values_to_schema(SET_PSK_FORM, user_input or known)
        return self.async_show_form(
            step_id="set_psk",
            data_schema=form,
            errors=errors,
            last_step=False,
            description_placeholders={"name": self._name},
        )

    def _present_identity(self) -> bytes:
        data = self._get_reconfigure_entry().data
        return identity_of(data) if mode_of(data) is SecurityMode.PSK else str(data[CONF_ENDPOINT]).encode()

    async def _after_key(self, key: bytes, *, typed: bool) -> ConfigFlowResult:
        self._key = key
        self._generated = not typed
        return await (self._begin() if typed else self.async_step_show_key())

    async def async_step_show_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show a key that was made, and what else the device must be given. The key may be typed over."""
        errors: dict[str, str] = {}
        if user_input is not None:
            credential = read_psk(user_input, self._identity, errors)
            if credential is not None and self._accept(credential, errors):
                return await self._begin()
        uri = await async_present_uri(self.hass)
        form = self.add_suggested_values_to_schema(
            show_key_form(self._endpoint or "", self._identity, self._key, uri), user_input
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
                "key": self._key.hex(),
            },
        )
