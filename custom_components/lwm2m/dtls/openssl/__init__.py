"""The OpenSSL engine: OpenSSL's handshakes through cffi, our own records afterwards.

The generated binding in `_binding.py` comes from `scripts/generate_openssl_binding.py`.
"""
