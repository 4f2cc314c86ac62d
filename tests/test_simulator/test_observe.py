"""Notifications: what the attributes permit and demand, confirmable ones, and what ends an observation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.simulator import DeviceModel, Resource, Settings, SimulatedClient
from tests.simulator.coap import Code, Message, Option, Type

from .fake_server import FakeServer

PATH = "/3303/0/5700"


@asynccontextmanager
async def device(**settings: object) -> AsyncIterator[tuple[FakeServer, SimulatedClient]]:
    async with FakeServer() as server:
        model = DeviceModel(
            {
                3303: {0: {5700: Resource(20.0, "float"), 5750: Resource("Roof", "string", "RW")}},
                3341: {0: {5527: Resource("a", "string", "RW")}},
            },
            templates={3341: dict},
        )
        options = Settings(server=server.uri, endpoint="dev", time_scale=0.02, second=0.05, **settings)  # type: ignore[arg-type]
        async with SimulatedClient(options, model) as client:
            await client.wait_for("registered")
            yield server, client


async def observe(server: FakeServer, path: str = PATH, **options: object) -> Message:
    return await server.ask("dev", Code.GET, path, observe=0, token=b"tok", **options)  # type: ignore[arg-type]


async def notified(server: FakeServer) -> Message:
    async with asyncio.timeout(10):
        return await server.peer("dev").notifications.get()


async def values(server: FakeServer, until: str) -> list[str]:
    """Give the values of notifications up to and with the one that says `until`."""
    out = [(await notified(server)).payload.decode()]
    while out[-1] != until:
        out.append((await notified(server)).payload.decode())
    return out


async def test_serials_rise_and_every_change_is_told() -> None:
    async with device() as (server, client):
        first = await observe(server)
        serials = [first.uint(Option.OBSERVE)]
        for value in (21.0, 22.0, 23.0):
            client.set(PATH, value)
            serials.append((await notified(server)).uint(Option.OBSERVE))
        assert serials == [1, 2, 3, 4]


async def test_an_instance_is_told_of_its_resources() -> None:
    async with device() as (server, client):
        await observe(server, "/3303/0", accept=11542)
        client.set("/3303/0/5750", "Yard")
        notification = await notified(server)
        assert notification.uint(Option.CONTENT_FORMAT) == 11542
        assert b"Yard" in notification.payload
        client.set("/3341/0/5527", "elsewhere")
        client.set(PATH, 5.0)
        assert b"elsewhere" not in (await notified(server)).payload


async def test_pmin_holds_back_and_sends_the_newest() -> None:
    async with device() as (server, client):
        await server.ask("dev", Code.PUT, PATH, query=("pmin=2",))
        await observe(server)
        for value in (21.0, 22.0, 23.0):
            client.set(PATH, value)
        assert await values(server, "23") == ["23"]


async def test_pmax_sends_without_a_change() -> None:
    async with device() as (server, _):
        await observe(server)
        await server.ask("dev", Code.PUT, PATH, query=("pmax=1",))
        assert [(await notified(server)).payload for _ in range(3)] == [b"20"] * 3


async def test_attributes_of_an_upper_level_and_their_removal() -> None:
    async with device() as (server, client):
        await server.ask("dev", Code.PUT, "/3303", query=("pmax=1",))
        await server.ask("dev", Code.PUT, "/3303/0", query=("pmin=0", "pmax=200"))
        await observe(server)
        assert client.observer._effective(next(iter(client.observer._observations.values()))) == {
            "pmin": 0,
            "pmax": 200,
        }
        await server.ask("dev", Code.PUT, "/3303/0", query=("pmax",))
        assert (await notified(server)).payload == b"20"


@pytest.mark.parametrize(
    ("query", "changes", "told"),
    [
        (("gt=25",), [21, 26, 27, 24, 23, 30], ["26", "24", "30"]),
        (("lt=10",), [12, 9, 8, 11, 30], ["9", "11"]),
        (("st=5",), [21, 24, 25, 26, 31, 25], ["25", "31", "25"]),
        (("gt=25", "lt=10", "st=3"), [21, 26, 27, 9, 10.5], ["26", "9", "10.5"]),
        ((), [21, 22], ["21", "22"]),
    ],
)
async def test_conditions(query: tuple[str, ...], changes: list[float], told: list[str]) -> None:
    async with device() as (server, client):
        if query:
            assert (await server.ask("dev", Code.PUT, PATH, query=query)).code == Code.CHANGED
        await observe(server)
        for value in changes:
            client.set(PATH, float(value))
        client.set(PATH, -99.0, confirmable=False)  # told whatever the attributes say: the end of the list
        assert await values(server, "-99") == [*told, "-99"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (PATH, ("pmin=-1",)),
        (PATH, ("pmin=x",)),
        (PATH, ("pmin=1.5",)),
        (PATH, ("pmin=10", "pmax=5")),
        (PATH, ("lt=20", "gt=10")),
        (PATH, ("lt=10", "gt=20", "st=5")),
        (PATH, ("st=-1",)),
        (PATH, ("nonsense=1",)),
        (PATH, ("nonsense",)),
        ("/3303/0/5750", ("gt=1",)),
        ("/3303/0", ("st=1",)),
    ],
)
async def test_refused_attributes(path: str, query: tuple[str, ...]) -> None:
    async with device() as (server, client):
        assert (await server.ask("dev", Code.PUT, path, query=query)).code == Code.BAD_REQUEST
        assert not client.observer.attributes.at((3303, 0, 5700))


async def test_attributes_of_an_observe_request() -> None:
    async with device() as (server, _):
        await observe(server, query=("pmax=1",))  # LwM2M 1.2
        assert (await notified(server)).payload == b"20"
        refused = await observe(server, query=("pmin=9", "pmax=1"))
        assert refused.code == Code.BAD_REQUEST


async def test_default_periods_of_the_server_object() -> None:
    async with device() as (server, _):
        await server.ask("dev", Code.PUT, "/1/0/3", b"1", content_format=0)
        await observe(server)
        assert (await notified(server)).payload == b"20"


async def test_confirmable_by_profile_by_setting_and_by_attribute() -> None:
    for settings, query, kind in (
        ({}, (), Type.NON),
        ({"profile": "zephyr"}, (), Type.CON),
        ({"confirmable": True}, (), Type.CON),
        ({"profile": "zephyr", "confirmable": False}, (), Type.NON),
        ({}, ("con=1",), Type.CON),
    ):
        async with device(**settings) as (server, client):
            if query:
                await server.ask("dev", Code.PUT, PATH, query=query)
            await observe(server, accept=0)
            client.set(PATH, 1.0)
            assert (await notified(server)).type is kind


async def test_a_confirmable_notification_that_is_under_way_is_followed_by_the_newest_value() -> None:
    async with device() as (server, client):
        await observe(server)
        server.dropping = True
        for value in (1.0, 2.0, 3.0):
            client.set(PATH, value, confirmable=True)
        server.dropping = False
        first, last = await notified(server), await notified(server)
        assert [(message.payload, message.type) for message in (first, last)] == [(b"1", Type.CON), (b"3", Type.CON)]


async def test_no_acknowledgement_ends_an_observation() -> None:
    async with device(confirmable=True) as (server, client):
        await observe(server)
        server.dropping = True
        client.set(PATH, 1.0)
        await client.wait_for("notify_timeout", path=[PATH])
        assert len(client.observer) == 0
        server.dropping = False


async def test_the_same_observation_again_replaces_the_first() -> None:
    async with device() as (server, client):
        await observe(server)
        await server.ask("dev", Code.GET, PATH, observe=0, token=b"new")
        assert client.observer.paths == [(3303, 0, 5700)]
        client.set(PATH, 1.0)
        assert (await notified(server)).token == b"new"


async def test_an_instance_that_goes_ends_its_observation_with_4_04() -> None:
    async with device() as (server, client):
        await observe(server, "/3341/0")
        sent: list[Message] = []
        peer = server.peer("dev")
        original = peer.messaging.received_datagram
        peer.messaging.received_datagram = lambda data: (sent.append(Message.decode(data)), original(data))[1]  # type: ignore[method-assign, func-returns-value]
        await server.ask("dev", Code.DELETE, "/3341/0")
        await client.wait_for("updated")
        ends = [message for message in sent if message.token == b"tok"]
        assert [(message.code, message.values(Option.OBSERVE)) for message in ends[:1]] == [(Code.NOT_FOUND, [])]


async def test_observations_are_forgotten_at_a_new_registration() -> None:
    async with device() as (server, client):
        await observe(server)
        server.known.clear()
        client.update()
        await client.wait_for("update_failed", code="4.04")
        await client.wait_for("registered", count=2)
        assert len(client.observer) == 0


async def test_too_many_observations() -> None:
    async with device() as (server, client):
        for number in range(256):
            await server.ask("dev", Code.GET, PATH, observe=0, query=(f"pmax={number + 100000}",), accept=0)
        assert len(client.observer) <= 256
