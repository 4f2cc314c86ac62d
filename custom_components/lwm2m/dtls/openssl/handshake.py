"""One handshake: one SSL object, driven by datagrams and our own timer, until it is done or failed."""

from typing import Literal

from ...security.cipher_suite import SUITES, CipherSuite
from ...security.identity import CertificateIdentity, Identity, PskIdentity, PublicKeyIdentity
from ...security.refusal import Reason, Refusal
from ..association import NetworkPath
from ..hello import ENCRYPT_THEN_MAC, Hello
from ..record import APPLICATION_DATA, HANDSHAKE, MAX_PLAINTEXT, Direction, MacThenEncrypt, Record, directions, split
from ..unprotected import Unprotected, with_sequence
from .context import (
    CERTIFICATE_RAW_PUBLIC_KEY,
    CERTIFICATE_X509,
    CTRL_GET_NEGOTIATED_GROUP,
    CTRL_SET_MTU,
    Context,
)
from .failure import explain
from .ffi import Pointer, ffi

FIRST_TIMEOUT, LAST_TIMEOUT = 1.0, 16.0
"""Seconds until a flight is repeated for the first and for the last time; each waits twice as long as that before."""
MAX_DURATION = 60.0
REPEAT_INTERVAL = 0.2
"""Seconds between two repeats of a flight that the peer asks for by repeating its own."""
MAX_HELD = 8
"""Records of epoch 1 that are kept while the keys are not known yet, or until the handshake is done."""
MASTER_LENGTH, RANDOM_LENGTH = 48, 32
IP_AND_UDP = 48
WANT_READ, WANT_WRITE = 2, 3
GROUPS = {415: "P-256", 715: "P-384", 716: "P-521"}
"""Names of the groups that are served, by OpenSSL's number (openssl/obj_mac.h)."""
LAST_FIRST = 1 << 47
"""A client that counts from higher up does not mean it, and would make us run out of numbers."""


class Renumbering:
    """Gives every epoch-0 record that leaves its own number: a repeated flight must not look like a replay.

    The first has that of the ClientHello with the cookie (RFC 6347 section 4.2.1): lower ones were used by
    HelloVerifyRequests, and a client that counts those in its window would drop a record that has such a number again.
    """

    __slots__ = ("_next",)

    def __init__(self, first: int) -> None:
        self._next = first if first < LAST_FIRST else 0

    def apply(self, datagram: bytes) -> bytes:
        """The datagram with new sequence numbers in its epoch-0 records."""
        out = []
        for record in split(datagram):
            if record.epoch:
                out.append(record.whole)
                continue
            out.append(record.header[:5] + self._next.to_bytes(6) + record.header[11:] + record.body)
            self._next += 1
        return b"".join(out)


class Handshake:
    """State of one handshake. `receive` and `repeat` return the datagrams to send; then look at `state`."""

    __slots__ = (
        *("_context", "_interval", "_keys", "_looked", "_renumbering", "_repeated_at", "_unprotected"),
        *("_wrong_key",),
        *("deadline", "finished", "flight", "held", "hello", "identity", "next_sequence", "next_timer", "path"),
        *("refusal", "ssl", "state", "wrong_key_reported"),
    )

    def __init__(self, context: Context, hello: Hello, path: NetworkPath, now: float, mtu: int) -> None:
        lib = context.library.lib
        self._context = context
        self.hello = hello
        self.path = path
        self.deadline = now + MAX_DURATION
        self.state: Literal["running", "done", "failed"] = "running"
        self.identity: Identity | None = None
        self.refusal: Refusal | None = None
        self.wrong_key_reported = False
        self.flight: list[bytes] = []
        self.next_sequence = 0
        self._interval = FIRST_TIMEOUT
        self.next_timer = now + FIRST_TIMEOUT
        self._repeated_at = now
        self.held: list[Record] = []
        self.finished: Record | None = None
        self._keys: tuple[Direction, Direction] | None = None
        self._looked = False
        self._wrong_key = False
        self._renumbering = Renumbering(int.from_bytes(hello.record_sequence))
        self._unprotected = Unprotected(int.from_bytes(hello.message_sequence))
        self.ssl: Pointer = ffi.gc(context.library.check(lib.SSL_new(context.pointer), "an SSL object"), lib.SSL_free)
        lib.BIO_up_ref(context.incoming)
        lib.BIO_up_ref(context.outgoing)
        lib.SSL_set_bio(self.ssl, context.incoming, context.outgoing)
        lib.SSL_set_accept_state(self.ssl)
        lib.DTLS_set_timer_cb(self.ssl, context.timer_callback)
        context.library.check(lib.SSL_ctrl(self.ssl, CTRL_SET_MTU, mtu - IP_AND_UDP, ffi.NULL) > 0, f"an MTU of {mtu}")
        self._order_certificate_types()

    @property
    def context(self) -> Context:
        """The context that its SSL object was made from."""
        return self._context

    def _order_certificate_types(self) -> None:
        """OpenSSL goes by the server's order; follow the client's, since it says what the device prefers."""
        lib, offer = self._context.library.lib, self.hello.offer
        for setter, wanted in (
            (lib.SSL_set1_server_cert_type, offer.server_certificate_types),
            (lib.SSL_set1_client_cert_type, offer.client_certificate_types),
        ):
            order = bytes(t for t in wanted or () if t in (CERTIFICATE_RAW_PUBLIC_KEY, CERTIFICATE_X509))
            if order:
                setter(self.ssl, order, len(order))

    def start(self) -> list[bytes]:
        """Answer the hello, whose cookie was right."""
        lib, context = self._context.library.lib, self._context
        context.exchange(with_sequence(self.hello.record, 0))
        if lib.DTLSv1_listen(self.ssl, context.unused_address) <= 0:
            self._fail(0)
            return []
        return self._advance()

    def receive(self, datagram: bytes, now: float) -> list[bytes]:
        """One datagram of the client.

        Records of epoch 1 are held until our own keys can open them, and OpenSSL sees only those that authenticate: it
        would end the handshake at a forged one where encrypt-then-MAC is used, and drop it in silence elsewhere.
        """
        out: list[bytes] = []
        records = split(datagram)
        if clear := self._unprotected.take(records):
            self._context.exchange(clear)
            out = self._advance()
        self.held += (record for record in records if record.epoch == 1 and record not in self.held)
        del self.held[:-MAX_HELD]
        if self.state == "running" and self.held:
            out = out + self._feed_held()
        if self.state == "running" and records and not out:
            out = self._repeat_if_asked(records[0], now)
        return out

    def _feed_held(self) -> list[bytes]:
        keys = self.keys()
        if keys is None:
            return []
        out: list[bytes] = []
        held, self.held = self.held, []
        for record in held:
            if record.content_type == APPLICATION_DATA or self.state != "running":
                self.held.append(record)
            elif self._is_authentic(record, keys[0]):
                if record.content_type == HANDSHAKE:
                    self.finished = record
                self._context.exchange(record.whole)
                out += self._advance()
        return out

    def _is_authentic(self, record: Record, direction: Direction) -> bool:
        """Whether OpenSSL is to see a record of epoch 1; a Finished that does not open was made with another key."""
        if isinstance(direction, MacThenEncrypt):
            # Looked at once only, since it is no constant-time check; OpenSSL does its own.
            authentic = (
                self._looked or direction.open(record.content_type, record.header[3:11], record.body) is not None
            )
            self._looked = True
            self._wrong_key = self._wrong_key or not authentic
            return True
        if direction.open(record.content_type, record.header[3:11], record.body) is not None:
            return True
        self._wrong_key = self._wrong_key or record.content_type == HANDSHAKE
        return False

    def _repeat_if_asked(self, record: Record, now: float) -> list[bytes]:
        """The client repeats what it sent before our flight: our flight was lost."""
        message = record.body[4:6] if record.content_type == HANDSHAKE else b""
        if message and message <= self.hello.message_sequence:
            return self.repeat_for_hello(now)
        return []

    def repeat_for_hello(self, now: float) -> list[bytes]:
        """The flight again because the hello came again, but not more often than every 0.2 s."""
        if now - self._repeated_at < REPEAT_INTERVAL:
            return []
        self._repeated_at = now
        return self._again()

    def handle_timer(self, now: float) -> list[bytes]:
        """What to send at `next_timer`; past the deadline the state becomes failed."""
        if now >= self.deadline:
            self._time_out()
            return []
        self._interval *= 2
        self.next_timer = self.deadline if self._interval > LAST_TIMEOUT else min(now + self._interval, self.deadline)
        self._repeated_at = now
        return self._again()

    def _again(self) -> list[bytes]:
        self.flight = [self._renumbering.apply(datagram) for datagram in self.flight]
        return self.flight

    def _advance(self) -> list[bytes]:
        lib, context = self._context.library.lib, self._context
        context.current = self
        try:
            result = int(lib.SSL_do_handshake(self.ssl))
            error = 0 if result == 1 else int(lib.SSL_get_error(self.ssl, result))
        finally:
            context.current = None
        out = [self._renumbering.apply(datagram) for datagram in context.drain()]
        if out:
            self.flight = out
        if result == 1:
            self.state = "done" if self._proved() else "failed"
        elif error not in (WANT_READ, WANT_WRITE):
            self._fail(error)
        self._note_sequence(out)
        context.library.errors()
        return out

    def _note_sequence(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            for record in split(datagram):
                if record.epoch == 1:
                    self.next_sequence = max(self.next_sequence, record.sequence + 1)

    def _proved(self) -> bool:
        """Whether the identity is of the kind that the suite proves: what follows must not rest on a callback alone."""
        suite = self.suite
        if suite.has_psk:
            return isinstance(self.identity, PskIdentity)
        return suite.has_certificate and isinstance(self.identity, PublicKeyIdentity | CertificateIdentity)

    def _fail(self, error: int) -> None:
        self.state = "failed"
        errors = self._context.library.errors()
        if self.refusal is None:
            self.refusal = explain(error, errors, self.identity, self.hello.offer)

    def _time_out(self) -> None:
        self.state = "failed"
        identity = self.identity
        name = identity.label if identity else None
        self.refusal = Refusal(
            Reason.HANDSHAKE_TIMEOUT,
            "the device fell silent during the handshake",
            identity=name,
            identity_bytes=identity.identity if isinstance(identity, PskIdentity) else None,
            offered=self.hello.offer.names,
        )

    @property
    def suite(self) -> CipherSuite:
        """The suite that was chosen; known once the server's hello is made."""
        lib = self._context.library.lib
        cipher = lib.SSL_get_current_cipher(self.ssl) if self.state != "running" else ffi.NULL
        if cipher == ffi.NULL:
            cipher = lib.SSL_get_pending_cipher(self.ssl)
        return SUITES[int(lib.SSL_CIPHER_get_protocol_id(cipher)) & 0xFFFF]

    @property
    def group(self) -> str | None:
        """The curve of the ephemeral key exchange; None where the suite has none."""
        if not self.suite.has_ecdhe:
            return None
        lib = self._context.library.lib
        return GROUPS.get(int(lib.SSL_ctrl(self.ssl, CTRL_GET_NEGOTIATED_GROUP, 0, ffi.NULL)))

    @property
    def encrypt_then_mac(self) -> bool:
        """RFC 7366: OpenSSL grants it to every CBC suite whose client offers it."""
        return self.suite.is_cbc and ENCRYPT_THEN_MAC in self.hello.offer.extensions

    def keys(self) -> tuple[Direction, Direction] | None:
        """(client's, server's) write keys once the master secret is known, else None."""
        if self._keys is None:
            lib = self._context.library.lib
            session = lib.SSL_get_session(self.ssl)
            secret = ffi.new("unsigned char[]", MASTER_LENGTH)
            if session == ffi.NULL or lib.SSL_SESSION_get_master_key(session, secret, MASTER_LENGTH) != MASTER_LENGTH:
                return None
            random = ffi.new("unsigned char[]", RANDOM_LENGTH)
            lib.SSL_get_server_random(self.ssl, random, RANDOM_LENGTH)
            master, server_random = bytes(ffi.buffer(secret)), bytes(ffi.buffer(random))
            self._keys = directions(self.suite, self.encrypt_then_mac, master, self.hello.random, server_random)
        return self._keys

    def take_wrong_key(self) -> Refusal | None:
        """A refusal, once, when a Finished came that was not made with the key of the PSK identity.

        The attempt goes on: anyone can forge a record.
        """
        identity = self.identity
        if not self._wrong_key or self.wrong_key_reported or not isinstance(identity, PskIdentity):
            return None
        self.wrong_key_reported = True
        return Refusal(
            Reason.WRONG_KEY,
            f"the device's key for the identity {identity.label} is not the one on file",
            identity=identity.label,
            identity_bytes=identity.identity,
        )

    def max_payload(self) -> int:
        """Bytes of one record by the max_fragment_length extension (RFC 6066 section 4), else 16384."""
        lib = self._context.library.lib
        code = int(lib.SSL_SESSION_get_max_fragment_length(lib.SSL_get_session(self.ssl)))
        return 256 << code if code else MAX_PLAINTEXT

    def free(self) -> None:
        """Let the SSL object go; nothing else may be called afterwards."""
        if self.ssl is not None:
            self._context.library.lib.SSL_set_shutdown(self.ssl, 3)
            ffi.release(self.ssl)
            self.ssl = None
        self._keys = None

    def release(self) -> tuple[Pointer, Renumbering]:
        """Hand the SSL object over to an association that stays in OpenSSL."""
        ssl, self.ssl = self.ssl, None
        return ssl, self._renumbering
