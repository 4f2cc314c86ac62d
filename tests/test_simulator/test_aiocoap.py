"""Against a CoAP implementation that is not the simulator's own: aiocoap in the server's place."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiocoap  # type: ignore[import-untyped]
import aiocoap.resource  # type: ignore[import-untyped]
import cbor2
import pytest
from aiocoap.numbers.codes import Code  # type: ignore[import-untyped]

from tests.simulator import Resource, Settings, SimulatedClient
from tests.simulator.devices import sensor


class Directory(aiocoap.resource.Resource):  # type: ignore[misc]
    """/rd and a registration below it: accepts everything and remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[aiocoap.Message] = []

    async def render(self, request: aiocoap.Message) -> aiocoap.Message:
        self.requests.append(request)
        if request.code == Code.DELETE:
            return aiocoap.Message(code=Code.DELETED)
        if "ep=dev" not in request.opt.uri_query:
            return aiocoap.Message(code=Code.CHANGED)
        return aiocoap.Message(code=Code.CREATED, location_path=["rd", "7"])


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Those are aiocoap's own."""
    return True


@asynccontextmanager
async def device() -> AsyncIterator[tuple[aiocoap.Context, Directory, SimulatedClient]]:
    site, directory = aiocoap.resource.Site(), Directory()
    site.add_resource(["rd"], directory)
    site.add_resource(["rd", "7"], directory)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
        free.bind(("::1", 0))
        port = free.getsockname()[1]
    context = await aiocoap.Context.create_server_context(site, bind=("::1", port), transports=["udp6"])
    model = sensor().model
    model.objects[19] = {0: {5: Resource(b"", "opaque", "RW")}}
    try:
        settings = Settings(server=f"coap://[::1]:{port}", endpoint="dev", time_scale=0.1)
        async with SimulatedClient(settings, model) as client:
            await client.wait_for("registered", location="/rd/7")
            yield context, directory, client
        assert client.seen("deregistered", code="2.02")
    finally:
        await context.shutdown()


async def ask(context: aiocoap.Context, directory: Directory, **fields: object) -> aiocoap.Message:
    message = aiocoap.Message(**fields)
    message.remote = directory.requests[0].remote
    return await context.request(message).response


async def test_register_read_write_and_blocks() -> None:
    async with device() as (context, directory, client):
        assert set(directory.requests[0].opt.uri_query) == {"lwm2m=1.1", "ep=dev", "lt=60", "b=U"}
        assert directory.requests[0].opt.content_format == 40
        read = await ask(context, directory, code=Code.GET, uri_path=("3303", "0", "5700"))
        assert (read.code, read.payload) == (Code.CONTENT, b"21.5")
        read = await ask(context, directory, code=Code.GET, uri_path=("3303", "0"), accept=112)
        assert {-2: "/3303/0/", 0: "5601", 2: 21.5} in cbor2.loads(read.payload)
        big = bytes(range(256)) * 20  # Block1 both ways by aiocoap itself
        written = await ask(
            context, directory, code=Code.PUT, uri_path=("19", "0", "5"), payload=big, content_format=42
        )
        assert (written.code, client.get("/19/0/5")) == (Code.CHANGED, big)
        read = await ask(context, directory, code=Code.GET, uri_path=("19", "0", "5"), accept=112)
        assert cbor2.loads(read.payload) == [{-2: "/19/0/5", 8: big}]
        client.update()
        await client.wait_for("updated")


async def test_observe() -> None:
    async with device() as (context, directory, client):
        message = aiocoap.Message(code=Code.GET, uri_path=("3303", "0", "5700"), observe=0)
        message.remote = directory.requests[0].remote
        request = context.request(message)
        assert (await request.response).payload == b"21.5"
        notifications = aiter(request.observation)
        for value, confirmable in ((22.0, False), (23.5, True)):
            client.set("/3303/0/5700", value, confirmable=confirmable)
            async with asyncio.timeout(10):
                assert float((await anext(notifications)).payload) == value
        request.observation.cancel()
        await ask(context, directory, code=Code.GET, uri_path=("3303", "0", "5700"), observe=1)
        await client.wait_for("cancelled", path=["/3303/0/5700"])
