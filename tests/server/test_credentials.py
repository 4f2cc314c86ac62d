"""The parts without a socket: credentials, candidates, unknown peers."""

from __future__ import annotations

import pytest

from custom_components.lwm2m.security.credential import Certificate, Credential, Psk, RawPublicKey, SecurityMode
from custom_components.lwm2m.security.identity import (
    NO_SECURITY,
    CertificateIdentity,
    PskIdentity,
    PublicKeyIdentity,
    fingerprint,
)
from custom_components.lwm2m.security.policy import Reason, Refusal
from custom_components.lwm2m.server import pending as pending_module
from custom_components.lwm2m.server.authorizer import Authorizer
from custom_components.lwm2m.server.errors import IdentityInUseError
from custom_components.lwm2m.server.events import Event, UnknownPeer
from custom_components.lwm2m.server.pending import CandidateState, Pending

from .helpers import KEY, OTHER_KEY

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

    def call(
        self,
        identity: str,
        host: str = "192.0.2.1",
        reason: Reason = Reason.UNKNOWN_IDENTITY,
        data: bytes | None = None,
    ) -> None:
        refusal = Refusal(reason, "d", identity=identity, identity_bytes=data or identity.encode())
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


def test_unknown_peers_are_told_with_their_mode() -> None:
    callers = Callers()
    callers.call("fingerprint", reason=Reason.UNKNOWN_PUBLIC_KEY, data=b"key")
    callers.call("no certificate", reason=Reason.UNTRUSTED_CERTIFICATE, data=b"no certificate")
    callers.pending.unproven("endpoint", "192.0.2.1")
    modes = [unknown.mode for unknown in callers.pending.unknown.values()]
    assert modes == [SecurityMode.RPK, SecurityMode.NOSEC]
    assert callers.told == [fingerprint(b"key"), "endpoint"]


@pytest.mark.parametrize("reason", [Reason.SHA1, Reason.PLAINTEXT, Reason.HANDSHAKE_TIMEOUT, Reason.WRONG_KEY])
def test_other_refusals_are_no_unknown_peers(reason: Reason) -> None:
    callers = Callers()
    callers.call("x", reason=reason)
    refusal = Refusal(Reason.UNKNOWN_IDENTITY, "an empty identity")
    assert callers.pending.refused("192.0.2.1", refusal) is refusal
    assert not callers.told
