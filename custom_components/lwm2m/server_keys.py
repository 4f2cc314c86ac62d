"""ServerKeys: what the server proves itself with, in a private file: the active identity, and another one beside it.

The other one is either the next, made or given and not yet in use, or the one before, kept for the way back.
"""

import logging
import socket
from base64 import b64encode
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from homeassistant.util.ulid import ulid

from . import issues
from .const import DOMAIN
from .listening import async_addresses
from .security.certificate import facts_of
from .security.credential import CredentialError
from .security.server_identity import MAX_NAMES, ServerIdentity, alternative_names
from .server.server import Server
from .storage import PrivateFile, set_aside

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptIdentity:
    """`key_id` tells one from another and is no secret; `created` is an ISO 8601 time."""

    key_id: str
    identity: ServerIdentity
    created: str


class KeyFile(PrivateFile[dict[str, Any]]):
    """The file in which they are."""

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(hass, f"{DOMAIN}_server_keys")


class ServerKeys:
    """`active` is in use, or will be when the server starts; there is one from `async_load` on.

    What changes them raises OSError where that cannot be kept; then nothing has changed.
    """

    active: KeptIdentity

    def __init__(self, hass: HomeAssistant, server: Server) -> None:
        self._hass = hass
        self._server = server
        self._file = KeyFile(hass)
        self._loaded = False
        self._in_the_way = False
        self.other: KeptIdentity | None = None

    async def async_load(self) -> None:
        """Load them, or make the first; a file that cannot be used is set aside, and the user told."""
        if self._loaded:
            return
        path = Path(self._file.path)
        existed = await self._hass.async_add_executor_job(path.exists)
        try:
            data = await self._file.async_load()
            kept = None if data is None else [_from_json(one) for one in data["identities"]]
            if data is None and existed:
                # It is no JSON: Home Assistant has set it aside itself.
                issues.async_server_keys_lost(self._hass, f"{path}.corrupt.*")
        except (HomeAssistantError, NotImplementedError, LookupError, TypeError, ValueError, AttributeError) as error:
            where = await self._hass.async_add_executor_job(set_aside, path)
            self._in_the_way = where is None
            _LOGGER.warning("%s cannot be used (%s); kept as %s", path, type(error).__name__, where or path)
            issues.async_server_keys_lost(self._hass, str(where or path))
            kept = None
        if kept:
            self.active, self.other = kept[0], kept[1] if len(kept) > 1 else None
        else:
            self.active = _keep(await self._hass.async_add_executor_job(self._generate, await self.async_names()))
            try:
                await self._save(self.active, None)
            except OSError as error:
                # Devices go on with the present key until Home Assistant ends: better than none at all.
                _LOGGER.error("The key of the server cannot be kept: %s", error)  # noqa: TRY400
        self._loaded = True
        self._server.set_server_identity(self.active.identity)

    async def async_names(self) -> list[str]:
        """Return the names by which devices may call this machine."""
        host = await self._hass.async_add_executor_job(socket.gethostname)
        addresses = [one for one in await async_addresses(self._hass) if not ip_address(one).is_loopback]
        return [*([] if host in ("", "localhost") else [host, f"{host.partition('.')[0]}.local"]), *addresses]

    @staticmethod
    def _generate(names: list[str]) -> ServerIdentity:
        return ServerIdentity.generate([name for name in dict.fromkeys(names) if _can_be_named(name)][:MAX_NAMES])

    async def async_take(self, identity: ServerIdentity) -> None:
        """Keep this one beside the active one."""
        other = _keep(identity)
        await self._save(self.active, other)
        self.other = other

    async def async_switch(self) -> None:
        """Use the other one for all handshakes from now on, and keep the active one for the way back."""
        if self.other is None:
            return
        await self._save(self.other, self.active)
        self.active, self.other = self.other, self.active
        self._server.set_server_identity(self.active.identity)

    async def async_delete_other(self) -> None:
        """Forget the one that is not in use."""
        await self._save(self.active, None)
        self.other = None

    async def async_remove(self) -> None:
        """The server's entry is gone, and its keys with it; the next one has others."""
        await self._file.async_remove()
        self._loaded = False
        self.other = None

    def find(self, key_id: str) -> KeptIdentity | None:
        """Return the one of this id, where it is kept."""
        kept = (self.active, self.other) if self._loaded else ()
        return next((one for one in kept if one is not None and one.key_id == key_id), None)

    async def _save(self, active: KeptIdentity, other: KeptIdentity | None) -> None:
        if self._in_the_way:
            raise OSError(f"{self._file.path} is in the way: it can neither be read nor renamed")
        kept = [active] if other is None else [active, other]
        await self._file.async_save({"identities": [_to_json(one) for one in kept]})


def _can_be_named(name: str) -> bool:
    """Whether a certificate can carry a name: that of a machine may be any."""
    try:
        alternative_names([name])
    except CredentialError:
        return False
    return True


def _keep(identity: ServerIdentity) -> KeptIdentity:
    return KeptIdentity(ulid(), identity, dt_util.utcnow().isoformat(timespec="seconds"))


def _to_json(kept: KeptIdentity) -> dict[str, str]:
    identity = kept.identity
    return {
        "id": kept.key_id,
        "created": kept.created,
        "private_key": identity.private_key_pem().decode(),
        "chain": identity.chain_pem().decode(),
    }


def _from_json(data: dict[str, str]) -> KeptIdentity:
    identity = ServerIdentity.from_pem(data["private_key"].encode(), data["chain"].encode())
    return KeptIdentity(str(data["id"]), identity, str(data["created"]))


def describe_identity(kept: KeptIdentity) -> dict[str, str]:
    """Return what texts say of an identity, by placeholder; fingerprints and coordinates are in hexadecimal."""
    identity = kept.identity
    facts = facts_of(identity.certificate)
    return {
        "public_key_fingerprint": identity.public_key_fingerprint,
        "certificate_fingerprint": identity.certificate_fingerprint,
        "names": ", ".join(f"`{issues.quoted(name)}`" for name in identity.names) or "-",
        "valid": f"{facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}",
        "created": kept.created,
        "public_key_base64": b64encode(identity.public_key).decode(),
        "certificate_base64": b64encode(identity.certificate).decode(),
        "x": identity.x.hex(),
        "y": identity.y.hex(),
    }
