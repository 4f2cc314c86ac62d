"""The second half of the flows: from a credential to a device that has proven it, or to an entry that waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .config_flow_forms import EMPTY_FORM, ENDPOINT_FORM, read_endpoint, show_server_form
from .const import CONF_ENDPOINT, DATA_HUB, DOMAIN, device_unique_id
from .discovery import Caller
from .entry_data import claim_of, device_data, entry_of_claim
from .issues import literal, quoted
from .listening import async_present_uri
from .pairing import PATIENCE, Outcome, Pairing
from .security.credential import Credential, SecurityMode
from .server.errors import EndpointInUseError, IdentityInUseError
from .server_key_view import async_download_links
from .server_keys import describe_identity

UNSEEN = 5.0
"""Seconds after which a flow whose dialog is closed goes on by itself."""

SEEN = 90.0
"""Seconds after which it does so though its last form was shown: the dialog was closed since."""

DIALOG = 600.0
"""Seconds for which somebody may sit before a dialog without a word from it."""

_UPDATES = (SOURCE_REAUTH, SOURCE_RECONFIGURE)
"""Sources of flows that change an entry instead of making one."""

_IN_USE = {
    SecurityMode.PSK: "identity_in_use",
    SecurityMode.RPK: "public_key_in_use",
    SecurityMode.CERTIFICATE: "certificate_in_use",
}
"""What the forms say of a credential that another device has."""

_ENDS_WITH_DIALOG = (SOURCE_USER, SOURCE_RECONFIGURE)
"""Sources of flows that are deleted when their dialog is closed."""


class PairingFlow(ConfigFlow):
    """The steps that wait for a device, and those that come of it.

    `_endpoint` is the name that the user typed, or that of the entry; what the device registers with may differ.
    `_label` is what it is called before that is known, `_host` where it called from, if it did.
    `_form` is the step that asked for the credential, `_error` what that step has to say when it is shown again, with
    `_detail` in it.
    """

    _pairing: Pairing
    """Set by `_accept`, which comes before all steps here."""

    def __init__(self) -> None:
        self._endpoint: str | None = None
        self._label = ""
        self._host: str | None = None
        self._generated = False
        self._form = ""
        self._error: str | None = None
        self._detail = ""
        self._shown = False
        self._looked_at = -DIALOG
        self._wrong_keys = 0
        self._close: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancel_timer: Callable[[], None] | None = None
        self._go_on = False

    @property
    def _name(self) -> str:
        """What the device is called in texts, fit for Markdown."""
        return quoted(self._endpoint or self._label)

    def _claims(self, caller: Caller) -> None:
        """Go on with what a caller said."""
        self._label = caller.name
        self._host = caller.host

    @property
    def _typed(self) -> dict[str, str]:
        """What a form by hand is shown again with."""
        return {} if self._endpoint is None else {CONF_ENDPOINT: self._endpoint}

    async def _claim_endpoint(self) -> None:
        """Take the unique id of an endpoint that was typed; abort where there is a device of that name already."""
        await self.async_set_unique_id(device_unique_id(self._endpoint or ""), raise_on_progress=False)
        self._abort_if_unique_id_configured()

    def _said(self, errors: dict[str, str], field: str) -> None:
        """Put what went wrong in the last try into the errors of the form that asked."""
        if self._error is not None:
            errors[field] = self._error

    # What the device must be given

    async def async_step_show_server(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show where and how the device finds this server, and the key by which it knows it."""
        if user_input is not None:
            return await self._begin()
        hub = self.hass.data[DATA_HUB]
        kept = hub.keys.active
        return self.async_show_form(
            step_id="show_server",
            data_schema=show_server_form(kept.identity, self._pairing.credential.mode),
            last_step=False,
            description_placeholders={
                "name": self._name,
                "uri": await async_present_uri(self.hass),
                "links": await async_download_links(self.hass, kept),
                **describe_identity(kept),
            },
        )

    # Waiting for the device

    def _accept(self, credential: Credential, errors: dict[str, str]) -> bool:
        """Let a credential in; False if its identity belongs to another device, which `errors` then say."""
        self._let_go()
        holder = entry_of_claim(self.hass, credential.mode, claim_of(credential))
        if holder is None or holder.data[CONF_ENDPOINT] == self._endpoint:
            try:
                pairing = Pairing(self.hass.data[DATA_HUB], credential, self._endpoint, self._host)
            except IdentityInUseError:
                pass
            else:
                self._pairing, self._close = pairing, pairing.close
                return True
        errors["base"] = _IN_USE[credential.mode]
        return False

    async def _begin(self) -> ConfigFlowResult:
        self._pairing.patient()
        return await self.async_step_wait()

    async def async_step_wait(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show that the flow waits, and what it has seen; go on when there is an outcome."""
        pairing = self._pairing
        self._end_timer()
        if self._task is not None and self._task.done() and not self._task.cancelled():
            # A cancelled one means that Home Assistant stops: nothing may begin then.
            self._task = None
            if (step := self._next_step()) is not None:
                return self.async_show_progress_done(next_step_id=step)
        if self._task is None:
            if pairing.outcome is Outcome.NO_ANSWER:
                pairing.patient()
            self._task = self.hass.async_create_background_task(
                pairing.wait(), f"lwm2m wait for {self._name}", eager_start=False
            )
        return self.async_show_progress(
            step_id="wait",
            progress_action=self._progress_action(),
            progress_task=self._task,
            description_placeholders={
                "name": self._name,
                "time": _clock(pairing.last_try),
                "tries": str(pairing.tries),
                **self._hint(),
            },
        )

    def _progress_action(self) -> str:
        if self._pairing.proven:
            return "proven"
        if self._wrong_keys and self._generated:
            return "wrong_so_far"
        if self._pairing.hint is not None:
            return "refused_so_far"
        return "waiting" if self.source in _ENDS_WITH_DIALOG else "waiting_closable"

    def _hint(self) -> dict[str, str]:
        hint = self._pairing.hint
        if hint is None:
            return {}
        return {"time": _clock(hint.at), "host": quoted(hint.host), "detail": literal(hint.detail)}

    def _next_step(self) -> str | None:
        """Return the step that the outcome of the wait leads to, None if the wait goes on."""
        outcome = self._pairing.outcome
        self._pairing.told()
        match outcome:
            case Outcome.REGISTERED:
                self._arm(UNSEEN)
                return "finish"
            case Outcome.REFUSED:
                return "refused"
            case Outcome.NO_SERVER:
                return "no_server"
            case Outcome.NO_ANSWER:
                return "no_answer"
            case Outcome.WRONG_KEY if self._pairing.credential.mode is SecurityMode.CERTIFICATE:
                self._error, self._detail = "certificate_refused", self._pairing.detail
                self._let_go()
                return self._form
            case Outcome.WRONG_KEY:
                self._wrong_keys += 1
                if self._generated:
                    return None
                if self._wrong_keys > 1:
                    return "wrong_key"
                self._error = "wrong_key"
                self._let_go()
                return self._form
        return None

    async def async_step_no_answer(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether to go on waiting."""
        self._go_on_when_registered()
        return self.async_show_menu(
            step_id="no_answer",
            menu_options=["wait", "change_credential", "add_anyway"],
            description_placeholders={"name": self._name, "seconds": str(int(PATIENCE))},
        )

    async def async_step_wrong_key(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask what to do about a device that goes on calling with another key."""
        self._go_on_when_registered()
        return self.async_show_menu(
            step_id="wrong_key",
            menu_options=["change_credential", "wait", "add_anyway"],
            description_placeholders={"name": self._name, "time": _clock(self._pairing.last_try)},
        )

    async def async_step_change_credential(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go back to the form that asked for the credential."""
        self._let_go()
        step: Callable[[], Awaitable[ConfigFlowResult]] = getattr(self, f"async_step_{self._form}")
        return await step()

    # The end

    async def async_step_finish(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the name that the device registered with, then make it an entry."""
        endpoint = self._pairing.endpoint or ""
        self._end_timer()
        if user_input is None and not self._go_on:
            self._arm(SEEN)
            return self.async_show_form(
                step_id="finish",
                data_schema=EMPTY_FORM,
                last_step=True,
                description_placeholders={"endpoint": quoted(endpoint), "name": self._name},
            )
        if self.source in _UPDATES:
            if endpoint != self._endpoint:
                return self._abort_for(endpoint, "other_device")
        elif await self._is_taken(endpoint):
            return self._abort_for(endpoint, "endpoint_in_use")
        try:
            self._pairing.adopt()
        except EndpointInUseError, IdentityInUseError:
            return self._abort_for(endpoint, "endpoint_in_use")
        return self._save(endpoint, "device")

    async def async_step_add_anyway(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Make the entry before the device has proven anything; its endpoint name must then be told."""
        errors: dict[str, str] = {}
        endpoint = self._endpoint
        if user_input is not None:
            endpoint = read_endpoint(user_input, errors)
        if endpoint is None or errors:
            known = {CONF_ENDPOINT: self._label}
            return self.async_show_form(
                step_id="add_anyway",
                data_schema=self.add_suggested_values_to_schema(ENDPOINT_FORM, user_input or known),
                errors=errors,
                last_step=True,
                description_placeholders={"name": self._name},
            )
        if self.source not in _UPDATES and await self._is_taken(endpoint):
            return self._abort_for(endpoint, "endpoint_in_use")
        self._let_go()
        return self._save(endpoint, "device_pending")

    async def _is_taken(self, endpoint: str) -> bool:
        """Take an endpoint's unique id; return whether there is a device of that name already."""
        unique_id = device_unique_id(endpoint)
        await self.async_set_unique_id(unique_id, raise_on_progress=False)
        return self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, unique_id) is not None

    def _save(self, endpoint: str, description: str) -> ConfigFlowResult:
        return self._file(endpoint, self._pairing.credential, description)

    def _file(self, endpoint: str, credential: Credential | None, description: str) -> ConfigFlowResult:
        data = device_data(endpoint, credential)
        if self.source == SOURCE_REAUTH:
            return self.async_update_reload_and_abort(self._get_reauth_entry(), data=data)
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_reload_and_abort(self._get_reconfigure_entry(), data=data)
        return self.async_create_entry(
            title=endpoint,
            data=data,
            description=description,
            description_placeholders={"name": quoted(endpoint)},
        )

    async def async_step_refused(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The device proved its key, and then called itself as another device is called."""
        return self._abort_for(self._pairing.claimed, "endpoint_in_use")

    async def async_step_no_server(self, _user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The server's entry was removed while the flow waited."""
        return self.async_abort(reason="no_server")

    def _abort_for(self, endpoint: str, reason: str) -> ConfigFlowResult:
        placeholders = {"endpoint": quoted(endpoint), "name": self._name}
        return self.async_abort(reason=reason, description_placeholders=placeholders)

    # What outlives a step

    @property
    def _is_open(self) -> bool:
        """Whether somebody works on this flow: the frontend has looked at it, or sent it something, lately."""
        return self._looked_at + DIALOG > self.hass.loop.time() or self._close is not None

    def _look(self) -> None:
        """A form that asks is shown. The first time it is the flow that begins, by itself."""
        self._looked_at = self.hass.loop.time() if self._shown else self._looked_at
        self._shown = True

    def _arm(self, seconds: float) -> None:
        """Go on by itself after a while, if nobody does."""
        self._end_timer()
        self._cancel_timer = async_call_later(self.hass, seconds, self._proceed)

    def _end_timer(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None

    async def _proceed(self, _now: datetime) -> None:
        self._cancel_timer = None
        at_menu = self.cur_step is not None and self.cur_step["type"] is FlowResultType.MENU
        self._go_on = not at_menu
        with suppress(UnknownFlow):
            await self.hass.config_entries.flow.async_configure(
                self.flow_id, {"next_step_id": "wait"} if at_menu else None
            )

    def _go_on_when_registered(self) -> None:
        """Where the dialog may be closed, leave a menu when the device comes after all."""
        if self.source not in _ENDS_WITH_DIALOG:
            self._pairing.on_registered(self._came_late)

    @callback
    def _came_late(self) -> None:
        if self.cur_step is not None and self.cur_step["type"] is FlowResultType.MENU:
            self._arm(UNSEEN)

    def _let_go(self) -> None:
        """End the wait and what it let in."""
        self._end_timer()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._close is not None:
            self._close()
            self._close = None

    @callback
    @override
    def async_remove(self) -> None:
        """The flow is over, or was given up: nobody waits any more."""
        self._let_go()


def _clock(moment: float | None) -> str:
    """Return the local time of day of a moment."""
    return "" if moment is None else dt_util.as_local(dt_util.utc_from_timestamp(moment)).strftime("%H:%M:%S")
