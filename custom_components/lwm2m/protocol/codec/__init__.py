"""Payload formats: one codec per content format.

A codec turns bytes into entries and back. It raises only CodecError and its kin, never reads past `MAX_PAYLOAD` bytes
and never makes more than `MAX_ENTRIES` entries.
"""

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
    """Return `decode` for payloads of one observation, with what does not change looked up once."""
    if canonical(content_format) == ContentFormat.TEXT and definitions.type(base) is DataType.FLOAT:

        def decode_number(payload: bytes) -> list[Entry]:
            return [Entry(base, text.parse(payload, DataType.FLOAT))]

        return decode_number
    return lambda payload: decode(content_format, payload, base, definitions, root)


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
