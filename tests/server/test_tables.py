"""The parts without a socket: registrations, turns, formats, values."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st

from custom_components.lwm2m.coap.remote import Peer, PeerSecurity
from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.protocol.errors import PeerGone, RequestTimeout
from custom_components.lwm2m.protocol.messages import Entry, RegisterRequest, UpdateRequest
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.security.identity import (
    NO_SECURITY,
    Identity,
    PskIdentity,
)
from custom_components.lwm2m.server.errors import DeviceAsleepError, DeviceBusyError
from custom_components.lwm2m.server.formats import Formats, assumed
from custom_components.lwm2m.server.quota import Quota
from custom_components.lwm2m.server.registrations import Registration, Registrations, grace_of, owner_of
from custom_components.lwm2m.server.turns import WAITING_LIMIT, Turns
from custom_components.lwm2m.server.values import VALUE_SIZE, Values, resolve_times

# Registrations


def peer(identity: Identity = NO_SECURITY, port: int = 1) -> Peer:
    security = PeerSecurity(identity.mode, None, identity)
    return Peer(cast(Any, SimpleNamespace()), NetworkPath(("127.0.0.1", port), None), security, 0.0)


def registration(
    endpoint: str, lifetime: int, now: float, table: Registrations, owner: Peer | None = None
) -> Registration:
    request = RegisterRequest.parse([f"ep={endpoint}", f"lt={lifetime}"], b"</3/0>")
    made = Registration(table.new_location(), endpoint, owner or peer(), request, now)
    table.add(made)
    return made


def update(lifetime: int | None = None) -> UpdateRequest:
    return UpdateRequest.parse([] if lifetime is None else [f"lt={lifetime}"], b"", "1.0")


def ended(table: Registrations, now: float) -> list[str]:
    gone: list[str] = []
    table.expire(now, lambda each: gone.append(each.endpoint))
    return gone


def test_owner() -> None:
    assert owner_of(peer(port=1)) == owner_of(peer(port=1)) != owner_of(peer(port=2))
    assert (
        owner_of(peer(PskIdentity(b"a"), 1))
        == owner_of(peer(PskIdentity(b"a"), 2))
        != owner_of(peer(PskIdentity(b"b")))
    )


def test_grace() -> None:
    assert [grace_of(lifetime) for lifetime in (1, 60, 86400)] == [5.0, 12.0, 93.0]


def test_lookups() -> None:
    table = Registrations(2, Quota(1 << 20))
    assert table.next_timer() is None
    first = registration("a", 60, 0, table)
    second = registration("b", 60, 0, table)
    assert table.has_room("a", first.owner, 1)
    assert not table.has_room("c", first.owner, 1)
    assert table.at(first.location) is first
    assert table.of_endpoint("b") is second
    assert table.of_owner(first.owner) == [first, second]
    assert list(table) == [first, second]
    table.remove(first)
    assert table.of_owner(first.owner) == [second]
    table.remove(second)
    assert (len(table), table.of_owner(first.owner), table.at(first.location)) == (0, [], None)
    assert ended(table, 1e9) == []


def test_expiry_follows_updates() -> None:
    table = Registrations(100, Quota(1 << 20))
    one = registration("a", 60, 0, table)
    registration("b", 100, 0, table)
    assert table.next_timer() == 72
    one.update(update(), 50)
    table.reschedule(one)
    assert ended(table, 72) == []
    assert table.next_timer() == 120
    assert ended(table, 120) == ["b"]
    one.update(update(10), 121)
    table.reschedule(one)
    assert table.next_timer() == 122
    assert ended(table, 135.9) == []
    assert table.next_timer() == 136
    assert ended(table, 136) == ["a"]
    assert table.next_timer() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 1000), st.integers(0, 300)), max_size=60))
def test_expiry_is_never_early_and_never_late(steps: list[tuple[int, int, int]]) -> None:
    """Whatever order of updates with longer and shorter lifetimes: each ends at its own time."""
    table = Registrations(100, Quota(1 << 20))
    now = 0.0
    held: dict[str, Registration] = {}
    for endpoint, lifetime, passed in steps:
        now += passed
        expected = {name for name, each in held.items() if each.ends_at <= now}
        assert set(ended(table, now)) == expected
        for name in expected:
            del held[name]
        name = str(endpoint)
        if name in held:
            held[name].update(update(lifetime), now)
            table.reschedule(held[name])
        else:
            held[name] = registration(name, lifetime, now, table)
        due = table.next_timer()
        assert due is not None
        assert due <= min(each.ends_at for each in held.values())


def test_the_heap_stays_small() -> None:
    table = Registrations(100, Quota(1 << 20))
    one = registration("a", 100_000, 0, table)
    for lifetime in range(99_999, 90_000, -1):
        one.update(update(lifetime), 0)
        table.reschedule(one)
    assert len(table._heap) < 100
    assert table.next_timer() == one.ends_at


def test_registrations_without_security_keep_to_their_quota() -> None:
    quota = Quota(2 * 4096 + 1000)
    table = Registrations(100, quota)
    first = registration("a", 60, 0, table)
    assert quota.used == first.size > 4096
    assert table.has_room("b", first.owner, 1)
    assert not table.has_room("b", first.owner, 3)
    assert table.has_room("a", first.owner, 10)
    assert table.has_room("b", PskIdentity(b"id"), 10_000)
    first.update(UpdateRequest.parse([], b"</3/0>,</4/0>", "1.0"), 0)
    table.count(first)
    assert quota.used == first.size == 4096 + 2 + 2 * 384
    table.remove(first)
    assert quota.used == 0


def test_locations_are_never_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Registrations(100, Quota(1 << 20))
    tokens = iter(("one", "one", "two"))
    monkeypatch.setattr("secrets.token_hex", lambda _: next(tokens))
    assert [registration(endpoint, 60, 0, table).location for endpoint in "ab"] == ["one", "two"]


# Turns


async def test_turns_are_in_order_and_limited() -> None:
    turns = Turns(2, lambda: True)
    order: list[int] = []
    go = asyncio.Event()

    async def work(number: int) -> None:
        async with await turns.take(None):
            order.append(number)
            await go.wait()

    tasks = [asyncio.ensure_future(work(number)) for number in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == [0, 1]
    assert turns.waiting == 3
    go.set()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert turns.waiting == 0


async def test_turns_that_end_otherwise() -> None:
    awake = [False]
    turns = Turns(1, lambda: awake[0])
    with pytest.raises(DeviceAsleepError, match="sleeps"):
        await turns.take(0)
    waiting = asyncio.ensure_future(turns.take(None))
    await asyncio.sleep(0)
    turns.fail(lambda: PeerGone("gone"))
    with pytest.raises(PeerGone):
        await waiting
    awake[0] = True
    turn = await turns.take(None)
    with pytest.raises(RequestTimeout, match="other requests"):
        await turns.take(0)
    async with turn:
        pass
    async with await turns.take(0):
        pass


async def test_a_turn_that_comes_in_the_moment_of_leaving_is_passed_on() -> None:
    turns = Turns(1, lambda: True)
    first = await turns.take(None)
    leaving = asyncio.ensure_future(turns.take(None))
    next_one = asyncio.ensure_future(turns.take(None))
    await asyncio.sleep(0)
    async with first:
        pass
    leaving.cancel()
    async with await next_one:
        assert leaving.cancelled()


async def test_too_many_wait() -> None:
    turns = Turns(1, lambda: False)
    tasks = [asyncio.ensure_future(turns.take(None)) for _ in range(WAITING_LIMIT)]
    await asyncio.sleep(0)
    with pytest.raises(DeviceBusyError):
        await turns.take(None)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert turns.waiting == 0


# Formats


def test_formats_begin_with_what_was_registered() -> None:
    assert Formats("1.0").to_read(3) == [11542, 11543, 0, None]
    assert Formats("1.0").to_read(2) == [11542, 11543, None]
    assert Formats("1.1").to_read(4) == [112, 110, 11542, 0, 11543, None]
    assert Formats("1.1", [110]).to_read(1)[:2] == [110, 112]
    assert Formats("1.2", [11544, 9999]).to_read(2) == [11544, 112, 110, 11542, 11543, None]
    assert Formats("1.0", [1543]).to_read(2)[0] == 11543
    assert (Formats("1.0").composite, Formats("1.1").composite) == (False, True)


def test_formats_remember_by_level() -> None:
    formats = Formats("1.1")
    formats.can_read(4, 0)
    assert formats.to_read(3)[0] == 0
    assert formats.to_read(2)[0] == 112
    assert formats.to_write(3, single=True)[0] == 0
    assert formats.to_write(3, single=False)[0] == 112
    formats.can_write(3, 11542)
    assert formats.to_write(3, single=True)[0] == 11542
    formats.can_read(2, None)
    assert formats.to_read(2)[0] is None
    assert formats.to_write(2, single=False)[0] == 112
    assert [formats.knows_read(level) for level in (1, 2, 3, 4)] == [False, True, True, True]
    assert [formats.knows_write(level) for level in (2, 3)] == [False, True]


def test_the_format_of_an_answer_that_names_none() -> None:
    assert [assumed(112, 2, "1.0"), assumed(None, 3, "1.0"), assumed(None, 2, "1.0"), assumed(None, 1, "1.1")] == [
        112,
        0,
        11542,
        112,
    ]


# Values


def entries(*pairs: tuple[str, Any]) -> list[Entry]:
    return [Entry(Path.parse(path), value) for path, value in pairs]


def test_values_tell_changes_once_and_types_apart() -> None:
    values = Values(Quota(1 << 20))
    calls: list[str] = []
    values.add_watcher(Path((3303,)), lambda path: calls.append(str(path)))
    values.store(entries(("/3303/0/5700", 1), ("/3303/0/5700", 2), ("/3304/0/5700", 1)))
    assert calls == ["/3303/0/5700"]
    values.store(entries(("/3303/0/5700", 2)))
    assert len(calls) == 1
    for value in (2.0, True, 1, 1.0):
        values.store(entries(("/3303/0/5700", value)))
    assert len(calls) == 5


def test_values_keep_to_their_quota() -> None:
    quota = Quota(10 * VALUE_SIZE)
    values = Values(quota)
    values.store(Entry(Path((1, 0, number)), number, float(number)) for number in range(20))
    assert len(values.values) == len(values.times) == 10
    values.store(entries(("/1/0/0", "x" * 9), ("/1/0/1", 77)))
    assert (values.values[Path((1, 0, 0))], values.values[Path((1, 0, 1))]) == (0, 77)
    values.drop([Path((1, 0, 9)), Path((1, 0, 99))])
    assert quota.used == 9 * VALUE_SIZE
    values.store(entries(("/1/0/0", "x" * VALUE_SIZE)))
    assert quota.used == quota.limit
    values.store(entries(("/1/0/0", b"xx")))
    assert quota.used == 9 * VALUE_SIZE + 2
    values.store(entries(("/1/0/0", 1.5)))
    assert quota.used == 9 * VALUE_SIZE
    larger = Quota(20 * VALUE_SIZE)
    values.count_towards(larger)
    values.count_towards(larger)
    assert (quota.used, larger.used, len(values.values)) == (0, 9 * VALUE_SIZE, 9)
    values.count_towards(Quota(VALUE_SIZE))
    assert (larger.used, len(values.values), len(values.times)) == (0, 0, 0)
    values.count_towards(larger)
    values.store(entries(("/1/0/0", 1)))
    values.release()
    assert (larger.used, values.values) == (0, {})
    values.store(entries(("/1/0/0", 1)))
    assert values.values == {}


def test_replace_drops_what_is_not_named() -> None:
    values = Values(Quota(1 << 20))
    values.store(entries(("/3/0/7/0", 1), ("/3/0/7/1", 2), ("/3/0/8/0", 3)))
    values.store([Entry(Path((3, 0, 7, 1)), 2, 100.0)])
    calls: list[str] = []
    values.add_watcher(Path(), lambda path: calls.append(str(path)))
    values.replace(Path((3, 0, 7)), entries(("/3/0/7/0", 1)))
    assert values.values == {Path((3, 0, 7, 0)): 1, Path((3, 0, 8, 0)): 3}
    assert calls == ["/3/0/7/1"]
    assert not values.times
    values.replace(Path((3, 0, 7)), [])
    assert values.values == {Path((3, 0, 8, 0)): 3}


def test_times_become_absolute_and_in_order() -> None:
    path = Path((3303, 0, 5700))
    untimed = [Entry(path, 1)]
    assert resolve_times(untimed, lambda: 1e9) is untimed
    timed = [Entry(path, 1), Entry(path, 2, -5.0), Entry(path, 3, 2.0**28), Entry(path, 4, 0.0)]
    assert resolve_times(timed, lambda: 1e9) == [
        Entry(path, 3, 2.0**28),
        Entry(path, 2, 1e9 - 5),
        Entry(path, 1),
        Entry(path, 4, 1e9),
    ]
