"""The settings of the server: where it listens, what it permits, who it is, and which CAs it trusts.

    init: network | security (▶ nosec_off) ▶ CREATE
          identity: see identity_flow.py
          authorities: add_authority | remove_authority ▶ authorities, done ▶ CREATE

Where and how the server listens are options of its entry, which is reloaded with them. Trusted CAs are data of the
entry: they count at once, and no association ends where one is added.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import voluptuous as vol
from homeassistant.config_entries import ConfigFlowResult, OptionsFlowWithReload
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.util import dt as dt_util

from .config_flow_forms import AUTHORITY_FORM, EMPTY_FORM, PORT, Form, async_server_form
from .const import (
    CONF_AUTHORITIES,
    CONF_AUTHORITY,
    CONF_ENABLED,
    CONF_NOSEC,
    CONF_PORT,
    CONF_PORTS,
    CONF_SUITES,
    DATA_HUB,
    DEFAULT_NOSEC_PORT,
)
from .entry_data import (
    OPTIONAL_SUITES,
    authorities_of,
    credential_of,
    device_entries,
    listen_of,
    listen_options,
    mode_of,
    nosec_port_of,
    policy_of,
)
from .identity_flow import IdentitySteps
from .issues import literal
from .listening import async_try, async_try_nosec, async_try_suites
from .security.certificate import facts_of
from .security.cipher_suite import MANDATORY
from .security.credential import Certificate, CredentialError, SecurityMode
from .security.pem import read_authorities
from .uploads import async_read_field

NONE = "-"
"""What a text shows where there is nothing to name."""


class LwM2MOptionsFlow(IdentitySteps, OptionsFlowWithReload):
    """`_options` are those that wait for a confirmation."""

    _options: Mapping[str, Any]

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what is to be changed."""
        return self.async_show_menu(step_id="init", menu_options=["network", "security", "identity", "authorities"])

    # Where it listens

    async def async_step_network(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where to listen, and try it."""
        errors: dict[str, str] = {}
        present = self.config_entry.options
        if user_input is not None:
            options = {**present, **listen_options(user_input[CONF_PORTS])}
            if (error := await async_try(self.hass, listen_of(options), self.hass.data.get(DATA_HUB))) is None:
                return self.async_create_entry(data=options)
            errors["base"] = error
        form = await async_server_form(self.hass, listen_of(present).host)
        form = self.add_suggested_values_to_schema(form, user_input or present)
        return self.async_show_form(step_id="network", data_schema=form, errors=errors, last_step=True)

    # What it permits

    async def async_step_security(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the cipher suites beside the mandatory ones, and whether devices may come without security."""
        errors: dict[str, str] = {}
        unserved: list[str] = []
        present = self.config_entry.options
        if user_input is not None:
            options = {**present, **_security_options(user_input)}
            if (problem := await async_try_suites(self.hass, options[CONF_SUITES])) is not None:
                errors[CONF_SUITES], unserved = problem
            word = await async_try_nosec(self.hass, listen_of(options), self.hass.data.get(DATA_HUB))
            if word is not None:
                errors["base"] = word
            if not errors:
                self._options = options
                if nosec_port_of(present) is not None and nosec_port_of(options) is None and self._without_security():
                    return await self.async_step_nosec_off()
                return self.async_create_entry(data=options)
        chosen = [suite.name for suite in policy_of(present).suites if suite.name in OPTIONAL_SUITES]
        form = self.add_suggested_values_to_schema(SECURITY_FORM, user_input or {**present, CONF_SUITES: chosen})
        return self.async_show_form(
            step_id="security",
            data_schema=form,
            errors=errors,
            last_step=True,
            description_placeholders={"mandatory": _names(MANDATORY), "unserved": _names(unserved)},
        )

    async def async_step_nosec_off(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the devices that have no security may become unreachable."""
        if user_input is not None:
            return self.async_create_entry(data=self._options)
        return self.async_show_form(
            step_id="nosec_off",
            data_schema=EMPTY_FORM,
            last_step=True,
            description_placeholders={"devices": _names(self._without_security())},
        )

    def _without_security(self) -> list[str]:
        """Return the names of the devices that come without security."""
        return [entry.title for entry in device_entries(self.hass) if mode_of(entry.data) is SecurityMode.NOSEC]

    # Whom it trusts

    async def async_step_authorities(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the trusted CAs, and ask what to do with them."""
        if self.hass.data.get(DATA_HUB) is None:
            return self.async_abort(reason="server_not_running")
        trusted = authorities_of(self.config_entry.data)
        return self.async_show_menu(
            step_id="authorities",
            menu_options=["add_authority", *(["remove_authority"] if trusted else []), "done"],
            description_placeholders={
                "authorities": "\n".join(map(_row, trusted)) or NONE,
                "count": str(len(_by_authority(self.hass))),
            },
        )

    async def async_step_add_authority(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the certificate of a CA."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            try:
                data = await async_read_field(self.hass, user_input, CONF_AUTHORITY)
                if data is not None:
                    await self.hass.data[DATA_HUB].async_trust(read_authorities(data, dt_util.utcnow()))
                    return await self.async_step_authorities()
                errors["base"] = "nothing_given"
            except CredentialError as error:
                errors[CONF_AUTHORITY], detail = "not_usable", str(error)
        # A file can be read once, so it has to be chosen anew.
        typed = {CONF_AUTHORITY: (user_input or {}).get(CONF_AUTHORITY, "")}
        return self.async_show_form(
            step_id="add_authority",
            data_schema=self.add_suggested_values_to_schema(AUTHORITY_FORM, typed),
            errors=errors,
            last_step=False,
            description_placeholders={"error": literal(detail)},
        )

    async def async_step_remove_authority(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which CAs are to be trusted no more."""
        if user_input is not None:
            for fingerprint in user_input[CONF_AUTHORITIES]:
                await self.hass.data[DATA_HUB].async_distrust(fingerprint)
            return await self.async_step_authorities()
        options = [
            SelectOptionDict(value=fingerprint, label=f"{facts_of(der).subject} ({fingerprint[:16]}…)")
            for der in authorities_of(self.config_entry.data)
            if (fingerprint := sha256(der).hexdigest())
        ]
        return self.async_show_form(
            step_id="remove_authority",
            data_schema=vol.Schema({vol.Required(CONF_AUTHORITIES): _several(options, SelectSelectorMode.LIST)}),
            last_step=False,
            description_placeholders={"devices": _names(_by_authority(self.hass))},
        )

    async def async_step_done(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Leave; what was changed counts already."""
        return self.async_create_entry(data=dict(self.config_entry.options))


def _several(options: list[SelectOptionDict], mode: SelectSelectorMode) -> SelectSelector:
    return SelectSelector(SelectSelectorConfig(options=options, multiple=True, mode=mode))


_NOSEC_FORM: Form = vol.Schema(
    {
        vol.Required(CONF_ENABLED, default=False): BooleanSelector(),
        vol.Required(CONF_PORT, default=DEFAULT_NOSEC_PORT): PORT,
    }
)
SECURITY_FORM: Form = vol.Schema(
    {
        vol.Optional(CONF_SUITES, default=list): _several(
            [SelectOptionDict(value=name, label=name) for name in OPTIONAL_SUITES], SelectSelectorMode.DROPDOWN
        ),
        vol.Required(CONF_NOSEC): section(_NOSEC_FORM, {"collapsed": False}),
    }
)


def _security_options(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a server entry, from the fields of its form (whose numbers are floats)."""
    nosec = fields[CONF_NOSEC]
    return {
        CONF_SUITES: [name for name in OPTIONAL_SUITES if name in fields[CONF_SUITES]],
        CONF_NOSEC: {CONF_ENABLED: nosec[CONF_ENABLED], CONF_PORT: int(nosec[CONF_PORT])},
    }


def _by_authority(hass: HomeAssistant) -> list[str]:
    """Return the names of the devices that are let in by any certificate of a trusted CA."""
    return [entry.title for entry in device_entries(hass) if credential_of(entry.data) == Certificate()]


def _row(der: bytes) -> str:
    """Return a line of the list of CAs. A table would be too wide to show all of a fingerprint."""
    facts = facts_of(der)
    valid = f"{facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}"
    return f"- `{literal(facts.subject)}`, valid {valid}: `{sha256(der).hexdigest()}`"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{literal(name)}`" for name in names) or NONE
