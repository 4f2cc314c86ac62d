"""Pairing: the wait of a flow for a device to prove a credential, and what came of it."""

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from .hub import Hub
from .mapping.device_info import DEVICE_OBJECT
from .protocol.errors import LwM2MError
from .security.credential import Credential, SecurityMode
from .security.refusal import Reason, Refusal
from .server.events import Event, RefusedEvent
from .server.pending import CandidateState, unknown_key

PATIENCE = 60.0
"""Seconds after which a user is asked whether to go on waiting."""

INTRODUCTION = 5.0
"""Seconds that a device is given to say what it is called, before the dialog goes on without that."""


_SAY_NOTHING = frozenset({Reason.WRONG_KEY, Reason.MALFORMED, Reason.HANDSHAKE_TIMEOUT})
"""Reasons of refusals that the candidate tells of itself, or that help nobody."""

_STRANGERS = {
    SecurityMode.PSK: Reason.UNKNOWN_IDENTITY,
    SecurityMode.RPK: Reason.UNKNOWN_PUBLIC_KEY,
    SecurityMode.CERTIFICATE: Reason.UNTRUSTED_CERTIFICATE,
}
"""How a device is refused that has been given other settings than those on file."""


class Outcome(Enum):
    """What a wait has come to. HINT: a device was refused that may be the one that is waited for."""

    WAITING = auto()
    PROVEN = auto()
    REGISTERED = auto()
    WRONG_KEY = auto()
    HINT = auto()
    REFUSED = auto()
    NO_ANSWER = auto()
    NO_SERVER = auto()


class Hint(NamedTuple):
    """A refusal of a device that may be the one that is waited for; `at` is in seconds since the epoch."""

    host: str
    detail: str
    at: float


class Pairing:
    """A candidate of the server, watched until something is worth telling.

    `endpoint` is the name that the device registered with, None before that. The candidate lives until `adopt` or
    `close`, however often `wait` is called. `hint` tells of the last refusal that may be of the device.
    """

    def __init__(self, hub: Hub, credential: Credential, expected_endpoint: str | None, host: str | None) -> None:
        """Let the credential in; IdentityInUseError if the identity belongs to an endpoint other than the expected.

        `host`: where the device called from, None if it has not called yet.
        """
        self._hub = hub
        self._candidate = hub.server.pending.watch(credential, expected_endpoint)
        self._changed = asyncio.Event()
        self._deadline = 0.0
        self._host = host
        self._strangers = frozenset(hub.server.pending.unknown)
        self.credential = credential
        self.hint: Hint | None = None
        self._told = self._seen
        self._stop = [
            self._candidate.on_change(self._changed.set),
            hub.on_state(self._changed.set),
            hub.server.subscribe(self._refused, RefusedEvent),
        ]
        self.patient()

    @property
    def endpoint(self) -> str | None:
        """The name with which the device registered."""
        return self._candidate.endpoint

    @property
    def claimed(self) -> str:
        """The name with which the device tried to register when it was refused."""
        refusal = self._candidate.refusal
        return (refusal.endpoint if refusal is not None else None) or ""

    @property
    def tries(self) -> int:
        """How often the device called since."""
        return self._candidate.tries

    @property
    def last_try(self) -> float | None:
        """When it did so last, in seconds since the epoch."""
        return self._candidate.last_try

    @property
    def proven(self) -> bool:
        """Whether the device has proven the key; it may not have registered yet."""
        return self._candidate.state in (CandidateState.PROVEN, CandidateState.REGISTERED)

    @property
    def detail(self) -> str:
        """Why the last try failed."""
        refusal = self._candidate.refusal
        return "" if refusal is None else refusal.detail

    @property
    def _seen(self) -> tuple[object, ...]:
        return self._candidate.state, self._candidate.tries, self.hint

    def _refused(self, event: Event) -> None:
        """Somebody was refused: what is told of it may be what is wrong with the device that is waited for."""
        assert isinstance(event, RefusedEvent)
        host, refusal = event.address[0], event.refusal
        if refusal.reason in _SAY_NOTHING or (self._host is not None and host != self._host):
            return
        if refusal.identity is not None and not self._is_news(refusal):
            return
        if self.hint is None or (self.hint.host, self.hint.detail) != (host, refusal.detail):
            self.hint = Hint(host, refusal.detail, self._hub.server.context.wall())
            self._changed.set()

    def _is_news(self, refusal: Refusal) -> bool:
        """Whether a named device is one that calls only since this wait began, with settings of the mode waited for."""
        if self._host is not None or refusal.reason is not _STRANGERS[self.credential.mode]:
            return False
        claim = refusal.identity_bytes or b""
        return unknown_key(self.credential.mode, claim) not in self._strangers

    @property
    def outcome(self) -> Outcome:
        """What the wait has come to by now."""
        state = self._candidate.state
        if self._candidate.endpoint is not None:
            # Whatever happens after that: this device has proven its key and said its name.
            return Outcome.REGISTERED
        if state is CandidateState.FAILED:
            return Outcome.REFUSED
        if self._told[:2] != self._seen[:2]:
            return Outcome.WRONG_KEY if state is CandidateState.WRONG_KEY else Outcome.PROVEN
        if self._told != self._seen:
            return Outcome.HINT
        if not self._hub.has_server:
            return Outcome.NO_SERVER
        return Outcome.NO_ANSWER if self._now() >= self._deadline else Outcome.WAITING

    def patient(self) -> None:
        """Wait for another while."""
        self._deadline = self._now() + PATIENCE

    def told(self) -> None:
        """The present outcome was told: the next one is of a later call."""
        self._told = self._seen

    async def wait(self) -> None:
        """Return at the next outcome, at the deadline at the latest.

        A device that has registered is asked for its name first, so that the dialog can show it.
        """
        while self.outcome is Outcome.WAITING:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._deadline):
                    await self._changed.wait()
        if self.outcome is Outcome.REGISTERED:
            await async_introduce(self._hub, self.endpoint or "")

    def on_registered(self, listener: Callable[[], None]) -> None:
        """Call back once when the device registers, also after `wait` has returned."""

        def changed() -> None:
            if self._candidate.endpoint is not None:
                stop()
                listener()

        stop = self._candidate.on_change(changed)
        self._stop.append(stop)

    def adopt(self) -> str:
        """Hand the proven credential over, with association and registration; returns the endpoint.

        IdentityInUseError or EndpointInUseError if another entry came to have either meanwhile.
        """
        endpoint = self._candidate.adopt()
        self._let_go()
        return endpoint

    def close(self) -> None:
        """Let the credential in no longer."""
        self._candidate.cancel()
        self._let_go()

    def _let_go(self) -> None:
        for stop in self._stop:
            stop()
        self._stop.clear()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def async_introduce(hub: Hub, endpoint: str) -> None:
    """Ask a device for its name and the like, so that its entry can show them; it may not answer."""
    device = hub.server.devices.get(endpoint)
    if device is None or DEVICE_OBJECT not in device.objects:
        return
    with contextlib.suppress(LwM2MError, TimeoutError):
        async with asyncio.timeout(INTRODUCTION):
            await device.read(DEVICE_OBJECT)
