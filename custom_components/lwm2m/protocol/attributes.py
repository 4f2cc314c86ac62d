"""Notification attributes: when a client notifies (LwM2M TS 1.2.1 Core, section 7.3; TS 1.1.1, section 5.1.2)."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from .errors import AttributesError
from .value import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .path import Path

_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)
_NUMBER = re.compile(r"-?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_NUMERIC: Final = frozenset((DataType.INTEGER, DataType.UNSIGNED_INTEGER, DataType.FLOAT, DataType.TIME))


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationAttributes:
    """The attributes of one path; None is one that is not set, `removed` names those to unset.

    pmin, pmax, epmin, epmax are seconds; gt, lt, st numbers in the resource's unit; edge is False for falling and
    True for rising; con asks for confirmable notifications; hqmax is a number of queued notifications.
    """

    pmin: int | None = None
    pmax: int | None = None
    gt: float | None = None
    lt: float | None = None
    st: float | None = None
    epmin: int | None = None
    epmax: int | None = None
    edge: bool | None = None
    con: bool | None = None
    hqmax: int | None = None
    removed: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the attributes that words like "pmin=5 gt=3.5 pmax" name; a name alone (or "pmax=") unsets it."""
        return cls.of(text.split())

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """Return the attributes of Uri-Query options like "pmin=5"."""
        values: dict[str, int | float | bool] = {}
        removed: set[str] = set()
        for word in words:
            name, _, text = word.partition("=")
            if name not in _PARSERS:
                raise AttributesError(f"{name[:20]!r} is not a notification attribute")
            if name in values or name in removed:
                raise AttributesError(f"{name} is given twice")
            if text:
                values[name] = _PARSERS[name](name, text)
            else:
                removed.add(name)
        return cls._make(values, removed)

    @classmethod
    def from_link(cls, attributes: Mapping[str, str | None]) -> Self:
        """Return the notification attributes among those of a link that Discover gave; others are passed over."""
        return cls._make(
            {name: parser(name, text) for name, parser in _PARSERS.items() if (text := attributes.get(name))}, ()
        )

    @classmethod
    def _make(cls, values: Mapping[str, int | float | bool], removed: Iterable[str]) -> Self:
        made = cls(removed=frozenset(removed), **values)  # type: ignore[arg-type]
        made._check_consistency()
        return made

    def _check_consistency(self) -> None:
        for low, high in (("pmin", "pmax"), ("epmin", "epmax")):
            lower, upper = getattr(self, low), getattr(self, high)
            if lower is not None and upper is not None and lower > upper:
                raise AttributesError(f"{low} is greater than {high}")
        if self.st is not None and self.st <= 0:
            raise AttributesError("st must be greater than 0")
        if self.lt is not None and self.gt is not None and self.lt + 2 * (self.st or 0) >= self.gt:
            raise AttributesError("lt + 2 * st must be less than gt" if self.st else "lt must be less than gt")

    def validate(self, path: Path, data_type: DataType | None) -> None:
        """Raise AttributesError where an attribute cannot be attached to `path`, whose values have `data_type`."""
        if not path:
            raise AttributesError("the root takes no attributes")
        names = {name for name, _ in self._items()} | self.removed
        for name in sorted(names & {"gt", "lt", "st"}):
            if len(path) < 3 or (data_type is not None and data_type not in _NUMERIC):
                raise AttributesError(f"{name} needs a numeric resource")
        if "edge" in names and (len(path) < 3 or data_type not in (None, DataType.BOOLEAN)):
            raise AttributesError("edge needs a boolean resource")

    def to_query(self) -> tuple[str, ...]:
        """Return the Uri-Query options of Write-Attributes."""
        return (*(f"{name}={_format(value)}" for name, value in self._items()), *sorted(self.removed))

    def _items(self) -> list[tuple[str, int | float | bool]]:
        return [(name, value) for name in _PARSERS if (value := getattr(self, name)) is not None]


def _format(value: float | bool) -> str:
    """Return a number without an exponent and without a trailing ".0", which small clients cannot read."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.15f}".rstrip("0") if abs(value) >= 1e-15 else "0"
    return str(int(value))


def _seconds(name: str, text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise AttributesError(f"{name} is not a whole number")
    return int(text)


def _number(name: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise AttributesError(f"{name} is not a number")
    return float(text)


def _flag(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise AttributesError(f"{name} is neither 0 nor 1")
    return text == "1"


_PARSERS: Final[Mapping[str, Callable[[str, str], int | float | bool]]] = {
    "pmin": _seconds,
    "pmax": _seconds,
    "gt": _number,
    "lt": _number,
    "st": _number,
    "epmin": _seconds,
    "epmax": _seconds,
    "edge": _flag,
    "con": _flag,
    "hqmax": _seconds,
}
