"""What differs between client implementations: formats by Accept, defaults, answers, and the Register's links."""

from __future__ import annotations

from dataclasses import dataclass

from . import content
from .coap import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One client implementation as seen from a server.

    single and several are the formats answered for one value and for more; the first is given without Accept.
    """

    name: str
    single: tuple[int, ...]
    several: tuple[int, ...]
    writes: tuple[int, ...]
    send: int | None = None
    unknown_accept: Code = Code.NOT_ACCEPTABLE
    root_link: str | None = None
    composite: bool = False
    states_format: bool = True  # whether a Content-Format option is sent with content
    confirmable: bool = False  # notifications by default
    gives_up_on_forbidden: bool = True
    default_version: str = "1.1"
    block_size: int = 1024


_JSON = (content.SENML_JSON, content.OMA_JSON)
_MODERN = (112, 110, 11542, 11543, 11544)

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="anjay",
            single=(content.TEXT, *_MODERN, content.CBOR),
            several=_MODERN,
            writes=(content.TEXT, content.OPAQUE, content.CBOR, *_MODERN),
            send=content.SENML_CBOR,
            composite=True,
        ),
        Profile(
            name="wakaama",
            single=(content.OMA_TLV, content.SENML_JSON, content.OMA_JSON, content.OLD_TLV, content.TEXT),
            several=(content.OMA_TLV, content.SENML_JSON, content.OMA_JSON, content.OLD_TLV),
            writes=(content.OMA_TLV, content.OLD_TLV, *_JSON, content.TEXT, content.OPAQUE),
            root_link='</>;rt="oma.lwm2m";ct=110',
            gives_up_on_forbidden=False,
        ),
        Profile(
            name="zephyr",
            single=(content.OMA_TLV, content.TEXT, content.OMA_JSON, content.OPAQUE),
            several=(content.OMA_TLV, content.OMA_JSON),
            writes=(content.TEXT, content.OPAQUE, content.OMA_TLV, content.OMA_JSON),
            root_link='</>;rt="oma.lwm2m";ct=11543',
            confirmable=True,
            gives_up_on_forbidden=False,
            default_version="1.0",
            block_size=512,
        ),
        Profile(
            name="coap-node",
            single=(content.TEXT, content.OMA_TLV, content.OMA_JSON),
            several=(content.OMA_JSON, content.OMA_TLV),
            writes=(content.TEXT, content.OMA_TLV, content.OMA_JSON),
            root_link="</>;ct=11543;hb",
            unknown_accept=Code.INTERNAL_SERVER_ERROR,
            states_format=False,
            gives_up_on_forbidden=False,
            default_version="1.0",
        ),
    )
}
