from __future__ import annotations

from tests.simulator import Settings, SimulatedClient
from tests.simulator.coap import Code, Option
from tests.simulator.devices import sensor

from .fake_server import FakeServer

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")


async def test_registers_over_udp_and_is_read_observed_and_written() -> None:
    async with FakeServer() as server:
        settings = Settings(server=server.uri, endpoint="thing", time_scale=0.05)
        async with SimulatedClient(settings, sensor().model) as client:
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


async def test_registers_over_dtls() -> None:
    async with FakeServer({b"id": KEY}) as server:
        settings = Settings(server=server.uri, endpoint="thing", identity="id", key=KEY, time_scale=0.05)
        async with SimulatedClient(settings, sensor().model) as client:
            await client.wait_for("registered")
            read = await server.ask("thing", Code.GET, "/3303/0/5700", accept=112)
            assert read.code == Code.CONTENT
            server.forget(server.peer("thing").address)
            await client.wait_for("connection_lost", reason="close_notify")
            await client.wait_for("registered", count=2)
        assert server.known == {"r1"}
