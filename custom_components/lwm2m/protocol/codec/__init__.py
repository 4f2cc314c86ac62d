"""Payload formats: one codec per content format.

A codec turns bytes into entries and back. It raises only CodecError and its kin, never reads past `MAX_PAYLOAD` bytes
and never makes more than `MAX_ENTRIES` entries.
"""
