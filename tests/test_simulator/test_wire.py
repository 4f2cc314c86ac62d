"""Whole exchanges as bytes on the wire, written from RFC 7252 and LwM2M TS: Transport 1.1.1 section 6.4 by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.simulator import Resource, Settings, SimulatedClient
from tests.simulator.coap import Block, Code, Message, Option, Type
from tests.simulator.model import Objects

Address = tuple[str, int]


class Wire(asyncio.DatagramProtocol):
    """A bare socket in the server's place."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.device: Address | None = None

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.device = addr
        self.heard.put_nowait(data)

    async def next(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.heard.get()

    def send(self, text: str) -> None:
        self.transport.sendto(bytes.fromhex(text), self.device)


def objects() -> Objects:
    return {
        3: {0: {0: Resource("Nordfeld"), 9: Resource(50, "integer"), 4: Resource(operations="E")}},
        3303: {0: {5700: Resource(21.5, "float"), 5701: Resource("Cel")}},
    }


@asynccontextmanager
async def wired(**settings: object) -> AsyncIterator[tuple[Wire, SimulatedClient]]:
    wire = Wire()
    loop = asyncio.get_running_loop()
    wire.transport, _ = await loop.create_datagram_endpoint(lambda: wire, local_addr=("127.0.0.1", 0))
    uri = "coap://127.0.0.1:{}".format(wire.transport.get_extra_info("sockname")[1])
    options = {"server": uri, "endpoint": "dev", "lifetime": 300, "time_scale": 0.05, **settings}
    client = SimulatedClient(Settings(**options), objects())  # type: ignore[arg-type]
    try:
        await client.start()
        yield wire, client
    finally:
        await client.vanish()
        client.transport.shutdown()
        wire.transport.close()


def text(value: str) -> str:
    return value.encode().hex()


async def registered(wire: Wire) -> bytes:
    """Let the Register happen; gives the request. The location is rd/x."""
    request = await wire.next()
    # 2.01, Location-Path (8) "rd", then "x" (delta 0)
    wire.send(f"68 41 {request[2:4].hex()} {request[4:12].hex()} 82 {text('rd')} 01 {text('x')}")
    return request


async def test_register() -> None:
    async with wired() as (wire, client):
        request = await registered(wire)
        token = request[4:12].hex()
        links = "</1/0>,</3/0>,</3303/0>"
        expected = (
            f"48 02 {request[2:4].hex()} {token}"  # CON, token of 8, POST
            f"b2 {text('rd')}"  # Uri-Path (11)
            "11 28"  # Content-Format (12): 40
            f"39 {text('lwm2m=1.1')}"  # Uri-Query (15), 9 bytes
            f"06 {text('ep=dev')} 06 {text('lt=300')} 03 {text('b=U')}"
            f"ff {text(links)}"
        )
        assert request == bytes.fromhex(expected)
        assert (await client.wait_for("registered")).fields["location"] == "/rd/x"


async def test_register_of_lwm2m_1_0_in_queue_mode() -> None:
    async with wired(version="1.0", queue=True, profile="zephyr") as (wire, client):
        client.model.versions[3303] = "1.1"
        request = await registered(wire)
        expected = (
            f"48 02 {request[2:4].hex()} {request[4:12].hex()} b2 {text('rd')} 11 28"
            f"39 {text('lwm2m=1.0')} 06 {text('ep=dev')} 06 {text('lt=300')} 04 {text('b=UQ')}"
            f"ff {text('</>;rt="oma.lwm2m";ct=11543,</1/0>,</3/0>,</3303>;ver="1.1",</3303/0>')}"
        )
        assert request == bytes.fromhex(expected)


async def test_update_and_deregister() -> None:
    async with wired() as (wire, client):
        await registered(wire)
        await client.wait_for("registered")
        client.update()
        request = await wire.next()
        # POST /rd/x?lt=300 without payload
        head = f"{request[2:4].hex()} {request[4:12].hex()}"
        assert request == bytes.fromhex(f"48 02 {head} b2 {text('rd')} 01 {text('x')} 46 {text('lt=300')}")
        wire.send(f"68 44 {head}")
        await client.wait_for("updated")
        leaving = asyncio.ensure_future(client.leave())
        request = await wire.next()
        head = f"{request[2:4].hex()} {request[4:12].hex()}"
        assert request == bytes.fromhex(f"48 04 {head} b2 {text('rd')} 01 {text('x')}")
        wire.send(f"68 42 {head}")
        await leaving
        assert client.seen("deregistered", code="2.02")


async def test_read_observe_notify_and_cancel() -> None:
    async with wired() as (wire, client):
        await registered(wire)
        await client.wait_for("registered")
        path = f"b4 {text('3303')} 01 {text('0')} 04 {text('5700')}"
        # Read: CON GET, token aa
        wire.send(f"41 01 1001 aa {path}")
        assert await wire.next() == bytes.fromhex(f"61 45 1001 aa c0 ff {text('21.5')}")  # Content-Format 0: no bytes
        # Read with Accept (17): 112
        wire.send(f"41 01 1002 aa {path} 61 70")
        senml = "81 a2 21 6c 2f333330332f302f35373030 02 fb4035800000000000"
        assert await wire.next() == bytes.fromhex(f"61 45 1002 aa c1 70 ff {senml}")
        # Observe (6) 0 before Uri-Path (delta 5)
        observe = f"60 54 {text('3303')} 01 {text('0')} 04 {text('5700')}"
        wire.send(f"41 01 1003 bb {observe}")
        assert await wire.next() == bytes.fromhex(f"61 45 1003 bb 61 01 60 ff {text('21.5')}")
        client.set("/3303/0/5700", 22.0)
        notification = await wire.next()
        assert notification == bytes.fromhex(f"51 45 {notification[2:4].hex()} bb 61 02 60 ff {text('22')}")  # NON
        client.set("/3303/0/5700", 23.0, confirmable=True)
        notification = await wire.next()
        assert notification == bytes.fromhex(f"41 45 {notification[2:4].hex()} bb 61 03 60 ff {text('23')}")  # CON
        wire.send(f"60 00 {notification[2:4].hex()}")
        # Observe 1: cancel
        cancel = f"61 01 54 {text('3303')} 01 {text('0')} 04 {text('5700')}"
        wire.send(f"41 01 1004 bb {cancel}")
        assert await wire.next() == bytes.fromhex(f"61 45 1004 bb c0 ff {text('23')}")
        assert len(client.observer) == 0


async def test_a_reset_ends_an_observation_confirmable_or_not() -> None:
    async with wired() as (wire, client):
        await registered(wire)
        await client.wait_for("registered")
        for mid, confirmable in (("2001", False), ("2002", True)):
            wire.send(f"41 01 {mid} bb 60 54 {text('3303')} 01 {text('0')} 04 {text('5700')}")
            await wire.next()
            client.set("/3303/0/5700", 30.0, confirmable=confirmable)
            notification = await wire.next()
            count = len(client.seen("cancelled"))
            wire.send(f"70 00 {notification[2:4].hex()}")
            await client.wait_for("cancelled", count=count + 1)
            assert len(client.observer) == 0


async def test_send() -> None:
    async with wired() as (wire, client):
        await registered(wire)
        await client.wait_for("registered")
        sending = asyncio.ensure_future(client.send("/3303/0/5700"))
        request = await wire.next()
        head = f"{request[2:4].hex()} {request[4:12].hex()}"
        senml = "81 a2 21 6c 2f333330332f302f35373030 02 fb4035800000000000"
        assert request == bytes.fromhex(f"48 02 {head} b2 {text('dp')} 11 70 ff {senml}")
        # a separate response (RFC 7252 section 5.2.2): first an empty acknowledgement, then a CON of the server
        wire.send(f"60 00 {request[2:4].hex()}")
        wire.send(f"48 44 3001 {request[4:12].hex()}")
        assert (await sending).code == 0x44
        assert await wire.next() == bytes.fromhex("60 00 3001")
        # the same again, as if that acknowledgement was lost
        wire.send(f"48 44 3001 {request[4:12].hex()}")
        assert await wire.next() == bytes.fromhex("60 00 3001")


async def test_a_duplicate_request_gets_the_same_bytes_and_acts_once() -> None:
    async with wired() as (wire, client):
        await registered(wire)
        await client.wait_for("registered")
        execute = f"41 02 4001 aa b1 {text('3')} 01 {text('0')} 01 {text('4')}"
        wire.send(execute)
        first = await wire.next()
        wire.send(execute)
        assert await wire.next() == first == bytes.fromhex("61 44 4001 aa")
        assert len(client.seen("executed", path="/3/0/4")) == 1


async def test_ping_garbage_and_strangers() -> None:
    async with wired() as (wire, client):
        await registered(wire)
        await client.wait_for("registered")
        wire.send("40 00 5001")  # CoAP ping
        assert await wire.next() == bytes.fromhex("70 00 5001")
        wire.send("40 01 5002 ff")  # a CON that cannot be read
        assert await wire.next() == bytes.fromhex("70 00 5002")
        wire.send("50 00 5003")  # an empty NON, and one that cannot be read: silence
        wire.send("50 01 5004 ff")
        wire.send("00")
        wire.send("44 45 5005 01020304")  # a response nobody asked for
        assert await wire.next() == bytes.fromhex("70 00 5005")
        # a critical option that is not known (9): 4.02
        wire.send(f"40 01 5006 90 21 {text('3')}")
        assert await wire.next() == bytes.fromhex("60 82 5006")


async def test_retransmission() -> None:
    async with wired() as (wire, client):
        first = await wire.next()
        assert await wire.next() == first
        assert await wire.next() == first
        wire.send(f"68 41 {first[2:4].hex()} {first[4:12].hex()} 82 {text('rd')} 01 {text('x')}")
        await client.wait_for("registered")


async def test_an_older_version_after_4_12() -> None:
    async with wired(version="1.2") as (wire, client):
        for version in ("1.2", "1.1"):
            request = await wire.next()
            assert f"lwm2m={version}".encode() in request
            wire.send(f"68 8c {request[2:4].hex()} {request[4:12].hex()}")
        request = await registered(wire)
        assert b"lwm2m=1.0" in request
        assert (await client.wait_for("registered")).fields["version"] == "1.0"


async def test_a_long_object_list_goes_in_blocks_and_a_long_answer_comes_in_them() -> None:
    async with wired(profile="zephyr") as (wire, client):  # blocks of 512
        client.model.objects[3341] = {number: {5527: Resource("x")} for number in range(100)}
        body, request = b"", Message(Type.CON, Code.POST)
        # Block1 (27 = 12 + 15 by way of Uri-Query 15 + 12): 0/1/512, then 1/1 and so on; 2.31 asks for blocks of 256
        for number in (0, 2, 3, 4, 5):
            request = Message.decode(await wire.next())
            block = request.block(Option.BLOCK1)
            assert block is not None
            assert (block.number, block.exponent) == (number, 4 if number else 5)
            body += request.payload
            if not block.more:
                break
            answer = Message(Type.ACK, Code.CONTINUE, request.mid, request.token)
            wire.send(answer.add(Option.BLOCK1, Block(number, True, 4).pack()).encode().hex())
        assert body == client._object_list()
        # the 2.01 itself with a Block2: the rest is fetched, as for any answer
        answer = Message(Type.ACK, Code.CREATED, request.mid, request.token, payload=b"0" * 16)
        answer.add(Option.LOCATION_PATH, "rd").add(Option.LOCATION_PATH, "x").add(
            Option.BLOCK2, Block(0, True, 0).pack()
        )
        wire.send(answer.encode().hex())
        request = Message.decode(await wire.next())
        assert request.block(Option.BLOCK2) == Block(1, more=False, exponent=0)
        answer = Message(Type.ACK, Code.CREATED, request.mid, request.token, payload=b"1")
        wire.send(answer.add(Option.BLOCK2, Block(1, False, 0).pack()).encode().hex())
        await client.wait_for("registered")
