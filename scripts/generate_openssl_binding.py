#!/usr/bin/env python3
"""Make the cffi binding to OpenSSL, `dtls/openssl/_binding.py`: out-of-line ABI mode, no compiler.

Run it with the project's Python after changing the declarations below; the result is committed.
"""

import subprocess
import sys
from pathlib import Path

from cffi import FFI

TARGET = Path(__file__).parents[1] / "custom_components/lwm2m/dtls/openssl/_binding.py"

# The part of the public API of OpenSSL 3.2 (openssl/ssl.h, bio.h, x509.h, evp.h, err.h) that the engine calls.
DECLARATIONS = """
typedef struct ssl_ctx_st SSL_CTX; typedef struct ssl_st SSL; typedef struct ssl_method_st SSL_METHOD;
typedef struct bio_st BIO; typedef struct bio_method_st BIO_METHOD; typedef struct bio_addr_st BIO_ADDR;
typedef struct evp_pkey_st EVP_PKEY; typedef struct x509_st X509; typedef struct x509_store_ctx_st X509_STORE_CTX;
typedef struct x509_store_st X509_STORE; typedef struct X509_VERIFY_PARAM_st X509_VERIFY_PARAM;
typedef struct ssl_session_st SSL_SESSION; typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct asn1_string_st ASN1_TIME;

const char *OpenSSL_version(int);
unsigned long OpenSSL_version_num(void);
unsigned long ERR_get_error(void);
void ERR_clear_error(void);
const char *ERR_reason_error_string(unsigned long);

const SSL_METHOD *DTLS_server_method(void);
SSL_CTX *SSL_CTX_new(const SSL_METHOD *);
void SSL_CTX_free(SSL_CTX *);
long SSL_CTX_ctrl(SSL_CTX *, int, long, void *);
long SSL_ctrl(SSL *, int, long, void *);
uint64_t SSL_CTX_set_options(SSL_CTX *, uint64_t);
int SSL_CTX_set_cipher_list(SSL_CTX *, const char *);
void SSL_CTX_set_security_level(SSL_CTX *, int);
void SSL_CTX_set_verify(SSL_CTX *, int, void *);
void SSL_CTX_set_cert_verify_callback(SSL_CTX *, int (*)(X509_STORE_CTX *, void *), void *);
void SSL_CTX_set_psk_server_callback(SSL_CTX *, unsigned int (*)(SSL *, const char *, unsigned char *, unsigned int));
void SSL_CTX_set_cookie_generate_cb(SSL_CTX *, int (*)(SSL *, unsigned char *, unsigned int *));
void SSL_CTX_set_cookie_verify_cb(SSL_CTX *, int (*)(SSL *, const unsigned char *, unsigned int));
int SSL_CTX_use_PrivateKey(SSL_CTX *, EVP_PKEY *);
int SSL_CTX_use_certificate(SSL_CTX *, X509 *);
int SSL_CTX_set1_server_cert_type(SSL_CTX *, const unsigned char *, size_t);
int SSL_CTX_set1_client_cert_type(SSL_CTX *, const unsigned char *, size_t);
int SSL_set1_server_cert_type(SSL *, const unsigned char *, size_t);
int SSL_set1_client_cert_type(SSL *, const unsigned char *, size_t);
X509_VERIFY_PARAM *SSL_CTX_get0_param(SSL_CTX *);
void X509_VERIFY_PARAM_set_auth_level(X509_VERIFY_PARAM *, int);
int X509_VERIFY_PARAM_set_flags(X509_VERIFY_PARAM *, unsigned long);
X509_STORE *X509_STORE_new(void);
void X509_STORE_free(X509_STORE *);
int X509_STORE_add_cert(X509_STORE *, X509 *);
void SSL_CTX_set1_cert_store(SSL_CTX *, X509_STORE *);

SSL *SSL_new(SSL_CTX *);
void SSL_free(SSL *);
void SSL_set_bio(SSL *, BIO *, BIO *);
void SSL_set_accept_state(SSL *);
int SSL_do_handshake(SSL *);
int SSL_read(SSL *, void *, int);
int SSL_write(SSL *, const void *, int);
int SSL_shutdown(SSL *);
void SSL_set_shutdown(SSL *, int);
int SSL_get_error(const SSL *, int);
int DTLSv1_listen(SSL *, BIO_ADDR *);
void DTLS_set_timer_cb(SSL *, unsigned int (*)(SSL *, unsigned int));
BIO_ADDR *BIO_ADDR_new(void);
void BIO_ADDR_free(BIO_ADDR *);
const SSL_CIPHER *SSL_get_current_cipher(const SSL *);
const SSL_CIPHER *SSL_get_pending_cipher(const SSL *);
uint16_t SSL_CIPHER_get_protocol_id(const SSL_CIPHER *);
SSL_SESSION *SSL_get_session(const SSL *);
size_t SSL_SESSION_get_master_key(const SSL_SESSION *, unsigned char *, size_t);
uint8_t SSL_SESSION_get_max_fragment_length(const SSL_SESSION *);
size_t SSL_get_client_random(const SSL *, unsigned char *, size_t);
size_t SSL_get_server_random(const SSL *, unsigned char *, size_t);
EVP_PKEY *SSL_get0_peer_rpk(const SSL *);

int SSL_get_ex_data_X509_STORE_CTX_idx(void);
void *X509_STORE_CTX_get_ex_data(const X509_STORE_CTX *, int);
EVP_PKEY *X509_STORE_CTX_get0_rpk(const X509_STORE_CTX *);
X509 *X509_STORE_CTX_get0_cert(const X509_STORE_CTX *);
int X509_verify_cert(X509_STORE_CTX *);
void X509_STORE_CTX_set_error(X509_STORE_CTX *, int);
int X509_STORE_CTX_get_error(const X509_STORE_CTX *);
const char *X509_verify_cert_error_string(long);
EVP_PKEY *X509_get0_pubkey(const X509 *);
int X509_get_signature_info(X509 *, int *, int *, int *, uint32_t *);
int X509_check_purpose(X509 *, int, int);
const ASN1_TIME *X509_get0_notBefore(const X509 *);
const ASN1_TIME *X509_get0_notAfter(const X509 *);
int X509_cmp_current_time(const ASN1_TIME *);
int EVP_PKEY_is_a(const EVP_PKEY *, const char *);
int EVP_PKEY_get_group_name(const EVP_PKEY *, char *, size_t, size_t *);
int EVP_PKEY_get_bits(const EVP_PKEY *);

const BIO_METHOD *BIO_s_dgram_mem(void);
BIO *BIO_new(const BIO_METHOD *);
int BIO_free(BIO *);
int BIO_up_ref(BIO *);
int BIO_read(BIO *, void *, int);
int BIO_write(BIO *, const void *, int);
long BIO_ctrl(BIO *, int, long, void *);

EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **, const unsigned char **, long);
void EVP_PKEY_free(EVP_PKEY *);
int i2d_PUBKEY(const EVP_PKEY *, unsigned char **);
X509 *d2i_X509(X509 **, const unsigned char **, long);
int i2d_X509(const X509 *, unsigned char **);
void X509_free(X509 *);
"""


def main() -> None:
    """Write the binding module."""
    ffi = FFI()
    ffi.cdef(DECLARATIONS)
    ffi.set_source("_binding", None)
    ffi.emit_python_code(str(TARGET))
    text = TARGET.read_text()
    header = (
        '"""Generated by scripts/generate_openssl_binding.py: cffi binding to OpenSSL. Do not edit."""\n'
        "# mypy: ignore-errors\n"
    )
    TARGET.write_text(header + text)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", TARGET], check=True)


if __name__ == "__main__":
    main()
