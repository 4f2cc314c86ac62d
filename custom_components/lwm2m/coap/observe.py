"""Observations (RFC 7641): notifications go from the datagram to their callback without a task between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..protocol.codes import CONTINUE, describe_code
from ..protocol.errors import LwM2MError
from . import wire
from .messages import Request, Response
from .remote import Peer
from .wire import Answer, Tail, WireError

if TYPE_CHECKING:
    from .downlink import Downlink

LOGGER = logging.getLogger(__package__)

_OLDER_AFTER: Final = 128.0
"""Seconds after which any sequence number is newer (RFC 7641 section 3.4)."""

_HALF: Final = 1 << 23

_NO_MORE: Final = "the device notifies no more"

REGISTER: Final = (wire.OBSERVE, b"")
_DEREGISTER: Final = (wire.OBSERVE, b"\x01")


class Observation:
    """One observation of a device: `active` until it is cancelled or ends; after that nothing follows."""

    __slots__ = (
        "_busy",
        "_downlink",
        "_heard_at",
        "_held",
        "_next",
        "_on_end",
        "_on_notification",
        "_sequence",
        "active",
        "ending",
        "peer",
        "request",
        "token",
    )

    def __init__(
        self,
        downlink: Downlink,
        peer: Peer,
        request: Request,
        on_notification: Callable[[Response], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._downlink = downlink
        self.peer = peer
        self.request = request
        self._on_notification = on_notification
        self._on_end = on_end
        self.token = b""
        self.active = False
        self.ending = False
        self._sequence = 0
        self._heard_at = 0.0
        self._held: Response | None = None
        self._busy: asyncio.Task[None] | None = None
        self._next: Answer | None = None

    def cancel(self) -> None:
        """Forget it; a later notification is answered with RST, which tells the device (RFC 7641 section 3.6)."""
        self.active = False
        if self.peer.observations.get(self.token) is self:
            del self.peer.observations[self.token]
        self._next = None
        if self._busy is not None:
            self._busy.cancel()
            self._busy = None

    async def cancel_actively(self, *, timeout: float | None = None) -> Response | None:
        """Ask the device to end it (GET with Observe 1). Forgotten in any case; RequestTimeout, PeerGone, WireError.

        None if it was not active.
        """
        if not self.active or self.ending:
            return None
        self.ending = True
        try:
            answer = await self._downlink.upload(self.peer, self.request, timeout, (_DEREGISTER,), token=self.token)
            return answer.response
        finally:
            self.cancel()

    # Towards the rest of this layer.

    def begin(self, token: bytes, answer: Answer) -> None:
        """Take the first answer; the observation is active if the device accepted it (RFC 7641 section 3.1)."""
        response = answer.response
        if response.observe is None or not response.success or response.code == CONTINUE:
            return
        self.token = token
        self.active = True
        self._sequence = response.observe
        self._heard_at = self.peer.last_received
        self.peer.observations[token] = self
        self._held = response

    def release(self, response: Response) -> Response:
        """The newest representation: `response`, or what was notified before the observer could know it."""
        held, self._held = self._held, None
        return response if held is None or held.observe == response.observe else held

    def notified(self, code: int, message_type: int, tail: Tail, now: float) -> None:
        """Take a notification, which is acknowledged already."""
        if self.ending:
            return
        sequence = tail.observe
        if code >> 5 != 2:
            detail = tail.payload[:64].decode("utf-8", "replace")
            self.end(f"{describe_code(code)} {detail}".rstrip())
            return
        if sequence is not None:
            ahead = sequence - self._sequence
            fresh = 0 < ahead < _HALF or ahead < -_HALF or now > self._heard_at + _OLDER_AFTER
            if not fresh:
                return
            self._sequence = sequence
            self._heard_at = now
        if tail.others:
            try:
                answer = wire.read_response(code, message_type, tail)
            except WireError as error:
                self.end(f"malformed notification: {error}")
                return
            if answer.block2 is not None and (answer.block2.more or answer.block2.number):
                if sequence is None:
                    self.end(_NO_MORE)
                else:
                    self._fetch(answer)
                return
        self._deliver(Response(code, tail.payload, tail.content_format, (), sequence, message_type == wire.CON))
        if sequence is None:
            self.end(_NO_MORE)

    def end(self, detail: str) -> None:
        """The device or its association ended it."""
        if not self.active:
            return
        self.cancel()
        if not self.ending:
            try:
                self._on_end(detail)
            except Exception:
                LOGGER.exception("The end of an observation could not be processed")

    def _deliver(self, response: Response) -> None:
        if self._held is not None:
            self._held = response
            return
        try:
            self._on_notification(response)
        except Exception:
            LOGGER.exception("A notification could not be processed")

    def _fetch(self, answer: Answer) -> None:
        """Get the other blocks of a notification. While that goes on only the newest one is kept."""
        if self._busy is not None:
            self._next = answer
            return
        self._busy = self._downlink.spawn(self._complete(answer))

    async def _complete(self, answer: Answer | None) -> None:
        while answer is not None:
            try:
                response = await self._downlink.complete(self.peer, self.request, answer, None)
            except LwM2MError as error:
                LOGGER.debug("The rest of a notification of %s could not be fetched: %s", self.peer, error)
            else:
                if not response.success:
                    LOGGER.debug("The rest of a notification of %s: %s", self.peer, describe_code(response.code))
                elif self._next is None or answer.etag is not None:
                    self._deliver(response._replace(observe=answer.response.observe))
            answer, self._next = self._next, None
        self._busy = None
