"""What the OMA definition of an object says, as data (LwM2M TS 1.1.1 Core, appendix D)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..value import DataType


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """One resource; `operations` is a subset of "RWE" in this order, `type` is None where it has no value to read."""

    id: int
    name: str
    operations: str
    multiple: bool
    mandatory: bool
    type: DataType | None
    range: str = ""
    units: str = ""

    @property
    def readable(self) -> bool:
        """Whether Read and Observe are among the operations."""
        return "R" in self.operations

    @property
    def writable(self) -> bool:
        """Whether Write is among the operations."""
        return "W" in self.operations

    @property
    def executable(self) -> bool:
        """Whether Execute is among the operations."""
        return "E" in self.operations


@dataclass(frozen=True, slots=True)
class ObjectDefinition:
    """One version ("1.0", "1.1", …) of an object and its resources by id."""

    id: int
    name: str
    version: str
    multiple: bool
    mandatory: bool
    resources: Mapping[int, ResourceDefinition]
