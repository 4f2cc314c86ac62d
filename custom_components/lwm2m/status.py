"""What is known of a device as a whole: connectivity, last contact, registration and security, as diagnostics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, override

from homeassistant.components.binary_sensor import BinarySensorEntity, BinarySensorEntityDescription
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.entity import Entity

from .device_runtime import DeviceRuntime
from .mapping.decode import Shown, timestamp
from .security.credential import SecurityMode
from .security.identity import CertificateIdentity, PublicKeyIdentity

if TYPE_CHECKING:
    from .coap.remote import PeerSecurity


@dataclass(frozen=True, kw_only=True)
class StatusSensorDescription(SensorEntityDescription):
    """A sensor over what the server knows of a device."""

    value: Callable[[DeviceRuntime], Shown]


def _last_contact(runtime: DeviceRuntime) -> Shown:
    heard = runtime.device.last_contact
    return None if heard is None else timestamp(int(heard))


def _registered_until(runtime: DeviceRuntime) -> Shown:
    registration = runtime.device.registration
    if registration is None:
        return None
    context = runtime.device.context
    return timestamp(round(context.wall() + registration.expires_at - context.clock()))


def _security(runtime: DeviceRuntime) -> Shown:
    security = runtime.device.security
    return None if security is None else security.mode.value


def _cipher_suite(runtime: DeviceRuntime) -> Shown:
    security = runtime.device.security
    return None if security is None else security.suite


def _curve(runtime: DeviceRuntime) -> Shown:
    security = runtime.device.security
    return None if security is None else security.group


def _last_handshake(runtime: DeviceRuntime) -> Shown:
    security = runtime.device.security
    return None if security is None or security.since is None else timestamp(int(security.since))


def _peer_fingerprint(runtime: DeviceRuntime) -> Shown:
    security = runtime.device.security
    return None if security is None else peer_fingerprint(security)


def peer_fingerprint(security: PeerSecurity) -> str | None:
    """Return the SHA-256 of the public key or certificate (DER) with which a device has proven who it is."""
    match security.identity:
        case PublicKeyIdentity(public_key=shown) | CertificateIdentity(certificate=shown):
            return sha256(shown).hexdigest()
    return None


CONNECTIVITY = BinarySensorEntityDescription(
    key="connectivity",
    translation_key="connectivity",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)

STATUS_SENSORS = (
    StatusSensorDescription(
        key="last_contact",
        translation_key="last_contact",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=_last_contact,
    ),
    StatusSensorDescription(
        key="registered_until",
        translation_key="registered_until",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=_registered_until,
    ),
    StatusSensorDescription(
        key="security",
        translation_key="security",
        device_class=SensorDeviceClass.ENUM,
        options=[mode.value for mode in SecurityMode],
        entity_category=EntityCategory.DIAGNOSTIC,
        value=_security,
    ),
    StatusSensorDescription(
        key="cipher_suite",
        translation_key="cipher_suite",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=_cipher_suite,
    ),
    StatusSensorDescription(
        key="curve",
        translation_key="curve",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=_curve,
    ),
    StatusSensorDescription(
        key="peer_fingerprint",
        translation_key="peer_fingerprint",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=_peer_fingerprint,
    ),
    StatusSensorDescription(
        key="last_handshake",
        translation_key="last_handshake",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=_last_handshake,
    ),
    StatusSensorDescription(
        key="refusals",
        translation_key="refusals",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=lambda runtime: runtime.hub.refusals.count_of(runtime.endpoint),
    ),
)


class StatusEntity(Entity):
    """Shown whether the device is there or not. A subclass's `take` returns whether the state is another one now."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, runtime: DeviceRuntime, key: str) -> None:
        self.runtime = runtime
        self._attr_unique_id = f"{runtime.endpoint}#{key}"
        self._attr_device_info = runtime.device_info

    def take(self) -> bool:
        """Take over what is known now."""
        raise NotImplementedError

    @override
    async def async_added_to_hass(self) -> None:
        self.take()
        self.async_on_remove(self.runtime.on_status(self._status_changed))

    @callback
    def _status_changed(self) -> None:
        if self.take() and not self.hass.is_stopping:
            self.async_write_ha_state()


class ConnectivitySensor(StatusEntity, BinarySensorEntity):
    """Whether the device is registered."""

    def __init__(self, runtime: DeviceRuntime) -> None:
        super().__init__(runtime, CONNECTIVITY.key)
        self.entity_description = CONNECTIVITY

    @override
    def take(self) -> bool:
        value = self.runtime.available
        changed = value is not self._attr_is_on
        self._attr_is_on = value
        return changed


class StatusSensor(StatusEntity, SensorEntity):
    """One thing that the server knows of the device."""

    def __init__(self, runtime: DeviceRuntime, description: StatusSensorDescription) -> None:
        super().__init__(runtime, description.key)
        self.entity_description = self.described = description

    @override
    def take(self) -> bool:
        value = self.described.value(self.runtime)
        changed = value != self._attr_native_value
        self._attr_native_value = value
        return changed

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        security = self.runtime.device.security
        if self.described.key != "security" or security is None:
            return None
        return {"cipher_suite": security.suite}
