"""The steps of the server's settings for what it proves itself with.

    identity: show_identity
              make_identity | upload_identity ▶ show_other          (while there is no other one)
              show_other | switch_identity | delete_other           (while there is one)

Nothing of it is an option of the entry: it counts at once, and no association ends.
"""

from collections.abc import Awaitable, Mapping
from typing import Any

import voluptuous as vol
from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.const import CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
from homeassistant.util import dt as dt_util

from .config_flow_forms import EMPTY_FORM, SECRET, Form
from .const import CONF_CERTIFICATE, CONF_ENDPOINT, CONF_KEY, CONF_PUBLIC_KEY, DATA_HUB
from .entry_data import device_entries, mode_of
from .issues import quoted
from .security.credential import CredentialError, SecurityMode
from .security.pem import read_pkcs12, read_server_identity
from .security.server_identity import ServerIdentity
from .server_key_view import async_download_links
from .server_keys import KeptIdentity, ServerKeys, describe_identity
from .uploads import LINES, async_read_field, file_field, file_selector

CONF_NAMES = "names"
CONF_PKCS12 = "pkcs12"
CONF_X = "x"
CONF_Y = "y"
CONF_PUBLIC_KEY_BASE64 = "public_key_base64"
CONF_CERTIFICATE_BASE64 = "certificate_base64"

NAMES_FORM: Form = vol.Schema(
    {vol.Required(CONF_NAMES): TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT, multiple=True))}
)
UPLOAD_FORM: Form = vol.Schema(
    {
        vol.Optional(file_field(CONF_PKCS12)): file_selector(".p12", ".pfx"),
        vol.Optional(file_field(CONF_KEY)): file_selector(".pem", ".key"),
        vol.Optional(file_field(CONF_CERTIFICATE)): file_selector(".pem", ".crt", ".cer"),
        vol.Optional(CONF_PASSWORD): SECRET,
    }
)


def identity_form(kept: KeptIdentity) -> Form:
    """Return the form that shows the public half in the forms that devices want it in, to select and copy."""
    identity, said = kept.identity, describe_identity(kept)
    return vol.Schema(
        {
            vol.Optional(CONF_PUBLIC_KEY, default=identity.public_key_pem().decode()): LINES,
            vol.Optional(CONF_PUBLIC_KEY_BASE64, default=said["public_key_base64"]): LINES,
            vol.Optional(CONF_X, default=said["x"]): LINES,
            vol.Optional(CONF_Y, default=said["y"]): LINES,
            vol.Optional(CONF_CERTIFICATE, default=identity.chain_pem().decode()): LINES,
            vol.Optional(CONF_CERTIFICATE_BASE64, default=said["certificate_base64"]): LINES,
        }
    )


async def async_read_identity(hass: HomeAssistant, fields: Mapping[str, Any]) -> ServerIdentity:
    """Return the identity that was uploaded. CredentialError says what is wrong with it."""
    pkcs12 = await async_read_field(hass, fields, CONF_PKCS12)
    key = await async_read_field(hass, fields, CONF_KEY)
    chain = await async_read_field(hass, fields, CONF_CERTIFICATE)
    password = str(fields[CONF_PASSWORD]).encode() if fields.get(CONF_PASSWORD) else None
    now = dt_util.utcnow()
    if pkcs12 is not None:
        return await hass.async_add_executor_job(read_pkcs12, pkcs12, password, now)
    if key is None:
        raise CredentialError("a private key is missing")
    return await hass.async_add_executor_job(read_server_identity, key, chain, now, password)


class IdentitySteps(OptionsFlow):
    """Every step can be run again; one whose other identity is gone leads back to the menu."""

    @property
    def _keys(self) -> ServerKeys:
        return self.hass.data[DATA_HUB].keys

    @staticmethod
    async def _is_done(change: Awaitable[None], errors: dict[str, str]) -> bool:
        """Whether a change could be kept; else nothing has changed, and `errors` say so."""
        try:
            await change
        except OSError:
            errors["base"] = "not_saved"
        return not errors

    async def async_step_identity(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what is to be done about what the server proves itself with."""
        keys = self._keys
        await keys.async_load()
        options = ["make_identity", "upload_identity"]
        if keys.other is not None:
            options = ["show_other", "switch_identity", "delete_other"]
        return self.async_show_menu(
            step_id="identity",
            menu_options=["show_identity", *options, "identity_done"],
            description_placeholders={
                "fingerprint": keys.active.identity.public_key_fingerprint,
                "other": "-" if keys.other is None else keys.other.identity.public_key_fingerprint,
            },
        )

    async def async_step_identity_done(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Close the dialog; what was done is done already."""
        return self.async_create_entry(data=dict(self.config_entry.options))

    async def async_step_show_identity(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what is in use."""
        return await self._show("show_identity", self._keys.active, user_input)

    async def async_step_show_other(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the one that is not in use."""
        other = self._keys.other
        if other is None:
            return await self.async_step_identity()
        return await self._show("show_other", other, user_input)

    async def _show(self, step: str, kept: KeptIdentity, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        if user_input is not None:
            return await self.async_step_identity()
        return self.async_show_form(
            step_id=step,
            data_schema=identity_form(kept),
            last_step=False,
            description_placeholders={
                **describe_identity(kept),
                "links": await async_download_links(self.hass, kept),
            },
        )

    async def async_step_make_identity(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the names of this server, and make a key and a certificate for them."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            names = [name.strip() for name in user_input[CONF_NAMES] if name.strip()]
            try:
                identity = await self.hass.async_add_executor_job(ServerIdentity.generate, names)
            except CredentialError as error:
                errors[CONF_NAMES], detail = "not_usable", str(error)
            else:
                if await self._is_done(self._keys.async_take(identity), errors):
                    return await self.async_step_show_other()
        suggested = user_input or {CONF_NAMES: await self._keys.async_names()}
        return self.async_show_form(
            step_id="make_identity",
            data_schema=self.add_suggested_values_to_schema(NAMES_FORM, suggested),
            errors=errors,
            last_step=False,
            description_placeholders={"error": detail},
        )

    async def async_step_upload_identity(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a key and certificates of the user's own."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            try:
                identity = await async_read_identity(self.hass, user_input)
            except CredentialError as error:
                errors["base"], detail = "not_usable", str(error)
            else:
                if await self._is_done(self._keys.async_take(identity), errors):
                    return await self.async_step_show_other()
        return self.async_show_form(
            step_id="upload_identity",
            data_schema=UPLOAD_FORM,
            errors=errors,
            last_step=False,
            description_placeholders={"error": detail},
        )

    async def async_step_switch_identity(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Say which devices must be told, and use the other one."""
        keys = self._keys
        if keys.other is None:
            return await self.async_step_identity()
        errors: dict[str, str] = {}
        if user_input is not None and await self._is_done(keys.async_switch(), errors):
            return await self.async_step_identity()
        public = (SecurityMode.RPK, SecurityMode.CERTIFICATE)
        devices = [entry for entry in device_entries(self.hass) if mode_of(entry.data) in public]
        return self.async_show_form(
            step_id="switch_identity",
            data_schema=EMPTY_FORM,
            errors=errors,
            last_step=False,
            description_placeholders={
                "devices": "\n".join(f"- `{quoted(entry.data[CONF_ENDPOINT])}`" for entry in devices) or "-",
                "present": keys.active.identity.public_key_fingerprint,
                "next": keys.other.identity.public_key_fingerprint,
            },
        )

    async def async_step_delete_other(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Make sure, and forget the one that is not in use."""
        other = self._keys.other
        if other is None:
            return await self.async_step_identity()
        errors: dict[str, str] = {}
        if user_input is not None and await self._is_done(self._keys.async_delete_other(), errors):
            return await self.async_step_identity()
        return self.async_show_form(
            step_id="delete_other",
            data_schema=EMPTY_FORM,
            errors=errors,
            last_step=False,
            description_placeholders={"other": other.identity.public_key_fingerprint},
        )
