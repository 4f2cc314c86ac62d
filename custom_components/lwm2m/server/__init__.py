"""LwM2M itself: registrations, identities, requests, observations, pairing.

Rule of this layer: it knows LwM2M and CoAP messages, never a socket, a record or Home Assistant. It imports coap, dtls,
security and protocol. Every table that a peer can fill has a cap, and what a peer says is believed only as far as its
handshake proved it.
"""
