"""CoAP Content-Format numbers that LwM2M uses (LwM2M TS 1.2.1 Core, section 7.5)."""

from enum import IntEnum
from typing import Final


class ContentFormat(IntEnum):
    """The payload formats, under the numbers that IANA gave them."""

    TEXT = 0
    LINK_FORMAT = 40
    OPAQUE = 42
    CBOR = 60
    SENML_JSON = 110
    SENML_CBOR = 112
    TLV = 11542
    JSON = 11543
    LWM2M_CBOR = 11544


_LEGACY: Final = {
    1541: ContentFormat.TEXT,
    1542: ContentFormat.TLV,
    1543: ContentFormat.JSON,
}
"""Numbers of drafts of LwM2M 1.0 that clients still send."""


def canonical(number: int) -> int:
    """Return the present number of a format: the draft numbers 1541 to 1543 give 0, 11542 and 11543."""
    return _LEGACY.get(number, number)
