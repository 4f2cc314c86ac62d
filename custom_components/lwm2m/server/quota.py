"""A quota of memory: what peers that prove nothing may make the server keep, all of them together."""

from __future__ import annotations

UNPROVEN_LIMIT = 64 << 20
"""Bytes for all peers without security: their registrations and their values."""

PROVEN_LIMIT = 4 << 20
"""Bytes for the values of one device that has proven who it is."""


class Quota:
    """Bytes, estimated by those who take them."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Take bytes, or give back a negative number of them; False, and nothing taken, where they are not there."""
        if size > 0 and self.used + size > self.limit:
            return False
        self.used += size
        return True
