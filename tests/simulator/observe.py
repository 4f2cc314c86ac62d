"""Observations and their notifications: RFC 7641, and the attributes of LwM2M TS: Core 1.1.1 section 7.3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .coap import Code, Message, Option, Type
from .messaging import Messaging, RequestTimeoutError
from .model import DeviceModel, Path, covers

TIMES = ("pmin", "pmax", "epmin", "epmax")
CHANGES = ("gt", "lt", "st")
OTHERS = ("edge", "con", "hqmax")
MAX_OBSERVATIONS = 256


class BadAttributesError(Exception):
    """Attributes that the standard forbids; answered 4.00."""


class Attributes:
    """What Write-Attributes attached, per path."""

    def __init__(self) -> None:
        self._by_path: dict[Path, dict[str, float]] = {}

    def at(self, path: Path) -> Mapping[str, float]:
        """Those attached to exactly this path."""
        return self._by_path.get(path, {})

    def effective(self, path: Path, defaults: Mapping[str, float]) -> dict[str, float]:
        """Those in force at `path`: the nearest level wins."""
        merged = dict(defaults)
        for length in range(1, len(path) + 1):
            merged.update(self.at(path[:length]))
        return merged

    def write(self, path: Path, query: tuple[str, ...], *, numeric: bool) -> None:
        """Attach (`name=value`) or take away (`name`)."""
        changed = {**self.at(path)}
        for item in query:
            name, given, text = item.partition("=")
            if given and text:
                changed[name] = _parse(name, text)
            elif name in TIMES + CHANGES + OTHERS:
                changed.pop(name, None)
            else:
                raise BadAttributesError(name)
        check(path, changed, numeric=numeric)
        self._by_path[path] = changed


def _parse(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise BadAttributesError(name) from None
    if name in TIMES + OTHERS and (value < 0 or not value.is_integer()):
        raise BadAttributesError(name)
    if name not in TIMES + CHANGES + OTHERS or (name == "st" and value < 0):
        raise BadAttributesError(name)
    return value


def check(path: Path, values: Mapping[str, float], *, numeric: bool) -> None:
    """Refuse combinations that section 5.1.2 forbids."""
    if any(name in values for name in CHANGES) and not numeric:
        raise BadAttributesError("gt, lt and st need a numeric resource")
    low, high, step = values.get("lt"), values.get("gt"), values.get("st", 0.0)
    if low is not None and high is not None and low + 2 * step >= high:
        raise BadAttributesError("lt + 2*st is not below gt")
    if "pmax" in values and 0 < values["pmax"] < values.get("pmin", 0):
        raise BadAttributesError("pmax below pmin")


@dataclass(slots=True, eq=False)
class Observation:
    """One observation of the server; `paths` are several for a composite one."""

    token: bytes
    paths: tuple[Path, ...]
    request: Message
    own: dict[str, float]
    serial: int = 1
    sent_at: float = 0.0
    sent_value: float | None = None
    seen_value: float | None = None
    due: asyncio.TimerHandle | None = None
    overdue: asyncio.TimerHandle | None = None
    in_flight: asyncio.Task[None] | None = None
    again: bool = False  # changed while a notification was in flight
    again_confirmable: bool | None = None
    keys: tuple[object, ...] = field(default=())


class Observer:
    """All observations of one registration.

    `render` gives the content of a notification as the response to the observation's own request.
    `report` is told what happened (an event's name and its observation). `second` is the length of a second of pmin
    and pmax, for tests that have no time.
    """

    def __init__(
        self,
        model: DeviceModel,
        render: Callable[[Message], Message],
        report: Callable[[str, Observation], None],
        *,
        confirmable: bool,
        second: float = 1.0,
    ) -> None:
        self._second = second
        self._model = model
        self._render = render
        self._report = report
        self.confirmable = confirmable
        self.attributes = Attributes()
        self.messaging: Messaging | None = None
        self.awaken: Callable[[], None] = lambda: None
        self._observations: dict[bytes, Observation] = {}
        model.changed.append(self.changed)

    def __len__(self) -> int:
        return len(self._observations)

    @property
    def paths(self) -> list[Path]:
        """The paths under observation, in the order of the observations."""
        return [path for observation in self._observations.values() for path in observation.paths]

    def start(self, request: Message, paths: tuple[Path, ...]) -> Observation:
        """Take up an observation; one with the same token or for the same paths and format is replaced."""
        key = (request.code, paths, request.uint(Option.ACCEPT))
        for token, other in tuple(self._observations.items()):
            if token == request.token or other.keys == key:
                self._end(token, other)
        if len(self._observations) >= MAX_OBSERVATIONS:
            raise BadAttributesError("too many observations")
        own = {
            name: _parse(name, text)
            for name, given, text in (item.partition("=") for item in request.query)
            if given and text
        }
        numeric = len(paths) == 1 and self._number(paths[0]) is not None
        check(paths[0] if paths else (), own, numeric=numeric)
        observation = Observation(request.token, paths, request, own, keys=key)
        self._observations[request.token] = observation
        self._sent(observation)
        self._report("observed", observation)
        return observation

    def cancel(self, token: bytes, *, paths: tuple[Path, ...] | None = None) -> None:
        """End an observation, by its token or by its paths; nothing happens when there is none."""
        for key, observation in tuple(self._observations.items()):
            if key == token or (paths is not None and observation.paths == paths):
                self._end(key, observation)
                self._report("cancelled", observation)

    def clear(self) -> None:
        """Drop all in silence, as a client does when it registers again."""
        for token, observation in tuple(self._observations.items()):
            self._end(token, observation)

    def _end(self, token: bytes, observation: Observation) -> None:
        del self._observations[token]
        for timer in (observation.due, observation.overdue):
            if timer is not None:
                timer.cancel()
        if observation.in_flight is not None:
            observation.in_flight.cancel()

    def changed(self, path: Path) -> None:
        """Look at each observation that a change at `path` touches."""
        for observation in tuple(self._observations.values()):
            if any(covers(base, path) for base in observation.paths) and self._wanted(observation):
                self._notify_when_permitted(observation)

    def removed(self, path: Path) -> None:
        """End observations of what is gone, with a 4.04 to the server."""
        for observation in tuple(self._observations.values()):
            if any(base[: len(path)] == path for base in observation.paths):
                self._notify(observation)

    def flush(self, path: Path, *, confirmable: bool | None = None) -> None:
        """Send at once what is observed at `path`, whatever the attributes say."""
        for observation in tuple(self._observations.values()):
            if any(covers(base, path) for base in observation.paths):
                self._notify(observation, confirmable=confirmable)

    def refresh(self) -> None:
        """Take new attributes into account: only timers depend on them."""
        for observation in self._observations.values():
            self._arm(observation)

    def _effective(self, observation: Observation) -> dict[str, float]:
        defaults = {}
        for name, resource in (("pmin", 2), ("pmax", 3)):
            found = self._model.resource((1, 0, resource))
            if found is not None and isinstance(found.value, int) and found.value > 0:
                defaults[name] = float(found.value)
        merged = self.attributes.effective(observation.paths[0], defaults) if len(observation.paths) == 1 else defaults
        return {**merged, **observation.own}

    def _number(self, path: Path) -> float | None:
        leaves = list(self._model.leaves(path)) if len(path) >= 3 else []
        if len(leaves) != 1 or leaves[0][0] != path or isinstance(leaves[0][2], (bool, str, bytes)):
            return None
        return float(leaves[0][2])

    def _wanted(self, observation: Observation) -> bool:
        effective = self._effective(observation)
        conditions = [name for name in CHANGES if name in effective]
        if not conditions or len(observation.paths) != 1:
            return True
        value, before, last = self._number(observation.paths[0]), observation.seen_value, observation.sent_value
        observation.seen_value = value
        if value is None or before is None or last is None:
            return True
        for name in ("gt", "lt"):
            if name in effective and (before > effective[name]) != (value > effective[name]):
                return True
        return "st" in effective and abs(value - last) >= effective["st"]

    def _notify_when_permitted(self, observation: Observation) -> None:
        loop = asyncio.get_running_loop()
        earliest = observation.sent_at + self._effective(observation).get("pmin", 0.0) * self._second
        if earliest <= loop.time():
            self._notify(observation)
        elif observation.due is None:
            observation.due = loop.call_at(earliest, self._notify, observation)

    def _notify(self, observation: Observation, *, confirmable: bool | None = None) -> None:
        messaging = self.messaging
        if messaging is None or self._observations.get(observation.token) is not observation:
            return
        if observation.in_flight is not None:
            observation.again = True
            observation.again_confirmable = confirmable or observation.again_confirmable
            return
        self.awaken()
        if confirmable is None:
            con = self._effective(observation).get("con")
            confirmable = self.confirmable if con is None else bool(con)
        message = self._message(observation, messaging)
        self._sent(observation)
        if message.code != Code.CONTENT:
            confirmable = True
        if confirmable:
            message.type = Type.CON
            task = asyncio.get_running_loop().create_task(self._confirmed(observation, messaging, message))
            observation.in_flight = task
        else:
            message.type = Type.NON
            messaging.send_non(message)

    def _message(self, observation: Observation, messaging: Messaging) -> Message:
        observation.serial = (observation.serial + 1) & 0xFFFFFF
        request = observation.request
        response = self._render(request)
        if response.code == Code.CONTENT:
            response.add(Option.OBSERVE, observation.serial)
        key = (request.code, request.path, request.query, request.uint(Option.ACCEPT))
        message = messaging.cut(response, None, key)
        message.token, message.mid = observation.token, messaging.next_mid()
        return message

    async def _confirmed(self, observation: Observation, messaging: Messaging, message: Message) -> None:
        try:
            answer = await messaging.confirm(message)
        except RequestTimeoutError:
            observation.in_flight = None
            self.cancel(observation.token)
            self._report("notify_timeout", observation)
            return
        observation.in_flight = None
        if answer.type is Type.RST or message.code != Code.CONTENT:
            self.cancel(observation.token)
        elif observation.again:
            confirmable, observation.again, observation.again_confirmable = observation.again_confirmable, False, None
            if confirmable:
                self._notify(observation, confirmable=True)
            else:
                self._notify_when_permitted(observation)

    def _sent(self, observation: Observation) -> None:
        observation.sent_at = asyncio.get_running_loop().time()
        if len(observation.paths) == 1:
            observation.sent_value = observation.seen_value = self._number(observation.paths[0])
        if observation.due is not None:
            observation.due.cancel()
            observation.due = None
        self._arm(observation)

    def _arm(self, observation: Observation) -> None:
        if observation.overdue is not None:
            observation.overdue.cancel()
            observation.overdue = None
        latest = self._effective(observation).get("pmax", 0.0) * self._second
        if latest > 0:
            loop = asyncio.get_running_loop()
            observation.overdue = loop.call_at(observation.sent_at + latest, self._notify, observation)
