"""The running server as a fixture."""

from collections.abc import AsyncIterator

import pytest

from custom_components.lwm2m.server.device import Device
from tests.server.helpers import Bench, serving

from .peer import RawDevice


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A server on two free ports of 127.0.0.1; it sends nothing again while a test looks at what it sends."""
    async with serving(ack_timeout=30.0) as running:
        yield running


@pytest.fixture
async def device(bench: Bench) -> AsyncIterator[RawDevice]:
    """A socket connected to the NoSec port."""
    async with RawDevice.to(bench.server.coap_port) as raw:
        yield raw


@pytest.fixture
async def known(bench: Bench, device: RawDevice) -> Device:
    """The server's side of the registered device."""
    await device.registered()
    return bench.server.devices["d"]
