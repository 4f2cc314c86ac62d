"""RefusalWatch: what becomes of a refusal in Home Assistant: an event, a count on a device's page, a repair issue.

Anybody can have refusals, as many as they like. So only some of them become events (those left out are counted), only
devices that have an entry are counted, and the issues are few (refusal_issues.py).
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from homeassistant.core import callback

from .dtls.limiter import Limiter
from .refusal_issues import RefusalIssues
from .security.identity import LABEL_LENGTH, printable
from .security.refusal import Refusal
from .server.events import Event, RefusedEvent, Registered, Updated

if TYPE_CHECKING:
    from .device_runtime import DeviceRuntime
    from .hub import Hub

SHOWN_AT_ONCE = 10
"""Refusals that become an event however fast they come."""

SHOWN_EVERY = 5.0
"""Seconds in which one more may become an event."""

type Shown = Callable[[str, Refusal, int], None]
"""Called with the host, the refusal, and how many before it were left out."""


class RefusalWatch:
    """Listens to the server of a hub, from its first start on."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._limiter = Limiter(burst=SHOWN_AT_ONCE, rate=1 / SHOWN_EVERY, share=1, size=1)
        self._listeners: list[Shown] = []
        self._left_out = 0
        self._counts: Counter[str] = Counter()
        self.issues = RefusalIssues(hub)
        hub.server.subscribe(self._on_event, RefusedEvent, Registered, Updated)

    @callback
    def on_shown(self, listener: Shown) -> Callable[[], None]:
        """Call back for refusals, not more often than can be shown; returns the way to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def count_of(self, endpoint: str) -> int:
        """How often whoever called as this device was refused since Home Assistant started."""
        return self._counts[endpoint]

    def runtime(self, label: str | None) -> DeviceRuntime | None:
        """Return the device of an entry that a refusal names; long names are cut there."""
        runtimes = self._hub.runtimes
        if label is None or len(label) < LABEL_LENGTH:
            return runtimes.get(label or "")
        start = label[: LABEL_LENGTH - 1]
        return next(
            (one for name, one in runtimes.items() if name.startswith(start) and printable(name) == label), None
        )

    @callback
    def async_forget(self, endpoint: str) -> None:
        """The device has no entry any more."""
        self._counts.pop(endpoint, None)
        self.issues.async_forget(endpoint)

    @callback
    def _on_event(self, event: Event) -> None:
        match event:
            case RefusedEvent((host, _), refusal):
                self._refused(host, refusal)
            case Registered(device) | Updated(device) if device.registration is not None:
                peer = device.registration.peer
                self.issues.async_let_in(device.endpoint, peer.address[0], peer.security.since)

    def _refused(self, host: str, refusal: Refusal) -> None:
        runtime = self.runtime(refusal.endpoint)
        if runtime is not None:
            self._counts[runtime.endpoint] += 1
        self.issues.async_refused(host, refusal, runtime)
        if not self._limiter.allow(None, self._hub.server.context.clock()):
            self._left_out += 1
            return
        left_out, self._left_out = self._left_out, 0
        for listener in tuple(self._listeners):
            listener(host, refusal, left_out)
        if runtime is not None:
            runtime.async_tell()
