"""Requests to one device: each in its turn, over the newest association, in a format that the device understands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from ..coap.messages import Request, Response
from ..protocol import codec, codes
from ..protocol.errors import CodecError, LwM2MError, NotRegistered, PeerGone, RequestTimeout, ResponseError
from ..protocol.messages import Entry
from ..protocol.path import Path
from .formats import REFUSALS, Formats, assumed
from .turns import Turns
from .values import resolve_times

if TYPE_CHECKING:
    from .device import Device
    from .observations import Relation
    from .registrations import Registration


def error_of(response: Response) -> ResponseError:
    """The error that an answer of class 4 or 5 means."""
    return ResponseError(response.code, response.payload[:200].decode("utf-8", "replace"))


def expect_success(response: Response) -> Response:
    """Return the answer; raise what it means if it is an error."""
    if not response.success:
        raise error_of(response)
    return response


class Downlink:
    """The way to one device. `formats` is what was learned of it; requests raise what `Device` says."""

    __slots__ = ("_device", "_in_flight", "formats", "turns")

    def __init__(self, device: Device) -> None:
        self._device = device
        self._in_flight: list[asyncio.Future[Response]] = []
        self.formats = Formats("1.0")
        self.turns = Turns(device.context.settings.concurrent, lambda: device.awake)

    def end(self) -> None:
        """The registration is gone: what waits, and what was sent, ends with PeerGone."""
        endpoint = self._device.endpoint
        self.turns.fail(lambda: PeerGone(f"the registration of {endpoint} ended"))
        for future in self._in_flight:
            future.cancel()

    async def request(
        self,
        method: int,
        path: Path,
        *,
        query: tuple[str, ...] = (),
        payload: bytes = b"",
        content_format: int | None = None,
        accept: int | None = None,
        wait: float | None,
    ) -> Response:
        """Send one request and return the answer, whatever its code; `wait`: seconds for its turn (`Turns.take`)."""
        context = self._device.context

        async def send(registration: Registration) -> Response:
            return await context.coap.request(
                registration.peer,
                Request(method, registration.root + path.segments, query, payload, content_format, accept),
                timeout=context.settings.answer,
            )

        return await self._in_turn(send, wait)

    async def observe(self, relation: Relation, accept: int | None, wait: float | None) -> Response:
        """Ask for an observation in one format; sets `relation.observation` and `peer` where it is granted."""

        async def send(registration: Registration) -> Response:
            relation.drop()
            relation.accept = assumed(accept, len(relation.path), registration.lwm2m)
            request = Request(codes.GET, registration.root + relation.path.segments, accept=accept)
            context = self._device.context
            response, observation = await context.coap.observe(
                registration.peer, request, relation.notified, relation.ended, timeout=context.settings.answer
            )
            if observation.active:
                relation.observation, relation.peer = observation, registration.peer
            return response

        return await self._in_turn(send, wait)

    async def _in_turn(self, send: Callable[[Registration], Awaitable[Response]], wait: float | None) -> Response:
        device = self._device
        if device.registration is None:
            raise NotRegistered(device.endpoint)
        async with await self.turns.take(wait):
            registration = device.registration
            if registration is None:
                raise NotRegistered(device.endpoint)
            future = asyncio.ensure_future(send(registration))
            self._in_flight.append(future)
            try:
                response = await future
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                raise PeerGone(f"the registration of {device.endpoint} ended") from None
            except RequestTimeout:
                device.unheard()
                raise
            finally:
                self._in_flight.remove(future)
        device.heard()
        return response

    async def negotiate(
        self, path: Path, send: Callable[[int | None], Awaitable[Response]], content_format: int | None = None
    ) -> Sequence[Entry]:
        """Ask in one format after the other until the device gives an answer that can be read; returns what it says."""
        level = len(path)
        error: LwM2MError | None = None
        for accept in self.formats.to_read(level) if content_format is None else [content_format]:
            response = await send(accept)
            if response.success:
                try:
                    entries = self.decode(response, accept, path)
                except CodecError as undecodable:
                    error = error or undecodable
                    continue
                if content_format is None:
                    self.formats.can_read(level, accept)
                return entries
            error = error or error_of(response)
            if self._is_final(response, self.formats.knows_read(level)):
                raise error_of(response)
        raise error or CodecError("no content format to ask for")

    async def send_entries(
        self,
        method: int,
        path: Path,
        entries: Sequence[Entry],
        *,
        base: Path,
        single: bool,
        content_format: int | None,
        wait: float | None,
    ) -> Response:
        """Send entries in one format after the other until the device takes them.

        `base` is what the payload is relative to, `single` means that it is one value of one resource.
        """
        level = len(path)
        error: LwM2MError | None = None
        numbers = self.formats.to_write(level, single=single) if content_format is None else [content_format]
        for number in numbers:
            try:
                payload = codec.encode(number, entries, base, self._device.definitions, self._device.root)
            except CodecError as unencodable:
                error = error or unencodable
                continue
            response = await self.request(method, path, payload=payload, content_format=number, wait=wait)
            if response.success:
                if content_format is None:
                    self.formats.can_write(level, number)
                return response
            error = error or error_of(response)
            if self._is_final(response, self.formats.knows_write(level)):
                raise error_of(response)
        raise error or CodecError("no content format to write in")

    @staticmethod
    def _is_final(response: Response, known: bool) -> bool:
        """Whether another format cannot help: 5.00 means what it says where a format is known to work."""
        return response.code not in REFUSALS or (known and response.code == codes.INTERNAL_SERVER_ERROR)

    def decode(self, response: Response, accept: int | None, path: Path) -> Sequence[Entry]:
        """The entries of an answer, with absolute times."""
        device = self._device
        content_format = response.content_format
        if content_format is None:
            lwm2m = device.registration.lwm2m if device.registration is not None else "1.0"
            content_format = assumed(accept, len(path), lwm2m)
        entries = codec.decode(content_format, response.payload, path, device.definitions, device.root)
        return resolve_times(entries, device.context.wall)
