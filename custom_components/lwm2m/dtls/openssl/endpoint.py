"""The DTLS endpoint on OpenSSL: one port, many peers, every suite."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from typing import override

from ...security.identity import CertificateIdentity
from ...security.policy import Credentials, Policy, examine
from ...security.refusal import Reason, Refusal
from ...security.server_identity import ServerIdentity
from .. import alert
from ..association import Association, AssociationClosedError, FinalFlight, NetworkPath
from ..endpoint import Endpoint
from ..events import Closed, Data, Opened
from ..hello import CookieJar, Hello, HelloError, fatal_alert, hello_verify_request, is_client_hello, parse
from ..record import ALERT, APPLICATION_DATA, HANDSHAKE, is_record, split
from ..sealed import SealedAssociation
from .context import Context
from .ffi import Library
from .handshake import Handshake
from .kept import KeptAssociation

MAX_PENDING = 512
"""Handshakes for which state is held (an SSL object takes some 80 KiB)."""
MAX_PENDING_PER_HOST = 256
MAX_ASSOCIATIONS = 20_000
MAX_ASSOCIATIONS_PER_IDENTITY = 8
MIN_MTU = 576
MAX_SPENT, LATE = 1024, 30.0
"""Hellos that are remembered after they were answered, and seconds for which a duplicate of one is ignored."""

_CLIENT_HELLO, _FINISHED = 1, 20

type _Live = SealedAssociation | KeptAssociation


class OpenSSLEndpoint(Endpoint):
    """Cookie exchange in Python, one SSL object a handshake, then our own records (or OpenSSL's, see kept.py)."""

    def __init__(
        self,
        credentials: Credentials,
        policy: Policy,
        *,
        server_identity: ServerIdentity | None = None,
        trust_anchors: Iterable[bytes] = (),
        library: str | None = None,
        mtu: int = 1280,
    ) -> None:
        super().__init__()
        if mtu < MIN_MTU:
            raise ValueError(f"an MTU of {mtu} is less than {MIN_MTU}")
        loaded = Library.load(library)
        self.engine = " ".join(loaded.version.split()[:2]).lower()
        self.server_identity = server_identity or ServerIdentity.generate()
        trust_anchors = tuple(trust_anchors)
        self._context = Context(loaded, credentials, policy, self.server_identity, trust_anchors)
        self._policy = self._context.policy
        self.suites = tuple(suite.name for suite in self._policy.suites)
        self._trust_anchors = frozenset(trust_anchors)
        self._mtu = mtu
        self._cookies = CookieJar()
        self._pending: dict[NetworkPath, Handshake] = {}
        self._pending_hosts: Counter[str] = Counter()
        self._timers: list[tuple[float, int, Handshake]] = []
        self._timer_count = 0
        self._live: dict[NetworkPath, _Live] = {}
        self._spent: OrderedDict[tuple[NetworkPath, bytes], float] = OrderedDict()
        self._identities: dict[object, list[_Live]] = {}

    @override
    def set_server_identity(self, identity: ServerIdentity) -> None:
        # What is under way keeps the context that it began with.
        old = self._context
        self._context = Context(old.library, old.credentials, old.policy, identity, self._trust_anchors)
        self.server_identity = identity

    @override
    def set_trust_anchors(self, certificates: Iterable[bytes]) -> None:
        trusted = frozenset(certificates)
        self._context.set_trust_anchors(trusted)
        former, self._trust_anchors = self._trust_anchors, trusted
        if former - trusted:
            for handshake in list(self._pending.values()):
                by_authority = isinstance(handshake.identity, CertificateIdentity) and handshake.identity.trusted
                if by_authority or handshake.context is not self._context:
                    self._drop(handshake)

    @property
    @override
    def pending_handshakes(self) -> int:
        return len(self._pending)

    @override
    def associations(self) -> Iterator[Association]:
        return iter(list(self._live.values()))

    # --- datagrams in -------------------------------------------------------------------------------------------

    @override
    def receive_datagram(self, data: bytes, path: NetworkPath, now: float) -> None:
        association = self._live.get(path)
        if association is not None:
            plain = association.open_data(data)
            if plain is not None:
                association.last_received = now
                self._events.append(Data(association, plain))
                return
        if is_client_hello(data):
            self._receive_hello(data, path, now)
        elif not is_record(data):
            self._report_stray(data, path, now)
        elif association is None or not self._receive_live(association, data, now):
            handshake = self._pending.get(path)
            if handshake is not None:
                self._step(handshake, handshake.receive(data, now), now)

    def _receive_hello(self, data: bytes, path: NetworkPath, now: float) -> None:
        try:
            hello = parse(data)
        except HelloError as error:
            self._report(
                path, Refusal(Reason.MALFORMED, f"a ClientHello that cannot be taken: {error}"), now, proved=False
            )
            return
        if not self._cookies.valid(path, hello, now):
            cookie = self._cookies.make(path, hello, now)
            self._out.append((hello_verify_request(hello, cookie), path))
            return
        handshake = self._pending.get(path)
        if handshake is not None and handshake.hello.random == hello.random:
            self._send_all(handshake.repeat_for_hello(now), path)
            return
        late = self._is_late(path, hello, now)
        refusal = examine(hello.offer, self._policy)
        if refusal is not None:
            number = alert.PROTOCOL_VERSION if refusal.reason is Reason.PROTOCOL_VERSION else alert.HANDSHAKE_FAILURE
            self._out.append((fatal_alert(hello, number), path))
            if not late:
                self._report(path, refusal, now, proved=True)
        elif not late:
            self._begin(hello, path, now)

    def _is_late(self, path: NetworkPath, hello: Hello, now: float) -> bool:
        """Whether this hello was answered before, so that it is a duplicate from the network.

        Only for some seconds: a device without good randomness says the same again after a restart.
        """
        spent = self._spent
        while spent and next(iter(spent.values())) <= now:
            spent.popitem(last=False)
        if (path, hello.random) in spent:
            return True
        if len(spent) >= MAX_SPENT:
            spent.popitem(last=False)
        spent[path, hello.random] = now + LATE
        return False

    def _begin(self, hello: Hello, path: NetworkPath, now: float) -> None:
        if path in self._pending:
            self._drop(self._pending[path])
        self._make_room(str(path.peer[0]))
        handshake = Handshake(self._context, hello, path, now, self._mtu)
        self._pending[path] = handshake
        self._pending_hosts[str(path.peer[0])] += 1
        self._arm(handshake)
        self._step(handshake, handshake.start(), now)

    def _make_room(self, host: str) -> None:
        """Let the oldest handshake go, of this host if it has too many, else of all: a flood shuts nobody out."""
        if self._pending_hosts[host] >= MAX_PENDING_PER_HOST:
            self._drop(next(h for h in self._pending.values() if str(h.path.peer[0]) == host))
        elif len(self._pending) >= MAX_PENDING:
            self._drop(next(iter(self._pending.values())))

    def _drop(self, handshake: Handshake) -> None:
        """Forget a handshake and free its SSL object."""
        if self._pending.get(handshake.path) is handshake:
            del self._pending[handshake.path]
            host = str(handshake.path.peer[0])
            self._pending_hosts[host] -= 1
            if not self._pending_hosts[host]:
                del self._pending_hosts[host]
        handshake.free()

    def _step(self, handshake: Handshake, out: list[bytes], now: float) -> None:
        """Send what a handshake made, and act on the state that it reached."""
        self._send_all(out, handshake.path)
        if handshake.state == "running":
            if (refusal := handshake.take_wrong_key()) is not None:
                self._report_handshake(handshake, refusal, now)
        elif handshake.state == "done":
            self._take_over(handshake, now)
        else:
            self._report_failure(handshake, now)
            self._drop(handshake)

    def _report_failure(self, handshake: Handshake, now: float) -> None:
        # A device with the wrong key goes silent or gives up: what follows says nothing new.
        if handshake.refusal is not None and not handshake.wrong_key_reported:
            self._report_handshake(handshake, handshake.refusal, now)

    def _report_handshake(self, handshake: Handshake, refusal: Refusal, now: float) -> None:
        offered = refusal.offered or handshake.hello.offer.names
        self._report(handshake.path, replace(refusal, offered=offered), now, proved=True)

    # --- from handshake to association --------------------------------------------------------------------------

    def _take_over(self, handshake: Handshake, now: float) -> None:
        identity, path = handshake.identity, handshake.path
        assert identity is not None  # a handshake is done only with one
        suite, keys, finished, held = handshake.suite, handshake.keys(), handshake.finished, handshake.held
        group = handshake.group
        association: _Live
        if keys is not None and finished is not None and (not suite.is_cbc or handshake.encrypt_then_mac):
            association = SealedAssociation(
                path,
                identity,
                suite,
                now,
                keys=keys,
                next_sequence=handshake.next_sequence,
                finished=finished.sequence,
            )
            association.max_payload = handshake.max_payload()
        else:
            max_payload = handshake.max_payload()
            association = KeptAssociation(
                path, identity, suite, now, context=handshake.context, ssl=handshake.release()
            )
            association.max_payload = max_payload
        association.group = group
        if finished is not None:
            association.final_flight = FinalFlight(handshake.flight, finished.whole, now)
        self._drop(handshake)
        self._open(association, now)
        for record in held:  # data that overtook the Finished
            self._receive_live(association, record.whole, now)

    def _open(self, association: _Live, now: float) -> None:
        old = self._live.get(association.path)
        if old is not None:
            self._forget(old)
            self._events.append(Closed(old, "replaced"))
        same = self._identities.setdefault(association.identity, [])
        if len(same) >= MAX_ASSOCIATIONS_PER_IDENTITY:
            self._evict(min(same, key=_last_received), now)
        elif len(self._live) >= MAX_ASSOCIATIONS:
            self._evict(min(self._live.values(), key=_last_received), now)
        self._live[association.path] = association
        self._identities.setdefault(association.identity, []).append(association)
        self._events.append(Opened(association))

    def _evict(self, association: _Live, now: float) -> None:
        self.close(association, now)
        self._events.append(Closed(association, "too many associations"))

    def _forget(self, association: _Live) -> None:
        del self._live[association.path]
        same = self._identities[association.identity]
        same.remove(association)
        if not same:
            del self._identities[association.identity]
        if isinstance(association, KeptAssociation):
            association.shut_down()

    # --- records of a live association --------------------------------------------------------------------------

    def _receive_live(self, association: _Live, data: bytes, now: float) -> bool:
        """Whether anything in the datagram was this association's."""
        records = split(data)
        final = association.final_flight
        if final is not None and any(record.whole == final.finished for record in records):
            self._send_all(final.again(now), association.path)
            return True
        if isinstance(association, KeptAssociation):
            return self._receive_kept(association, data, now)
        authentic = False
        for record in records:
            plain = association.open_record(record)
            if plain is None:
                continue
            authentic = True
            association.last_received = now
            if record.content_type == APPLICATION_DATA:
                self._events.append(Data(association, plain))
            elif record.content_type == HANDSHAKE:
                self._receive_handshake_message(association, plain, now)
            elif record.content_type == ALERT and self._receive_alert(association, plain):
                return True
        return authentic

    def _receive_handshake_message(self, association: SealedAssociation, message: bytes, now: float) -> None:
        if message[:1] == bytes([_FINISHED]):
            self._send_all(association.final_flight.again(now) if association.final_flight else (), association.path)
        elif message[:1] == bytes([_CLIENT_HELLO]):
            refusal = bytes([alert.WARNING, alert.NO_RENEGOTIATION])
            self._out.append((association.seal(ALERT, refusal), association.path))

    def _receive_alert(self, association: SealedAssociation, message: bytes) -> bool:
        """Whether the alert ended the association."""
        if len(message) != 2 or (message[0] != alert.FATAL and message[1] != alert.CLOSE_NOTIFY):
            return False
        if message[1] == alert.CLOSE_NOTIFY:
            self._say_goodbye(association)
        self._forget(association)
        self._events.append(Closed(association, alert.alert_name(message[1])))
        return True

    def _receive_kept(self, association: KeptAssociation, data: bytes, now: float) -> bool:
        read = association.receive(data)
        if not (read.data or read.out or read.closed):
            return False
        association.last_received = now
        self._send_all(read.out, association.path)
        self._events.extend(Data(association, plain) for plain in read.data)
        if read.data:
            association.final_flight = None
        if read.closed is not None:
            self._send_all(association.shut_down(), association.path)
            self._forget(association)
            self._events.append(Closed(association, read.closed))
        return True

    # --- sending and closing ------------------------------------------------------------------------------------

    @override
    def send(self, association: Association, data: bytes, now: float) -> None:
        del now
        path = association.path
        if self._live.get(path) is not association:
            raise AssociationClosedError("the association is gone")
        if isinstance(association, SealedAssociation):
            self._out.append((association.seal(APPLICATION_DATA, data), path))
        elif isinstance(association, KeptAssociation):
            self._send_all(association.seal(data), path)

    @override
    def close(self, association: Association, now: float) -> None:
        del now
        live = self._live.get(association.path)
        if live is not association:
            return
        if isinstance(live, KeptAssociation):
            self._send_all(live.shut_down(), live.path)
        else:
            self._say_goodbye(live)
        self._forget(live)

    @override
    def close_all(self, now: float) -> None:
        super().close_all(now)
        for handshake in list(self._pending.values()):
            self._drop(handshake)
        self._timers.clear()

    def _say_goodbye(self, association: SealedAssociation) -> None:
        try:
            goodbye = association.seal(ALERT, bytes([alert.WARNING, alert.CLOSE_NOTIFY]))
        except AssociationClosedError:
            return
        self._out.append((goodbye, association.path))

    def _send_all(self, datagrams: Iterable[bytes], path: NetworkPath) -> None:
        self._out.extend((datagram, path) for datagram in datagrams)

    # --- timers -------------------------------------------------------------------------------------------------

    def _arm(self, handshake: Handshake) -> None:
        self._timer_count += 1
        heappush(self._timers, (handshake.next_timer, self._timer_count, handshake))
        if len(self._timers) > 4 * MAX_PENDING:
            self._timers = sorted(entry for entry in self._timers if entry[2].ssl is not None)

    @override
    def next_timer(self) -> float | None:
        timers = self._timers
        while timers and timers[0][2].ssl is None:
            heappop(timers)
        return timers[0][0] if timers else None

    @override
    def handle_timer(self, now: float) -> None:
        while (when := self.next_timer()) is not None and when <= now:
            handshake = heappop(self._timers)[2]
            out = handshake.handle_timer(now)
            if handshake.state == "running":
                self._arm(handshake)
            self._step(handshake, out, now)


def _last_received(association: Association) -> float:
    return association.last_received
