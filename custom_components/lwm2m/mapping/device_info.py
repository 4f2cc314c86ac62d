"""What object 3 says about the device itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..protocol.path import Path
from ..protocol.value import Value

DEVICE_OBJECT: Final = Path((3, 0))
MAX_LENGTH: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceFacts:
    """Printable and short, or None where the device does not say."""

    manufacturer: str | None
    model: str | None
    serial_number: str | None
    sw_version: str | None
    hw_version: str | None

    @property
    def name(self) -> str | None:
        """A name for the device, of its maker and model; None if it does not name a model."""
        if self.model is None:
            return None
        if self.manufacturer is None or self.model.casefold().startswith(self.manufacturer.casefold()):
            return self.model
        return f"{self.manufacturer} {self.model}"


def device_facts(values: Mapping[Path, Value]) -> DeviceFacts:
    """Return what is known of the device (object 3, resources 0 to 3 and 17 to 19)."""

    def fact(*resources: int) -> str | None:
        for resource in resources:
            text = clean(values.get(DEVICE_OBJECT.child(resource)))
            if text:
                return text
        return None

    return DeviceFacts(
        manufacturer=fact(0),
        model=fact(1, 17),
        serial_number=fact(2),
        sw_version=fact(3, 19),
        hw_version=fact(18),
    )


def clean(value: Value | None) -> str:
    """Return a name that a device gives: printable, trimmed, at most 64 characters; empty for anything but text."""
    if not isinstance(value, str):
        return ""
    return "".join(filter(str.isprintable, value)).strip()[:MAX_LENGTH]
