"""What a CoAP exchange says, without its message layer: a request and a response."""

from typing import NamedTuple


class Request(NamedTuple):
    """A request, either way. `path` and `query` are decoded options (RFC 7252 section 5.10)."""

    method: int
    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    payload: bytes = b""
    content_format: int | None = None
    accept: int | None = None
    confirmable: bool = True


class Response(NamedTuple):
    """A response, either way. `code` as on the wire (0x45 is 2.05); `observe` is a notification's sequence number."""

    code: int
    payload: bytes = b""
    content_format: int | None = None
    location: tuple[str, ...] = ()
    observe: int | None = None
    confirmable: bool | None = None

    @property
    def success(self) -> bool:
        """True for the 2.xx codes."""
        return self.code >> 5 == 2
