"""What devices ask of the server: Register, Update, Deregister and Send (LwM2M TS 1.1.1 Transport section 6.4.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..coap.messages import Request, Response
from ..protocol import codes
from ..protocol.messages import RegisterRequest, UpdateRequest
from ..security.identity import CertificateIdentity, NoSecurity, may_be, printable
from ..security.policy import Reason, Refusal
from .events import Deregistered, Registered, Updated
from .registrations import Registration, owner_of
from .send import receive_send

if TYPE_CHECKING:
    from ..coap.remote import Peer
    from .pending import Candidate
    from .server import Server

_LOGGER = logging.getLogger(__name__)

type Answer = tuple[Response, Callable[[], None] | None]
"""A response, and what to do once it has left."""


def bad_request(detail: str) -> Answer:
    """A 4.00 whose diagnostic payload says to the device's developer what is wrong with the request."""
    return Response(codes.BAD_REQUEST, detail.encode()[:120]), None


class Uplink:
    """Answers the requests of peers at once; a ProtocolError that it raises is an answer too, by its code."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def handle(self, peer: Peer, request: Request) -> Answer:
        """The resources are /rd, /rd/ID and /dp."""
        match request.path, request.method:
            case ("rd",), codes.POST:
                return self._register(peer, request)
            case ("rd", location), codes.POST:
                return self._update(peer, request, location)
            case ("rd", location), codes.DELETE:
                return self._deregister(peer, location)
            case ("dp",), codes.POST:
                return receive_send(self._server, peer, request)
            case ((("rd",) | ("rd", _) | ("dp",)), _):
                return Response(codes.METHOD_NOT_ALLOWED), None
        return Response(codes.NOT_FOUND), None

    # -- Register

    def _register(self, peer: Peer, request: Request) -> Answer:
        if not request.confirmable:
            return bad_request("a Register must be confirmable")
        register = RegisterRequest.parse(request.query, request.payload)
        server = self._server
        endpoint = register.endpoint or self._implied_endpoint(peer)
        if not endpoint:
            return bad_request("no endpoint name")
        if (refusal := self._refusal(peer, endpoint)) is not None:
            if (suite := peer.security.suite) is not None:
                refusal = replace(refusal, offered=(suite,))
            server.refuse(peer.address, refusal)
            if (candidate := self._candidate(peer)) is not None:
                candidate.failed(refusal)
            return Response(codes.FORBIDDEN), None
        former = server.registrations.of_endpoint(endpoint)
        if not server.registrations.has_room(endpoint, owner_of(peer), len(register.objects.objects)):
            return Response(codes.SERVICE_UNAVAILABLE), None
        registration = Registration(
            server.registrations.new_location(), endpoint, peer, register, server.context.clock()
        )
        device = server.begin(registration)

        def announce() -> None:
            if device.registration is registration:
                device.announce()
                server.emit(Registered(device, new=former is None))
                self._seen(peer, endpoint)
                if isinstance(peer.security.identity, NoSecurity) and not device.expected:
                    server.pending.unproven(endpoint, peer.address[0])

        return Response(codes.CREATED, location=("rd", registration.location)), announce

    def _candidate(self, peer: Peer) -> Candidate | None:
        return self._server.candidate_of(peer)

    def _implied_endpoint(self, peer: Peer) -> str | None:
        """The endpoint that the credential is for, where a Register names none."""
        identity = peer.security.identity
        if (endpoint := self._server.authorizer.endpoint_of(identity)) is not None:
            return endpoint
        if (candidate := self._candidate(peer)) is not None:
            return candidate.endpoint or candidate.expected_endpoint
        return identity.common_name if isinstance(identity, CertificateIdentity) else None

    def _refusal(self, peer: Peer, endpoint: str) -> Refusal | None:
        """Why this peer may not register as this endpoint (LwM2M TS 1.1.1 Transport section 5.2)."""
        server = self._server
        identity = peer.security.identity
        credential = server.authorizer.credential(endpoint)
        filed = server.authorizer.endpoint_of(identity)
        present = server.registrations.of_endpoint(endpoint)
        detail = None
        if filed is not None and filed != endpoint:
            detail = f"the identity of {printable(filed)} registers as {printable(endpoint)}"
        elif filed is None and (candidate := self._candidate(peer)) is not None:
            if (refusal := may_be(candidate.credential, identity, endpoint)) is not None:
                return refusal
            if credential is not None and endpoint != candidate.expected_endpoint:
                detail = f"{printable(endpoint)} has another credential on file"
            elif candidate.endpoint is not None and candidate.endpoint != endpoint:
                detail = f"the identity of {printable(candidate.endpoint)} also registers as {printable(endpoint)}"
            elif present is not None and server.candidate_of(present.peer) not in (None, candidate):
                detail = f"another new device has registered as {printable(endpoint)} already"
        elif isinstance(identity, NoSecurity) and credential is None:
            if server.authorizer.is_reserved(endpoint):
                detail = f"nobody may be {printable(endpoint)} without a credential"
            elif server.pending.awaits(endpoint) and not self._is_expected(endpoint):
                detail = f"a device that proves to be {printable(endpoint)} is waited for"
            elif present is not None and not isinstance(present.peer.security.identity, NoSecurity):
                detail = f"{printable(endpoint)} is registered over a secure association"
        else:
            return server.authorizer.refusal(identity, endpoint)
        if detail is None:
            return None
        return Refusal(Reason.ENDPOINT_MISMATCH, detail, identity=identity.label, endpoint=printable(endpoint))

    def _is_expected(self, endpoint: str) -> bool:
        device = self._server.devices.get(endpoint)
        return device is not None and device.expected

    # -- Update and Deregister

    def _own(self, peer: Peer, location: str) -> Registration | Answer:
        registration = self._server.registrations.at(location)
        if registration is None:
            return Response(codes.NOT_FOUND), None
        if owner_of(peer) != registration.owner:
            return bad_request("this registration is not yours")
        return registration

    def _update(self, peer: Peer, request: Request, location: str) -> Answer:
        registration = self._own(peer, location)
        if not isinstance(registration, Registration):
            return registration
        update = UpdateRequest.parse(request.query, request.payload, registration.lwm2m)
        server = self._server
        if update.objects is not None and not server.registrations.has_room(
            registration.endpoint, registration.owner, len(update.objects.objects)
        ):
            return Response(codes.SERVICE_UNAVAILABLE), None
        changed = registration.update(update, server.context.clock())
        server.renewed(registration, peer)
        device = server.devices[registration.endpoint]
        if changed:
            server.registrations.count(registration)
            device.objects_changed()

        def announce() -> None:
            if device.registration is registration:
                device.heard()
                device.observations.updated(changed)
                server.emit(Updated(device, changed))
                self._seen(peer, registration.endpoint)

        return Response(codes.CHANGED), announce

    def _deregister(self, peer: Peer, location: str) -> Answer:
        registration = self._own(peer, location)
        if not isinstance(registration, Registration):
            return registration
        device = self._server.end(registration)
        return Response(codes.DELETED), lambda: self._server.emit(Deregistered(device))

    def _seen(self, peer: Peer, endpoint: str) -> None:
        """The device spoke over this association, so older ones of its identity are of no more use."""
        self._server.close_older(peer)
        if (candidate := self._candidate(peer)) is not None:
            candidate.registered(endpoint)
