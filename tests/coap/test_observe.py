"""Observations: from the notification's datagram to the callback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, strategies as st

from custom_components.lwm2m.coap.messages import Request, Response
from custom_components.lwm2m.coap.observe import Observation
from custom_components.lwm2m.coap.remote import Peer
from custom_components.lwm2m.coap.server import CoapServer
from custom_components.lwm2m.protocol.errors import PeerGone, RequestTimeout

from .devices import ACK, CON, NON, RST, Device, Message, coap, connected
from .test_downlink import BODY, reply

READ = Request(1, ("3303", "0", "5700"))


class Watch:
    """One observation and what it told."""

    def __init__(self, server: CoapServer, device: Device, peer: Peer) -> None:
        self.server = server
        self.device = device
        self.peer = peer
        self.notifications: list[Response] = []
        self.ends: list[str] = []
        self.told = asyncio.Event()
        self.observation: Observation
        self.first: Response
        self.request: Message

    def notified(self, response: Response) -> None:
        self.notifications.append(response)
        self.told.set()

    async def begin(self, answer: Any = None, request: Request = READ, sequence: int = 10) -> None:
        task = asyncio.create_task(self.server.observe(self.peer, request, self.notified, self.ends.append))
        self.request = await self.device.receive()
        assert self.request.opt.observe == 0
        data = answer(self.request) if answer else reply(self.request, payload=b"20", observe=sequence)
        self.device.send(data)
        self.first, self.observation = await task

    def notify(
        self, sequence: int | None, payload: bytes, message_type: Any = NON, code: int = 0x45, **options: Any
    ) -> None:
        self.device.send(
            coap(code, message_type, self.device.next_id(), self.request.token, payload, observe=sequence, **options)
        )

    @property
    def payloads(self) -> list[bytes]:
        return [response.payload for response in self.notifications]


@asynccontextmanager
async def watching(*, start: bool = True, sequence: int = 10, **settings: Any) -> AsyncIterator[Watch]:
    async with connected(**settings) as (server, device, peer, _):
        watch = Watch(server, device, peer)
        if start:
            await watch.begin(sequence=sequence)
        yield watch


async def test_notifications_are_delivered_and_confirmable_ones_acknowledged() -> None:
    async with watching() as watch:
        assert watch.first == Response(0x45, b"20", observe=10)
        assert watch.observation.active
        watch.notify(11, b"21", NON, content_format=0)
        watch.notify(12, b"22", CON)
        answer = await watch.device.receive_bytes()
        assert answer == b"\x60\x00" + watch.device.message_id.to_bytes(2)
        assert watch.notifications == [
            Response(0x45, b"21", 0, observe=11, confirmable=False),
            Response(0x45, b"22", observe=12, confirmable=True),
        ]
        await watch.device.silent()
        assert watch.server._core is not None
        assert not watch.server._core._transport._tokens.outgoing_requests, "aiocoap has forgotten it"


async def test_other_options_of_a_notification_do_not_disturb() -> None:
    async with watching() as watch:
        watch.notify(11, b"21", etag=b"e", max_age=60)
        watch.notify(12, b"22", block2=(0, False, 6))
        await watch.device.silent()
        assert watch.payloads == [b"21", b"22"]


async def test_old_and_repeated_notifications_are_acknowledged_but_not_delivered() -> None:
    async with watching() as watch:
        for sequence, payload in ((12, b"12"), (11, b"11"), (12, b"again"), (10, b"10"), (13, b"13")):
            watch.notify(sequence, payload, CON)
            assert (await watch.device.receive()).mtype is ACK
        assert watch.payloads == [b"12", b"13"]


async def test_the_sequence_wraps() -> None:
    top = 2**24 - 1
    async with watching(sequence=top - 1) as watch:
        for sequence, payload in ((top, b"a"), (0, b"b"), (top, b"old"), (1, b"c"), (2**23 + 2, b"far")):
            watch.notify(sequence, payload)
        await watch.device.silent()
        assert watch.payloads == [b"a", b"b", b"c"]


async def test_after_128_seconds_any_number_is_newer() -> None:
    now = 0.0
    async with watching(clock=lambda: now) as watch:
        watch.notify(5, b"old")
        await watch.device.silent()
        now = 129.0
        watch.notify(5, b"reset")
        await watch.device.silent()
        assert watch.payloads == [b"reset"]


@given(st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1))
def test_order_is_that_of_rfc_7641(first: int, second: int) -> None:
    """Section 3.4, in its own words; exactly half the ring apart is not newer for either."""

    class Link:
        def send(self, peer: Peer, data: bytes) -> None: ...

    from custom_components.lwm2m.coap import wire
    from custom_components.lwm2m.coap.ports import _NOSEC
    from custom_components.lwm2m.dtls.association import NetworkPath

    peer = Peer(Link(), NetworkPath(("127.0.0.1", 1), None), _NOSEC, 0.0)
    seen: list[Response] = []
    observation = Observation(None, peer, READ, seen.append, print)  # type: ignore[arg-type]
    observation.begin(b"t", wire.Answer(Response(0x45, observe=first), None, None, None))
    observation.release(Response(0x45, observe=first))
    observation.notified(0x45, wire.NON, wire.Tail(second, None, [], b""), 1.0)
    newer = (first < second and second - first < 2**23) or (first > second and first - second > 2**23)
    assert bool(seen) is newer


async def test_a_device_that_cannot_be_observed() -> None:
    async with watching(start=False) as watch:
        await watch.begin(lambda request: reply(request, payload=b"20"))
        assert watch.first.payload == b"20"
        assert not watch.observation.active
        await watch.begin(lambda request: reply(request, 0x84, observe=1))
        assert watch.first.code == 0x84
        assert not watch.observation.active
        assert not watch.peer.observations
        assert await watch.observation.cancel_actively() is None
        watch.observation.end("nothing")
        assert watch.ends == []


@pytest.mark.parametrize("message_type", [CON, NON])
async def test_the_first_response_may_be_separate(message_type: Any) -> None:
    """The ACK may be lost too: what comes first with the token is the response."""
    async with watching(start=False) as watch:
        await watch.begin(lambda request: coap(0x45, message_type, 500, request.token, b"20", observe=1))
        if message_type is CON:
            assert (await watch.device.receive()).mtype is ACK
            watch.device.send(coap(0x45, CON, 500, watch.request.token, b"20", observe=1))
            assert (await watch.device.receive()).mtype is ACK
        watch.notify(2, b"21")
        await watch.device.silent()
        assert watch.payloads == [b"21"]


async def test_the_newest_is_returned_when_a_notification_follows_at_once() -> None:
    async with watching(start=False) as watch:

        def answer(request: Message) -> bytes:
            watch.device.send(reply(request, payload=b"20", observe=1))
            watch.device.send(coap(0x45, NON, 501, request.token, b"21", observe=2))
            return coap(0x45, NON, 502, request.token, b"22", observe=3)

        await watch.begin(answer)
        watch.notify(4, b"23")
        await watch.device.silent()
        assert [watch.first.payload, *watch.payloads][-2:] == [b"22", b"23"]
        assert len({watch.first.payload, *watch.payloads}) == 1 + len(watch.payloads)


async def test_an_error_notification_ends_it() -> None:
    async with watching() as watch:
        watch.notify(None, b"gone", CON, 0x84)
        assert (await watch.device.receive()).mtype is ACK
        assert watch.ends == ["4.04 Not Found gone"]
        assert not watch.observation.active
        watch.notify(12, b"22", CON)
        assert (await watch.device.receive()).mtype is RST
        assert watch.payloads == []


async def test_a_notification_without_observe_is_the_last() -> None:
    async with watching() as watch:
        watch.notify(None, b"21")
        await watch.device.silent()
        assert watch.payloads == [b"21"]
        assert watch.ends == ["the device notifies no more"]
        await watch.begin()
        watch.notify(None, bytes(1024), block2=(0, True, 6))
        await watch.device.silent()
        assert watch.payloads == [b"21"], "what is not whole is not delivered"
        assert watch.ends == ["the device notifies no more"] * 2


@pytest.mark.parametrize(
    ("message_type", "tail"), [(CON, b"\xff"), (NON, b"\xff"), (CON, b"\x61\x0b\xd1\x04\x07\xffx")]
)
async def test_a_malformed_notification_ends_it(message_type: Any, tail: bytes) -> None:
    async with watching() as watch:
        watch.device.send(bytes((0x44 | message_type << 4, 0x45, 0, 77)) + watch.request.token + tail)
        if message_type is CON:
            assert (await watch.device.receive()).mtype is (RST if tail == b"\xff" else ACK)
        await watch.device.silent()
        assert len(watch.ends) == 1
        assert watch.ends[0].startswith("malformed notification")


async def test_cancelled_it_is_forgotten_and_the_device_told_by_reset() -> None:
    async with watching() as watch:
        watch.observation.cancel()
        assert not watch.observation.active
        for message_type in (CON, NON):
            watch.notify(11, b"21", message_type)
            answer = await watch.device.receive()
            assert (answer.mtype, answer.code, answer.mid) == (RST, 0, watch.device.message_id)
        assert watch.notifications == []
        assert watch.ends == []
        watch.observation.cancel()


async def test_cancelled_actively() -> None:
    async with watching() as watch:
        task = asyncio.create_task(watch.observation.cancel_actively())
        request = await watch.device.receive()
        assert (request.code, request.opt.observe, request.token) == (1, 1, watch.request.token)
        assert request.opt.uri_path == READ.path
        assert await watch.observation.cancel_actively() is None, "once is enough"
        watch.notify(11, b"crossing", CON)
        assert (await watch.device.receive()).mtype is ACK
        watch.device.send(reply(request, payload=b"22"))
        response = await task
        assert response is not None
        assert response.payload == b"22"
        assert (watch.notifications, watch.ends) == ([], [])
        assert not watch.peer.observations
        assert not watch.peer.exchanges


async def test_cancelled_actively_with_a_separate_response() -> None:
    async with watching() as watch:
        task = asyncio.create_task(watch.observation.cancel_actively())
        request = await watch.device.receive()
        watch.device.send(coap(0, ACK, request.mid))
        watch.device.send(coap(0x45, CON, 900, request.token, b"22"))
        assert (await watch.device.receive()).mtype is ACK
        response = await task
        assert response is not None
        assert response.payload == b"22"


async def test_cancelled_actively_without_an_answer_it_is_forgotten_too() -> None:
    async with watching() as watch:
        with pytest.raises(RequestTimeout):
            await watch.observation.cancel_actively(timeout=0.02)
        assert not watch.peer.observations
        assert watch.ends == []


async def test_it_ends_with_its_peer() -> None:
    async with watching() as watch:
        watch.server.close_peer(watch.peer, "unwanted")
        assert watch.ends == ["unwanted"]
        assert not watch.peer.observations
        with pytest.raises(PeerGone):
            await watch.server.observe(watch.peer, READ, watch.notified, watch.ends.append)


async def test_a_callback_that_fails_does_not_disturb(caplog: pytest.LogCaptureFixture) -> None:
    async with connected() as (server, device, peer, _):

        def fails(_: object) -> None:
            raise ZeroDivisionError

        device.answer = lambda message: [reply(message, payload=b"20", observe=1)]
        _, observation = await server.observe(peer, READ, fails, fails)
        device.answer = None
        device.send(coap(0x45, CON, 700, observation.token, b"21", observe=2))
        assert (await device.receive()).mtype is ACK
        assert "A notification could not be processed" in caplog.text
        assert observation.active
        server.close_peer(peer)
        assert "end of an observation could not be processed" in caplog.text


async def test_the_observer_that_gives_up_leaves_nothing() -> None:
    async with connected(ack_timeout=5.0) as (server, device, peer, _):
        ends: list[str] = []
        task = asyncio.create_task(server.observe(peer, READ, print, ends.append))
        request = await device.receive()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        device.send(coap(0x45, CON, 5, request.token, b"20", observe=1))
        assert (await device.receive()).mtype is RST
        assert not peer.observations
        assert ends == []


async def test_the_observer_that_gives_up_just_when_the_answer_is_there() -> None:
    async with connected(ack_timeout=5.0) as (server, device, peer, _):
        task = asyncio.create_task(server.observe(peer, READ, print, print))
        request = await device.receive()
        assert server._core is not None
        server._core.received(peer, reply(request, payload=b"20", observe=1), 0.0)
        assert peer.observations
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not peer.observations


async def test_a_composite_observation_repeats_its_body() -> None:
    async with watching(start=False) as watch:
        body = b'[{"n":"/3303/0"}]'
        await watch.begin(request=Request(5, (), payload=body, content_format=110))
        assert (watch.request.code, watch.request.payload) == (5, body)
        task = asyncio.create_task(watch.observation.cancel_actively())
        request = await watch.device.receive()
        assert (request.code, request.opt.observe, request.payload) == (5, 1, body)
        watch.device.send(reply(request))
        await task


async def test_a_large_composite_observation_begins_with_the_last_block() -> None:
    async with connected() as (server, device, peer, _):
        tokens: list[bytes] = []

        def answer(message: Message) -> list[bytes]:
            tokens.append(message.token)
            assert message.opt.observe == 0
            block = message.opt.block1
            return [reply(message, 0x5F if block.more else 0x45, observe=1, block1=tuple(block))]

        device.answer = answer
        _, observation = await server.observe(peer, Request(5, (), payload=bytes(1500)), print, print)
        assert list(peer.observations) == [tokens[-1]] == [observation.token]


# Block-wise notifications.


def give_blocks(body: bytes, etag: bytes | None) -> Any:
    def answer(message: Message) -> list[bytes]:
        if message.mtype in (ACK, RST):
            return []
        assert message.opt.observe is None
        number = message.opt.block2.block_number
        options: dict[str, Any] = {} if etag is None else {"etag": etag}
        part = body[number * 1024 : number * 1024 + 1024]
        return [reply(message, payload=part, block2=(number, (number + 1) * 1024 < len(body), 6), **options)]

    return answer


@pytest.mark.parametrize("etag", [None, b"1"])
@pytest.mark.parametrize("message_type", [CON, NON])
async def test_a_large_notification_is_completed(etag: bytes | None, message_type: Any) -> None:
    async with watching() as watch:
        watch.device.answer = give_blocks(BODY, etag)
        options: dict[str, Any] = {} if etag is None else {"etag": etag}
        watch.notify(11, BODY[:1024], message_type, block2=(0, True, 6), content_format=11542, **options)
        await watch.told.wait()
        assert len(watch.notifications) == 1
        response = watch.notifications[0]
        assert (response.payload, response.observe, response.content_format) == (BODY, 11, 11542)


async def test_the_first_response_may_be_large() -> None:
    async with connected() as (server, device, peer, _):
        give = give_blocks(BODY, b"1")
        device.answer = lambda message: (
            [reply(message, payload=BODY[:1024], observe=1, etag=b"1", block2=(0, True, 6))]
            if message.opt.observe == 0
            else give(message)
        )
        response, observation = await server.observe(peer, READ, print, print)
        assert response.payload == BODY
        assert observation.active


@pytest.mark.parametrize("etag", [None, b"1"])
async def test_newer_large_notifications_while_one_is_fetched(etag: bytes | None) -> None:
    """The newest always arrives; one between may be left out, and without an ETag one that was overtaken is too."""
    async with watching() as watch:
        options: dict[str, Any] = {} if etag is None else {"etag": etag}
        for sequence in (11, 12, 13):
            watch.notify(sequence, bytes(1024), block2=(0, True, 6), **options)
        held: list[Message] = [await watch.device.receive()]
        watch.device.answer = give_blocks(bytes(2000), etag)
        for reply_ in watch.device.answer(held[0]):
            watch.device.send(reply_)
        while not watch.notifications or watch.notifications[-1].observe != 13:
            watch.told.clear()
            await watch.told.wait()
        assert [response.observe for response in watch.notifications] == ([13] if etag is None else [11, 13])


async def test_a_notification_that_cannot_be_completed_is_left_out() -> None:
    async with watching() as watch:
        answered = asyncio.Event()

        def fails(message: Message) -> list[bytes]:
            answered.set()
            return [reply(message, 0x84)]

        def contradicts(message: Message) -> list[bytes]:
            answered.set()
            return [reply(message, 0x45, b"x", block2=(7, True, 6))]

        assert watch.server._core is not None
        for sequence, answer in ((11, fails), (12, contradicts)):
            watch.device.answer = answer
            watch.notify(sequence, bytes(1024), block2=(0, True, 6))
            await answered.wait()
            answered.clear()
            await asyncio.gather(*watch.server._core.downlink._tasks)
        watch.device.answer = None
        watch.notify(13, b"23")
        await watch.told.wait()
        assert watch.payloads == [b"23"]
        assert watch.observation.active


async def test_cancelled_while_a_notification_is_fetched() -> None:
    async with watching(ack_timeout=5.0) as watch:
        watch.notify(11, bytes(1024), block2=(0, True, 6))
        request = await watch.device.receive()
        watch.observation.cancel()
        assert watch.server._core is not None
        await asyncio.gather(*watch.server._core.downlink._tasks, return_exceptions=True)
        watch.device.send(reply(request, payload=b"x", block2=(1, False, 6)))
        await watch.device.silent()
        assert watch.notifications == []
        assert not watch.peer.exchanges


async def test_stopped_while_a_notification_is_fetched() -> None:
    async with watching(ack_timeout=5.0) as watch:
        watch.notify(11, bytes(1024), block2=(0, True, 6))
        await watch.device.receive()
        core = watch.server._core
        assert core is not None
        await watch.server.stop()
        assert not core.downlink._tasks
        assert watch.ends == ["the server stops"]
