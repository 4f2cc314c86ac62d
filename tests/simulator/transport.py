"""How a simulated device reaches its server: plain UDP here, DTLS in tinydtls.py and openssl.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

Address = tuple[str, int]

_ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    115: "unknown_psk_identity",
}


def alert_name(number: int) -> str:
    """What RFC 5246 section 7.2 calls an alert."""
    return _ALERTS.get(number, f"alert {number}")


class HandshakeError(Exception):
    """No association with the server came to be; `alert` is the number of the alert that was sent or received."""

    def __init__(self, reason: str, alert: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.alert = alert


class Transport(Protocol):
    """CoAP messages to and from one server."""

    muted: bool  # nothing is sent and nothing heard: the device is asleep, or gone

    async def open(self) -> None:
        """Be ready to send: socket, and association where the transport has one. HandshakeError when that fails."""

    def send(self, data: bytes) -> None:
        """Send one message."""

    def close(self, *, notify: bool) -> None:
        """Drop the association, with a word to the server when `notify`. The socket stays open."""

    async def rebind(self) -> None:
        """Go on from another local port, as after a new NAT binding; the association stays."""

    def shutdown(self) -> None:
        """Drop association and socket without a word."""

    @property
    def local_address(self) -> Address | None:
        """Host and port of this end, None while there is no socket."""


def parse_server(uri: str) -> tuple[bool, Address]:
    """Read coap://HOST[:PORT] or coaps://HOST[:PORT]; gives (secure, address)."""
    parts = urlsplit(uri)
    if parts.scheme not in ("coap", "coaps") or not parts.hostname:
        raise ValueError(f"not a CoAP URI: {uri}")
    secure = parts.scheme == "coaps"
    return secure, (parts.hostname, parts.port or (5684 if secure else 5683))


class UdpSocket(asyncio.DatagramProtocol):
    """A connected UDP socket: only what comes from the server's address is heard, ICMP errors are not."""

    def __init__(self, server: Address, bind: Address | None, receive: Callable[[bytes], None]) -> None:
        self._server = server
        self._bind = bind
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, *, another_port: bool = False) -> None:
        """Make the socket unless there is one; with `another_port` replace the one there is."""
        if self._transport is not None and not another_port:
            return
        bind = (self._bind[0], 0) if self._bind and another_port else self._bind
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, remote_addr=self._server, local_addr=bind
        )
        self.close()
        self._transport = transport

    def send(self, data: bytes) -> None:
        """Send one datagram; nothing happens without a socket."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Pass on what came from the server."""
        self._receive(data)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    @property
    def local_address(self) -> Address | None:
        """Host and port of this end."""
        if self._transport is None:
            return None
        host, port, *_ = self._transport.get_extra_info("sockname")
        return host, port


class UdpTransport:
    """CoAP in plain datagrams (NoSec)."""

    def __init__(self, server: Address, receive: Callable[[bytes], None], bind: Address | None = None) -> None:
        self.muted = False
        self._receive = receive
        self._socket = UdpSocket(server, bind, self._heard)

    async def open(self) -> None:
        """Make the socket."""
        await self._socket.open()

    def send(self, data: bytes) -> None:
        """Send one message."""
        if not self.muted:
            self._socket.send(data)

    def _heard(self, data: bytes) -> None:
        if not self.muted:
            self._receive(data)

    def close(self, *, notify: bool) -> None:
        """There is no association to drop."""

    async def rebind(self) -> None:
        """Go on from another local port."""
        await self._socket.open(another_port=True)

    def shutdown(self) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def local_address(self) -> Address | None:
        """Host and port of this end."""
        return self._socket.local_address
