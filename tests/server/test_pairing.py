"""Credentials, candidates and unknown peers, by real handshakes of a simulated device."""

from __future__ import annotations

import asyncio

import pytest

from custom_components.lwm2m.protocol.errors import LwM2MError
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.security.credential import Psk, SecurityMode
from custom_components.lwm2m.security.policy import Reason
from custom_components.lwm2m.server.errors import EndpointInUseError, IdentityInUseError
from custom_components.lwm2m.server.events import (
    CandidateChanged,
    Expired,
    RefusedEvent,
    Registered,
    UnknownPeer,
    Updated,
)
from custom_components.lwm2m.server.pending import Candidate, CandidateState

from .helpers import KEY, OTHER_KEY, Bench, eventually

TEMPERATURE = Path((3303, 0, 5700))


async def reached(bench: Bench, candidate: Candidate, state: CandidateState) -> None:
    await eventually(lambda: candidate.state is state)
    assert any(event.candidate is candidate for event in bench.seen(CandidateChanged))


def refusals(bench: Bench, reason: Reason) -> list[RefusedEvent]:
    return bench.seen(RefusedEvent, lambda event: event.refusal.reason is reason)


async def test_a_device_on_file(bench: Bench) -> None:
    bench.let_in("thing", "thing-id")
    async with bench.secure("thing", "thing-id"):
        device = (await bench.until(Registered)).device
        assert device.security is not None
        assert device.security.mode is SecurityMode.PSK
        assert device.security.suite == "TLS_PSK_WITH_AES_128_CCM_8"
        assert device.security.identity.label == "thing-id"
        assert [entry.value for entry in await device.read(TEMPERATURE)] == [21.5]


async def test_the_credential_implies_the_endpoint(bench: Bench) -> None:
    bench.let_in("thing", "thing-id")
    async with bench.secure("other", "thing-id", name_endpoint=False):
        assert (await bench.until(Registered)).device.endpoint == "thing"


async def test_an_unknown_peer_is_told_once(bench: Bench) -> None:
    async with bench.secure("thing", "who\x07am-i") as client:
        unknown = (await bench.until(UnknownPeer)).peer
        assert unknown.key == "psk:" + b"who\x07am-i".hex()
        assert unknown.identity == "who\\x07am-i"
        assert (unknown.identity_bytes, unknown.mode) == (b"who\x07am-i", SecurityMode.PSK)
        assert unknown.host == "127.0.0.1"
        await client.wait_for("handshake_failed", count=3)
        await eventually(lambda: unknown.tries >= 3)
        assert len(bench.seen(UnknownPeer)) == 1
        assert refusals(bench, Reason.UNKNOWN_IDENTITY)[0].refusal.endpoint is None
        bench.clock.jump(301)
        await bench.until(UnknownPeer, count=2)
        assert list(bench.server.pending.unknown) == [unknown.key]
        assert unknown.first <= unknown.last
        bench.server.pending.forget(unknown.key)
        await bench.until(UnknownPeer, count=3)


async def test_from_unknown_to_adopted(bench: Bench) -> None:
    async with bench.secure("the-name", "board-7", handshake_timeout=1) as client:
        unknown = (await bench.until(UnknownPeer)).peer

        wrong = bench.server.pending.watch(Psk(unknown.identity_bytes, OTHER_KEY))
        assert not bench.server.pending.unknown
        changes: list[CandidateState] = []
        stop = wrong.on_change(lambda: changes.append(wrong.state))
        await reached(bench, wrong, CandidateState.WRONG_KEY)
        assert wrong.tries >= 1
        assert wrong.last_try is not None
        assert wrong.refusal is not None
        assert wrong.refusal.reason is Reason.WRONG_KEY
        assert changes[0] is CandidateState.WRONG_KEY
        stop()
        stop()
        with pytest.raises(LwM2MError, match="endpoint name"):
            wrong.adopt()

        right = bench.server.pending.watch(Psk(unknown.identity_bytes, KEY))
        assert [*bench.server.pending.candidates] == [right]
        await reached(bench, right, CandidateState.REGISTERED)
        assert right.endpoint == "the-name"
        assert right.credential == Psk(b"board-7", KEY)
        assert right.refusal is None
        assert right.peer is not None
        device = bench.server.devices["the-name"]
        assert [entry.value for entry in await device.read(TEMPERATURE)] == [21.5]

        assert right.adopt() == "the-name"
        assert bench.server.authorizer.credential("the-name") == Psk(b"board-7", KEY)
        assert device.available
        right.cancel()
        assert right.adopt() == "the-name"
        client.update()
        await bench.until(Updated)
        assert "the-name" in bench.server.devices
        assert len(bench.server.pending.candidates) == 0
    assert "the-name" not in bench.server.devices


async def test_a_cancelled_candidate_leaves_nothing(bench: Bench) -> None:
    candidate = bench.server.pending.watch(Psk(b"board", KEY))
    async with bench.secure("thing", "board", handshake_timeout=1) as client:
        await reached(bench, candidate, CandidateState.REGISTERED)
        candidate.cancel()
        await bench.until(Expired)
        await client.wait_for("connection_lost")
        await bench.until(UnknownPeer)
        assert not bench.server.devices
        assert not bench.server.pending.candidates


async def test_a_device_that_leaves_during_pairing(bench: Bench) -> None:
    candidate = bench.server.pending.watch(Psk(b"board", KEY))
    async with bench.secure("thing", "board"):
        await reached(bench, candidate, CandidateState.REGISTERED)
    await eventually(lambda: candidate.peer is None)
    assert candidate.endpoint == "thing"
    assert bench.server.pending.candidates == (candidate,)


async def test_a_new_key_beside_the_old_one(bench: Bench) -> None:
    """The old key goes on working until the new one is proven and adopted."""
    bench.let_in("thing", "board", KEY)
    candidate = bench.server.pending.watch(Psk(b"board", OTHER_KEY), "thing")
    async with bench.secure("thing", "board", key=KEY, handshake_timeout=1):
        await bench.until(Registered)
        assert candidate.state is CandidateState.WRONG_KEY
        refused = refusals(bench, Reason.WRONG_KEY)[0].refusal
        assert (refused.identity, refused.endpoint) == ("board", "thing")
    async with bench.secure("thing", "board", key=OTHER_KEY, handshake_timeout=1) as client:
        await reached(bench, candidate, CandidateState.REGISTERED)
        assert candidate.adopt() == "thing"
        assert bench.server.authorizer.credential("thing") == Psk(b"board", OTHER_KEY)
        client.update()
        await bench.until(Updated)
    async with bench.secure("thing", "board", key=KEY, handshake_timeout=1):
        before = len(refusals(bench, Reason.WRONG_KEY))
        await eventually(lambda: len(refusals(bench, Reason.WRONG_KEY)) > before)


async def test_a_new_identity_for_an_expected_endpoint(bench: Bench) -> None:
    bench.let_in("thing", "old-id")
    candidate = bench.server.pending.watch(Psk(b"new-id", OTHER_KEY), "thing")
    async with bench.secure("thing", "old-id") as old:
        await bench.until(Registered)
        async with bench.secure("thing", "new-id", key=OTHER_KEY):
            await reached(bench, candidate, CandidateState.REGISTERED)
            candidate.adopt()
            await old.wait_for("connection_lost")
            assert bench.server.devices["thing"].available


async def test_a_wrong_key_of_a_device_on_file(bench: Bench) -> None:
    bench.let_in("thing", "board", OTHER_KEY)
    async with bench.secure("thing", "board", handshake_timeout=1):
        refused = (await bench.until(RefusedEvent)).refusal
        assert (refused.reason, refused.endpoint) == (Reason.WRONG_KEY, "thing")
        assert not bench.seen(UnknownPeer)


async def test_an_identity_on_file_with_another_name(bench: Bench) -> None:
    """Two boards with the settings of a sample: the second gets a message that names both."""
    bench.let_in("first", "sample")
    async with bench.secure("second", "sample") as client:
        refused = (await bench.until(RefusedEvent)).refusal
        await client.wait_for("gave_up")
    assert refused.reason is Reason.ENDPOINT_MISMATCH
    assert "first" in refused.detail
    assert "second" in refused.detail
    assert "second" not in bench.server.devices
    with pytest.raises(IdentityInUseError, match="first"):
        bench.server.pending.watch(Psk(b"sample", KEY))
    with pytest.raises(IdentityInUseError) as error:
        bench.let_in("second", "sample")
    assert error.value.endpoint == "first"


async def test_a_candidate_of_two_devices(bench: Bench) -> None:
    candidate = bench.server.pending.watch(Psk(b"sample", KEY))
    async with bench.secure("first", "sample") as first:
        await reached(bench, candidate, CandidateState.REGISTERED)
        async with bench.secure("second", "sample") as second:
            await second.wait_for("gave_up")
            await reached(bench, candidate, CandidateState.FAILED)
        assert candidate.refusal is not None
        assert candidate.refusal.reason is Reason.ENDPOINT_MISMATCH
        assert "first" in candidate.refusal.detail
        assert candidate.endpoint == "first"
        assert first.location is not None


async def test_a_candidate_takes_no_name_that_has_a_credential(bench: Bench) -> None:
    bench.let_in("taken", "its-id")
    candidate = bench.server.pending.watch(Psk(b"other-id", OTHER_KEY))
    async with bench.secure("taken", "other-id", key=OTHER_KEY) as client:
        await reached(bench, candidate, CandidateState.FAILED)
        await client.wait_for("gave_up")
    assert candidate.refusal is not None
    assert candidate.refusal.endpoint == "taken"
    assert bench.server.authorizer.credential("taken") == Psk(b"its-id", KEY)


async def test_two_candidates_of_one_name(bench: Bench) -> None:
    one = bench.server.pending.watch(Psk(b"one", KEY))
    two = bench.server.pending.watch(Psk(b"two", OTHER_KEY))
    async with bench.secure("name", "one"):
        await reached(bench, one, CandidateState.REGISTERED)
        async with bench.secure("name", "two", key=OTHER_KEY):
            await reached(bench, two, CandidateState.FAILED)
        two.endpoint = "name"
        one.adopt()
        with pytest.raises(EndpointInUseError) as error:
            two.adopt()
        assert error.value.endpoint == "name"


async def test_the_same_candidate_again_replaces_it(bench: Bench) -> None:
    first = bench.server.pending.watch(Psk(b"board", OTHER_KEY))
    second = bench.server.pending.watch(Psk(b"board", KEY))
    async with bench.secure("thing", "board"):
        await reached(bench, second, CandidateState.REGISTERED)
    assert first.state is CandidateState.WAITING
    assert bench.server.pending.candidates == (second,)


async def test_a_candidate_of_an_expected_name_may_have_another(bench: Bench) -> None:
    candidate = bench.server.pending.watch(Psk(b"board", KEY), "expected")
    async with bench.secure("real", "board"):
        await reached(bench, candidate, CandidateState.REGISTERED)
        assert candidate.endpoint == "real"
        assert candidate.adopt() == "real"


async def test_a_candidate_implies_the_expected_endpoint(bench: Bench) -> None:
    candidate = bench.server.pending.watch(Psk(b"board", KEY), "expected")
    async with bench.secure("x", "board", name_endpoint=False):
        await reached(bench, candidate, CandidateState.REGISTERED)
        assert candidate.endpoint == "expected"


async def test_removing_a_credential_ends_everything_at_once(bench: Bench) -> None:
    bench.let_in("thing", "board")
    async with bench.secure("thing", "board", handshake_timeout=1) as client:
        device = (await bench.until(Registered)).device
        bench.server.authorizer.remove_credential("thing")
        bench.server.authorizer.remove_credential("thing")
        assert (await bench.until(Expired)).device is device
        assert not device.available
        await client.wait_for("connection_lost")
        await bench.until(UnknownPeer)


async def test_a_secure_candidate_is_not_displaced_without_security(bench: Bench) -> None:
    candidate = bench.server.pending.watch(Psk(b"board", KEY))
    async with bench.secure("thing", "board"):
        await reached(bench, candidate, CandidateState.REGISTERED)
        async with bench.plain("thing") as plain:
            await plain.wait_for("gave_up")
        assert bench.server.devices["thing"].security is not None
        assert bench.server.devices["thing"].available
    assert refusals(bench, Reason.ENDPOINT_MISMATCH)


async def test_the_newest_association_is_the_way_to_a_device(bench: Bench) -> None:
    """A new handshake of the same identity takes over; an update over it is allowed, and the old one is closed."""
    key = b"0123456789abcdef"
    bench.let_in("thing", "board", key)
    async with bench.secure("thing", "board", key=key) as first:
        device = (await bench.until(Registered)).device
        device.watch(TEMPERATURE, lambda _: None)
        await first.wait_for("observed")
        registration = device.registration
        assert registration is not None
        old = registration.peer
        process = await asyncio.create_subprocess_exec(
            "coap-client-openssl", "-m", "post", "-B", "5", "-u", "board", "-k", key.decode(),
            f"coaps://127.0.0.1:{bench.server.coaps_port}/rd/{registration.location}?lt=77",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        await process.communicate()
        await bench.until(Updated)
        assert registration.lifetime == 77
        assert registration.peer is not old
        assert old.closed
        await first.wait_for("connection_lost")
        await bench.until(Registered, count=2)
        await first.wait_for("observed", count=2)


async def test_an_association_that_came_and_went(bench: Bench) -> None:
    """Whoever holds the key may knock and leave again: the way to the device is the association that is left."""
    key = b"0123456789abcdef"
    bench.let_in("thing", "board", key)
    async with bench.secure("thing", "board", key=key) as client:
        device = (await bench.until(Registered)).device
        device.watch(TEMPERATURE, lambda _: None)
        await client.wait_for("observed")
        registration = device.registration
        assert registration is not None
        first = registration.peer
        process = await asyncio.create_subprocess_exec(
            "coap-client-openssl", "-m", "get", "-B", "5", "-u", "board", "-k", key.decode(),
            f"coaps://127.0.0.1:{bench.server.coaps_port}/x",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert b"4.04" in output
        await eventually(lambda: registration.peer is first)
        assert [entry.value for entry in await device.read(TEMPERATURE)] == [21.5]
        client.set("/3303/0/5700", 30.0)
        await eventually(lambda: device.values[TEMPERATURE] == 30.0)
        assert len(client.seen("observed")) == 1


async def test_an_update_over_the_older_association(bench: Bench) -> None:
    bench.let_in("thing", "board")
    async with bench.secure("thing", "board") as first:
        device = (await bench.until(Registered)).device
        registration = device.registration
        assert registration is not None
        peer = registration.peer
        async with bench.secure("thing", "board", extra_query=["lwm2m=x"], retry=100) as second:
            await second.wait_for("register_failed")
            assert registration.peer is not peer
            first.update()
            await bench.until(Updated)
            assert registration.peer is peer
            assert [entry.value for entry in await device.read(TEMPERATURE)] == [21.5]
            assert len(bench.server._peers) == len(bench.server._all_peers()) == 1


async def test_associations_of_one_identity_are_capped(bench: Bench) -> None:
    bench.let_in("thing", "board")
    async with bench.secure("thing", "board", name_endpoint=True, extra_query=["lwm2m=x"]) as first:
        await first.wait_for("register_failed")
        async with bench.secure("thing", "board", extra_query=["lwm2m=x"]) as second:
            await second.wait_for("register_failed")
            async with bench.secure("thing", "board", extra_query=["lwm2m=x"]) as third:
                await third.wait_for("register_failed")
                assert max(map(len, bench.server._peers.values())) <= 2


async def test_a_device_that_comes_back_with_a_new_handshake(bench: Bench) -> None:
    bench.let_in("thing", "board")
    async with bench.secure("thing", "board") as client:
        device = (await bench.until(Registered)).device
        values: list[object] = []
        device.watch(TEMPERATURE, lambda path: values.append(device.values[path]))
        await eventually(lambda: values == [21.5])
        await client.vanish()
        await client.start()
        await bench.until(Registered, count=2)
        await client.wait_for("observed", count=2)
        client.set("/3303/0/5700", 25.0)
        await eventually(lambda: values == [21.5, 25.0])
        assert len(list(bench.server.registrations)) == 1


async def test_stop_says_goodbye_and_start_serves_again(bench: Bench) -> None:
    bench.let_in("thing", "board")
    async with bench.secure("thing", "board", handshake_timeout=1) as client:
        device = (await bench.until(Registered)).device
        bench.server.device("thing")
        port = bench.server.coaps_port
        assert bench.server.engine_name
        await bench.server.stop()
        assert not any((device.available, bench.server.coaps_port, bench.server.suites))
        await client.wait_for("connection_lost")
        await bench.server.start("127.0.0.1", coaps_port=port, coap_port=None)
        await bench.until(Registered, count=2)
        assert device.available
        assert bench.server.coap_port is None


async def test_one_port_alone(bench: Bench) -> None:
    await bench.server.stop()
    await bench.server.start("127.0.0.1", coaps_port=None, coap_port=0)
    assert bench.server.running
    assert (bench.server.coaps_port, bench.server.engine_name, bench.server.suites) == (None, None, ())
    async with bench.plain("d"):
        await bench.until(Registered)
