"""Candidates and unknown peers with raw public keys and certificates, by real handshakes of a simulated device."""

from pathlib import Path
from typing import Any

import pytest

from custom_components.lwm2m.security.credential import Certificate, Credential, RawPublicKey, SecurityMode
from custom_components.lwm2m.security.identity import fingerprint
from custom_components.lwm2m.security.refusal import Reason
from custom_components.lwm2m.server.errors import IdentityInUseError
from custom_components.lwm2m.server.events import Expired, RefusedEvent, Registered, UnknownPeer
from custom_components.lwm2m.server.pending import CandidateState
from tests.device_keys import make_authority, make_certificate, make_key
from tests.simulator.client import SimulatedClient

from .helpers import Bench, eventually

NAME = "urn:dev:board-7"


def device(bench: Bench, endpoint: str = NAME, **options: Any) -> SimulatedClient:
    return bench.make(f"coaps://127.0.0.1:{bench.server.coaps_port}", endpoint, None, **options)


async def adopted(bench: Bench, credential: Credential, expected: str | None = None) -> None:
    candidate = bench.server.pending.watch(credential, expected)
    assert not bench.server.pending.unknown
    await eventually(lambda: candidate.state is CandidateState.REGISTERED)
    assert candidate.endpoint == NAME
    assert candidate.adopt() == NAME
    assert bench.server.authorizer.credential(NAME) == credential
    assert bench.server.devices[NAME].available


async def test_a_raw_public_key_from_unknown_to_adopted(bench: Bench, tmp_path: Path) -> None:
    pair = make_key(tmp_path, "device")
    async with device(bench, private_key=pair.private_key):
        unknown = (await bench.until(UnknownPeer)).peer
        assert (unknown.mode, unknown.identity_bytes) == (SecurityMode.RPK, pair.public_der())
        assert unknown.identity == fingerprint(pair.public_der())
        await adopted(bench, RawPublicKey(unknown.identity_bytes))
        with pytest.raises(IdentityInUseError):
            bench.server.pending.watch(RawPublicKey(pair.public_der()), "another")


async def test_a_pinned_certificate_from_unknown_to_adopted(bench: Bench, tmp_path: Path) -> None:
    pair = make_certificate(tmp_path, "device", NAME)
    async with device(bench, private_key=pair.private_key, chain=pair.certificate):
        unknown = (await bench.until(UnknownPeer)).peer
        assert (unknown.mode, unknown.identity_bytes) == (SecurityMode.CERTIFICATE, pair.certificate_der())
        assert unknown.identity == NAME
        await adopted(bench, Certificate(unknown.identity_bytes))


async def test_a_certificate_of_a_ca_from_unknown_to_adopted(bench: Bench, tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "ca", "Test CA")
    pair = make_certificate(tmp_path, "device", NAME, authority)
    async with device(bench, private_key=pair.private_key, chain=pair.certificate):
        unknown = (await bench.until(UnknownPeer)).peer
        assert unknown.identity_bytes == pair.certificate_der()
        untrusted = bench.server.pending.watch(Certificate(), NAME)
        await eventually(lambda: untrusted.state is CandidateState.WRONG_KEY)
        assert untrusted.refusal is not None
        assert untrusted.refusal.reason is Reason.UNTRUSTED_CERTIFICATE
        bench.server.set_trust_anchors([authority.certificate_der()])
        bench.server.pending.forget(unknown.key)
        await adopted(bench, Certificate(), NAME)


async def test_a_ca_is_only_for_the_name_in_the_certificate(bench: Bench, tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "ca", "Test CA")
    bench.server.set_trust_anchors([authority.certificate_der()])
    pair = make_certificate(tmp_path, "device", NAME, authority)
    candidate = bench.server.pending.watch(Certificate(), NAME)
    async with device(bench, "somebody-else", private_key=pair.private_key, chain=pair.certificate):
        await eventually(lambda: candidate.state is CandidateState.FAILED)
        assert candidate.refusal is not None
        assert candidate.refusal.reason is Reason.ENDPOINT_MISMATCH
    with pytest.raises(ValueError, match="named endpoint"):
        bench.server.pending.watch(Certificate())


async def test_a_cancelled_public_key_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    pair = make_key(tmp_path, "device")
    candidate = bench.server.pending.watch(RawPublicKey(pair.public_der()))
    async with device(bench, private_key=pair.private_key):
        await eventually(lambda: candidate.state is CandidateState.REGISTERED)
        candidate.cancel()
        await bench.until(Expired)
        await bench.until(UnknownPeer)
        assert not bench.server.devices


async def test_a_device_that_does_not_trust_the_server_says_so(bench: Bench, tmp_path: Path) -> None:
    pair = make_key(tmp_path, "device")
    bench.server.authorizer.set_credential(NAME, RawPublicKey(pair.public_der()))
    other = make_key(tmp_path, "another server")
    async with device(bench, private_key=pair.private_key, server_key=other.public_der()) as client:
        refused = await bench.until(RefusedEvent)
        assert refused.refusal.reason is Reason.REJECTED_BY_DEVICE
        assert "unknown_ca" in refused.refusal.detail
        assert not client.seen("registered")


async def test_a_device_without_security_is_told_of_when_nobody_expects_it(bench: Bench) -> None:
    bench.server.device("expected")
    async with bench.plain("expected"), bench.plain(NAME):
        unknown = (await bench.until(UnknownPeer)).peer
        await bench.until(Registered, count=2)
        assert (unknown.mode, unknown.identity, unknown.identity_bytes) == (SecurityMode.NOSEC, NAME, NAME.encode())
        assert len(bench.seen(UnknownPeer)) == 1
