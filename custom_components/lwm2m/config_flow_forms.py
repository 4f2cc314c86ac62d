"""The forms of the flows: their fields, and what is read from them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import voluptuous as vol
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    QrCodeSelector,
    QrCodeSelectorConfig,
    QrErrorCorrectionLevel,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .const import (
    ALL_INTERFACES,
    CONF_AUTHORITY,
    CONF_CERTIFICATE,
    CONF_ENDPOINT,
    CONF_FINGERPRINT_MATCHES,
    CONF_IDENTITY,
    CONF_INTERFACE,
    CONF_KEY,
    CONF_PORT,
    CONF_PORTS,
    CONF_PUBLIC_KEY,
    DEFAULT_PORT,
    MAX_ENDPOINT_LENGTH,
)
from .listening import async_addresses
from .security.credential import CredentialError, KeyFormatError, Psk, SecurityMode, generate_psk_key, parse_key
from .security.server_identity import ServerIdentity
from .uploads import LINES, file_field, file_selector

type Form = Any
"""A schema. Home Assistant replaces voluptuous by its own, whose types are not those of the package."""

CONF_QR: Final = "qr_code"

TEXT = TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT, autocomplete="off"))
SECRET = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
PORT = NumberSelector(NumberSelectorConfig(min=1, max=65535, step=1, mode=NumberSelectorMode.BOX))

MATCHES = BooleanSelector()
PEM_FILE = file_selector(".pem", ".crt", ".cer", ".der")

PSK_FORM: Form = vol.Schema({vol.Required(CONF_KEY): SECRET})
MANUAL_PSK_FORM: Form = vol.Schema(
    {vol.Required(CONF_ENDPOINT): TEXT, vol.Optional(CONF_IDENTITY): TEXT, vol.Optional(CONF_KEY): SECRET}
)
SET_PSK_FORM: Form = vol.Schema({vol.Required(CONF_IDENTITY): TEXT, vol.Optional(CONF_KEY): SECRET})

COMPARE_PUBLIC_KEY_FORM: Form = vol.Schema(
    {vol.Required(CONF_FINGERPRINT_MATCHES, default=False): MATCHES, vol.Optional(CONF_PUBLIC_KEY): LINES}
)
MANUAL_PUBLIC_KEY_FORM: Form = vol.Schema({vol.Required(CONF_ENDPOINT): TEXT, vol.Required(CONF_PUBLIC_KEY): LINES})
SET_PUBLIC_KEY_FORM: Form = vol.Schema({vol.Required(CONF_PUBLIC_KEY): LINES})

_CERTIFICATE: dict[Any, Any] = {
    vol.Optional(CONF_CERTIFICATE): LINES,
    vol.Optional(file_field(CONF_CERTIFICATE)): PEM_FILE,
}
COMPARE_CERTIFICATE_FORM: Form = vol.Schema(
    {vol.Required(CONF_FINGERPRINT_MATCHES, default=False): MATCHES, **_CERTIFICATE}
)
MANUAL_CERTIFICATE_FORM: Form = vol.Schema({vol.Required(CONF_ENDPOINT): TEXT, **_CERTIFICATE})
SET_CERTIFICATE_FORM: Form = vol.Schema(_CERTIFICATE)
AUTHORITY_FORM: Form = vol.Schema(
    {vol.Optional(CONF_AUTHORITY): LINES, vol.Optional(file_field(CONF_AUTHORITY)): PEM_FILE}
)

ENDPOINT_FORM: Form = vol.Schema({vol.Required(CONF_ENDPOINT): TEXT})
EMPTY_FORM: Form = vol.Schema({})


async def async_server_form(hass: HomeAssistant, present: str = "") -> Form:
    """Return the form of the server's settings. The address `present` may be kept, even where it is gone now."""
    addresses = [ALL_INTERFACES, *await async_addresses(hass)]
    if present and present not in addresses:
        addresses.append(present)
    interface = SelectSelector(
        SelectSelectorConfig(options=addresses, mode=SelectSelectorMode.DROPDOWN, translation_key="interface")
    )
    ports: Form = vol.Schema(
        {
            vol.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
            vol.Required(CONF_INTERFACE, default=ALL_INTERFACES): interface,
        }
    )
    return vol.Schema({vol.Required(CONF_PORTS): section(ports, {"collapsed": False})})


def show_key_form(endpoint: str, identity: bytes, key: bytes, uri: str) -> Form:
    """Return the form that shows a key: as text that can be selected and copied, and as a picture."""
    settings = {"uri": uri, "endpoint": endpoint, "identity": identity.decode(errors="replace"), "key": key.hex()}
    return vol.Schema(
        {
            vol.Required(CONF_KEY, default=key.hex()): TEXT,
            vol.Optional(CONF_QR, default=""): QrCodeSelector(
                QrCodeSelectorConfig(
                    data=json.dumps(settings, separators=(",", ":")),
                    scale=4,
                    error_correction_level=QrErrorCorrectionLevel.MEDIUM,
                )
            ),
        }
    )


def show_server_form(identity: ServerIdentity, mode: SecurityMode) -> Form:
    """Return the form that shows by what a device knows this server, as text that can be selected and copied."""
    if mode is SecurityMode.RPK:
        return vol.Schema({vol.Optional(CONF_PUBLIC_KEY, default=identity.public_key_pem().decode()): LINES})
    return vol.Schema({vol.Optional(CONF_CERTIFICATE, default=identity.chain_pem().decode()): LINES})


def read_endpoint(fields: Mapping[str, Any], errors: dict[str, str]) -> str:
    """Return the endpoint name of a form; what is wrong with it is put into `errors`."""
    endpoint = str(fields[CONF_ENDPOINT]).strip()
    if not endpoint or len(endpoint.encode()) > MAX_ENDPOINT_LENGTH or not endpoint.isprintable():
        errors[CONF_ENDPOINT] = "bad_endpoint"
    return endpoint


def read_psk(fields: Mapping[str, Any], identity: bytes, errors: dict[str, str]) -> Psk | None:
    """Return the credential of a form, with a new key where none was typed; None if `errors` say why not."""
    key = generate_psk_key()
    if typed := fields.get(CONF_KEY):
        try:
            key = parse_key(typed)
        except KeyFormatError as error:
            errors[CONF_KEY] = _KEY_PROBLEMS.get(error.problem, "key_format")
    if identity:
        with suppress(CredentialError):
            credential = Psk(identity, key)
            return None if errors else credential
    errors[CONF_IDENTITY] = "bad_identity"
    return None


_KEY_PROBLEMS: Final = {"empty_key": "empty_key", "key_too_long": "key_too_long"}
