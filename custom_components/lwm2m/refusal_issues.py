"""RefusalIssues: repair issues for devices that are refused again and again, where the user can do something about it.

No issue is made for what has a card or a new credential asked for already: unknown devices, and wrong keys. Whoever
calls costs a fixed amount of memory, and there are never more than a few issues.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from . import issues
from .const import DOMAIN
from .dtls import alert
from .dtls.limiter import Limiter
from .entry_data import OPTIONAL_SUITES
from .security.credential import CredentialError
from .security.identity import fingerprint, printable
from .security.pem import read_certificate
from .security.refusal import Reason, Refusal

if TYPE_CHECKING:
    from .device_runtime import DeviceRuntime
    from .hub import Hub

MAX_ISSUES = 20
MAX_ISSUES_OF_HOSTS = 10
"""Of callers of whom no more is known than where they called from."""

MAX_ISSUES_UNPROVEN = 5
"""Of callers who have not even shown that they are where they seem to be."""

MAX_CASES = 128
"""Refused callers that are remembered, be it with or without such a proof, until they have called often enough."""

CASE_LIFE = 86_400.0
"""Seconds without a refusal after which an issue is withdrawn, and a call begins to count anew."""

CALLS = 2
UNPROVEN_CALLS = 3
"""Calls that it takes to make an issue: who tries once was perhaps only curious."""

UNPROVEN_SPAN = 45.0
"""Seconds from the first of those calls to the last: MAX_TRANSMIT_SPAN, in which a message is only repeated."""

TOLD_EVERY = 60.0
"""Seconds between two changes of what an issue says."""

GUESSES = 3
"""Devices of an address that are named at most."""

NAMED = 12
"""Cipher suites that are named at most."""

OPTIONAL_SUITE = "optional_suite"
NOT_TRUSTED = "not_trusted"
FIXABLE = frozenset({OPTIONAL_SUITE, NOT_TRUSTED, Reason.PLAINTEXT.value})
"""Issues that have a flow (repairs.py)."""

_TOPICS = frozenset(
    {
        Reason.NO_PERMITTED_SUITE,
        Reason.SHA1,
        Reason.KEY_TOO_SMALL,
        Reason.NO_COMMON_GROUP,
        Reason.NO_CLIENT_CERTIFICATE,
        Reason.UNTRUSTED_CERTIFICATE,
        Reason.EXPIRED_CERTIFICATE,
        Reason.PROTOCOL_VERSION,
        Reason.PLAINTEXT,
        Reason.REJECTED_BY_DEVICE,
        Reason.ENDPOINT_MISMATCH,
    }
)
_OF_ENTRIES = frozenset({Reason.UNTRUSTED_CERTIFICATE, Reason.EXPIRED_CERTIFICATE, Reason.ENDPOINT_MISMATCH})
"""Reasons that concern the user only where the device has an entry."""

_DISTRUST = frozenset(map(alert.describe, alert.DISTRUST))
_LEFT = frozenset(map(alert.describe, (alert.CLOSE_NOTIFY, 90, alert.NO_RENEGOTIATION)))
"""Alerts with which a device says no more than that it has changed its mind."""


@dataclass(slots=True)
class _Case:
    """One caller who was refused: times by the server's clock, but `wall` in seconds since the epoch."""

    host: str
    endpoint: str | None
    refusal: Refusal
    first: float
    last: float
    wall: float
    calls: int = 0
    told: float | None = None
    """When its issue was made or changed; None: there is none."""
    named: tuple[str, ...] = ()
    """Endpoints of the devices that the issue names."""

    @property
    def proven(self) -> bool:
        """Whether the caller is where it seems to be."""
        return _is_proven(self.refusal)


def _is_proven(refusal: Refusal) -> bool:
    """Whether a cookie has shown that the caller is where it seems to be."""
    if refusal.reason is Reason.ENDPOINT_MISMATCH:
        return bool(refusal.identity)
    return refusal.reason is not Reason.PLAINTEXT


def can_be_pinned(certificate: bytes) -> bool:
    """Whether a refused certificate could be put on file, so that the user is asked for that."""
    try:
        read_certificate(certificate, dt_util.utcnow())
    except CredentialError:
        return False
    return True


class RefusalIssues:
    """One issue for each device, where it is known, else one for each host and topic."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._cases: dict[str, _Case] = {}
        self._mismatches = Limiter(burst=4, rate=0.1)

    # What the server tells

    @callback
    def async_refused(self, host: str, refusal: Refusal, runtime: DeviceRuntime | None) -> None:
        """Count one more refusal, of a device that has an entry if `runtime` is given."""
        if not self._concerns(host, refusal, runtime):
            return
        context = self._hub.server.context
        now = context.clock()
        issue_id = self._issue_id(host, refusal, runtime)
        case = self._cases.pop(issue_id, None)
        if case is None or now - case.last > CASE_LIFE or self._was_closed(issue_id, case):
            self._make_room(proven=_is_proven(refusal))
            case = _Case(host, None if runtime is None else runtime.endpoint, refusal, now, now, context.wall())
        self._cases[issue_id] = case
        case.host, case.refusal = host, refusal
        case.last, case.wall = now, context.wall()
        case.calls += 1
        if case.told is not None:
            if now - case.told >= TOLD_EVERY:
                self._tell(issue_id, case)
        elif _goes_on(case) and self._has_room(case):
            self._tell(issue_id, case)

    @callback
    def async_let_in(self, endpoint: str, host: str, since: float | None) -> None:
        """A device gave a sign of life; its handshake was at `since` (None: it has no security)."""
        for issue_id, case in list(self._cases.items()):
            mine = case.endpoint == endpoint or (case.endpoint is None and case.host == host)
            if mine and (since is None or since >= case.wall):
                self._close(issue_id)

    @callback
    def async_check(self) -> None:
        """Close what nobody was refused for lately, and what the server permits by now."""
        now = self._hub.server.context.clock()
        suites = frozenset(self._hub.server.suites)
        for issue_id, case in list(self._cases.items()):
            permitted = case.refusal.reason is Reason.NO_PERMITTED_SUITE and not suites.isdisjoint(case.refusal.offered)
            if permitted or now - case.last > CASE_LIFE:
                self._close(issue_id)

    @callback
    def async_forget(self, endpoint: str) -> None:
        """The device has no entry any more."""
        for issue_id, case in list(self._cases.items()):
            if endpoint == case.endpoint or endpoint in case.named:
                self._close(issue_id)

    @callback
    def async_clear(self) -> None:
        """There is no server any more."""
        for issue_id in list(self._cases):
            self._close(issue_id)

    # What is worth an issue

    def _concerns(self, host: str, refusal: Refusal, runtime: DeviceRuntime | None) -> bool:
        """Whether the user should do something about it, and is not asked to yet."""
        if refusal.reason not in _TOPICS or refusal.detail in _LEFT:
            return False
        hass, shown = self._hub.hass, refusal.identity_bytes
        if refusal.reason is Reason.ENDPOINT_MISMATCH and refusal.identity:
            # Whose identity that is takes a look at all devices; who has one may register as often as it likes.
            if not self._mismatches.allow(refusal.identity, self._hub.server.context.clock()):
                return False
            if issues.async_shared_identity(hass, refusal.identity, refusal.endpoint or ""):
                return False
        if runtime is None:
            return refusal.reason not in _OF_ENTRIES
        if runtime.available and runtime.host != host:
            return False  # anybody can call in its name, and it is there
        if refusal.reason is Reason.UNTRUSTED_CERTIFICATE and shown is not None and can_be_pinned(shown):
            return False
        return not any(runtime.entry.async_get_active_flows(hass, {SOURCE_REAUTH}))

    def _has_room(self, case: _Case) -> bool:
        told = [other for other in self._cases.values() if other.told is not None]
        if case.endpoint is None and sum(other.endpoint is None for other in told) >= MAX_ISSUES_OF_HOSTS:
            return False
        if not case.proven and sum(not other.proven for other in told) >= MAX_ISSUES_UNPROVEN:
            return False
        return len(told) < MAX_ISSUES

    def _make_room(self, *, proven: bool) -> None:
        """Forget the caller heard least lately that has no issue, if there are too many of them."""
        waiting = [issue_id for issue_id, case in self._cases.items() if case.told is None and case.proven is proven]
        if len(waiting) >= MAX_CASES:
            del self._cases[waiting[0]]

    # The registry

    def _was_closed(self, issue_id: str, case: _Case) -> bool:
        """Whether the user is done with the issue, so that it takes as much as before to make it again."""
        return case.told is not None and ir.async_get(self._hub.hass).async_get_issue(DOMAIN, issue_id) is None

    def _close(self, issue_id: str) -> None:
        if self._cases.pop(issue_id).told is not None:
            ir.async_delete_issue(self._hub.hass, DOMAIN, issue_id)

    def _tell(self, issue_id: str, case: _Case) -> None:
        refusal, server = case.refusal, self._hub.server
        meant = self._meant(case)
        case.told = case.last
        case.named = tuple(runtime.endpoint for runtime in meant)
        topic, suite = self._topic(refusal)
        name, device = _called([runtime.entry.title for runtime in meant], case)
        ir.async_create_issue(
            self._hub.hass,
            DOMAIN,
            issue_id,
            is_fixable=topic in FIXABLE,
            severity=ir.IssueSeverity.WARNING,
            translation_key=topic,
            translation_placeholders={
                "name": name,
                "device": device,
                "host": case.host,
                "detail": issues.literal(refusal.detail),
                "offered": _listed(refusal.offered),
                "permitted": _listed(server.suites),
                "suite": suite or "",
            },
        )

    def _topic(self, refusal: Refusal) -> tuple[str, str | None]:
        """Return which issue tells of it, and the suite that would help if it were allowed."""
        if refusal.reason is Reason.NO_PERMITTED_SUITE and not issues.is_constrained(self._hub.server.engine_name):
            suite = next((name for name in refusal.offered if name in OPTIONAL_SUITES), None)
            if suite is not None:
                return OPTIONAL_SUITE, suite
        return (NOT_TRUSTED if refusal.detail in _DISTRUST else refusal.reason.value), None

    def _issue_id(self, host: str, refusal: Refusal, runtime: DeviceRuntime | None) -> str:
        """Return what stays the same over calls and restarts. Diagnostics show it, so it does not tell the address."""
        if runtime is not None:
            return f"refused_{runtime.entry.entry_id}"
        topic, _ = self._topic(refusal)
        return f"refused_{topic}_{fingerprint(host.encode())}"

    def _meant(self, case: _Case) -> list[DeviceRuntime]:
        """Return the devices that may be meant, those that are not there first; none if that may be too many."""
        runtimes = self._hub.runtimes
        if case.endpoint is not None:
            return [runtimes[case.endpoint]]
        here = [runtime for runtime in runtimes.values() if runtime.host == case.host]
        here.sort(key=lambda runtime: runtime.available)
        return here if len(here) <= GUESSES else []


def _called(titles: list[str], case: _Case) -> tuple[str, str]:
    """Return what a caller is called in the title of an issue, and in its text, which is Markdown."""
    if case.endpoint is not None:
        return printable(titles[0]), f"`{issues.quoted(titles[0])}`"
    stranger = f"device at `{case.host}`"
    names = ", ".join(f"`{issues.quoted(title)}`" for title in titles)
    return f"A device at {case.host}", f"{names} or another {stranger}" if names else f"A {stranger}"


def _listed(suites: Sequence[str]) -> str:
    """Return names of cipher suites as Markdown, not more than a person reads."""
    named = ", ".join(f"`{name}`" for name in suites[:NAMED])
    return f"{named} …" if len(suites) > NAMED else named or "-"


def _goes_on(case: _Case) -> bool:
    """Whether it called often enough."""
    if case.proven:
        return case.calls >= CALLS
    return case.calls >= UNPROVEN_CALLS and case.last - case.first >= UNPROVEN_SPAN
