"""A simulated LwM2M client: its life from handshake through registration and updates to deregistration."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Self

from tests.openssl_client import Client

from . import content, links
from .coap import Code, Message, Option, dotted
from .handler import Handler
from .messaging import Messaging, RequestTimeoutError, ResetError, Timing
from .model import DeviceModel, Objects, Path, Resource, Scalar, parse_path, show
from .openssl import OpenSSLTransport
from .profile import PROFILES, Profile
from .tinydtls import DtlsTransport
from .transport import Address, HandshakeError, Transport, UdpTransport, parse_server

MAX_EVENTS = 10_000


class LostError(Exception):
    """The server is gone: no answer, or it ended the association."""


class RefusedError(Exception):
    """The server refused a registration."""

    def __init__(self, code: int) -> None:
        super().__init__(dotted(code))
        self.code = code


@dataclass(slots=True, kw_only=True)
class Settings:
    """Everything that a client is told. Times are in seconds; `identity` and `key` are for coaps."""

    server: str
    endpoint: str
    identity: str | bytes = ""
    key: bytes = b""
    private_key: FilePath | None = None  # PEM: a raw public key is used, or with `chain` a certificate
    chain: FilePath | None = None  # PEM, the device's own certificate first
    server_key: bytes | None = None  # the server's DER SubjectPublicKeyInfo that is trusted; None: any
    cipher: str | None = None  # OpenSSL's name of the suite; AES_128_CCM_8 when None, with a PSK by tinydtls
    lifetime: int = 60
    version: str | None = None  # the profile's when None
    binding: str = "U"
    queue: bool = False
    profile: str | Profile = "anjay"
    retry: float = 2.0
    time_scale: float = 1.0  # factor on the times of RFC 7252
    second: float = 1.0  # length of a second of pmin and pmax
    max_retransmit: int = 4
    handshake_timeout: float = 20.0
    awake: float | None = None  # queue mode: how long to listen; RFC 7252's MAX_TRANSMIT_WAIT when None
    update_after: float | None = None  # from the lifetime when None
    bind: Address | None = None
    confirmable: bool | None = None  # notifications; the profile's when None
    name_endpoint: bool = True  # whether Register names the endpoint
    extra_query: Sequence[str] = ()
    root: str = ""  # for clients whose objects live below a path: "/lwm2m"
    seed: int | None = None


@dataclass(slots=True)
class Event:
    """Something that the device itself saw."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)


class SimulatedClient:
    """One device. Use as an async context manager, or call `start` and `stop`.

    `model` may be shared with behaviours that change it. `events` holds what happened, `wait_for` waits for it,
    `listeners` are called with each.
    """

    def __init__(self, settings: Settings, objects: Objects | DeviceModel) -> None:
        self.settings = settings
        self.model = objects if isinstance(objects, DeviceModel) else DeviceModel(objects)
        self.profile = settings.profile if isinstance(settings.profile, Profile) else PROFILES[settings.profile]
        self.version = settings.version or self.profile.default_version
        self.events: list[Event] = []
        self.listeners: list[Callable[[Event], None]] = []
        self.location: tuple[str, ...] | None = None
        self.lifetime = settings.lifetime
        self.asleep = False
        self._new_event = asyncio.Event()
        self._timing = Timing(settings.time_scale, settings.max_retransmit)
        self._rng = random.Random(settings.seed)
        self._life: asyncio.Task[None] | None = None
        self._update_wanted = False
        self._nudged = asyncio.Event()  # something for the registration's loop to look at
        self._objects_changed = False
        self._lost: asyncio.Future[str] | None = None
        self.messaging: Messaging | None = None
        root = tuple(part for part in settings.root.split("/") if part)
        self._add_server_object()
        self.handler = Handler(
            self.model, self.profile, self.report, version=self.version, root=root, second=settings.second
        )
        self.observer = self.handler.observer
        self.observer.awaken = self._awaken
        if settings.confirmable is not None:
            self.observer.confirmable = settings.confirmable
        self.model.instances_changed.append(self._instances_changed)
        self.transport = self._make_transport()

    # Set-up

    def _make_transport(self) -> Transport:
        settings = self.settings
        secure, server = parse_server(settings.server)
        if not secure:
            return UdpTransport(server, self._datagram, settings.bind)
        if settings.private_key is not None or settings.cipher is not None:
            return OpenSSLTransport(
                server,
                self._openssl_client,
                self._datagram,
                self._transport_lost,
                bind=settings.bind,
                handshake_timeout=settings.handshake_timeout,
            )
        return DtlsTransport(
            server,
            self._identity(),
            settings.key,
            self._datagram,
            self._transport_lost,
            bind=settings.bind,
            handshake_timeout=settings.handshake_timeout,
        )

    def _identity(self) -> bytes:
        identity = self.settings.identity
        return identity if isinstance(identity, bytes) else identity.encode()

    def _openssl_client(self) -> Client:
        settings = self.settings
        if settings.private_key is None:
            return Client(settings.cipher or "", psk=(self._identity(), settings.key), notes_alerts=True)
        return Client(
            settings.cipher or "ECDHE-ECDSA-AES128-CCM8",
            key=str(settings.private_key),
            chain=None if settings.chain is None else str(settings.chain),
            raw=settings.chain is None,
            server_key=settings.server_key,
            notes_alerts=True,
        )

    def _add_server_object(self) -> None:
        if 1 in self.model.objects:
            return
        self.model.objects[1] = {
            0: {
                0: Resource(1, "integer", "R"),
                1: Resource(self.lifetime, "integer", "RW"),
                2: Resource(0, "integer", "RW"),
                3: Resource(0, "integer", "RW"),
                6: Resource(True, "boolean", "RW"),
                7: Resource(self.settings.binding, "string", "RW"),
                8: Resource(operations="E", execute=lambda _arguments: self.update()),
            }
        }
        self.model.changed.append(self._server_object_changed)

    def _server_object_changed(self, path: Path) -> None:
        if path[:2] == (1, 0):
            value = self.model.objects[1][0][1].value
            if isinstance(value, int) and value != self.lifetime:
                self.lifetime = value
                self.update()

    def _instances_changed(self) -> None:
        self._objects_changed = True
        self.update()

    # Events

    def report(self, name: str, **fields: Any) -> None:
        """Note an event and wake those who wait for it."""
        event = Event(name, fields)
        self.events.append(event)
        if len(self.events) > MAX_EVENTS:
            del self.events[: MAX_EVENTS // 2]
        self._new_event.set()
        self._new_event = asyncio.Event()
        for listener in tuple(self.listeners):
            listener(event)

    def seen(self, name: str, **fields: Any) -> list[Event]:
        """Give past events of this name whose fields have these values."""
        return [
            event
            for event in self.events
            if event.name == name and all(event.fields.get(key) == value for key, value in fields.items())
        ]

    async def wait_for(self, name: str, *, count: int = 1, within: float = 10.0, **fields: Any) -> Event:
        """Wait until `count` such events have happened and give the last; TimeoutError after `within` seconds."""
        async with asyncio.timeout(within):
            while len(found := self.seen(name, **fields)) < count:
                await self._new_event.wait()
        return found[count - 1]

    # Life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin to live: handshake, registration, updates, again and again."""
        if self._life is None or self._life.done():
            self.transport.muted = self.asleep = False
            self._life = asyncio.create_task(self._live(), name=f"device {self.settings.endpoint}")

    async def stop(self) -> None:
        """Deregister where registered, and close everything."""
        await self.leave()
        self.observer.clear()
        self.transport.shutdown()

    async def leave(self) -> None:
        """Deregister and go silent, the association closed with a word."""
        await self._end_life()
        if self.location is not None and self.messaging is not None:
            self._awaken()
            try:
                response = await self.messaging.request(Code.DELETE, self.location)
                self.report("deregistered", code=dotted(response.code))
            except RequestTimeoutError, ResetError:
                self.report("deregister_failed")
            self.location = None
        self._end_session()
        self.transport.close(notify=True)
        self.transport.muted = True

    async def vanish(self) -> None:
        """Go silent without a word, as on a flat battery."""
        await self._end_life()
        self.transport.muted = True
        self.location = None
        self._end_session()
        self.transport.close(notify=False)
        self.report("vanished")

    async def rebind(self) -> None:
        """Go on from another local port, association and registration kept."""
        await self.transport.rebind()

    async def _end_life(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life

    def _end_session(self) -> None:
        self.observer.clear()
        self.observer.messaging = None
        if self.messaging is not None:
            self.messaging.stop()
            self.messaging = None

    async def _live(self) -> None:
        while True:
            try:
                async with self._session():
                    await self._register()
                    await self._stay_registered()
            except HandshakeError as error:
                self.report("handshake_failed", reason=error.reason, alert=error.alert)
            except RefusedError as error:
                self.report("register_failed", code=dotted(error.code))
                if error.code == Code.FORBIDDEN and self.profile.gives_up_on_forbidden:
                    self.report("gave_up")
                    return
            except LostError as error:
                self.report("connection_lost", reason=str(error))
            except (RequestTimeoutError, ResetError) as error:
                self.report("connection_lost", reason="reset" if isinstance(error, ResetError) else "no answer")
            except OSError as error:
                self.report("connection_lost", reason=str(error))
            except Exception as error:
                self.report("crashed", error=repr(error))
                raise
            self.location = None
            self._end_session()
            await asyncio.sleep(self.settings.retry)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[None]:
        self._end_session()
        self.transport.close(notify=False)
        self._lost = asyncio.get_running_loop().create_future()
        self.messaging = Messaging(
            self.transport.send,
            self.handler.handle,
            self.observer.cancel,
            timing=self._timing,
            block_size=self.profile.block_size,
            rng=self._rng,
        )
        await self.transport.open()
        self.report("connected", local=self.transport.local_address)
        yield

    async def _register(self) -> None:
        messaging = self._session_messaging()
        self.observer.clear()
        self.observer.messaging = messaging
        self._objects_changed = False
        while True:
            response = await messaging.request(
                Code.POST, ("rd",), self._register_query(), self._object_list(), content.LINK_FORMAT
            )
            if response.code != Code.PRECONDITION_FAILED or self.version == "1.0":
                break
            self.version = "1.1" if self.version == "1.2" else "1.0"
        if response.code != Code.CREATED:
            raise RefusedError(response.code)
        self.location = tuple(value.decode() for value in response.values(Option.LOCATION_PATH))
        self.report("registered", location="/" + "/".join(self.location), version=self.version)

    def _register_query(self) -> list[str]:
        settings = self.settings
        query = [f"lwm2m={self.version}"]
        if settings.name_endpoint:
            query.append(f"ep={settings.endpoint}")
        query.append(f"lt={self.lifetime}")
        if self.version == "1.0":
            query.append(f"b={settings.binding}{'Q' if settings.queue else ''}")
        else:
            query += [f"b={settings.binding}"] + (["Q"] if settings.queue else [])
        return [*query, *settings.extra_query]

    def _object_list(self) -> bytes:
        root = self.profile.root_link
        if self.settings.root:
            root = f'<{self.settings.root}>;rt="oma.lwm2m"'
        return links.object_list(
            self.model, root=root, quoted=self.version == "1.0", prefix=self.settings.root
        ).encode()

    def _update_due(self) -> float | None:
        """Seconds from one update to the next; None for an infinite lifetime."""
        if self.settings.update_after is not None:
            return self.settings.update_after
        if self.lifetime == 0:
            return None
        return max(self.lifetime / 2, self.lifetime - self._timing.max_transmit_wait)

    async def _stay_registered(self) -> None:
        loop = asyncio.get_running_loop()
        renew = loop.time()
        while True:
            due = self._update_due()
            now = loop.time()
            limits = [] if due is None else [renew + due - now]
            if self.settings.queue and not self.asleep:
                limits.append(self._awake_until() - now)
            if not self._update_wanted:
                await self._wait(min(limits) if limits else None)
            if self._lost is not None and self._lost.done():
                raise LostError(self._lost.result())
            now = loop.time()
            if self._update_wanted or (due is not None and now >= renew + due):
                await self._update()
                renew = loop.time()
            elif self.settings.queue and not self.asleep and now >= self._awake_until():
                self.asleep = self.transport.muted = True
                self.report("asleep")

    async def _wait(self, limit: float | None) -> None:
        self._nudged.clear()
        nudged = asyncio.ensure_future(self._nudged.wait())
        watched: set[asyncio.Future[Any]] = {nudged}
        if self._lost is not None:
            watched.add(self._lost)
        try:
            timeout = None if limit is None else max(0.0, limit)
            await asyncio.wait(watched, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudged.cancel()

    async def _update(self) -> None:
        self._update_wanted = False
        messaging = self._session_messaging()
        self._awaken()
        query = [f"lt={self.lifetime}"]
        payload = self._object_list() if self._objects_changed else b""
        self._objects_changed = False
        response = await messaging.request(
            Code.POST, self.location or ("rd",), query, payload, content.LINK_FORMAT if payload else None
        )
        if response.code == Code.CHANGED:
            self.report("updated", objects=bool(payload))
            return
        self.report("update_failed", code=dotted(response.code))
        if response.code in (Code.NOT_FOUND, Code.BAD_REQUEST, Code.FORBIDDEN):
            await self._register()

    def _session_messaging(self) -> Messaging:
        if self.messaging is None:
            raise LostError("no session")
        return self.messaging

    # Queue mode

    def _awake_until(self) -> float:
        window = self._timing.max_transmit_wait if self.settings.awake is None else self.settings.awake
        return (self.messaging.last_activity if self.messaging else 0.0) + window

    def _awaken(self) -> None:
        if self.asleep:
            self.asleep = self.transport.muted = False
            if self.messaging is not None:
                self.messaging.last_activity = asyncio.get_running_loop().time()
            self._nudged.set()
            self.report("awake")

    # From the transport

    def _datagram(self, data: bytes) -> None:
        if self.messaging is not None:
            self.messaging.received_datagram(data)

    def _transport_lost(self, reason: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)

    # What a test or a person makes the device do

    def update(self) -> None:
        """Send an Update soon."""
        self._update_wanted = True
        self._nudged.set()

    def set(self, path: str | Path, value: Scalar | dict[int, Scalar], *, confirmable: bool | None = None) -> None:
        """Change a value; those who observe it are told. With `confirmable` at once, whatever the attributes say."""
        where = parse_path(path) if isinstance(path, str) else path
        if confirmable is None:
            self.model.set(where, value)
            return
        listeners, self.model.changed = self.model.changed, []
        try:
            self.model.set(where, value)
        finally:
            self.model.changed = listeners
        self.observer.flush(where, confirmable=confirmable)

    def get(self, path: str | Path) -> Scalar | dict[int, Scalar] | None:
        """Give a value; KeyError when there is no such resource."""
        where = parse_path(path) if isinstance(path, str) else path
        resource = self.model.resource(where)
        if resource is None:
            raise KeyError(show(where))
        return resource.value

    async def send(self, *paths: str | Path, times: dict[Path, float] | None = None) -> Message:
        """Send the values at these paths to the server (LwM2M 1.1 Send); gives its response."""
        messaging = self._session_messaging()
        where = [parse_path(path) if isinstance(path, str) else path for path in paths]
        leaves = [leaf for path in where for leaf in self.model.leaves(path)]
        base = where[0] if len(where) == 1 else ()
        content_format = self.profile.send or content.SENML_CBOR
        self._awaken()
        payload = content.encode(content_format, base, leaves, times)
        response = await messaging.request(Code.POST, ("dp",), (), payload, content_format)
        self.report("sent", path=[show(path) for path in where], code=dotted(response.code))
        return response
