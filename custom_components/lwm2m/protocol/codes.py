"""CoAP method and response codes as integers: class << 5 | detail (RFC 7252 section 12.1, RFC 8132, RFC 7959)."""

from typing import Final

EMPTY: Final = 0x00
GET: Final = 0x01
POST: Final = 0x02
PUT: Final = 0x03
DELETE: Final = 0x04
FETCH: Final = 0x05
PATCH: Final = 0x06
IPATCH: Final = 0x07

CREATED: Final = 0x41
DELETED: Final = 0x42
VALID: Final = 0x43
CHANGED: Final = 0x44
CONTENT: Final = 0x45
CONTINUE: Final = 0x5F

BAD_REQUEST: Final = 0x80
UNAUTHORIZED: Final = 0x81
BAD_OPTION: Final = 0x82
FORBIDDEN: Final = 0x83
NOT_FOUND: Final = 0x84
METHOD_NOT_ALLOWED: Final = 0x85
NOT_ACCEPTABLE: Final = 0x86
REQUEST_ENTITY_INCOMPLETE: Final = 0x88
CONFLICT: Final = 0x89
PRECONDITION_FAILED: Final = 0x8C
REQUEST_ENTITY_TOO_LARGE: Final = 0x8D
UNSUPPORTED_CONTENT_FORMAT: Final = 0x8F
UNPROCESSABLE_ENTITY: Final = 0x96
TOO_MANY_REQUESTS: Final = 0x9D

INTERNAL_SERVER_ERROR: Final = 0xA0
NOT_IMPLEMENTED: Final = 0xA1
BAD_GATEWAY: Final = 0xA2
SERVICE_UNAVAILABLE: Final = 0xA3
GATEWAY_TIMEOUT: Final = 0xA4
PROXYING_NOT_SUPPORTED: Final = 0xA5

_NAMES: Final = {
    EMPTY: "Empty",
    GET: "GET",
    POST: "POST",
    PUT: "PUT",
    DELETE: "DELETE",
    FETCH: "FETCH",
    PATCH: "PATCH",
    IPATCH: "iPATCH",
    CREATED: "Created",
    DELETED: "Deleted",
    VALID: "Valid",
    CHANGED: "Changed",
    CONTENT: "Content",
    CONTINUE: "Continue",
    BAD_REQUEST: "Bad Request",
    UNAUTHORIZED: "Unauthorized",
    BAD_OPTION: "Bad Option",
    FORBIDDEN: "Forbidden",
    NOT_FOUND: "Not Found",
    METHOD_NOT_ALLOWED: "Method Not Allowed",
    NOT_ACCEPTABLE: "Not Acceptable",
    REQUEST_ENTITY_INCOMPLETE: "Request Entity Incomplete",
    CONFLICT: "Conflict",
    PRECONDITION_FAILED: "Precondition Failed",
    REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    UNSUPPORTED_CONTENT_FORMAT: "Unsupported Content-Format",
    UNPROCESSABLE_ENTITY: "Unprocessable Entity",
    TOO_MANY_REQUESTS: "Too Many Requests",
    INTERNAL_SERVER_ERROR: "Internal Server Error",
    NOT_IMPLEMENTED: "Not Implemented",
    BAD_GATEWAY: "Bad Gateway",
    SERVICE_UNAVAILABLE: "Service Unavailable",
    GATEWAY_TIMEOUT: "Gateway Timeout",
    PROXYING_NOT_SUPPORTED: "Proxying Not Supported",
}


def format_code(code: int) -> str:
    """Return the dotted form: 0x45 is "2.05"."""
    return f"{code >> 5}.{code & 0x1F:02}"


def describe_code(code: int) -> str:
    """Return the dotted form with its name: 0x84 is "4.04 Not Found"."""
    name = _NAMES.get(code)
    return f"{format_code(code)} {name}" if name else format_code(code)


def is_success(code: int) -> bool:
    """Whether a response code is of class 2."""
    return code >> 5 == 2
