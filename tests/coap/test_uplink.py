"""Requests of devices on the NoSec port."""

from __future__ import annotations

from typing import Any

import aiocoap  # type: ignore[import-untyped]
import pytest

from custom_components.lwm2m.coap import blockwise, remote
from custom_components.lwm2m.coap.messages import Request, Response
from custom_components.lwm2m.coap.remote import Peer
from custom_components.lwm2m.coap.server import CoapServer
from custom_components.lwm2m.protocol.errors import RegistrationError
from custom_components.lwm2m.security.credential import SecurityMode

from .devices import ACK, CON, NON, RST, Device, Handler, coap, connected, serving


def created(peer: Peer, request: Request) -> Response:
    return Response(0x41, location=("rd", "5"))


def large(peer: Peer, request: Request) -> Response:
    return Response(0x45, bytes(range(256)) * 10, 0)


async def test_a_confirmable_request_gets_a_piggybacked_response() -> None:
    async with serving(Handler(created)) as (server, handler), Device.at(("127.0.0.1", server.nosec_port)) as device:
        query = ("ep=urn:dev:1", "lt=60", "lwm2m=1.1")
        answer = await device.ask(2, payload=b"</3/0>", uri_path=("rd",), uri_query=query, content_format=40)
        assert (answer.mtype, answer.mid, answer.token, answer.code) == (ACK, 101, b"tk", 0x41)
        assert answer.opt.location_path == ("rd", "5")
        peer, request = handler.requests[0]
        assert request == Request(2, ("rd",), query, b"</3/0>", 40, None, True)
        assert peer.security.mode is SecurityMode.NOSEC
        assert peer.address == device.transport.get_extra_info("sockname")
        assert peer.local == "127.0.0.1"
        assert handler.opened == [peer]
        assert repr(peer) == f"<Peer [127.0.0.1]:{peer.address[1]} nosec>"


async def test_a_non_confirmable_request_gets_a_non_confirmable_response() -> None:
    async with connected() as (_, device, _, handler):
        answer = await device.ask(2, NON, uri_path=("dp",))
        assert (answer.mtype, answer.token, answer.code) == (NON, b"tk", 0x44)
        assert handler.requests[-1][1].confirmable is False


async def test_a_duplicate_is_answered_again_but_not_handled_again() -> None:
    async with connected() as (_, device, _, handler):
        handled = len(handler.requests)
        message = coap(2, CON, 7, b"t", uri_path=("rd",))
        answers = []
        for _ in range(3):
            device.send(message)
            answers.append(await device.receive_bytes())
        assert len(set(answers)) == 1
        device.send(coap(2, NON, 8, b"t", uri_path=("rd",)))
        assert (await device.receive()).mtype is NON
        device.send(coap(2, NON, 8, b"t", uri_path=("rd",)))
        await device.silent()
        assert len(handler.requests) == handled + 2


async def test_an_old_message_id_may_come_again() -> None:
    now = 0.0
    async with connected(clock=lambda: now) as (_, device, peer, handler):
        message = coap(2, CON, 7, b"t", uri_path=("rd",))
        device.send(message)
        await device.receive()
        now = remote.DUPLICATE_LIFETIME + 1
        device.send(message)
        await device.receive()
        assert len(handler.requests) == 3
        peer.sweep(now + 1)
        assert list(peer.recent) == [7]
        peer.sweep(2 * now)
        assert not peer.recent


async def test_what_is_kept_for_duplicates_is_bounded() -> None:
    async with connected() as (_, device, peer, _):
        for _ in range(2 * remote.DUPLICATES):
            await device.ask(2, uri_path=("rd",))
        assert len(peer.recent) == remote.DUPLICATES


async def test_the_callback_runs_after_the_response_has_left() -> None:
    async with connected() as (_, device, peer, handler):
        order: list[str] = []
        send = peer.link.send

        class Link:
            def send(self, peer: Peer, data: bytes) -> None:
                order.append("sent")
                send(peer, data)

        peer.link = Link()
        handler.after = lambda: order.append("after")
        await device.ask(2, uri_path=("rd",))
        assert order == ["sent", "after"]


async def test_exceptions_of_the_handler_are_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fails(peer: Peer, request: Request) -> Response:
        if request.path == ("refused",):
            raise RegistrationError("version 3.0", 0x8C)
        raise ZeroDivisionError("secret detail")

    def fails_after() -> None:
        raise ZeroDivisionError

    async with serving(Handler(fails)) as (server, handler), Device.at(("127.0.0.1", server.nosec_port)) as device:
        answer = await device.ask(2, uri_path=("refused",))
        assert (answer.code, answer.payload) == (0x8C, b"version 3.0")
        assert "ERROR" not in caplog.text
        answer = await device.ask(2, uri_path=("broken",))
        assert (answer.code, answer.payload) == (0xA0, b"")
        assert "ZeroDivisionError" in caplog.text
        handler.respond = created
        handler.after = fails_after
        assert (await device.ask(2)).code == 0x41
        assert "What follows a request" in caplog.text
        handler.respond = lambda _peer, _request: Response(0x45, content_format=-1)
        assert (await device.ask(2)).code == 0xA0, "a response that cannot be written"
        await device.silent()


async def test_an_error_of_our_own_costs_one_message_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected() as (_, device, _, _):
        monkeypatch.setattr("custom_components.lwm2m.coap.wire.read_request", None)
        device.send(coap(2, CON, 7, b"t"))
        await device.silent()
        assert "could not be processed" in caplog.text
        monkeypatch.undo()
        assert (await device.ask(2)).code == 0x44


async def test_exceptions_about_peers_do_not_disturb(caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Handler):
        def peer_opened(self, peer: Peer) -> None:
            raise ZeroDivisionError

        def peer_closed(self, peer: Peer, detail: str) -> None:
            raise ZeroDivisionError

    async with serving(Bad()) as (server, _), Device.at(("127.0.0.1", server.nosec_port)) as device:
        assert (await device.ask(2)).code == 0x44
    assert "arrival" in caplog.text
    assert "departure" in caplog.text


@pytest.mark.parametrize(
    ("code", "options", "answer"),
    [
        (1, {"if_match": (b"x",)}, 0x82),
        (1, {"oscore": b""}, 0x82),
        (1, {"proxy_uri": "coap://other/"}, 0xA5),
        (1, {"proxy_scheme": "coap"}, 0xA5),
        (8, {}, 0x85),
        (31, {}, 0x85),
    ],
)
async def test_what_is_no_request_for_the_handler(code: int, options: dict[str, Any], answer: int) -> None:
    async with connected() as (_, device, _, handler):
        handled = len(handler.requests)
        assert (await device.ask(code, **options)).code == answer
        assert len(handler.requests) == handled


@pytest.mark.parametrize(
    "data",
    [
        coap(0, CON, 9),  # ping
        b"\x40\x00\x00\x09\xff",  # an empty message that is not empty
        b"\x40\x20\x00\x09",  # reserved code class 1
        b"\x40\xc0\x00\x09",  # reserved code class 6
        b"\x40\xe1\x00\x09",  # signalling
        b"\x49\x01\x00\x09" + bytes(9),  # token of nine bytes
        b"\x44\x01\x00\x09ab",  # token that is not there
        b"\x40\x01\x00\x09\xff",  # payload marker without payload
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_confirmable_messages_that_mean_nothing_are_reset(data: bytes, known: bool) -> None:
    async with serving() as (server, handler), Device.at(("127.0.0.1", server.nosec_port)) as device:
        if known:
            await device.ask(2)
        opened = len(handler.opened)
        device.send(data)
        assert await device.receive_bytes() == b"\x70\x00\x00\x09"
        if data[1] != 1 or data[0] & 15:
            assert len(handler.opened) == opened, "a stranger without a request is not remembered"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x40",
        b"\x80\x01\x00\x09",  # version 2
        b"\x50\x00\x00\x09",  # empty and non-confirmable
        b"\x60\x00\x00\x09",  # ACK of nothing
        b"\x70\x00\x00\x09",  # RST of nothing
        b"\x60\x45\x00\x09",  # response to nothing
        b"\x50\x45\x00\x09",
        b"\x60\x01\x00\x09",  # a request as ACK
        b"\x50\x01\x00\x09\xff",
        b"\x16\xfe\xfd" + bytes(10),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_other_messages_that_mean_nothing_are_ignored(data: bytes, known: bool) -> None:
    async with serving() as (server, _), Device.at(("127.0.0.1", server.nosec_port)) as device:
        if known:
            await device.ask(2)
        device.send(data)
        await device.silent()


async def test_requests_beyond_the_rate_are_dropped_and_recover() -> None:
    now = 0.0
    async with connected(clock=lambda: now) as (_, device, _, handler):
        for number in range(300):
            device.send(coap(2, NON, 1000 + number, b"t"))
        await device.receive()
        device.send(coap(0, CON, 0xFFFF))
        while (await device.receive()).mtype is not RST:
            pass
        assert len(handler.requests) == remote.REQUEST_BURST
        device.send(coap(2, CON, 2000, b"t"))
        await device.silent()
        now = 1.0
        device.send(coap(2, CON, 2000, b"t"))
        assert (await device.receive()).code == 0x44


# Block-wise.


async def send_in_blocks(device: Device, body: bytes, size: int, lifetime: str = "60") -> aiocoap.Message:
    exponent = size.bit_length() - 5
    answer = None
    for number, start in enumerate(range(0, len(body), size)):
        more = start + size < len(body)
        answer = await device.ask(
            2, payload=body[start : start + size], uri_path=("rd",), uri_query=("lt=" + lifetime,),
            block1=(number, more, exponent),
        )  # fmt: skip
        assert answer.opt.block1 == (number, more, exponent)
        assert answer.code == (0x5F if more else 0x44)
    return answer


@pytest.mark.parametrize(("size", "length"), [(64, 20_000), (1024, 20_000), (16, 100), (512, 512), (1024, 1024)])
async def test_a_body_in_blocks_arrives_whole(size: int, length: int) -> None:
    body = bytes(number * 7 & 0xFF for number in range(length))
    async with connected() as (_, device, _, handler):
        handled = len(handler.requests)
        await send_in_blocks(device, body, size)
        assert [request.payload for _, request in handler.requests[handled:]] == [body]


async def test_two_bodies_at_once_and_a_body_begun_anew() -> None:
    async with connected() as (_, device, _, handler):

        async def block(number: int, more: bool, path: str, content: bytes) -> int:
            answer = await device.ask(2, payload=content, uri_path=(path,), block1=(number, more, 0))
            return int(answer.code)

        assert await block(0, True, "a", b"a" * 16) == 0x5F
        assert await block(0, True, "b", b"b" * 16) == 0x5F
        assert await block(1, False, "a", b"A") == 0x44
        assert await block(0, True, "b", b"c" * 16) == 0x5F
        assert await block(1, False, "b", b"C") == 0x44
        assert [request.payload for _, request in handler.requests[1:]] == [b"a" * 16 + b"A", b"c" * 16 + b"C"]
        # A third pushes out the first.
        for path in ("a", "b", "c"):
            assert await block(0, True, path, b"x" * 16) == 0x5F
        assert await block(1, False, "a", b"y") == 0x88
        assert await block(1, False, "c", b"y") == 0x44


async def test_blocks_that_do_not_fit() -> None:
    async with connected() as (_, device, _, handler):
        handled = len(handler.requests)

        async def block(number: int, more: bool, content: bytes, **options: Any) -> aiocoap.Message:
            return await device.ask(2, payload=content, block1=(number, more, 0), **options)

        assert (await block(1, True, b"a" * 16)).code == 0x88, "the first is missing"
        assert (await block(0, True, b"a" * 15)).code == 0x80, "too short"
        assert (await block(0, False, b"a" * 17)).code == 0x80, "too long"
        assert (await block(0, True, b"a" * 16)).code == 0x5F
        assert (await block(0, True, b"a" * 16)).code == 0x5F, "begun anew"
        assert (await block(1, True, b"b" * 16)).code == 0x5F
        assert (await block(1, True, b"b" * 16)).code == 0x5F, "once more, since the answer was lost"
        assert (await block(3, True, b"d" * 16)).code == 0x88, "a gap"
        assert (await block(2, False, b"c" * 16)).code == 0x88, "forgotten after the gap"
        answer = await block(0, True, b"a" * 16, size1=blockwise.UPLOAD_LIMIT + 1)
        assert (answer.code, answer.opt.size1) == (0x8D, blockwise.UPLOAD_LIMIT)
        assert len(handler.requests) == handled


async def test_bodies_are_bounded_and_let_go_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "UPLOAD_LIMIT", 48)
    spool = blockwise.Spool(64)
    block = blockwise.Block
    for number in range(3):
        assert spool.add("peer", "key", block(number, True, 0), bytes([number] * 16), 0.0) == 0x5F
    assert spool.add("peer", "key", block(3, True, 0), bytes(16), 0.0) == 0x8D
    assert len(spool) == 0
    for peer in "abcd":
        assert spool.add(peer, "key", block(0, True, 0), bytes(16), 0.0) == 0x5F
    assert spool.add("e", "key", block(0, True, 0), bytes(16), 0.0) == 0x8D, "all together"
    spool.forget("a")
    assert spool.add("e", "key", block(0, True, 0), bytes(16), 90.0) == 0x5F
    spool.sweep(blockwise.LIFETIME + 1)
    assert len(spool) == 1
    assert spool.expects("e", "key", block(1, False, 0))
    assert not spool.expects("b", "key", block(1, False, 0))
    assert spool.add("e", "key", block(1, False, 0), b"!", 94.0) == bytes(16) + b"!"
    assert len(spool) == 0


def sweep(server: CoapServer) -> None:
    """What the timer does."""
    assert server._core is not None
    assert server._core._sweeper is not None
    server._core._sweeper.cancel()
    server._core.sweep()


async def test_the_sweep_of_a_running_server() -> None:
    now = 0.0
    async with connected(clock=lambda: now) as (server, device, peer, handler):
        handler.respond = large
        await device.ask(2, payload=b"a" * 16, block1=(0, True, 0))
        await device.ask(1, uri_path=("big",))
        kept = peer.download, list(peer.recent)
        assert all(kept)
        now = 1000.0
        assert server._core is not None
        sweep(server)
        assert peer.download is None
        assert not peer.recent
        assert not server._core._uplink._nosec._uploads
        assert list(server.peers()) == [peer], "held, so not forgotten"
        peer.data = None
        sweep(server)
        assert list(server.peers()) == []
        assert handler.closed == [(peer, "silent")]


@pytest.mark.parametrize("exponent", [None, 2, 6])
async def test_a_large_response_is_fetched_in_blocks(exponent: int | None) -> None:
    async with connected() as (_, device, _, handler):
        handler.respond = large
        handled = len(handler.requests)
        body = b""
        number = 0
        while True:
            options: dict[str, Any] = {}
            if exponent is not None or number:
                options["block2"] = (number, False, 6 if exponent is None else exponent)
            answer = await device.ask(1, uri_path=("big",), **options)
            assert answer.code == 0x45
            body += answer.payload
            if number == 0:
                assert answer.opt.size2 == 2560
            if not answer.opt.block2.more:
                break
            number += 1
        assert body == bytes(range(256)) * 10
        assert len(handler.requests) == handled + 1


async def test_blocks_of_a_response_that_are_not_there() -> None:
    async with connected() as (_, device, _, handler):
        handler.respond = large
        assert (await device.ask(1, uri_path=("big",), block2=(1, False, 6))).code == 0x88
        await device.ask(1, uri_path=("big",))
        assert (await device.ask(1, uri_path=("big",), block2=(9, False, 6))).code == 0x82
        assert (await device.ask(1, uri_path=("other",), block2=(1, False, 6))).code == 0x88


async def test_continued_blocks_are_not_held_up_by_the_rate() -> None:
    body = bytes(range(256)) * 100
    now = 0.0
    async with connected(clock=lambda: now) as (_, device, peer, handler):
        handler.respond = lambda _peer, request: Response(0x45, body if request.method == 1 else b"")
        for start in range(0, len(body), 64):
            more = start + 64 < len(body)
            await device.ask(2, payload=body[start : start + 64], block1=(start // 64, more, 2))
        assert handler.requests[-1][1].payload == body
        for start in range(0, len(body), 64):
            answer = await device.ask(1, uri_path=("big",), block2=(start // 64, False, 2))
            assert answer.payload == body[start : start + 64]
        assert peer.allow_request(now, 90.0)
        assert not peer.allow_request(now, 90.0)


async def test_an_aiocoap_client_registers_with_blocks_and_reads_blocks() -> None:
    def respond(peer: Peer, request: Request) -> Response:
        return created(peer, request) if request.method == 2 else large(peer, request)

    async with serving(Handler(respond), "::1") as (server, handler):
        client = await aiocoap.Context.create_client_context(transports=["udp6"])
        try:
            base = f"coap://[::1]:{server.nosec_port}/"
            body = b"</1/0>," * 3000
            message = aiocoap.Message(code=aiocoap.POST, uri=base + "rd?ep=x&lt=60", payload=body)
            answer = await client.request(message).response
            assert (answer.code, answer.opt.location_path) == (0x41, ("rd", "5"))
            assert handler.requests[-1][1].payload == body
            assert handler.requests[-1][1].query == ("ep=x", "lt=60")
            answer = await client.request(aiocoap.Message(code=aiocoap.GET, uri=base + "big")).response
            assert answer.payload == bytes(range(256)) * 10
        finally:
            await client.shutdown()
