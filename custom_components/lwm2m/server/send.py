"""Send: values that a device reports by itself (LwM2M TS 1.1.1 section 6.4.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..coap.messages import Request, Response
from ..protocol import codec, codes
from ..protocol.content_format import ContentFormat
from ..protocol.errors import ProtocolError
from ..protocol.path import Path
from .events import SendReceived
from .registrations import owner_of
from .values import resolve_times

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..coap.remote import Peer
    from .server import Server

_FORMATS = (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.LWM2M_CBOR)


def receive_send(server: Server, peer: Peer, request: Request) -> tuple[Response, Callable[[], None] | None]:
    """Take over the values. 4.00 without registration or for what cannot be read, 4.04 for a path not registered."""
    mine = server.registrations.of_owner(owner_of(peer))
    if not mine:
        return Response(codes.BAD_REQUEST, b"not registered"), None
    device = server.devices[mine[-1].endpoint]
    if request.content_format not in _FORMATS:
        return Response(codes.BAD_REQUEST, b"Send needs SenML"), None
    try:
        entries = codec.decode(request.content_format, request.payload, Path(), device.definitions, device.root)
    except ProtocolError as error:
        return Response(codes.BAD_REQUEST, str(error).encode()[:120]), None
    if not entries:
        return Response(codes.BAD_REQUEST, b"no values"), None
    for entry in entries:
        if len(entry.path) < 3 or not device.has(entry.path):
            return Response(codes.NOT_FOUND), None
    timed = resolve_times(entries, server.context.wall)
    device.state.store(timed)

    def announce() -> None:
        device.heard()
        server.emit(SendReceived(device, timed))

    return Response(codes.CHANGED), announce
