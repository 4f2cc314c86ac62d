"""The running server as a fixture."""

from collections.abc import AsyncIterator

import pytest

from .helpers import Bench, serving


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A server on two free ports of 127.0.0.1."""
    async with serving() as running:
        yield running
