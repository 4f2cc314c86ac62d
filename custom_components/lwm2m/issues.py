"""Repair issues: what the user must mend."""

from collections.abc import Mapping
from pathlib import Path

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_ENDPOINT, DOMAIN
from .entry_data import credential_of, device_entries, mode_of
from .security.certificate import names_of
from .security.credential import Certificate, Psk, RawPublicKey, SecurityMode
from .security.identity import fingerprint, printable

_NO_SERVER = "no_server"
_BAD_OBJECT = "bad_object_"
_CONSTRAINED_ENGINE = "constrained_engine"


@callback
def async_no_server(hass: HomeAssistant, *, missing: bool) -> None:
    """Say that there are devices and no server, or say it no more."""
    if missing:
        ir.async_create_issue(
            hass,
            DOMAIN,
            _NO_SERVER,
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key="no_server",
        )
    else:
        ir.async_delete_issue(hass, DOMAIN, _NO_SERVER)


def is_constrained(engine: str | None) -> bool:
    """Whether this is the engine that knows one cipher suite only."""
    return engine is not None and engine.startswith("tinydtls")


@callback
def async_constrained_engine(hass: HomeAssistant, engine: str) -> None:
    """Say that the server runs on the engine that knows one cipher suite only, or say it no more."""
    if is_constrained(engine):
        ir.async_create_issue(
            hass,
            DOMAIN,
            _CONSTRAINED_ENGINE,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="constrained_engine",
            translation_placeholders={"engine": engine},
        )
    else:
        ir.async_delete_issue(hass, DOMAIN, _CONSTRAINED_ENGINE)


@callback
def async_bad_objects(hass: HomeAssistant, folder: Path, problems: Mapping[str, str]) -> None:
    """Say which files of the user's objects cannot be used and why, and no more of those that can be now."""
    ids = {f"{_BAD_OBJECT}{name}": name for name in problems}
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(_BAD_OBJECT) and issue_id not in ids:
            ir.async_delete_issue(hass, DOMAIN, issue_id)
    for issue_id, name in ids.items():
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="bad_object",
            translation_placeholders={
                "file": literal(name),
                "folder": literal(str(folder)),
                "error": literal(problems[name]),
            },
        )


@callback
def async_store_set_aside(hass: HomeAssistant, kept: str, error: str) -> None:
    """Say that what was known of the devices could not be used, and where it is now."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        "store_set_aside",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="store_set_aside",
        translation_placeholders={"path": literal(kept), "error": literal(error)},
    )


@callback
def async_store_not_saved(hass: HomeAssistant, error: OSError | None) -> None:
    """Say that what is known of the devices cannot be saved, or (None) say it no more."""
    if error is None:
        ir.async_delete_issue(hass, DOMAIN, "store_not_saved")
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        "store_not_saved",
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key="store_not_saved",
        translation_placeholders={"error": literal(str(error))},
    )


@callback
def async_server_keys_lost(hass: HomeAssistant, kept: str) -> None:
    """Say that the server has a new key since the old one could not be read, and who must be told."""
    public = (SecurityMode.RPK, SecurityMode.CERTIFICATE)
    devices = [
        f"`{quoted(entry.data[CONF_ENDPOINT])}`" for entry in device_entries(hass) if mode_of(entry.data) in public
    ]
    ir.async_create_issue(
        hass,
        DOMAIN,
        "server_keys_lost",
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key="server_keys_lost",
        translation_placeholders={"path": literal(kept), "devices": ", ".join(devices) or "-"},
    )


@callback
def async_shared_identity(hass: HomeAssistant, identity: str, caller: str) -> bool:
    """Say that a device called with the identity of another one, or return False if that has no entry.

    `identity` and `caller` are printable.
    """
    entry = next((entry for entry in device_entries(hass) if _label(entry) == identity), None)
    if entry is None:
        return False
    ir.async_create_issue(
        hass,
        DOMAIN,
        _shared_identity(entry.entry_id),
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="shared_identity",
        translation_placeholders={
            "identity": quoted(identity),
            "device": quoted(entry.data[CONF_ENDPOINT]),
            "caller": quoted(caller),
        },
    )
    return True


@callback
def async_identity_free(hass: HomeAssistant, entry_id: str) -> None:
    """The entry is gone, or has another credential: nobody shares its identity any more."""
    ir.async_delete_issue(hass, DOMAIN, _shared_identity(entry_id))


def _label(entry: ConfigEntry) -> str | None:
    """What a device of this entry is called in a refusal."""
    credential = credential_of(entry.data)
    match credential:
        case Psk(identity=identity):
            return printable(identity)
        case RawPublicKey(public_key=public_key):
            return fingerprint(public_key)
        case Certificate(certificate=bytes(certificate)):
            common_name, _ = names_of(certificate) or (None, ())
            return printable(common_name) if common_name else fingerprint(certificate)
    return None


def _shared_identity(entry_id: str) -> str:
    return f"shared_identity_{entry_id}"


def literal(text: str) -> str:
    """Return a text of this machine, such as the path of a file, fit to stand between backticks in Markdown."""
    return "".join(filter(str.isprintable, text)).replace("`", "'")


def quoted(name: str) -> str:
    """Return a name that a device gave, fit to stand between backticks in Markdown."""
    return printable(name).replace("`", "'")
