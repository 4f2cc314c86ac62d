"""The UDP port: families, addresses of ours, batches, and what the system refuses."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
import sys
from typing import Any

import pytest

from custom_components.lwm2m.coap import udp
from custom_components.lwm2m.coap.udp import UdpPort
from custom_components.lwm2m.dtls.association import NetworkPath

from .devices import Device


class Echo:
    """A port that sends everything back."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, NetworkPath]] = []
        self.batches = 0
        self.port = UdpPort(self.received, self.drained)

    def received(self, data: bytes, path: NetworkPath) -> None:
        self.seen.append((data, path))
        self.port.send(data, path)

    def drained(self) -> None:
        self.batches += 1


@pytest.mark.parametrize("host", ["", "::"])
@pytest.mark.parametrize("called", ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"])
async def test_all_interfaces_answer_from_the_address_that_was_called(host: str, called: str) -> None:
    echo = Echo()
    await echo.port.open(host, 0)
    try:
        async with Device.at((called, echo.port.number)) as device:
            for _ in range(2):
                device.send(b"hello")
                data, source = await device.receive_from()
                assert data == b"hello"
                assert source[:2] == (called, echo.port.number)
            own = device.transport.get_extra_info("sockname")
            assert echo.seen[0] == (b"hello", NetworkPath(own, called))
    finally:
        echo.port.close()


@pytest.mark.parametrize("called", ["127.0.0.1", "127.0.0.2"])
async def test_all_of_ipv4_only(called: str) -> None:
    echo = Echo()
    await echo.port.open("0.0.0.0", 0)
    try:
        async with Device.at((called, echo.port.number)) as device:
            device.send(b"hello")
            assert (await device.receive_from())[1] == (called, echo.port.number)
            assert echo.seen[0][1].local == called
    finally:
        echo.port.close()


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost"])
async def test_one_address_alone(host: str) -> None:
    echo = Echo()
    await echo.port.open(host, 0)
    called = {"localhost": "127.0.0.1"}.get(host, host)
    try:
        bound = echo.port._local or ""
        async with Device.at((bound if host == "localhost" else called, echo.port.number)) as device:
            device.send(b"hello")
            _, source = await device.receive_from()
            assert source[0] == echo.seen[0][1].local == bound
    finally:
        echo.port.close()


async def test_without_ipv6_all_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = udp._bind

    def only_ipv4(where: tuple[int, Any]) -> socket.socket:
        if where[0] == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return bind(where)

    monkeypatch.setattr(udp, "_bind", only_ipv4)
    echo = Echo()
    await echo.port.open("", 0)
    try:
        async with Device.at(("127.0.0.2", echo.port.number)) as device:
            device.send(b"hello")
            assert (await device.receive_from())[1] == ("127.0.0.2", echo.port.number)
    finally:
        echo.port.close()


@pytest.mark.parametrize("host", ["", "127.0.0.1", "::1"])
async def test_a_port_that_is_taken(host: str) -> None:
    first, second = Echo(), Echo()
    await first.port.open(host, 0)
    try:
        with pytest.raises(OSError, match="in use"):
            await second.port.open(host, first.port.number or 0)
        assert second.port.number is None
        with pytest.raises(RuntimeError):
            await first.port.open(host, 0)
    finally:
        first.port.close()
    await second.port.open(host, 0)
    second.port.close()


async def test_a_host_that_is_not_ours() -> None:
    echo = Echo()
    with pytest.raises(OSError, match="assign"):
        await echo.port.open("203.0.113.7", 0)


async def test_batches_are_bounded() -> None:
    echo = Echo()
    await echo.port.open("127.0.0.1", 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(udp.BATCH + 8):
                sock.sendto(b"x", ("127.0.0.1", echo.port.number or 0))
            echo.port._readable()
            assert (len(echo.seen), echo.batches) == (udp.BATCH, 1)
            echo.port._readable()
            assert (len(echo.seen), echo.batches) == (udp.BATCH + 8, 2)
    finally:
        echo.port.close()


async def test_a_datagram_of_the_largest_size() -> None:
    echo = Echo()
    await echo.port.open("127.0.0.1", 0)
    try:
        async with Device.at(("127.0.0.1", echo.port.number)) as device:
            device.send(bytes(65507))
            assert await device.receive_bytes() == bytes(65507)
    finally:
        echo.port.close()


async def test_what_the_system_does_not_take_is_lost_in_silence() -> None:
    echo = Echo()
    await echo.port.open("", 0)
    port = echo.port
    try:
        port.send(b"x", NetworkPath(("127.0.0.1", 0), None))
        port.send(b"x", NetworkPath(("127.0.0.1", 9), "203.0.113.7"))
        port.send(b"x", NetworkPath(("127.0.0.1", 9), "no address"))
        port.send(b"x", NetworkPath(("::1", 9, 0, 0), "127.0.0.1"))
        port.send(bytes(70_000), NetworkPath(("127.0.0.1", 9), "127.0.0.1"))
        assert port.unsent == 5
    finally:
        port.close()
    port.send(b"x", NetworkPath(("127.0.0.1", 9), None))
    port.close()


async def test_errors_of_the_socket_do_not_stop_the_port() -> None:
    """A peer that closed its port (ICMP), a full send buffer, a network that is away."""
    echo = Echo()
    await echo.port.open("", 0)
    assert echo.port._socket is not None
    real: socket.socket = echo.port._socket

    class Refusing:
        def __init__(self) -> None:
            self.errors = [ConnectionRefusedError(), PermissionError(), OSError(errno.ENETUNREACH, "")]

        def recvmsg(self, *arguments: Any) -> Any:
            if self.errors:
                raise self.errors.pop()
            return real.recvmsg(*arguments)

        def sendmsg(self, *arguments: Any) -> int:
            raise BlockingIOError

        sendto = sendmsg

    try:
        async with Device.at(("127.0.0.1", echo.port.number)) as gone:
            gone.send(b"x")
            await gone.receive_bytes()
            path = echo.seen[0][1]
        for _ in range(3):
            echo.port.send(b"x", path)
        async with Device.at(("127.0.0.1", echo.port.number)) as device:
            echo.port._socket = Refusing()  # type: ignore[assignment]
            device.send(b"y")
            while len(echo.seen) < 2:
                echo.port._readable()
                await asyncio.sleep(0)
            assert echo.port.unsent == 1
            echo.port._socket = real
            device.send(b"z")
            assert await device.receive_bytes() == b"z"
    finally:
        echo.port._socket = real
        echo.port.close()


async def test_closed_while_a_batch_is_read() -> None:
    seen = []

    def received(data: bytes, path: NetworkPath) -> None:
        seen.append(data)
        port.close()

    port = UdpPort(received)
    await port.open("127.0.0.1", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(3):
            sock.sendto(b"x", ("127.0.0.1", port.number or 0))
    port._readable()
    assert seen == [b"x"]
    port._readable()
    assert port.number is None


async def test_tables_of_our_addresses_are_bounded() -> None:
    port = UdpPort(lambda _data, _path: None)
    await port.open("", 0)
    try:
        for number in range(3 * udp._LOCALS):
            port._source(f"10.0.0.{number % 256}")
            port._called([(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, bytes([0xFC] * 15 + [number]) + bytes(4))])
        assert len(port._sources) <= udp._LOCALS
        assert len(port._names) <= udp._LOCALS
        assert port._called([(1, 2, b"")]) is None
    finally:
        port.close()


def test_it_can_be_imported_where_the_system_lacks_what_it_uses() -> None:
    script = (
        "import asyncio, logging, socket, sys; sys.platform = 'win32'\n"
        "for name in ('IP_PKTINFO', 'IPV6_PKTINFO', 'IPV6_RECVPKTINFO'):\n"
        "    if hasattr(socket, name): delattr(socket, name)\n"
        "import types, pathlib\n"
        "package = types.ModuleType('custom_components.lwm2m')\n"
        "package.__path__ = [str(pathlib.Path('custom_components/lwm2m'))]\n"
        "sys.modules['custom_components.lwm2m'] = package\n"
        "from custom_components.lwm2m.coap import udp\n"
        "assert udp._IP_PKTINFO is None\n"
        "sock = udp._bind((socket.AF_INET, ('127.0.0.1', 0))); sock.close()\n"
        "sock = udp._bind((socket.AF_INET6, ('::1', 0))); sock.close()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
