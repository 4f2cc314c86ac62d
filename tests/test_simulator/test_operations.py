"""What the device answers to each LwM2M operation, in the ways of each profile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cbor2
import pytest

from tests.simulator import DeviceModel, Resource, Settings, SimulatedClient
from tests.simulator.coap import Block, Code, Message, Option
from tests.simulator.model import Instance

from .fake_server import FakeServer


def sensor_instance() -> Instance:
    return {
        5700: Resource(21.5, "float"),
        5701: Resource("Cel"),
        5750: Resource("Roof", "string", "RW"),
        5605: Resource(operations="E"),
    }


def model() -> DeviceModel:
    return DeviceModel(
        {
            3: {0: {0: Resource("Nordfeld"), 6: Resource({0: 1, 1: 5}, "integer", "R", multiple=True)}},
            3303: {0: sensor_instance()},
            3311: {0: {5850: Resource(False, "boolean", "RW"), 5851: Resource(10, "integer", "RW")}},
            19: {
                0: {
                    0: Resource({0: b"\x01"}, "opaque", "RW", multiple=True),
                    1: Resource(0, "integer", "RW"),
                    5: Resource(b"\xca\xfe", "opaque", "RW"),
                    6: Resource("3:0", "objlnk", "RW"),
                    7: Resource("secret", "string", "W"),
                }
            },
            3341: {},
        },
        versions={3303: "1.1"},
        templates={3303: sensor_instance, 3341: lambda: {5527: Resource("", "string", "RW")}},
    )


@asynccontextmanager
async def device(profile: str = "anjay", **settings: object) -> AsyncIterator[tuple[FakeServer, SimulatedClient]]:
    async with FakeServer() as server:
        options = Settings(server=server.uri, endpoint="dev", profile=profile, time_scale=0.05, **settings)  # type: ignore[arg-type]
        async with SimulatedClient(options, model()) as client:
            await client.wait_for("registered")
            yield server, client


def shown(message: Message) -> tuple[str, int | None]:
    return f"{message.code >> 5}.{message.code & 31:02d}", message.uint(Option.CONTENT_FORMAT)


# LWM2M section 1, "Formats by Accept": what each client answers with and what it refuses.
FORMATS = [
    ("anjay", "/3303/0", None, ("2.05", 112)),
    *[("anjay", "/3303/0", number, ("2.05", number)) for number in (110, 112, 11542, 11543, 11544)],
    *[("anjay", "/3303/0", number, ("4.06", None)) for number in (1542, 0, 42, 60)],
    ("anjay", "/3303/0/5700", None, ("2.05", 0)),
    *[("anjay", "/3303/0/5700", number, ("2.05", number)) for number in (0, 60, 110, 112, 11542, 11543, 11544)],
    *[("anjay", "/3303/0/5700", number, ("4.06", None)) for number in (42, 1542)],
    ("wakaama", "/3303/0", None, ("2.05", 11542)),
    *[("wakaama", "/3303/0", number, ("2.05", number)) for number in (110, 11542, 11543, 1542)],
    *[("wakaama", "/3303/0/5700", number, ("4.06", None)) for number in (60, 11544)],
    ("wakaama", "/3303/0/5700", 0, ("2.05", 0)),
    ("zephyr", "/3303/0", None, ("2.05", 11542)),
    ("zephyr", "/19/0/5", 42, ("2.05", 42)),
    ("zephyr", "/3303/0", 112, ("4.06", None)),
    ("coap-node", "/3303/0", 112, ("5.00", None)),
    ("coap-node", "/3303/0", None, ("2.05", None)),  # states no format
]


@pytest.mark.parametrize(("profile", "path", "accept", "expected"), FORMATS)
async def test_formats(profile: str, path: str, accept: int | None, expected: tuple[str, int | None]) -> None:
    async with device(profile) as (server, _):
        assert shown(await server.ask("dev", Code.GET, path, accept=accept)) == expected


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", "4.04"),
        ("/0", "4.01"),
        ("/0/0/2", "4.01"),
        ("/21/0", "4.01"),
        ("/9", "4.04"),
        ("/3303/7", "4.04"),
        ("/3303/0/1", "4.04"),
        ("/3/0/6/9", "4.04"),
        ("/3303/0/5605", "4.05"),
        ("/19/0/7", "4.05"),
        ("/abc", "4.04"),
        ("/1/2/3/4/5", "4.00"),
    ],
)
async def test_reads_that_fail(path: str, code: str) -> None:
    async with device() as (server, _):
        assert shown(await server.ask("dev", Code.GET, path))[0] == code


async def test_reads() -> None:
    async with device() as (server, _):
        assert (await server.ask("dev", Code.GET, "/3/0/6/1")).payload == b"5"
        read = await server.ask("dev", Code.GET, "/3/0/6", accept=112)
        assert cbor2.loads(read.payload) == [{-2: "/3/0/6/", 0: "0", 2: 1}, {0: "1", 2: 5}]
        read = await server.ask("dev", Code.GET, "/19/0", accept=112)
        assert "secret" not in str(cbor2.loads(read.payload))
        assert (await server.ask("dev", Code.GET, "/3341", accept=112)).payload == b"\x80"
        assert (await server.ask("dev", Code.GET, "/3303/0/5700", accept=60)).payload == bytes.fromhex(
            "fb4035800000000000"
        )


async def test_discover() -> None:
    async with device() as (server, client):
        await server.ask("dev", Code.PUT, "/3303/0/5700", query=("pmin=5", "gt=30.5"))
        answer = await server.ask("dev", Code.GET, "/3303", accept=40)
        assert shown(answer) == ("2.05", 40)
        assert answer.payload.decode() == (
            "</3303>;ver=1.1,</3303/0>,</3303/0/5605>,</3303/0/5700>;pmin=5;gt=30.5,</3303/0/5701>,</3303/0/5750>"
        )
        answer = await server.ask("dev", Code.GET, "/3/0", accept=40)
        assert answer.payload.decode() == "</3/0>,</3/0/0>,</3/0/6>;dim=2"
        answer = await server.ask("dev", Code.GET, "/3303/0/5701", accept=40)
        assert answer.payload.decode() == "</3303/0/5701>"
        assert shown(await server.ask("dev", Code.GET, "/9", accept=40))[0] == "4.04"
        assert client.seen("attributes", path="/3303/0/5700")


@pytest.mark.parametrize(
    ("path", "payload", "content_format", "value"),
    [
        ("/3311/0/5850", b"1", 0, True),
        ("/3311/0/5850", bytes.fromhex("e116 da 01"), 11542, True),
        ("/3311/0/5851", cbor2.dumps([{-2: "/3311/0/5851", 2: 77}]), 112, 77),
        ("/3311/0/5851", b'[{"n":"/3311/0/5851","v":78}]', 110, 78),
        ("/3311/0/5851", b'{"bn":"/3311/0/5851","e":[{"v":79}]}', 11543, 79),
        ("/3311/0/5851", cbor2.dumps({3311: {0: {5851: 80}}}), 11544, 80),
        ("/3311/0/5851", cbor2.dumps(81), 60, 81),
        ("/19/0/5", b"\x00\x01", 42, b"\x00\x01"),
        ("/19/0/5", b"AAE=", 0, b"\x00\x01"),
        ("/19/0/5", b'{"bn":"/19/0/5","e":[{"sv":"AAE="}]}', 11543, b"\x00\x01"),
        ("/19/0/6", b"4:1", 0, "4:1"),
        ("/19/0/7", b"new", None, "new"),
    ],
)
async def test_writes(path: str, payload: bytes, content_format: int | None, value: object) -> None:
    async with device() as (server, client):
        assert shown(await server.ask("dev", Code.PUT, path, payload, content_format=content_format))[0] == "2.04"
        assert client.get(path) == value
        assert client.seen("written", path=path, value=value)


async def test_write_of_an_instance_and_of_resource_instances() -> None:
    async with device() as (server, client):
        both = cbor2.dumps([{-2: "/3311/0/", 0: "5850", 4: True}, {0: "5851", 2: 5}])
        assert shown(await server.ask("dev", Code.POST, "/3311/0", both, content_format=112))[0] == "2.04"
        assert (client.get("/3311/0/5850"), client.get("/3311/0/5851")) == (True, 5)
        tlv = bytes.fromhex("8600 4100aa 4102bb")
        assert shown(await server.ask("dev", Code.POST, "/19/0", tlv, content_format=11542))[0] == "2.04"
        assert client.get("/19/0/0") == {0: b"\xaa", 2: b"\xbb"}
        assert shown(await server.ask("dev", Code.PUT, "/19/0/0/2", b"\xcc", content_format=42))[0] == "2.04"
        assert client.get("/19/0/0") == {0: b"\xaa", 2: b"\xcc"}
        whole = bytes.fromhex("8300 4105dd")
        assert shown(await server.ask("dev", Code.PUT, "/19/0/0", whole, content_format=11542))[0] == "2.04"
        assert client.get("/19/0/0") == {5: b"\xdd"}
        assert shown(await server.ask("dev", Code.PUT, "/19/0/0", b"\x80", content_format=112))[0] == "2.04"
        assert client.get("/19/0/0") == {}


@pytest.mark.parametrize(
    ("code", "path", "payload", "content_format", "expected"),
    [
        (Code.PUT, "/3311/0/5850", b"yes", 0, "4.00"),
        (Code.PUT, "/3311/0/5851", b"1.5", 0, "4.00"),
        (Code.PUT, "/3311/0/5851", b"1", 1542, "4.15"),
        (Code.PUT, "/3311/0/5851", b"1", 50, "4.15"),
        (Code.PUT, "/3303/0/5700", b"1", 0, "4.05"),
        (Code.PUT, "/3303/0/1", b"1", 0, "4.04"),
        (Code.PUT, "/3303", b"", 112, "4.05"),
        (Code.PUT, "/3", b"", 112, "4.05"),
        (Code.PUT, "/9/0", b"", 112, "4.04"),
        (Code.PUT, "/0/0/0", b"1", 0, "4.01"),
        (Code.POST, "/3311/0", cbor2.dumps([{-2: "/3311/0/1", 2: 1}]), 112, "4.04"),
        (Code.POST, "/19/0", bytes.fromhex("c10001"), 11542, "4.00"),  # one value for a multiple resource
        (Code.PUT, "/3311/0/5850", b"", 11542, "4.00"),
        (Code.POST, "/3303/0/5700", b"", 0, "4.05"),
        (Code.POST, "/9", b"", 112, "4.04"),
        (Code.POST, "/3", b"", 112, "4.05"),
        (Code.POST, "/3303", b"\x80", 50, "4.15"),
        (Code.DELETE, "/3/0", b"", None, "4.05"),
        (Code.DELETE, "/3303", b"", None, "4.05"),
        (Code.DELETE, "/3303/9", b"", None, "4.04"),
        (Code.DELETE, "/", b"", None, "4.05"),
        (Code.PATCH, "/3/0", b"", None, "4.05"),
        (Code.FETCH, "/", b"\x80", 50, "4.15"),
    ],
)
async def test_requests_that_fail(
    code: Code, path: str, payload: bytes, content_format: int | None, expected: str
) -> None:
    async with device() as (server, client):
        assert shown(await server.ask("dev", code, path, payload, content_format=content_format))[0] == expected
        assert not client.seen("written")


async def test_execute() -> None:
    async with device() as (server, client):
        assert shown(await server.ask("dev", Code.POST, "/3303/0/5605", b"0='x'", content_format=0))[0] == "2.04"
        assert client.seen("executed", path="/3303/0/5605", arguments="0='x'")
        assert shown(await server.ask("dev", Code.POST, "/1/0/8"))[0] == "2.04"
        await client.wait_for("updated")


async def test_create_and_delete() -> None:
    async with device() as (server, client):
        # TLV of resources alone: the device chooses the id and says where
        created = await server.ask("dev", Code.POST, "/3341", bytes.fromhex("e31597616263"), content_format=11542)
        assert (shown(created)[0], created.values(Option.LOCATION_PATH)) == ("2.01", [b"3341", b"0"])
        assert client.get("/3341/0/5527") == "abc"
        # an object instance TLV, and SenML, name it
        named = bytes.fromhex("0607 e31597646566")
        created = await server.ask("dev", Code.POST, "/3341", named, content_format=11542)
        assert (shown(created)[0], client.get("/3341/7/5527")) == ("2.01", "def")
        senml = cbor2.dumps([{-2: "/3341/9/", 0: "5527", 3: "ghi"}])
        assert shown(await server.ask("dev", Code.POST, "/3341", senml, content_format=112))[0] == "2.01"
        assert shown(await server.ask("dev", Code.POST, "/3341", senml, content_format=112))[0] == "4.00"
        assert shown(await server.ask("dev", Code.POST, "/3341"))[0] == "2.01"
        two = cbor2.dumps([{0: "/3341/20/5527", 3: "a"}, {0: "/3341/21/5527", 3: "b"}])
        assert shown(await server.ask("dev", Code.POST, "/3341", two, content_format=112))[0] == "4.00"
        await client.wait_for("updated")
        assert b"</3341/9>" in server.requests[-1].payload
        assert shown(await server.ask("dev", Code.DELETE, "/3341/9"))[0] == "2.02"
        assert shown(await server.ask("dev", Code.GET, "/3341/9"))[0] == "4.04"
        assert [event.fields["path"] for event in client.seen("created")] == [
            "/3341/0",
            "/3341/7",
            "/3341/9",
            "/3341/1",
        ]
        assert client.seen("deleted", path="/3341/9")


async def test_composite_operations() -> None:
    async with device() as (server, client):
        paths = cbor2.dumps([{0: "/3303/0/5700"}, {0: "/3/0"}, {0: "/9/9/9"}])
        read = await server.ask("dev", Code.FETCH, "/", paths, content_format=112, accept=112)
        assert shown(read) == ("2.05", 112)
        assert cbor2.loads(read.payload)[0] == {-2: "/", 0: "3303/0/5700", 2: 21.5}
        assert len(cbor2.loads(read.payload)) == 4
        assert shown(await server.ask("dev", Code.FETCH, "/", paths, content_format=112, accept=0))[0] == "4.06"
        written = cbor2.dumps([{0: "/3311/0/5850", 4: True}, {0: "/3303/0/5750", 3: "Yard"}])
        assert shown(await server.ask("dev", Code.IPATCH, "/", written, content_format=112))[0] == "2.04"
        assert (client.get("/3311/0/5850"), client.get("/3303/0/5750")) == (True, "Yard")
        observed = await server.ask("dev", Code.FETCH, "/", paths, content_format=112, observe=0, token=b"comp")
        assert observed.uint(Option.OBSERVE) is not None
        client.set("/3303/0/5700", 5.0)
        notification = await server.peer("dev").notifications.get()
        assert cbor2.loads(notification.payload)[0][2] == 5.0
    async with device("wakaama") as (server, _):
        assert shown(await server.ask("dev", Code.FETCH, "/", paths, content_format=112))[0] == "4.05"


async def test_a_failure_made_on_purpose() -> None:
    async with device() as (server, client):
        client.handler.fail[(3303, 0)] = Code.INTERNAL_SERVER_ERROR
        assert shown(await server.ask("dev", Code.GET, "/3303/0/5700"))[0] == "5.00"
        assert shown(await server.ask("dev", Code.GET, "/3/0"))[0] == "2.05"


async def test_objects_below_a_root() -> None:
    async with device(root="/lwm2m") as (server, _):
        assert server.requests[0].payload.startswith(b'</lwm2m>;rt="oma.lwm2m",</lwm2m/1/0>')
        assert shown(await server.ask("dev", Code.GET, "/lwm2m/3303/0/5700"))[0] == "2.05"
        assert shown(await server.ask("dev", Code.GET, "/3303/0/5700"))[0] == "4.04"


async def test_blocks_both_ways() -> None:
    async with device("zephyr") as (server, client):  # blocks of 512
        big = bytes(range(256)) * 5
        for number in range(3):
            part = big[number * 512 : (number + 1) * 512]
            block = Block(number, number < 2, 5).pack()
            answer = await server.ask("dev", Code.PUT, "/19/0/5", part, content_format=42, block1=block)
            assert answer.code == (Code.CONTINUE if number < 2 else Code.CHANGED)
            assert answer.block(Option.BLOCK1) == Block(number, number < 2, 5)
        assert client.get("/19/0/5") == big
        read = await server.ask("dev", Code.GET, "/19/0/5", accept=42)
        assert (read.block(Option.BLOCK2), read.uint(Option.SIZE2)) == (Block(0, more=True, exponent=5), 1280)
        body = bytearray(read.payload)
        client.set("/19/0/5", b"another")  # the rest is of the representation that was begun
        for number in (1, 2):
            read = await server.ask("dev", Code.GET, "/19/0/5", accept=42, block2=Block(number, False, 5).pack())
            body += read.payload
        assert (bytes(body), read.block(Option.BLOCK2)) == (big, Block(2, more=False, exponent=5))
        assert (await server.ask("dev", Code.GET, "/19/0/5", accept=42, block2=Block(9, False, 5).pack())).code == 0x82
        # smaller blocks because the server asks for them
        read = await server.ask("dev", Code.GET, "/3303/0", accept=11542, block2=Block(0, False, 0).pack())
        assert (len(read.payload), read.block(Option.BLOCK2)) == (16, Block(0, more=True, exponent=0))


async def test_blocks_out_of_order_and_too_many() -> None:
    async with device() as (server, client):
        answer = await server.ask("dev", Code.PUT, "/19/0/5", b"x" * 16, block1=Block(1, True, 0).pack())
        assert answer.code == Code.REQUEST_ENTITY_INCOMPLETE
        answer = await server.ask("dev", Code.PUT, "/19/0/5", b"x", block1=7)
        assert answer.code == Code.BAD_OPTION
        for number in range(1025):
            block = Block(number, True, 6).pack()
            answer = await server.ask("dev", Code.PUT, "/19/0/5", b"x" * 1024, content_format=42, block1=block)
        assert answer.code == Code.REQUEST_ENTITY_TOO_LARGE
        assert client.get("/19/0/5") == b"\xca\xfe"
