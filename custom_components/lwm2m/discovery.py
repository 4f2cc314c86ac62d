"""Cards for devices that call and are not known.

What a card shows is what the caller claims: it is printable and short, and there are never more than a few cards. The
data of a card stays the same however often a device calls, since that is how Home Assistant tells cards apart.
"""

import logging
import time
from dataclasses import dataclass

from homeassistant.config_entries import SOURCE_INTEGRATION_DISCOVERY, ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import BaseServiceInfo
from homeassistant.helpers import discovery_flow

from .const import DOMAIN
from .entry_data import claim_of, entry_of_claim
from .security.credential import Credential, SecurityMode
from .server.pending import Pending, Unknown

_LOGGER = logging.getLogger(__name__)

MAX_CARDS = 20
CARD_LIFE = 86_400.0
"""Seconds of silence after which a card is withdrawn."""


@dataclass(slots=True)
class Caller(BaseServiceInfo):
    """A device that called: the initial data of a discovery flow. Nothing of it is proven.

    `claim_hex` is its PSK identity, its public key or certificate (DER), or its endpoint name (NoSec).
    """

    key: str
    mode: str
    name: str
    claim_hex: str
    host: str

    @property
    def claim(self) -> bytes:
        """What it called with."""
        return bytes.fromhex(self.claim_hex)


def _title(peer: Unknown) -> str:
    """What a card is called. Nobody has proven anything yet; without security nobody ever does."""
    match peer.mode:
        case SecurityMode.RPK:
            return f"Raw public key {peer.identity}"
        case SecurityMode.NOSEC:
            return f"{peer.identity} (unproven)"
    return peer.identity


@callback
def async_found(hass: HomeAssistant, peer: Unknown) -> None:
    """Show a card for a device that called, unless it belongs to an entry (which may be disabled)."""
    if entry_of_claim(hass, peer.mode, peer.identity_bytes) is not None:
        return
    cards = hass.config_entries.flow.async_progress_by_handler(
        DOMAIN, include_uninitialized=True, match_context={"source": SOURCE_INTEGRATION_DISCOVERY}
    )
    if len(cards) >= MAX_CARDS:
        _LOGGER.debug("%s called, but there are %s cards already", peer.identity, len(cards))
        return
    discovery_flow.async_create_flow(
        hass,
        DOMAIN,
        context={"source": SOURCE_INTEGRATION_DISCOVERY, "title_placeholders": {"name": _title(peer)}},
        data=Caller(peer.key, peer.mode.value, peer.identity, peer.identity_bytes.hex(), peer.host),
        discovery_key=discovery_flow.DiscoveryKey(domain=DOMAIN, key=peer.key, version=1),
    )


@callback
def async_entry_removed(hass: HomeAssistant, entry: ConfigEntry, pending: Pending) -> None:
    """An entry that began as a card is gone, be it a device or an ignored card: the caller may have a card again."""
    for key in entry.discovery_keys.get(DOMAIN, ()):
        if isinstance(key.key, str) and (peer := pending.unknown.get(key.key)) is not None:
            async_found(hass, peer)


@callback
def async_withdraw(hass: HomeAssistant, endpoint: str, credential: Credential | None) -> None:
    """A device with this credential has an entry: its cards go, unless somebody is in the middle of one."""
    unproven = SecurityMode.NOSEC.value, endpoint.encode().hex()
    gone = {unproven}
    if credential is not None and (claim := claim_of(credential)) is not None:
        gone.add((credential.mode.value, claim.hex()))
    hass.config_entries.flow.async_dismiss_discovery_flows(
        Caller, lambda caller: (caller.mode, caller.claim_hex) in gone
    )


@callback
def async_withdraw_unproven(hass: HomeAssistant, pending: Pending) -> None:
    """There is no port without security any more: who came by it cannot be taken for what it says."""
    for peer in list(pending.unknown.values()):
        if peer.mode is SecurityMode.NOSEC:
            pending.forget(peer.key)
    hass.config_entries.flow.async_dismiss_discovery_flows(
        Caller, lambda caller: caller.mode == SecurityMode.NOSEC.value
    )


@callback
def async_withdraw_all(hass: HomeAssistant) -> None:
    """There is no server any more: nobody can be paired."""
    hass.config_entries.flow.async_dismiss_discovery_flows(Caller, lambda _caller: True)


@callback
def async_withdraw_stale(hass: HomeAssistant, pending: Pending) -> None:
    """Take away the cards of devices that have been silent for a day."""
    oldest = time.time() - CARD_LIFE
    for peer in list(pending.unknown.values()):
        if peer.last < oldest:
            pending.forget(peer.key)
    hass.config_entries.flow.async_dismiss_discovery_flows(Caller, lambda caller: caller.key not in pending.unknown)
