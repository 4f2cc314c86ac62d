"""The errors of the LwM2M layers, by whose fault they are.

LwM2MError
 ├ ProtocolError           bytes or words that break the standard; `.code` is the CoAP code to answer a request with
 │  ├ PathError            not a path of LwM2M identifiers
 │  ├ LinkFormatError      not a link list (RFC 6690)
 │  ├ AttributesError      notification attributes that contradict each other or mean nothing
 │  ├ CodecError           a payload that its content format does not allow; `.content_format`
 │  │  ├ InvalidValueError a value that its data type does not allow
 │  │  └ UnsupportedFormat a content format without a codec (4.15)
 │  ├ RegistrationError    a Register or Update that must be refused (4.00 or 4.12)
 │  └ ObjectXmlError       an object definition file that cannot be used
 ├ ResponseError           the peer answered a request with an error code
 ├ RequestTimeout          the peer did not answer
 ├ PeerGone                the association or registration ended before the peer answered
 └ NotRegistered           there is no registration to send the request to
"""

from . import codes


class LwM2MError(Exception):
    """Base of all errors of the LwM2M layers."""


class ProtocolError(LwM2MError):
    """Input that breaks the standard; `code` is the CoAP response code for the peer that sent it."""

    code: int = codes.BAD_REQUEST


class PathError(ProtocolError):
    """Text that is not a path of at most four LwM2M identifiers."""


class LinkFormatError(ProtocolError):
    """Bytes that are not a link list (RFC 6690), or too many links."""


class AttributesError(ProtocolError):
    """Notification attributes that are malformed or inconsistent (LwM2M TS 1.1.1 Core, section 5.1.2)."""


class CodecError(ProtocolError):
    """A payload that cannot be decoded or encoded; `content_format` is its number where known."""

    def __init__(self, message: str, content_format: int | None = None) -> None:
        super().__init__(message)
        self.content_format = content_format


class InvalidValueError(CodecError):
    """A value that its data type does not allow."""


class UnsupportedFormat(CodecError):  # noqa: N818
    """A content format for which there is no codec, or none for this use."""

    code = codes.UNSUPPORTED_CONTENT_FORMAT


class RegistrationError(ProtocolError):
    """A Register or Update that must be refused; `code` says how."""

    def __init__(self, message: str, code: int = codes.BAD_REQUEST) -> None:
        super().__init__(message)
        self.code = code


class ObjectXmlError(ProtocolError):
    """An object definition file that cannot be used; the message names what is wrong with it."""


class ResponseError(LwM2MError):
    """The peer answered with the error `code`; `detail` is its diagnostic payload, if any."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        text = codes.describe_code(self.code)
        return f"{text}: {self.detail}" if self.detail else text


class RequestTimeout(LwM2MError):  # noqa: N818
    """The peer did not answer in time."""


class PeerGone(LwM2MError):  # noqa: N818
    """The association or registration ended before the peer answered."""


class NotRegistered(LwM2MError):  # noqa: N818
    """The client `endpoint` has no registration."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.endpoint = endpoint

    def __str__(self) -> str:
        return f"{self.endpoint} is not registered"
