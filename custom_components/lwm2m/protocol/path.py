"""Path: the address of an object, object instance, resource or resource instance (LwM2M TS 1.1.1 Core, section 7.3)."""

import re
from functools import lru_cache
from typing import Final, Self

from .errors import PathError

MAX_ID: Final = 65535
"""Identifiers are 16 bit; 65535 itself is reserved for objects and instances."""

_ID = "(0|[1-9][0-9]{0,4})"
_PATH = re.compile(rf"/?(?:{_ID}(?:/{_ID}(?:/{_ID}(?:/{_ID})?)?)?)?/?")
_MAX_TEXT: Final = len("/65535/65535/65535/65535/")


class Path(tuple[int, ...]):
    """Up to four identifiers, from the root `()` to a resource instance; sorts and hashes as the tuple it is.

    `Path(ids)` trusts its caller; `Path.parse` and `Path.of` check.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Path:
        """Return the path that "/3303/0/5700" names (slash at either end optional, "" and "/" are the root)."""
        return _parse(text)

    @classmethod
    def of(cls, *ids: int) -> Self:
        """Return the path of these identifiers, checked."""
        path = cls(ids)
        _check(path, path)
        return path

    @classmethod
    def from_segments(cls, segments: tuple[str, ...]) -> Path:
        """Return the path whose Uri-Path options are `segments`."""
        return _parse("/".join(segments))

    @property
    def object_id(self) -> int | None:
        """The first identifier."""
        return self[0] if self else None

    @property
    def instance_id(self) -> int | None:
        """The second identifier."""
        return self[1] if len(self) > 1 else None

    @property
    def resource_id(self) -> int | None:
        """The third identifier."""
        return self[2] if len(self) > 2 else None

    @property
    def resource_instance_id(self) -> int | None:
        """The fourth identifier."""
        return self[3] if len(self) > 3 else None

    @property
    def parent(self) -> Path:
        """The path one level up; the root is its own parent."""
        return Path(self[:-1])

    @property
    def segments(self) -> tuple[str, ...]:
        """The identifiers as text, as Uri-Path options carry them."""
        return tuple(map(str, self))

    def child(self, identifier: int) -> Path:
        """Return the path one level down."""
        path = Path((*self, identifier))
        _check(path, path)
        return path

    def contains(self, other: tuple[int, ...]) -> bool:
        """Whether `other` is this path or lies below it."""
        return other[: len(self)] == self

    def __str__(self) -> str:
        return "/" + "/".join(map(str, self))

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"


ROOT: Final = Path()


def _check(path: tuple[int, ...], shown: object) -> None:
    if len(path) > 4:
        raise PathError(f"{shown} has more than four identifiers")
    for level, identifier in enumerate(path):
        if not 0 <= identifier <= MAX_ID or (identifier == MAX_ID and level < 2):
            raise PathError(f"{identifier} in {shown} is not an identifier")


@lru_cache(maxsize=8192)
def _parse(text: str) -> Path:
    match = _PATH.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None or text == "//":
        raise PathError(f"{text[:40]!r} is not a path of identifiers")
    path = Path(int(group) for group in match.groups() if group is not None)
    _check(path, path)
    return path
