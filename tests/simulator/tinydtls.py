"""DTLS 1.2 with PSK and AES_128_CCM_8 by tinydtls (DTLSSocket), the stack of many real sensors."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable

from DTLSSocket import dtls

from .transport import Address, HandshakeError, UdpSocket, alert_name

CONNECTED = 0x01DE  # tinydtls: DTLS_EVENT_CONNECTED, level 0
CLOSE_NOTIFY = 0
PEER: Address = ("fd00::1", 5684)  # tinydtls never sees the real address; one context has one peer
POLL = 0.1  # seconds between looks at tinydtls's retransmission timers during a handshake

dtls.setLogLevel(dtls.DTLS_LOG_EMERG)  # its log goes to standard output, among the events

_idle: list[Engine] = []
_all: list[Engine] = []


class Engine:
    """One tinydtls context with at most one peer.

    Contexts are used again and never freed: making one sets back the clock of all others in the process, freeing one
    calls back into a half-dead object, and a collected connection object that outlived its context crashes.
    """

    __slots__ = ("_connection", "_context", "_identity", "owner")

    def __init__(self) -> None:
        self.owner: DtlsTransport | None = None
        self._connection: dtls.Connection | None = None
        self._identity = b""  # the context holds a bare pointer to it
        self._context = dtls.DTLS(read=self._read, write=self._write, event=self._event, pskId=b"", pskStore={})

    @classmethod
    def acquire(cls, owner: DtlsTransport) -> Engine:
        """Take an idle context, or make one."""
        engine = _idle.pop() if _idle else cls()
        if engine not in _all:
            _all.append(engine)
        engine.owner = owner
        return engine

    def release(self) -> None:
        """Forget the peer in silence and give the context back."""
        self.owner = None
        self.drop()
        _idle.append(self)

    def connect(self, identity: bytes, key: bytes) -> None:
        """Send a ClientHello of a new association."""
        self.drop()
        self._identity = identity
        self._context.pskId = self._identity
        self._context.pskStore = {identity: key}
        self._connection = self._context.connect(*PEER)

    def drop(self) -> None:
        """Forget the peer; tinydtls then sends close_notify unless the owner is muted or gone."""
        self._connection = None  # its deallocation resets the peer

    def close_notify(self) -> None:
        """Tell the peer that this ends."""
        if self._connection is not None:
            self._context.close(self._connection)

    def feed(self, data: bytes) -> int:
        """Handle one datagram; negative when tinydtls gave up on it."""
        return 0 if self._connection is None else int(self._context.handleMessage(self._connection, data))

    def write(self, data: bytes) -> int:
        """Send application data; what was sent, 0 or less when there is no association."""
        return 0 if self._connection is None else int(self._context.write(self._connection, data))

    def poll(self) -> None:
        """Send again what is due."""
        self._context.checkRetransmit()

    def _read(self, _peer: Address, data: bytes) -> int:
        if self.owner is not None:
            self.owner.application_data(data)
        return len(data)

    def _write(self, _peer: Address, data: bytes) -> int:
        if self.owner is not None:
            self.owner.transmit(data)
        return len(data)

    def _event(self, level: int, code: int) -> None:
        if self.owner is not None:
            self.owner.event(level, code)


@atexit.register
def _drop_all() -> None:
    for engine in _all:
        engine.owner = None
        engine.drop()


class DtlsTransport:
    """CoAP over one DTLS association at a time.

    `lost` is called (never from inside of tinydtls) when the server ends the association.
    """

    def __init__(
        self,
        server: Address,
        identity: bytes,
        key: bytes,
        receive: Callable[[bytes], None],
        lost: Callable[[str], None],
        *,
        bind: Address | None = None,
        handshake_timeout: float = 20.0,
    ) -> None:
        if not 0 < len(key) <= 16 or len(identity) > 32:
            raise ValueError("tinydtls takes keys of 1 to 16 and identities of at most 32 bytes")
        self.muted = False
        self._identity = identity
        self._key = key
        self._receive = receive
        self._lost = lost
        self._timeout = handshake_timeout
        self._socket = UdpSocket(server, bind, self._datagram)
        self._engine = Engine.acquire(self)
        self._handshake: asyncio.Future[None] | None = None
        self.connected = False

    async def open(self) -> None:
        """Do a handshake unless there is an association."""
        if self.connected:
            return
        await self._socket.open()
        loop = asyncio.get_running_loop()
        handshake: asyncio.Future[None] = loop.create_future()
        self._handshake = handshake
        self._engine.connect(self._identity, self._key)
        deadline = loop.time() + self._timeout
        try:
            while not handshake.done():
                if loop.time() > deadline:
                    raise HandshakeError("timeout")
                await asyncio.wait((handshake,), timeout=POLL)
                if not handshake.done():
                    self._engine.poll()
            handshake.result()
        finally:
            self._handshake = None
            handshake.cancel()
            if not self.connected:
                self._forget()

    def send(self, data: bytes) -> None:
        """Send one message; lost when there is no association."""
        if self.connected and not self.muted:
            self._engine.write(data)

    def close(self, *, notify: bool) -> None:
        """Drop the association."""
        if notify and self.connected and not self.muted:
            self._engine.close_notify()
        self._forget()

    def _forget(self) -> None:
        self.connected = False
        muted, self.muted = self.muted, True
        self._engine.drop()
        self.muted = muted

    async def rebind(self) -> None:
        """Go on from another local port."""
        await self._socket.open(another_port=True)

    def shutdown(self) -> None:
        """Drop association and socket without a word; the transport is of no further use."""
        self._forget()
        self._socket.close()
        if self._engine.owner is self:
            self._engine.release()

    @property
    def local_address(self) -> Address | None:
        """Host and port of this end."""
        return self._socket.local_address

    def _datagram(self, data: bytes) -> None:
        if self.muted:
            return
        result = self._engine.feed(data)
        if result < 0 and self._handshake is not None and not self._handshake.done():
            # tinydtls sends its own alert and gives no event: a bad Finished, a message that it cannot read
            self._handshake.set_exception(HandshakeError("failed"))

    # Called by tinydtls, in the middle of one of its functions: nothing here may call it again.

    def transmit(self, data: bytes) -> None:
        """Send a datagram that tinydtls made."""
        if not self.muted:
            self._socket.send(data)

    def application_data(self, data: bytes) -> None:
        """Take up what the server sent, once tinydtls has returned."""
        asyncio.get_running_loop().call_soon(self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if self.connected and not self.muted:
            self._receive(data)

    def event(self, level: int, code: int) -> None:
        """Take note of an alert or of the end of the handshake."""
        handshake = self._handshake
        if level == 0:
            if code == CONNECTED and handshake is not None and not handshake.done():
                self.connected = True
                handshake.set_result(None)
            return
        name = alert_name(code)
        if handshake is not None:
            if not handshake.done() and (level == 2 or code == CLOSE_NOTIFY):
                handshake.set_exception(HandshakeError(name, code))
        elif level == 2 or code == CLOSE_NOTIFY:
            self.connected = False
            asyncio.get_running_loop().call_soon(self._lost, name)
