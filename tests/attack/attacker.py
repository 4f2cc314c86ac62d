"""What attackers send: hellos made up without OpenSSL, damage to datagrams, forged records; and what it costs us."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.endpoint import Endpoint
from custom_components.lwm2m.dtls.openssl import ffi as openssl_ffi

FULL = os.environ.get("LWM2M_LONG") == "1"
"""Whether the tests run at full size."""

PSK_CCM_8 = 0xC0A8
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, CID = 20, 21, 22, 23, 25
LAST_SEQUENCE = (1 << 48) - 1


def address(number: int, port: int = 5683) -> NetworkPath:
    """One of sixteen million addresses."""
    return NetworkPath((f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", port), None)


def record(content_type: int, body: bytes, *, epoch: int = 0, sequence: int = 0, version: int = 0xFEFD) -> bytes:
    """One record with any header."""
    header = bytes([content_type]) + version.to_bytes(2) + epoch.to_bytes(2) + sequence.to_bytes(6)
    return header + len(body).to_bytes(2) + body


def message(kind: int, body: bytes, number: int = 0) -> bytes:
    """One handshake message in one fragment."""
    size = len(body).to_bytes(3)
    return bytes([kind]) + size + number.to_bytes(2) + bytes(3) + size + body


def client_hello(
    rng: random.Random, *, cookie: bytes = b"", secret: bytes | None = None, pad: int = 0, number: int = 0
) -> bytes:
    """A ClientHello for PSK with CCM_8; `secret` is its random, `pad` makes an unknown extension of so many bytes."""
    extension = b"" if not pad else (pad + 4).to_bytes(2) + b"\xfa\xce" + pad.to_bytes(2) + bytes(pad)
    body = (
        b"\xfe\xfd"
        + (rng.randbytes(32) if secret is None else secret)
        + b"\0"
        + bytes([len(cookie)])
        + cookie
        + b"\0\2"
        + PSK_CCM_8.to_bytes(2)
        + b"\1\0"
        + extension
    )
    return record(HANDSHAKE, message(1, body, number), sequence=number, version=0xFEFF)


def proven_hello(endpoint: Endpoint, path: NetworkPath, rng: random.Random, now: float, *, pad: int = 0) -> bytes:
    """The second hello of an attacker who can read what is sent to `path`."""
    secret = rng.randbytes(32)
    endpoint.receive_datagram(client_hello(rng, secret=secret, pad=pad), path, now)
    request, _ = endpoint.datagrams_to_send().pop()
    return client_hello(rng, cookie=request[28:], secret=secret, pad=pad, number=1)


def damaged(datagram: bytes, rng: random.Random) -> bytes:
    """The datagram with one to four wounds; never empty."""
    changed = bytearray(datagram)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(7):
            case 0 | 1 if at < len(changed):
                changed[at] = rng.choice((0, 255, changed[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
            case 2:
                changed[at:] = b""
            case 3:
                changed[at:at] = rng.randbytes(rng.randint(1, 40))
            case 4:
                end = at + rng.randint(1, 40)
                changed[at:at] = changed[at:end]
            case 5:
                changed += datagram[: rng.randint(1, len(datagram))]
            case _:  # lengths, sequences and fragments are here
                at = rng.randrange(min(27, len(changed) or 1))
                changed[at : at + 1] = bytes([rng.randrange(256)])
        if not changed:
            return rng.randbytes(1)
    return bytes(changed)


def forgeries(rng: random.Random, sequences: tuple[int, ...], *, epochs: tuple[int, ...]) -> Iterator[bytes]:
    """Records that a stranger can make up, of every kind, in these epochs and under these sequence numbers."""
    bodies = {
        CHANGE_CIPHER_SPEC: (b"\1", b"\0"),
        ALERT: (b"\2\x28", b"\1\0", b"\2\0", b"\1\x5a", b"\2", rng.randbytes(26), rng.randbytes(64)),
        HANDSHAKE: (message(0, b""), message(20, rng.randbytes(12), 3), rng.randbytes(40), rng.randbytes(96)),
        APPLICATION_DATA: (b"", b"x", rng.randbytes(24), rng.randbytes(64), rng.randbytes(1100)),
        CID: (rng.randbytes(40),),
    }
    for epoch in epochs:
        for sequence in sequences:
            for content_type, those in bodies.items():
                for body in those:
                    yield record(content_type, body, epoch=epoch, sequence=sequence)


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class LiveObjects:
    """Stands in for cffi in handshake.py and counts the SSL objects between SSL_new and SSL_free."""

    def __init__(self) -> None:
        self.now: set[int] = set()
        self.made = self.most = 0

    def __getattr__(self, name: str) -> object:
        return getattr(openssl_ffi.ffi, name)

    def gc(self, pointer: object, destructor: Callable[[object], None]) -> object:
        key = int(openssl_ffi.ffi.cast("uintptr_t", pointer))
        self.now.add(key)
        self.made += 1
        self.most = max(self.most, len(self.now))

        def free(pointer: object) -> None:
            self.now.discard(key)
            destructor(pointer)

        return openssl_ffi.ffi.gc(pointer, free)
