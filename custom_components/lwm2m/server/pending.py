"""Peers that called without a credential, and candidates: credentials that wait to be proven by the device itself."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..protocol.errors import LwM2MError
from ..security.certificate import names_of
from ..security.credential import Certificate, Credential, CredentialError, Psk, RawPublicKey, SecurityMode
from ..security.identity import fingerprint, printable
from ..security.pem import read_certificate
from ..security.policy import Reason, Refusal
from .errors import EndpointInUseError, IdentityInUseError
from .events import CandidateChanged, UnknownPeer

if TYPE_CHECKING:
    from ..coap.remote import Peer
    from .authorizer import Authorizer
    from .events import Event

_LOGGER = logging.getLogger(__name__)

UNKNOWN_LIMIT = 20
UNKNOWN_PER_HOST = 10
UNKNOWN_STALE = 3600.0
"""Seconds of silence after which an unknown peer makes room for another."""
TELL_AGAIN = 300.0
"""Seconds between two UnknownPeer events of one key."""

_OF_CERTIFICATES = frozenset(
    {Reason.UNTRUSTED_CERTIFICATE, Reason.EXPIRED_CERTIFICATE, Reason.SHA1, Reason.KEY_TOO_SMALL}
)


def unknown_key(mode: SecurityMode, identity_bytes: bytes) -> str:
    """The key of an unknown peer: short whatever the peer sends."""
    said = identity_bytes.hex() if mode is SecurityMode.PSK else sha256(identity_bytes).hexdigest()
    return f"{mode}:{said}"


class Unknown:
    """A peer that called with an identity for which nothing is on file.

    `key` (mode and identity) stays the same over calls, addresses and restarts. `identity` is what people call it by:
    PSK identity, fingerprint of its raw public key, name in its certificate, or (NoSec) endpoint name; it is sanitised
    and not proven. `identity_bytes` is that of Refusal, or the endpoint name. `first` and `last` are seconds since the
    epoch.
    """

    __slots__ = ("first", "host", "identity", "identity_bytes", "key", "last", "mode", "told_at", "tries")

    def __init__(self, mode: SecurityMode, identity: str, identity_bytes: bytes, host: str, now: float) -> None:
        self.key = unknown_key(mode, identity_bytes)
        self.mode = mode
        self.identity = identity
        self.identity_bytes = identity_bytes
        self.host = host
        self.first = now
        self.last = now
        self.tries = 0
        self.told_at: float | None = None

    def __repr__(self) -> str:
        return f"<Unknown {self.mode} {self.identity!r} from {self.host}, {self.tries} tries>"


class CandidateState(StrEnum):
    """waiting -> (wrong_key ->) proven -> registered; failed: the registration was refused (`refusal` says why)."""

    WAITING = "waiting"
    WRONG_KEY = "wrong_key"
    PROVEN = "proven"
    REGISTERED = "registered"
    FAILED = "failed"


class Candidate:
    """A credential that is let in until it is adopted or cancelled.

    `tries` counts the device's handshakes with its identity (of a certificate: with one that names the endpoint).
    `last_try` is when the last one ended (seconds since the epoch). `endpoint` is what the device registered as, `peer`
    its association (None: gone again), `refusal` why the last try failed.
    """

    __slots__ = (
        "_listeners", "_pending", "credential", "endpoint", "expected_endpoint", "has_turn", "last_try", "peer",
        "refusal", "state", "tries",
    )  # fmt: skip

    def __init__(self, pending: Pending, credential: Credential, expected_endpoint: str | None) -> None:
        self._pending = pending
        self._listeners: list[Callable[[], None]] = []
        self.credential = credential
        self.expected_endpoint = expected_endpoint
        self.endpoint: str | None = None
        self.state = CandidateState.WAITING
        self.tries = 0
        self.last_try: float | None = None
        self.refusal: Refusal | None = None
        self.peer: Peer | None = None
        self.has_turn = True
        """Beside a credential of the same identity: the next handshake is tried with this key, not the one on file."""

    def __repr__(self) -> str:
        return f"<Candidate {self.credential.mode} {self.state} after {self.tries} tries>"

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every change of state, tries, endpoint or peer; returns the way to stop that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def adopt(self) -> str:
        """Make it the credential of its endpoint (the one it registered as, else the expected one), and return that.

        Association and registration go on. A former credential of the endpoint ends. Raises LwM2MError if no endpoint
        is known, IdentityInUseError if the identity is on file for another one, EndpointInUseError if an endpoint that
        was not expected has a credential already.
        """
        return self._pending.adopt(self)

    def cancel(self) -> None:
        """Let it in no longer; association and registration that it opened end. After `adopt` this does nothing."""
        self._pending.cancel(self)

    # -- called by the server

    def tried(self, state: CandidateState, now: float, *, refusal: Refusal | None = None) -> None:
        """A handshake ended; once proven, a wrong key (anybody can send one) is counted and changes nothing else."""
        self.tries += 1
        self.last_try = now
        if state is not CandidateState.WRONG_KEY or self.state in (CandidateState.WAITING, CandidateState.WRONG_KEY):
            self.refusal = refusal
            if self.state is not CandidateState.REGISTERED:
                self.state = state
        self.changed()

    def registered(self, endpoint: str) -> None:
        """The device registered, or updated, under this name."""
        if self.state is not CandidateState.REGISTERED or self.endpoint != endpoint:
            self.state = CandidateState.REGISTERED
            self.endpoint = endpoint
            self.refusal = None
            self.changed()

    def failed(self, refusal: Refusal) -> None:
        """Its registration was refused."""
        self.state = CandidateState.FAILED
        self.refusal = refusal
        self.changed()

    def changed(self) -> None:
        """Tell the listeners."""
        for callback in tuple(self._listeners):
            try:
                callback()
            except Exception:
                _LOGGER.exception("A listener to a candidate failed")
        self._pending.emit(CandidateChanged(self))


class Pending:
    """Bounded: at most UNKNOWN_LIMIT unknown peers, UNKNOWN_PER_HOST of them from one host."""

    def __init__(
        self,
        authorizer: Authorizer,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        emit: Callable[[Event], None],
        end: Callable[[Candidate], None],
    ) -> None:
        self._authorizer = authorizer
        self._clock = clock
        self._wall = wall
        self._end = end
        self._unknown: dict[str, Unknown] = {}
        self._candidates: list[Candidate] = []
        self.emit = emit

    @property
    def unknown(self) -> Mapping[str, Unknown]:
        """By key, those that called lately."""
        return MappingProxyType(self._unknown)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Those that are neither adopted nor cancelled."""
        return tuple(self._candidates)

    def forget(self, key: str) -> None:
        """Drop an unknown peer; its next call is told at once."""
        self._unknown.pop(key, None)

    def awaits(self, endpoint: str) -> bool:
        """Whether a candidate is to be this endpoint, or has said that it is."""
        return any(endpoint in (candidate.expected_endpoint, candidate.endpoint) for candidate in self._candidates)

    def is_live(self, candidate: Candidate) -> bool:
        """Neither adopted nor cancelled."""
        return candidate in self._candidates

    def watch(self, credential: Credential, expected_endpoint: str | None = None) -> Candidate:
        """Let this credential in and see what comes. One that was watched for the same identity is cancelled.

        "Any certificate of a trusted CA" needs an expected endpoint, whose name the certificate must carry: ValueError.
        Raises IdentityInUseError if the identity is on file for an endpoint other than the expected one.
        """
        if credential == Certificate() and not expected_endpoint:
            raise ValueError("a certificate of a trusted CA is of a named endpoint")
        endpoint = self._authorizer.holder(credential)
        if endpoint is not None and endpoint != expected_endpoint:
            raise IdentityInUseError(endpoint)
        candidate = Candidate(self, credential, expected_endpoint)
        if (former := self._authorizer.add_candidate(candidate)) is not None:
            self.cancel(former)
        self._candidates.append(candidate)
        match credential:
            case Psk():
                self.forget(unknown_key(credential.mode, credential.identity))
            case RawPublicKey():
                self.forget(unknown_key(credential.mode, credential.public_key))
            case Certificate(certificate=bytes(pinned)):
                self.forget(unknown_key(credential.mode, pinned))
        return candidate

    def adopt(self, candidate: Candidate) -> str:
        """See Candidate.adopt."""
        endpoint = candidate.endpoint or candidate.expected_endpoint
        if endpoint is None:
            raise LwM2MError("the device has not said yet what its endpoint name is")
        if candidate in self._candidates:
            filed = self._authorizer.credential(endpoint)
            if filed is not None and endpoint != candidate.expected_endpoint:
                raise EndpointInUseError(endpoint)
            self._authorizer.set_credential(endpoint, candidate.credential, keep=candidate.peer)
            self._drop(candidate)
        return endpoint

    def cancel(self, candidate: Candidate) -> None:
        """See Candidate.cancel."""
        if candidate in self._candidates:
            self._drop(candidate)
            self._end(candidate)

    def _drop(self, candidate: Candidate) -> None:
        self._candidates.remove(candidate)
        self._authorizer.drop_candidate(candidate)

    def refused(self, host: str, refusal: Refusal) -> Refusal:
        """Take in a refused handshake; returns it with the endpoint filled in where the identity is on file."""
        identity = refusal.identity_bytes
        if identity is None:
            return refusal
        endpoint = refusal.endpoint
        match refusal.reason:
            case Reason.WRONG_KEY:
                candidate, endpoint = self._authorizer.wrong_key(identity)
                if candidate is not None:
                    candidate.tried(CandidateState.WRONG_KEY, self._wall(), refusal=refusal)
            case Reason.UNKNOWN_IDENTITY:
                self._note(SecurityMode.PSK, printable(identity), identity, host)
            case Reason.UNKNOWN_PUBLIC_KEY:
                self._note(SecurityMode.RPK, fingerprint(identity), identity, host)
            case reason if reason in _OF_CERTIFICATES:
                endpoint = self._refused_certificate(host, refusal, identity)
        return refusal if endpoint is None else replace(refusal, endpoint=printable(endpoint))

    def _refused_certificate(self, host: str, refusal: Refusal, certificate: bytes) -> str | None:
        """The endpoint on file that it claims to be of. A stranger's is noted only where pinning it would help."""
        _, names = names_of(certificate) or (None, ())
        if (candidate := self._authorizer.candidate_of_certificate(names)) is not None:
            candidate.tried(CandidateState.WRONG_KEY, self._wall(), refusal=refusal)
        endpoint = self._authorizer.endpoint_named(names)
        if endpoint is None and candidate is None and refusal.reason is Reason.UNTRUSTED_CERTIFICATE:
            try:
                read_certificate(certificate, dt.datetime.fromtimestamp(self._wall(), dt.UTC))
            except CredentialError:
                return None
            label = printable(names[0]) if names else fingerprint(certificate)
            self._note(SecurityMode.CERTIFICATE, label, certificate, host)
        return endpoint

    def unproven(self, endpoint: str, host: str) -> None:
        """A device has registered without security, under a name that nobody expects."""
        self._note(SecurityMode.NOSEC, printable(endpoint), endpoint.encode(), host)

    def _note(self, mode: SecurityMode, identity: str, identity_bytes: bytes, host: str) -> None:
        now = self._wall()
        unknown = self._unknown.get(unknown_key(mode, identity_bytes))
        if unknown is None:
            if not self._make_room(host, now):
                return
            unknown = Unknown(mode, identity, identity_bytes, host, now)
            self._unknown[unknown.key] = unknown
        unknown.tries += 1
        unknown.last = now
        unknown.host = host
        clock = self._clock()
        if unknown.told_at is None or clock - unknown.told_at >= TELL_AGAIN:
            unknown.told_at = clock
            self.emit(UnknownPeer(unknown))

    def _make_room(self, host: str, now: float) -> bool:
        """Whether one more from this host may be kept, after dropping a stale one where that is needed."""
        for limit, those in (
            (UNKNOWN_PER_HOST, [peer for peer in self._unknown.values() if peer.host == host]),
            (UNKNOWN_LIMIT, list(self._unknown.values())),
        ):
            if len(those) >= limit:
                oldest = min(those, key=lambda peer: peer.last)
                if now - oldest.last < UNKNOWN_STALE:
                    return False
                del self._unknown[oldest.key]
        return True
