"""What the server tells its listeners (`Server.subscribe`), in order and synchronously."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..protocol.messages import Entry
from ..protocol.path import Path
from ..security.policy import Refusal

if TYPE_CHECKING:
    from .device import Device
    from .pending import Candidate, Unknown


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration began; its 2.01 has left. `new` is False when it replaced one of the same endpoint."""

    device: Device
    new: bool


@dataclass(frozen=True, slots=True)
class Updated:
    """A registration update was answered. `objects_changed`: the object list differs from the one before."""

    device: Device
    objects_changed: bool


@dataclass(frozen=True, slots=True)
class Deregistered:
    """The device left by itself; `device.registration` is None already."""

    device: Device


@dataclass(frozen=True, slots=True)
class Expired:
    """Lifetime and grace went by without an update, or the credential no longer permits the registration."""

    device: Device


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification of the observation on `path`; `device.values` holds it already. Times are absolute seconds."""

    device: Device
    path: Path
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class SendReceived:
    """The device used Send (LwM2M 1.1); `device.values` holds it already. Times are absolute seconds."""

    device: Device
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """A handshake, or a registration over a good one, was refused.

    `address` is (host, port). `refusal.endpoint` is filled in where the identity is on file, so that failures of a
    known device can be counted. `refusal.identity` is sanitised, and unproven unless the reason is endpoint_mismatch.
    Of a refused registration `refusal.offered` has the suite of its association alone.
    """

    address: tuple[str, int]
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class UnknownPeer:
    """A peer without credential called; told once per key and some minutes, and never for more than a few keys."""

    peer: Unknown


@dataclass(frozen=True, slots=True)
class CandidateChanged:
    """The state, the tries or the endpoint of a candidate changed."""

    candidate: Candidate


type Event = (
    Registered
    | Updated
    | Deregistered
    | Expired
    | Notification
    | SendReceived
    | RefusedEvent
    | UnknownPeer
    | CandidateChanged
)
