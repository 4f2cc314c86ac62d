"""A client that keeps its registration over a lost association: after a new handshake it sends an Update alone."""

from __future__ import annotations

from .client import SimulatedClient


class ReturningClient(SimulatedClient):
    """As LwM2M TS 1.1.1 Core section 6.2.2 allows; it registers again where the server knows the location no more."""

    kept: tuple[str, ...] | None = None

    async def _register(self) -> None:
        location, self.kept = self.kept, None
        if location is None:
            await super()._register()
        else:
            self.observer.clear()
            self.observer.messaging = self._session_messaging()
            self.location = location
            await self._update()
        self.kept = self.location
