"""The registrations: by location, by endpoint and by who made them, with one heap for all lifetimes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from ..protocol.messages import RegisterRequest, UpdateRequest
from ..security.identity import NO_SECURITY
from .quota import Quota

if TYPE_CHECKING:
    from ..coap.remote import Peer
    from ..protocol.path import Path


def owner_of(peer: Peer) -> Hashable:
    """Who is behind this peer: the proven identity, or for NoSec (which proves nothing) the address it calls from."""
    identity = peer.security.identity
    return ("nosec", peer.address) if identity is NO_SECURITY else identity


def _is_unproven(owner: Hashable) -> bool:
    return isinstance(owner, tuple)


def _size_of(endpoint: str, links: int) -> int:
    """Bytes that a registration is taken to need, its device included."""
    return 4096 + 2 * len(endpoint) + 384 * links


def grace_of(lifetime: int) -> float:
    """Seconds that a registration outlives its lifetime.

    A fifth of it, at least 5 (an update's first retransmissions) and at most 93 (MAX_TRANSMIT_WAIT of RFC 7252, after
    which an update has failed for good).
    """
    return min(max(lifetime / 5, 5.0), 93.0)


class Registration:
    """One registration of one endpoint.

    `location` is the ID of rd/ID; `expires_at` is server-clock time without grace; `objects` maps object and object
    instance paths to the object version; `root` is the path prefix of the client.
    """

    __slots__ = (
        "attributes", "binding", "content_formats", "endpoint", "expires_at", "lifetime", "location", "lwm2m",
        "objects", "owner", "peer", "queue", "registered_at", "root", "size", "sms", "updated_at",
    )  # fmt: skip

    def __init__(self, location: str, endpoint: str, peer: Peer, request: RegisterRequest, now: float) -> None:
        self.location = location
        self.endpoint = endpoint
        self.peer = peer
        self.owner = owner_of(peer)
        self.lwm2m = request.lwm2m
        self.lifetime = request.lifetime
        self.binding = request.binding
        self.queue = request.queue
        self.sms = request.sms
        self.root: tuple[str, ...] = request.objects.root
        self.objects: Mapping[Path, str] = request.objects.objects
        self.content_formats: tuple[int, ...] = request.objects.content_formats
        self.attributes = request.attributes
        self.size = 0
        self.registered_at = now
        self.updated_at = now
        self.expires_at = now + request.lifetime

    def __repr__(self) -> str:
        return f"<Registration rd/{self.location} of {self.endpoint!r}>"

    def update(self, request: UpdateRequest, now: float) -> bool:
        """Carry over what an Update names; True if the object list changed."""
        if request.lifetime is not None:
            self.lifetime = request.lifetime
        if request.binding is not None:
            self.binding = request.binding
        if request.queue is not None:
            self.queue = request.queue
        if request.sms is not None:
            self.sms = request.sms
        self.updated_at = now
        self.expires_at = now + self.lifetime
        if request.objects is None:
            return False
        changed = request.objects.objects != self.objects
        self.objects = request.objects.objects
        return changed

    @property
    def ends_at(self) -> float:
        """Server-clock time at which it expires: lifetime and grace."""
        return self.expires_at + grace_of(self.lifetime)


class Registrations:
    """All of them; at most `limit`, those of peers without security bounded by the quota `unproven` besides.

    The heap is never more than about twice as long as the number of registrations.
    """

    def __init__(self, limit: int, unproven: Quota) -> None:
        self.limit = limit
        self._unproven = unproven
        self._by_location: dict[str, Registration] = {}
        self._by_endpoint: dict[str, Registration] = {}
        self._by_owner: dict[Hashable, list[Registration]] = {}
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._by_location)

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._by_location.values())

    def has_room(self, endpoint: str, owner: Hashable, links: int) -> bool:
        """Whether `owner` may have `endpoint` registered with so many objects and instances."""
        former = self._by_endpoint.get(endpoint)
        if former is None and len(self._by_location) >= self.limit:
            return False
        if not _is_unproven(owner):
            return True
        held = former.size if former is not None and _is_unproven(former.owner) else 0
        return self._unproven.used + _size_of(endpoint, links) - held <= self._unproven.limit

    def count(self, registration: Registration) -> None:
        """After `objects` changed."""
        if _is_unproven(registration.owner):
            size = _size_of(registration.endpoint, len(registration.objects))
            self._unproven.take(size - registration.size)
            registration.size = size

    def at(self, location: str) -> Registration | None:
        """The one at rd/`location`."""
        return self._by_location.get(location)

    def of_endpoint(self, endpoint: str) -> Registration | None:
        """The one of this endpoint."""
        return self._by_endpoint.get(endpoint)

    def of_owner(self, owner: Hashable) -> list[Registration]:
        """Registrations of one identity (or one NoSec address), oldest first."""
        return self._by_owner.get(owner, [])

    def new_location(self) -> str:
        """A location that no present registration has."""
        while (location := secrets.token_hex(4)) in self._by_location:
            pass
        return location

    def add(self, registration: Registration) -> None:
        """Keep it; the caller has removed an earlier one of the same endpoint."""
        self._by_location[registration.location] = registration
        self._by_endpoint[registration.endpoint] = registration
        self._by_owner.setdefault(registration.owner, []).append(registration)
        self.count(registration)
        self.reschedule(registration)

    def remove(self, registration: Registration) -> None:
        """Drop it."""
        del self._by_location[registration.location]
        del self._by_endpoint[registration.endpoint]
        mine = self._by_owner[registration.owner]
        mine.remove(registration)
        if not mine:
            del self._by_owner[registration.owner]
        self._due.pop(registration.location, None)
        if registration.size:
            self._unproven.take(-registration.size)
            registration.size = 0

    def reschedule(self, registration: Registration) -> None:
        """After `expires_at` changed; an entry that comes up too early is corrected then, so updates cost nothing."""
        ends_at = registration.ends_at
        location = registration.location
        if (due := self._due.get(location)) is not None and due <= ends_at:
            return
        self._due[location] = ends_at
        if len(self._heap) > 2 * len(self._due) + 64:  # mostly entries of what is gone or was shortened
            self._heap = [(due, where) for where, due in self._due.items()]
            heapify(self._heap)
        else:
            heappush(self._heap, (ends_at, location))

    def next_timer(self) -> float | None:
        """Server-clock time at which `expire` should be called next."""
        return self._heap[0][0] if self._heap else None

    def expire(self, now: float, ended: Callable[[Registration], None]) -> None:
        """Remove what is past lifetime and grace; `ended` is called for each after it is removed."""
        while self._heap and self._heap[0][0] <= now:
            due, location = heappop(self._heap)
            if self._due.get(location) != due:
                continue
            del self._due[location]
            registration = self._by_location[location]
            if registration.ends_at > now:
                self.reschedule(registration)
                continue
            self.remove(registration)
            ended(registration)
