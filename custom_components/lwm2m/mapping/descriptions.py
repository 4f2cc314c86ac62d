"""What the platforms are given: Home Assistant's entity descriptions with the path that each of them stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from homeassistant.components.binary_sensor import BinarySensorEntityDescription
from homeassistant.components.button import ButtonEntityDescription
from homeassistant.components.device_tracker.entity import TrackerEntityDescription
from homeassistant.components.event import EventEntityDescription
from homeassistant.components.light import LightEntityDescription
from homeassistant.components.number import NumberEntityDescription
from homeassistant.components.sensor import SensorEntityDescription
from homeassistant.components.siren import SirenEntityDescription
from homeassistant.components.switch import SwitchEntityDescription
from homeassistant.components.text import TextEntityDescription
from homeassistant.const import Platform
from homeassistant.helpers.entity import EntityDescription

from ..protocol.path import Path
from ..protocol.value import Value
from .decode import Decoder, Held
from .units import NO_UNIT, Unit


@dataclass(frozen=True, kw_only=True)
class Description(EntityDescription):
    """Of any entity: `path` is its unique id within the device, `placeholders` fill its translated name.

    `watch` are the resources whose values it shows. `quality` is where the device says how good its measurement is
    (resource 6042), if it does.
    """

    platform: ClassVar[Platform]

    path: Path
    placeholders: Mapping[str, str]
    watch: tuple[Path, ...] = ()
    quality: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SensorDescription(SensorEntityDescription, Description):
    """A sensor: `decode` makes its state from the value at `path`."""

    platform = Platform.SENSOR

    decode: Decoder


@dataclass(frozen=True, kw_only=True)
class BinarySensorDescription(BinarySensorEntityDescription, Description):
    """A binary sensor: `decode` makes its state from the value at `path`."""

    platform = Platform.BINARY_SENSOR

    decode: Decoder


@dataclass(frozen=True, kw_only=True)
class SwitchDescription(SwitchEntityDescription, Description):
    """A switch: a boolean at `path`, read and written."""

    platform = Platform.SWITCH


@dataclass(frozen=True, kw_only=True)
class LightDescription(LightEntityDescription, Description):
    """A light: on and off at `path`, brightness from 0 to 100 at `level`, "#RRGGBB" at `colour`."""

    platform = Platform.LIGHT

    level: Path | None = None
    colour: Path | None = None


@dataclass(frozen=True, kw_only=True)
class NumberDescription(NumberEntityDescription, Description):
    """A number: at `path`, read and written in `unit`; `integer` says that only whole numbers may be written."""

    platform = Platform.NUMBER

    unit: Unit = NO_UNIT
    integer: bool = False


@dataclass(frozen=True, kw_only=True)
class ButtonDescription(ButtonEntityDescription, Description):
    """A button: executes `path`."""

    platform = Platform.BUTTON


@dataclass(frozen=True, kw_only=True)
class TextDescription(TextEntityDescription, Description):
    """A text: at `path`, read and written."""

    platform = Platform.TEXT


@dataclass(frozen=True, kw_only=True)
class SirenDescription(SirenEntityDescription, Description):
    """A siren: on and off at `path`, its volume from 0 to 100 at `level`."""

    platform = Platform.SIREN

    level: Path | None = None


@dataclass(frozen=True, kw_only=True)
class EventDescription(EventEntityDescription, Description):
    """An event: a press is a rise of the boolean at `path`, or a step of the number at `counter`."""

    platform = Platform.EVENT

    counter: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TrackerDescription(TrackerEntityDescription, Description):
    """A place: degrees at `latitude` and `longitude`, metres at `radius`."""

    platform = Platform.DEVICE_TRACKER

    latitude: Path
    longitude: Path
    radius: Path | None = None


PLATFORMS: tuple[Platform, ...] = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.DEVICE_TRACKER,
    Platform.EVENT,
    Platform.LIGHT,
    Platform.NUMBER,
    Platform.SENSOR,
    Platform.SIREN,
    Platform.SWITCH,
    Platform.TEXT,
)


def unique_id(endpoint: str, path: Path) -> str:
    """Return the unique id of the entity at `path`; it never changes, whatever names or numbers do."""
    return f"{endpoint}{path}"


def held(values: Mapping[Path, Value], path: Path) -> Held | None:
    """Return what is known at `path`: its value, or the tuple of those of its resource instances; None for nothing."""
    value = values.get(path)
    if value is not None:
        return value
    depth = len(path)
    below = sorted(other for other in values if len(other) == depth + 1 and other[:depth] == path)
    return tuple(values[other] for other in below) or None
