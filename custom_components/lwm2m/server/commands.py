"""The commands of the server's command line: one line, one response, in order for each endpoint."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..protocol import codes
from ..protocol.attributes import NotificationAttributes
from ..protocol.content_format import ContentFormat
from ..protocol.errors import LwM2MError, NotRegistered, ResponseError
from ..protocol.messages import Entry
from ..protocol.path import Path
from ..protocol.value import from_json, parse_typed
from .report import times_of, values_of

if TYPE_CHECKING:
    from .device import Device
    from .server import Server

_QUEUE_LIMIT = 10_000

_ARGUMENTS = {
    "read": "EP PATH [FORMAT]",
    "write": "EP PATH VALUE",
    "execute": "EP PATH [ARGS]",
    "discover": "EP PATH",
    "observe": "EP PATH",
    "cancel": "EP PATH",
    "attributes": "EP PATH k=v…",
    "create": "EP PATH JSON",
    "delete": "EP PATH",
}
_REST_NEEDED = frozenset(("write", "attributes", "create"))
_REST_ALLOWED = frozenset(("read", "execute")) | _REST_NEEDED

FORMATS = {
    "text": ContentFormat.TEXT,
    "opaque": ContentFormat.OPAQUE,
    "cbor": ContentFormat.CBOR,
    "tlv": ContentFormat.TLV,
    "json": ContentFormat.JSON,
    "senml-json": ContentFormat.SENML_JSON,
    "senml-cbor": ContentFormat.SENML_CBOR,
    "lwm2m-cbor": ContentFormat.LWM2M_CBOR,
}
"""Names of content formats; their numbers are taken too."""


class CommandError(LwM2MError):
    """A line that is not a command."""


class Commands:
    """Takes lines, writes responses. Each endpoint has a queue of its own, so none waits for another."""

    def __init__(self, server: Server, write: Callable[[dict[str, object]], None]) -> None:
        self._server = server
        self._write = write
        self._queues: dict[str, deque[tuple[str, str, str, str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take_line(self, line: str) -> None:
        """One line of input; an empty one is passed over."""
        line = line.strip()
        if not line:
            return
        word, _, rest = line.partition(" ")
        endpoint, _, rest = rest.strip().partition(" ")
        path, _, rest = rest.strip().partition(" ")
        rest = rest.strip()
        if word not in _ARGUMENTS:
            self._fail(line, None, f"unknown command {word[:40]!r}; there are {', '.join(_ARGUMENTS)}")
        elif not path or (word in _REST_NEEDED and not rest) or (rest and word not in _REST_ALLOWED):
            self._fail(line, endpoint or None, f"usage: {word} {_ARGUMENTS[word]}")
        elif (queue := self._queues.get(endpoint)) is None:
            self._queues[endpoint] = deque([(line, word, path, rest)])
            task = asyncio.get_running_loop().create_task(self._work(endpoint), name=f"commands to {endpoint}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(queue) >= _QUEUE_LIMIT:
            self._fail(line, endpoint, "too many commands wait for this endpoint")
        else:
            queue.append((line, word, path, rest))

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, endpoint: str) -> None:
        queue = self._queues[endpoint]
        while queue:
            line, word, path, rest = queue[0]
            try:
                device = self._server.devices.get(endpoint)
                if device is None:
                    raise NotRegistered(endpoint)
                answer = await _execute(device, word, Path.parse(path), rest)
            except ResponseError as error:
                self._fail(line, endpoint, str(error), codes.format_code(error.code))
            except LwM2MError as error:
                self._fail(line, endpoint, str(error))
            else:
                self._write({"event": "response", "endpoint": endpoint, "request": line, "ok": True, **answer})
            queue.popleft()
        del self._queues[endpoint]

    def _fail(self, line: str, endpoint: str | None, error: str, code: str | None = None) -> None:
        answer: dict[str, object] = {"event": "response", "request": line, "ok": False, "error": error}
        if endpoint is not None:
            answer["endpoint"] = endpoint
        if code is not None:
            answer["code"] = code
        self._write(answer)


async def _execute(device: Device, word: str, path: Path, rest: str) -> dict[str, object]:
    """Run one command; returns what its response says beside "ok"."""
    match word:
        case "read":
            return _content(await device.read(path, _parse_format(rest) if rest else None))
        case "observe":
            return _content(await device.observe(path))
        case "discover":
            links = await device.discover(path)
            return {"code": "2.05", "values": {link.target: link.attributes for link in links}}
        case "write":
            if len(path) >= 3:
                await device.write(path, parse_typed(rest, device.definitions.type(path)))
            else:
                await device.write(path, _parse_entries(device, path, rest))
            return {"code": "2.04"}
        case "execute":
            await device.execute(path, rest)
            return {"code": "2.04"}
        case "attributes":
            await device.write_attributes(path, NotificationAttributes.parse(rest))
            return {"code": "2.04"}
        case "cancel":
            await device.cancel(path)
            return {"code": "2.05"}
        case "create":
            if not 1 <= len(path) <= 2:
                raise CommandError("an object, or the instance to create, is needed")
            target = path if len(path) == 2 else path.child(0)
            entries = _parse_entries(device, target, rest)
            created = await device.create(Path(path[:1]), entries, path.instance_id)
            return {"code": "2.01", "location": str(created)}
        case _:
            await device.delete(path)
            return {"code": "2.02"}


def _content(entries: Sequence[Entry]) -> dict[str, object]:
    answer: dict[str, object] = {"code": "2.05", "values": values_of(entries)}
    if times := times_of(entries):
        answer["times"] = times
    return answer


def _parse_format(text: str) -> int:
    if text.lower() in FORMATS:
        return FORMATS[text.lower()]
    if text.isascii() and text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise CommandError(f"{text[:40]!r} is no content format; there are {', '.join(FORMATS)} and numbers")


def _parse_entries(device: Device, base: Path, text: str) -> list[Entry]:
    """Entries of a JSON object: keys are paths below `base` ("5700", "7/0") or whole ones ("/3303/0/5700")."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"no JSON: {error}") from None
    if not isinstance(data, dict):
        raise CommandError('a JSON object such as {"5700": 21.5} is needed')
    return list(_entries(device, base, data.items()))


def _entries(device: Device, base: Path, items: Iterable[tuple[str, object]]) -> Iterable[Entry]:
    for key, value in items:
        path = Path.parse(key) if key.startswith("/") else Path((*base, *Path.parse(key)))
        if not base.contains(path) or not 3 <= len(path) <= 4:
            raise CommandError(f"{key[:40]!r} is no resource of {base}")
        yield Entry(path, from_json(value, device.definitions.type(path)))
