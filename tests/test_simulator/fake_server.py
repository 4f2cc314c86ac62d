"""A server just large enough to try the simulator against: registrations over UDP or tinydtls, and free requests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Self

from DTLSSocket import dtls

from tests.simulator.coap import Code, Message, Option, Type
from tests.simulator.messaging import Messaging, Timing

Address = tuple[str, int]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has no event of its own: a counter, a list."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Peer:
    """One address that spoke to the server."""

    def __init__(self, server: FakeServer, address: Address) -> None:
        self.address = address
        self.notifications: asyncio.Queue[Message] = asyncio.Queue()
        self.messaging = Messaging(
            lambda data: server.transmit(address, data),
            lambda request: server.answer(self, request),
            lambda _token: None,
            timing=Timing(0.02),
            rng=random.Random(1),
        )
        self.endpoint: str | None = None


class FakeServer(asyncio.DatagramProtocol):
    """Listens on loopback, with `keys` over DTLS.

    `answers` holds response codes for "register", "update" and "send". A registration is known until its DELETE.
    """

    def __init__(self, keys: dict[bytes, bytes] | None = None, host: str = "127.0.0.1") -> None:
        self._host = host
        self.requests: list[Message] = []
        self.arrived = asyncio.Event()
        self.peers: dict[Address, Peer] = {}
        self.answers: dict[str, Code] = {}
        self.dropping = False
        self.known: set[str] = set()
        self._serial = 0
        self._keys = keys
        self._dtls = (
            None
            if keys is None
            else dtls.DTLS(read=self._decrypted, write=self._encrypted, event=lambda *_: None, pskId=b"", pskStore=keys)
        )

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self._host, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        for peer in self.peers.values():
            peer.messaging.stop()
            self.forget(peer.address)
        self._transport.close()

    @property
    def address(self) -> Address:
        host, port, *_ = self._transport.get_extra_info("sockname")
        return host, port

    @property
    def uri(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"coap{'' if self._dtls is None else 's'}://{host}:{self.address[1]}"

    def forget(self, address: Address) -> None:
        """Drop a DTLS association; tinydtls says close_notify to the peer."""
        if self._dtls is not None:
            self._dtls.resetPeer(dtls.Session(f"::ffff:{address[0]}", address[1]))

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self.dropping:
            return
        if self._dtls is None:
            self._message(addr, data)
        else:
            self._dtls.handleMessageAddr(f"::ffff:{addr[0]}", addr[1], data)

    def _decrypted(self, peer: Address, data: bytes) -> int:
        address = (peer[0].removeprefix("::ffff:"), peer[1])
        asyncio.get_running_loop().call_soon(self._message, address, data)
        return len(data)

    def _encrypted(self, peer: Address, data: bytes) -> int:
        self._transport.sendto(data, (peer[0].removeprefix("::ffff:"), peer[1]))
        return len(data)

    def transmit(self, address: Address, data: bytes) -> None:
        if self._dtls is None:
            self._transport.sendto(data, address)
        else:
            self._dtls.write(dtls.Session(f"::ffff:{address[0]}", address[1]), data)

    def _message(self, address: Address, data: bytes) -> None:
        peer = self.peers.get(address)
        if peer is None:
            peer = self.peers[address] = Peer(self, address)
        message = Message.decode(data)
        if message.code == Code.CONTENT and message.values(Option.OBSERVE) and message.type in (Type.CON, Type.NON):
            peer.notifications.put_nowait(message)
            if message.type is Type.CON:
                peer.messaging.transmit(Message(Type.ACK, Code.EMPTY, message.mid))
            return
        peer.messaging.received_datagram(data)

    def answer(self, peer: Peer, request: Message) -> Message:
        self.requests.append(request)
        self.arrived.set()
        self.arrived = asyncio.Event()
        return self._answer(peer, request)

    def _answer(self, peer: Peer, request: Message) -> Message:
        path = request.path
        if path == ("rd",):
            if code := self.answers.get("register"):
                return Message(Type.ACK, code)
            self._serial += 1
            location = f"r{self._serial}"
            self.known.add(location)
            peer.endpoint = next((item[3:] for item in request.query if item.startswith("ep=")), None)
            return Message(Type.ACK, Code.CREATED).add(Option.LOCATION_PATH, "rd").add(Option.LOCATION_PATH, location)
        if path == ("dp",):
            return Message(Type.ACK, self.answers.get("send", Code.CHANGED))
        if path[0] == "rd" and path[1] in self.known:
            if request.code == Code.DELETE:
                self.known.discard(path[1])
                return Message(Type.ACK, Code.DELETED)
            return Message(Type.ACK, self.answers.get("update", Code.CHANGED))
        return Message(Type.ACK, Code.NOT_FOUND)

    def peer(self, endpoint: str) -> Peer:
        """The newest peer that registered under this name."""
        return [peer for peer in self.peers.values() if peer.endpoint == endpoint][-1]

    async def ask(self, endpoint: str, code: Code, path: str, payload: bytes = b"", **options: Any) -> Message:
        """Send one request to a device. Options: accept, content_format, observe, query, token."""
        peer = self.peer(endpoint)
        message = Message(Type.CON, code, peer.messaging.next_mid(), options.get("token") or peer.messaging.new_token())
        for segment in path.strip("/").split("/"):
            message.add(Option.URI_PATH, segment)
        for name, number in (
            ("accept", Option.ACCEPT),
            ("content_format", Option.CONTENT_FORMAT),
            ("observe", Option.OBSERVE),
            ("block1", Option.BLOCK1),
            ("block2", Option.BLOCK2),
        ):
            if options.get(name) is not None:
                message.add(number, options[name])
        for item in options.get("query", ()):
            message.add(Option.URI_QUERY, item)
        message.payload = payload
        return await peer.messaging._exchange(message)
