"""The DTLS port, on the real endpoint, with real clients."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from custom_components.lwm2m.coap.messages import Request, Response
from custom_components.lwm2m.coap.remote import Peer, _largest_block
from custom_components.lwm2m.coap.server import CoapServer
from custom_components.lwm2m.dtls.association import Association, AssociationClosedError, NetworkPath
from custom_components.lwm2m.dtls.endpoint import Endpoint, EngineName, make_endpoint
from custom_components.lwm2m.protocol.errors import PeerGone, RequestTimeout
from custom_components.lwm2m.security.identity import PskIdentity
from custom_components.lwm2m.security.refusal import Reason, Refusal
from tests.openssl_client import Client

from .devices import ACK, CON, RST, Device, Handler, coap, until
from .test_downlink import BODY, block_server, reply
from .test_peers import descriptors

KEY = bytes(range(16))
IDENTITY = b"dev"
SUITES = ["PSK-AES128-CCM8", "PSK-AES128-CBC-SHA256"]
IANA = {
    "PSK-AES128-CCM8": "TLS_PSK_WITH_AES_128_CCM_8",
    "PSK-AES128-CBC-SHA256": "TLS_PSK_WITH_AES_128_CBC_SHA256",
}


class Keys:
    """One device."""

    def psk(self, identity: bytes) -> bytes | None:
        return {IDENTITY: KEY, b"libcoap": LIBCOAP_KEY.encode()}.get(identity)

    def public_key(self, public_key: bytes) -> bool:
        return False

    def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
        return False


class SecureDevice(Device):
    """A device behind a DTLS client: what it sends and receives is CoAP."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Client("PSK-AES128-CCM8", psk=(IDENTITY, KEY))
        self.connected = asyncio.Event()
        self.dead = asyncio.Event()

    async def connect(self, suite: str = SUITES[0], key: bytes = KEY) -> None:
        self.client = Client(suite, psk=(IDENTITY, key))
        self.connected.clear()
        self.client.start(0.0)
        self.flush()
        async with asyncio.timeout(10):
            await self.connected.wait()

    def flush(self) -> None:
        out, self.client.out = self.client.out, []
        for datagram in out:
            self.transport.sendto(datagram, self.server)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.client.receive(data, 0.0)
        self.flush()
        if self.client.connected:
            self.connected.set()
        if self.client.dead:
            self.dead.set()
        received, self.client.received = self.client.received, []
        for plain in received:
            super().datagram_received(plain, addr)

    def send(self, data: bytes) -> None:
        self.log.append(("up", data))
        if not self.lose("up", data):
            self.client.send(data)
            self.flush()


@asynccontextmanager
async def serving_securely(
    handler: Handler | None = None, host: str = "127.0.0.1", engine: EngineName = "openssl", **settings: Any
) -> AsyncIterator[tuple[CoapServer, Handler, Endpoint]]:
    handler = handler or Handler()
    server = CoapServer(handler, **{"ack_timeout": 0.05, **settings})
    endpoint = make_endpoint(Keys(), engine=engine)
    await server.start(endpoint=endpoint, secure=(host, 0))
    try:
        yield server, handler, endpoint
    finally:
        await server.stop()


@asynccontextmanager
async def paired(
    suite: str = SUITES[0], **settings: Any
) -> AsyncIterator[tuple[CoapServer, SecureDevice, Peer, Handler]]:
    async with (
        serving_securely(**settings) as (server, handler, _),
        SecureDevice.at(("127.0.0.1", server.secure_port)) as device,
    ):
        await device.connect(suite)
        await until(handler, lambda: bool(handler.opened))
        yield server, device, handler.opened[0], handler


@pytest.mark.parametrize(("engine", "suite"), [("openssl", SUITES[0]), ("openssl", SUITES[1]), ("tinydtls", SUITES[0])])
async def test_a_device_over_dtls_both_ways(engine: EngineName, suite: str) -> None:
    async with paired(suite, engine=engine) as (server, device, peer, handler):
        assert peer.security == (peer.security.identity.mode, IANA[suite], PskIdentity(IDENTITY), None, None)
        assert peer.address == device.transport.get_extra_info("sockname")
        assert peer.local == "127.0.0.1"
        assert "psk" in repr(peer)
        answer = await device.ask(2, payload=b"</3/0>", uri_path=("rd",), uri_query=("ep=x",))
        assert (answer.mtype, answer.code, answer.token) == (ACK, 0x44, b"tk")
        assert handler.requests == [(peer, Request(2, ("rd",), ("ep=x",), b"</3/0>"))]
        task = asyncio.create_task(server.request(peer, Request(1, ("3", "0"))))
        device.send(reply(await device.receive(), payload=b"hello"))
        assert await task == Response(0x45, b"hello")
        await device.silent()


@pytest.mark.parametrize("suite", SUITES)
async def test_observed_over_dtls(suite: str) -> None:
    async with paired(suite) as (server, device, peer, _):
        seen: list[bytes] = []
        task = asyncio.create_task(server.observe(peer, Request(1, ("3",)), lambda r: seen.append(r.payload), print))
        device.send(reply(await device.receive(), payload=b"0", observe=0))
        _, observation = await task
        for number in range(1, 50):
            device.send(coap(0x45, CON, 1000 + number, observation.token, b"%d" % number, observe=number))
        for number in range(1, 50):
            answer = await device.receive()
            assert (answer.mtype, answer.mid) == (ACK, 1000 + number)
        assert seen == [b"%d" % number for number in range(1, 50)]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("exponent", [2, 6])
async def test_blocks_over_dtls(suite: str, exponent: int) -> None:
    async with paired(suite) as (server, device, peer, handler):
        store: dict[str, Any] = {}
        device.answer = block_server(store, exponent)
        assert (await server.request(peer, Request(1, ("3303",)))).payload == BODY
        assert (await server.request(peer, Request(3, ("5", "0", "0"), payload=BODY))).code == 0x44
        assert store["body"] == BODY
        device.answer = None
        size = 16 << exponent
        for number, start in enumerate(range(0, len(BODY), size)):
            await device.ask(
                2,
                payload=BODY[start : start + size],
                uri_path=("rd",),
                block1=(number, start + size < len(BODY), exponent),
            )
        assert handler.requests[-1][1].payload == BODY


async def test_a_device_that_says_goodbye() -> None:
    async with paired(ack_timeout=5.0) as (server, device, peer, handler):
        ends: list[str] = []
        task = asyncio.create_task(server.observe(peer, Request(1, ("3",)), print, ends.append))
        device.send(reply(await device.receive(), observe=0))
        await task
        asked = asyncio.create_task(server.request(peer, Request(1, ("3",))))
        await device.receive()
        device.client.close()
        device.flush()
        with pytest.raises(PeerGone, match="close"):
            await asked
        assert handler.closed == [(peer, "close_notify")]
        assert ends == ["close_notify"]
        assert peer.closed
        assert list(server.peers()) == []
        with pytest.raises(PeerGone):
            await server.request(peer, Request(1, ("3",)))


async def test_a_device_that_begins_anew_from_the_same_port() -> None:
    async with paired(ack_timeout=5.0) as (server, device, first, handler):
        asked = asyncio.create_task(server.request(first, Request(1, ("3",))))
        request = await device.receive()
        await device.connect()
        with pytest.raises(PeerGone, match="replaced"):
            await asked
        await until(handler, lambda: len(handler.opened) == 2)
        second = handler.opened[1]
        assert (first.closed, second.closed) == (True, False)
        assert first.address == second.address
        device.send(coap(0x45, CON, 7, request.token, b"for the first"))
        assert (await device.receive()).mtype is RST
        assert list(server.peers()) == [second]


async def test_a_peer_that_is_closed_is_told() -> None:
    async with paired() as (server, device, peer, handler):
        server.close_peer(peer)
        assert handler.closed == [(peer, "closed by the server")]
        await asyncio.wait_for(device.dead.wait(), 10)
        server.close_peer(peer)
        peer.link.send(peer, b"nothing")
        assert len(handler.closed) == 1


async def test_a_peer_closed_by_the_handler_in_the_middle_of_a_batch() -> None:
    async with paired() as (server, device, peer, handler):

        def respond(peer: Peer, request: Request) -> Response:
            server.close_peer(peer, "enough")
            return Response(0x44)

        handler.respond = respond
        for number in range(3):
            device.send(coap(2, CON, number, b"t"))
        await until(handler, lambda: bool(handler.closed))
        await asyncio.wait_for(device.dead.wait(), 10)
        assert len(handler.requests) == 1
        assert handler.closed == [(peer, "enough")]


async def test_an_association_that_the_endpoint_has_lost() -> None:
    async with paired() as (server, _, peer, handler):
        assert server._core is not None
        assert server._core.secure is not None
        endpoint = server._core.secure._endpoint

        def gone(association: Association, data: bytes, now: float) -> None:
            raise AssociationClosedError

        endpoint.send = gone  # type: ignore[method-assign]
        with pytest.raises(PeerGone):
            await server.request(peer, Request(1, ("3",)))
        assert handler.closed == [(peer, "the association is closed")]


async def test_what_does_not_fit_into_a_record_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    async with paired(ack_timeout=0.001) as (server, device, peer, _):
        with pytest.raises(RequestTimeout):
            await server.request(peer, Request(1, tuple("x" * 250 for _ in range(100))))
        assert "was not sent" in caplog.text
        device.answer = lambda message: [reply(message)]
        assert (await server.request(peer, Request(1, ("3",)), timeout=5)).success


@pytest.mark.parametrize(
    ("record", "exponent"), [(16384, 6), (1280, 6), (1152, 6), (1151, 5), (512, 4), (256, 3), (100, 0), (10, 0)]
)
def test_blocks_fit_into_records(record: int, exponent: int) -> None:
    assert _largest_block(record) == exponent


@pytest.mark.parametrize("called", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_from_the_address_that_the_device_called(called: str) -> None:
    async with (
        serving_securely(host="") as (server, handler, _),
        SecureDevice.at((called, server.secure_port)) as device,
    ):
        sources: set[str] = set()
        receive = device.datagram_received

        def note(data: bytes, addr: Any) -> None:
            sources.add(addr[0])
            receive(data, addr)

        device.datagram_received = note  # type: ignore[method-assign]
        await device.connect()
        await device.ask(2)
        peer = handler.opened[0]
        assert peer.local == called
        task = asyncio.create_task(server.request(peer, Request(1)))
        device.send(reply(await device.receive()))
        await task
        assert sources == {called}


async def test_refusals_are_passed_on() -> None:
    async with serving_securely() as (server, handler, _), Device.at(("127.0.0.1", server.secure_port)) as device:
        device.send(coap(2, CON, 1, b"t", uri_path=("rd",)))
        await until(handler, lambda: bool(handler.refusals))
        path, refusal = handler.refusals[0]
        assert refusal.reason is Reason.PLAINTEXT
        assert path == NetworkPath(device.transport.get_extra_info("sockname"), "127.0.0.1")
        async with SecureDevice.at(device.server) as other:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await other.connect(key=bytes(16))
        assert handler.refusals[-1][1].reason is Reason.WRONG_KEY
        assert handler.opened == []


async def test_a_handler_that_fails_at_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Handler):
        def refused(self, path: NetworkPath, refusal: Refusal) -> None:
            self.changed.set()
            raise ZeroDivisionError

    async with serving_securely(Bad()) as (server, handler, _), Device.at(("127.0.0.1", server.secure_port)) as device:
        device.send(coap(2, CON, 1))
        await handler.changed.wait()
        assert "could not be processed" in caplog.text
        async with SecureDevice.at(device.server) as other:
            await other.connect()
            assert (await other.ask(2)).code == 0x44


async def test_the_timer_of_the_endpoint_is_armed_and_disarmed() -> None:
    """A client that falls silent is sent the flight again, and what it left is gone with the server."""
    async with serving_securely() as (server, _, endpoint):
        assert server._core is not None
        port = server._core.secure
        assert port is not None
        async with SecureDevice.at(("127.0.0.1", server.secure_port)) as device:
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            cookies = [True]

            def deaf(data: bytes, addr: Any) -> None:
                heard.put_nowait(data)
                if cookies and cookies.pop():
                    device.client.receive(data, 0.0)
                    device.flush()

            device.datagram_received = deaf  # type: ignore[method-assign]
            device.client.start(0.0)
            device.flush()
            armed = []
            async with asyncio.timeout(10):
                flight = [await heard.get() for _ in range(2)][1]
                armed.append(port._timer)
                while (again := await heard.get())[13:14] != flight[13:14]:
                    pass
            assert again != flight, "in records of its own"
            armed.append(port._timer)
        assert None not in armed
        assert endpoint.pending_handshakes == 1
        await server.stop()
        assert [port._timer, endpoint.pending_handshakes] == [None, 0]


async def test_stop_says_goodbye_and_leaves_nothing() -> None:
    loop = asyncio.get_running_loop()
    before = descriptors()
    tasks = asyncio.all_tasks()
    handler = Handler()
    server = CoapServer(handler, ack_timeout=5.0)
    endpoint = make_endpoint(Keys(), engine="openssl")
    await server.start(endpoint=endpoint, secure=("", 0), nosec=("", 0))
    async with SecureDevice.at(("127.0.0.1", server.secure_port)) as device:
        await device.connect()
        await until(handler, lambda: bool(handler.opened))
        peer = handler.opened[0]
        task = asyncio.create_task(server.request(peer, Request(1)))
        await device.receive()
        await server.stop()
        with pytest.raises(PeerGone):
            await task
        await asyncio.wait_for(device.dead.wait(), 10)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    assert descriptors() == before
    assert [handle for handle in loop._scheduled if not handle.cancelled()] == []  # type: ignore[attr-defined]
    assert list(endpoint.associations()) == []
    assert handler.closed == [(peer, "the server stops")]


async def test_the_nosec_port_is_left_alone_when_the_secure_one_is_taken() -> None:
    async with serving_securely() as (server, _, _):
        other = CoapServer(Handler())
        with pytest.raises(OSError, match="in use"):
            await other.start(
                endpoint=make_endpoint(Keys(), engine="openssl"),
                secure=("127.0.0.1", server.secure_port or 0),
                nosec=("127.0.0.1", 0),
            )
        assert (other.running, other.nosec_port, other.secure_port) == (False, None, None)


# libcoap's clients.

LIBCOAP_KEY = "sixteen letters!"
CLIENTS = ["coap-client-openssl", "coap-client-gnutls"]


async def libcoap(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    assert path is not None, f"{program} is missing: install the package libcoap3-bin"
    process = await asyncio.create_subprocess_exec(
        path,
        "-B",
        "8",
        "-k",
        LIBCOAP_KEY,
        "-u",
        "libcoap",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    return output.decode(errors="replace")


@pytest.mark.parametrize("program", CLIENTS)
async def test_libcoap_registers(program: str) -> None:
    handler = Handler(lambda _peer, _request: Response(0x41, location=("rd", "7")))
    async with serving_securely(handler) as (server, _, _):
        uri = f"coaps://127.0.0.1:{server.secure_port}/rd?ep=x&lt=60&lwm2m=1.1&b=U"
        body = '</>;rt="oma.lwm2m",</3/0>'
        output = await libcoap(program, "-v", "6", "-m", "post", "-e", body, uri)
        assert [request for _, request in handler.requests] == [
            Request(2, ("rd",), ("ep=x", "lt=60", "lwm2m=1.1", "b=U"), body.encode())
        ]
        assert "2.01" in output
        assert "Location-Path:7" in output
        peer = handler.requests[0][0]
        assert peer.security.suite in IANA.values()
        assert peer.security.identity == PskIdentity(b"libcoap")
        await until(handler, lambda: bool(handler.closed))
        assert handler.closed == [(peer, "close_notify")]


@pytest.mark.parametrize("program", CLIENTS)
@pytest.mark.parametrize("size", [64, 1024])
async def test_libcoap_sends_and_fetches_blocks(program: str, size: int, tmp_path: Path) -> None:
    handler = Handler(lambda _peer, request: Response(0x45 if request.method == 1 else 0x44, BODY[:: request.method]))
    given, fetched = tmp_path / "given", tmp_path / "fetched"
    given.write_bytes(BODY)
    async with serving_securely(handler) as (server, _, _):
        uri = f"coaps://127.0.0.1:{server.secure_port}/rd"
        await libcoap(program, "-b", str(size), "-m", "get", "-o", str(fetched), uri)
        assert fetched.read_bytes() == BODY
        await libcoap(program, "-b", str(size), "-m", "post", "-f", str(given), "-o", str(fetched), uri)
        assert [request.payload for _, request in handler.requests] == [b"", BODY]
