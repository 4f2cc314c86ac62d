"""Events as JSON objects, one a line: the output of the server's command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TextIO

from ..protocol.messages import Entry
from ..protocol.path import Path
from ..protocol.value import to_json
from .events import Deregistered, Event, Expired, Notification, RefusedEvent, Registered, SendReceived, Updated

if TYPE_CHECKING:
    from .device import Device
    from .server import Server


def format_address(address: tuple[str, int]) -> str:
    """Host and port as in a URI: "192.0.2.7:5683", "[2001:db8::7]:5683"."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def values_of(entries: Iterable[Entry]) -> dict[str, object]:
    """Values by path; of several values of one path the newest, which comes last."""
    return {str(entry.path): to_json(entry.value) for entry in entries}


def times_of(entries: Iterable[Entry]) -> dict[str, float]:
    """Times by path, of the entries that have one."""
    return {str(entry.path): entry.time for entry in entries if entry.time is not None}


def common_path(entries: Iterable[Entry]) -> Path:
    """The longest path that all entries lie at or below."""
    paths = [entry.path for entry in entries]
    shared = paths[0] if paths else Path()
    while not all(shared.contains(path) for path in paths):
        shared = shared.parent
    return shared


class Report:
    """A listener that writes. `broken` is called when nobody reads any more."""

    def __init__(self, stream: TextIO, broken: Callable[[], object]) -> None:
        self._stream = stream
        self._broken = broken

    def write(self, line: dict[str, object]) -> None:
        """Write one object at once."""
        try:
            self._stream.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._stream.flush()
        except OSError:
            self._broken()

    def listening(self, server: Server) -> None:
        """The first line."""
        self.write(
            {
                "event": "listening",
                "coaps": server.coaps_port,
                "coap": server.coap_port,
                "engine": server.engine_name,
                "suites": list(server.suites),
            }
        )

    def __call__(self, event: Event) -> None:
        """Write what an event says, where the interface has a word for it."""
        match event:
            case Registered(device):
                self._registered(device)
            case Updated(device):
                self.write({"event": "updated", "endpoint": device.endpoint})
            case Deregistered(device):
                self.write({"event": "deregistered", "endpoint": device.endpoint})
            case Expired(device):
                self.write({"event": "expired", "endpoint": device.endpoint})
            case Notification(device, path, entries):
                self._values("notification", device, path, entries)
            case SendReceived(device, entries):
                self._values("send", device, common_path(entries), entries)
            case RefusedEvent(address, refusal):
                self.write(
                    {
                        "event": "refused",
                        "address": format_address(address),
                        "reason": refusal.reason.value,
                        "detail": refusal.detail,
                        "identity": refusal.identity,
                        "endpoint": refusal.endpoint,
                        "offered": list(refusal.offered),
                    }
                )
            case _:
                pass

    def _registered(self, device: Device) -> None:
        registration, security = device.registration, device.security
        if registration is None or security is None:
            return
        self.write(
            {
                "event": "registered",
                "endpoint": device.endpoint,
                "location": f"/rd/{registration.location}",
                "address": format_address(registration.peer.address),
                "lwm2m": registration.lwm2m,
                "lifetime": registration.lifetime,
                "binding": registration.binding,
                "queue": registration.queue,
                "objects": {str(path): version for path, version in sorted(device.objects.items())},
                "security": {
                    "mode": security.mode.value,
                    "suite": security.suite,
                    "identity": security.identity.label or None,
                },
            }
        )

    def _values(self, event: str, device: Device, path: Path, entries: Iterable[Entry]) -> None:
        line: dict[str, object] = {
            "event": event,
            "endpoint": device.endpoint,
            "path": str(path),
            "values": values_of(entries),
        }
        if times := times_of(entries):
            line["times"] = times
        self.write(line)
