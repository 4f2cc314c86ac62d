"""Whose turn it is to send to a device: few at a time, none while it sleeps, and not too many waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from ..protocol.errors import LwM2MError, RequestTimeout
from .errors import DeviceAsleepError, DeviceBusyError

WAITING_LIMIT = 200
"""Requests that may wait for one device."""


class Turns:
    """First come, first served; `may_send` says whether the device can be reached, call `pump` when that changes."""

    __slots__ = ("_active", "_may_send", "_waiting", "limit")

    def __init__(self, limit: int, may_send: Callable[[], bool]) -> None:
        self.limit = limit
        self._active = 0
        self._may_send = may_send
        self._waiting: list[asyncio.Future[None]] = []  # an empty deque takes 760 bytes of every device

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def take(self, patience: float | None) -> Turn:
        """Wait for a turn, as `async with await turns.take(…)`; at most `patience` seconds (None: for ever).

        Raises DeviceBusyError at once if too many wait, DeviceAsleepError or RequestTimeout when the time is over, or
        what `fail` was given.
        """
        if self._active < self.limit and not self._waiting and self._may_send():
            self._active += 1
            return Turn(self)
        if len(self._waiting) >= WAITING_LIMIT:
            raise DeviceBusyError(f"{len(self._waiting)} requests wait for this device already")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(patience):
                await future
        except TimeoutError:
            self._leave(future)
            if self._may_send():
                raise RequestTimeout(f"other requests to this device took all of {patience:.0f} s") from None
            raise DeviceAsleepError(f"the device sleeps and did not call within {patience:.0f} s") from None
        except BaseException:
            self._leave(future)
            raise
        return Turn(self)

    def _leave(self, future: asyncio.Future[None]) -> None:
        if future in self._waiting:
            self._waiting.remove(future)
        elif future.done() and not future.cancelled() and future.exception() is None:
            self.give_back()  # the turn came in the moment of leaving

    def give_back(self) -> None:
        """A turn is over."""
        self._active -= 1
        self.pump()

    def pump(self) -> None:
        """Let those go whose turn it is."""
        waiting = self._waiting
        while waiting and self._active < self.limit and self._may_send():
            future = waiting.pop(0)
            if not future.done():
                self._active += 1
                future.set_result(None)

    def fail(self, error: Callable[[], LwM2MError]) -> None:
        """End all that wait, each with an error of its own."""
        while self._waiting:
            future = self._waiting.pop(0)
            if not future.done():
                future.set_exception(error())


class Turn:
    """One turn; leaving it gives it back."""

    __slots__ = ("_turns",)

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.give_back()
