"""DTLS 1.2 with raw public keys, certificates or any PSK suite by OpenSSL: as devices with Mbed TLS or wolfSSL do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.openssl_client import Client

from .transport import Address, HandshakeError, UdpSocket, alert_name


class OpenSSLTransport:
    """CoAP over one DTLS association at a time; `make` gives the client of a new one, which must note alerts.

    `lost` is called when the server ends the association.
    """

    def __init__(
        self,
        server: Address,
        make: Callable[[], Client],
        receive: Callable[[bytes], None],
        lost: Callable[[str], None],
        *,
        bind: Address | None = None,
        handshake_timeout: float = 20.0,
    ) -> None:
        self.muted = False
        self._make = make
        self._receive = receive
        self._lost = lost
        self._timeout = handshake_timeout
        self._socket = UdpSocket(server, bind, self._datagram)
        self._client: Client | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Future[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is an association."""
        return self._client is not None and self._client.connected and not self._client.dead

    async def open(self) -> None:
        """Do a handshake unless there is an association."""
        if self.connected:
            return
        await self._socket.open()
        loop = asyncio.get_running_loop()
        self._client = client = self._make()
        self._handshake = handshake = loop.create_future()
        try:
            client.start(loop.time())
            self._flush()
            async with asyncio.timeout(self._timeout):
                await handshake
        except TimeoutError:
            raise HandshakeError("timeout") from None
        finally:
            self._handshake = None
            handshake.cancel()
            if not self.connected:
                self._forget()

    def send(self, data: bytes) -> None:
        """Send one message; lost when there is no association."""
        if self.connected and not self.muted:
            assert self._client is not None
            self._client.send(data)
            self._flush()

    def close(self, *, notify: bool) -> None:
        """Drop the association."""
        if notify and self.connected and not self.muted:
            assert self._client is not None
            self._client.close()
            self._flush()
        self._forget()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._client = None

    async def rebind(self) -> None:
        """Go on from another local port."""
        await self._socket.open(another_port=True)

    def shutdown(self) -> None:
        """Drop association and socket without a word."""
        self._forget()
        self._socket.close()

    @property
    def local_address(self) -> Address | None:
        """Host and port of this end."""
        return self._socket.local_address

    def _flush(self) -> None:
        """Send what OpenSSL has made, and be called again when a flight is due once more."""
        client = self._client
        assert client is not None
        out, client.out = client.out, []
        for datagram in out:
            if not self.muted:
                self._socket.send(datagram)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if client.next_timer is not None:
            self._timer = asyncio.get_running_loop().call_at(client.next_timer, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._client is not None:
            self._client.handle_timer(asyncio.get_running_loop().time())
            self._flush()

    def _datagram(self, data: bytes) -> None:
        client = self._client
        if self.muted or client is None:
            return
        client.receive(data, asyncio.get_running_loop().time())
        self._flush()
        alert = client.alerts[-1] if client.alerts else None
        reason = "failed" if alert is None else alert_name(alert)
        handshake = self._handshake
        if handshake is not None and not handshake.done():
            if client.connected:
                handshake.set_result(None)
            elif client.dead:
                handshake.set_exception(HandshakeError(reason, alert))
        received, client.received = client.received, []
        for message in received:
            self._receive(message)
        if client.dead and client.connected and client is self._client:
            self._forget()
            asyncio.get_running_loop().call_soon(self._lost, reason)
