"""Endpoints that a device without security may not be, and those that it may."""

from __future__ import annotations

from custom_components.lwm2m.security.credential import Psk
from custom_components.lwm2m.security.policy import Reason
from custom_components.lwm2m.server.events import RefusedEvent, Registered, UnknownPeer

from .helpers import KEY, Bench


async def refused(bench: Bench, endpoint: str) -> str:
    """Let a device without security register; returns why it may not."""
    before = len(bench.seen(RefusedEvent))
    async with bench.plain(endpoint) as device:
        await device.wait_for("gave_up")
    event = await bench.until(RefusedEvent, count=before + 1)
    assert event.refusal.reason is Reason.ENDPOINT_MISMATCH
    assert event.refusal.endpoint == endpoint
    return event.refusal.detail


async def test_an_endpoint_with_a_credential(bench: Bench) -> None:
    bench.let_in("thing", "board")
    assert await refused(bench, "thing") == "this endpoint has a credential, and the device used none"
    assert not bench.seen(Registered)


async def test_a_reserved_endpoint(bench: Bench) -> None:
    bench.server.authorizer.is_reserved = lambda endpoint: endpoint == "thing"
    assert await refused(bench, "thing") == "nobody may be thing without a credential"
    async with bench.plain("other"):
        assert (await bench.until(Registered)).device.endpoint == "other"
    assert (await bench.until(UnknownPeer)).peer.identity == "other"


async def test_an_endpoint_that_a_candidate_is_to_be(bench: Bench) -> None:
    candidate = bench.server.pending.watch(Psk(b"board", KEY), "thing")
    assert await refused(bench, "thing") == "a device that proves to be thing is waited for"
    candidate.cancel()
    async with bench.plain("thing"):
        await bench.until(Registered)


async def test_a_device_without_security_is_served_until_its_new_credential_is_proven(bench: Bench) -> None:
    device = bench.server.device("thing")
    candidate = bench.server.pending.watch(Psk(b"board", KEY), "thing")
    async with bench.plain("thing"):
        await bench.until(Registered)
        assert device.available
        async with bench.secure("thing", "board"):
            await bench.until(Registered, count=2)
            candidate.adopt()
            assert device.available
            assert await refused(bench, "thing") == "this endpoint has a credential, and the device used none"
    assert not bench.seen(UnknownPeer)
