"""SenML (RFC 8428) as JSON and CBOR (content formats 110 and 112; LwM2M TS 1.1.1 Core, sections 7.4.4 and 7.4.6)."""

import json
import math
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..content_format import ContentFormat
from ..errors import CodecError
from ..messages import Entry
from ..path import Path
from ..value import DataType, ObjectLink, Value, coerce
from .cbor import dump, load
from .common import MAX_ENTRIES, check_below, check_size
from .text import parse_base64

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..objects.registry import DefinitionView

_VERSION: Final = 10
_LARGEST_TIME: Final = 2.0**40

_NAME, _VALUE, _TIME, _BASE_NAME, _BASE_TIME, _BASE_VALUE, _BASE_VERSION = range(7)


class _Labels(NamedTuple):
    """The labels of one representation: what each means when read, and how those that we write are written."""

    meaning: dict[Any, int]
    base_name: Any
    name: Any
    time: Any
    number: Any
    text: Any
    boolean: Any
    data: Any
    link: str


_VALUE_KEYS: Final = ("v", "vs", "vb", "vd", "vlo")

_JSON = _Labels(
    {
        "bn": _BASE_NAME,
        "bt": _BASE_TIME,
        "bv": _BASE_VALUE,
        "bver": _BASE_VERSION,
        "n": _NAME,
        "t": _TIME,
        **dict.fromkeys(_VALUE_KEYS, _VALUE),
    },
    "bn",
    "n",
    "t",
    *_VALUE_KEYS,
)
_CBOR = _Labels(
    {
        -1: _BASE_VERSION,
        -2: _BASE_NAME,
        -3: _BASE_TIME,
        -5: _BASE_VALUE,
        0: _NAME,
        6: _TIME,
        **dict.fromkeys((2, 3, 4, 8, "vlo"), _VALUE),
    },
    -2,
    0,
    6,
    2,
    3,
    4,
    8,
    "vlo",
)


def decode_json(payload: bytes, base: Path, definitions: DefinitionView, prefix: str = "") -> list[Entry]:
    """Return the values at and below `base`; `prefix` ("/lwm2m") is what the client puts before its paths."""
    return _resolve(load_json(payload), _JSON, base, definitions, prefix) if payload else []


def decode_cbor(payload: bytes, base: Path, definitions: DefinitionView, prefix: str = "") -> list[Entry]:
    """Return the values at and below `base`; `prefix` ("/lwm2m") is what the client puts before its paths."""
    return _resolve(load(payload), _CBOR, base, definitions, prefix) if payload else []


def encode_json(entries: Sequence[Entry], base: Path, definitions: DefinitionView, prefix: str = "") -> bytes:
    """Return these values as SenML JSON."""
    return dump_json(_build(entries, _JSON, base, definitions, prefix))


def encode_cbor(entries: Sequence[Entry], base: Path, definitions: DefinitionView, prefix: str = "") -> bytes:
    """Return these values as SenML CBOR."""
    return dump(_build(entries, _CBOR, base, definitions, prefix))


def encode_paths_json(paths: Iterable[Path], prefix: str = "") -> bytes:
    """Return the body of a Read-Composite or Observe-Composite request for these paths."""
    return dump_json([{"n": prefix + str(path)} for path in paths])


def encode_paths_cbor(paths: Iterable[Path], prefix: str = "") -> bytes:
    """Return the body of a Read-Composite or Observe-Composite request for these paths."""
    return dump([{_CBOR.name: prefix + str(path)} for path in paths])


def load_json(payload: bytes) -> Any:
    """Return the JSON text that `payload` is (RFC 8259: no NaN, no infinity)."""
    check_size(payload)
    try:
        item = json.loads(payload.decode(), parse_constant=_refuse_constant)
        if b"\\u" in payload:
            # Half a surrogate pair is no text, and nothing that is told of it could be written as UTF-8.
            json.dumps(item, ensure_ascii=False).encode()
        return item
    except ValueError as error:
        raise CodecError(f"not JSON: {error}", ContentFormat.JSON) from None
    except RecursionError:
        raise CodecError("JSON nested too deeply", ContentFormat.JSON) from None


def dump_json(item: object) -> bytes:
    """Return compact JSON text."""
    try:
        return json.dumps(item, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise CodecError("JSON has no infinite numbers", ContentFormat.JSON) from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


class _Base:
    """The base fields that hold for a record and those after it."""

    __slots__ = ("name", "time", "value")

    def __init__(self) -> None:
        self.name = ""
        self.time: float | None = None
        self.value: float | None = None

    def take(self, meaning: int | None, label: object, field: object) -> None:
        """Take in a field that is none of name, value and time."""
        if meaning == _BASE_NAME:
            if not isinstance(field, str):
                raise _error("a base name that is no text")
            self.name = field
        elif meaning == _BASE_TIME:
            self.time = _number(field)
        elif meaning == _BASE_VALUE:
            self.value = _number(field)
        elif meaning == _BASE_VERSION:
            if not isinstance(field, int) or field > _VERSION:
                raise _error("a version of SenML that is not known")
        elif isinstance(label, str) and label.endswith("_"):
            raise _error(f"the field {label[:20]!r}, which must be understood, is not")

    def time_of(self, time: object) -> float | None:
        """Return the time of a record that says `time`, or nothing."""
        if time is None:
            return self.time
        return _number(time) if self.time is None else _number(time) + self.time


def _resolve(records: object, labels: _Labels, base: Path, definitions: DefinitionView, prefix: str) -> list[Entry]:
    """Return the values of SenML records, base fields applied (RFC 8428 section 4.6)."""
    if not isinstance(records, list) or len(records) > MAX_ENTRIES:
        raise _error("not a list of records")
    meanings = labels.meaning
    depth = len(base)
    base_fields = _Base()
    entries: list[Entry] = []
    for record in records:
        if not isinstance(record, dict):
            raise _error("a record that is no map")
        name: object = ""
        time = value = key = None
        for label, field in record.items():
            meaning = meanings.get(label)
            if meaning == _VALUE:
                if key is not None:
                    raise _error("a record with two values")
                key, value = label, field
            elif meaning == _NAME:
                name = field
            elif meaning == _TIME:
                time = field
            else:
                base_fields.take(meaning, label, field)
        if key is None and not name:
            if not any(meanings.get(label, _NAME) >= _BASE_NAME for label in record):
                raise _error("a record without a value")
            continue
        if not isinstance(name, str):
            raise _error("a name that is no text")
        path = Path.parse((base_fields.name + name).removeprefix(prefix))
        if len(path) < 3 or path[:depth] != base:
            raise _error(f"{path} in answer to {base}")
        if base_fields.value is not None and (key is None or key == labels.number):
            key, value = labels.number, base_fields.value + (_number(value) if key is not None else 0)
        elif key is None:
            raise _error("a record without a value")
        if value is not None:
            entries.append(
                Entry(path, _read_value(value, key, labels, definitions.type(path)), base_fields.time_of(time))
            )
    return entries


def _read_value(value: object, key: object, labels: _Labels, data_type: DataType | None) -> Value:
    """Return the value of a record's field `key` as the resource's type has it."""
    if key == labels.number:
        if data_type is DataType.FLOAT and value.__class__ is float:
            return value
        valid = isinstance(value, int | float) and not isinstance(value, bool)
    elif key == labels.boolean:
        valid = isinstance(value, bool)
    elif key == labels.data and isinstance(value, bytes):
        valid = labels is _CBOR
    else:
        valid = isinstance(value, str)
        if valid and key == labels.data:
            valid = labels is _JSON
            value = parse_base64(value) if valid else None  # type: ignore[arg-type]
        elif valid and key == labels.link:
            value = ObjectLink.parse(value)  # type: ignore[arg-type]
    if not valid:
        raise _error(f"the field {key!r} with a {type(value).__name__}")
    if isinstance(value, ObjectLink) and data_type not in (None, DataType.OBJLNK):
        raise _error("an object link where none belongs")
    return coerce(value, data_type)


def _number(field: object) -> float:
    """Return a time or base value, which must be finite and not out of all reason."""
    if isinstance(field, bool) or not isinstance(field, int | float):
        raise _error("a number that is none")
    if not -_LARGEST_TIME < field < _LARGEST_TIME:
        raise _error("a number out of range")
    return field


def _build(
    entries: Sequence[Entry], labels: _Labels, base: Path, definitions: DefinitionView, prefix: str
) -> list[dict[Any, Any]]:
    """Return the records of these values: names follow a base name where the values are all in one instance."""
    check_below(entries, base)
    instances = {entry.path[:2] for entry in entries}
    base_name = f"{prefix}{Path(*instances)}/" if len(instances) == 1 else ""
    records: list[dict[Any, Any]] = []
    for entry in entries:
        record: dict[Any, Any] = {labels.base_name: base_name} if base_name and not records else {}
        full = f"{prefix}{entry.path}"
        record[labels.name] = full[len(base_name) :]
        if entry.time is not None:
            record[labels.time] = entry.time
        key, value = _write_value(coerce(entry.value, definitions.type(entry.path)), labels)
        record[key] = value
        records.append(record)
    return records


def _write_value(value: Value, labels: _Labels) -> tuple[Any, object]:
    if isinstance(value, bool):
        return labels.boolean, value
    if isinstance(value, str):
        return labels.text, value
    if isinstance(value, bytes):
        return labels.data, value if labels is _CBOR else urlsafe_b64encode(value).rstrip(b"=").decode()
    if isinstance(value, ObjectLink):
        return labels.link, str(value)
    if isinstance(value, float) and not math.isfinite(value) and labels is _JSON:
        raise _error("JSON has no infinite numbers")
    return labels.number, value


def _error(message: str) -> CodecError:
    return CodecError(message)
