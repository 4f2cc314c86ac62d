"""The errors of the server, beside those of protocol/errors.py.

LwM2MError
 ├ IdentityInUseError      the identity is on file for another endpoint, `.endpoint`
 ├ EndpointInUseError      the endpoint, `.endpoint`, has a credential already
 ├ DeviceBusyError         too many requests wait for the device
 └ RequestTimeout
    └ DeviceAsleepError    the device did not call while the request waited for that
"""

from ..protocol.errors import LwM2MError, RequestTimeout


class IdentityInUseError(LwM2MError):
    """The identity (or public key, or certificate) is on file for another endpoint, `endpoint`."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"this identity is on file for {endpoint}")
        self.endpoint = endpoint


class EndpointInUseError(LwM2MError):
    """The endpoint `endpoint` has a credential already, and nobody asked to replace it."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"{endpoint} has a credential already")
        self.endpoint = endpoint


class DeviceBusyError(LwM2MError):
    """Too many requests wait for the device already."""


class DeviceAsleepError(RequestTimeout):
    """The device did not call while the request waited for it to be awake."""
