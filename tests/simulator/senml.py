"""SenML in JSON and CBOR (RFC 8428; "vlo" is LwM2M's own), LwM2M 1.0 JSON, LwM2M CBOR, plain CBOR."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import cbor2

from .model import Kind, Leaf, Path, Scalar, show
from .values import BadValueError

LABELS: dict[str, int | str] = {"bn": -2, "bt": -3, "bu": -4, "bv": -5}
LABELS |= {"n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "t": 6, "vd": 8, "vlo": "vlo"}
NAMES = {label: name for name, label in LABELS.items()}
Times = Mapping[Path, float]


def _value(kind: Kind, value: Scalar) -> tuple[str, Scalar]:
    match kind:
        case "boolean":
            return "vb", bool(value)
        case "integer" | "unsigned" | "time":
            return "v", int(value)
        case "float":
            return "v", float(value)
        case "opaque":
            return "vd", value
        case "objlnk":
            return "vlo", value
        case _:
            return "vs", value


def records(base: Path, leaves: Sequence[Leaf], times: Times | None = None) -> list[dict[str, Any]]:
    """Give SenML records; the base name stands in the first one only."""
    out: list[dict[str, Any]] = []
    whole = len(leaves) == 1 and leaves[0][0] == base
    prefix = show(base) if whole or not base else show(base) + "/"
    if not base:
        prefix = "/"
    for path, kind, value in leaves:
        record: dict[str, Any] = {} if out else {"bn": prefix}
        if not whole:
            record["n"] = "/".join(map(str, path[len(base) :]))
        if times and path in times:
            record["t"] = times[path]
        name, plain = _value(kind, value)
        record[name] = plain
        out.append(record)
    return out


def encode_cbor(base: Path, leaves: Sequence[Leaf], times: Times | None = None) -> bytes:
    """Content-Format 112."""
    packed = [{LABELS[name]: value for name, value in record.items()} for record in records(base, leaves, times)]
    return cbor2.dumps(packed)


def encode_json(base: Path, leaves: Sequence[Leaf], times: Times | None = None) -> bytes:
    """Content-Format 110."""
    packed = records(base, leaves, times)
    for record in packed:
        if "vd" in record:
            record["vd"] = base64.urlsafe_b64encode(record["vd"]).decode().rstrip("=")
    return json.dumps(packed, separators=(",", ":")).encode()


def encode_oma_json(base: Path, leaves: Sequence[Leaf]) -> bytes:
    """Content-Format 11543 (LwM2M TS 1.0.2 section 6.4.4)."""
    whole = len(leaves) == 1 and leaves[0][0] == base
    entries = []
    for path, kind, value in leaves:
        record: dict[str, Any] = {} if whole else {"n": "/".join(map(str, path[len(base) :]))}
        name, plain = _value(kind, value)
        if name == "vd":
            name, plain = "sv", base64.b64encode(plain if isinstance(plain, bytes) else b"").decode()
        record[{"vb": "bv", "vs": "sv", "vlo": "ov"}.get(name, name)] = plain
        entries.append(record)
    return json.dumps({"bn": show(base) + ("" if whole else "/"), "e": entries}, separators=(",", ":")).encode()


def encode_lwm2m_cbor(base: Path, leaves: Sequence[Leaf]) -> bytes:
    """Content-Format 11544 (LwM2M TS: Core 1.2 section 7.4.6): nested maps of ids."""
    root: dict[int, Any] = {}
    for path, kind, value in leaves:
        node = root
        for number in path[:-1]:
            node = node.setdefault(number, {})
        node[path[-1]] = _value(kind, value)[1]
    return cbor2.dumps(root)


def encode_plain_cbor(leaf: Leaf) -> bytes:
    """Content-Format 60: one value."""
    return cbor2.dumps(_value(leaf[1], leaf[2])[1])


def decode_cbor(payload: bytes) -> list[tuple[Path, object]]:
    """Read 112."""
    found = _loads(payload)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadValueError("not SenML")
    return _resolve([{NAMES.get(key, str(key)): value for key, value in item.items()} for item in found])


def decode_json(payload: bytes) -> list[tuple[Path, object]]:
    """Read 110."""
    found = _json(payload)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadValueError("not SenML")
    for item in found:
        if "vd" in item:
            item["vd"] = _base64url(item["vd"])
    return _resolve(found)


def decode_oma_json(payload: bytes) -> list[tuple[Path, object]]:
    """Read 11543; base name and names joined."""
    found = _json(payload)
    if not isinstance(found, dict) or not isinstance(found.get("e"), list):
        raise BadValueError("not LwM2M JSON")
    base, out = str(found.get("bn", "")), []
    for item in found["e"]:
        names = [name for name in ("v", "bv", "sv", "ov") if isinstance(item, dict) and name in item]
        if len(names) != 1:
            raise BadValueError("a record needs one value")
        out.append((_path(base + str(item.get("n", ""))), item[names[0]]))
    return out


def decode_lwm2m_cbor(base: Path, payload: bytes) -> list[tuple[Path, object]]:
    """Read 11544: keys are ids, or arrays of ids, from the root on."""
    out: list[tuple[Path, object]] = []

    def walk(prefix: Path, node: object, depth: int) -> None:
        if not isinstance(node, dict):
            out.append((prefix, node))
            return
        if depth > 4:
            raise BadValueError("too deep")
        for key, value in node.items():
            ids = key if isinstance(key, (tuple, list)) else (key,)
            if not all(isinstance(number, int) for number in ids):
                raise BadValueError("bad key")
            walk((*prefix, *ids), value, depth + 1)

    walk((), _loads(payload), 0)
    return out


def decode_plain_cbor(payload: bytes) -> object:
    """Read 60."""
    return _loads(payload)


def paths_of(payload: bytes, content_format: int | None) -> list[Path]:
    """Give the paths that a composite Read names: SenML records without values."""
    found = _loads(payload) if content_format == 112 else _json(payload) if content_format == 110 else None
    if not isinstance(found, list):
        raise BadValueError("not a list of paths")
    out, base = [], ""
    for item in found:
        if not isinstance(item, dict):
            raise BadValueError("not a SenML record")
        named = {NAMES.get(key, str(key)): value for key, value in item.items()}
        base = str(named.get("bn", base))
        out.append(_path(base + str(named.get("n", ""))))
    return out


def _resolve(found: list[dict[str, Any]]) -> list[tuple[Path, object]]:
    base, out = "", []
    for item in found:
        base = str(item.get("bn", base))
        names = [name for name in ("v", "vs", "vb", "vd", "vlo") if name in item]
        if len(names) != 1:
            raise BadValueError("a record needs one value")
        out.append((_path(base + str(item.get("n", ""))), item[names[0]]))
    return out


def _path(name: str) -> Path:
    try:
        path = tuple(int(part) for part in name.strip("/").split("/") if part)
    except ValueError:
        raise BadValueError("bad name") from None
    if len(path) > 4 or any(not 0 <= number <= 65535 for number in path):
        raise BadValueError("bad name")
    return path


def _loads(payload: bytes) -> object:
    stream = BytesIO(payload)
    try:
        found: object = cbor2.CBORDecoder(stream).decode()
    except Exception as error:  # noqa: BLE001 - cbor2 passes on what its tag decoders raise
        raise BadValueError(f"not CBOR: {error}") from None
    if stream.tell() != len(payload):
        raise BadValueError("bytes after the CBOR item")
    return found


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        raise BadValueError("not JSON") from None


def _base64url(text: object) -> bytes:
    try:
        padded = str(text) + "=" * (-len(str(text)) % 4)
        return base64.urlsafe_b64decode(padded)
    except ValueError, binascii.Error:
        raise BadValueError("not base64url") from None
