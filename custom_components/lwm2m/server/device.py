"""Device: one endpoint, registered or expected, with its last values and the requests that can be sent to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..protocol import codec, codes
from ..protocol.attributes import NotificationAttributes
from ..protocol.content_format import ContentFormat
from ..protocol.errors import CodecError, LwM2MError, ResponseError
from ..protocol.link_format import Link, parse_links
from ..protocol.messages import Entry
from ..protocol.objects.registry import DefinitionView
from ..protocol.path import Path
from ..protocol.value import ObjectLink, Value, coerce
from ..security.credential import SecurityMode
from .downlink import Downlink, expect_success
from .formats import Formats
from .observations import Observations
from .quota import PROVEN_LIMIT, Quota
from .values import Values, Watcher

if TYPE_CHECKING:
    from ..coap.messages import Response
    from ..coap.remote import PeerSecurity
    from .context import Context
    from .registrations import Registration

_LOGGER = logging.getLogger(__name__)


class Device:
    """One endpoint. All requests raise kinds of LwM2MError.

    ResponseError: the device answered with an error code. RequestTimeout: it did not answer, or (DeviceAsleepError) did
    not wake while the request waited. DeviceBusyError: too many requests wait. PeerGone: the association or the
    registration ended. NotRegistered. ProtocolError and its kin: the answer, or what was to be sent, makes no sense.

    Requests wait for their turn and for the device to be awake, then for the answer (`Settings`).
    """

    __slots__ = (
        "_availability", "_available", "_dormant", "_heard_at", "_missed_at", "_objects", "_quota", "context",
        "definitions", "downlink", "endpoint", "expected", "observations", "registration", "security", "state",
        "surveyed",
    )  # fmt: skip

    def __init__(self, endpoint: str, context: Context) -> None:
        self.endpoint = endpoint
        self.context = context
        self.expected = False
        """Somebody asked for this device by name: it stays when its registration ends."""
        self.registration: Registration | None = None
        """The present one; also one of before a restart, under which the device has not called yet."""
        self.security: PeerSecurity | None = None
        """Of the association of the present registration, or of the last one."""
        self.surveyed: set[Path] = set()
        """Instances that were asked for all that they hold. Whoever asks keeps it; what is gone leaves it by itself."""
        self.definitions: DefinitionView = context.registry.view({})
        self._quota = Quota(PROVEN_LIMIT)
        self.state = Values(self._quota)
        self.observations = Observations(self)
        self._available = False
        self._availability: list[Callable[[], None]] = []
        self._dormant = False
        self._heard_at: float | None = None
        self._missed_at: float | None = None
        self._objects: Mapping[Path, str] = {}
        self.downlink = Downlink(self)

    def __repr__(self) -> str:
        return f"<Device {self.endpoint!r} {'available' if self._available else 'unavailable'}>"

    # -- what is known

    @property
    def available(self) -> bool:
        """Registered, announced, and not past lifetime and grace."""
        return self._available

    @property
    def awake(self) -> bool:
        """Registered and expected to hear a request: not in queue mode, or heard within the awake window."""
        registration = self.registration
        if registration is None:
            return False
        if not registration.queue:
            return True
        if self._heard_at is None or self._heard_at == self._missed_at or registration.peer.closed:
            return False
        return self.context.clock() - self._heard_at < self.context.settings.awake_window

    @property
    def last_contact(self) -> float | None:
        """When it was heard last, in seconds since the epoch."""
        return None if self._heard_at is None else self.context.wall() - (self.context.clock() - self._heard_at)

    @property
    def heard_at(self) -> float | None:
        """When it was heard last, by the server's clock."""
        return self._heard_at

    @property
    def objects(self) -> Mapping[Path, str]:
        """Objects and object instances with the version of the object, of the present or the last registration."""
        return MappingProxyType(self._objects)

    @property
    def root(self) -> tuple[str, ...]:
        """Path segments that the client puts before all of its paths."""
        return self.registration.root if self.registration is not None else ()

    @property
    def values(self) -> Mapping[Path, Value]:
        """Last known value by path of resource or resource instance; they outlive the registration."""
        return self.state.values

    @property
    def times(self) -> Mapping[Path, float]:
        """When a value was measured, in seconds since the epoch, where the device said so."""
        return self.state.times

    def has(self, path: Path) -> bool:
        """Whether the registered objects hold this path, or may hold it where no instances are listed."""
        objects = self.objects
        if not path:
            return bool(objects)
        if len(path) == 1:
            return any(known[0] == path[0] for known in objects if known)
        return Path(path[:2]) in objects or Path(path[:1]) in objects

    # -- who wants to know

    def watch(self, path: Path, callback: Watcher) -> Callable[[], None]:
        """Observe a path from now on, over all registrations; returns the way to stop.

        `callback(changed path)` is called for each value at or below the path that changes, in whatever way it was
        learned, after `values` holds it. Where the device does not grant the observation, the value is read once after
        every registration and update. Several watchers of one path share one observation.
        """
        relation = self.observations.want(path)
        relation.watchers += 1
        self.state.add_watcher(path, callback)
        if self._available:
            self.observations.sync()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            if not stopped:
                stopped = True
                relation.watchers -= 1
                self.state.remove_watcher(path, callback)
                self.observations.release(relation)

        return stop

    def on_availability(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each change of `available`; returns the way to stop that."""
        self._availability.append(callback)
        return lambda: self._availability.remove(callback) if callback in self._availability else None

    # -- requests

    async def read(self, path: Path, content_format: int | None = None) -> list[Entry]:
        """Read an object, instance, resource or resource instance; `values` then holds what came.

        Without a content format, those that the device may know are tried and the one that works is remembered.
        Times of entries are absolute.
        """
        return await self._read(path, content_format, self.context.settings.wait)

    async def refresh(self, path: Path) -> None:
        """Read a path for `values`, however long the device sleeps before it can be asked."""
        await self._read(path, None, None)

    async def _read(self, path: Path, content_format: int | None, wait: float | None) -> list[Entry]:
        async def get(accept: int | None) -> Response:
            return await self.downlink.request(codes.GET, path, accept=accept, wait=wait)

        entries = await self.downlink.negotiate(path, get, content_format)
        self.state.replace(path, entries)
        return list(entries)

    async def read_many(self, paths: Sequence[Path]) -> list[Entry]:
        """Read several paths, in one composite request where the device knows those.

        Paths that the device answers with an error are left out; if that is all of them, the first error is raised.
        """
        if len(paths) > 1 and self.downlink.formats.composite:
            response = await self._request(
                codes.FETCH,
                Path(),
                payload=codec.encode_paths(ContentFormat.SENML_CBOR, paths, self.root),
                content_format=ContentFormat.SENML_CBOR,
                accept=ContentFormat.SENML_CBOR,
            )
            if response.success:
                entries = self.downlink.decode(response, ContentFormat.SENML_CBOR, Path())
                self.state.store(entries)
                return list(entries)
            self.downlink.formats.composite = False
        found: list[Entry] = []
        error: ResponseError | None = None
        read = 0
        for path in paths:
            try:
                found += await self.read(path)
                read += 1
            except ResponseError as refused:
                error = error or refused
        if error is not None and not read:
            raise error
        return found

    async def write(
        self,
        path: Path,
        value: Value | Sequence[Entry],
        *,
        replace: bool = False,
        content_format: int | None = None,
    ) -> None:
        """Write one value to a resource (instance), or entries at or below a path.

        Entries at an instance update what they name and leave the rest; with `replace`, the instance (or the multiple
        resource) then holds only what they name. The value takes the type of the definition, InvalidValueError if it
        cannot. Where no live observation reports changes, `values` takes over what was written.
        """
        single = isinstance(value, str | bytes | int | float | ObjectLink)
        if isinstance(value, str | bytes | int | float | ObjectLink):
            entries: Sequence[Entry] = [Entry(path, coerce(value, self.definitions.type(path)))]
        else:
            entries = [
                Entry(entry.path, coerce(entry.value, self.definitions.type(entry.path)), entry.time) for entry in value
            ]
        await self.downlink.send_entries(
            codes.PUT if replace or single else codes.POST,
            path,
            entries,
            base=path,
            single=single,
            content_format=content_format,
            wait=self.context.settings.wait,
        )
        if not self.observations.covers(path):
            self.state.store(entries)

    async def execute(self, path: Path, arguments: str = "") -> None:
        """Execute a resource; arguments as in LwM2M TS 1.1.1 section 6.3.5 ("0='text',1")."""
        response = await self._request(
            codes.POST,
            path,
            payload=arguments.encode(),
            content_format=ContentFormat.TEXT if arguments else None,
        )
        expect_success(response)

    async def create(self, path: Path, entries: Sequence[Entry], instance_id: int | None = None) -> Path:
        """Create an instance of an object and return its path; without `instance_id` the device chooses it.

        Paths of the entries are full; their instance id is replaced by `instance_id`, or is of no meaning without one.
        """
        target = Path((*path[:1], instance_id if instance_id is not None else 0))
        placed = [
            Entry(
                Path((*target, *entry.path[2:])),
                coerce(entry.value, self.definitions.type(Path((*target, *entry.path[2:])))),
                entry.time,
            )
            for entry in entries
        ]
        chosen = instance_id is not None
        response = await self.downlink.send_entries(
            codes.POST,
            path,
            placed,
            base=path if chosen else target,
            single=False,
            # "these resources, of whatever instance" can be said in TLV only: other formats carry full paths
            content_format=None if chosen else ContentFormat.TLV,
            wait=self.context.settings.wait,
        )
        if response.location:
            root, location = self.root, response.location
            return Path.from_segments(location[len(root) :] if location[: len(root)] == root else location)
        if instance_id is None:
            raise CodecError("the device did not say which instance it created")
        return target

    async def delete(self, path: Path) -> None:
        """Delete an object instance (or, since 1.2, a resource instance) and forget its values."""
        expect_success(await self._request(codes.DELETE, path))
        self.state.drop([known for known in self.state.values if path.contains(known)])

    async def discover(self, path: Path) -> list[Link]:
        """What there is at and below a path, with notification attributes; targets as the device writes them."""
        response = await self._request(codes.GET, path, accept=ContentFormat.LINK_FORMAT)
        return parse_links(expect_success(response).payload)

    async def write_attributes(self, path: Path, attributes: NotificationAttributes) -> None:
        """Set notification attributes of a path."""
        expect_success(await self._request(codes.PUT, path, query=tuple(attributes.to_query())))

    async def observe(self, path: Path) -> list[Entry]:
        """Observe a path now, and again after every registration until `cancel`; returns its present values."""
        relation = self.observations.want(path)
        was_explicit, relation.explicit = relation.explicit, True
        try:
            entries = await self.observations.establish(relation, wait=self.context.settings.wait)
        except BaseException:
            relation.explicit = was_explicit
            self.observations.release(relation)
            raise
        if relation.observation is None:
            relation.explicit = False
            self.observations.release(relation)
            raise LwM2MError(f"the device answers but does not observe {path}")
        return list(entries)

    async def cancel(self, path: Path) -> None:
        """End what `observe` began; the device is told, unless a watcher needs the observation still."""
        relation = self.observations.get(path)
        if relation is None or not relation.explicit:
            raise LwM2MError(f"{path} is not observed")
        relation.explicit = False
        if relation.watchers or relation.observation is None:
            self.observations.release(relation)
            return
        observation, relation.observation = relation.observation, None
        self.observations.release(relation)
        async with await self.downlink.turns.take(self.context.settings.wait):
            await observation.cancel_actively(timeout=self.context.settings.answer)

    async def _request(
        self,
        method: int,
        path: Path,
        *,
        query: tuple[str, ...] = (),
        payload: bytes = b"",
        content_format: int | None = None,
        accept: int | None = None,
    ) -> Response:
        return await self.downlink.request(
            method,
            path,
            query=query,
            payload=payload,
            content_format=content_format,
            accept=accept,
            wait=self.context.settings.wait,
        )

    # -- called by the server

    def heard(self) -> None:
        """The device gave a sign of life: it is awake now, and available again if it was only the server that left."""
        self._heard_at = self.context.clock()
        turns = self.downlink.turns
        if turns.waiting:
            turns.pump()
        if not self._available:
            if self._dormant:
                self._dormant = False
                self._set_available(True)
                self.observations.sync()
        elif self.observations.needs_sync:
            self.observations.sync()

    def unheard(self) -> None:
        """It did not answer: in queue mode it is asleep, whatever the awake window says."""
        self._missed_at = self._heard_at

    def begin(self, registration: Registration) -> None:
        """A registration was accepted, its 2.01 has yet to leave. Observations of a former one are forgotten."""
        self.observations.ended()
        self._dormant = False
        self.registration = registration
        self.security = registration.peer.security
        unproven = self.security.mode is SecurityMode.NOSEC
        self.state.count_towards(self.context.unproven if unproven else self._quota)
        formats = self.downlink.formats
        if (formats.lwm2m, formats.named) != (registration.lwm2m, registration.content_formats):
            self.downlink.formats = Formats(registration.lwm2m, registration.content_formats)
        self.objects_changed()

    def objects_changed(self) -> None:
        """The registered objects may be others: definitions follow, values of instances that are gone are dropped."""
        if self.registration is None or self.registration.objects == self._objects:
            return
        before, self._objects = self._objects, self.registration.objects
        self.definitions = self.context.registry.view(self._objects)
        self.state.drop([path for path in self.state.values if not self.has(path)])
        self.surveyed = {path for path in self.surveyed if before.get(path) == self._objects.get(path)}

    def redefine(self) -> bool:
        """The registry is another one; returns whether that says anything else of the objects of this device."""
        before, self.definitions = self.definitions, self.context.registry.view(self._objects)
        ids = {path[0] for path in self._objects}
        changed = {number for number in ids if before.object(number) != self.definitions.object(number)}
        if changed:
            self.surveyed = {path for path in self.surveyed if path[0] not in changed}
            for relation in self.observations:
                relation.forget()
        return bool(changed)

    def announce(self) -> None:
        """The 2.01 has left: requests may follow, and whoever waits for the device is told."""
        self.heard()
        self._set_available(True)
        self.observations.sync()

    def restore(self, objects: Mapping[Path, str], security: PeerSecurity | None, heard_at: float | None) -> None:
        """Take over what was known before a restart; `registration` comes by `suspend`. Only for a new device."""
        self._objects = objects
        self._heard_at = heard_at
        self.security = security
        self.definitions = self.context.registry.view(objects)

    def suspend(self, registration: Registration) -> None:
        """The server restarts, this registration goes on: the device is unavailable until it is heard again."""
        self.registration = registration
        self._dormant = True
        self.observations.ended()
        self.downlink.end()
        self._set_available(False)

    def end(self) -> None:
        """The registration is gone: nothing can be asked any more, and what was asked ends with PeerGone."""
        self.registration = None
        self._dormant = False
        self.observations.ended()
        self.downlink.end()
        self._set_available(False)

    def _set_available(self, available: bool) -> None:
        if available is self._available:
            return
        self._available = available
        for callback in tuple(self._availability):
            try:
                callback()
            except Exception:
                _LOGGER.exception("A listener to the availability of %s failed", self.endpoint)
