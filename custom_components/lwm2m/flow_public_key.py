"""The steps of the flows that ask for a raw public key: by card, by hand, and for a device that has another one now.

A key that a device shows in a handshake is no secret and proves nothing; it is taken where a person has compared it.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from homeassistant.config_entries import ConfigFlowResult

from .config_flow_forms import COMPARE_PUBLIC_KEY_FORM, MANUAL_PUBLIC_KEY_FORM, SET_PUBLIC_KEY_FORM, read_endpoint
from .const import CONF_FINGERPRINT_MATCHES, CONF_PUBLIC_KEY
from .discovery import Caller
from .issues import quoted
from .pairing_flow import PairingFlow
from .security.credential import CredentialError, RawPublicKey
from .security.pem import read_public_key


class PublicKeySteps(PairingFlow):
    """`_shown_key` is the public key that the device has shown, `_known_key` the one on file."""

    def __init__(self) -> None:
        super().__init__()
        self._shown_key = b""
        self._known_key = b""

    # A device that called

    async def _begin_rpk(self, caller: Caller) -> ConfigFlowResult:
        self._shown_key = caller.claim
        return await self.async_step_rpk()

    async def async_step_rpk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the public key with which a device called is its own."""
        return await self._ask_to_compare("rpk", user_input)

    async def async_step_reauth_public_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the public key with which a device calls now is its own."""
        return await self._ask_to_compare("reauth_public_key", user_input)

    async def _ask_to_compare(self, step: str, fields: dict[str, Any] | None) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        self._form = step
        self._look()
        if (
            fields is not None
            and self._is_compared(fields, errors)
            and self._accept(RawPublicKey(self._shown_key), errors)
        ):
            return await self._begin()
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(COMPARE_PUBLIC_KEY_FORM, fields),
            errors=errors,
            last_step=False,
            description_placeholders={
                "name": self._name,
                "host": quoted(self._host or ""),
                "fingerprint": sha256(self._shown_key).hexdigest(),
                "known": sha256(self._known_key).hexdigest(),
                "error": self._detail,
            },
        )

    def _is_compared(self, fields: Mapping[str, Any], errors: dict[str, str]) -> bool:
        """Whether the user has the same key, or says that the fingerprint is right; `errors` say why not."""
        if fields.get(CONF_PUBLIC_KEY):
            typed = self._read_public_key(fields, errors)
            if typed is not None and typed.public_key != self._shown_key:
                errors[CONF_PUBLIC_KEY] = "other_public_key"
        elif not fields[CONF_FINGERPRINT_MATCHES]:
            errors[CONF_FINGERPRINT_MATCHES] = "not_compared"
        return not errors

    def _read_public_key(self, fields: Mapping[str, Any], errors: dict[str, str]) -> RawPublicKey | None:
        try:
            return RawPublicKey(read_public_key(str(fields[CONF_PUBLIC_KEY]).encode()))
        except CredentialError as error:
            errors[CONF_PUBLIC_KEY], self._detail = "not_usable", str(error)
            return None

    # By hand

    async def async_step_manual_rpk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the endpoint name and the public key of a device."""
        errors: dict[str, str] = {}
        self._form = "manual_rpk"
        if user_input is not None:
            self._endpoint = read_endpoint(user_input, errors)
            credential = self._read_public_key(user_input, errors)
            if credential is not None and not errors:
                await self._claim_endpoint()
                if self._accept(credential, errors):
                    return await self.async_step_show_server()
        return self.async_show_form(
            step_id="manual_rpk",
            data_schema=self.add_suggested_values_to_schema(MANUAL_PUBLIC_KEY_FORM, user_input or self._typed),
            errors=errors,
            last_step=False,
            description_placeholders={"error": self._detail},
        )

    async def async_step_set_rpk(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the public key that a device has from now on."""
        errors: dict[str, str] = {}
        self._form = "set_rpk"
        if user_input is not None:
            credential = self._read_public_key(user_input, errors)
            if credential is not None and self._accept(credential, errors):
                return await self.async_step_show_server()
        return self.async_show_form(
            step_id="set_rpk",
            data_schema=self.add_suggested_values_to_schema(SET_PUBLIC_KEY_FORM, user_input),
            errors=errors,
            last_step=False,
            description_placeholders={"name": self._name, "error": self._detail},
        )
