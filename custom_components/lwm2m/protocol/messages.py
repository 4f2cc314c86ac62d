"""The messages of the registration interface (LwM2M TS 1.1.1 Core, section 6.2) and the records of payloads."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from . import codes
from .errors import LinkFormatError, RegistrationError
from .link_format import ObjectList, parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .path import Path
    from .value import Value

DEFAULT_LIFETIME: Final = 86400
MAX_LIFETIME: Final = 2**31 - 1
"""What `lt=0`, which clients send for "never expires", and anything larger become: 68 years of seconds."""

VERSIONS: Final = ("1.0", "1.1", "1.2")

_MAX_PARAMETERS: Final = 64
_LIFETIME = re.compile(r"[0-9]{1,20}", re.ASCII)
_BINDINGS_1_0: Final = frozenset(("U", "UQ", "S", "SQ", "US", "UQS", "USQ"))
_TRANSPORTS: Final = {"1.1": frozenset("UTSN"), "1.2": frozenset("UMHTSN")}


class Entry(NamedTuple):
    """One resource, or resource instance, with its value.

    `time` is as it was on the wire: seconds since the epoch if at least 2**28, else seconds relative to now
    (RFC 8428 section 4.5.3); None where the payload gave none.
    """

    path: Path
    value: Value
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRequest:
    """A Register: `endpoint` is None where the client named none, `lifetime` is seconds (see MAX_LIFETIME).

    `binding` is as sent ("UQ" in LwM2M 1.0), `queue` whether it or a Q parameter asks for queue mode.
    """

    endpoint: str | None
    lifetime: int
    lwm2m: str
    binding: str
    queue: bool
    sms: str | None
    objects: ObjectList
    attributes: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, query: Sequence[str], payload: bytes) -> Self:
        """Return the request of these Uri-Query options; RegistrationError carries 4.00 or, for the version, 4.12."""
        parameters = _split(query)
        lwm2m = _parse_lwm2m(parameters.pop("lwm2m", "1.0"))
        binding, queue = _parse_binding(parameters, lwm2m)
        lifetime = _parse_lifetime(parameters)
        objects = _parse_objects(payload, lwm2m)
        if not objects.objects:
            raise RegistrationError("no object list")
        return cls(
            endpoint=_parse_endpoint(parameters.pop("ep", None)),
            lifetime=DEFAULT_LIFETIME if lifetime is None else lifetime,
            lwm2m=lwm2m,
            binding=binding or "U",
            queue=bool(queue),
            sms=parameters.pop("sms", None),
            objects=objects,
            attributes=parameters,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """An Update: None is what stays as it is registered."""

    lifetime: int | None
    binding: str | None
    queue: bool | None
    sms: str | None
    objects: ObjectList | None
    attributes: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, query: Sequence[str], payload: bytes, lwm2m: str = "1.1") -> Self:
        """Return the request of these Uri-Query options, from a client registered with version `lwm2m`."""
        parameters = _split(query)
        for name in ("ep", "lwm2m"):
            parameters.pop(name, None)
        binding, queue = _parse_binding(parameters, lwm2m)
        objects = _parse_objects(payload, lwm2m)
        return cls(
            lifetime=_parse_lifetime(parameters),
            binding=binding,
            queue=queue,
            sms=parameters.pop("sms", None),
            objects=objects if objects.objects else None,
            attributes=parameters,
        )


def _split(query: Sequence[str]) -> dict[str, str | None]:
    if len(query) > _MAX_PARAMETERS:
        raise RegistrationError(f"more than {_MAX_PARAMETERS} parameters")
    parameters: dict[str, str | None] = {}
    for option in query:
        name, equals, value = option.partition("=")
        if name in parameters:
            raise RegistrationError(f"{name[:20]!r} is given twice")
        parameters[name] = value if equals else None
    return parameters


def _parse_lwm2m(text: str | None) -> str:
    version = parse_version(text)
    if version is None or "." not in (text or ""):
        raise RegistrationError("lwm2m is not a version")
    if version not in VERSIONS:
        raise RegistrationError(f"LwM2M {version} is not supported", codes.PRECONDITION_FAILED)
    return version


def _parse_endpoint(text: str | None) -> str | None:
    if not text:
        return None
    if not text.isprintable():
        raise RegistrationError("the endpoint name has characters that cannot be printed")
    return text


def _parse_lifetime(parameters: dict[str, str | None]) -> int | None:
    if "lt" not in parameters:
        return None
    text = parameters.pop("lt") or ""
    if not _LIFETIME.fullmatch(text):
        raise RegistrationError("lt is not a number of seconds")
    return min(int(text), MAX_LIFETIME) or MAX_LIFETIME


def _parse_binding(parameters: dict[str, str | None], lwm2m: str) -> tuple[str | None, bool | None]:
    """Take `b` and `Q` out of the parameters; return the binding and whether queue mode is asked for."""
    queue: bool | None = None
    if "Q" in parameters:
        if parameters.pop("Q") is not None:
            raise RegistrationError("Q takes no value")
        queue = True
    if "b" not in parameters:
        return None, queue
    binding = parameters.pop("b") or ""
    if lwm2m == "1.0":
        valid = binding in _BINDINGS_1_0
        queue = queue or "Q" in binding
    else:
        valid = 0 < len(binding) == len(set(binding)) and _TRANSPORTS[lwm2m].issuperset(binding)
        queue = bool(queue)
    if not valid:
        raise RegistrationError(f"{binding[:20]!r} is not a binding of LwM2M {lwm2m}")
    return binding, queue


def _parse_objects(payload: bytes, lwm2m: str) -> ObjectList:
    try:
        return ObjectList.parse(payload, lwm2m)
    except LinkFormatError as error:
        raise RegistrationError(str(error)) from None
