"""A DTLS 1.2 client on OpenSSL without sockets or clock, and a network that loses, repeats and reorders datagrams.

Its flights are repeated by the time that is passed in, as RFC 6347 section 4.2.4.1 has it: after 1, 2, 4, … 60 seconds.
"""

import _ssl
import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from cffi import FFI

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.endpoint import Endpoint
from custom_components.lwm2m.dtls.events import Data, Event, Refused
from custom_components.lwm2m.security.refusal import Reason

DECLARATIONS = """
typedef struct ssl_ctx_st SSL_CTX; typedef struct ssl_st SSL; typedef struct ssl_method_st SSL_METHOD;
typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct x509_st X509;
const SSL_METHOD *DTLS_client_method(void); SSL_CTX *SSL_CTX_new(const SSL_METHOD *); void SSL_CTX_free(SSL_CTX *);
uint64_t SSL_CTX_set_options(SSL_CTX *, uint64_t);
long SSL_CTX_ctrl(SSL_CTX *, int, long, void *);
long SSL_ctrl(SSL *, int, long, void *);
int SSL_CTX_set_cipher_list(SSL_CTX *, const char *); void SSL_CTX_set_security_level(SSL_CTX *, int);
void SSL_CTX_set_psk_client_callback(SSL_CTX *, unsigned int
    (*)(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int));
int SSL_CTX_set1_server_cert_type(SSL_CTX *, const unsigned char *, size_t);
int SSL_CTX_set1_client_cert_type(SSL_CTX *, const unsigned char *, size_t);
int SSL_CTX_use_PrivateKey_file(SSL_CTX *, const char *, int);
int SSL_CTX_use_certificate_chain_file(SSL_CTX *, const char *);
SSL *SSL_new(SSL_CTX *);
void SSL_free(SSL *);
void SSL_set_bio(SSL *, BIO *, BIO *);
void SSL_set_connect_state(SSL *);
int SSL_do_handshake(SSL *);
int SSL_read(SSL *, void *, int);
int SSL_write(SSL *, const void *, int);
int SSL_shutdown(SSL *);
int SSL_get_error(const SSL *, int); void DTLS_set_timer_cb(SSL *, unsigned int (*)(SSL *, unsigned int));
int SSL_renegotiate(SSL *); int SSL_CTX_set_tlsext_max_fragment_length(SSL_CTX *, uint8_t);
void ERR_clear_error(void);
const BIO_METHOD *BIO_s_dgram_mem(void); BIO *BIO_new(const BIO_METHOD *);
int BIO_read(BIO *, void *, int); int BIO_write(BIO *, const void *, int);
"""
NO_QUERY_MTU, NO_ETM, NO_EMS, ALLOW_LEGACY = 1 << 12, 1 << 19, 1 << 0, 1 << 2
SET_MTU, MIN_VERSION, MAX_VERSION = 17, 123, 124


@cache
def binding() -> tuple[Any, Any]:
    ffi = FFI()
    ffi.cdef(DECLARATIONS)
    return ffi, ffi.dlopen(_ssl.__file__)


class Client:
    """One client. Feed `receive` and `handle_timer`; send what is in `out`; look at `connected`, `received`, `dead`."""

    def __init__(
        self,
        cipher: str,
        *,
        psk: tuple[bytes, bytes] | None = None,
        key: str | None = None,
        chain: str | None = None,
        raw: bool = False,
        options: int = 0,
        mtu: int = 1200,
        fragment: int = 0,
    ) -> None:
        """`fragment`: code of the max_fragment_length extension (RFC 6066), 0 for none; `mtu` is the UDP payload."""
        self.ffi, self.lib = ffi, lib = binding()
        self.context = ffi.gc(lib.SSL_CTX_new(lib.DTLS_client_method()), lib.SSL_CTX_free)
        lib.SSL_CTX_set_options(self.context, NO_QUERY_MTU | ALLOW_LEGACY | options)
        lib.SSL_CTX_ctrl(self.context, MIN_VERSION, 0xFEFD, ffi.NULL)
        lib.SSL_CTX_ctrl(self.context, MAX_VERSION, 0xFEFD, ffi.NULL)
        lib.SSL_CTX_set_security_level(self.context, 0)
        assert lib.SSL_CTX_set_cipher_list(self.context, cipher.encode()) == 1
        if psk is not None:
            self._psk = self._psk_callback(*psk)
            lib.SSL_CTX_set_psk_client_callback(self.context, self._psk)
        if key is not None and chain is not None:
            assert lib.SSL_CTX_use_certificate_chain_file(self.context, chain.encode()) == 1
            assert lib.SSL_CTX_use_PrivateKey_file(self.context, key.encode(), 1) == 1
        if raw:
            lib.SSL_CTX_set1_server_cert_type(self.context, b"\x02", 1)
            lib.SSL_CTX_set1_client_cert_type(self.context, b"\x02", 1)
        if fragment:
            assert lib.SSL_CTX_set_tlsext_max_fragment_length(self.context, fragment) == 1
        self.ssl = ffi.gc(lib.SSL_new(self.context), lib.SSL_free)
        self.incoming, self.outgoing = lib.BIO_new(lib.BIO_s_dgram_mem()), lib.BIO_new(lib.BIO_s_dgram_mem())
        lib.SSL_set_bio(self.ssl, self.incoming, self.outgoing)
        lib.SSL_set_connect_state(self.ssl)
        self._never = ffi.callback("unsigned int(SSL *, unsigned int)", lambda ssl, last: 3_600_000_000)
        lib.DTLS_set_timer_cb(self.ssl, self._never)
        assert lib.SSL_ctrl(self.ssl, SET_MTU, mtu, ffi.NULL) > 0
        self._buffer = ffi.new("unsigned char[]", 65536)
        self.out: list[bytes] = []
        self.flight: list[bytes] = []
        self.received: list[bytes] = []
        self.connected = self.dead = False
        self.interval = 1.0
        self.next_timer: float | None = None
        self._sequence: int | None = None

    def _psk_callback(self, name: bytes, key: bytes) -> Any:
        def answer(ssl: Any, hint: Any, identity: Any, room: int, psk: Any, psk_room: int) -> int:
            self.ffi.memmove(identity, name + b"\0", len(name) + 1)
            self.ffi.memmove(psk, key, len(key))
            return len(key)

        signature = "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
        return self.ffi.callback(signature, answer, error=0)

    def start(self, now: float) -> None:
        self._advance(now)

    def receive(self, datagram: bytes, now: float) -> None:
        self.lib.BIO_write(self.incoming, datagram, len(datagram))
        if not self.connected:
            self._advance(now)
        if self.connected:
            self._read()

    def _advance(self, now: float) -> None:
        self.lib.ERR_clear_error()
        result = self.lib.SSL_do_handshake(self.ssl)
        error = self.lib.SSL_get_error(self.ssl, result)
        out = self._drain()
        if out:
            self.flight, self.interval = out, 1.0
            self.next_timer = now + self.interval
        if result == 1:
            self.connected, self.next_timer = True, None
        elif error != 2:
            self.dead, self.next_timer = True, None

    def _read(self) -> None:
        self.lib.ERR_clear_error()
        while (size := self.lib.SSL_read(self.ssl, self._buffer, 65536)) > 0:
            self.received.append(bytes(self.ffi.buffer(self._buffer, size)))
        if self.lib.SSL_get_error(self.ssl, size) != 2:
            self.dead = True
        self._drain()

    def _drain(self) -> list[bytes]:
        out = []
        while (size := self.lib.BIO_read(self.outgoing, self._buffer, 65536)) > 0:
            out.append(self._renumber(bytes(self.ffi.buffer(self._buffer, size))))
        self.out += out
        return out

    def _renumber(self, datagram: bytes) -> bytes:
        done, at = b"", 0
        while at < len(datagram):
            end = at + 13 + int.from_bytes(datagram[at + 11 : at + 13])
            header, body = datagram[at : at + 13], datagram[at + 13 : end]
            if header[3:5] == b"\0\0":
                self._sequence = int.from_bytes(header[5:11]) if self._sequence is None else self._sequence + 1
                header = header[:5] + self._sequence.to_bytes(6) + header[11:]
            done += header + body
            at = end
        return done

    def handle_timer(self, now: float) -> None:
        self.interval = min(2 * self.interval, 60.0)
        self.next_timer = now + self.interval
        self.flight = [self._renumber(datagram) for datagram in self.flight]
        self.out += self.flight

    def send(self, data: bytes) -> None:
        assert self.lib.SSL_write(self.ssl, data, len(data)) == len(data)
        self._drain()

    def renegotiate(self) -> None:
        self.lib.SSL_renegotiate(self.ssl)
        self.lib.SSL_do_handshake(self.ssl)
        self._drain()

    def close(self) -> None:
        self.lib.SSL_shutdown(self.ssl)
        self._drain()


class Network:
    """Carries datagrams between clients and one endpoint in made-up time; answers application data with an echo."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        loss: float = 0.0,
        repeat: float = 0.0,
        disorder: float = 0.0,
        seed: int = 1,
        watch: Callable[[Event], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.loss, self.repeat, self.disorder = loss, repeat, disorder
        self.random = random.Random(seed)
        self.now = 1000.0
        self.events: list[Event] = []
        self.clients: dict[NetworkPath, Client] = {}
        self.sent: dict[NetworkPath, int] = {}
        self.got: dict[NetworkPath, int] = {}
        self._order = itertools.count()
        self._queue: list[tuple[float, int, bytes, NetworkPath, bool]] = []
        self._watch = watch

    def add(self, client: Client, *, port: int | None = None, host: str = "127.0.0.1") -> NetworkPath:
        path = NetworkPath((host, 40000 + len(self.clients) if port is None else port), None)
        self.clients[path] = client
        client.start(self.now)
        self._collect(path)
        return path

    def _carry(self, datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        if self.random.random() < self.loss:
            return
        for _ in range(1 + (self.random.random() < self.repeat)):
            late = self.random.random() * 0.3 if self.random.random() < self.disorder else 0.01
            heapq.heappush(self._queue, (self.now + late, next(self._order), datagram, path, to_server))

    def _collect(self, path: NetworkPath) -> None:
        client = self.clients[path]
        out, client.out = client.out, []
        for datagram in out:
            self._carry(datagram, path, to_server=True)

    def drain(self) -> None:
        for event in self.endpoint.events():
            self.events.append(event)
            if self._watch is not None:
                self._watch(event)
            if isinstance(event, Data):
                self.endpoint.send(event.association, b"echo:" + event.data, self.now)
        for datagram, path in self.endpoint.datagrams_to_send():
            self.sent[path] = self.sent.get(path, 0) + len(datagram)
            self._carry(datagram, path, to_server=False)

    def inject(self, datagram: bytes, path: NetworkPath) -> None:
        """A datagram from anyone, taken to the endpoint at once."""
        self.endpoint.receive_datagram(datagram, path, self.now)
        self.got[path] = self.got.get(path, 0) + len(datagram)
        self.drain()

    def run(self, seconds: float = 100.0, until: Callable[[], bool] | None = None) -> None:
        """Let time pass until nothing is left to happen, `until` says so, or `seconds` are over."""
        end = self.now + seconds
        while not (until is not None and until()):
            for path in self.clients:
                self._collect(path)
            self.drain()
            times = [client.next_timer for client in self.clients.values()]
            due = [
                when
                for when in (*times, self.endpoint.next_timer(), *(e[0] for e in self._queue[:1]))
                if when is not None
            ]
            if not due or min(due) > end:
                self.now = end if due else self.now
                return
            self.now = max(self.now, min(due))
            self._turn()

    def _turn(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, datagram, path, to_server = heapq.heappop(self._queue)
            if to_server:
                self.inject(datagram, path)
            elif path in self.clients:
                self.clients[path].receive(datagram, self.now)
        for client in self.clients.values():
            if client.next_timer is not None and client.next_timer <= self.now:
                client.handle_timer(self.now)
        self.endpoint.handle_timer(self.now)

    def of[T](self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]


def all_connected(clients: Iterable[Client]) -> Callable[[], bool]:
    clients = list(clients)
    return lambda: all(client.connected for client in clients)


def reasons(network: Network) -> list[Reason]:
    return [event.refusal.reason for event in network.of(Refused)]


def open_one(network: Network, client: Client, **where: object) -> NetworkPath:
    path = network.add(client, **where)  # type: ignore[arg-type]
    network.run(until=lambda: client.connected and any(a.path == path for a in network.endpoint.associations()))
    return path
