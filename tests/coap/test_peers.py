"""Peers of the NoSec port: who is known, for how long, and what is left when they go."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from custom_components.lwm2m.coap import ports
from custom_components.lwm2m.coap.messages import Request
from custom_components.lwm2m.coap.remote import Peer
from custom_components.lwm2m.coap.server import CoapServer
from custom_components.lwm2m.dtls.association import NetworkPath

from .devices import ACK, CON, NON, Device, Handler, coap, connected, serving
from .test_downlink import reply


@pytest.mark.parametrize("called", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_requests_leave_from_the_address_that_the_device_called(called: str) -> None:
    """Own requests too, not only responses: a NAT or firewall knows only that address."""
    async with serving(host="") as (server, handler), Device.at((called, server.nosec_port)) as device:
        device.send(coap(2, CON, 1, b"t"))
        assert (await device.receive_from())[1][0] == called
        peer = handler.opened[0]
        assert peer.local == called
        task = asyncio.create_task(server.request(peer, Request(1, ("3",))))
        data, source = await device.receive_from()
        assert source[0] == called
        device.send(b"\x64\x45" + data[2:8])
        assert (await task).success
        device.send(coap(0, CON, 2))
        assert (await device.receive_from())[1][0] == called


async def test_the_address_that_was_called_last_counts() -> None:
    async with serving(host="") as (server, handler), Device.at(("127.0.0.1", server.nosec_port)) as device:
        await device.ask(2)
        device.server = ("127.0.0.2", server.nosec_port)
        device.send(coap(2, CON, 9, b"t"))
        assert (await device.receive_from())[1][0] == "127.0.0.2"
        assert len(handler.opened) == 1
        assert handler.opened[0].local == "127.0.0.2"


async def test_two_devices_are_two_peers() -> None:
    async with serving() as (server, handler):
        for _ in range(2):
            async with Device.at(("127.0.0.1", server.nosec_port)) as device:
                await device.ask(2)
        first, second = handler.opened
        assert first != second
        assert list(server.peers()) == [first, second]


async def test_the_table_of_addresses_is_bounded_and_whoever_is_held_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "NOSEC_PEERS", 10)
    monkeypatch.setattr(ports, "_PROBES", 8)
    async with serving() as (server, handler):
        assert server._core is not None
        port = server._core.nosec
        assert port is not None
        for number in range(100):
            port._received(coap(2, NON, number, b"t"), NetworkPath(("127.0.0.1", 2000 + number), "127.0.0.1"))
            if number < 4:
                handler.opened[number].data = "held"
        assert len(port) == 10
        assert len(handler.opened) == 100
        assert len(handler.closed) == 90
        assert set(handler.opened[:4]) < set(server.peers())
        for peer in server.peers():
            peer.data = "held"
        port._received(coap(2, NON, 1, b"t"), NetworkPath(("127.0.0.1", 5000), "127.0.0.1"))
        port._received(coap(2, NON, 1, b"t"), NetworkPath(("127.0.0.1", 5001), "127.0.0.1"))
        assert len(port) == 10
        assert len(handler.opened) == 100


async def test_whoever_answers_a_request_or_is_observed_is_held() -> None:
    async with connected(ack_timeout=5.0) as (server, device, peer, _):
        peer.data = None
        assert not ports._held(peer)
        task = asyncio.create_task(server.observe(peer, Request(1, ("3",)), print, print))
        request = await device.receive()
        assert ports._held(peer)
        device.send(reply(request, observe=1))
        _, observation = await task
        assert ports._held(peer)
        observation.cancel()
        assert not ports._held(peer)


async def test_nothing_is_left_of_a_peer_that_went() -> None:
    async with serving() as (server, handler), Device.at(("127.0.0.1", server.nosec_port)) as device:
        await device.ask(2)
        peer = handler.opened[0]
        device.answer = lambda message: [reply(message, observe=1)] if message.mtype is CON else []
        await server.observe(peer, Request(1, ("3",)), print, print)
        await server.request(peer, Request(1, ("3",)))
        server.close_peer(peer)
        known = weakref.ref(peer)
        del peer
        handler.opened.clear()
        handler.closed.clear()
        handler.requests.clear()
        await asyncio.sleep(0.01)
        gc.collect()
        assert known() is None


def descriptors() -> set[str]:
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


async def test_stop_leaves_nothing() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    before = descriptors()
    tasks = asyncio.all_tasks()
    handler = Handler()
    server = CoapServer(handler, ack_timeout=0.05)
    assert server.running is False
    await server.stop()
    await server.start(nosec=("", 0))
    assert (server.running, server.secure_port) == (True, None)
    port = server.nosec_port
    with pytest.raises(RuntimeError):
        await server.start(nosec=("", 0))
    async with Device.at(("127.0.0.1", port)) as device:
        await device.ask(2, payload=bytes(16), block1=(0, True, 0))
        pending = asyncio.create_task(server.request(handler.opened[0], Request(1)))
        await device.receive()
        await server.stop()
        await asyncio.gather(pending, return_exceptions=True)
    assert (server.running, server.nosec_port, list(server.peers())) == (False, None, [])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    assert descriptors() == before
    scheduled = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert scheduled == []
    # And again on the same port.
    await server.start(nosec=("", port or 0))
    await server.stop()


async def test_a_start_that_fails_leaves_nothing() -> None:
    before = descriptors()
    async with serving() as (server, _):
        port = server.nosec_port
        other = CoapServer(Handler())
        with pytest.raises(OSError, match="in use"):
            await other.start(nosec=("127.0.0.1", port or 0))
        assert not other.running
        with pytest.raises(ValueError, match="endpoint"):
            await other.start(secure=("127.0.0.1", 0))
    await asyncio.sleep(0)
    assert descriptors() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                lambda kind, code, mid, rest: bytes((kind, code)) + mid.to_bytes(2) + rest,
                st.integers(0x40, 0x7F),
                st.integers(0, 255),
                st.integers(0, 3),
                st.binary(max_size=30),
            ),
        ),
        max_size=20,
    ),
    st.booleans(),
)
def test_malformed_datagrams_disturb_nobody(datagrams: list[bytes], known: bool) -> None:
    """Any bytes from a peer or a stranger: nothing raises, and a device beside it is served as ever."""

    async def run() -> None:
        async with connected() as (server, device, peer, handler):
            device.answer = lambda message: [reply(message, observe=1)] if message.mtype is CON else []
            notified: list[bytes] = []
            _, observation = await server.observe(peer, Request(1), lambda r: notified.append(r.payload), print)
            device.answer = None
            assert server._core is not None
            assert server._core.nosec is not None
            port = server._core.nosec
            path = NetworkPath(("127.0.0.1", 1), "127.0.0.1")
            if known:
                port._received(coap(2, NON, 9, b"t"), path)
            for data in datagrams:
                port._received(data, path)
            assert (await device.ask(2)).code == 0x44
            device.send(coap(0x45, CON, 5, observation.token, b"value", observe=2))
            assert (await device.receive()).mtype is ACK
            assert notified == [b"value"]
            assert isinstance(peer, Peer)
            assert isinstance(handler, Handler)

    asyncio.run(run())


@settings(max_examples=300)
@given(st.data())
def test_malformed_answers_disturb_nobody(data: st.DataObject) -> None:
    """Any bytes of a device that is observed and asked: it harms only its own requests."""

    async def run() -> None:
        async with connected(ack_timeout=5.0) as (server, device, peer, _):
            task = asyncio.create_task(server.observe(peer, Request(1), lambda _: None, lambda _: None))
            request = await device.receive()
            device.send(reply(request, observe=1))
            _, observation = await task
            asked = asyncio.create_task(server.request(peer, Request(1)))
            question = await device.receive()
            assert server._core is not None
            for _ in range(data.draw(st.integers(0, 10))):
                token = data.draw(st.sampled_from([observation.token, question.token, b"none"]))
                message_id = data.draw(st.sampled_from([question.mid, 1, 2]))
                kind = data.draw(st.integers(0, 3)) << 4 | 0x44
                code = data.draw(st.sampled_from([0, 1, 2, 0x45, 0x5F, 0x84]))
                tail = data.draw(st.binary(max_size=20))
                server._core.received(peer, bytes((kind, code)) + message_id.to_bytes(2) + token + tail, 0.0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            async with Device.at(("127.0.0.1", server.nosec_port)) as other:
                assert (await other.ask(2)).code == 0x44

    asyncio.run(run())
