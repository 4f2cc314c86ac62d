"""One UDP port for IPv4 and IPv6 that answers from the address that was called (RFC 3542 section 6, ip(7))."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from typing import Final

from ..dtls.association import Address, NetworkPath

LOGGER = logging.getLogger(__name__)

BATCH: Final = 32
"""Datagrams read at a wake, before the loop has its turn again."""

_LARGEST: Final = 65535
_RECEIVE_BUFFER: Final = 1 << 20
_MAPPED: Final = "::ffff:"
_MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"
_LOCALS: Final = 64
"""Local addresses for which the ancillary data is kept ready."""

# Linux has had these since 2.2; Python names IP_PKTINFO only since 3.14, and not everywhere.
_LINUX: Final = sys.platform == "linux"
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8 if _LINUX else None)
_IPV6_PKTINFO: Final = getattr(socket, "IPV6_PKTINFO", None)
_IPV6_RECVPKTINFO: Final = getattr(socket, "IPV6_RECVPKTINFO", None)

type _Ancillary = list[tuple[int, int, bytes]]


class UdpPort:
    """A bound port. `received` is called for each datagram, `drained` after each batch of them; neither may raise.

    IPv4 peers are given as (host, port) also where the socket is dual-stack.
    """

    def __init__(
        self, received: Callable[[bytes, NetworkPath], None], drained: Callable[[], None] = lambda: None
    ) -> None:
        self._received = received
        self._drained = drained
        self._socket: socket.socket | None = None
        self._v6 = False
        self._local: str | None = None
        self._names: dict[bytes, str] = {}
        self._sources: dict[str, _Ancillary] = {}
        self.unsent = 0

    async def open(self, host: str, port: int) -> None:
        """Bind and begin to receive; OSError if the port is taken. `host`: an address of ours, "" or "::" for all."""
        if self._socket is not None:
            raise RuntimeError("the port is open")
        bound = _bind_all(port) if host in {"", "::"} else _bind(await _resolve(host, port))
        bound.setblocking(False)
        self._v6 = bound.family == socket.AF_INET6
        name = bound.getsockname()[0].partition("%")[0]
        self._local = None if name in {"::", "0.0.0.0"} else name
        self._names.clear()
        self._sources.clear()
        self._socket = bound
        asyncio.get_running_loop().add_reader(bound, self._readable)

    @property
    def number(self) -> int | None:
        """The port number, None while closed."""
        return None if self._socket is None else int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Receive and send no more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def send(self, data: bytes, path: NetworkPath) -> None:
        """Send one datagram. What the system does not take is counted in `unsent`, as if the network had lost it."""
        sock = self._socket
        if sock is None:
            return
        peer = path.peer
        if self._v6 and len(peer) == 2:
            peer = (_MAPPED + peer[0], peer[1], 0, 0)
        local = path.local
        try:
            if local is None or self._local is not None:
                sock.sendto(data, peer)
            else:
                sock.sendmsg((data,), self._sources.get(local) or self._source(local), 0, peer)
        except OSError, ValueError:
            self.unsent += 1

    def _readable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        recvmsg = sock.recvmsg
        received = self._received
        for _ in range(BATCH):
            try:
                data, ancillary, _flags, peer = recvmsg(_LARGEST, 64)
            except BlockingIOError:
                break
            except OSError as error:
                # What an earlier datagram met (an ICMP error, say) is told here on some systems.
                LOGGER.debug("Receiving failed: %s", error)
                continue
            received(data, NetworkPath(self._peer(peer), self._local or self._called(ancillary)))
            if self._socket is None:
                return
        self._drained()

    def _peer(self, peer: Address) -> Address:
        if not self._v6:
            return peer
        host: str = peer[0]
        if host.startswith(_MAPPED):
            return host[7:], peer[1]
        # Flow labels come and go, and the scope stands in its own field: neither may tell two peers apart.
        return host.partition("%")[0], peer[1], 0, peer[3]

    def _called(self, ancillary: _Ancillary) -> str | None:
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
                key = data[:16]
            elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                key = data[4:8]
            else:
                continue
            name = self._names.get(key)
            if name is None:
                if len(self._names) >= _LOCALS:
                    self._names.clear()
                name = self._names[key] = _address_text(key)
            return name
        return None

    def _source(self, local: str) -> _Ancillary:
        if len(self._sources) >= _LOCALS:
            self._sources.clear()
        packed = socket.inet_pton(socket.AF_INET6 if ":" in local else socket.AF_INET, local)
        ancillary: _Ancillary
        if self._v6:
            address = packed if len(packed) == 16 else _MAPPED_PREFIX + packed
            ancillary = [(socket.IPPROTO_IPV6, _IPV6_PKTINFO or 0, address + bytes(4))]
        else:
            ancillary = [(socket.IPPROTO_IP, _IP_PKTINFO or 0, bytes(4) + packed + bytes(4))]
        self._sources[local] = ancillary
        return ancillary


def _address_text(packed: bytes) -> str:
    if packed.startswith(_MAPPED_PREFIX):
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


async def _resolve(host: str, port: int) -> tuple[int, Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    return found[0][0], found[0][4]


def _bind_all(port: int) -> socket.socket:
    try:
        return _bind((socket.AF_INET6, ("::", port)))
    except OSError:
        if _has_ipv6():
            raise
        return _bind((socket.AF_INET, ("0.0.0.0", port)))


def _has_ipv6() -> bool:
    try:
        _bind((socket.AF_INET6, ("::1", 0))).close()
    except OSError:
        return False
    return True


def _bind(where: tuple[int, Address]) -> socket.socket:
    family, address = where
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
            if _IPV6_RECVPKTINFO is not None:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        elif _IP_PKTINFO is not None:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
