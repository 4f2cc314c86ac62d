"""What a user hands over in a form as a file, or types as text instead."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    FileSelector,
    FileSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .security.credential import CredentialError
from .security.pem import MAX_FILE

LINES: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT, multiline=True, autocomplete="off"))
"""A field of several lines."""


def file_field(name: str) -> str:
    """Return the name of the field that takes a file in place of the text field `name`."""
    return f"{name}_file"


def file_selector(*accept: str) -> FileSelector:
    """Return a field for one file with one of these endings."""
    return FileSelector(FileSelectorConfig(accept=",".join(accept)))


async def async_read_field(hass: HomeAssistant, fields: Mapping[str, Any], name: str) -> bytes | None:
    """Return what a form was given, as a file or else as text; None where it was given neither.

    A file can be read once: Home Assistant deletes it. CredentialError where it is too large, or gone.
    """
    if uploaded := fields.get(file_field(name)):
        return await hass.async_add_executor_job(_read, hass, uploaded)
    text = str(fields.get(name) or "").strip()
    return text.encode() if text else None


def _read(hass: HomeAssistant, uploaded: str) -> bytes:
    try:
        with process_uploaded_file(hass, uploaded) as path:
            if path.stat().st_size > MAX_FILE:
                raise CredentialError("the file is too large")
            return path.read_bytes()
    except (ValueError, OSError) as error:
        if isinstance(error, CredentialError):
            raise
        raise CredentialError("the file is gone: choose it again") from error
