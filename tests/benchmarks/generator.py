"""The load generator: a process of its own with many devices, each with a DTLS association by OpenSSL; see `Generator`.

It reads one JSON command a line and answers each with one JSON line: `connect`, `register`, `update`, `notify`,
`floor`, `get`. Between commands it answers the server's requests.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from tests.openssl_client import Client

KEY: Final = bytes(range(16))
"""The pre-shared key of every device."""

FLOOR_KEY: Final = bytes(range(16, 32))
FLOOR_SALT: Final = b"salt"
"""Of the records that the floor opens: one key for all."""

CHUNK: Final = 32
"""Notifications between two confirmable ones, whose acknowledgement says that all before them are processed."""
AHEAD: Final = 3
"""Chunks on their way at a time: the server always finds work, and its receive buffer never overflows."""
PATIENCE: Final = 20.0

TEXT, TLV, SENML_CBOR = 0, 11542, 112
CON, NON, ACK, RST = 0, 1, 2, 3

VALUE: Final = 5700
UNIT: Final = 5701


def endpoint_of(number: int) -> str:
    """The endpoint name of a device."""
    return f"urn:bench:{number}"


def identity_of(number: int) -> bytes:
    """The PSK identity of a device."""
    return b"bench-%d" % number


def option(delta: int, value: bytes) -> bytes:
    """One option, of a length below 269 (RFC 7252 section 3.1)."""
    head = bytes([(min(delta, 13) << 4) | min(len(value), 13)])
    return (
        head
        + (bytes([delta - 13]) if delta > 12 else b"")
        + (bytes([len(value) - 13]) if len(value) > 12 else b"")
        + value
    )


def message(
    kind: int, code: int, mid: int, token: bytes, options: Iterable[tuple[int, bytes]], payload: bytes
) -> bytes:
    """One CoAP message; options in order of their numbers."""
    parts = [bytes([0x40 | kind << 4 | len(token), code]), mid.to_bytes(2), token]
    last = 0
    for number, value in options:
        parts.append(option(number - last, value))
        last = number
    if payload:
        parts += [b"\xff", payload]
    return b"".join(parts)


def parse(data: bytes) -> tuple[int, int, int, bytes, list[tuple[int, bytes]], bytes]:
    """Kind, code, message id, token, options and payload of a message that is well-formed."""
    kind, code, mid = data[0] >> 4 & 3, data[1], int.from_bytes(data[2:4])
    at = 4 + (data[0] & 15)
    token, options, number = data[4:at], [], 0
    while at < len(data) and data[at] != 0xFF:
        delta, length = data[at] >> 4, data[at] & 15
        at += 1
        if delta == 13:
            delta, at = data[at] + 13, at + 1
        if length == 13:
            length, at = data[at] + 13, at + 1
        number += delta
        options.append((number, data[at : at + length]))
        at += length
    return kind, code, mid, token, options, data[at + 1 :]


def uint(number: int) -> bytes:
    """The shortest form of an option's number."""
    return number.to_bytes((number.bit_length() + 7) // 8)


class Observation:
    """One observation of the server, with the bytes of a notification that stay the same."""

    __slots__ = ("after", "before", "device", "encode", "path", "serial", "value")

    def __init__(self, device: Device, path: tuple[int, ...], token: bytes, content_format: int) -> None:
        self.device = device
        self.path = path
        self.serial = 1
        self.value = 0.0
        self.before = token + b"\x63"
        name = "/" + "/".join(map(str, path))
        self.after = option(6, uint(content_format)) + b"\xff"
        self.encode: Callable[[float], bytes]
        if content_format == TEXT:
            self.encode = lambda value: b"%.2f" % value
        elif content_format == TLV:
            # A resource with a value, an identifier of 16 bits and 4 bytes (LwM2M TS 1.1.1 Core section 7.4.5)
            self.after += b"\xe4" + path[-1].to_bytes(2)
            self.encode = struct.Struct(">f").pack
        else:
            # [{base name: path, value: float}] (RFC 8428 section 6)
            self.after += b"\x81\xa2\x21" + bytes([0x60 | len(name)]) + name.encode() + b"\x02\xfb"
            self.encode = struct.Struct(">d").pack

    def notify(self, value: float, kind: int) -> int:
        """Send the value; returns the message id."""
        device = self.device
        self.serial += 1
        self.value = value
        mid = device.next_mid()
        head = bytes((0x40 | kind << 4 | len(self.before) - 1, 0x45))
        device.send(
            b"".join((head, mid.to_bytes(2), self.before, self.serial.to_bytes(3), self.after, self.encode(value)))
        )
        return mid


class Device:
    """One device: a socket, an association, objects with one number each."""

    def __init__(self, number: int, port: int, setup: dict[str, Any]) -> None:
        self.number = number
        self.endpoint = endpoint_of(number)
        self.instances: dict[int, int] = {int(key): count for key, count in setup["objects"].items()}
        self.format: int = setup["format"]
        self.location: list[bytes] = []
        self.observations: dict[bytes, Observation] = {}
        self.acknowledged: set[int] = set()
        self.mid = number * 257 & 0xFFFF
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.client = Client("PSK-AES128-CCM8", psk=(identity_of(number), KEY))

    def next_mid(self) -> int:
        """A message id; the same one comes after 65536 others."""
        self.mid = (self.mid + 1) & 0xFFFF
        return self.mid

    def flush(self) -> None:
        """Send what the association has to send."""
        out, self.client.out = self.client.out, []
        for datagram in out:
            self.socket.send(datagram)

    def send(self, data: bytes) -> None:
        """Send one message."""
        self.client.send(data)
        self.flush()

    def readable(self) -> None:
        """Take in all that came."""
        while True:
            try:
                datagram = self.socket.recv(2048)
            except BlockingIOError:
                return
            self.client.receive(datagram, 0.0)
            self.flush()
            received, self.client.received = self.client.received, []
            for data in received:
                self.take(data)

    def take(self, data: bytes) -> None:
        """One message of the server."""
        kind, code, mid, token, options, _payload = parse(data)
        if kind == ACK:
            self.acknowledged.add(mid)
            if code == 0x41:
                self.location = [value for number, value in options if number == 8]
            elif code not in (0, 0x44):
                raise RuntimeError(f"{self.endpoint} was answered {code >> 5}.{code & 31:02}")
        elif kind == RST:
            raise RuntimeError(f"{self.endpoint}: a message was rejected")
        elif code == 1:
            self.answer(mid, token, options)
        else:
            raise RuntimeError(f"{self.endpoint} was asked something strange: {data.hex()}")

    def answer(self, mid: int, token: bytes, options: list[tuple[int, bytes]]) -> None:
        """A GET, maybe with Observe."""
        path = tuple(int(value) for number, value in options if number == 11)
        found = dict(options)
        accept = int.from_bytes(found[17]) if 17 in found else None
        single = len(path) == 3 and path[2] == VALUE
        content_format = self.format if single else SENML_CBOR
        if accept not in (None, content_format):
            self.send(message(ACK, 0x86, mid, token, (), b""))
            return
        there = len(path) > 1 and path[1] < self.instances.get(path[0], 0)
        if not there or (len(path) > 2 and path[2] not in self.values(path[0])):
            self.send(message(ACK, 0x84, mid, token, (), b""))
            return
        fields: list[tuple[int, bytes]] = []
        if found.get(6) == b"" and single:
            for old, other in list(self.observations.items()):
                if other.path == path:
                    del self.observations[old]
            self.observations[token] = Observation(self, path, token, content_format)
            fields.append((6, b"\x01"))
        fields.append((12, uint(content_format)))
        self.send(message(ACK, 0x45, mid, token, fields, self.render(path, content_format)))

    def values(self, object_id: int) -> dict[int, tuple[int, Any]]:
        """What an instance holds: SenML label and value by resource."""
        if object_id == 3:
            return {0: (3, "Bench"), 1: (3, "Generator"), 2: (3, str(self.number))}
        return {VALUE: (2, 0.0), UNIT: (3, "Cel")}

    def render(self, path: tuple[int, ...], content_format: int) -> bytes:
        """The value of a resource, or an instance."""
        if len(path) == 3 and content_format != SENML_CBOR:
            return b"0.00" if content_format == TEXT else b"\xe4" + path[2].to_bytes(2) + bytes(4)
        values = self.values(path[0])
        base = f"/{path[0]}/{path[1]}/"
        shown = [path[2]] if len(path) == 3 else list(values)
        records: list[dict[int, Any]] = [
            {0: str(resource), values[resource][0]: values[resource][1]} for resource in shown
        ]
        records[0][-2] = base
        return cbor2.dumps(records)

    def register(self) -> int:
        """Send a Register; returns the message id."""
        objects = b",".join(
            b"</%d/%d>" % (which, number) for which, count in self.instances.items() for number in range(count)
        )
        query = [b"lwm2m=1.1", b"ep=" + self.endpoint.encode(), b"lt=86400", b"b=U"]
        mid = self.next_mid()
        options = [(11, b"rd"), (12, b"\x28"), *((15, part) for part in query)]
        self.send(message(CON, 2, mid, mid.to_bytes(2), options, b'</>;rt="oma.lwm2m";ct=112,' + objects))
        return mid

    def update(self) -> int:
        """Send an Update that changes nothing; returns the message id."""
        mid = self.next_mid()
        self.send(message(CON, 2, mid, mid.to_bytes(2), [(11, part) for part in self.location], b""))
        return mid


class Generator:
    """All devices, and the commands that they get."""

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        self.commands = b""
        self.turn = 0
        self.value = 0

    def poll(self, timeout: float | None) -> None:
        """Take in what came; the time is in seconds."""
        for key, _ in self.selector.select(timeout):
            if key.data is None:
                part = os.read(key.fd, 65536)
                if not part:
                    raise SystemExit
                self.commands += part
            else:
                key.data.readable()

    def until(self, condition: Callable[[], bool]) -> None:
        """Take in what comes until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.poll(0.5)
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not answer")

    def run(self) -> None:
        """Obey until there are no more commands."""
        while True:
            while b"\n" not in self.commands:
                self.poll(None)
            line, _, self.commands = self.commands.partition(b"\n")
            command = json.loads(line)
            answer = getattr(self, f"do_{command.pop('do')}")(**command)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    # Commands

    def do_connect(self, port: int, count: int, **setup: Any) -> dict[str, Any]:
        """Make `count` more devices, each with a handshake; at most 16 handshakes at a time."""
        new = [Device(len(self.devices) + number, port, setup) for number in range(count)]
        for start in range(0, count, 16):
            group = new[start : start + 16]
            for device in group:
                self.selector.register(device.socket, selectors.EVENT_READ, device)
                device.client.start(0.0)
                device.flush()
            self.until(lambda group=group: all(device.client.connected for device in group))  # type: ignore[misc]
        self.devices += new
        return {"connected": len(self.devices)}

    def do_handshakes(self, port: int, count: int, cipher: str) -> dict[str, Any]:
        """`count` handshakes one after the other, each from a port of its own, each closed before the next."""
        for number in range(count):
            client = Client(cipher, psk=(identity_of(number), KEY))
            client.start(0.0)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", port))
                sock.settimeout(PATIENCE)
                while client.out or not client.connected:
                    out, client.out = client.out, []
                    for datagram in out:
                        sock.send(datagram)
                    if not client.connected:
                        client.receive(sock.recv(2048), 0.0)
                client.close()
                sock.send(client.out.pop())
                if client.dead or not sock.recv(2048):  # its own close_notify
                    raise RuntimeError("a handshake failed")
        return {"done": count}

    def _in_window(self, count: int, send: Callable[[Device], int], window: int = 16) -> None:
        waiting: list[tuple[Device, int]] = []
        for _ in range(count):
            device = self.devices[self.turn % len(self.devices)]
            self.turn += 1
            waiting.append((device, send(device)))
            if len(waiting) >= window:
                self._wait_for(waiting, window // 2)
        self._wait_for(waiting, 0)

    def _wait_for(self, waiting: list[tuple[Device, int]], left: int) -> None:
        def answered() -> bool:
            waiting[:] = [(device, mid) for device, mid in waiting if mid not in device.acknowledged]
            return len(waiting) <= left

        self.until(answered)
        if not left:
            for device in self.devices:
                device.acknowledged.clear()

    def do_register(self, count: int) -> dict[str, Any]:
        """Registers, in turn; each answered."""
        self._in_window(count, Device.register)
        return {"registered": count}

    def do_update(self, count: int) -> dict[str, Any]:
        """Updates, in turn; each answered."""
        self._in_window(count, Device.update)
        return {"updated": count}

    def do_observed(self) -> dict[str, Any]:
        """How many observations there are."""
        self.poll(0)
        return {"observed": sum(len(device.observations) for device in self.devices)}

    def do_notify(self, count: int, rate: float = 0.0) -> dict[str, Any]:
        """`count` notifications over all observations in turn, at `rate` a second (0: as quick as the server is)."""
        observations = [each for device in self.devices for each in device.observations.values()]
        waiting: list[tuple[Device, int]] = []
        started = time.monotonic()
        for number in range(1, count + 1):
            self.value += 1
            observation = observations[self.value % len(observations)]
            last = number == count
            confirm = last or number % CHUNK == 0
            mid = observation.notify(self.value % 100_000 / 100, CON if confirm else NON)
            if rate and (wait := started + number / rate - time.monotonic()) > 0:
                time.sleep(wait)
            if confirm:
                waiting.append((observation.device, mid))
                self._wait_for(waiting, 0 if last else AHEAD - 1)
        final = {f"{each.device.endpoint}/{'/'.join(map(str, each.path))}": each.value for each in observations}
        return {"sent": count, "final": final}

    def do_floor(self, port: int, count: int) -> dict[str, Any]:
        """`count` records of one key, each with a text; one datagram comes back for each `CHUNK` of them."""
        cipher = AESCCM(FLOOR_KEY, tag_length=8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            sock.settimeout(PATIENCE)
            ahead = 0
            for number in range(1, count + 1):
                self.value += 1
                text = b"%.2f" % (self.value % 100_000 / 100)
                plain = message(NON, 0x45, number & 0xFFFF, b"abcd", [(6, number.to_bytes(3)), (12, b"")], text)
                sequence = (1 << 48 | number).to_bytes(8)
                aad = sequence + b"\x17\xfe\xfd" + len(plain).to_bytes(2)
                body = sequence + cipher.encrypt(FLOOR_SALT + sequence, plain, aad)
                sock.send(b"\x17\xfe\xfd" + sequence + len(body).to_bytes(2) + body)
                ahead += number % CHUNK == 0
                while ahead >= AHEAD or (number == count and ahead):
                    sock.recv(64)
                    ahead -= 1
        return {"sent": count, "final": self.value % 100_000 / 100}

    def do_get(self, port: int, count: int) -> dict[str, Any]:
        """`count` confirmable GETs of the root over plain UDP, 16 on their way at a time."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            sock.settimeout(PATIENCE)
            start = int.from_bytes(os.urandom(2))
            for number in range(count + 16):
                if number < count:
                    mid = (start + number) & 0xFFFF
                    sock.send(message(CON, 1, mid, mid.to_bytes(2), (), b""))
                if number >= 16:
                    sock.recv(2048)
        return {"got": count}


if __name__ == "__main__":
    Generator().run()
