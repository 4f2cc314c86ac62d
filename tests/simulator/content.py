"""Content formats: numbers, and one dispatch to write and to read each."""

from __future__ import annotations

from collections.abc import Sequence

from . import senml, tlv
from .model import DeviceModel, Kind, Leaf, Path, Scalar
from .values import BadValueError, coerce, from_bytes, from_text, to_text

TEXT, LINK_FORMAT, OPAQUE, CBOR = 0, 40, 42, 60
SENML_JSON, SENML_CBOR = 110, 112
OMA_TLV, OMA_JSON, LWM2M_CBOR = 11542, 11543, 11544
OLD_TLV, OLD_JSON = 1542, 1543  # numbers from before the registration, still in use

SINGLE_VALUE = (TEXT, OPAQUE, CBOR)


class UnsupportedFormatError(Exception):
    """The format cannot carry this, or is not known."""


def encode(content_format: int, base: Path, leaves: Sequence[Leaf], times: senml.Times | None = None) -> bytes:
    """Write what a Read of `base` gives; UnsupportedFormatError when the format cannot carry it."""
    match content_format:
        case 0 | 42 | 60:
            if len(leaves) != 1 or leaves[0][0] != base:
                raise UnsupportedFormatError
            return _single(content_format, leaves[0])
        case 110:
            return senml.encode_json(base, leaves, times)
        case 112:
            return senml.encode_cbor(base, leaves, times)
        case 11542 | 1542:
            return tlv.encode(base, leaves)
        case 11543 | 1543:
            return senml.encode_oma_json(base, leaves)
        case 11544:
            return senml.encode_lwm2m_cbor(base, leaves)
    raise UnsupportedFormatError


def _single(content_format: int, leaf: Leaf) -> bytes:
    if content_format == TEXT:
        return to_text(leaf[1], leaf[2])
    if content_format == CBOR:
        return senml.encode_plain_cbor(leaf)
    if isinstance(leaf[2], bytes):
        return leaf[2]
    raise UnsupportedFormatError


def decode(content_format: int, base: Path, payload: bytes, model: DeviceModel) -> list[tuple[Path, Scalar | None]]:
    """Read what a Write to `base` carries: full paths and typed values, None where no such resource is known.

    BadValueError on a malformed payload or a wrong type; UnsupportedFormatError when the format is not known.
    """
    typed: list[tuple[Path, object]]
    match content_format:
        case 0 | 42 | 60:
            if len(base) < 3:
                raise BadValueError("a single value needs a resource")
            return [(base, _read_single(content_format, model.kind(base), payload))]
        case 11542 | 1542:
            return [(path, _from_tlv(model.kind(path), data)) for path, data in tlv.decode(base, payload)]
        case 112:
            typed = senml.decode_cbor(payload)
        case 110:
            typed = senml.decode_json(payload)
        case 11543 | 1543:
            typed = senml.decode_oma_json(payload)
        case 11544:
            typed = senml.decode_lwm2m_cbor(base, payload)
        case _:
            raise UnsupportedFormatError
    out: list[tuple[Path, Scalar | None]] = []
    for path, value in typed:
        if path[: len(base)] != base:
            raise BadValueError("a name outside of the request's path")
        kind = model.kind(path)
        if kind == "opaque" and content_format in (OMA_JSON, OLD_JSON) and isinstance(value, str):
            out.append((path, from_text("opaque", value.encode())))
        else:
            out.append((path, None if kind is None else coerce(kind, value)))
    return out


def _from_tlv(kind: Kind | None, data: bytes) -> Scalar | None:
    return None if kind is None else from_bytes(kind, data)


def _read_single(content_format: int, kind: Kind | None, payload: bytes) -> Scalar | None:
    if kind is None:
        return None
    if content_format == TEXT:
        return from_text(kind, payload)
    if content_format == CBOR:
        return coerce(kind, senml.decode_plain_cbor(payload))
    if kind != "opaque":
        raise BadValueError("opaque content for another type")
    return payload
