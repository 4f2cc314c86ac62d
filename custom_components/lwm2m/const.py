"""Names that the glue shares."""

from typing import TYPE_CHECKING, Final

from homeassistant.util.hass_dict import HassKey

if TYPE_CHECKING:
    from .hub import Hub

DOMAIN: Final = "lwm2m"
DATA_HUB: HassKey[Hub] = HassKey(DOMAIN)

SERVER_UNIQUE_ID: Final = "server"
SERVER_TITLE: Final = "LwM2M server"

KIND_DEVICE: Final = "device"

CONF_KIND: Final = "kind"
CONF_ENDPOINT: Final = "endpoint"
CONF_MODE: Final = "mode"
CONF_IDENTITY: Final = "identity"
CONF_IDENTITY_HEX: Final = "identity_hex"
CONF_KEY: Final = "key"
CONF_PUBLIC_KEY: Final = "public_key"
CONF_CERTIFICATE: Final = "certificate"
CONF_AUTHORITY: Final = "authority"
CONF_FINGERPRINT_MATCHES: Final = "fingerprint_matches"
CONF_SHOWN: Final = "shown"

CONF_AUTHORITIES: Final = "authorities"

CONF_PORTS: Final = "ports"
CONF_PORT: Final = "port"
CONF_INTERFACE: Final = "interface"
CONF_SUITES: Final = "suites"
CONF_NOSEC: Final = "nosec"
CONF_ENABLED: Final = "enabled"

ALL_INTERFACES: Final = "all"
DEFAULT_PORT: Final = 5684
DEFAULT_NOSEC_PORT: Final = 5683

MAX_ENDPOINT_LENGTH: Final = 255


def device_unique_id(endpoint: str) -> str:
    """Return the unique id of a device's entry."""
    return f"device_{endpoint}"
