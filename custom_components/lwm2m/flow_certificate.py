"""The steps of the flows that ask for a certificate: a pinned one, or any of a trusted CA that names the endpoint.

A certificate that a device shows in a handshake proves nothing by itself: either a person has compared it, or a CA that
the user trusts has signed it.
"""

import datetime as dt
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.util import dt as dt_util

from .config_flow_forms import (
    AUTHORITY_FORM,
    COMPARE_CERTIFICATE_FORM,
    MANUAL_CERTIFICATE_FORM,
    SET_CERTIFICATE_FORM,
    read_endpoint,
)
from .const import CONF_AUTHORITY, CONF_CERTIFICATE, CONF_FINGERPRINT_MATCHES, DATA_HUB
from .discovery import Caller
from .entry_data import authorities_of, entry_of_endpoint, server_entry
from .issues import quoted
from .pairing_flow import PairingFlow
from .security.certificate import facts_of, names_of
from .security.credential import Certificate, CredentialError
from .security.pem import read_authorities, read_certificate
from .uploads import async_read_field, file_field

NONE = "-"
"""What a table shows where there is nothing."""


class CertificateSteps(PairingFlow):
    """`_shown_certificate` is the one that the device has shown, `_known_certificate` the one on file; both are DER."""

    def __init__(self) -> None:
        super().__init__()
        self._shown_certificate = b""
        self._known_certificate: bytes | None = None

    # A device that called

    async def _begin_certificate(self, caller: Caller) -> ConfigFlowResult:
        self._shown_certificate = caller.claim
        return await self.async_step_certificate()

    async def async_step_certificate(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask why the certificate of a device that called is to be trusted."""
        return self._ask_why("certificate")

    async def async_step_reauth_certificate(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask why the certificate with which a device calls now is to be trusted."""
        return self._ask_why("reauth_certificate")

    def _ask_why(self, step: str) -> ConfigFlowResult:
        self._look()
        return self.async_show_menu(
            step_id=step,
            menu_options=["pin_certificate", "by_authority"],
            description_placeholders=self._about_certificate(),
        )

    def _about_certificate(self) -> dict[str, str]:
        facts = facts_of(self._shown_certificate)
        known = self._known_certificate
        return {
            "name": self._name,
            "host": quoted(self._host or ""),
            "subject": quoted(facts.subject),
            "issuer": quoted(facts.issuer),
            "valid": f"{_day(facts.not_before)} to {_day(facts.not_after)}",
            "fingerprint": sha256(self._shown_certificate).hexdigest(),
            "known": NONE if known is None else sha256(known).hexdigest(),
        }

    async def async_step_pin_certificate(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the certificate with which a device called is its own."""
        errors: dict[str, str] = {}
        self._form = "pin_certificate"
        if user_input is not None:
            self._error = None
            if await self._is_compared_certificate(user_input, errors) and self._accept(
                Certificate(self._shown_certificate), errors
            ):
                return await self._begin()
        else:
            self._said(errors, "base")
        return self.async_show_form(
            step_id="pin_certificate",
            data_schema=self.add_suggested_values_to_schema(COMPARE_CERTIFICATE_FORM, _without_files(user_input)),
            errors=errors,
            last_step=False,
            description_placeholders={**self._about_certificate(), "error": self._detail},
        )

    async def _is_compared_certificate(self, fields: Mapping[str, Any], errors: dict[str, str]) -> bool:
        typed = await self._read_certificate(fields, errors)
        if typed is not None:
            if typed != self._shown_certificate:
                errors[CONF_CERTIFICATE] = "other_certificate"
        elif not errors and not fields[CONF_FINGERPRINT_MATCHES]:
            errors[CONF_FINGERPRINT_MATCHES] = "not_compared"
        return not errors

    async def async_step_by_authority(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the CA that has signed the certificate, unless it is trusted already."""
        errors: dict[str, str] = {}
        self._form = "by_authority"
        _, names = names_of(self._shown_certificate) or (None, ())
        if user_input is not None:
            self._error = None
            if not names or self._endpoint not in (None, *names):
                errors["base"] = "no_name"
            elif self._endpoint is None and entry_of_endpoint(self.hass, names[0]) is not None:
                return self._abort_for(names[0], "endpoint_in_use")
            elif await self._trust(user_input, errors):
                self._endpoint = self._endpoint or names[0]
                if self._accept(Certificate(), errors):
                    return await self._begin()
        else:
            self._said(errors, "base")
        return self.async_show_form(
            step_id="by_authority",
            data_schema=self.add_suggested_values_to_schema(AUTHORITY_FORM, _without_files(user_input)),
            errors=errors,
            last_step=False,
            description_placeholders={
                **self._about_certificate(),
                "names": ", ".join(f"`{quoted(name)}`" for name in names) or NONE,
                "authorities": self._authorities(),
                "error": self._detail,
            },
        )

    async def _trust(self, fields: Mapping[str, Any], errors: dict[str, str]) -> bool:
        """Trust the CAs of a form from now on; False where no CA is trusted then, and `errors` say why."""
        try:
            typed = await async_read_field(self.hass, fields, CONF_AUTHORITY)
            if typed is not None:
                await self.hass.data[DATA_HUB].async_trust(read_authorities(typed, dt_util.utcnow()))
        except CredentialError as error:
            errors[CONF_AUTHORITY], self._detail = "not_usable", str(error)
            return False
        if not self._trusted():
            errors["base"] = "no_authority"
        return not errors

    def _trusted(self) -> tuple[bytes, ...]:
        entry = server_entry(self.hass)
        return () if entry is None else authorities_of(entry.data)

    def _authorities(self) -> str:
        """Return the trusted CAs as a text."""
        return ", ".join(f"`{quoted(facts_of(der).subject)}`" for der in self._trusted()) or NONE

    async def _read_certificate(self, fields: Mapping[str, Any], errors: dict[str, str]) -> bytes | None:
        """Return the certificate of a form; None where there is none, or `errors` say what is wrong with it."""
        try:
            typed = await async_read_field(self.hass, fields, CONF_CERTIFICATE)
            return None if typed is None else read_certificate(typed, dt_util.utcnow())
        except CredentialError as error:
            errors[CONF_CERTIFICATE], self._detail = "not_usable", str(error)
            return None

    # By hand

    async def async_step_manual_certificate(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the endpoint name of a device, and its certificate unless a trusted CA has signed that."""
        errors: dict[str, str] = {}
        self._form = "manual_certificate"
        if user_input is not None:
            self._error = None
            self._endpoint = read_endpoint(user_input, errors)
            credential = await self._read_pinned_or_any(user_input, errors)
            if credential is not None and not errors:
                await self._claim_endpoint()
                if self._accept(credential, errors):
                    return await self.async_step_show_server()
        else:
            self._said(errors, "base")
        fields = _without_files(user_input) or self._typed
        return self.async_show_form(
            step_id="manual_certificate",
            data_schema=self.add_suggested_values_to_schema(MANUAL_CERTIFICATE_FORM, fields),
            errors=errors,
            last_step=False,
            description_placeholders={"authorities": self._authorities(), "error": self._detail},
        )

    async def async_step_set_certificate(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the certificate that a device has from now on, unless a trusted CA has signed it."""
        errors: dict[str, str] = {}
        self._form = "set_certificate"
        if user_input is not None:
            self._error = None
            credential = await self._read_pinned_or_any(user_input, errors)
            if credential is not None and self._accept(credential, errors):
                return await self.async_step_show_server()
        else:
            self._said(errors, "base")
        return self.async_show_form(
            step_id="set_certificate",
            data_schema=self.add_suggested_values_to_schema(SET_CERTIFICATE_FORM, _without_files(user_input)),
            errors=errors,
            last_step=False,
            description_placeholders={
                "name": self._name,
                "authorities": self._authorities(),
                "error": self._detail,
            },
        )

    async def _read_pinned_or_any(self, fields: Mapping[str, Any], errors: dict[str, str]) -> Certificate | None:
        certificate = await self._read_certificate(fields, errors)
        if certificate is None and not errors and not self._trusted():
            errors["base"] = "no_authority"
        return None if errors else Certificate(certificate)


def _day(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _without_files(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a form is shown again with. A file can be read once, so it has to be chosen anew."""
    if fields is None:
        return None
    files = (file_field(CONF_CERTIFICATE), file_field(CONF_AUTHORITY))
    return {name: value for name, value in fields.items() if name not in files}
