"""Independent DTLS clients as command lines, and how one of them is run against an echo server."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .pki import Pki

KEY = bytes(range(16))
IDENTITY = "dev"

NEWEST = Path(os.environ.get("LWM2M_OPENSSL", Path(__file__).parents[2] / ".python" / "openssl"))

GNUTLS_BASE = "NONE:+VERS-DTLS1.2:+COMP-NULL"
GNUTLS_TAIL = "+CTYPE-X509:+SIGN-ECDSA-SHA256:+GROUP-SECP256R1"


@cache
def version(program: str) -> str:
    """The version that a program tells, for the matrix; empty when it is not here."""
    path = shutil.which(program)
    if path is None:
        return ""
    argument = "version" if program.endswith("openssl") and "coap" not in program else "--version"
    out = subprocess.run([path, argument], capture_output=True, text=True, check=False, timeout=20)
    found = re.search(r"\d+\.\d+(\.\d+)*\w*", out.stdout + out.stderr)
    return found.group() if found else "?"


@dataclass(frozen=True)
class Peer:
    """A client program: `name` for a test id, `program` as found on PATH, `echoes` if it sends what it is typed."""

    name: str
    program: str
    echoes: bool = True

    @property
    def available(self) -> bool:
        return bool(version(self.program))


S_CLIENT = Peer("openssl", "openssl")
S_CLIENT_NEWEST = Peer("openssl-newest", str(NEWEST))
GNUTLS = Peer("gnutls-cli", "gnutls-cli")
COAP_OPENSSL = Peer("coap-client-openssl", "coap-client-openssl", echoes=False)
COAP_GNUTLS = Peer("coap-client-gnutls", "coap-client-gnutls", echoes=False)

type Command = Callable[[int, Pki], list[str]]
"""Makes the arguments for a port and a folder of keys."""


def s_client(*arguments: str, cipher: str | None = None, version: str = "-dtls1_2") -> Command:
    def command(port: int, pki: Pki) -> list[str]:
        base = ["s_client", version, "-connect", f"127.0.0.1:{port}"]
        if cipher:
            base += ["-cipher", f"{cipher}:@SECLEVEL=0"]
        return base + [argument.format(pki=pki.folder) for argument in arguments]

    return command


def s_client_psk(cipher: str, *more: str, identity: str = IDENTITY, key: bytes = KEY) -> Command:
    return s_client("-psk_identity", identity, "-psk", key.hex(), *more, cipher=cipher)


def s_client_certificate(cipher: str, *more: str, name: str = "client") -> Command:
    return s_client("-cert", f"{{pki}}/{name}.pem", "-key", f"{{pki}}/{name}.key", *more, cipher=cipher)


def s_client_raw(cipher: str, *more: str, name: str = "client") -> Command:
    return s_client_certificate(cipher, "-enable_server_rpk", "-enable_client_rpk", *more, name=name)


def gnutls(priority: str, *arguments: str) -> Command:
    def command(port: int, pki: Pki) -> list[str]:
        return [
            *("--udp", "-p", str(port), "--no-ca-verification", "--priority", f"{GNUTLS_BASE}:{priority}"),
            *(argument.format(pki=pki.folder) for argument in arguments),
            "127.0.0.1",
        ]

    return command


def gnutls_psk(cipher: str) -> Command:
    return gnutls(f"+PSK:{cipher}:{GNUTLS_TAIL}", "--pskusername", IDENTITY, "--pskkey", KEY.hex())


def gnutls_certificate(cipher: str) -> Command:
    priority = f"+ECDHE-ECDSA:{cipher}:{GNUTLS_TAIL}"
    return gnutls(priority, "--x509certfile", "{pki}/client.pem", "--x509keyfile", "{pki}/client.key")


def gnutls_raw(cipher: str) -> Command:
    tail = "+SIGN-ECDSA-SHA256:+GROUP-SECP256R1:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK"
    return gnutls(
        f"+ECDHE-ECDSA:{cipher}:{tail}", "--rawpkkeyfile", "{pki}/client.key", "--rawpkfile", "{pki}/client.pub"
    )


def coap_client(*arguments: str) -> Command:
    def command(port: int, pki: Pki) -> list[str]:
        filled = (argument.format(pki=pki.folder) for argument in arguments)
        return ["-m", "get", "-B", "3", *filled, f"coaps://127.0.0.1:{port}/x"]

    return command


TINYDTLS = Peer("dtlssocket", sys.executable, echoes=True)


def tinydtls(*, identity: str = IDENTITY, key: bytes = KEY) -> Command:
    def command(port: int, pki: Pki) -> list[str]:
        return [str(Path(__file__).with_name("tinydtls_client.py")), str(port), identity, key.hex()]

    return command


async def run(peer: Peer, arguments: Sequence[str], *, until: bytes = b"", done: asyncio.Event | None = None) -> bytes:
    """Run a peer until its output holds `until`, `done` is set, or it ends; its output. At most 20 s."""
    environment = os.environ | {"OPENSSL_CONF": os.devnull} if peer is S_CLIENT else dict(os.environ)
    process = await asyncio.create_subprocess_exec(
        shutil.which(peer.program) or peer.program,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    output = bytearray()
    stdout = process.stdout

    async def read() -> None:
        while chunk := await stdout.read(4096):
            output.extend(chunk)
            if until and until in output:
                return

    process.stdin.write(b"hi\n")
    waits: list[asyncio.Future[object]] = [asyncio.ensure_future(read())]
    if done is not None:
        waits.append(asyncio.ensure_future(done.wait()))
    try:
        await asyncio.wait(waits, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        if process.returncode is None:
            process.terminate()
        await process.wait()
    return bytes(output)
