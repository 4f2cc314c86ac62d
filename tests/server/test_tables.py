"""The parts without a socket: registrations, turns, formats, values, credentials, unknown peers."""

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
from custom_components.lwm2m.security.credential import Certificate, Credential, Psk, RawPublicKey, SecurityMode
from custom_components.lwm2m.security.identity import (
    NO_SECURITY,
    CertificateIdentity,
    Identity,
    PskIdentity,
    PublicKeyIdentity,
)
from custom_components.lwm2m.security.policy import Reason, Refusal
from custom_components.lwm2m.server import pending as pending_module
from custom_components.lwm2m.server.authorizer import Authorizer
from custom_components.lwm2m.server.errors import DeviceAsleepError, DeviceBusyError, IdentityInUseError
from custom_components.lwm2m.server.events import Event, UnknownPeer
from custom_components.lwm2m.server.formats import Formats, assumed
from custom_components.lwm2m.server.pending import CandidateState, Pending
from custom_components.lwm2m.server.quota import Quota
from custom_components.lwm2m.server.registrations import Registration, Registrations, grace_of, owner_of
from custom_components.lwm2m.server.turns import WAITING_LIMIT, Turns
from custom_components.lwm2m.server.values import VALUE_SIZE, Values, resolve_times

from .helpers import KEY, OTHER_KEY

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


# Credentials


def test_credentials_of_every_kind() -> None:
    authorizer = Authorizer()
    changes: list[str] = []
    authorizer.on_change = lambda endpoint, former, keep: changes.append(f"{endpoint} {former is not None}")
    authorizer.set_credential("a", Psk(b"id", KEY))
    authorizer.set_credential("a", Psk(b"id", KEY))
    authorizer.set_credential("b", RawPublicKey(b"key"))
    authorizer.set_credential("c", Certificate(b"der"))
    authorizer.set_credential("d", Certificate())
    authorizer.set_credential("e", Certificate())
    assert changes == ["a False", "b False", "c False", "d False", "e False"]
    assert set(authorizer.credentials) == set("abcde")
    assert (authorizer.psk(b"id"), authorizer.psk(b"other")) == (KEY, None)
    assert (authorizer.public_key(b"key"), authorizer.public_key(b"id")) == (True, False)
    assert authorizer.certificate(b"der", ("z",)) is True
    assert authorizer.certificate(b"x", ("z", "d")) is None
    assert authorizer.certificate(b"x", ("a",)) is False

    def trusted(*names: str, trusted: bool = True) -> CertificateIdentity:
        return CertificateIdentity(b"x", names[0], names, trusted)

    assert authorizer.endpoint_of(PskIdentity(b"id")) == "a"
    assert authorizer.endpoint_of(PublicKeyIdentity(b"key")) == "b"
    assert authorizer.endpoint_of(CertificateIdentity(b"der", None, (), trusted=False)) == "c"
    assert authorizer.endpoint_of(trusted("d", "z")) == "d"
    assert authorizer.endpoint_of(trusted("d", "e")) is None
    assert authorizer.endpoint_of(trusted("d", trusted=False)) is None
    assert authorizer.endpoint_of(NO_SECURITY) is None
    others: dict[str, Credential] = {"x": Psk(b"id", OTHER_KEY), "y": RawPublicKey(b"key"), "z": Certificate(b"der")}
    for endpoint, credential in others.items():
        with pytest.raises(IdentityInUseError):
            authorizer.set_credential(endpoint, credential)
        assert authorizer.credential(endpoint) is None
    authorizer.set_credential("a", Psk(b"id-2", KEY))
    assert (authorizer.psk(b"id"), authorizer.psk(b"id-2")) == (None, KEY)
    for endpoint in "abcde":
        authorizer.remove_credential(endpoint)
    assert not authorizer.credentials
    assert authorizer.psk(b"id-2") is None
    assert authorizer.public_key(b"key") is False


def test_the_key_of_a_candidate_and_the_one_on_file_take_turns() -> None:
    authorizer = Authorizer()
    pending = Pending(authorizer, clock=lambda: 0.0, wall=lambda: 0.0, emit=lambda _: None, end=lambda _: None)
    authorizer.set_credential("a", Psk(b"id", KEY))
    candidate = pending.watch(Psk(b"id", OTHER_KEY), "a")
    assert authorizer.psk(b"id") == OTHER_KEY
    assert authorizer.proven_candidate(PskIdentity(b"id")) is candidate
    assert authorizer.wrong_key(b"id") == (candidate, "a")
    assert authorizer.psk(b"id") == KEY
    assert authorizer.proven_candidate(PskIdentity(b"id")) is None
    assert authorizer.wrong_key(b"id") == (None, "a")
    assert authorizer.psk(b"id") == OTHER_KEY
    candidate.cancel()
    assert authorizer.psk(b"id") == KEY
    assert authorizer.wrong_key(b"id") == (None, "a")
    assert authorizer.wrong_key(b"other") == (None, None)
    assert authorizer.proven_candidate(NO_SECURITY) is None


def test_no_secret_in_any_representation() -> None:
    authorizer = Authorizer()
    pending = Pending(authorizer, clock=lambda: 0.0, wall=lambda: 0.0, emit=lambda _: None, end=lambda _: None)
    candidate = pending.watch(Psk(b"id", b"topsecret"))
    shown = repr((candidate, candidate.credential, pending, authorizer, authorizer.credentials))
    assert "topsecret" not in shown
    assert b"topsecret".hex() not in shown


def test_listeners_of_a_candidate() -> None:
    told: list[Event] = []
    pending = Pending(Authorizer(), clock=lambda: 0.0, wall=lambda: 7.0, emit=told.append, end=lambda _: None)
    candidate = pending.watch(Psk(b"id", KEY))

    def fail() -> None:
        raise RuntimeError("no")

    candidate.on_change(fail)
    states: list[CandidateState] = []
    candidate.on_change(lambda: states.append(candidate.state))
    pending.refused("192.0.2.1", Refusal(Reason.WRONG_KEY, "d", identity="id", identity_bytes=b"id"))
    candidate.tried(CandidateState.PROVEN, 8.0)
    pending.refused("192.0.2.1", Refusal(Reason.WRONG_KEY, "d", identity="id", identity_bytes=b"id"))
    candidate.registered("a")
    candidate.registered("a")
    candidate.tried(CandidateState.PROVEN, 9.0)
    wrong, proven, registered = CandidateState.WRONG_KEY, CandidateState.PROVEN, CandidateState.REGISTERED
    assert states == [wrong, proven, proven, registered, registered]
    assert len(told) == 5
    assert (candidate.tries, candidate.last_try, candidate.refusal) == (4, 9.0, None)


# Unknown peers


class Callers:
    """Unknown peers that call at a time of the test's choosing."""

    def __init__(self) -> None:
        self.now = 1e9
        self.told: list[str] = []
        self.pending = Pending(
            Authorizer(), clock=lambda: self.now, wall=lambda: self.now, emit=self._emit, end=lambda _: None
        )

    def _emit(self, event: Event) -> None:
        assert isinstance(event, UnknownPeer)
        self.told.append(event.peer.identity)

    def call(self, identity: str, host: str = "192.0.2.1", reason: Reason = Reason.UNKNOWN_IDENTITY) -> None:
        data = identity.encode() if reason is Reason.UNKNOWN_IDENTITY else None
        refusal = Refusal(reason, "d", identity=identity, identity_bytes=data)
        assert self.pending.refused(host, refusal) is refusal


def test_unknown_peers_are_bounded_in_all_and_per_host() -> None:
    callers = Callers()
    for number in range(1000):
        callers.call(f"flood-{number}", "192.0.2.66")
    assert len(callers.pending.unknown) == len(callers.told) == pending_module.UNKNOWN_PER_HOST
    for number in range(1000):
        callers.call(f"many-{number}", f"198.51.100.{number % 250}")
    assert len(callers.pending.unknown) == len(callers.told) == pending_module.UNKNOWN_LIMIT
    callers.now += pending_module.UNKNOWN_STALE
    callers.call("late", "203.0.113.9")
    assert callers.told[-1] == "late"
    assert len(callers.pending.unknown) == pending_module.UNKNOWN_LIMIT


def test_a_flooded_host_makes_room_when_its_own_are_stale() -> None:
    callers = Callers()
    for number in range(20):
        callers.call(f"flood-{number}")
    callers.now += pending_module.UNKNOWN_STALE
    callers.call("real")
    assert callers.told[-1] == "real"
    assert len(callers.pending.unknown) == pending_module.UNKNOWN_PER_HOST


def test_an_unknown_peer_is_told_again_after_some_minutes() -> None:
    callers = Callers()
    for _ in range(10):
        callers.call("one")
        callers.now += pending_module.TELL_AGAIN / 5
    assert callers.told == ["one", "one"]
    (unknown,) = callers.pending.unknown.values()
    assert (unknown.tries, unknown.last - unknown.first) == (10, 540.0)
    assert repr(unknown) == "<Unknown psk 'one' from 192.0.2.1, 10 tries>"


def test_unknown_keys_and_certificates_are_told_with_their_mode() -> None:
    callers = Callers()
    callers.call("fingerprint", reason=Reason.UNKNOWN_PUBLIC_KEY)
    callers.call("name", reason=Reason.UNTRUSTED_CERTIFICATE)
    modes = [unknown.mode for unknown in callers.pending.unknown.values()]
    assert modes == [SecurityMode.RPK, SecurityMode.CERTIFICATE]


@pytest.mark.parametrize("reason", [Reason.SHA1, Reason.PLAINTEXT, Reason.HANDSHAKE_TIMEOUT, Reason.WRONG_KEY])
def test_other_refusals_are_no_unknown_peers(reason: Reason) -> None:
    callers = Callers()
    callers.call("x", reason=reason)
    refusal = Refusal(Reason.UNKNOWN_IDENTITY, "an empty identity")
    assert callers.pending.refused("192.0.2.1", refusal) is refusal
    assert not callers.told
