"""The loaded libssl: finding it, probing it, and the few helpers that keep cffi's untyped values in this package."""

import _ssl
from collections.abc import Callable
from typing import Any

from ..endpoint import EngineUnavailableError
from ._binding import ffi as _untyped_ffi

ffi: Any = _untyped_ffi

type Pointer = Any
"""A cffi pointer: SSL*, X509*, … Never leaves this package."""

MINIMUM_VERSION = 0x30200000
"""OpenSSL 3.2: raw public keys and datagram memory BIOs."""

BUFFER_SIZE = 65536


class Library:
    """One loaded libssl. `lib` holds its functions."""

    __slots__ = ("buffer", "lib", "version")

    def __init__(self, lib: Any) -> None:
        self.lib: Any = lib
        self.version: str = ffi.string(lib.OpenSSL_version(0)).decode().split(" (")[0]
        self.buffer: Any = ffi.new("unsigned char[]", BUFFER_SIZE)

    @classmethod
    def load(cls, path: str | None = None) -> Library:
        """The libssl at `path`, else the one inside this Python, else the system's. Raises EngineUnavailableError."""
        candidates = [path] if path is not None else [getattr(_ssl, "__file__", None), "libssl.so.3"]
        missing = []
        for candidate in candidates:
            if candidate is None:
                continue
            try:
                lib = ffi.dlopen(candidate)
                version = int(lib.OpenSSL_version_num())
                if version < MINIMUM_VERSION:
                    missing.append(f"{ffi.string(lib.OpenSSL_version(0)).decode()} is older than 3.2")
                    continue
                for name in dir(lib):
                    getattr(lib, name)
            except (OSError, AttributeError, ffi.error) as error:
                missing.append(str(error))
                continue
            return cls(lib)
        raise EngineUnavailableError("no usable OpenSSL: " + "; ".join(missing or ["none found"]))

    def errors(self) -> list[tuple[int, str]]:
        """Take this thread's error queue: (reason code, text) of each entry, oldest first."""
        found = []
        while code := int(self.lib.ERR_get_error()):
            text = self.lib.ERR_reason_error_string(code)
            found.append((code & 0x7FFFFF, ffi.string(text).decode() if text != ffi.NULL else hex(code)))
        return found

    def check(self, result: Any, what: str) -> Any:
        """`result` if it is true, else EngineUnavailableError naming `what`: for set-up calls that must not fail."""
        if not result:
            errors = ", ".join(text for _, text in self.errors())
            raise EngineUnavailableError(f"OpenSSL refused {what}: {errors}")
        return result

    def to_der(self, function: Callable[[Any, Any], int], value: Pointer) -> bytes:
        """Encode with an i2d function; empty when it fails."""
        length = function(value, ffi.NULL)
        if length <= 0:
            return b""
        buffer = ffi.new("unsigned char[]", length)
        function(value, ffi.new("unsigned char **", buffer))
        return bytes(ffi.buffer(buffer, length))

    def from_der(self, function: Callable[[Any, Any, int], Any], data: bytes, what: str) -> Pointer:
        """Decode with a d2i function; the caller frees the result."""
        buffer = ffi.from_buffer("unsigned char[]", data)
        return self.check(function(ffi.NULL, ffi.new("const unsigned char **", buffer), len(data)), what)
