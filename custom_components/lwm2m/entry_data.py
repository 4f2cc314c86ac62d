"""What the entries hold: where the server listens, and a device's endpoint name and credential."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .const import (
    ALL_INTERFACES,
    CONF_AUTHORITIES,
    CONF_CERTIFICATE,
    CONF_ENABLED,
    CONF_ENDPOINT,
    CONF_IDENTITY,
    CONF_IDENTITY_HEX,
    CONF_INTERFACE,
    CONF_KEY,
    CONF_KIND,
    CONF_MODE,
    CONF_NOSEC,
    CONF_PORT,
    CONF_PORTS,
    CONF_PUBLIC_KEY,
    CONF_SUITES,
    DEFAULT_NOSEC_PORT,
    DEFAULT_PORT,
    DOMAIN,
    KIND_DEVICE,
    SERVER_UNIQUE_ID,
)
from .security.cipher_suite import SUITES, Status
from .security.credential import Certificate, Credential, Psk, RawPublicKey, SecurityMode
from .security.identity import printable
from .security.policy import Policy

OPTIONAL_SUITES: Final = tuple(suite.name for suite in SUITES.values() if suite.status is Status.OPTIONAL)
"""Names of the cipher suites that a user may allow beside those that the standard demands."""


class Listen(NamedTuple):
    """Where the server listens; the empty host is all interfaces, `nosec` the port without security (None: not one)."""

    host: str
    port: int
    nosec: int | None = None


def listen_options(listen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a server entry, from the fields of its form (whose numbers are floats)."""
    return {CONF_PORTS: {CONF_PORT: int(listen[CONF_PORT]), CONF_INTERFACE: listen[CONF_INTERFACE]}}


def listen_of(options: Mapping[str, Any]) -> Listen:
    """Return where a server with these options listens."""
    ports = options.get(CONF_PORTS, {})
    interface = ports.get(CONF_INTERFACE, ALL_INTERFACES)
    host = "" if interface == ALL_INTERFACES else interface
    return Listen(host, int(ports.get(CONF_PORT, DEFAULT_PORT)), nosec_port_of(options))


def nosec_port_of(options: Mapping[str, Any]) -> int | None:
    """Return the port on which a server with these options takes devices without security, None if it takes none."""
    nosec = options.get(CONF_NOSEC, {})
    return int(nosec.get(CONF_PORT, DEFAULT_NOSEC_PORT)) if nosec.get(CONF_ENABLED) else None


def policy_of(options: Mapping[str, Any]) -> Policy:
    """Return what a server with these options permits. Suites that may not be allowed (any more) are left out."""
    return Policy(name for name in options.get(CONF_SUITES, ()) if name in OPTIONAL_SUITES)


def authorities_of(data: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return the DER certificates of the CAs that a server entry trusts."""
    return tuple(b64decode(authority) for authority in data.get(CONF_AUTHORITIES, ()))


def authorities_data(certificates: Iterable[bytes]) -> dict[str, Any]:
    """Return what these certificates of trusted CAs are in the data of a server entry."""
    return {CONF_AUTHORITIES: [b64encode(certificate).decode() for certificate in certificates]}


def device_data(endpoint: str, credential: Credential | None) -> dict[str, Any]:
    """Return the data of a device entry; without a credential, of a device that has no security.

    An identity that is no text is kept in hexadecimal beside what is shown; public keys and certificates are DER, in
    Base64.
    """
    data = {
        CONF_KIND: KIND_DEVICE,
        CONF_ENDPOINT: endpoint,
        CONF_MODE: (SecurityMode.NOSEC if credential is None else credential.mode).value,
    }
    match credential:
        case Psk(identity=identity, key=key):
            data |= {CONF_IDENTITY: identity_text(identity), CONF_KEY: key.hex()}
            if data[CONF_IDENTITY].encode() != identity:
                data[CONF_IDENTITY_HEX] = identity.hex()
        case RawPublicKey(public_key=public_key):
            data[CONF_PUBLIC_KEY] = b64encode(public_key).decode()
        case Certificate(certificate=bytes(certificate)):
            data[CONF_CERTIFICATE] = b64encode(certificate).decode()
    return data


def mode_of(data: Mapping[str, Any]) -> SecurityMode:
    """Return how the device of an entry proves who it is."""
    return SecurityMode(data[CONF_MODE])


def credential_of(data: Mapping[str, Any]) -> Credential | None:
    """Return the credential of a device entry; None if its device has no security."""
    match mode_of(data):
        case SecurityMode.PSK:
            return Psk(identity_of(data), bytes.fromhex(data[CONF_KEY]))
        case SecurityMode.RPK:
            return RawPublicKey(b64decode(data[CONF_PUBLIC_KEY]))
        case SecurityMode.CERTIFICATE:
            pinned = data.get(CONF_CERTIFICATE)
            return Certificate(None if pinned is None else b64decode(pinned))
        case SecurityMode.NOSEC:
            return None


def claim_of(credential: Credential) -> bytes | None:
    """Return what belongs to this credential alone: identity, public key or certificate; None: a trusted CA decides."""
    match credential:
        case Psk(identity=identity):
            return identity
        case RawPublicKey(public_key=public_key):
            return public_key
        case Certificate(certificate=certificate):
            return certificate


def identity_of(data: Mapping[str, Any]) -> bytes:
    """Return the PSK identity of a device entry as the device sends it."""
    if (digits := data.get(CONF_IDENTITY_HEX)) is not None:
        return bytes.fromhex(digits)
    return str(data[CONF_IDENTITY]).encode()


def identity_text(identity: bytes) -> str:
    """Return an identity as people read it."""
    try:
        text = identity.decode()
    except UnicodeDecodeError:
        return printable(identity)
    return text if text.isprintable() else printable(identity)


def is_server(entry: ConfigEntry) -> bool:
    """Whether this is the server's entry."""
    return entry.unique_id == SERVER_UNIQUE_ID


@callback
def server_entry(hass: HomeAssistant) -> ConfigEntry | None:
    """Return the server's entry, if there is one."""
    return hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, SERVER_UNIQUE_ID)


@callback
def device_entries(hass: HomeAssistant) -> list[ConfigEntry]:
    """Return the entries of devices, disabled ones too."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False)
    return [entry for entry in entries if not is_server(entry)]


@callback
def entry_of_endpoint(hass: HomeAssistant, endpoint: str) -> ConfigEntry | None:
    """Return the device entry of an endpoint, also when it is disabled."""
    return next((entry for entry in device_entries(hass) if entry.data[CONF_ENDPOINT] == endpoint), None)


@callback
def entry_of_claim(hass: HomeAssistant, mode: SecurityMode, claim: bytes | None) -> ConfigEntry | None:
    """Return the device entry, disabled ones too, that a peer belongs to that calls in this mode with this claim.

    The claim is a PSK identity, a public key, a certificate, or (NoSec) an endpoint name, whose entry has any mode.
    """
    if claim is None:
        return None
    if mode is SecurityMode.NOSEC:
        return entry_of_endpoint(hass, claim.decode())
    for entry in device_entries(hass):
        credential = credential_of(entry.data)
        if credential is not None and credential.mode is mode and claim_of(credential) == claim:
            return entry
    return None
