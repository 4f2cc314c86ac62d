"""From handshake to deregistration: what the device does when the server answers, refuses, forgets or falls silent."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulator import Relay, Settings, SimulatedClient
from tests.simulator.coap import Code, Option
from tests.simulator.devices import DEVICES, sensor
from tests.simulator.tinydtls import DtlsTransport

from .fake_server import FakeServer, until

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")


def client_of(fake: FakeServer, **settings: object) -> SimulatedClient:
    options: dict[str, object] = {
        "server": fake.uri,
        "endpoint": "thing",
        "identity": "id",
        "key": KEY,
        "time_scale": 0.02,
        "retry": 0.05,
        "lifetime": 300,
    }
    return SimulatedClient(Settings(**(options | settings)), sensor().model)  # type: ignore[arg-type]


async def test_registers_over_udp_and_is_read_observed_and_written() -> None:
    async with FakeServer() as server:
        async with client_of(server) as client:
            await client.wait_for("registered")
            read = await server.ask("thing", Code.GET, "/3303/0/5700")
            assert (read.code, read.payload, read.uint(Option.CONTENT_FORMAT)) == (Code.CONTENT, b"21.5", 0)
            observed = await server.ask("thing", Code.GET, "/3303/0/5700", observe=0, token=b"obs1")
            assert observed.uint(Option.OBSERVE) is not None
            client.set("/3303/0/5700", 22.5)
            notification = await server.peer("thing").notifications.get()
            assert (notification.token, notification.payload) == (b"obs1", b"22.5")
            written = await server.ask("thing", Code.PUT, "/3303/0/5750", b"Cellar", content_format=0)
            assert written.code == Code.CHANGED
            assert client.get("/3303/0/5750") == "Cellar"
            assert client.seen("written", path="/3303/0/5750", value="Cellar")
        assert server.requests[-1].code == Code.DELETE
        assert not server.known


@pytest.mark.parametrize("name", DEVICES)
async def test_ready_made_devices(name: str) -> None:
    async with FakeServer() as server:
        device = DEVICES[name](3)
        options = Settings(server=server.uri, endpoint="thing", time_scale=0.02)
        async with SimulatedClient(options, device.model) as client:
            await client.wait_for("registered")
            for object_id in device.model.objects:
                for accept in (110, 112, 11542, 11543, 11544):
                    read = await server.ask("thing", Code.GET, f"/{object_id}", accept=accept)
                    assert read.code == Code.CONTENT
            if device.behave is not None:
                changed = asyncio.Event()
                device.model.changed.append(lambda _path: changed.set())
                behaving = asyncio.ensure_future(device.behave(client, 0.001))
                await server.ask("thing", Code.PUT, "/3312/0/5850", b"1", content_format=0)
                async with asyncio.timeout(10):
                    await changed.wait()
                behaving.cancel()
        assert not client.seen("crashed")


async def test_a_plug_takes_power_when_it_is_switched_on() -> None:
    model = DEVICES["plug"](1).model
    async with FakeServer() as server, SimulatedClient(Settings(server=server.uri, endpoint="thing"), model) as client:
        await client.wait_for("registered")
        await server.ask("thing", Code.PUT, "/3312/0/5850", b"1", content_format=0)
        assert client.get("/3328/0/5700") == 42.5
        await server.ask("thing", Code.PUT, "/3312/0/5850", b"0", content_format=0)
        assert client.get("/3328/0/5700") == 0.0


async def test_updates_before_the_lifetime_ends() -> None:
    async with FakeServer() as server:
        async with client_of(server, lifetime=0.2) as client:  # an update each 0.1 s
            await client.wait_for("updated", count=3)
            assert len(client.seen("registered")) == 1
        async with client_of(server, lifetime=0) as client:  # for ever
            await client.wait_for("registered")
            assert client._update_due() is None
        client = client_of(server, lifetime=86400, time_scale=1.0)
        assert client._update_due() == 86400 - 93


async def test_a_written_lifetime_is_told_at_once() -> None:
    async with FakeServer() as server, client_of(server) as client:
        await client.wait_for("registered")
        await server.ask("thing", Code.PUT, "/1/0/1", b"77", content_format=0)
        await client.wait_for("updated")
        assert server.requests[-1].query == ("lt=77",)


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.BAD_REQUEST])
async def test_a_refused_update_leads_to_a_new_registration(code: Code) -> None:
    async with FakeServer() as server, client_of(server) as client:
        await client.wait_for("registered")
        server.answers["update"] = code
        client.update()
        await client.wait_for("update_failed")
        await client.wait_for("registered", count=2)


async def test_a_refused_registration_is_tried_again() -> None:
    async with FakeServer() as server:
        server.answers["register"] = Code.BAD_REQUEST
        async with client_of(server) as client:
            await client.wait_for("register_failed", count=2, code="4.00")
            del server.answers["register"]
            await client.wait_for("registered")


@pytest.mark.parametrize(("profile", "gives_up"), [("anjay", True), ("wakaama", False)])
async def test_forbidden(profile: str, gives_up: bool) -> None:
    async with FakeServer() as server:
        server.answers["register"] = Code.FORBIDDEN
        async with client_of(server, profile=profile) as client:
            if gives_up:
                await client.wait_for("gave_up")
                assert len(client.seen("register_failed")) == 1
            else:
                await client.wait_for("register_failed", count=2, code="4.03")


async def test_silence_of_the_server() -> None:
    async with FakeServer() as server, client_of(server, max_retransmit=1) as client:
        await client.wait_for("registered")
        server.dropping = True
        client.update()
        await client.wait_for("connection_lost", reason="no answer")
        server.dropping = False
        await client.wait_for("registered", count=2)


async def test_a_reset_of_the_server() -> None:
    async with FakeServer() as server, client_of(server) as client:
        await client.wait_for("registered")
        messaging = server.peer("thing").messaging
        messaging.received_datagram = lambda data: messaging._put(bytes((0x70, 0)) + data[2:4])  # type: ignore[method-assign]
        client.update()
        await client.wait_for("connection_lost", reason="reset")
        del messaging.received_datagram


async def test_leave_vanish_and_return() -> None:
    async with FakeServer() as server, client_of(server) as client:
        await client.wait_for("registered")
        await client.leave()
        assert not server.known
        before = len(server.requests)
        client.set("/3303/0/5700", 1.0)
        await client.start()
        await client.wait_for("registered", count=2)
        await client.vanish()
        assert len(server.known) == 1  # nothing was said
        assert len(server.requests) == before + 1
        await client.start()
        await client.wait_for("registered", count=3)


async def test_leaving_a_silent_server() -> None:
    async with FakeServer() as server, client_of(server, max_retransmit=0) as client:
        await client.wait_for("registered")
        server.dropping = True
        await client.leave()
        assert client.seen("deregister_failed")


async def test_another_local_port() -> None:
    async with FakeServer() as server, client_of(server, bind=("127.0.0.2", 0)) as client:
        await client.wait_for("registered")
        before = client.transport.local_address
        await client.rebind()
        client.update()
        await client.wait_for("updated")
        after = client.transport.local_address
        assert before is not None
        assert after is not None
        assert (before[0], before[1] != after[1]) == (after[0], True) == ("127.0.0.2", True)
        assert set(server.peers) == {before, after}


async def test_queue_mode() -> None:
    async with FakeServer() as server, client_of(server, queue=True, awake=0.1) as client:
        await client.wait_for("registered")
        assert "Q" in server.requests[0].query
        await server.ask("thing", Code.GET, "/3303/0/5700", observe=0, token=b"obs1")
        await client.wait_for("asleep")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.ask("thing", Code.GET, "/3303/0/5700"), 0.2)
        client.set("/3303/0/5700", 1.0)
        assert (await server.peer("thing").notifications.get()).payload == b"1"
        await client.wait_for("awake")
        assert (await server.ask("thing", Code.GET, "/3303/0/5700")).payload == b"1"
        await client.wait_for("asleep", count=2)
        client.update()
        await client.wait_for("updated")
        await client.wait_for("awake", count=2)


async def test_without_an_endpoint_name() -> None:
    async with FakeServer() as server, client_of(server, name_endpoint=False, extra_query=("mac=aa",)) as client:
        await client.wait_for("registered")
        assert server.requests[0].query == ("lwm2m=1.1", "lt=300", "b=U", "mac=aa")


async def test_a_separate_response_and_none() -> None:
    async with FakeServer() as server, client_of(server) as client:
        await client.wait_for("registered")
        assert client.messaging is not None
        client.messaging.separate = 0.01
        assert (await server.ask("thing", Code.GET, "/3303/0/5700")).payload == b"21.5"
        client.messaging.separate, client.messaging.deaf = None, True
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.ask("thing", Code.GET, "/3303/0/5700"), 0.1)


# DTLS


async def test_dtls() -> None:
    async with FakeServer({b"id": KEY}) as server, client_of(server) as client:
        await client.wait_for("registered")
        read = await server.ask("thing", Code.GET, "/3303/0/5700", accept=112)
        assert read.code == Code.CONTENT
        server.forget(server.peer("thing").address)
        await client.wait_for("connection_lost", reason="close_notify")
        await client.wait_for("registered", count=2)
        await client.leave()
        assert server.known == {"r1"}
        await client.start()
        await client.wait_for("registered", count=3)


async def test_wrong_key_and_unknown_identity_are_tried_again_for_ever() -> None:
    async with FakeServer({b"id": KEY}) as server:
        for settings in ({"key": bytes(16)}, {"identity": "stranger"}):
            async with client_of(server, **settings) as client:
                await client.wait_for("handshake_failed", count=3)
                assert not client.seen("connected")
        async with client_of(server) as client:
            await client.wait_for("registered")


async def test_a_handshake_that_nobody_answers() -> None:
    async with FakeServer({b"id": KEY}) as server:
        server.dropping = True
        async with client_of(server, handshake_timeout=0.2) as client:
            await client.wait_for("handshake_failed", reason="timeout")
            server.dropping = False
            await client.wait_for("registered")


async def test_a_server_that_forgot_the_association_in_silence() -> None:
    async with FakeServer({b"id": KEY}) as server, client_of(server, max_retransmit=1) as client:
        await client.wait_for("registered")
        server.dropping = True
        client.update()
        await client.wait_for("connection_lost", reason="no answer")
        server.dropping = False
        await client.wait_for("registered", count=2)


async def test_vanish_sends_no_word_over_dtls() -> None:
    async with FakeServer({b"id": KEY}) as server, client_of(server) as client:
        await client.wait_for("registered")
        heard: list[bytes] = []
        original = server.datagram_received
        server.datagram_received = lambda data, addr: (heard.append(data), original(data, addr))[1]  # type: ignore[method-assign, func-returns-value]
        await client.vanish()
        client.update()
        assert not heard


async def test_limits_of_tinydtls() -> None:
    for identity, key in ((b"i" * 33, KEY), (b"i", b"k" * 17), (b"i", b"")):
        with pytest.raises(ValueError, match="tinydtls"):
            DtlsTransport(("127.0.0.1", 1), identity, key, print, print)


async def test_bad_uri() -> None:
    with pytest.raises(ValueError, match="CoAP URI"):
        SimulatedClient(Settings(server="http://127.0.0.1", endpoint="x"), {})


async def test_ipv6() -> None:
    async with FakeServer(host="::1") as server, client_of(server) as client:
        await client.wait_for("registered")


# Through a relay that loses datagrams


async def test_many_devices_behind_a_lossy_relay() -> None:
    async with FakeServer() as server, Relay(server.address, seed=3) as relay:
        uri = "coap://{}:{}".format(*relay.address)
        clients = [client_of(server, server=uri, endpoint=f"thing-{number}") for number in range(40)]
        for client in clients:
            await client.start()
        for number, client in enumerate(clients):
            await client.wait_for("registered")
            await server.ask(f"thing-{number}", Code.GET, "/3303/0/5700", observe=0)
            client.set("/3303/0/5700", 1.0)
            client.set("/3303/0/5700", 100.0 + number, confirmable=True)
        for number, client in enumerate(clients):
            queue = server.peer(f"thing-{number}").notifications
            async with asyncio.timeout(20):
                while (await queue.get()).payload != str(100 + number).encode():
                    pass
            await client.stop()
        assert relay.up.lost > 10
        assert relay.up.duplicated > 10
        assert relay.down.delayed > 10


async def test_a_lost_hello_is_sent_again() -> None:
    async with FakeServer({b"id": KEY}) as server, Relay(server.address, loss=0, duplicate=0, reorder=0) as relay:
        relay.blocked = True
        async with client_of(server, server="coaps://{}:{}".format(*relay.address)) as client:
            await until(lambda: relay.up.lost > 0)
            relay.blocked = False
            await client.wait_for("registered")
            assert not client.seen("handshake_failed")
