"""Every refusal is an event and is counted; the log has one line per device and reason, until the device gets in."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest

from custom_components.lwm2m.security.identity import NO_SECURITY, PskIdentity
from custom_components.lwm2m.security.refusal import Reason, Refusal
from custom_components.lwm2m.server import refusals as refusals_module
from custom_components.lwm2m.server.events import RefusedEvent, Registered
from custom_components.lwm2m.server.refusals import MAX_DEVICES, TELL_AGAIN, Refusals

from .helpers import KEY, OTHER_KEY, Bench, Clock

WRONG = Refusal(Reason.WRONG_KEY, "another key", identity="id", endpoint="d")
STRANGER = Refusal(Reason.UNKNOWN_IDENTITY, "not on file", identity="who")
NAMELESS = Refusal(Reason.SHA1, "only SHA-1")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == refusals_module.__name__]


@pytest.fixture
def clock() -> Clock:
    return Clock(lambda: 0.0)


@pytest.fixture
def refusals(clock: Clock, caplog: pytest.LogCaptureFixture) -> Iterator[Refusals]:
    with caplog.at_level(logging.WARNING):
        yield Refusals(clock)


def test_counted_always_and_told_once(refusals: Refusals, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        for refusal in (WRONG, STRANGER, NAMELESS):
            refusals.add("127.0.0.1", refusal)
    assert refusals.counts == {Reason.WRONG_KEY: 3, Reason.UNKNOWN_IDENTITY: 3, Reason.SHA1: 3}
    told = lines(caplog)
    assert len(told) == 3
    assert "Refused d at 127.0.0.1: wrong_key (another key)" in told[0]
    refusals.add("127.0.0.1", Refusal(Reason.MALFORMED, "nonsense"))
    refusals.add("127.0.0.2", NAMELESS)
    assert len(lines(caplog)) == 5


def test_told_again_after_it_got_in(refusals: Refusals, caplog: pytest.LogCaptureFixture) -> None:
    mismatch = Refusal(Reason.ENDPOINT_MISMATCH, "another name", identity="id", endpoint="any name")
    for refusal in (WRONG, mismatch):
        refusals.add("127.0.0.1", refusal)
    refusals.let_in("127.0.0.9", PskIdentity(b"other"), None, registered=True)
    refusals.add("127.0.0.1", WRONG)
    assert len(lines(caplog)) == 2
    refusals.let_in("127.0.0.9", PskIdentity(b"id"), "d", registered=False)
    for refusal in (WRONG, mismatch):
        refusals.add("127.0.0.1", refusal)
    assert len(lines(caplog)) == 3, "a handshake does not clear away what came after one"
    refusals.let_in("127.0.0.9", PskIdentity(b"id"), "d", registered=True)
    refusals.add("127.0.0.1", mismatch)
    assert len(lines(caplog)) == 4
    refusals.add("127.0.0.1", NAMELESS)
    refusals.let_in("127.0.0.1", NO_SECURITY, None, registered=False)
    refusals.add("127.0.0.1", NAMELESS)
    assert len(lines(caplog)) == 6


def test_strangers_take_no_more_than_their_share(
    refusals: Refusals, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    count = MAX_DEVICES + 50
    for number in range(count):
        refusals.add("127.0.0.1", Refusal(Reason.UNKNOWN_IDENTITY, "not on file", identity=f"who {number}"))
    assert refusals.counts[Reason.UNKNOWN_IDENTITY] == count
    assert len(lines(caplog)) == MAX_DEVICES
    clock.jump(TELL_AGAIN)
    refusals.add("127.0.0.1", STRANGER)
    assert len(lines(caplog)) == MAX_DEVICES + 1


async def test_of_a_running_server(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.let_in("d", "id")
    wrong = bench.secure("d", "id", key=OTHER_KEY)
    await wrong.start()
    refused = await bench.until(RefusedEvent)
    assert (refused.refusal.reason, refused.refusal.endpoint) == (Reason.WRONG_KEY, "d")
    await wrong.stop()
    assert len(lines(caplog)) == 1
    async with bench.secure("d", "id", key=KEY):
        await bench.until(Registered)
    other = bench.secure("e", "id", key=KEY)
    await other.start()
    try:
        mismatch = await bench.until(RefusedEvent, lambda event: event.refusal.reason is Reason.ENDPOINT_MISMATCH)
        assert (mismatch.refusal.identity, mismatch.refusal.endpoint) == ("id", "e")
    finally:
        await other.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"\x40\x01\x12\x34", ("127.0.0.1", bench.server.coaps_port or 0))
        await bench.until(RefusedEvent, lambda event: event.refusal.reason is Reason.PLAINTEXT)
    assert sum(bench.server.refusals.values()) == len(bench.seen(RefusedEvent))
    assert bench.server.refusals[Reason.PLAINTEXT] == 1
    assert KEY.hex() not in caplog.text
