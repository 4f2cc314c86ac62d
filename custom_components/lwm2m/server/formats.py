"""Which content format a device understands: first by what it registered, then by what was seen to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..protocol import codes
from ..protocol.content_format import ContentFormat, canonical

TEXT, TLV, JSON = ContentFormat.TEXT, ContentFormat.TLV, ContentFormat.JSON
SENML_CBOR, SENML_JSON, LWM2M_CBOR = ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.LWM2M_CBOR

_OLD = (TLV, JSON, TEXT)
"""LwM2M 1.0 (TS 1.0.2 section 6.4)."""
_NEW = (SENML_CBOR, SENML_JSON, TLV, TEXT, JSON)
"""LwM2M 1.1 and later. LWM2M_CBOR is used only with devices that name it."""
_MULTIPLE = frozenset((SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV, JSON))

REFUSALS = frozenset((codes.NOT_ACCEPTABLE, codes.UNSUPPORTED_CONTENT_FORMAT, codes.INTERNAL_SERVER_ERROR))
"""Answers to a format that a device does not know; some clients say 5.00 where 4.06 is meant."""

RESOURCE_LEVEL = 3


class Formats:
    """What is known of one device. A level is the length of a path; resources and their instances are one level."""

    __slots__ = ("_order", "_read", "_write", "composite", "lwm2m", "named")

    def __init__(self, lwm2m: str, named: Sequence[int] = ()) -> None:
        self.lwm2m = lwm2m
        self.named = tuple(named)
        usual = _OLD if lwm2m == "1.0" else _NEW
        first = {canonical(number) for number in named}
        preferred = [number for number in (SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV, JSON, TEXT) if number in first]
        self._order: tuple[int, ...] = tuple(dict.fromkeys((*preferred, *usual)))
        self._read: dict[int, int | None] = {}
        self._write: dict[int, int] = {}
        self.composite = lwm2m != "1.0"
        """Whether composite operations may be tried."""

    def to_read(self, level: int) -> list[int | None]:
        """Accept options to try in this order; None is a request without one."""
        level = min(level, RESOURCE_LEVEL)
        candidates: list[int | None] = [
            number for number in self._order if level == RESOURCE_LEVEL or number in _MULTIPLE
        ]
        candidates.append(None)
        if level in self._read:
            known = self._read[level]
            candidates.remove(known)
            candidates.insert(0, known)
        return candidates

    def to_write(self, level: int, *, single: bool) -> list[int]:
        """Content formats to try in this order; `single`: the payload is the value of one resource (instance)."""
        level = min(level, RESOURCE_LEVEL)
        candidates = [number for number in self._order if single or number in _MULTIPLE]
        first = self._write.get(level, self._read.get(level))
        if first in candidates:
            candidates.remove(first)
            candidates.insert(0, first)
        return candidates

    def knows_read(self, level: int) -> bool:
        """Whether a format was seen to work for reading at this level."""
        return min(level, RESOURCE_LEVEL) in self._read

    def knows_write(self, level: int) -> bool:
        """Whether a format was seen to work for writing at this level."""
        return min(level, RESOURCE_LEVEL) in self._write

    @property
    def learned(self) -> tuple[Mapping[int, int | None], Mapping[int, int]]:
        """By level, what was seen to work for reading and for writing."""
        return MappingProxyType(self._read), MappingProxyType(self._write)

    def can_read(self, level: int, accept: int | None) -> None:
        """It answered a request with this Accept option (None: without one)."""
        self._read[min(level, RESOURCE_LEVEL)] = accept

    def can_write(self, level: int, content_format: int) -> None:
        """It took a payload of this format."""
        self._write[min(level, RESOURCE_LEVEL)] = content_format


def assumed(accept: int | None, level: int, lwm2m: str) -> int:
    """The format of an answer that does not name one: what was asked for, else the default of the version."""
    if accept is not None:
        return accept
    if level >= RESOURCE_LEVEL:
        return TEXT
    return TLV if lwm2m == "1.0" else SENML_CBOR
