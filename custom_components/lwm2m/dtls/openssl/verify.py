"""A client's certificate or raw public key, looked at while its handshake runs: what it proves, or why it is refused.

OpenSSL checks the signature of the handshake and the chain. That keys are large enough, that no SHA-1 is used and that
a pinned certificate is valid is checked here: the context runs at security level 0, and pinned ones skip the chain.
"""

from dataclasses import replace

from ...security.certificate import names_of
from ...security.identity import CertificateIdentity, Identity, PublicKeyIdentity, fingerprint
from ...security.policy import GROUPS, Credentials
from ...security.refusal import Reason, Refusal
from .ffi import Library, Pointer, ffi

# X509_V_ERR_* (openssl/x509_vfy.h) and what they mean to a person.
NOT_YET_VALID, EXPIRED, UNTRUSTED, INVALID_PURPOSE = 9, 10, 27, 26
KEY_TOO_SMALL, CA_KEY_TOO_SMALL, DIGEST_TOO_WEAK = 66, 67, 68
CHAIN_REASONS = {
    NOT_YET_VALID: Reason.EXPIRED_CERTIFICATE,
    EXPIRED: Reason.EXPIRED_CERTIFICATE,
    KEY_TOO_SMALL: Reason.KEY_TOO_SMALL,
    CA_KEY_TOO_SMALL: Reason.KEY_TOO_SMALL,
    DIGEST_TOO_WEAK: Reason.SHA1,
}
SHA2 = frozenset({672, 673, 674})
"""NID_sha256, NID_sha384, NID_sha512."""
WEAK_DIGESTS = frozenset({4, 64, 114})
"""NID_md5, NID_sha1, NID_md5_sha1."""
PURPOSE_CLIENT = 1

type Verdict = tuple[Identity | None, Refusal | None, int]
"""What was proved, or why not, and the X509_V_ERR code that picks the alert (0: accepted)."""


def verify(library: Library, store: Pointer, credentials: Credentials) -> Verdict:
    """Judge what is in an X509_STORE_CTX. Called inside OpenSSL's callback."""
    key = library.lib.X509_STORE_CTX_get0_rpk(store)
    if key != ffi.NULL:
        return _raw_public_key(library, key, credentials)
    return _certificate(library, store, credentials)


def _raw_public_key(library: Library, key: Pointer, credentials: Credentials) -> Verdict:
    public_key = library.to_der(library.lib.i2d_PUBKEY, key)
    label = fingerprint(public_key)
    if (refusal := _small_key(library, key, label)) is not None:
        return None, refusal, KEY_TOO_SMALL
    if not credentials.public_key(public_key):
        detail = "the public key is not on file"
        refusal = Refusal(Reason.UNKNOWN_PUBLIC_KEY, detail, identity=label, identity_bytes=public_key)
        return None, refusal, UNTRUSTED
    return PublicKeyIdentity(public_key), None, 0


def _small_key(library: Library, key: Pointer, label: str) -> Refusal | None:
    lib = library.lib
    if not lib.EVP_PKEY_is_a(key, b"EC"):
        return Refusal(Reason.UNTRUSTED_CERTIFICATE, "the device's key is no elliptic curve key", identity=label)
    name = ffi.new("char[64]")
    lib.EVP_PKEY_get_group_name(key, name, 64, ffi.NULL)
    if (bits := int(lib.EVP_PKEY_get_bits(key))) < 256:
        return Refusal(Reason.KEY_TOO_SMALL, f"the device's key has {bits} bits, less than 256", identity=label)
    if ffi.string(name).decode() not in _CURVES:
        detail = "the device's key is on none of the curves " + ", ".join(GROUPS.values())
        return Refusal(Reason.NO_COMMON_GROUP, detail, identity=label)
    return None


_CURVES = frozenset({"prime256v1", "secp384r1", "secp521r1", *GROUPS.values()})


def _certificate(library: Library, store: Pointer, credentials: Credentials) -> Verdict:
    lib = library.lib
    certificate = lib.X509_STORE_CTX_get0_cert(store)
    der = library.to_der(lib.i2d_X509, certificate)
    names = names_of(der)
    if names is None:
        return None, Refusal(Reason.MALFORMED, "the certificate cannot be read", identity=fingerprint(der)), UNTRUSTED
    common_name, all_names = names
    identity = CertificateIdentity(der, common_name, all_names, trusted=False)
    if (found := _weakness(library, certificate, identity.label)) is not None:
        return None, replace(found[0], identity_bytes=der), found[1]
    pinned = credentials.certificate(der, all_names)
    if pinned is False:
        if (found := _unchained_fault(library, certificate, identity.label)) is not None:
            return None, replace(found[0], identity_bytes=der), found[1]
        detail = "the certificate is not on file"
        refusal = Refusal(Reason.UNTRUSTED_CERTIFICATE, detail, identity=identity.label, identity_bytes=der)
        return None, refusal, UNTRUSTED
    if pinned:
        if (found := _unchained_fault(library, certificate, identity.label)) is not None:
            return None, replace(found[0], identity_bytes=der), found[1]
        return identity, None, 0
    if lib.X509_verify_cert(store) == 1:
        return CertificateIdentity(der, common_name, all_names, trusted=True), None, 0
    error = int(lib.X509_STORE_CTX_get_error(store)) or UNTRUSTED
    text = ffi.string(lib.X509_verify_cert_error_string(error)).decode()
    reason = CHAIN_REASONS.get(error, Reason.UNTRUSTED_CERTIFICATE)
    detail = f"the certificate's chain is not accepted: {text}"
    return None, Refusal(reason, detail, identity=identity.label, identity_bytes=der), error


def _weakness(library: Library, certificate: Pointer, label: str) -> tuple[Refusal, int] | None:
    lib = library.lib
    digest = ffi.new("int *")
    lib.X509_get_signature_info(certificate, digest, ffi.NULL, ffi.NULL, ffi.NULL)
    if digest[0] in WEAK_DIGESTS:
        return Refusal(Reason.SHA1, "the certificate is signed with SHA-1 or MD5", identity=label), DIGEST_TOO_WEAK
    if digest[0] not in SHA2:
        detail = "the certificate is not signed with SHA-256, SHA-384 or SHA-512"
        return Refusal(Reason.UNTRUSTED_CERTIFICATE, detail, identity=label), UNTRUSTED
    key = lib.X509_get0_pubkey(certificate)
    if key == ffi.NULL:
        refusal = Refusal(Reason.UNTRUSTED_CERTIFICATE, "the certificate's key cannot be read", identity=label)
        return refusal, UNTRUSTED
    refusal_or_none = _small_key(library, key, label)
    return None if refusal_or_none is None else (refusal_or_none, KEY_TOO_SMALL)


def _unchained_fault(library: Library, certificate: Pointer, label: str) -> tuple[Refusal, int] | None:
    """What chain verification would have looked at: validity and purpose."""
    lib = library.lib
    if lib.X509_cmp_current_time(lib.X509_get0_notBefore(certificate)) >= 0:
        return Refusal(Reason.EXPIRED_CERTIFICATE, "the certificate is not valid yet", identity=label), NOT_YET_VALID
    if lib.X509_cmp_current_time(lib.X509_get0_notAfter(certificate)) <= 0:
        return Refusal(Reason.EXPIRED_CERTIFICATE, "the certificate has expired", identity=label), EXPIRED
    if lib.X509_check_purpose(certificate, PURPOSE_CLIENT, 0) != 1:
        detail = "the certificate's key usage does not permit a client to sign with it"
        return Refusal(Reason.UNTRUSTED_CERTIFICATE, detail, identity=label), INVALID_PURPOSE
    return None
