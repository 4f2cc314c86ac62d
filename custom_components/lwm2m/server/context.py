"""What all devices of one server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..protocol.objects.registry import Registry
from .quota import Quota

if TYPE_CHECKING:
    from ..coap.server import CoapServer
    from .events import Event


@dataclass(slots=True)
class Settings:
    """How devices are talked to; times in seconds.

    `awake_window`: how long a device in queue mode listens after it was heard (MAX_TRANSMIT_WAIT of RFC 7252, as
    LwM2M TS 1.1.1 Core section 6.5 advises). `wait`: how long a request waits for its turn or for the device to be
    awake; None: as long as the registration lasts. `answer`: how long for the answer, None: CoAP's own times.
    `ack_timeout`: until the first retransmission (ACK_TIMEOUT of RFC 7252). `concurrent`: requests to one device at a
    time (NSTART of RFC 7252 is 1).
    """

    awake_window: float = 93.0
    wait: float | None = 60.0
    answer: float | None = None
    ack_timeout: float = 2.0
    concurrent: int = 1


@dataclass(slots=True)
class Context:
    """`clock` is monotonic, `wall` seconds since the epoch; `listens` tells whether an event has a listener at all.

    `unproven` is the quota of all peers without security together.
    """

    coap: CoapServer
    registry: Registry
    settings: Settings
    clock: Callable[[], float]
    wall: Callable[[], float]
    emit: Callable[[Event], None]
    listens: Callable[[type], bool]
    unproven: Quota
