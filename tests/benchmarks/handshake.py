"""Processor time of a DTLS handshake on the server's side, in the endpoint alone: datagrams in, datagrams out.

The clients are OpenSSL's, in the same process; their time is not counted. Beside it, the whole of our server's process
and the whole of `openssl s_server`, with the same handshakes by the load generator.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.endpoint import Endpoint, make_endpoint
from custom_components.lwm2m.dtls.events import Opened
from custom_components.lwm2m.security.policy import Policy
from custom_components.lwm2m.security.server_identity import ServerIdentity
from tests.interop.pki import make_pki
from tests.openssl_client import Client

from .generator import KEY
from .load import generator, serving
from .method import Comparison
from .others import free_port, program


class Everybody:
    """Credentials: one key for every identity, every raw public key, and certificates by their chain."""

    def psk(self, identity: bytes) -> bytes | None:
        return KEY

    def public_key(self, public_key: bytes) -> bool:
        return True

    def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
        return None


class Bench:
    """One endpoint, and clients of one kind that come one after the other."""

    def __init__(self, endpoint: Endpoint, make: Callable[[int], Client], size: int) -> None:
        self.endpoint = endpoint
        self.make = make
        self.size = size
        self.number = 0
        self.nanoseconds = 0

    def feed(self, client: Client, path: NetworkPath) -> None:
        """Carry datagrams to and fro until both are silent; the endpoint's turns are timed."""
        clock = time.thread_time_ns
        while client.out:
            out, client.out = client.out, []
            started = clock()
            for datagram in out:
                self.endpoint.receive_datagram(datagram, path, float(self.number))
            back = self.endpoint.datagrams_to_send()
            self.nanoseconds += clock() - started
            for datagram, _ in back:
                client.receive(datagram, 0.0)

    async def window(self) -> int:
        """One window: the clients are made first, then each does its handshake, says goodbye and is forgotten."""
        clients = [self.make(self.number + position) for position in range(self.size)]
        for client in clients:
            self.number += 1
            path = NetworkPath(("127.0.0.1", 1024 + self.number % 60000), None)
            client.start(0.0)
            self.feed(client, path)
            opened = [event for event in self.endpoint.events() if isinstance(event, Opened)]
            if not client.connected or len(opened) != 1:
                raise RuntimeError("a handshake failed")
            counted = self.nanoseconds
            client.close()
            self.feed(client, path)
            self.endpoint.events()
            self.nanoseconds = counted
        return self.size


def main(*, quick: bool = False) -> dict[str, Any]:
    """Measure each mode; quick: hardly at all."""
    rounds, size = (1, 5) if quick else (6, 200)
    with tempfile.TemporaryDirectory() as folder:
        pki = make_pki(Path(folder))
        endpoint = make_endpoint(
            Everybody(), Policy(), server_identity=ServerIdentity.generate(), trust_anchors=[pki.der("ca")]
        )
        key, chain = pki.key("client"), pki.pem("client")
        kinds: dict[str, Callable[[int], Client]] = {
            "psk-ccm8": lambda number: Client("PSK-AES128-CCM8", psk=(b"dev%d" % number, KEY)),
            "psk-cbc": lambda number: Client("PSK-AES128-CBC-SHA256", psk=(b"dev%d" % number, KEY)),
            "rpk-ccm8": lambda _: Client("ECDHE-ECDSA-AES128-CCM8", key=key, chain=chain, raw=True),
            "certificate-ccm8": lambda _: Client("ECDHE-ECDSA-AES128-CCM8", key=key, chain=chain),
        }
        benches = {name: Bench(endpoint, make, size) for name, make in kinds.items()}
        comparison = Comparison(lambda: sum(bench.nanoseconds for bench in benches.values()))
        asyncio.run(comparison.run({name: bench.window for name, bench in benches.items()}, rounds))
    found: dict[str, Any] = {
        "us": {name: comparison.microseconds(name) for name in kinds},
        "ratio_to_psk": {name: comparison.ratio(name, "psk-ccm8") for name in kinds},
        "engine": endpoint.engine,
        "drift": comparison.drift,
        "valid": comparison.valid,
        "rounds": rounds,
        "window": size,
    }
    whole = asyncio.run(_whole_processes(rounds, size))
    if whole is not None:
        found["processes"] = whole
    return found


async def _whole_processes(rounds: int, size: int) -> dict[str, float] | None:
    """Microseconds of a PSK handshake, of both processes; None where there is no `openssl` command."""
    if shutil.which("openssl") is None:
        return None
    port = free_port()
    cipher = "PSK-AES128-CCM8"
    options = ("-dtls1_2", "-quiet", "-nocert", "-psk", KEY.hex(), "-cipher", f"{cipher}:@SECLEVEL=0")
    times: dict[str, list[float]] = {"ours": [], "s_server": []}
    async with (
        serving(size) as server,
        generator() as load,
        program("openssl", "s_server", "-accept", f"127.0.0.1:{port}", *options, port=port) as other,
    ):
        clocks = {"ours": (time.process_time_ns, server.coaps_port), "s_server": (other, port)}
        for number in range(rounds + 1):
            for name, (clock, where) in clocks.items():
                started = clock()
                await load("handshakes", port=where, count=size, cipher=cipher)
                if number:
                    times[name].append((clock() - started) / size / 1000)
    ratio = median(ours / theirs for ours, theirs in zip(*times.values(), strict=True))
    return {name: median(values) for name, values in times.items()} | {"ratio": ratio}


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a person wants to see first."""
    rows: list[tuple[str, ...]] = [("mode", "µs", "to PSK")]
    rows += [(name, f"{us:.0f}", f"{figures['ratio_to_psk'][name]:.2f}") for name, us in figures["us"].items()]
    if "processes" in figures:
        whole = figures["processes"]
        rows.append(("whole process, psk-ccm8", f"{whole['ours']:.0f}", ""))
        rows.append(("openssl s_server, the same", f"{whole['s_server']:.0f}", f"ours to it: {whole['ratio']:.2f}"))
    if not figures["valid"]:
        rows.append((f"VOID: A/A differ by {figures['drift']:.0%}", "", ""))
    return rows
