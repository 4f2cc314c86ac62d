"""Payload formats: one codec per content format.

A codec turns bytes into entries and back. It raises only CodecError and its kin, never reads past `MAX_PAYLOAD` bytes
and never makes more than `MAX_ENTRIES` entries.
"""

from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from ..content_format import ContentFormat, canonical
from ..errors import CodecError, PathError, UnsupportedFormat
from ..messages import Entry
from ..value import DataType
from . import cbor, json, lwm2m_cbor, opaque, senml, text, tlv
from .common import MAX_ENTRIES, MAX_PAYLOAD, MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..objects.registry import DefinitionView
    from ..path import Path

__all__ = ["MAX_ENTRIES", "MAX_PAYLOAD", "decode", "decoder", "encode", "encode_paths"]


class _Codec(NamedTuple):
    """The two directions of a format; `named` formats write paths as text, which the client's root may prefix."""

    decode: Callable[..., list[Entry]]
    encode: Callable[..., bytes]
    named: bool = False


_CODECS: Final = {
    ContentFormat.TEXT: _Codec(text.decode, text.encode),
    ContentFormat.OPAQUE: _Codec(opaque.decode, opaque.encode),
    ContentFormat.CBOR: _Codec(cbor.decode, cbor.encode),
    ContentFormat.SENML_JSON: _Codec(senml.decode_json, senml.encode_json, named=True),
    ContentFormat.SENML_CBOR: _Codec(senml.decode_cbor, senml.encode_cbor, named=True),
    ContentFormat.TLV: _Codec(tlv.decode, tlv.encode),
    ContentFormat.JSON: _Codec(json.decode, json.encode, named=True),
    ContentFormat.LWM2M_CBOR: _Codec(lwm2m_cbor.decode, lwm2m_cbor.encode),
}

_ENDING_IN_THE_VALUE: Final = (
    ContentFormat.TLV,
    ContentFormat.SENML_CBOR,
    ContentFormat.CBOR,
    ContentFormat.LWM2M_CBOR,
)
_SINGLE = Struct(">f")
_SINGLE_LIMIT: Final = 3.4e38
_DOUBLE = Struct(">d")
_LONGEST_REMEMBERED: Final = 64


def decode(
    content_format: int, payload: bytes, base: Path, definitions: DefinitionView, root: tuple[str, ...] = ()
) -> list[Entry]:
    """Return the values that `payload` holds, all at or below `base`, the path that was asked for.

    `root` are the segments that the client puts before its paths. Where the definition of a resource is not known,
    its value has the type that the format gives it: text is a string, TLV is bytes. An object, an instance and a
    resource of many instances may be empty.
    """
    codec = _find(content_format)
    if len(payload) > MAX_TEXT:
        raise CodecError(f"more than {MAX_TEXT} bytes", content_format)
    try:
        if codec.named and root:
            entries = codec.decode(payload, base, definitions, _prefix(root))
        else:
            entries = codec.decode(payload, base, definitions)
    except PathError as error:
        raise CodecError(str(error), content_format) from None
    except CodecError as error:
        error.content_format = content_format
        raise
    if not entries and len(base) > 2 and definitions.multiple(base) is False:
        raise CodecError(f"no value of {base}", content_format)
    return entries


def decoder(
    content_format: int, base: Path, definitions: DefinitionView, root: tuple[str, ...] = ()
) -> Callable[[bytes], list[Entry]]:
    """Return `decode` for the payloads of one observation, quick where they differ in one floating-point number."""
    number = canonical(content_format)
    if definitions.type(base) is DataType.FLOAT:
        if number == ContentFormat.TEXT:
            return lambda payload: [Entry(base, text.parse(payload, DataType.FLOAT))]
        if number in _ENDING_IN_THE_VALUE:
            return _float_decoder(partial(_decode, content_format, base, definitions, root), base)
    return partial(_decode, content_format, base, definitions, root)


def _decode(
    content_format: int, base: Path, definitions: DefinitionView, root: tuple[str, ...], payload: bytes
) -> list[Entry]:
    return decode(content_format, payload, base, definitions, root)


def _float_decoder(read: Callable[[bytes], list[Entry]], base: Path) -> Callable[[bytes], list[Entry]]:
    """Return a decoder that remembers the bytes before the number, and has `read` decode only what starts otherwise.

    A payload that ends in the eight (or four) bytes of its only value, and starts as one before it did, has the same
    structure and another number.
    """
    before_double = before_single = b""

    def decode_number(payload: bytes) -> list[Entry]:
        nonlocal before_double, before_single
        if payload[:-8] == before_double and before_double:
            return [Entry(base, _DOUBLE.unpack_from(payload, len(payload) - 8)[0])]
        if payload[:-4] == before_single and before_single:
            return [Entry(base, _SINGLE.unpack_from(payload, len(payload) - 4)[0])]
        entries = read(payload)
        match entries:
            case [Entry(path, float(value), None)] if path == base and len(payload) <= _LONGEST_REMEMBERED:
                if payload[-8:] == _DOUBLE.pack(value):
                    before_double = payload[:-8]
                elif abs(value) < _SINGLE_LIMIT and payload[-4:] == _SINGLE.pack(value):
                    before_single = payload[:-4]
        return entries

    return decode_number


def encode(
    content_format: int,
    entries: Sequence[Entry],
    base: Path,
    definitions: DefinitionView,
    root: tuple[str, ...] = (),
) -> bytes:
    """Return these values, all at or below `base`, as the body of a request for `base`."""
    codec = _find(content_format)
    try:
        if codec.named and root:
            return codec.encode(entries, base, definitions, _prefix(root))
        return codec.encode(entries, base, definitions)
    except CodecError as error:
        error.content_format = content_format
        raise


def encode_paths(content_format: int, paths: Iterable[Path], root: tuple[str, ...] = ()) -> bytes:
    """Return the body of a Read-Composite or Observe-Composite request (LwM2M TS 1.1.1 Core, section 6.3.7)."""
    match canonical(content_format):
        case ContentFormat.SENML_JSON:
            return senml.encode_paths_json(paths, _prefix(root))
        case ContentFormat.SENML_CBOR:
            return senml.encode_paths_cbor(paths, _prefix(root))
    raise UnsupportedFormat(f"content format {content_format} cannot carry paths", content_format)


def _find(content_format: int) -> _Codec:
    codec = _CODECS.get(canonical(content_format))  # type: ignore[call-overload]
    if codec is None:
        raise UnsupportedFormat(f"content format {content_format} is not supported", content_format)
    return codec  # type: ignore[no-any-return]


def _prefix(root: tuple[str, ...]) -> str:
    return "".join(f"/{segment}" for segment in root)
