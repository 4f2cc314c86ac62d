"""The vocabulary of the tables: one row says which entity a resource (or a few) of an object becomes.

A row's `key` is its translation key. Resources that a row names are claimed by it: the generic fallback leaves them
alone. A row yields an entity where the device has its resource, or where the definition says that it must have it.
"""

from dataclasses import dataclass
from typing import ClassVar, override

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.button.const import ButtonDeviceClass
from homeassistant.components.event import EventDeviceClass
from homeassistant.components.number import NumberDeviceClass, NumberMode
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.switch.const import SwitchDeviceClass
from homeassistant.const import EntityCategory, Platform

from . import decode
from .decode import Decoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Of any platform: `resource` is where the entity stands. Disabled rows yield entities that a user may enable."""

    platform: ClassVar[Platform]

    key: str
    resource: int
    category: EntityCategory | None = None
    enabled: bool = True

    @property
    def shown(self) -> tuple[int, ...]:
        """The resources whose values the entity shows; an entity is unknown until the first of them is known."""
        return (self.resource,)

    @property
    def claims(self) -> tuple[int, ...]:
        """The resources that no other row may have."""
        return self.shown or (self.resource,)


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorRow(Row):
    """A sensor. `unit` names the unit (as devices write it) where the device names none.

    `by_application` are device classes that hold only where the application type (5750) has the word. `each` makes one
    sensor of each instance of a multiple resource. Without `decode` the value is a number.
    """

    platform = Platform.SENSOR

    device_class: SensorDeviceClass | None = None
    state_class: SensorStateClass | None = None
    unit: str = ""
    by_application: tuple[tuple[str, SensorDeviceClass], ...] = ()
    class_by_unit: bool = False
    options: tuple[str, ...] = ()
    each: bool = False
    decode: Decoder | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BinarySensorRow(Row):
    """A binary sensor."""

    platform = Platform.BINARY_SENSOR

    device_class: BinarySensorDeviceClass | None = None
    decode: Decoder = decode.boolean


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchRow(Row):
    """A switch over a writable boolean."""

    platform = Platform.SWITCH

    device_class: SwitchDeviceClass | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LightRow(Row):
    """A light: on and off at `resource`, brightness at `level`, colour at `colour`."""

    platform = Platform.LIGHT

    level: int
    colour: int

    @property
    @override
    def shown(self) -> tuple[int, ...]:
        return (self.resource, self.level, self.colour)


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberRow(Row):
    """A writable number. Its range is the device's own (5603, 5604), else the definition's, else this one."""

    platform = Platform.NUMBER

    device_class: NumberDeviceClass | None = None
    class_by_unit: bool = False
    unit: str = ""
    minimum: float = -1_000_000
    maximum: float = 1_000_000
    step: float | None = None
    mode: NumberMode = NumberMode.AUTO


@dataclass(frozen=True, kw_only=True, slots=True)
class ButtonRow(Row):
    """A button over an executable resource."""

    platform = Platform.BUTTON

    device_class: ButtonDeviceClass | None = None

    @property
    @override
    def shown(self) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TextRow(Row):
    """A writable text."""

    platform = Platform.TEXT


@dataclass(frozen=True, kw_only=True, slots=True)
class SirenRow(Row):
    """A siren: on and off at `resource`, volume at `level`."""

    platform = Platform.SIREN

    level: int

    @property
    @override
    def shown(self) -> tuple[int, ...]:
        return (self.resource, self.level)


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRow(Row):
    """An event: a rise of `resource`, or a step of `counter`. The counter may have a row of its own."""

    platform = Platform.EVENT

    device_class: EventDeviceClass | None = None
    counter: int

    @property
    @override
    def shown(self) -> tuple[int, ...]:
        return (self.resource, self.counter)

    @property
    @override
    def claims(self) -> tuple[int, ...]:
        return (self.resource,)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackerRow(Row):
    """A place: latitude at `resource`, longitude and radius beside it."""

    platform = Platform.DEVICE_TRACKER

    longitude: int
    radius: int

    @property
    @override
    def shown(self) -> tuple[int, ...]:
        return (self.resource, self.longitude, self.radius)
