"""The one SSL_CTX for every suite and peer: its settings, its callbacks and the BIO pair that all handshakes share."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...security.cipher_suite import MANDATORY
from ...security.identity import PskIdentity, printable
from ...security.policy import GROUPS, SIGNATURES, Credentials, Policy
from ...security.refusal import Reason, Refusal
from ...security.server_identity import ServerIdentity
from .ffi import BUFFER_SIZE, Library, Pointer, ffi
from .verify import UNTRUSTED, verify

if TYPE_CHECKING:
    from .handshake import Handshake

_LOGGER = logging.getLogger(__name__)

# openssl/ssl.h and bio.h
OP_NO_QUERY_MTU, OP_COOKIE_EXCHANGE, OP_NO_TICKET, OP_NO_RENEGOTIATION = 1 << 12, 1 << 13, 1 << 14, 1 << 30
CTRL_SET_MTU, CTRL_SET_SESSION_CACHE = 17, 44
CTRL_CHAIN_CERTIFICATE, CTRL_GROUPS_LIST, CTRL_SIGNATURES_LIST, CTRL_CLIENT_SIGNATURES_LIST = 89, 92, 98, 102
CTRL_MIN_VERSION, CTRL_MAX_VERSION = 123, 124
CTRL_GET_NEGOTIATED_GROUP = 134
BIO_CTRL_RESET = 1
VERIFY_PEER_AND_FAIL_IF_NONE = 3
CERTIFICATE_X509, CERTIFICATE_RAW_PUBLIC_KEY = 0, 2
FLAG_TRUSTED_FIRST, FLAG_PARTIAL_CHAIN = 0x8000, 0x80000
DTLS_1_2 = 0xFEFD
AUTHENTICATION_LEVEL = 3
NEVER_MICROSECONDS = 3_600_000_000


class Context:
    """Owns every callback, so it must outlive all SSL objects made from it. `current` is the handshake being driven."""

    def __init__(
        self,
        library: Library,
        credentials: Credentials,
        policy: Policy,
        server_identity: ServerIdentity,
        trust_anchors: Iterable[bytes] = (),
    ) -> None:
        self.library = library
        self.credentials = credentials
        self.policy = policy
        self.current: Handshake | None = None
        lib, check = library.lib, library.check
        lib.ERR_clear_error()
        self.pointer: Pointer = ffi.gc(check(lib.SSL_CTX_new(lib.DTLS_server_method()), "a context"), lib.SSL_CTX_free)
        self._keep: list[Any] = []
        self._set_rules()
        self._set_suites()
        self._set_identity(server_identity)
        self._set_callbacks()
        self.set_trust_anchors(trust_anchors)
        # One pair of datagram BIOs for all handshakes: filled and drained in each call, it holds nothing in between.
        self.incoming, self.outgoing = (
            ffi.gc(check(lib.BIO_new(lib.BIO_s_dgram_mem()), "a BIO"), lib.BIO_free) for _ in range(2)
        )
        self.unused_address: Pointer = ffi.gc(check(lib.BIO_ADDR_new(), "an address"), lib.BIO_ADDR_free)

    def _control(self, command: int, number: int, pointer: Any = ffi.NULL) -> int:
        return int(self.library.lib.SSL_CTX_ctrl(self.pointer, command, number, pointer))

    def _set_rules(self) -> None:
        lib, check = self.library.lib, self.library.check
        check(
            self._control(CTRL_MIN_VERSION, DTLS_1_2) == 1 and self._control(CTRL_MAX_VERSION, DTLS_1_2) == 1,
            "DTLS 1.2",
        )
        lib.SSL_CTX_set_options(self.pointer, OP_NO_RENEGOTIATION | OP_COOKIE_EXCHANGE | OP_NO_TICKET | OP_NO_QUERY_MTU)
        self._control(CTRL_SET_SESSION_CACHE, 0)
        # Level 1 and up would leave out CCM_8 (64 bits); what level 0 leaves open is closed here and in verify.py.
        lib.SSL_CTX_set_security_level(self.pointer, 0)
        signatures = ":".join(SIGNATURES.values())
        for command, text in (
            (CTRL_GROUPS_LIST, ":".join(GROUPS.values())),
            (CTRL_SIGNATURES_LIST, signatures),
            (CTRL_CLIENT_SIGNATURES_LIST, signatures),
        ):
            check(self._control(command, 0, ffi.from_buffer(text.encode() + b"\0")) == 1, text)
        parameters = lib.SSL_CTX_get0_param(self.pointer)
        lib.X509_VERIFY_PARAM_set_auth_level(parameters, AUTHENTICATION_LEVEL)
        lib.X509_VERIFY_PARAM_set_flags(parameters, FLAG_TRUSTED_FIRST | FLAG_PARTIAL_CHAIN)

    def _set_suites(self) -> None:
        """Serve what this OpenSSL has of the policy, which is left with that; it must have the mandatory suites."""
        served = [suite for suite in self.policy.suites if self._take_suites(suite.openssl or "")]
        missing = [name for name in MANDATORY if name not in {suite.name for suite in served}]
        self.library.check(not missing, f"the suites {', '.join(missing)}")
        if len(served) < len(self.policy.suites):
            self.policy = self.policy.limited_to(suite.name for suite in served)
        self._take_suites(":".join(suite.openssl or "" for suite in served))

    def _take_suites(self, names: str) -> bool:
        """Whether OpenSSL knows any of these suites, which are the only ones from now on."""
        taken = int(self.library.lib.SSL_CTX_set_cipher_list(self.pointer, names.encode()))
        self.library.lib.ERR_clear_error()
        return taken == 1

    def _set_identity(self, identity: ServerIdentity) -> None:
        library, lib, check = self.library, self.library.lib, self.library.check
        key = library.from_der(lib.d2i_AutoPrivateKey, identity.private_key, "the server key")
        check(lib.SSL_CTX_use_PrivateKey(self.pointer, key) == 1, "the server key")
        lib.EVP_PKEY_free(key)
        for index, der in enumerate(identity.chain):
            certificate = library.from_der(lib.d2i_X509, der, "a server certificate")
            if index == 0:
                check(lib.SSL_CTX_use_certificate(self.pointer, certificate) == 1, "the server certificate")
            else:
                check(self._control(CTRL_CHAIN_CERTIFICATE, 1, certificate) == 1, "the server's chain")
            lib.X509_free(certificate)
        types = bytes([CERTIFICATE_RAW_PUBLIC_KEY, CERTIFICATE_X509])
        check(lib.SSL_CTX_set1_server_cert_type(self.pointer, types, len(types)) == 1, "server certificate types")
        check(lib.SSL_CTX_set1_client_cert_type(self.pointer, types, len(types)) == 1, "client certificate types")

    def set_trust_anchors(self, certificates: Iterable[bytes]) -> None:
        """Trust exactly these DER CA certificates from now on. Raises EngineUnavailableError for what is none."""
        library, lib = self.library, self.library.lib
        store = ffi.gc(library.check(lib.X509_STORE_new(), "a store"), lib.X509_STORE_free)
        for der in certificates:
            certificate = ffi.gc(library.from_der(lib.d2i_X509, der, "a CA certificate"), lib.X509_free)
            library.check(lib.X509_STORE_add_cert(store, certificate) == 1, "a CA certificate")
        lib.SSL_CTX_set1_cert_store(self.pointer, store)

    def _callback(self, signature: str, function: Any, error: Any) -> Any:
        handle = ffi.callback(signature, function, error=error, onerror=self._failed)
        self._keep.append(handle)
        return handle

    @staticmethod
    def _failed(kind: Any, value: Any, trace: Any) -> None:
        # cffi gives OpenSSL the callback's `error` value, which refuses. The text of the exception may hold a secret.
        del value, trace
        _LOGGER.error("A credential lookup failed with %s", kind.__name__)

    def _set_callbacks(self) -> None:
        lib, pointer = self.library.lib, self.pointer
        psk = "unsigned int(SSL *, const char *, unsigned char *, unsigned int)"
        lib.SSL_CTX_set_psk_server_callback(pointer, self._callback(psk, self._on_psk, 0))
        check = self._callback("int(X509_STORE_CTX *, void *)", self._on_certificate, 0)
        lib.SSL_CTX_set_cert_verify_callback(pointer, check, ffi.NULL)
        lib.SSL_CTX_set_verify(pointer, VERIFY_PEER_AND_FAIL_IF_NONE, ffi.NULL)
        # The cookie was checked before the SSL object existed, so OpenSSL's question is answered with yes.
        cookie_valid = self._callback(
            "int(SSL *, const unsigned char *, unsigned int)", lambda _ssl, _cookie, _size: 1, 0
        )
        lib.SSL_CTX_set_cookie_verify_cb(pointer, cookie_valid)
        no_cookie = self._callback("int(SSL *, unsigned char *, unsigned int *)", lambda _ssl, _cookie, _size: 0, 0)
        lib.SSL_CTX_set_cookie_generate_cb(pointer, no_cookie)
        # Retransmission is ours, by the time that is passed in: OpenSSL's own timer never gets there.
        self.timer_callback = self._callback(
            "unsigned int(SSL *, unsigned int)", lambda _ssl, _last: NEVER_MICROSECONDS, NEVER_MICROSECONDS
        )

    def _on_psk(self, _ssl: Pointer, name: Pointer, out: Pointer, room: int) -> int:
        handshake = self.current
        if handshake is None:
            return 0
        identity = bytes(ffi.string(name)) if name != ffi.NULL else b""
        key = self.credentials.psk(identity)
        if not key or len(key) > room:
            handshake.refusal = Refusal(
                Reason.UNKNOWN_IDENTITY,
                "no device with this PSK identity is on file",
                identity=printable(identity),
                identity_bytes=identity,
            )
            return 0
        handshake.identity = PskIdentity(identity)
        ffi.memmove(out, key, len(key))
        return len(key)

    def _on_certificate(self, store: Pointer, _argument: Pointer) -> int:
        handshake = self.current
        if handshake is None:
            return 0
        # Refused unless the whole of verify() came back with an identity, whatever happens inside.
        self.library.lib.X509_STORE_CTX_set_error(store, UNTRUSTED)
        identity, refusal, error = verify(self.library, store, self.credentials)
        self.library.lib.X509_STORE_CTX_set_error(store, error)
        handshake.refusal = refusal
        if refusal is not None or identity is None:
            return 0
        handshake.identity = identity
        return 1

    def exchange(self, datagram: bytes | None) -> None:
        """Empty the BIOs and this thread's error queue, and give OpenSSL one datagram to read."""
        lib = self.library.lib
        lib.ERR_clear_error()
        lib.BIO_ctrl(self.incoming, BIO_CTRL_RESET, 0, ffi.NULL)
        lib.BIO_ctrl(self.outgoing, BIO_CTRL_RESET, 0, ffi.NULL)
        if datagram is not None:
            lib.BIO_write(self.incoming, datagram, len(datagram))

    def drain(self) -> list[bytes]:
        """The datagrams that OpenSSL wrote."""
        lib, buffer, out = self.library.lib, self.library.buffer, []
        while (size := lib.BIO_read(self.outgoing, buffer, BUFFER_SIZE)) > 0:
            out.append(bytes(ffi.buffer(buffer, size)))
        return out
