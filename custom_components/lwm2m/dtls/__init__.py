"""DTLS 1.2 server endpoints, sans-IO: datagrams and a time in; datagrams, events and a next time out.

The rule of this layer: no clock, socket or asyncio; it imports `..security`, cffi, cryptography
and (tinydtls.py) DTLSSocket.
Unauthenticated input allocates nothing that lasts, every table has a cap, and nothing that a peer sends raises out.
"""
