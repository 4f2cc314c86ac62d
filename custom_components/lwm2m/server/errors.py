"""Errors of the server, beside those of protocol/errors.py:

LwM2MError
 ├ IdentityInUse(endpoint)     the identity is on file for another endpoint
 ├ EndpointInUse(endpoint)     the endpoint has a credential already
 ├ DeviceBusy                  too many requests wait for this device already
 └ RequestTimeout
    └ DeviceAsleep             the device did not call while the request waited for it
"""

from __future__ import annotations

from ..protocol.errors import LwM2MError, RequestTimeout


class IdentityInUse(LwM2MError):
    """The identity (or key, or certificate) is on file for another endpoint, `endpoint`."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"this identity is on file for {endpoint}")
        self.endpoint = endpoint


class EndpointInUse(LwM2MError):
    """The endpoint `endpoint` has a credential already, and nobody asked to replace it."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"{endpoint} has a credential already")
        self.endpoint = endpoint


class DeviceBusy(LwM2MError):
    """Too many requests wait for this device already."""


class DeviceAsleep(RequestTimeout):
    """The device did not call while the request waited for it to be awake."""
