"""Records: what is kept of one device over a restart, as plain JSON and back. They hold no secrets.

A record has: objects (path: version), security, last_contact, formats, values and times (by path), surveyed (paths) and
registration (or null). Times are seconds since the epoch. Reader and writer of each part stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..coap.remote import Peer, PeerSecurity
from ..dtls.association import NetworkPath
from ..protocol.errors import LwM2MError
from ..protocol.link_format import ObjectList
from ..protocol.messages import Entry, RegisterRequest
from ..protocol.path import Path
from ..protocol.value import Value, from_json, to_json
from ..security.identity import (
    NO_SECURITY,
    CertificateIdentity,
    Identity,
    NoSecurity,
    PskIdentity,
    PublicKeyIdentity,
)
from .formats import Formats
from .registrations import Registration

if TYPE_CHECKING:
    from .device import Device
    from .server import Server

type Json = dict[str, Any]

VALUE_LIMIT = 1024
"""Characters or bytes in the longest value that is kept."""

RECORD_LIMIT = 256 << 10
"""About how many bytes of values are kept of one device."""

_VALUE_SIZE = 40
"""Bytes that one value takes in a record, beside its text."""


class RecordError(LwM2MError):
    """Not a record of this version; the message says what is wrong with it."""


def make_record(device: Device) -> Json:
    """Return what is to be kept of a device. What is too long is left out, and its instance counts as not surveyed."""
    values, cut = _make_values(device.values)
    times = device.times
    return {
        "objects": {str(path): version for path, version in device.objects.items()},
        "security": None if device.security is None else _make_security(device.security),
        "last_contact": device.last_contact,
        "formats": _make_formats(device.downlink.formats),
        "values": values,
        "times": {str(path): time for path, time in times.items() if str(path) in values},
        "surveyed": [str(path) for path in sorted(device.surveyed) if path not in cut],
        "registration": _make_registration(device),
    }


def apply_record(record: object, server: Server, device: Device) -> None:
    """Give a new device of the server what a record holds; RecordError, and nothing done, if it is none."""
    parsed = Record(record)
    context = server.context
    heard_at = None
    if parsed.last_contact is not None:
        heard_at = context.clock() - max(0.0, context.wall() - parsed.last_contact)
    device.restore(parsed.objects, parsed.security, heard_at)
    device.downlink.formats = parsed.formats
    unread: set[Path] = set()
    entries = []
    for path, data in parsed.values.items():
        try:
            value = from_json(data, device.definitions.type(path))
        except LwM2MError:  # the definition is another one now
            unread.add(Path(path[:2]))
            continue
        entries.append(Entry(path, value, parsed.times.get(path)))
    device.state.store(entries)
    device.surveyed = parsed.surveyed - unread
    if parsed.registration is not None and parsed.security is not None:
        registration = _parse_registration(parsed, server, device.endpoint)
        if registration.ends_at > context.clock():
            server.resume(registration)


class Record:
    """A record, checked: RecordError tells of anything that is not as `make_record` makes it."""

    __slots__ = (
        "formats", "last_contact", "objects", "registration", "security", "surveyed", "times", "values",
    )  # fmt: skip

    def __init__(self, data: object) -> None:
        try:
            record = _checked(data, dict)
            self.objects = {Path.parse(path): _checked(text, str) for path, text in record["objects"].items()}
            self.values = {Path.parse(path): _scalar(value) for path, value in record["values"].items()}
            self.times = {Path.parse(path): _number(time) for path, time in record["times"].items()}
            self.surveyed = {Path.parse(path) for path in _checked(record["surveyed"], list)} & self.objects.keys()
            self.last_contact = None if record["last_contact"] is None else _number(record["last_contact"])
            self.formats = _parse_formats(record["formats"])
            security = record["security"]
            self.security: PeerSecurity | None = None if security is None else _parse_security(security)
            self.registration: Json | None = record["registration"]
            if self.registration is not None:
                _check_registration(self.registration)
        except (LwM2MError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f"{type(error).__name__}: {error}") from None


# Values


def _make_values(values: Mapping[Path, Value]) -> tuple[Json, set[Path]]:
    """Return the values by path as text, and the instances of those that were left out."""
    made: Json = {}
    cut: set[Path] = set()
    room = RECORD_LIMIT
    for path, value in values.items():
        size = _VALUE_SIZE + (len(value) if isinstance(value, str | bytes) else 0)
        if size > min(room, VALUE_LIMIT + _VALUE_SIZE) or not _is_text(value):
            cut.add(Path(path[:2]))
            continue
        room -= size
        made[str(path)] = to_json(value)
    return made, cut


def _is_text(value: Value) -> bool:
    """Whether a value, if it is text, can be written at all: JSON lets lone surrogates through, UTF-8 does not."""
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _scalar(value: object) -> object:
    return _checked(value, str, int, float, bool, dict)


# Security


def _make_security(security: PeerSecurity) -> Json:
    return {
        "suite": security.suite,
        "identity": _make_identity(security.identity),
        "group": security.group,
        "since": security.since,
    }


def _parse_security(data: Json) -> PeerSecurity:
    identity = _parse_identity(data["identity"])
    # Older records have neither group nor since.
    group, since = _text_or_none(data.get("group")), data.get("since")
    return PeerSecurity(
        identity.mode, _text_or_none(data["suite"]), identity, group, None if since is None else _number(since)
    )


def _make_identity(identity: Identity) -> Json | None:
    match identity:
        case PskIdentity():
            return {"psk": identity.identity.hex()}
        case PublicKeyIdentity():
            return {"public_key": identity.public_key.hex()}
        case CertificateIdentity():
            return {
                "certificate": identity.certificate.hex(),
                "common_name": identity.common_name,
                "names": list(identity.names),
                "trusted": identity.trusted,
            }
        case NoSecurity():
            return None


def _parse_identity(data: Json | None) -> Identity:
    match data:
        case None:
            return NO_SECURITY
        case {"psk": str(digits)}:
            return PskIdentity(bytes.fromhex(digits))
        case {"public_key": str(digits)}:
            return PublicKeyIdentity(bytes.fromhex(digits))
        case {"certificate": str(digits), "common_name": name, "names": list(names), "trusted": bool(trusted)}:
            return CertificateIdentity(bytes.fromhex(digits), _text_or_none(name), _texts(names), trusted)
    raise RecordError("not an identity")


# Formats


def _make_formats(formats: Formats) -> Json:
    read, write = formats.learned
    return {
        "lwm2m": formats.lwm2m,
        "named": list(formats.named),
        "composite": formats.composite,
        "read": {str(level): number for level, number in read.items()},
        "write": {str(level): number for level, number in write.items()},
    }


def _parse_formats(data: Json) -> Formats:
    formats = Formats(_checked(data["lwm2m"], str), _integers(data["named"]))
    formats.composite = _checked(data["composite"], bool)
    for level, number in data["read"].items():
        formats.can_read(int(level), None if number is None else _checked(number, int))
    for level, number in data["write"].items():
        formats.can_write(int(level), _checked(number, int))
    return formats


# Registration


def _make_registration(device: Device) -> Json | None:
    """Return the registration, unless whoever made it has proven nothing: then nobody can go on with it."""
    registration = device.registration
    if registration is None or isinstance(registration.peer.security.identity, NoSecurity):
        return None
    offset = device.context.wall() - device.context.clock()
    return {
        "location": registration.location,
        "lwm2m": registration.lwm2m,
        "lifetime": registration.lifetime,
        "binding": registration.binding,
        "queue": registration.queue,
        "sms": registration.sms,
        "root": list(registration.root),
        "content_formats": list(registration.content_formats),
        "registered_at": registration.registered_at + offset,
        "updated_at": registration.updated_at + offset,
        "expires_at": registration.expires_at + offset,
    }


def _check_registration(data: Json) -> None:
    for name, kinds in (
        ("location", (str,)),
        ("lwm2m", (str,)),
        ("lifetime", (int,)),
        ("binding", (str,)),
        ("queue", (bool,)),
        ("sms", (str, type(None))),
    ):
        _checked(data[name], *kinds)
    _texts(data["root"])
    _integers(data["content_formats"])
    for name in ("registered_at", "updated_at", "expires_at"):
        _number(data[name])


def _parse_registration(record: Record, server: Server, endpoint: str) -> Registration:
    data, security = record.registration, record.security
    assert data is not None
    assert security is not None
    request = RegisterRequest(
        endpoint=endpoint,
        lifetime=data["lifetime"],
        lwm2m=data["lwm2m"],
        binding=data["binding"],
        queue=data["queue"],
        sms=data["sms"],
        objects=ObjectList(record.objects, tuple(data["root"]), tuple(data["content_formats"])),
    )
    now = server.context.clock()
    offset = server.context.wall() - now
    registration = Registration(data["location"], endpoint, _absent_peer(security, now), request, now)
    registration.registered_at = min(now, data["registered_at"] - offset)
    registration.updated_at = min(now, data["updated_at"] - offset)
    # A clock that went back while the server was away makes no registration longer than it was.
    registration.expires_at = min(now + registration.lifetime, data["expires_at"] - offset)
    return registration


class _Nowhere:
    """The way to a peer that has not called since the server started."""

    def send(self, peer: Peer, data: bytes) -> None:
        """Let it be lost."""


def _absent_peer(security: PeerSecurity, now: float) -> Peer:
    peer = Peer(_Nowhere(), NetworkPath(("", 0), None), security, now)
    peer.closed = True
    return peer


# Parts


def _checked[T](value: object, *kinds: type[T]) -> T:
    """Return the value if it is of one of these types, and a truth only where `bool` is one of them."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise RecordError(f"a {type(value).__name__} in place of {' or '.join(kind.__name__ for kind in kinds)}")
    return value


def _number(value: object) -> float:
    return _checked(value, int, float)


def _text_or_none(value: object) -> str | None:
    return None if value is None else _checked(value, str)


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(_checked(value, str) for value in values)


def _integers(values: Iterable[object]) -> tuple[int, ...]:
    return tuple(_checked(value, int) for value in values)
