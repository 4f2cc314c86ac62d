"""What an endpoint tells its caller: one small class for each thing that can happen."""

from dataclasses import dataclass

from ..security.refusal import Refusal
from .association import Association, NetworkPath


@dataclass(frozen=True, slots=True)
class Opened:
    """A handshake completed: the peer proved `association.identity`."""

    association: Association


@dataclass(slots=True)
class Data:
    """One record of application data (one CoAP message) that authenticated."""

    association: Association
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """An association ended without our asking: `detail` is one English phrase for a log."""

    association: Association
    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A peer was not let in. `association` is set when it was a live one that asked again."""

    path: NetworkPath
    refusal: Refusal
    association: Association | None = None


type Event = Opened | Data | Closed | Refused
