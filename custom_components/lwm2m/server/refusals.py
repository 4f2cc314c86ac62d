"""Refusals counted by reason, and told in the log once per device and reason."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable

from ..security.identity import Identity
from ..security.refusal import Reason, Refusal

_LOGGER = logging.getLogger(__name__)

MAX_DEVICES = 512
"""Devices that are remembered as told of; strangers beyond them are only counted."""
TELL_AGAIN = 3600.0
"""Seconds after which a device makes room for another, and is told of again."""

_AFTER_HANDSHAKE = frozenset({Reason.ENDPOINT_MISMATCH})
"""Reasons that a good handshake does not clear away: only a registration does."""
_BEFORE_HANDSHAKE = frozenset(Reason) - _AFTER_HANDSHAKE

type Device = tuple[str, str]
"""What is known of who was refused: the kind of name, and the name."""


class Refusals:
    """`counts` has every refusal by reason. What it takes is bounded by MAX_DEVICES, whoever calls."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts: Counter[Reason] = Counter()
        self._clock = clock
        self._told: OrderedDict[Device, tuple[float, set[Reason]]] = OrderedDict()

    def add(self, host: str, refusal: Refusal) -> None:
        """Count one, and log it if this device was not refused for this reason lately."""
        self.counts[refusal.reason] += 1
        now = self._clock()
        while self._told and next(iter(self._told.values()))[0] + TELL_AGAIN <= now:
            self._told.popitem(last=False)
        device = _device(host, refusal)
        entry = self._told.get(device)
        if entry is None:
            if len(self._told) >= MAX_DEVICES:
                return
            entry = self._told[device] = (now, set())
        if refusal.reason not in entry[1]:
            entry[1].add(refusal.reason)
            _LOGGER.warning(
                "Refused %s at %s: %s (%s); told once until it gets in", device[1], host, refusal.reason, refusal.detail
            )

    def let_in(self, host: str, identity: Identity, endpoint: str | None, *, registered: bool) -> None:
        """A device completed a handshake (or `registered`): from now on its refusals are news again."""
        names = {("host", host), ("identity", identity.label)}
        if endpoint is not None:
            names.add(("endpoint", endpoint))
        for name in names:
            if (entry := self._told.get(name)) is not None:
                entry[1].difference_update(_AFTER_HANDSHAKE if registered else _BEFORE_HANDSHAKE)
                if not entry[1]:
                    del self._told[name]


def _device(host: str, refusal: Refusal) -> Device:
    # The name that a device with a good credential asks for may be any; who it is has been proven.
    if refusal.endpoint and refusal.reason not in _AFTER_HANDSHAKE:
        return "endpoint", refusal.endpoint
    return ("identity", refusal.identity) if refusal.identity else ("host", host)
