"""Raw public keys, certificates and chosen suites over OpenSSL, against the project's own server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from custom_components.lwm2m.security.credential import Certificate, Psk, RawPublicKey
from custom_components.lwm2m.security.refusal import Reason
from custom_components.lwm2m.security.server_identity import ServerIdentity
from custom_components.lwm2m.server.events import Expired, RefusedEvent, Registered
from custom_components.lwm2m.server.server import Server
from tests.device_keys import DeviceKey, make_authority, make_certificate, make_key
from tests.server.helpers import KEY, Bench, eventually, serving
from tests.simulator import Relay, SimulatedClient
from tests.simulator.cli import parse, settings_of
from tests.simulator.coap import Code

ROOT = Path(__file__).parents[2]
NAME = "urn:dev:board-7"


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with serving() as running:
        yield running


@pytest.fixture
def pair(tmp_path: Path) -> DeviceKey:
    """A self-signed certificate and its key."""
    return make_certificate(tmp_path, "device", NAME)


def uri(server: Server) -> str:
    return f"coaps://127.0.0.1:{server.coaps_port}"


def device(server: Server | str, pair: DeviceKey, **options: Any) -> SimulatedClient:
    """A device with a raw public key, or with the certificate in `chain`."""
    where = server if isinstance(server, str) else uri(server)
    return Bench.make(where, NAME, None, private_key=pair.private_key, **options)


async def test_a_raw_public_key_registers_and_deregisters(bench: Bench, pair: DeviceKey) -> None:
    bench.server.authorizer.set_credential(NAME, RawPublicKey(pair.public_der()))
    async with device(bench.server, pair) as client:
        await client.wait_for("registered")
        client.update()
        await client.wait_for("updated")
        assert (await client.send("/3303/0/5700")).code == Code.CHANGED
    assert client.seen("deregistered", code="2.02")
    assert client.transport.local_address is None
    assert len(bench.seen(Registered)) == 1


async def test_without_a_connection_id_another_port_needs_another_handshake(bench: Bench, pair: DeviceKey) -> None:
    bench.server.authorizer.set_credential(NAME, RawPublicKey(pair.public_der()))
    async with device(bench.server, pair, time_scale=0.01) as client:
        await client.wait_for("registered")
        before = client.transport.local_address
        await client.rebind()
        assert client.transport.local_address not in (before, None)
        client.update()
        await client.wait_for("connection_lost", reason="no answer")
        await client.wait_for("registered", count=2)


@pytest.mark.parametrize("signer", ["itself", "a CA"])
async def test_a_certificate_registers(bench: Bench, tmp_path: Path, signer: str) -> None:
    authority = make_authority(tmp_path, "ca", "Test CA") if signer == "a CA" else None
    pair = make_certificate(tmp_path, "device", NAME, authority)
    if authority is None:
        bench.server.authorizer.set_credential(NAME, Certificate(pair.certificate_der()))
    else:
        bench.server.set_trust_anchors([authority.certificate_der()])
        bench.server.authorizer.set_credential(NAME, Certificate())
    async with device(bench.server, pair, chain=pair.certificate) as client:
        await client.wait_for("registered")


@pytest.mark.parametrize("mode", ["raw public key", "certificate"])
async def test_a_device_trusts_the_server_that_it_was_told(pair: DeviceKey, tmp_path: Path, mode: str) -> None:
    identity = ServerIdentity.generate()
    server = Server(server_identity=identity)
    refused: list[Any] = []
    server.subscribe(refused.append, RefusedEvent)
    raw = mode == "raw public key"
    credential = RawPublicKey(pair.public_der()) if raw else Certificate(pair.certificate_der())
    server.authorizer.set_credential(NAME, credential)
    await server.start("127.0.0.1", coaps_port=0)
    chain = None if raw else pair.certificate
    try:
        async with device(server, pair, chain=chain, server_key=identity.public_key) as client:
            await client.wait_for("registered")
        other = make_key(tmp_path, "another server")
        async with device(server, pair, chain=chain, server_key=other.public_der()) as client:
            failed = await client.wait_for("handshake_failed")
            assert (failed.fields["reason"], failed.fields["alert"]) == ("unknown_ca", 48)
            await eventually(lambda: bool(refused))
    finally:
        await server.stop()
    assert refused[0].refusal.reason is Reason.REJECTED_BY_DEVICE
    assert "unknown_ca" in refused[0].refusal.detail


async def test_an_unknown_key_is_refused_until_it_is_on_file(bench: Bench, pair: DeviceKey) -> None:
    async with device(bench.server, pair) as client:
        refused = await bench.until(RefusedEvent)
        assert refused.refusal.reason is Reason.UNKNOWN_PUBLIC_KEY
        assert refused.refusal.identity_bytes == pair.public_der()
        failed = await client.wait_for("handshake_failed")
        assert failed.fields["alert"] is not None
        bench.server.authorizer.set_credential(NAME, RawPublicKey(pair.public_der()))
        await client.wait_for("registered")
        bench.server.authorizer.remove_credential(NAME)
        await client.wait_for("connection_lost", reason="close_notify")


async def test_lost_flights_are_sent_again(bench: Bench, pair: DeviceKey) -> None:
    bench.server.authorizer.set_credential(NAME, RawPublicKey(pair.public_der()))
    port = bench.server.coaps_port
    assert port is not None
    async with Relay(("127.0.0.1", port), loss=0.25, seed=2) as relay:
        server = f"coaps://127.0.0.1:{relay.address[1]}"
        async with device(server, pair, handshake_timeout=40.0) as client:
            await client.wait_for("registered", within=60)
        assert relay.up.lost + relay.down.lost > 0


async def test_a_silent_server_is_given_up(bench: Bench, pair: DeviceKey) -> None:
    port = bench.server.coaps_port
    assert port is not None
    async with Relay(("127.0.0.1", port)) as relay:
        relay.blocked = True
        server = f"coaps://127.0.0.1:{relay.address[1]}"
        async with device(server, pair, handshake_timeout=1.5) as client:
            failed = await client.wait_for("handshake_failed")
            assert (failed.fields["reason"], failed.fields["alert"]) == ("timeout", None)
        assert relay.up.seen == 2  # the hello, and once more after a second


async def test_it_vanishes_without_a_word_and_returns(bench: Bench, pair: DeviceKey) -> None:
    bench.server.authorizer.set_credential(NAME, RawPublicKey(pair.public_der()))
    async with device(bench.server, pair) as client:
        await client.wait_for("registered")
        await client.vanish()
        assert bench.server.devices[NAME].available
        assert not bench.seen(Expired)
        await client.start()
        await client.wait_for("registered", count=2)


@pytest.mark.parametrize("cipher", ["PSK-AES128-CBC-SHA256", "ECDHE-PSK-AES128-CBC-SHA256"])
async def test_a_key_with_a_chosen_suite(cipher: str) -> None:
    async with serving() as bench:
        bench.server.authorizer.set_credential(NAME, Psk(b"id", KEY))
        permitted = cipher == "PSK-AES128-CBC-SHA256"
        async with bench.secure(NAME, "id", cipher=cipher) as client:
            if permitted:
                await client.wait_for("registered")
            else:
                refused = await bench.until(RefusedEvent)
                assert refused.refusal.reason is Reason.NO_PERMITTED_SUITE
                await client.wait_for("handshake_failed", alert=40)


async def test_from_the_command_line(bench: Bench, pair: DeviceKey, tmp_path: Path) -> None:
    bench.server.authorizer.set_credential(NAME, RawPublicKey(pair.public_der()))
    other = make_key(tmp_path, "another server")
    arguments = ("--server", uri(bench.server), "--endpoint", NAME, "--private-key", str(pair.private_key))
    options = parse([*arguments, "--server-key", str(other.public_key), "--cipher", "ECDHE-ECDSA-AES128-CCM8"])
    settings = settings_of(options, 1)
    assert (settings.server_key, settings.cipher) == (other.public_der(), "ECDHE-ECDSA-AES128-CCM8")
    with pytest.raises(ValueError, match="no PEM public key"):
        settings_of(parse([*arguments, "--server-key", str(pair.certificate)]), 1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulator", *arguments), cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await bench.until(Registered)
    finally:
        process.terminate()
        assert await process.wait() == 0
