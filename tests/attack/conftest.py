"""The endpoint and the clients of the DTLS tests, and a count of the SSL objects that exist."""

import pytest

from tests.dtls.conftest import connect, credentials, endpoint, pki

from .attacker import LiveObjects

__all__ = ["connect", "credentials", "endpoint", "live_objects", "pki"]


@pytest.fixture
def live_objects(monkeypatch: pytest.MonkeyPatch) -> LiveObjects:
    """Counts what the handshakes make and free; ask for it before the first handshake."""
    counting = LiveObjects()
    monkeypatch.setattr("custom_components.lwm2m.dtls.openssl.handshake.ffi", counting)
    return counting
