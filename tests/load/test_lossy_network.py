"""A fleet of tinydtls devices behind a relay that loses, doubles and delays a tenth and more of the datagrams."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from tests.benchmarks import figures
from tests.simulator.relay import Relay

from .fleet import PATHS, Fleet, kept, tasks, timers, until

ROUNDS = 30
"""Values that every resource has, one after the other, before its last one."""

LAST = 50.0
APART = 100.0
"""Between the values of two resources: one that reached the wrong resource would be out of order there."""


async def test_40_devices() -> None:
    await live_and_go(40)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_200_devices() -> None:
    started = time.process_time()
    seconds = await live_and_go(200, patience=120)
    figures.write("lossy_network", {"devices": 200, "processor_seconds": time.process_time() - started, **seconds})


async def live_and_go(size: int, *, patience: float = 60) -> dict[str, object]:
    """The whole life of a fleet; returns what was counted and when each part of it was reached (seconds)."""
    started = time.monotonic()
    reached: dict[str, object] = {}

    def mark(name: str) -> None:
        reached[name] = round(time.monotonic() - started, 2)

    assert not kept(), "nothing of another test is alive"
    fleet = Fleet(size)
    members = fleet.members
    async with fleet.behind(relay_seed=11) as relay:
        await asyncio.gather(*(member.client.start() for member in members))
        await until(lambda: all(member.device.available for member in members), patience)
        mark("registered")
        await until(lambda: all(member.observed for member in members), patience)
        mark("observed")

        for step in range(ROUNDS):
            for member in members:
                for position, path in enumerate(PATHS):
                    member.set(path, APART * position + step / ROUNDS)
            await asyncio.sleep(0.03)
        for member in members:
            for position, path in enumerate(PATHS):
                member.set(path, APART * position + LAST, confirmable=True)
        await until(lambda: all(member.delivered for member in members), patience)
        mark("delivered")
        for member in members:
            for path in PATHS:
                told = member.seen[path][1:]  # the first is what the device began with
                assert all(before < after for before, after in pairwise(told)), f"{path} went back: {told}"
                assert told[-1] == member.last[path]
        assert relay.up.lost > size, "the network was bad"
        assert relay.down.lost > size / 4

        await go(fleet, relay, patience)
        mark("gone")
        reached |= {
            "notifications": fleet.events["Notification"],
            "datagrams_up": relay.up.seen,
            "datagrams_down": relay.down.seen,
            "lost": relay.up.lost + relay.down.lost,
            "refused": fleet.events["RefusedEvent"],
        }
    assert not tasks()
    assert not timers()
    members.clear()
    del relay
    assert not kept()
    return reached


async def go(fleet: Fleet, relay: Relay, patience: float) -> None:
    """A half deregisters and closes its association; the other half is never heard again."""
    server, members = fleet.server, fleet.members
    endpoint = server._endpoint
    assert endpoint is not None
    leaving, vanishing = members[::2], members[1::2]
    relay.loss = (0.0, 0.1)  # a close_notify is sent once
    await asyncio.gather(*(member.client.leave() for member in leaving))
    await until(lambda: not any(member.device.available for member in leaving), patience)
    assert all(member.device.available for member in vanishing)
    assert fleet.events["Deregistered"] == len(leaving)
    staying = sorted(str(member.client.settings.identity) for member in vanishing)
    await until(lambda: sorted(each.identity.label for each in endpoint.associations()) == staying, patience)
    assert not endpoint.pending_handshakes

    await asyncio.gather(*(member.client.vanish() for member in vanishing))
    fleet.clock.ahead += 24 * 3600
    server.handle_timer()
    assert fleet.events["Expired"] == len(vanishing)
    assert not any(member.device.available for member in members)
    assert not list(server.registrations)
    await until(lambda: not tasks(), patience)
    assert len(timers()) <= 2, "those of lifetimes and of what is kept for duplicates"
