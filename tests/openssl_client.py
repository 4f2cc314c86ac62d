"""A DTLS 1.2 client on OpenSSL without sockets or clock.

Its flights are repeated by the time that is passed in, as RFC 6347 section 4.2.4.1 has it: after 1, 2, 4, … 60 seconds.
"""

import _ssl
from functools import cache
from typing import Any

from cffi import FFI

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
typedef struct x509_store_ctx_st X509_STORE_CTX;
void SSL_CTX_set_verify(SSL_CTX *, int, void *);
void SSL_CTX_set_cert_verify_callback(SSL_CTX *, int (*)(X509_STORE_CTX *, void *), void *);
EVP_PKEY *X509_STORE_CTX_get0_rpk(const X509_STORE_CTX *); X509 *X509_STORE_CTX_get0_cert(const X509_STORE_CTX *);
void X509_STORE_CTX_set_error(X509_STORE_CTX *, int);
EVP_PKEY *X509_get0_pubkey(const X509 *); int i2d_PUBKEY(const EVP_PKEY *, unsigned char **);
void SSL_CTX_set_info_callback(SSL_CTX *, void (*)(const SSL *, int, int));
"""
NO_QUERY_MTU, NO_ETM, NO_EMS, ALLOW_LEGACY = 1 << 12, 1 << 19, 1 << 0, 1 << 2
UNTRUSTED = 20  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: alert unknown_ca
SET_MTU, MIN_VERSION, MAX_VERSION = 17, 123, 124
ALERT = 0x4000  # SSL_CB_ALERT: one was sent or came in


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
        server_key: bytes | None = None,
        notes_alerts: bool = False,
    ) -> None:
        """`fragment`: code of the max_fragment_length extension (RFC 6066), 0 for none; `mtu` is the UDP payload.

        `server_key`: the DER SubjectPublicKeyInfo that the server must prove; None: any. With `notes_alerts` the
        numbers of alerts, sent and received, are put into `alerts`.
        """
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
        if chain is not None:
            assert lib.SSL_CTX_use_certificate_chain_file(self.context, chain.encode()) == 1, chain
        if key is not None:
            assert lib.SSL_CTX_use_PrivateKey_file(self.context, key.encode(), 1) == 1, key
        if raw:
            lib.SSL_CTX_set1_server_cert_type(self.context, b"\x02", 1)
            lib.SSL_CTX_set1_client_cert_type(self.context, b"\x02", 1)
        if server_key is not None:
            self._check = ffi.callback(
                "int(X509_STORE_CTX *, void *)", lambda store, _: self._is_server(store, server_key), error=0
            )
            lib.SSL_CTX_set_verify(self.context, 1, ffi.NULL)
            lib.SSL_CTX_set_cert_verify_callback(self.context, self._check, ffi.NULL)
        self.alerts: list[int] = []
        if notes_alerts:
            self._note = self._alert_callback(self.alerts)
            lib.SSL_CTX_set_info_callback(self.context, self._note)
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

    def _alert_callback(self, alerts: list[int]) -> Any:
        def note(ssl: Any, where: int, alert: int) -> None:
            if where & ALERT:
                alerts.append(alert & 0xFF)

        return self.ffi.callback("void(const SSL *, int, int)", note)

    def _is_server(self, store: Any, server_key: bytes) -> int:
        ffi, lib = self.ffi, self.lib
        key = lib.X509_STORE_CTX_get0_rpk(store)
        if key == ffi.NULL:
            key = lib.X509_get0_pubkey(lib.X509_STORE_CTX_get0_cert(store))
        size = lib.i2d_PUBKEY(key, ffi.NULL)
        out = ffi.new("unsigned char[]", size)
        lib.i2d_PUBKEY(key, ffi.new("unsigned char **", out))
        if bytes(ffi.buffer(out)) == server_key:
            return 1
        lib.X509_STORE_CTX_set_error(store, UNTRUSTED)
        return 0

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
