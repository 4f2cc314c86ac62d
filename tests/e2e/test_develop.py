"""`scripts/develop` itself: runs until Ctrl-C, starts again where it was, and leaves no process behind."""

import asyncio
import os
import re
import signal
import socket
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from scripts.lib.home import ROOT, free_port, is_free

from .processes import naming


@pytest.mark.timeout(180)
async def test_runs_until_it_is_stopped_and_goes_on_from_there(tmp_path: Path) -> None:
    port, coaps_port, coap_port = free_port(), free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    ports = ("--port", str(port), "--coaps-port", str(coaps_port), "--coap-port", str(coap_port))
    command = (ROOT / "scripts" / "develop", "--folder", tmp_path, *ports)
    pipe = asyncio.subprocess.PIPE
    told: list[list[str]] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=os.environ, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said and (line := await process.stdout.readline()):
            said += line.decode()
        assert f"http://127.0.0.1:{port}" in said, said
        assert len(naming(f"coaps://127.0.0.1:{coaps_port}")) == 6
        assert len(naming(f"coap://127.0.0.1:{coap_port}")) == 1
        modes = re.findall(r"(PSK|public key|certificate|no security)   ", said)
        assert Counter(modes) == {"PSK": 4, "public key": 1, "certificate": 1, "no security": 1}, said
        told.append(re.findall(r"SHA-256 (\w{64})", said))
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200
        process.send_signal(number)
        await process.communicate()
        assert process.returncode == 0
        assert not naming(tmp_path)
        assert not naming(f"127.0.0.1:{coaps_port}")
        assert is_free(port)
        assert is_free(coaps_port, socket.SOCK_DGRAM)
    # A key and a certificate are the same in the second run; nobody else reads what is secret.
    assert told[0] == told[1]
    assert len(told[0]) == 2
    private = list((tmp_path / "keys").glob("*.key"))
    assert len(private) == 3
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in private)
