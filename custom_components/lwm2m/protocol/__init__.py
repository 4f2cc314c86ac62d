"""LwM2M as data: paths, values, messages, payload formats and object definitions.

This layer computes and nothing else. It has no clock, no socket, no asyncio and knows no other layer; it imports the
standard library, cbor2 and defusedxml. Bad input raises a `ProtocolError` (errors.py), in bounded time and memory.
"""
