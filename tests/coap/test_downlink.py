"""Requests to devices on the NoSec port."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from custom_components.lwm2m.coap.messages import Request, Response
from custom_components.lwm2m.coap.wire import WireError
from custom_components.lwm2m.protocol.errors import PeerGone, RequestTimeout

from .devices import ACK, CON, NON, RST, Device, Handler, Message, coap, connected

READ = Request(1, ("3303", "0", "5700"), accept=112)
BODY = bytes(number * 7 & 0xFF for number in range(20_000))


def reply(message: Message, code: int = 0x45, payload: bytes = b"", **options: Any) -> bytes:
    """A piggybacked response."""
    return coap(code, ACK, message.mid, message.token, payload, **options)


async def test_a_request_and_its_piggybacked_response() -> None:
    async with connected() as (server, device, peer, _):
        request = Request(3, ("3", "0", "14"), ("pmin=1", "gt=2"), b"+02", 0, 112)
        task = asyncio.create_task(server.request(peer, request))
        message = await device.receive()
        assert (message.mtype, message.code, len(message.token)) == (CON, 3, 4)
        assert message.opt.uri_path == ("3", "0", "14")
        assert message.opt.uri_query == ("pmin=1", "gt=2")
        assert (message.opt.content_format, message.opt.accept, message.payload) == (0, 112, b"+02")
        device.send(reply(message, 0x45, b"\x01\x02", content_format=11542))
        assert await task == Response(0x45, b"\x01\x02", 11542)
        assert not peer.exchanges
        await device.silent()


async def test_error_codes_are_returned() -> None:
    async with connected() as (server, device, peer, _):
        device.answer = lambda message: [reply(message, 0x84, b"no such thing")]
        response = await server.request(peer, READ)
        assert response == Response(0x84, b"no such thing")
        assert not response.success


async def test_a_created_object_has_a_location() -> None:
    async with connected() as (server, device, peer, _):
        device.answer = lambda message: [reply(message, 0x41, location_path=("3303", "7"))]
        response = await server.request(peer, Request(2, ("3303",), payload=b"x"))
        assert response.location == ("3303", "7")
        assert response.success


@pytest.mark.parametrize("message_type", [CON, NON])
async def test_a_separate_response(message_type: Any) -> None:
    async with connected() as (server, device, peer, _):
        task = asyncio.create_task(server.request(peer, READ))
        message = await device.receive()
        device.send(coap(0, ACK, message.mid))
        await device.silent()
        for _ in range(2 if message_type is CON else 1):
            device.send(coap(0x45, message_type, 77, message.token, b"21.5"))
            if message_type is CON:
                acknowledgement = await device.receive()
                assert (acknowledgement.mtype, acknowledgement.code, acknowledgement.mid) == (ACK, 0, 77)
        assert (await task).payload == b"21.5"
        if message_type is CON:
            device.send(coap(0x45, CON, 77, message.token, b"21.5"))
            assert (await device.receive()).mtype is ACK, "the ACK was lost: it is sent again, not a RST"
        await device.silent()


async def test_a_separate_response_stops_retransmission_when_the_ack_was_lost() -> None:
    async with connected() as (server, device, peer, _):
        task = asyncio.create_task(server.request(peer, READ))
        message = await device.receive()
        device.send(coap(0x45, NON, 77, message.token, b"21.5"))
        assert (await task).payload == b"21.5"
        await asyncio.sleep(0.2)
        await device.silent()
        assert server._core is not None
        assert not server._core._transport._messages._active_exchanges


async def test_a_request_is_retransmitted_until_it_is_acknowledged() -> None:
    async with connected() as (server, device, peer, _):
        task = asyncio.create_task(server.request(peer, READ))
        messages = [await device.receive_bytes() for _ in range(4)]
        assert len(set(messages)) == 1
        device.send(reply(Message.decode(messages[0])))
        assert (await task).success


async def test_nobody_answers() -> None:
    async with connected(ack_timeout=0.005) as (server, device, peer, _):
        with pytest.raises(RequestTimeout, match="acknowledge"):
            await server.request(peer, READ)
        assert len([data for direction, data in device.log if direction == "down" and data[1] == 1]) == 5
        device.answer = lambda message: [reply(message)]
        assert (await server.request(peer, READ)).success, "the next one goes"


async def test_acknowledged_but_never_answered() -> None:
    async with connected() as (server, device, peer, _):
        device.answer = lambda message: [coap(0, ACK, message.mid)]
        with pytest.raises(RequestTimeout, match="in time"):
            await server.request(peer, READ, timeout=0.1)
        assert not peer.exchanges


async def test_an_answer_that_comes_too_late_is_rejected() -> None:
    async with connected() as (server, device, peer, _):
        task = asyncio.create_task(server.request(peer, READ, timeout=0.02))
        message = await device.receive()
        with pytest.raises(RequestTimeout):
            await task
        device.send(coap(0x45, CON, 9, message.token, b"late"))
        answer = await device.receive()
        while answer.mtype is CON:  # a retransmission that was under way
            answer = await device.receive()
        assert (answer.mtype, answer.mid) == (RST, 9)
        device.send(coap(0x45, NON, 10, message.token, b"late"))
        await device.silent()


async def test_a_device_that_resets() -> None:
    async with connected() as (server, device, peer, _):
        device.answer = lambda message: [coap(0, RST, message.mid)]
        with pytest.raises(RequestTimeout, match="RST"):
            await server.request(peer, READ)


async def test_cancellation_stops_retransmission_and_lets_the_next_one_go() -> None:
    async with connected(ack_timeout=0.1) as (server, device, peer, _):
        task = asyncio.create_task(server.request(peer, READ))
        first = await device.receive()
        following = asyncio.create_task(server.request(peer, READ))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        second = await device.receive()
        assert second.token != first.token
        device.send(reply(second))
        assert (await following).success
        assert server._core is not None
        assert not server._core._transport._messages._active_exchanges
        assert not server._core._transport._tokens.outgoing_requests


async def test_one_request_at_a_time_until_it_is_acknowledged() -> None:
    async with connected(ack_timeout=5.0) as (server, device, peer, _):
        tasks = [asyncio.create_task(server.request(peer, READ)) for _ in range(3)]
        first = await device.receive()
        await device.silent()
        device.send(coap(0, ACK, first.mid))
        second = await device.receive()
        await device.silent()
        device.send(coap(0x45, CON, 9, first.token, b"1"))
        assert (await device.receive()).mtype is ACK
        assert (await tasks[0]).payload == b"1"
        device.send(reply(second, payload=b"2"))
        third = await device.receive()
        device.send(reply(third, payload=b"3"))
        assert [(await task).payload for task in tasks] == [b"1", b"2", b"3"]
        assert (second.mid - first.mid, third.mid - second.mid) in {(1, 1), (1, 1 - 65536), (1 - 65536, 1)}


async def test_a_non_confirmable_request() -> None:
    async with connected() as (server, device, peer, _):
        task = asyncio.create_task(server.request(peer, READ._replace(confirmable=False)))
        message = await device.receive()
        assert message.mtype is NON
        device.send(coap(0x45, NON, 5, message.token, b"x"))
        assert await task == Response(0x45, b"x", confirmable=False)


async def test_malformed_responses_fail_the_request_at_once() -> None:
    async with connected() as (server, device, peer, _):
        for tail in (b"\xff", b"\xd1\x0aa\x07"):
            task = asyncio.create_task(server.request(peer, READ))
            message = await device.receive()
            device.send(b"\x64\x45" + message.mid.to_bytes(2) + message.token + tail)
            with pytest.raises(WireError):
                await task
        task = asyncio.create_task(server.request(peer, READ))
        message = await device.receive()
        device.send(b"\x44\x45\x00\x01" + message.token + b"\xff")
        assert (await device.receive()).mtype is RST
        with pytest.raises(WireError):
            await task


async def test_a_response_of_another_device_is_not_taken() -> None:
    async with connected(ack_timeout=5.0) as (server, device, peer, _):
        task = asyncio.create_task(server.request(peer, READ))
        message = await device.receive()
        async with Device.at(("127.0.0.1", server.nosec_port)) as other:
            other.send(coap(0x45, CON, 9, message.token, b"forged"))
            assert (await other.receive()).mtype is RST
        device.send(coap(0x45, ACK, message.mid, b"else", b"wrong token"))
        await device.silent()
        device.send(coap(0x45, CON, 10, message.token, b"right"))
        await device.receive()
        assert (await task).payload == b"right"


async def test_requests_that_cannot_be_written_are_the_callers_fault() -> None:
    async with connected() as (server, device, peer, _):
        with pytest.raises(OverflowError):
            await server.request(peer, Request(1, accept=-1))
        device.answer = lambda message: [reply(message)]
        assert (await server.request(peer, READ)).success


# Peers that go.


async def test_requests_fail_when_the_peer_goes() -> None:
    async with connected() as (server, device, peer, handler):
        sent = asyncio.create_task(server.request(peer, READ))
        waiting = asyncio.create_task(server.request(peer, READ))
        await device.receive()
        server.close_peer(peer, "unwanted")
        for task in (sent, waiting):
            with pytest.raises(PeerGone):
                await task
        with pytest.raises(PeerGone):
            await server.request(peer, READ)
        assert handler.closed == [(peer, "unwanted")]
        assert peer.closed
        assert "closed" in repr(peer)
        assert server._core is not None
        messages = server._core._transport._messages
        assert not messages._active_exchanges
        assert not messages._backlogs
        server.close_peer(peer)
        assert len(handler.closed) == 1


async def test_requests_fail_when_the_server_stops() -> None:
    async with connected() as (server, device, peer, handler):
        task = asyncio.create_task(server.request(peer, READ))
        await device.receive()
        await server.stop()
        with pytest.raises(PeerGone):
            await task
        with pytest.raises(PeerGone):
            await server.request(peer, READ)
        assert handler.closed == [(peer, "the server stops")]


# Block-wise.


def block_server(
    store: dict[str, Any], exponent: int, *, etag: Callable[[], bytes | None] = lambda: None
) -> Callable[[Message], list[bytes]]:
    """A device that takes and gives bodies in blocks of its own size."""

    def answer(message: Message) -> list[bytes]:
        if message.mtype in (ACK, RST):
            return []
        store["requests"] = store.get("requests", 0) + 1
        if message.opt.block1 is not None:
            number, more, size = message.opt.block1
            if size > exponent and number:
                return [reply(message, 0x80)]
            if number == 0:
                store["body"] = b""
                store["size1"] = message.opt.size1
            if len(store["body"]) != number << size + 4:
                return [reply(message, 0x88)]
            taken = message.payload[: 16 << exponent] if number == 0 else message.payload
            store["body"] += taken
            if more:
                return [reply(message, 0x5F, block1=(number, True, min(size, exponent)))]
            return [reply(message, 0x44, block1=(number, False, min(size, exponent)))]
        number, _, size = message.opt.block2 or (0, False, exponent)
        size = min(size, exponent)
        start = number << size + 4
        part = BODY[start : start + (16 << size)]
        tag = etag()
        return [
            reply(message, 0x45, part, content_format=11542, block2=(number, start + len(part) < len(BODY), size))
            if tag is None
            else reply(
                message,
                0x45,
                part,
                content_format=11542,
                etag=tag,
                block2=(number, start + len(part) < len(BODY), size),
            )
        ]

    return answer


@pytest.mark.parametrize("exponent", [2, 6])
async def test_a_large_response_is_put_together(exponent: int) -> None:
    async with connected() as (server, device, peer, _):
        device.answer = block_server({}, exponent, etag=lambda: b"e")
        assert await server.request(peer, READ) == Response(0x45, BODY, 11542)


@pytest.mark.parametrize("exponent", [2, 5, 6])
async def test_a_large_request_is_sent_in_the_blocks_that_the_device_takes(exponent: int) -> None:
    async with connected() as (server, device, peer, _):
        store: dict[str, Any] = {}
        device.answer = block_server(store, exponent)
        response = await server.request(peer, Request(3, ("5", "0", "0"), payload=BODY, content_format=42))
        assert response.code == 0x44
        assert store["body"] == BODY
        assert store["size1"] == len(BODY)
        assert peer.block_exponent == exponent
        requests = store["requests"]
        await server.request(peer, Request(3, ("5", "0", "0"), payload=BODY, content_format=42))
        assert store["requests"] - requests == -(-len(BODY) // (16 << exponent)), "the size is remembered"


@pytest.mark.parametrize("hint", [True, False])
async def test_a_device_that_says_too_large_gets_smaller_blocks(hint: bool) -> None:
    body = bytes(800)
    async with connected() as (server, device, peer, _):
        whole: list[bytes] = []

        def answer(message: Message) -> list[bytes]:
            limit = 3
            block = message.opt.block1
            if len(message.payload) > 16 << limit:
                return [reply(message, 0x8D, block1=(0, False, limit))] if hint else [reply(message, 0x8D)]
            whole.append(message.payload)
            return [reply(message, 0x5F if block.more else 0x44, block1=tuple(block))]

        device.answer = answer
        response = await server.request(peer, Request(3, ("5", "0", "0"), payload=body))
        if hint:
            assert response.code == 0x44
            assert b"".join(whole) == body
        else:
            # 512, 256, 128: the smaller size is found, within a bounded number of tries over two requests.
            while response.code == 0x8D:
                response = await server.request(peer, Request(3, ("5", "0", "0"), payload=body))
            assert b"".join(whole) == body
        assert peer.block_exponent == 3


async def test_a_device_that_loses_its_place_is_sent_the_whole_again_but_not_for_ever() -> None:
    async with connected() as (server, device, peer, _):
        store: dict[str, Any] = {}
        take = block_server(store, 6)
        failures = 1

        def answer(message: Message) -> list[bytes]:
            nonlocal failures
            if message.opt.block1.block_number == 3 and failures:
                failures -= 1
                return [reply(message, 0x88)]
            return take(message)

        device.answer = answer
        request = Request(3, ("5", "0", "0"), payload=BODY)
        assert (await server.request(peer, request)).code == 0x44
        assert store["body"] == BODY
        failures = 1000
        assert (await server.request(peer, request)).code == 0x88


async def test_other_ends_of_an_upload() -> None:
    async with connected() as (server, device, peer, _):
        request = Request(3, ("5", "0", "0"), payload=BODY)
        device.answer = lambda message: [reply(message, 0x85)]
        assert (await server.request(peer, request)).code == 0x85, "an error ends it"
        device.answer = lambda message: [reply(message, 0x5F)]
        with pytest.raises(WireError, match="more"):
            await server.request(peer, request)


async def test_a_response_that_changes_meanwhile_is_fetched_anew() -> None:
    async with connected() as (server, device, peer, _):
        tags = [b"1"] * 3 + [b"2"] * 1000
        device.answer = block_server({}, 6, etag=lambda: tags.pop(0))
        assert (await server.request(peer, READ)).payload == BODY
        count = 0

        def changing() -> bytes:
            nonlocal count
            count += 1
            return b"%d" % count

        device.answer = block_server({}, 6, etag=changing)
        with pytest.raises(WireError, match="changes"):
            await server.request(peer, READ)


async def test_a_response_may_become_small_or_an_error_while_it_is_fetched() -> None:
    async with connected() as (server, device, peer, _):
        give = block_server({}, 6)
        device.answer = lambda message: [reply(message, 0x45, b"small")] if message.opt.block2 else give(message)
        assert (await server.request(peer, READ)).payload == b"small"
        device.answer = lambda message: [reply(message, 0x84)] if message.opt.block2 else give(message)
        assert (await server.request(peer, READ)).code == 0x84

        def shrinks(message: Message) -> list[bytes]:
            number = message.opt.block2.block_number if message.opt.block2 else None
            if number is None:
                return [reply(message, 0x45, bytes(1024), etag=b"1", block2=(0, True, 6))]
            return [reply(message, 0x45, bytes(10), etag=b"2", block2=(0, False, 6))]

        device.answer = shrinks
        assert (await server.request(peer, READ)).payload == bytes(10)


async def test_blocks_of_the_wrong_size_or_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected() as (server, device, peer, _):
        device.answer = lambda message: [reply(message, 0x45, bytes(5), block2=(0, True, 6))]
        with pytest.raises(WireError, match="size"):
            await server.request(peer, READ)
        monkeypatch.setattr("custom_components.lwm2m.coap.downlink.DOWNLOAD_LIMIT", 5000)
        device.answer = lambda message: [
            reply(message, 0x45, bytes(1024), block2=((message.opt.block2 or (0,))[0], True, 6))
        ]
        with pytest.raises(WireError, match="too large"):
            await server.request(peer, READ)


async def test_both_ways_in_blocks_as_a_composite_read_can_be() -> None:
    body = bytes(3000)
    async with connected() as (server, device, peer, _):
        seen: list[tuple[int, Any, Any, int]] = []

        def answer(message: Message) -> list[bytes]:
            seen.append((message.code, message.opt.block1, message.opt.block2, len(message.payload)))
            if message.opt.block1 is not None and message.opt.block1.more:
                return [reply(message, 0x5F, block1=tuple(message.opt.block1))]
            number = message.opt.block2.block_number if message.opt.block2 else 0
            part = BODY[number * 1024 : number * 1024 + 1024]
            return [reply(message, 0x45, part, block2=(number, number < 19, 6))]

        device.answer = answer
        assert (await server.request(peer, Request(5, (), payload=body, content_format=110))).payload == BODY
        assert [length for *_, length in seen[:4]] == [1024, 1024, 952, 0]
        seen.clear()
        assert (await server.request(peer, Request(5, (), payload=b"small", content_format=110))).payload == BODY
        assert {length for *_, length in seen} == {5}, "the body is part of what is asked for (RFC 8132 section 2.1)"


@pytest.mark.parametrize("seed", range(3))
async def test_through_loss_and_duplication(seed: int) -> None:
    """Much is lost each way, but never two in a row, so that five transmissions are enough."""
    chance = random.Random(seed)
    lost = {"up": False, "down": False}

    def lose(direction: str, data: bytes) -> bool:
        lost[direction] = not lost[direction] and chance.random() < 0.4
        return lost[direction]

    async with connected(ack_timeout=0.01) as (server, device, peer, handler):
        given: dict[int, list[bytes]] = {}
        take = block_server({}, 4)
        device.lose = lose

        def answer(message: Message) -> list[bytes]:
            if message.mtype in (ACK, RST):
                return []
            if message.mid not in given:
                given[message.mid] = take(message)
            return given[message.mid] * chance.choice([1, 1, 2])

        device.answer = answer
        response = await server.request(peer, Request(3, ("5", "0", "0"), payload=BODY[:4000]))
        assert response.code == 0x44
        assert (await server.request(peer, READ)).payload == BODY
        assert isinstance(handler, Handler)
        assert not peer.exchanges
