"""Trusted CAs that come and go while the server runs, by real handshakes of simulated devices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from custom_components.lwm2m.dtls.endpoint import EngineUnavailableError
from custom_components.lwm2m.security.credential import Certificate, RawPublicKey
from custom_components.lwm2m.security.policy import Policy, Reason
from custom_components.lwm2m.server.events import Expired, RefusedEvent, Registered
from custom_components.lwm2m.server.pending import CandidateState
from tests.device_keys import DeviceKey, make_authority, make_certificate, make_key
from tests.simulator.client import SimulatedClient

from .helpers import Bench, eventually

NAME = "urn:dev:board-7"
CBC = "ECDHE-ECDSA-AES128-SHA256"


@dataclass
class Shop:
    """Two CAs, a device with a certificate of the first, and the server."""

    bench: Bench
    folder: Path

    def __post_init__(self) -> None:
        self.authority = make_authority(self.folder, "ca", "Test CA")
        self.other = make_authority(self.folder, "other", "Other CA")
        self.board = make_certificate(self.folder, "board", NAME, self.authority)

    def trust(self, *authorities: DeviceKey) -> None:
        self.bench.server.set_trust_anchors([authority.certificate_der() for authority in authorities])

    def device(self, cipher: str | None = None) -> SimulatedClient:
        """The device by the CA."""
        return self.make(NAME, private_key=self.board.private_key, chain=self.board.certificate, cipher=cipher)

    def make(self, endpoint: str, **options: object) -> SimulatedClient:
        return self.bench.make(f"coaps://127.0.0.1:{self.bench.server.coaps_port}", endpoint, None, **options)

    def refusals(self) -> list[Reason]:
        return [event.refusal.reason for event in self.bench.seen(RefusedEvent)]


@pytest.fixture
def shop(bench: Bench, tmp_path: Path) -> Shop:
    shop = Shop(bench, tmp_path)
    bench.server.authorizer.set_credential(NAME, Certificate())
    bench.server.device(NAME)
    return shop


@pytest.mark.parametrize("cipher", [None, CBC])
async def test_what_came_in_by_a_ca_ends_with_it(shop: Shop, cipher: str | None) -> None:
    bench = shop.bench
    shop.trust(shop.authority, shop.other)
    async with shop.device(cipher) as client:
        device = (await bench.until(Registered)).device
        peer = device.registration.peer if device.registration is not None else None
        shop.trust(shop.other)
        assert peer is not None
        assert peer.closed
        assert not device.available
        assert bench.server.registrations.of_endpoint(NAME) is None
        assert len(bench.seen(Expired)) == 1
        await client.wait_for("connection_lost")
        await client.wait_for("handshake_failed", count=2)
        assert shop.refusals()[0] is Reason.UNTRUSTED_CERTIFICATE
        shop.trust(shop.authority)
        await bench.until(Registered, count=2)
        assert device.available


async def test_who_has_a_certificate_of_another_ca_is_verified_anew(shop: Shop) -> None:
    bench = shop.bench
    shop.trust(shop.authority, shop.other)
    async with shop.device() as client:
        device = (await bench.until(Registered)).device
        shop.trust(shop.authority)
        assert len(bench.seen(Expired)) == 1
        await client.wait_for("connection_lost")
        await bench.until(Registered, count=2)
        assert device.available
        assert not bench.seen(RefusedEvent)


async def test_nothing_else_ends(shop: Shop) -> None:
    bench = shop.bench
    key, pinned = make_key(shop.folder, "key"), make_certificate(shop.folder, "pinned", "pinned", shop.authority)
    bench.server.authorizer.set_credential("raw", RawPublicKey(key.public_der()))
    bench.server.authorizer.set_credential("pinned", Certificate(pinned.certificate_der()))
    bench.let_in("shared", "shared")
    shop.trust(shop.authority)
    async with (
        shop.make("raw", private_key=key.private_key),
        shop.make("pinned", private_key=pinned.private_key, chain=pinned.certificate),
        bench.secure("shared", "shared"),
        bench.plain("plain"),
    ):
        await bench.until(Registered, count=4)
        shop.trust()
        assert not bench.seen(Expired)
        assert len(bench.server.registrations) == 4
        assert not any(registration.peer.closed for registration in bench.server.registrations)


async def test_adding_ends_nothing(shop: Shop) -> None:
    bench = shop.bench
    shop.trust(shop.authority)
    async with shop.device():
        device = (await bench.until(Registered)).device
        shop.trust(shop.authority, shop.other)
        shop.trust(shop.other, shop.authority, shop.authority)
        assert device.available
        assert not bench.seen(Expired)
        with pytest.raises(EngineUnavailableError, match="a CA certificate"):
            bench.server.set_trust_anchors([b"no certificate"])
        assert device.available


async def test_a_stopped_server_serves_with_what_it_is_told(shop: Shop) -> None:
    bench = shop.bench
    shop.trust(shop.authority)
    async with shop.device() as client:
        await bench.until(Registered)
        port = bench.server.coaps_port
        await bench.server.stop()
        assert bench.server.registrations.of_endpoint(NAME) is not None
        shop.trust()
        assert bench.server.registrations.of_endpoint(NAME) is None
        await bench.server.start("127.0.0.1", coaps_port=port)
        await client.wait_for("handshake_failed")
        await eventually(lambda: Reason.UNTRUSTED_CERTIFICATE in shop.refusals())
        await bench.server.stop()
        shop.trust(shop.authority)
        await bench.server.start("127.0.0.1", coaps_port=port)
        await bench.until(Registered, count=2)


async def test_a_candidate_by_a_ca_that_goes_proves_itself_anew(shop: Shop) -> None:
    bench = shop.bench
    bench.server.authorizer.remove_credential(NAME)
    candidate = bench.server.pending.watch(Certificate(), NAME)
    shop.trust(shop.authority, shop.other)
    async with shop.device():
        await eventually(lambda: candidate.state is CandidateState.REGISTERED)
        tries = candidate.tries
        shop.trust(shop.authority)
        assert candidate.peer is None
        await bench.until(Registered, count=2)
        assert candidate.tries == tries + 1
        assert candidate.adopt() == NAME
        assert bench.server.devices[NAME].available


async def test_the_constrained_engine_has_no_use_for_a_ca(bench: Bench, tmp_path: Path) -> None:
    bench.server._engine = "tinydtls"
    await bench.server.stop()
    await bench.server.start("127.0.0.1", coaps_port=0)
    authority = make_authority(tmp_path, "ca", "Test CA")
    bench.server.set_trust_anchors([authority.certificate_der()])
    bench.server.set_trust_anchors([])
    bench.let_in("thing", "board")
    async with bench.secure("thing", "board"):
        await bench.until(Registered)


async def test_a_policy_counts_from_the_next_start(bench: Bench) -> None:
    name = "TLS_PSK_WITH_AES_128_GCM_SHA256"
    bench.server.policy = Policy([name])
    assert name not in bench.server.suites
    await bench.server.stop()
    await bench.server.start("127.0.0.1", coaps_port=0)
    assert name in bench.server.suites
