"""The observations of one device: what is wanted, what the device grants, and what to do where it grants nothing.

An observation lives as long as the registration and the association that it was made over. What is wanted outlives
both: `sync` brings the device in line after every registration, update and loss. A path that the device will not
observe is read once after every registration and update instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ..protocol import codec, codes
from ..protocol.content_format import ContentFormat
from ..protocol.errors import LwM2MError, ProtocolError, ResponseError
from ..protocol.messages import Entry
from ..protocol.path import Path
from .events import Notification
from .values import resolve_times

if TYPE_CHECKING:
    from ..coap.messages import Response
    from ..coap.observe import Observation
    from ..coap.remote import Peer
    from .device import Device

_LOGGER = logging.getLogger(__name__)

_decoder = lru_cache(maxsize=4096)(codec.decoder)
"""Devices of one kind share their decoders."""

MOVED_DELAY = 2.0
"""Seconds between a device's new handshake and our requests over it, if it says nothing itself."""

LOST_LIMIT = 3
"""Times that a device may end an observation between two updates before it is no longer asked for it."""

_NOT_READABLE = frozenset((codes.NOT_FOUND, codes.UNAUTHORIZED, codes.FORBIDDEN))
"""Refusals after which a plain read has no better chance."""


class Relation:
    """One wanted path, by `watchers` or by an `explicit` observe.

    `observation` and `peer` are set while it is live; `accept` is the format of notifications that name none.
    `refused`: the device does not grant it, or ended it `lost` times; where it is `readable` all the same, `read_due`
    asks for the next read. `notified_since`: something newer came than the answer that is being looked at.
    """

    __slots__ = (
        "_decode", "_device", "_format", "_garbled", "_named", "accept", "explicit", "lost", "notified_since",
        "observation", "path", "peer", "read_due", "readable", "refused", "watchers",
    )  # fmt: skip

    def __init__(self, device: Device, path: Path) -> None:
        self._device = device
        self.path = path
        self.watchers = 0
        self.explicit = False
        self.accept: int = ContentFormat.TEXT
        self.observation: Observation | None = None
        self.peer: Peer | None = None
        self.notified_since = False
        self.reset()

    def reset(self) -> None:
        """Nothing is known of what the device grants."""
        self.refused = False
        self.lost = 0
        self.readable = True
        self.read_due = False
        self.forget()

    def refuse(self, *, readable: bool, read_due: bool) -> None:
        """The device does not grant it."""
        self.refused = True
        self.readable = readable
        self.read_due = read_due and readable

    def forget(self) -> None:
        """Nothing that was remembered of earlier notifications holds for the next one."""
        self._decode: Callable[[bytes], list[Entry]] | None = None
        self._format: int | None = None
        self._garbled = False
        self._named: list[Path] | None = None

    def drop(self) -> None:
        """Forget the observation here; a notification that still comes is answered with a reset."""
        observation, self.observation, self.peer = self.observation, None, None
        self.forget()
        if observation is not None:
            observation.cancel()

    def notified(self, response: Response) -> None:
        """A notification came (the hot path: once per notification of every device)."""
        self.notified_since = True
        device = self._device
        device.heard()
        content_format = response.content_format
        decode = self._decode
        try:
            if decode is None or content_format != self._format:
                number = self.accept if content_format is None else content_format
                decode = self._decode = _decoder(number, self.path, device.definitions, device.root)
                self._format = content_format
            entries: Sequence[Entry] = decode(response.payload)
        except ProtocolError as error:
            level = logging.DEBUG if self._garbled else logging.WARNING
            _LOGGER.log(level, "%s: notification of %s not understood: %s", device.endpoint, self.path, error)
            self._garbled = True
            return
        entries = resolve_times(entries, device.context.wall)
        self.take(entries)
        context = device.context
        if context.listens(Notification):
            context.emit(Notification(device, self.path, entries))

    def take(self, entries: Sequence[Entry]) -> None:
        """Store all that there is at and below the path; what was named before and is not any more is gone."""
        state = self._device.state
        if len(entries) == 1 and entries[0].path == self.path:
            state.store(entries)
            return
        named = [entry.path for entry in entries]
        if named == self._named:
            state.store(entries)
        else:
            state.replace(self.path, entries)
            self._named = named

    def ended(self, reason: str) -> None:
        """The observation ended without us: an error notification, a reset, a lost association."""
        _LOGGER.debug("%s: observation of %s ended: %s", self._device.endpoint, self.path, reason)
        self.observation = self.peer = None
        self.forget()
        self.lost += 1
        if self.lost >= LOST_LIMIT:
            self.refuse(readable=True, read_due=False)
        self._device.observations.needs_sync = True


class Observations:
    """All relations of one device. `needs_sync` asks for a sync at the device's next sign of life."""

    __slots__ = ("_again", "_device", "_relations", "_task", "_timer", "needs_sync")

    def __init__(self, device: Device) -> None:
        self._device = device
        self._relations: dict[Path, Relation] = {}
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._again = False
        self.needs_sync = False

    def __iter__(self) -> Iterator[Relation]:
        return iter(self._relations.values())

    def __len__(self) -> int:
        return len(self._relations)

    def get(self, path: Path) -> Relation | None:
        """The relation of exactly this path."""
        return self._relations.get(path)

    def covers(self, path: Path) -> bool:
        """Whether changes at this path are reported by a live observation at or above it."""
        return any(
            (relation := self._relations.get(Path(path[:length]))) is not None and relation.observation is not None
            for length in range(len(path), -1, -1)
        )

    def want(self, path: Path) -> Relation:
        """The relation of this path, made where there is none."""
        relation = self._relations.get(path)
        if relation is None:
            relation = self._relations[path] = Relation(self._device, path)
        return relation

    def release(self, relation: Relation) -> None:
        """Forget it where nobody wants it any more."""
        if not relation.watchers and not relation.explicit and self._relations.get(relation.path) is relation:
            del self._relations[relation.path]
            relation.drop()

    def registered(self) -> None:
        """A new registration: what was granted and refused under the old one no longer counts."""
        for relation in self._relations.values():
            relation.drop()
            relation.reset()

    def updated(self, objects_changed: bool) -> None:
        """After an update: what went missing is established again, what is refused is read again."""
        for relation in self._relations.values():
            if objects_changed or relation.lost >= LOST_LIMIT:
                relation.reset()
            relation.lost = 0
            relation.read_due = relation.refused and relation.readable
        self.sync()

    def ended(self) -> None:
        """The registration is gone."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._stop_timer()
        self.needs_sync = False
        self.registered()

    def moved(self) -> None:
        """The device has a new association and may or may not say more: wait a moment for its update, then sync."""
        self.needs_sync = True
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(MOVED_DELAY, self.sync)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sync(self) -> None:
        """Establish what is wanted and not live, in the background."""
        self.needs_sync = False
        self._stop_timer()
        if self._task is not None:
            self._again = True
        elif any(self._lacks(relation) for relation in self._relations.values()):
            self._task = asyncio.get_running_loop().create_task(self._sync(), name=f"observe {self._device.endpoint}")

    def _lacks(self, relation: Relation) -> bool:
        """Whether there is something to ask the device for."""
        registration = self._device.registration
        if registration is None or not self._device.has(relation.path):
            return False
        if relation.refused:
            return relation.read_due
        return relation.observation is None or relation.peer is not registration.peer

    async def _sync(self) -> None:
        try:
            self._again = True
            while self._again:
                self._again = False
                for relation in list(self._relations.values()):
                    for _ in range(2):  # what is refused is read at once
                        if not self._lacks(relation) or self._relations.get(relation.path) is not relation:
                            break
                        if not await self._serve(relation):
                            self.needs_sync = True
                            break
        finally:
            if self._task is asyncio.current_task():
                self._task = None

    async def _serve(self, relation: Relation) -> bool:
        """One attempt to observe, or to read what is refused; False if it should be tried again later."""
        device, path = self._device, relation.path
        try:
            if relation.refused:
                relation.read_due = False
                await device.refresh(path)
            else:
                entries = await self.establish(relation, wait=None)
                first = relation.observation is not None and not relation.notified_since
                if first and device.context.listens(Notification):
                    device.context.emit(Notification(device, path, entries))
        except (ResponseError, ProtocolError) as error:
            _LOGGER.info("%s: %s cannot be observed or read: %s", device.endpoint, path, error)
            relation.readable = relation.read_due  # False once the read itself was refused
        except LwM2MError as error:
            _LOGGER.info("%s: %s is not observed for now: %s", device.endpoint, path, error)
            return False
        return True

    async def establish(self, relation: Relation, *, wait: float | None) -> Sequence[Entry]:
        """Observe the path of a relation over the present association; returns the values of the first answer.

        `relation.refused` is set where the device answers with an error, which is raised, or without observing.
        """
        downlink = self._device.downlink
        relation.drop()
        relation.notified_since = False
        try:
            entries = await downlink.negotiate(relation.path, lambda accept: downlink.observe(relation, accept, wait))
        except ResponseError as error:
            relation.refuse(readable=error.code not in _NOT_READABLE, read_due=True)
            raise
        except ProtocolError:
            relation.drop()
            relation.refuse(readable=False, read_due=False)
            raise
        if relation.observation is None:
            relation.refuse(readable=True, read_due=False)
        if not relation.notified_since:
            relation.take(entries)
        return entries
