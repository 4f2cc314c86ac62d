"""Last known values of one device, and who is told when one changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from ..protocol.messages import Entry
from ..protocol.path import Path
from ..protocol.value import Value
from .quota import Quota

_LOGGER = logging.getLogger(__name__)

ABSOLUTE = 2**28
"""Times below this many seconds are relative to now (RFC 8428 section 4.5.3)."""

VALUE_SIZE = 256
"""Bytes that one value is taken to need, without the text or the bytes that it holds."""

_SIZED = frozenset((str, bytes))

type Watcher = Callable[[Path], None]


def resolve_times(entries: Sequence[Entry], wall: Callable[[], float]) -> Sequence[Entry]:
    """The same entries with absolute times, oldest first; those without a time are of now and come last."""
    for entry in entries:
        if entry.time is not None:
            break
    else:
        return entries
    now = wall()
    resolved = [
        entry if entry.time is None or entry.time >= ABSOLUTE else entry._replace(time=now + entry.time)
        for entry in entries
    ]
    return sorted(resolved, key=lambda entry: now if entry.time is None else entry.time)


def _size_of(value: object) -> int:
    return VALUE_SIZE + len(value) if isinstance(value, str | bytes) else VALUE_SIZE


class Values:
    """`values` and `times` (seconds since the epoch, where the device gave one) by path; watchers by path."""

    __slots__ = ("__weakref__", "_callbacks", "_quota", "_watchers", "times", "values")

    def __init__(self, quota: Quota) -> None:
        self.values: dict[Path, Value] = {}
        self.times: dict[Path, float] = {}
        self._quota = quota
        self._watchers: dict[Path, list[Watcher]] = {}
        self._callbacks: dict[Path, tuple[Watcher, ...]] = {}

    def count_towards(self, quota: Quota) -> None:
        """From now on the values count towards this quota; all go if it cannot take them."""
        if quota is self._quota:
            return
        size = sum(_size_of(value) for value in self.values.values())
        if not quota.take(size):
            self.values.clear()
            self.times.clear()
        self._quota.take(-size)
        self._quota = quota

    def release(self) -> None:
        """The device is forgotten: its values count no more."""
        self._quota.take(-sum(_size_of(value) for value in self.values.values()))
        self._quota = Quota(0)
        self.values = {}

    def add_watcher(self, path: Path, callback: Watcher) -> None:
        """Call back for changes at and below a path."""
        self._watchers.setdefault(path, []).append(callback)
        self._callbacks.clear()

    def remove_watcher(self, path: Path, callback: Watcher) -> None:
        """Undo `add_watcher`."""
        watchers = self._watchers[path]
        watchers.remove(callback)
        if not watchers:
            del self._watchers[path]
        self._callbacks.clear()

    def store(self, entries: Iterable[Entry]) -> None:
        """Take over entries with absolute times in order; then call watchers, once per path whose value changed.

        What is beyond the quota is passed over.
        """
        values = self.values
        changed: dict[Path, None] = {}
        for path, value, time in entries:
            old = values.get(path)
            kind: type = value.__class__
            # 1, 1.0 and True are equal, and so are not told apart without their types
            if old != value or old.__class__ is not kind:
                if old is None or kind in _SIZED or old.__class__ in _SIZED:
                    before = 0 if old is None else _size_of(old)
                    if not self._quota.take(_size_of(value) - before):
                        continue
                values[path] = value
                changed[path] = None
            if time is not None and path in values:
                self.times[path] = time
            elif self.times:
                self.times.pop(path, None)
        if changed:
            self._tell(changed)

    def replace(self, base: Path, entries: Sequence[Entry]) -> None:
        """As `store`, for entries that are all there is at and below `base`: what they do not name is gone."""
        if len(self.values) > 1 and not (len(entries) == 1 and entries[0].path == base):
            named = {entry.path for entry in entries}
            self.drop(path for path in list(self.values) if base.contains(path) and path not in named)
        self.store(entries)

    def drop(self, paths: Iterable[Path]) -> None:
        """These values are gone; watchers are called for them."""
        dropped = [path for path in paths if path in self.values]
        for path in dropped:
            self._quota.take(-_size_of(self.values.pop(path)))
            self.times.pop(path, None)
        self._tell(dropped)

    def _tell(self, paths: Iterable[Path]) -> None:
        for path in paths:
            callbacks = self._callbacks.get(path)
            if callbacks is None:
                callbacks = self._find(path)
            for callback in callbacks:
                try:
                    callback(path)
                except Exception:
                    _LOGGER.exception("A watcher of %s failed", path)

    def _find(self, path: Path) -> tuple[Watcher, ...]:
        """Watchers at the path and above it; remembered until watchers change."""
        found = tuple(
            watcher for length in range(len(path), -1, -1) for watcher in self._watchers.get(Path(path[:length]), ())
        )
        self._callbacks[path] = found
        return found
