"""Stranger: callers that the server refuses: real programs over DTLS, and plain datagrams from any loopback address."""

import asyncio
import socket
from typing import Any

from homeassistant.helpers import entity_registry as er, issue_registry as ir

from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.security.refusal import Reason
from custom_components.lwm2m.server.events import RefusedEvent
from tests.interop import peers
from tests.interop.peers import Command, Peer
from tests.interop.pki import Pki

from .house import House

PLAIN_GET = bytes.fromhex("40010001")
"""CoAP without DTLS: a confirmable GET of nothing."""


class Stranger:
    """Somebody who calls the server of a house."""

    def __init__(self, house: House, pki: Pki) -> None:
        self.house = house
        self.pki = pki

    async def call(self, command: Command, peer: Peer = peers.S_CLIENT) -> RefusedEvent:
        """Call with a program until the server refuses it."""
        server, refused, seen = self.house.hub.server, asyncio.Event(), list[RefusedEvent]()

        def note(event: Any) -> None:
            seen.append(event)
            refused.set()

        stop = server.subscribe(note, RefusedEvent)
        try:
            output = await peers.run(peer, command(self.house.port, self.pki), done=refused)
        finally:
            stop()
        assert seen, output
        return seen[-1]

    async def call_plainly(self, host: str = "127.0.0.1", times: int = 1) -> None:
        """Send plain CoAP to the port for DTLS, and wait until the server has seen it."""
        refusals = self.house.hub.server.refusals
        before = refusals[Reason.PLAINTEXT]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            for _ in range(times):
                sock.sendto(PLAIN_GET, ("127.0.0.1", self.house.port))
        await self.house.until(lambda: refusals[Reason.PLAINTEXT] >= before + times)

    def pass_time(self, seconds: float) -> None:
        """Let both clocks of the server go on."""
        context = self.house.hub.server.context
        clock, wall = context.clock, context.wall
        context.clock = lambda: clock() + seconds
        context.wall = lambda: wall() + seconds

    def issues(self) -> dict[str, ir.IssueEntry]:
        """Return the repair issues about refusals, by id."""
        issues = ir.async_get(self.house.hass).issues.values()
        return {
            issue.issue_id: issue
            for issue in issues
            if issue.domain == DOMAIN and issue.active and issue.issue_id.startswith("refused_")
        }

    def issue(self) -> ir.IssueEntry:
        """Return the only issue that there is."""
        (issue,) = self.issues().values()
        return issue

    def event(self) -> Any:
        """Return the state of the server's event."""
        entity_id = er.async_get(self.house.hass).async_get_entity_id("event", DOMAIN, "server#refused")
        assert entity_id is not None
        return self.house.hass.states.get(entity_id)
