"""The constrained engine: tinydtls through DTLSSocket, PSK with AES_128_CCM_8 only, where no OpenSSL 3.2 can be had.

tinydtls copies a key into 16 bytes and an identity into 32 without looking, so longer ones never reach it; it reads
datagrams of at most 1400 bytes. Its clock for repeating a flight is its own.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from ipaddress import IPv6Address
from typing import Any

from ..security.cipher_suite import BY_NAME
from ..security.identity import PskIdentity, printable
from ..security.policy import Credentials, Policy, examine
from ..security.refusal import Reason, Refusal
from . import alert
from .association import Association, AssociationClosedError, NetworkPath, RecordTooLargeError
from .endpoint import Endpoint, EngineUnavailableError
from .events import Closed, Data, Opened
from .hello import CookieJar, Hello, HelloError, fatal_alert, hello_verify_request, is_client_hello, parse
from .record import ALERT, HANDSHAKE, HEADER_LENGTH, VERSION, is_record, split
from .unprotected import is_possible

SUITE = BY_NAME["TLS_PSK_WITH_AES_128_CCM_8"]
MAX_KEY, MAX_IDENTITY, MAX_DATAGRAM = 16, 32, 1400
MAX_PAYLOAD = 1280
MAX_PENDING = 64
MAX_ASSOCIATIONS = 2000
MAX_DURATION = 60.0
CHECK_INTERVAL = 0.5

_SERVER_HELLO = 2
_CLIENT_KEY_EXCHANGE = b"\x10"
_EVENT_CONNECTED = 0x01DE


class TinyAssociation(Association):
    """An association whose keys tinydtls holds."""

    __slots__ = ("address", "session")

    def __init__(self, path: NetworkPath, identity: PskIdentity, opened_at: float, handshake: _Pending) -> None:
        super().__init__(path, identity, SUITE, opened_at)
        self.address = handshake.address
        self.session = handshake.session
        self.max_payload = MAX_PAYLOAD


class _Pending:
    __slots__ = ("address", "deadline", "identity", "random", "session")

    def __init__(self, address: tuple[str, int], random: bytes, session: Any, deadline: float) -> None:
        self.address = address
        self.random = random
        self.session = session
        self.deadline = deadline
        self.identity: bytes | None = None


class _KeyStore:
    """What tinydtls asks for keys: a mapping that looks each identity up when it is asked."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._key = b""
        self.asked: bytes | None = None
        self.unusable: str | None = None

    def forget(self) -> None:
        """Begin with a new datagram."""
        self.asked = self.unusable = None
        self._key = b""

    def take_note(self, identity: bytes) -> None:
        """An identity that tinydtls refuses before it asks."""
        self.asked = identity
        self.unusable = f"the PSK identity has more than the {MAX_IDENTITY} bytes that the constrained engine takes"

    def keys(self) -> _KeyStore:
        """Itself: tinydtls's wrapper tests for membership here."""
        return self

    def __contains__(self, identity: bytes) -> bool:
        self.asked, self.unusable = identity, None
        key = self._credentials.psk(identity) if len(identity) <= MAX_IDENTITY else None
        if key is None:
            self.unusable = "no device with this PSK identity is on file"
        elif not 0 < len(key) <= MAX_KEY:
            self.unusable = f"its key has more than the {MAX_KEY} bytes that the constrained engine takes"
        self._key = key if key is not None and self.unusable is None else b""
        return self.unusable is None

    def __getitem__(self, identity: bytes) -> bytes:
        return self._key


class TinyDTLSEndpoint(Endpoint):
    """PSK with CCM_8 on tinydtls. Cookies of permitted hellos are its own, those of refused ones ours."""

    def __init__(self, credentials: Credentials, policy: Policy) -> None:
        super().__init__()
        try:
            from DTLSSocket import dtls  # noqa: PLC0415 - a compiled extension that may be missing
        except ImportError as error:
            raise EngineUnavailableError(f"DTLSSocket cannot be loaded: {error}") from error
        try:
            self.engine = f"tinydtls (DTLSSocket {version('DTLSSocket')})"
        except PackageNotFoundError:
            self.engine = "tinydtls"
        self.suites = (SUITE.name,)
        self._policy = policy.limited_to((SUITE.name,))
        self._cookies = CookieJar()
        self._store = _KeyStore(credentials)
        self._new_session: Any = dtls.Session
        dtls.setLogLevel(dtls.DTLS_LOG_EMERG)
        self._name = b"server"
        self._dtls: Any = dtls.DTLS(
            read=self._on_data, write=self._on_write, event=self._on_event, pskId=self._name, pskStore=self._store
        )
        self._pending: dict[NetworkPath, _Pending] = {}
        self._live: dict[NetworkPath, TinyAssociation] = {}
        self._current: NetworkPath | None = None
        self._paths: dict[tuple[str, int], NetworkPath] = {}
        self._next_check: float | None = None
        self._said_hello = self._connected = False
        self._alert_received: int | None = None
        self._alert_sent: int | None = None
        self._data: list[bytes] = []

    @property
    def pending_handshakes(self) -> int:
        """Number of handshakes for which tinydtls holds state."""
        return len(self._pending)

    def associations(self) -> Iterator[Association]:
        """Every live association."""
        return iter(list(self._live.values()))

    # --- tinydtls calls these while it works; they only take notes -----------------------------------------------

    def _on_write(self, address: tuple[str, int], data: bytes) -> int:
        path = self._current if self._current is not None else self._paths.get((address[0], address[1]))
        if path is not None:
            self._out.append((data, path))
        if len(data) > HEADER_LENGTH:
            if data[0] == HANDSHAKE and data[3:5] == b"\0\0" and data[HEADER_LENGTH] == _SERVER_HELLO:
                self._said_hello = True
            elif data[0] == ALERT:
                self._alert_sent = data[HEADER_LENGTH + 1] if data[3:5] == b"\0\0" else alert.CLOSE_NOTIFY
        return len(data)

    def _on_data(self, _address: tuple[str, int], data: bytes) -> int:
        self._data.append(data)
        return len(data)

    def _on_event(self, level: int, code: int) -> None:
        if level == 0:
            self._connected = self._connected or code == _EVENT_CONNECTED
        elif level == alert.FATAL or code == alert.CLOSE_NOTIFY:
            self._alert_received = code

    # --- datagrams in -------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, path: NetworkPath, now: float) -> None:
        """One UDP datagram from `path.peer`."""
        if not is_record(data):
            self._report_stray(data, path, now)
        elif len(data) > MAX_DATAGRAM:
            self._report(
                path, Refusal(Reason.MALFORMED, "the datagram is too large for this engine"), now, proved=False
            )
        elif is_client_hello(data):
            hello = self._permitted(data, path, now)
            if hello is not None:
                # That record alone: tinydtls crashes on bad ones, and has looked at no cookie yet.
                self._feed(hello.record, path, self._handshake_address(path, hello.random), now, hello.random)
        else:
            self._receive_record(data, path, now)

    def _receive_record(self, data: bytes, path: NetworkPath, now: float) -> None:
        """A record of a live association, which goes first, or of a handshake."""
        data = b"".join(record.whole for record in split(data) if record.epoch or is_possible(record))
        if not data:
            return
        live, pending = self._live.get(path), self._pending.get(path)
        if live is not None and data[3:5] != b"\0\0":
            self._feed(data, path, live.address, now)
            if self._data or self._alert_received is not None:
                return
        if pending is not None:
            self._feed(data, path, pending.address, now)
        elif live is not None and data[3:5] == b"\0\0":
            self._feed(data, path, live.address, now)

    def _handshake_address(self, path: NetworkPath, random: bytes) -> tuple[str, int]:
        """Where a hello goes: to its handshake if that runs already, else to an address that nothing uses."""
        pending, live = self._pending.get(path), self._live.get(path)
        if pending is not None and pending.random == random:
            return pending.address
        used = [state.address for state in (pending, live) if state is not None]
        return next(address for which in range(3) if (address := _address(path, which)) not in used)

    def _permitted(self, data: bytes, path: NetworkPath, now: float) -> Hello | None:
        """The hello if its offer is permitted; else it is answered here."""
        try:
            hello = parse(data)
        except HelloError as error:
            self._report(
                path, Refusal(Reason.MALFORMED, f"a ClientHello that cannot be taken: {error}"), now, proved=False
            )
            return None
        refusal = examine(hello.offer, self._policy)
        if refusal is None and hello.offer.version != VERSION:
            # tinydtls would take such a hello without any cookie.
            refusal = Refusal(Reason.PROTOCOL_VERSION, "this engine knows DTLS 1.2 alone", offered=hello.offer.names)
        if refusal is None:
            return hello
        if not self._cookies.valid(path, hello, now):
            self._out.append((hello_verify_request(hello, self._cookies.make(path, hello, now)), path))
            return None
        number = alert.PROTOCOL_VERSION if refusal.reason is Reason.PROTOCOL_VERSION else alert.HANDSHAKE_FAILURE
        self._out.append((fatal_alert(hello, number), path))
        self._report(path, refusal, now, proved=True)
        return None

    def _feed(self, data: bytes, path: NetworkPath, address: tuple[str, int], now: float, random: bytes = b"") -> None:
        self._said_hello = self._connected = False
        self._alert_received = self._alert_sent = None
        self._data.clear()
        self._store.forget()
        if path in self._pending and len(identity := _identity_in(data)) > MAX_IDENTITY:
            self._store.take_note(identity)
        self._current = path
        try:
            self._dtls.handleMessageAddr(*address, data)
        finally:
            self._current = None
        if self._said_hello:
            self._begin(path, address, random, now)
        pending, association = self._pending.get(path), self._live.get(path)
        if pending is not None and pending.address == address:
            self._settle_handshake(path, pending, now)
        elif association is not None and association.address == address:
            self._settle_association(association, now)

    def _settle_handshake(self, path: NetworkPath, pending: _Pending, now: float) -> None:
        """Act on what the callbacks noted."""
        if self._store.asked is not None:
            pending.identity = self._store.asked
        if self._connected:
            self._settle_association(self._open(path, pending, now), now)
        elif self._alert_received is not None or self._alert_sent is not None:
            self._drop(path)
            self._report(path, self._failure(pending), now, proved=True)

    def _settle_association(self, association: TinyAssociation, now: float) -> None:
        """Act on what the callbacks noted."""
        if self._data:
            association.last_received = now
            self._events.extend(Data(association, data) for data in self._data)
        if self._alert_received is not None:
            self._forget(association)
            self._events.append(Closed(association, alert.alert_name(self._alert_received)))

    def _begin(self, path: NetworkPath, address: tuple[str, int], random: bytes, now: float) -> None:
        """Note that tinydtls took a hello: it holds state now."""
        pending = self._pending.get(path)
        if pending is not None and pending.address == address:
            return
        if pending is not None:
            self._drop(path)
        elif len(self._pending) >= MAX_PENDING:
            self._drop(next(iter(self._pending)))
        self._pending[path] = _Pending(address, random, self._new_session(*address), now + MAX_DURATION)
        self._paths[address] = path
        if self._next_check is None:
            self._next_check = now + CHECK_INTERVAL

    def _open(self, path: NetworkPath, pending: _Pending, now: float) -> TinyAssociation:
        del self._pending[path]
        old = self._live.get(path)
        if old is not None:
            self._forget(old)
            self._reset(path, old.session, silent=True)
            self._events.append(Closed(old, "replaced"))
        elif len(self._live) >= MAX_ASSOCIATIONS:
            oldest = min(self._live.values(), key=_last_received)
            self.close(oldest, now)
            self._events.append(Closed(oldest, "too many associations"))
        association = TinyAssociation(path, PskIdentity(pending.identity or b""), now, pending)
        self._live[path] = association
        self._events.append(Opened(association))
        return association

    def _forget(self, association: TinyAssociation) -> None:
        del self._live[association.path]
        self._paths.pop(association.address, None)

    def _reset(self, path: NetworkPath, session: Any, *, silent: bool) -> None:
        """Make tinydtls forget a peer; `silent`: without the alert that it would send."""
        sent, noted = len(self._out), self._alert_sent
        self._current = path
        try:
            self._dtls.resetPeer(session)
        finally:
            self._current = None
        self._alert_sent = noted
        if silent:
            del self._out[sent:]

    def _failure(self, pending: _Pending) -> Refusal:
        identity = pending.identity
        label = None if identity is None else printable(identity)
        if self._alert_received is not None:
            reason, detail = Reason.REJECTED_BY_DEVICE, alert.describe(self._alert_received)
        elif self._store.asked is not None and self._store.unusable is not None:
            reason, detail = Reason.UNKNOWN_IDENTITY, self._store.unusable
        elif identity is not None and self._alert_sent == alert.DECRYPT_ERROR:
            reason, detail = Reason.WRONG_KEY, f"the device's key for the identity {label} is not the one on file"
        else:
            reason, detail = Reason.MALFORMED, f"the handshake broke off: {alert.alert_name(self._alert_sent or 0)}"
        return Refusal(reason, detail, identity=label, identity_bytes=identity)

    def _drop(self, path: NetworkPath) -> None:
        """Forget a handshake, here and in tinydtls, without a word to the peer."""
        pending = self._pending.pop(path)
        self._paths.pop(pending.address, None)
        self._reset(path, pending.session, silent=True)

    def set_trust_anchors(self, certificates: Iterable[bytes]) -> None:
        """Nothing to do: certificates are not served."""

    # --- sending, closing, timers -------------------------------------------------------------------------------

    def send(self, association: Association, data: bytes, now: float) -> None:
        """Send `data` as one record in one datagram."""
        if self._live.get(association.path) is not association or not isinstance(association, TinyAssociation):
            raise AssociationClosedError("the association is gone")
        if len(data) > MAX_PAYLOAD:
            raise RecordTooLargeError(len(data), MAX_PAYLOAD)
        self._current = association.path
        try:
            sent = self._dtls.write(association.session, data)
        finally:
            self._current = None
        if sent < 0:
            raise AssociationClosedError("tinydtls has forgotten the association")

    def close(self, association: Association, now: float) -> None:
        """End an association with close_notify."""
        if self._live.get(association.path) is not association or not isinstance(association, TinyAssociation):
            return
        self._forget(association)
        self._reset(association.path, association.session, silent=False)

    def close_all(self, now: float) -> None:
        """End every association with close_notify and forget every handshake."""
        super().close_all(now)
        for path in list(self._pending):
            self._drop(path)
        self._next_check = None

    def next_timer(self) -> float | None:
        """When `handle_timer` is due, or None."""
        return self._next_check

    def handle_timer(self, now: float) -> None:
        """Let tinydtls repeat its flights, and end handshakes that took too long."""
        if self._next_check is None or now < self._next_check:
            return
        self._dtls.checkRetransmit()
        for path, pending in list(self._pending.items()):
            if now >= pending.deadline:
                self._drop(path)
                label = None if pending.identity is None else printable(pending.identity)
                refusal = Refusal(
                    Reason.HANDSHAKE_TIMEOUT,
                    "the device fell silent during the handshake",
                    identity=label,
                    identity_bytes=pending.identity,
                )
                self._report(path, refusal, now, proved=True)
        self._next_check = now + CHECK_INTERVAL if self._pending else None


def _address(path: NetworkPath, which: int) -> tuple[str, int]:
    """What tinydtls is told for a path: it knows neither local addresses nor IPv4, so each gets three of its own."""
    digest = sha256(repr((path.peer, path.local, which)).encode()).digest()
    return str(IPv6Address(b"\xfd" + digest[:15])), int(path.peer[1])


def _identity_in(data: bytes) -> bytes:
    """The PSK identity of a ClientKeyExchange in a datagram (RFC 4279 section 2), or nothing."""
    for record in split(data):
        body = record.body
        if record.epoch == 0 and record.content_type == HANDSHAKE and body[:1] == _CLIENT_KEY_EXCHANGE:
            return body[14 : 14 + int.from_bytes(body[12:14])]
    return b""


def _last_received(association: Association) -> float:
    return association.last_received
